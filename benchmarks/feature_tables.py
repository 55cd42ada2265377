"""Tables of features that scripts keep between runs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pandas as pd

import vocalbio as vb
from vocalbio.extract import read_settings


def kept(path: Path, extractor: vb.FeatureExtractor, make: Callable[[], pd.DataFrame]) -> pd.DataFrame:
    """What stands in the file, if it was made with these settings and weights; or else made, and kept there."""
    if path.exists():
        X = pd.read_parquet(path)
        if (read_settings(X) or {}).get("extractor") == extractor.to_dict():
            return X
    X = make()
    path.parent.mkdir(parents=True, exist_ok=True)
    X.to_parquet(path)
    return X
