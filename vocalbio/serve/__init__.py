"""The local service: a page, an HTTP interface and a live monitor, on this machine alone unless a token is set."""

from __future__ import annotations

from typing import TYPE_CHECKING

from vocalbio.errors import required_for
from vocalbio.serve.settings import Settings

if TYPE_CHECKING:
    from fastapi import FastAPI

__all__ = ["Settings", "create_app"]


def create_app(settings: Settings | None = None) -> FastAPI:
    """
    Make the service as an ASGI application; ``vocalbio serve`` runs it with uvicorn.

    Nothing is opened or started before a server runs its lifespan: then the log is opened, what a crash left behind is
    removed, and the worker processes load their models.

    Parameters
    ----------
    settings : Settings, optional
        Default: ``Settings()``, this machine alone.

    Returns
    -------
    fastapi.FastAPI

    Raises
    ------
    MissingPackageError
        If the packages of ``vocalbio[serve]`` are not installed.
    ModelFileError, ParameterError
        If a file in ``settings.models`` is no model that can answer here.

    Examples
    --------
    >>> from vocalbio.serve import Settings, create_app
    >>> app = create_app(Settings(log=":memory:"))
    >>> "/analyze-stress" in app.openapi()["paths"]
    True
    """
    with required_for("the service", "vocalbio[serve]"):
        from vocalbio.serve.app import create_app as assemble
    return assemble(Settings() if settings is None else settings)
