"""``vocalbio serve``: the local service."""

from __future__ import annotations

import logging
import os
import secrets
import socket
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from vocalbio.errors import ParameterError, required_for

if TYPE_CHECKING:
    from vocalbio.serve import Settings

__all__ = ["serve"]

TOKEN_VARIABLE, KEY_VARIABLE = "VOCALBIO_TOKEN", "VOCALBIO_LOG_KEY"
FINISH_S = 30
"""That open requests and live nights get to end in."""


def serve(
    host: Annotated[
        str, typer.Option(help="Address to listen at; 0.0.0.0: all of this machine's, for phones nearby (with TLS).")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65_535, help="0: any free one.")] = 8000,
    token: Annotated[
        str | None,
        typer.Option(
            envvar=TOKEN_VARIABLE,
            help="Whoever asks must give it. [default: none on 127.0.0.1, elsewhere a new one, printed at the start]",
        ),
    ] = None,
    certificate: Annotated[Path | None, typer.Option(help="TLS: PEM file of the certificate with its chain.")] = None,
    key: Annotated[Path | None, typer.Option(help="TLS: PEM file of the certificate's private key.")] = None,
    model: Annotated[
        list[Path] | None,
        typer.Option(
            help="Model saved by vocalbio train; may be repeated, one a condition. [default: stress as shipped]"
        ),
    ] = None,
    log: Annotated[
        str | None,
        typer.Option(help="SQLite file that keeps answers, or :memory: for none. [default: the data folder of yours]"),
    ] = None,
    log_key_file: Annotated[
        Path | None,
        typer.Option(help=f"File whose first line encrypts the log; or set the environment variable {KEY_VARIABLE}."),
    ] = None,
    keep_audio: Annotated[
        bool, typer.Option("--keep-audio", help="Let people choose that the sound is kept in the log as well.")
    ] = False,
    max_upload_mb: Annotated[float, typer.Option(help="Largest upload, in MB.")] = 100.0,
    max_duration_s: Annotated[float, typer.Option(help="Longest memo, in seconds.")] = 3600.0,
    max_night_s: Annotated[float, typer.Option(help="Longest night, in seconds.")] = 43_200.0,
    timeout_s: Annotated[float, typer.Option(help="Seconds that an upload, and then its analysis, may take.")] = 120.0,
    max_queue: Annotated[int, typer.Option(min=0, help="Recordings that may wait for a worker.")] = 16,
    max_streams: Annotated[int, typer.Option(min=0, help="Live monitors at the same time.")] = 32,
    workers: Annotated[int, typer.Option(min=1, help="Processes that analyse; each takes 1 GB or so.")] = 1,
    allow_origin: Annotated[
        list[str] | None,
        typer.Option(help="Further address of this service in browsers, such as that of a proxy; may be repeated."),
    ] = None,
) -> None:
    """
    Run the service: a page for memos and the microphone, and an HTTP interface. Ctrl-C ends it.

    It is for this machine alone unless --host says otherwise; then everyone needs the token. It screens, it does not
    diagnose.
    """
    from vocalbio.serve import Settings
    from vocalbio.serve.settings import default_log

    os.environ.pop(TOKEN_VARIABLE, None)  # workers have no use for it
    made = token is None and not Settings(host=host, token="-" * 16).is_loopback
    if made:
        token = secrets.token_urlsafe(24)
    settings = Settings(
        host=host,
        port=port,
        token=token,
        certificate=certificate,
        key=key,
        log=default_log() if log is None else log,
        log_key=_log_key(log_key_file),
        keep_audio=keep_audio,
        models=tuple(model or ()),
        max_upload_mb=max_upload_mb,
        max_duration_s=max_duration_s,
        max_night_s=max_night_s,
        request_timeout_s=timeout_s,
        max_queue=max_queue,
        max_streams=max_streams,
        workers=workers,
        allowed_origins=tuple(allow_origin or ()),
    )
    _run(settings, show_token=made)


def _log_key(path: Path | None) -> str | None:
    """The key of the log: never an option, which would stay in the shell's history and be seen by everyone in ps."""
    if path is None:
        return os.environ.pop(KEY_VARIABLE, None)  # workers have no use for it
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ParameterError(f"the key of the log cannot be read from {path} ({error})") from error
    if not lines or not lines[0]:
        raise ParameterError(f"{path} is empty; expected the key of the log in its first line")
    return lines[0]


def _run(settings: Settings, *, show_token: bool) -> None:
    from vocalbio.conditions import DISCLAIMER
    from vocalbio.serve import create_app

    app = create_app(settings)
    with required_for("the service", "vocalbio[serve]"):
        import uvicorn

    logging.getLogger("python_multipart").setLevel(logging.CRITICAL)  # malformed forms are answered, not news
    listening = _listen(settings)
    address = f"{settings.scheme}://{_reachable(settings.host)}:{listening.getsockname()[1]}/"

    class Server(uvicorn.Server):
        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets)
            if self.started:
                # one that was given may be meant for more than this terminal and its journal
                login = "" if settings.token is None else f"?token={settings.token if show_token else 'YOUR-TOKEN'}"
                typer.echo(f"vocalbio serve: open {address}{login}")
                if settings.scheme == "http" and not settings.is_loopback:
                    typer.echo(
                        "  without TLS: what is sent can be read on the way, the token too, and browsers elsewhere "
                        "refuse the microphone. See docs/service.md: --certificate, --key",
                    )
                typer.echo(f"  log: {settings.log}{'' if settings.log_key is None else ' (encrypted)'}")
                typer.echo(f"  {DISCLAIMER}\n  Ctrl-C ends it.")

    config = uvicorn.Config(
        app,
        log_config=None,
        log_level="critical",  # what goes wrong is told by the guard, and by the failure below
        access_log=False,  # addresses may hold the token
        proxy_headers=False,
        server_header=False,
        ssl_certfile=settings.certificate,
        ssl_keyfile=settings.key,
        ws_per_message_deflate=False,  # costs time, gains nothing on sound
        timeout_graceful_shutdown=FINISH_S,
    )
    server = Server(config)
    try:
        server.run(sockets=[listening])
    except KeyboardInterrupt:
        pass  # uvicorn has ended everything in order, and tells the signal again
    except SystemExit:
        if app.state.failure is None:
            raise
    finally:
        listening.close()
    if app.state.failure is not None:
        raise app.state.failure
    typer.echo("vocalbio serve: ended")


def _listen(settings: Settings) -> socket.socket:
    family = socket.AF_INET6 if ":" in settings.host else socket.AF_INET
    try:
        return socket.create_server((settings.host, settings.port), family=family, backlog=128)
    except OSError as error:
        raise ParameterError(
            f"cannot listen at {settings.host} port {settings.port} ({error.strerror}); is another service there? "
            "Choose another one: --port 0 takes any that is free"
        ) from error


def _reachable(host: str) -> str:
    """What to type into a browser."""
    if host in ("0.0.0.0", "::"):
        return socket.gethostname()
    return f"[{host}]" if ":" in host else host
