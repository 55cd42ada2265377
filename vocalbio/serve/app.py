"""The service put together: settings, log, workers, live monitors, routes, and the guard around all of it."""

from __future__ import annotations

import asyncio
import mimetypes
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from fastapi.staticfiles import StaticFiles
from starlette.exceptions import HTTPException
from starlette.responses import FileResponse, Response

from vocalbio import __version__
from vocalbio.conditions import DISCLAIMER
from vocalbio.errors import ParameterError
from vocalbio.serve import live, records, routes
from vocalbio.serve.analysis import Analysis
from vocalbio.serve.guard import Guard, refused
from vocalbio.serve.log import LogError, NotInLogError, RecordingLog
from vocalbio.serve.models import Problem, errors
from vocalbio.serve.refusal import Refusal
from vocalbio.serve.settings import Settings
from vocalbio.serve.uploads import Uploads

__all__ = ["create_app"]

PAGE = Path(__file__).parent / "page"
ROUTERS = (routes.router, records.router)

DESCRIPTION = f"""Voice memos and nights in, answers with their reasons out. Everything stays on this machine.

Every error is `{{"error": words}}`: what was got, what was expected, what to do. Where a token is set, every request
needs it: `Authorization: Bearer TOKEN`. Live sound goes to the WebSocket `/ws/monitor` (docs/live_monitoring.md).

{DISCLAIMER}"""


def create_app(settings: Settings) -> FastAPI:
    """
    See `vocalbio.serve.create_app`.

    Parameters
    ----------
    settings : Settings

    Returns
    -------
    fastapi.FastAPI
        ``app.state`` holds ``settings``, ``analysis`` and, while it runs, ``log``, ``uploads``, ``streams``, or
        ``failure``: why it could not start.
    """
    app = FastAPI(
        title="vocalbio",
        version=__version__,
        description=DESCRIPTION,
        lifespan=_running,
        docs_url=None,  # those pages load their scripts from elsewhere
        redoc_url=None,
        responses=errors(422),
        exception_handlers={
            HTTPException: _told,
            RequestValidationError: _misused,
            ParameterError: _unusable,
            NotInLogError: _missing,
            LogError: _out_of_order,
        },
    )
    app.state.settings = settings
    app.state.failure = None
    app.state.analysis = Analysis(settings)
    for router in ROUTERS:
        app.include_router(router)
    app.include_router(live.router)
    mimetypes.add_type("text/javascript", ".js")  # systems have ideas of their own about it
    mimetypes.add_type("application/manifest+json", ".webmanifest")
    app.mount("/page", StaticFiles(directory=PAGE))
    app.add_api_route("/", _page, include_in_schema=False, methods=["GET"])
    app.add_middleware(Guard, settings=settings)
    _complete_description(app)
    return app


@asynccontextmanager
async def _running(app: FastAPI) -> AsyncIterator[None]:
    """Open and start everything; at the end let live nights finish before the log is closed."""
    state = app.state
    settings: Settings = state.settings
    async with AsyncExitStack() as ending:
        try:
            state.log = RecordingLog(settings.log, key=settings.log_key, keep_audio=settings.keep_audio)
            ending.callback(state.log.close)
            state.uploads = Uploads(settings.request_timeout_s)
            ending.callback(state.uploads.close)
            state.uploads.open()
            ending.push_async_callback(asyncio.to_thread, state.analysis.close)
            state.analysis.start()
            state.streams = live.Streams(state.log, max_streams=settings.max_streams, max_night_s=settings.max_night_s)
            ending.push_async_callback(state.streams.close)
            await state.streams.start()
        except Exception as error:
            state.failure = error  # the server knows only that it could not start
            raise
        yield


async def _page() -> FileResponse:
    return FileResponse(PAGE / "index.html")


def _complete_description(app: FastAPI) -> None:
    """Say in the OpenAPI description what an error looks like, and that a token is needed."""
    describe = app.openapi

    def described() -> dict[str, Any]:
        schema = describe()
        schema["components"]["schemas"]["Problem"] = Problem.model_json_schema()
        if app.state.settings.token is not None:  # it is the guard that asks for it
            schema["components"]["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
            schema["security"] = [{"token": []}]
        return schema

    app.openapi = described  # type: ignore[method-assign]


# Errors -----------------------------------------------------------------------------------------------------


async def _told(request: Request, error: HTTPException) -> Response:
    headers = dict(error.headers or {})
    if error.status_code == 405:  # each method is a route of its own, which knows itself only
        known = [route for router in ROUTERS for route in router.routes if isinstance(route, APIRoute)]
        found = {method for one in known if one.path_regex.match(request.url.path) for method in one.methods or ()}
        headers["Allow"] = ", ".join(sorted(found)) or headers.get("Allow", "GET, HEAD")
    return refused(Refusal(error.status_code, str(error.detail), headers))


async def _misused(request: Request, error: RequestValidationError) -> Response:
    first = error.errors()[0]
    place = ".".join(str(part) for part in first["loc"][1:]) or "the request"
    if first["type"] == "missing":
        return refused(Refusal(422, f"{place} is missing"))
    return refused(Refusal(422, f"{place} is {str(first.get('input'))[:100]!r}: {first['msg']}"))


async def _unusable(request: Request, error: ParameterError) -> Response:
    return refused(Refusal(422, str(error)))


async def _missing(request: Request, error: NotInLogError) -> Response:
    return refused(Refusal(404, str(error)))


async def _out_of_order(request: Request, error: LogError) -> Response:
    return refused(Refusal(503, str(error)))
