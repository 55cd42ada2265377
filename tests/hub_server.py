"""A small server on loopback that answers like the Hugging Face Hub, down to its misfortunes."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Literal

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@dataclass
class Hub:
    """
    What the server serves and what it was asked.

    `misfortunes` are used up one a download: ``"cut"`` closes the connection half-way, ``"fail"`` answers 500.
    """

    endpoint: str
    models: dict[str, Mapping[str, bytes]] = field(default_factory=dict)
    gated: set[str] = field(default_factory=set)
    misfortunes: dict[str, list[Literal["cut", "fail"]]] = field(default_factory=dict)
    requests: list[tuple[str, str]] = field(default_factory=list)

    def downloads(self) -> list[str]:
        """The files that were asked for themselves, not only their size."""
        return [path.rpartition("/")[2] for method, path in self.requests if method == "GET"]


@contextmanager
def serve() -> Iterator[Hub]:
    """Serve from a free port of 127.0.0.1 while the block runs."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_HEAD(self) -> None:
            self.answer(body=False)

        def do_GET(self) -> None:
            self.answer(body=True)

        def answer(self, body: bool) -> None:
            hub.requests.append((self.command, self.path))
            owner, model, _, revision, file = ([*self.path.strip("/").split("/"), *[""] * 5])[:5]
            name = f"{owner}/{model}"
            if name not in hub.models:
                return self.refuse(404, "RepoNotFound")
            if name in hub.gated:
                return self.refuse(403, "GatedRepo")
            if revision not in ("main", COMMIT):
                return self.refuse(404, "RevisionNotFound")
            if file not in hub.models[name]:
                return self.refuse(404, "EntryNotFound")
            misfortune = hub.misfortunes[file].pop(0) if body and hub.misfortunes.get(file) else None
            if misfortune == "fail":
                return self.refuse(500, "")
            content = hub.models[name][file]
            start = int(self.headers.get("Range", "bytes=0-").removeprefix("bytes=").split("-")[0])
            self.send_response(206 if start else 200)
            self.send_header("X-Repo-Commit", COMMIT)
            self.send_header("ETag", f'"{hashlib.sha256(content).hexdigest()}"')
            self.send_header("X-Linked-Size", str(len(content)))
            self.send_header("Content-Length", str(len(content) - start))
            if start:
                self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
            self.end_headers()
            if misfortune == "cut":
                self.wfile.write(content[start : (start + len(content)) // 2])
                self.close_connection = True
            elif body:
                self.wfile.write(content[start:])

        def refuse(self, status: int, code: str) -> None:
            self.send_response(status)
            if code:
                self.send_header("X-Error-Code", code)
            if code == "EntryNotFound":
                self.send_header("X-Repo-Commit", COMMIT)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *args: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    hub = Hub(f"http://127.0.0.1:{server.server_port}")
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
