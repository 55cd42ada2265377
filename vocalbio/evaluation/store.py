"""The store: finished folds on disk, so that a second call goes on where the first one stopped."""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import asdict
from pathlib import Path
from typing import Any

from vocalbio.errors import ParameterError
from vocalbio.evaluation.models import Fold

__all__ = ["Store"]


class Store:
    """Finished folds on disk, one JSON file each, under a hash of all that they depend on."""

    def __init__(self, folder: str | os.PathLike[str] | None) -> None:
        self.folder = None if folder is None else Path(folder)
        if self.folder is not None:
            try:
                self.folder.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise ParameterError(f"work_dir {folder!r} cannot be made ({error}); expected a folder") from error

    def path(self, *parts: Any) -> Path | None:
        """Where a fold of these settings stands."""
        if self.folder is None:
            return None
        return self.folder / f"fold_{hashlib.sha256(json.dumps(parts, default=str).encode()).hexdigest()[:24]}.json"

    @staticmethod
    def read(path: Path | None) -> Fold | None:
        """A finished fold; None where there is none, or a damaged one."""
        try:
            return None if path is None else Fold(**json.loads(path.read_text()))
        except (OSError, ValueError, TypeError):
            return None

    @staticmethod
    def write(path: Path | None, fold: Fold) -> None:
        """Keep a fold; whole or not at all."""
        if path is not None:
            part = path.with_suffix(f".{os.getpid()}.part")
            part.write_text(json.dumps(asdict(fold)))
            part.replace(path)
