"""The errors that vocalbio raises: each says what was got, what was expected and what to do."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

__all__ = [
    "AudioError",
    "LeakageError",
    "MissingPackageError",
    "ModelFileError",
    "ModelUnavailableError",
    "ParameterError",
    "VocalbioError",
    "VocalbioWarning",
    "required_for",
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


@contextmanager
def required_for(purpose: str, package: str) -> Iterator[None]:
    """
    Turn a failing import inside the ``with`` block into the pip line that cures it.

    Parameters
    ----------
    purpose : str
        What needs the import, for the message, such as ``"the prosody family"``.
    package : str
        What to install, such as ``"opensmile"`` or ``"vocalbio[serve]"``.

    Raises
    ------
    MissingPackageError
        If an import in the block fails.

    Examples
    --------
    >>> from vocalbio.errors import required_for
    >>> with required_for("the spectral family", "librosa"):
    ...     import json
    """
    try:
        yield
    except ImportError as error:
        raise MissingPackageError(
            f"{purpose} needs a package that cannot be imported ({error}). Install it with: pip install '{package}'"
        ) from error
