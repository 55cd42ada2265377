"""Who may come in, how much they may send, and what leaves: the outermost layer of the service."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import ipaddress
import logging
import secrets
import socket
from typing import TYPE_CHECKING
from urllib.parse import parse_qsl, urlencode, urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import cookie_parser
from starlette.responses import JSONResponse, RedirectResponse, Response

from vocalbio.serve.refusal import Refusal

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

    from vocalbio.serve.settings import Settings

__all__ = ["PAGE_POLICY", "REPORT_POLICY", "Guard"]

PAGE_POLICY = (
    "default-src 'self'; img-src 'self' data: blob:; media-src 'self' blob:; object-src 'none'; base-uri 'none'; "
    "form-action 'self'; frame-ancestors 'none'"
)
"""Content-Security-Policy of everything but reports: scripts and styles from this service's files alone."""
REPORT_POLICY = (
    "default-src 'none'; img-src data:; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'self'; sandbox allow-popups"
)
"""Of report pages and pictures, which are one file each with a style of their own: no script can run in them."""

CHANGING = ("POST", "PUT", "PATCH", "DELETE")
SMALL_BODY = 100_000
"""Bytes of a body that is no upload."""
DRAIN_S = 5.0
"""How long a refused body is read and thrown away, so that clients that send first and listen then get the answer."""

log = logging.getLogger("vocalbio.serve")


