from .extractor import FeatureExtractor as FeatureExtractor
from .extractor import extract_features as extract_features
from .extractor import extract_frames as extract_frames
from .layers import LayerChoice as LayerChoice
from .table import describe_columns as describe_columns
from .table import errors as errors
from .table import read_settings as read_settings
