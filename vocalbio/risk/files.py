"""Saved models: one zip of a Keras file, a JSON manifest and plain arrays; reading one runs none of its code."""

from __future__ import annotations

import io
import json
import os
import tempfile
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from vocalbio.errors import ModelFileError, ParameterError, required_for

__all__ = ["keras_from_bytes", "keras_to_bytes", "read_model", "write_model"]

FORMAT = 2
MEMBERS = ("manifest.json", "model.keras", "arrays.npz")
PARTS = {
    *("Functional", "InputLayer", "__keras_tensor__", "DTypePolicy"),
    *("Dense", "Dropout", "BatchNormalization", "LSTM", "Bidirectional", "GlobalAveragePooling1D", "Average"),
    *("Conv2D", "MaxPooling2D", "Flatten", "Reshape", "ReLU", "Add", "Concatenate", "LayerNormalization"),
    *("GlorotUniform", "HeNormal", "Orthogonal", "Zeros", "Ones", "L2"),
}
OWN_MODULE = "vocalbio.networks.layers"
OWN_PARTS = {
    *("AttentivePooling", "Columns", "LastStep", "MaskedAttention", "MaskedConv1D", "MaxOverTime"),
    "SinusoidalPositions",
}
"""All that a saved network may consist of, Keras' and ours; a new layer in `vocalbio.networks` is added here."""

NEWER = ("quantization_config", "input_axes", "output_axes")
"""Settings of layers and initializers that Keras 3.9 does not know."""


def keras_to_bytes(network: Any) -> bytes:
    """Serialise a Keras model in its own format, without optimiser and metrics."""
    with required_for("saving a model", "tensorflow"):
        import keras
    network = keras.Model(network.input, network.output)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "model.keras")
        network.save(path)
        return _portable(path.read_bytes())


def _portable(content: bytes) -> bytes:
    """Leave out what newer versions of Keras say by None and older ones refuse, so that those can load it too."""
    packed = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as given, zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as written:
        for entry in given.infolist():
            member = given.read(entry)
            if entry.filename == "config.json":
                member = json.dumps(_without(json.loads(member))).encode()
            written.writestr(entry, member)
    return packed.getvalue()


def _without(config: Any) -> Any:
    if isinstance(config, dict):
        return {key: _without(entry) for key, entry in config.items() if not (key in NEWER and entry is None)}
    return [_without(entry) for entry in config] if isinstance(config, list) else config


def keras_from_bytes(content: bytes, file: str) -> Any:
    """Load a Keras model without running code of the file's."""
    with required_for("loading a model", "tensorflow"):
        import keras

        import vocalbio.networks.layers  # noqa: F401 - makes our own layers known to Keras
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "model.keras")
        path.write_bytes(content)
        try:
            with zipfile.ZipFile(path) as archive:
                _refuse_code(json.loads(archive.read("config.json")))
            return keras.saving.load_model(path, compile=False, safe_mode=True)
        except Exception as error:  # keras raises whatever its parts raise
            raise ModelFileError(
                f"{file}: its network cannot be loaded ({type(error).__name__}: {str(error).splitlines()[0]}); "
                "it is damaged, holds code of its own, or is from a newer Keras"
            ) from error


def _refuse_code(config: Any) -> None:
    """
    Let nothing through but the parts that our networks are made of.

    Keras' own safe mode is not enough: before version 3.9 it imported any module that a file names.
    """
    if isinstance(config, dict):
        kind, module = config.get("class_name"), config.get("module")
        theirs = kind in PARTS and (module or "keras").split(".")[0] == "keras"
        ours = kind in OWN_PARTS and module == OWN_MODULE and config.get("registered_name") == f"vocalbio>{kind}"
        if "class_name" in config and not (theirs or ours):
            raise ValueError(f"{module or ''} {kind} is not a part of our networks")
        config = list(config.values())
    for entry in config if isinstance(config, list) else []:
        _refuse_code(entry)


def write_model(path: str | os.PathLike[str], manifest: dict[str, Any], network: bytes, arrays: dict[str, Any]) -> None:
    """Write a model file, all or nothing; a folder if `path` is one, each of its files all or nothing."""
    folder = os.path.isdir(path) or str(path).endswith(("/", os.sep))
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
        if folder:
            path.mkdir(exist_ok=True)
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
        If it is missing, not ours, damaged, or of another format than this vocalbio's.
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
    except (OSError, KeyError, ValueError, RuntimeError, zipfile.BadZipFile, zlib.error, EOFError) as error:
        raise ModelFileError(f"{path} is not a model saved by vocalbio, or it is damaged ({error})") from error
    version = manifest.get("format") if isinstance(manifest, dict) else None
    if not isinstance(version, int) or version > FORMAT:
        raise ModelFileError(
            f"{path} has format {version!r}; this vocalbio reads format {FORMAT}: pip install -U vocalbio"
        )
    if version < FORMAT:
        raise ModelFileError(
            f"{path} has format {version}, of vocalbio 0.1, whose probabilities were not calibrated; this vocalbio "
            f"reads format {FORMAT}. Fit the model anew, or read it with vocalbio 0.1"
        )
    return manifest, contents["model.keras"], arrays