class Guard:
    """
    Middleware around everything, WebSockets too.

    Lets in who has the token, comes from a page of this service or from no page at all, and calls it by a name of its
    own; counts what is sent; sets the security headers; keeps tracebacks in the log of the server.

    Parameters
    ----------
    app : ASGI application
    settings : Settings

    Examples
    --------
    >>> from vocalbio.serve import Settings
    >>> from vocalbio.serve.guard import Guard
    >>> guard = Guard(None, Settings(token="a-token-of-16-or-more"))
    """

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        self.app = app
        self.settings = settings
        self._origins = {origin.lower() for origin in settings.allowed_origins}
        own = socket.gethostname().lower()
        self._hosts = {"localhost", settings.host.lower(), own, f"{own.split('.')[0]}.local"}
        self._hosts |= {urlsplit(origin).hostname or "" for origin in self._origins}
        # other services of this host are sent the cookie as well, so it does not hold the token itself
        token = (settings.token or "").encode()
        self._cookie_value = hmac.new(token, b"cookie of vocalbio serve", hashlib.sha256).hexdigest()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request, or one WebSocket."""
        if scope["type"] not in ("http", "websocket"):
            await self.app(scope, receive, send)
            return
        state = scope.setdefault("state", {})
        headers = Headers(scope=scope)
        try:
            self._check_names(scope, headers)
            if scope["type"] == "http" and (login := self._login(scope)) is not None:
                await login(scope, receive, self._with_headers(scope, send))
                return
            state["who"] = self._who(scope, headers)
        except Refusal as refusal:
            await self._refuse(refusal, scope, receive, send)
            return
        if scope["type"] == "websocket":
            try:
                await self.app(scope, receive, send)
            except Exception:  # the server closes the connection
                log.exception("a live connection failed")
                raise
        else:
            await self._answer(scope, receive, send, headers)

    # Who ----------------------------------------------------------------------------------------------------

    def _check_names(self, scope: Scope, headers: Headers) -> None:
        host = headers.get("host", "")
        if not self._is_ours(host):
            # a page of a stranger's name that suddenly points to this machine (DNS rebinding)
            raise Refusal(
                403,
                f"this service is not called {host!r}; use localhost, its IP address, or an address that was allowed "
                "(--allow-origin)",
            )
        if scope["type"] == "http" and scope["method"] not in CHANGING:
            return
        origin = headers.get("origin")
        if origin is None:  # no browser, or an old one
            foreign = headers.get("sec-fetch-site", "none") not in ("none", "same-origin")
        else:
            foreign = origin.lower() not in self._origins and _netloc(origin) != host.lower()
        if foreign:
            raise Refusal(
                403,
                f"this was asked by a page of {origin or 'another site'}; only pages of this service, and of "
                "addresses that were allowed (--allow-origin), may ask",
            )

    def _is_ours(self, host: str) -> bool:
        try:
            name = urlsplit(f"//{host}").hostname or ""
        except ValueError:
            return False
        if name in self._hosts:
            return True
        try:
            ipaddress.ip_address(name)  # no name, so nobody can let it point elsewhere
        except ValueError:
            return False
        return True

    def _cookie_name(self, scope: Scope) -> str:
        server = scope.get("server")
        return f"vocalbio_{server[1] if server else self.settings.port}"  # cookies do not know ports

    def _login(self, scope: Scope) -> Response | None:
        """What ``/?token=...`` gets: a cookie, and the same address without the token."""
        if self.settings.token is None or scope["path"] != "/" or scope["method"] != "GET":
            return None
        query = parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True)
        given = [value for name, value in query if name == "token"]
        if not given:
            return None
        if not _same(given[-1], self.settings.token):
            raise Refusal(
                401, "the token in this address is not that of this service; open the address that it printed"
            )
        rest = urlencode([(name, value) for name, value in query if name != "token"])
        answer = RedirectResponse("/" + (f"?{rest}" if rest else ""), 303)
        answer.set_cookie(
            self._cookie_name(scope),
            self._cookie_value,
            httponly=True,
            samesite="strict",
            secure=scope["scheme"] == "https",
        )
        return answer

    def _who(self, scope: Scope, headers: Headers) -> str:
        client = scope.get("client")
        place = client[0] if client else "unknown address"
        if self.settings.token is None:
            return f"local {place}"
        kind, _, given = headers.get("authorization", "").partition(" ")
        if kind.lower() == "bearer" and _same(given.strip(), self.settings.token):
            return f"token {place}"
        if _same(cookie_parser(headers.get("cookie", "")).get(self._cookie_name(scope), ""), self._cookie_value):
            return f"token {place}"
        raise Refusal(
            401,
            "a token is needed: open the address that vocalbio serve printed (/?token=...), or send the header "
            "Authorization: Bearer TOKEN",
            {"WWW-Authenticate": "Bearer"},
        )

    # What ---------------------------------------------------------------------------------------------------

    async def _answer(self, scope: Scope, receive: Receive, send: Send, headers: Headers) -> None:
        upload = scope["path"].startswith(("/analyze-", "/features"))
        limit = self.settings.max_upload_bytes if upload else SMALL_BODY
        length = headers.get("content-length", "")
        if length.isdecimal() and int(length) > limit:
            await self._refuse(_too_large(limit), scope, receive, send)
            return
        begun = complete = False
        received = 0

        async def counted() -> Message:
            nonlocal complete, received
            message = await receive()
            complete = not message.get("more_body", False)
            received += len(message.get("body", b""))
            if received > limit:
                raise _too_large(limit)
            return message

        async def told(message: Message) -> None:
            nonlocal begun
            begun = True
            await send(message)

        try:
            await self.app(scope, counted, self._with_headers(scope, told))
        except asyncio.CancelledError:  # the service ends, and has waited long enough
            if not begun:
                ended = Refusal(503, "the service was stopped before this was answered; try again when it runs")
                await self._refuse(ended, scope, receive, send, drain=False)
            raise
        except Exception as error:
            if begun:  # the answer is cut off, which tells the client
                log.exception("%s %s failed after its answer had begun", scope["method"], scope["path"])
                raise
            refusal = error if isinstance(error, Refusal) else _unforeseen(scope)
            await self._refuse(refusal, scope, receive, send, drain=not complete)

    def _with_headers(self, scope: Scope, send: Send) -> Send:
        own_style = scope["path"].endswith((".svg", "report.html")) and not scope["path"].startswith("/page/")

        async def sent(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers["Content-Security-Policy"] = REPORT_POLICY if own_style else PAGE_POLICY
                headers["X-Content-Type-Options"] = "nosniff"
                headers["Referrer-Policy"] = "same-origin"
                headers["Cross-Origin-Opener-Policy"] = "same-origin"
                headers["Cross-Origin-Resource-Policy"] = "same-origin"
                headers["Permissions-Policy"] = "camera=(), geolocation=(), microphone=(self), screen-wake-lock=(self)"
                headers.setdefault("Cache-Control", "no-cache" if scope["path"].startswith("/page/") else "no-store")
            await send(message)

        return sent

    async def _refuse(
        self, refusal: Refusal, scope: Scope, receive: Receive, send: Send, *, drain: bool = True
    ) -> None:
        if scope["type"] == "websocket":
            await receive()
            await send({"type": "websocket.close", "code": 1008, "reason": refusal.words[:100]})
            return
        answer = refused(refusal)
        send = self._with_headers(scope, send)
        await send({"type": "http.response.start", "status": answer.status_code, "headers": answer.raw_headers})
        await send({"type": "http.response.body", "body": answer.body, "more_body": True})
        if drain:
            await _drain(receive)
        await send({"type": "http.response.body", "body": b""})


def refused(refusal: Refusal) -> JSONResponse:
    """Make the answer that a refused request gets."""
    content = {"error": refusal.words} | ({} if refusal.id is None else {"id": refusal.id})
    return JSONResponse(content, refusal.status, refusal.headers)


def _too_large(limit: int) -> Refusal:
    return Refusal(
        413, f"the request is larger than {limit / 1e6:g} MB, the most that is taken; send less, or compress"
    )


def _unforeseen(scope: Scope) -> Refusal:
    number = secrets.token_hex(4)
    log.exception("error %s in %s %s", number, scope["method"], scope["path"])
    return Refusal(
        500, f"something went wrong here that should not; the server's log tells more under {number}", id=number
    )


async def _drain(receive: Receive) -> None:
    with_body = True
    try:
        async with asyncio.timeout(DRAIN_S):
            while with_body:
                message = await receive()
                with_body = message["type"] == "http.request" and message.get("more_body", False)
    except TimeoutError:
        return


def _same(given: str, expected: str) -> bool:
    return hmac.compare_digest(given.encode(), expected.encode())


def _netloc(origin: str) -> str:
    return origin.lower().partition("://")[2]
