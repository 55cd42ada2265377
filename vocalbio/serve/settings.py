"""How the service runs: where it listens, who may come in, how much it takes, where it keeps what."""

from __future__ import annotations

import ipaddress
import os
import re
import sys
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from vocalbio.errors import ParameterError

__all__ = ["MEMORY", "Settings", "default_log"]

MEMORY = ":memory:"
_TOKEN = re.compile(r"[A-Za-z0-9._~-]{16,}")


def default_log() -> Path:
    """
    Name the file of the log where the system keeps data of programs for this person.

    Returns
    -------
    Path
        Its folder need not exist.

    Examples
    --------
    >>> from vocalbio.serve.settings import default_log
    >>> default_log().name
    'log.sqlite'
    """
    if sys.platform == "win32":
        base = os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local"
    elif sys.platform == "darwin":
        base = Path.home() / "Library" / "Application Support"
    else:
        base = os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share"
    return Path(base) / "vocalbio" / "log.sqlite"


@dataclass(frozen=True)
class Settings:
    """
    What `create_app` needs to know.

    Parameters
    ----------
    host : str
        Address to listen at. Any other than a loopback address needs a `token`.
    port : int
        0: any free one.
    token : str, optional
        Whoever asks must give it: 16 or more letters, digits, ``-._~``.
    certificate, key : path-like, optional
        TLS: PEM files of the certificate (with its chain) and of its private key.
    log : path-like
        SQLite file of the log, or ``":memory:"``. Default: `default_log`.
    log_key : str, optional
        Encrypts the log.
    keep_audio : bool
        Whether a person may choose to keep a recording's sound in the log.
    models : tuple of path-like
        Saved by ``vocalbio train``: one a condition at most. The stress model in the wheel answers where none is given.
    max_upload_mb : float
        Largest body of a request, in 10^6 bytes.
    max_duration_s, max_night_s : float
        Longest memo, and longest night, in seconds of sound.
    request_timeout_s : float
        Longest that an upload, and then its analysis, may take.
    max_queue : int
        Requests that may wait for a worker, besides those being worked on.
    max_streams : int
        Live monitors at the same time.
    workers : int
        Processes that analyse; each holds the models in memory of its own (1 GB or so).
    allowed_origins : tuple of str
        Further addresses under which browsers see this service, such as ``"https://voice.example.org"`` of a proxy.

    Raises
    ------
    ParameterError
        If something is out of range, or the service would be open to others without a token.

    Examples
    --------
    >>> from vocalbio.serve import Settings
    >>> Settings().host
    '127.0.0.1'
    >>> Settings(host="0.0.0.0")  # doctest: +IGNORE_EXCEPTION_DETAIL
    Traceback (most recent call last):
    vocalbio.errors.ParameterError: host is '0.0.0.0', which others can reach, and there is no token
    """

    host: str = "127.0.0.1"
    port: int = 8000
    token: str | None = field(default=None, repr=False)
    certificate: str | os.PathLike[str] | None = None
    key: str | os.PathLike[str] | None = None
    log: str | os.PathLike[str] = field(default_factory=default_log)
    log_key: str | None = field(default=None, repr=False)
    keep_audio: bool = False
    models: tuple[str | os.PathLike[str], ...] = ()
    max_upload_mb: float = 100.0
    max_duration_s: float = 3600.0
    max_night_s: float = 43_200.0
    request_timeout_s: float = 120.0
    max_queue: int = 16
    max_streams: int = 32
    workers: int = 1
    allowed_origins: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if not isinstance(self.host, str) or not self.host:
            raise ParameterError(f"host is {self.host!r}; expected an address such as '127.0.0.1'")
        if not 0 <= self.port < 65_536:
            raise ParameterError(f"port is {self.port}; expected 0 (any free one) to 65535")
        if self.token is not None and not _TOKEN.fullmatch(self.token):
            raise ParameterError(
                f"token has {len(self.token)} characters or others than letters, digits and -._~; expected 16 or more "
                "of those. Make one: python -c 'import secrets; print(secrets.token_urlsafe(24))'"
            )
        if self.token is None and not self.is_loopback:
            raise ParameterError(
                f"host is {self.host!r}, which others can reach, and there is no token; set one, or use 127.0.0.1"
            )
        if (self.certificate is None) != (self.key is None):
            raise ParameterError("one of certificate and key is given; TLS needs both, or neither")
        for name in ("certificate", "key"):
            path = getattr(self, name)
            if path is not None and not Path(path).is_file():
                raise ParameterError(f"{name} is {path}, and there is no such file; see docs/service.md on TLS")
        if self.log_key == "":
            raise ParameterError("log_key is empty; expected the key of the log, or None for a log in the clear")
        for name in ("max_upload_mb", "max_duration_s", "max_night_s", "request_timeout_s"):
            if not getattr(self, name) > 0:
                raise ParameterError(f"{name} is {getattr(self, name)}; expected more than 0")
        for name, least in (("max_queue", 0), ("max_streams", 0), ("workers", 1)):
            if getattr(self, name) < least:
                raise ParameterError(f"{name} is {getattr(self, name)}; expected {least} or more")
        for origin in self.allowed_origins:
            parts = urlsplit(origin)
            exact = f"{parts.scheme}://{parts.netloc}" == origin
            if parts.scheme not in ("http", "https") or not parts.netloc or not exact:
                raise ParameterError(
                    f"allowed_origins holds {origin!r}; expected scheme, host and port alone: 'https://voice.example.org'"
                )

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can reach `host`."""
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return self.host == "localhost"

    @property
    def scheme(self) -> str:
        """``"https"`` with TLS, else ``"http"``."""
        return "http" if self.certificate is None else "https"

    @property
    def max_upload_bytes(self) -> int:
        """`max_upload_mb` in bytes."""
        return round(self.max_upload_mb * 1e6)
