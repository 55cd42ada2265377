"""The public names; type checkers and completion read this file, Python loads each name when it is asked for."""

from . import conditions as conditions
from . import datasets as datasets
from . import encoders as encoders
from . import figures as figures
from . import metrics as metrics
from . import networks as networks
from . import risk as risk
from .audio import Recording as Recording
from .audio import load_audio as load_audio
from .datasets import Sequences as Sequences
from .errors import AudioError as AudioError
from .errors import LeakageError as LeakageError
from .errors import MissingPackageError as MissingPackageError
from .errors import ModelFileError as ModelFileError
from .errors import ModelUnavailableError as ModelUnavailableError
from .errors import ParameterError as ParameterError
from .errors import VocalbioError as VocalbioError
from .errors import VocalbioWarning as VocalbioWarning
from .evaluation import Evaluation as Evaluation
from .evaluation import cross_validate as cross_validate
from .evaluation import evaluate as evaluate
from .evaluation import learning_curve as learning_curve
from .evaluation import permutation_test as permutation_test
from .extract import FeatureExtractor as FeatureExtractor
from .extract import LayerChoice as LayerChoice
from .extract import describe_columns as describe_columns
from .extract import errors as errors
from .extract import extract_features as extract_features
from .extract import extract_frames as extract_frames
from .features.embedding import Embedding as Embedding
from .features.family import Family as Family
from .features.family import Frames as Frames
from .features.prosody import Prosody as Prosody
from .features.spectral import Spectral as Spectral
from .features.voice import Voice as Voice
from .longitudinal import Track as Track
from .longitudinal import track as track
from .risk import Answer as Answer
from .risk import RiskModel as RiskModel
from .risk import SeverityModel as SeverityModel

__version__: str
