"""The errors that vocalbio raises: each says what was got, what was expected and what to do."""

from __future__ import annotations

import importlib
from types import ModuleType

__all__ = [
    "AudioError",
    "LeakageError",
    "MissingPackageError",
    "ModelFileError",
    "ModelUnavailableError",
    "ParameterError",
    "VocalbioError",
    "VocalbioWarning",
    "require",
]


class VocalbioError(Exception):
    """Root of every error that vocalbio raises on purpose."""


class ParameterError(VocalbioError, ValueError):
    """An argument is of the wrong kind, shape or range."""


class AudioError(VocalbioError):
    """A recording cannot be read, is empty, or holds samples that are not finite."""


class ModelUnavailableError(VocalbioError):
    """Pretrained weights are neither on this machine nor reachable."""


class MissingPackageError(VocalbioError, ImportError):
    """A package that this call needs is not installed; the text holds the pip line."""


class ModelFileError(VocalbioError):
    """A saved model cannot be used: not one of ours, damaged, or from another version."""


class LeakageError(VocalbioError):
    """A split puts the same speaker on both sides."""


class VocalbioWarning(UserWarning):
    """Root of the warnings that vocalbio emits: the result stands, but read the text before using it."""


def require(module: str, package: str, purpose: str) -> ModuleType:
    """
    Import `module`, or say which pip line brings it.

    Parameters
    ----------
    module : str
        Name to import, such as ``"opensmile"``.
    package : str
        What to install, such as ``"opensmile"`` or ``"vocalbio[serve]"``.
    purpose : str
        What needs it, for the message, such as ``"the prosody family"``.

    Returns
    -------
    module

    Raises
    ------
    MissingPackageError
        If the import fails.
    """
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise MissingPackageError(
            f"{purpose} needs the package '{module}', which cannot be imported ({error}). "
            f"Install it with: pip install '{package}'"
        ) from error
