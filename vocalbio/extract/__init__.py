"""From recordings to one table: families side by side, one row a request, whatever happens to it."""

from vocalbio.extract.extractor import FeatureExtractor, extract_features, extract_frames
from vocalbio.extract.table import describe_columns, errors, read_settings

__all__ = [
    "FeatureExtractor",
    "describe_columns",
    "errors",
    "extract_features",
    "extract_frames",
    "read_settings",
]
