"""Saved models: one zip of a Keras file, a JSON manifest and plain arrays; reading one runs none of its code."""

from __future__ import annotations

import io
import json
import os
import tempfile
import zipfile
from pathlib import Path
from typing import Any

import numpy as np

from vocalbio.errors import ModelFileError, ParameterError, required_for

__all__ = ["keras_from_bytes", "keras_to_bytes", "read_model", "write_model"]

FORMAT = 1
MEMBERS = ("manifest.json", "model.keras", "arrays.npz")


def keras_to_bytes(network: Any) -> bytes:
    """Serialise a Keras model in its own format."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "model.keras")
        network.save(path)
        return path.read_bytes()


def keras_from_bytes(content: bytes, file: str) -> Any:
    """Load a Keras model without running code of the file's."""
    with required_for("loading a model", "tensorflow"):
        import keras
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "model.keras")
        path.write_bytes(content)
        try:
            return keras.saving.load_model(path, compile=False, safe_mode=True)
        except Exception as error:  # keras raises whatever its parts raise
            raise ModelFileError(
                f"{file}: its network cannot be loaded ({type(error).__name__}: {str(error).splitlines()[0]}); "
                "it is damaged, holds code of its own, or is from a newer Keras"
            ) from error


def write_model(path: str | os.PathLike[str], manifest: dict[str, Any], network: bytes, arrays: dict[str, Any]) -> None:
    """Write a model file, all or nothing; a folder if `path` is one."""
    path = Path(path)
    packed = io.BytesIO()
    np.savez(packed, **arrays)
    contents = dict(
        zip(
            MEMBERS,
            (json.dumps({"format": FORMAT, **manifest}, indent=2).encode(), network, packed.getvalue()),
            strict=True,
        )
    )
    try:
        if path.is_dir():
            for name, content in contents.items():
                _replace(path / name, content)
        else:
            whole = io.BytesIO()
            with zipfile.ZipFile(whole, "w", zipfile.ZIP_DEFLATED) as archive:
                for name, content in contents.items():
                    archive.writestr(name, content)
            _replace(path, whole.getvalue())
    except OSError as error:
        raise ParameterError(
            f"cannot write a model to {path}: {error.strerror}; choose a folder that exists"
        ) from error


def _replace(path: Path, content: bytes) -> None:
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=path.name)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(content)
        os.chmod(temporary, 0o666 & ~_umask())
        os.replace(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise


def _umask() -> int:
    mask = os.umask(0)
    os.umask(mask)
    return mask


def read_model(path: str | os.PathLike[str]) -> tuple[dict[str, Any], bytes, dict[str, Any]]:
    """
    Read a model file.

    Returns
    -------
    manifest, network, arrays : dict, bytes, dict of str to numpy.ndarray

    Raises
    ------
    ModelFileError
        If it is missing, not ours, damaged, or newer than this vocalbio.
    """
    path = Path(path)
    try:
        if path.is_dir():
            contents = {name: (path / name).read_bytes() for name in MEMBERS}
        else:
            with zipfile.ZipFile(path) as archive:
                contents = {name: archive.read(name) for name in MEMBERS}
        manifest = json.loads(contents["manifest.json"])
        with np.load(io.BytesIO(contents["arrays.npz"]), allow_pickle=False) as packed:
            arrays = {name: packed[name] for name in packed.files}
    except FileNotFoundError as error:
        raise ModelFileError(f"{error.filename or path} does not exist; check the path") from error
    except (OSError, KeyError, ValueError, zipfile.BadZipFile, EOFError) as error:
        raise ModelFileError(f"{path} is not a model saved by vocalbio, or it is damaged ({error})") from error
    version = manifest.get("format") if isinstance(manifest, dict) else None
    if not isinstance(version, int) or version > FORMAT:
        raise ModelFileError(
            f"{path} has format {version!r}; this vocalbio reads up to {FORMAT}: pip install -U vocalbio"
        )
    return manifest, contents["model.keras"], arrays
