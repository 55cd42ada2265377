"""What people send: taken into a private folder, known by its content, removed again whatever happens."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
import shutil
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, TYPE_CHECKING

from vocalbio.serve.refusal import Refusal

if TYPE_CHECKING:
    from starlette.requests import Request

__all__ = ["Upload", "Uploads", "media_type_of"]

PREFIX, LOCK = "vocalbio-serve-", ".lock"
MOST_FIELDS = 12
HEAD_BYTES = 16
SIGNATURES = (
    (0, b"RIFF", "audio/wav"),
    (0, b"RIFX", "audio/wav"),
    (0, b"RF64", "audio/wav"),
    (0, b"riff\x2e\x91\xcf\x11", "audio/x-w64"),
    (0, b"FORM", "audio/aiff"),
    (0, b".snd", "audio/basic"),
    (0, b"caff", "audio/x-caf"),
    (0, b"fLaC", "audio/flac"),
    (0, b"OggS", "audio/ogg"),
    (0, b"ID3", "audio/mpeg"),
    (0, b"#!AMR", "audio/amr"),
    (0, b"\x1aE\xdf\xa3", "audio/webm"),
    (4, b"ftyp", "audio/mp4"),
    (0, b"0       ", "application/x-edf"),
    (0, b"\xffBIOSEMI", "application/x-bdf"),
)
"""Offset, bytes and media type of what a file of sound begins with."""


def media_type_of(head: bytes) -> str | None:
    """
    Tell by its first bytes what kind of sound file this is.

    Parameters
    ----------
    head : bytes
        16 or more.

    Returns
    -------
    str or None
        None: none that is known.

    Examples
    --------
    >>> from vocalbio.serve.uploads import media_type_of
    >>> media_type_of(b"fLaC" + bytes(12)), media_type_of(b"#EXTM3U" + bytes(9))
    ('audio/flac', None)
    """
    for offset, mark, kind in SIGNATURES:
        if head[offset : offset + len(mark)] == mark:
            return kind
    if len(head) >= 2 and head[0] == 0xFF and head[1] & 0xE0 == 0xE0:  # frame of mp3 or adts
        return "audio/mpeg" if head[1] & 0x06 else "audio/aac"
    return None


@dataclass(frozen=True)
class Upload:
    """
    One file that was sent, while it is kept.

    Attributes
    ----------
    path : Path
        In a folder of its own, under `name`.
    name : str
        As the person calls it, without folders and odd characters.
    media_type : str
        By its content.
    fields : dict of str to str
        The other fields of the form.
    """

    path: Path
    name: str
    media_type: str
    fields: dict[str, str] = field(default_factory=dict)


class Uploads:
    """
    The private folder of one running service.

    A lock that the system lets go of when a process ends, however it ends, tells folders in use from those of a crash.

    Parameters
    ----------
    timeout_s : float
        Longest that an upload may take.
    parent : path-like, optional
        Default: the system's folder for temporary files.

    Examples
    --------
    >>> from vocalbio.serve.uploads import Uploads
    >>> uploads = Uploads(60.0)
    >>> folder = uploads.open()
    >>> uploads.close()
    >>> folder.exists()
    False
    """

    def __init__(self, timeout_s: float, parent: str | os.PathLike[str] | None = None) -> None:
        self.timeout_s = timeout_s
        self.parent = Path(tempfile.gettempdir() if parent is None else parent)
        self._folder: Path | None = None
        self._lock: IO[bytes] | None = None

    def open(self) -> Path:
        """Remove what crashed services left behind, and make this one's folder (0700); its path."""
        for lock in self.parent.glob(f"{PREFIX}*{LOCK}"):
            self._sweep(lock)
        # the lock is held before there is a folder that another service might sweep
        number, name = tempfile.mkstemp(LOCK, PREFIX, self.parent)
        self._lock = os.fdopen(number, "wb")
        _hold(self._lock)
        self._folder = Path(name.removesuffix(LOCK))
        self._folder.mkdir(0o700)
        return self._folder

    def _sweep(self, lock: Path) -> None:
        with contextlib.suppress(OSError):  # held, another's, or removed right now
            if lock.is_symlink() or (hasattr(os, "getuid") and lock.stat().st_uid != os.getuid()):
                return
            with open(lock, "ab") as held:
                _hold(held)
                shutil.rmtree(lock.with_suffix(""), ignore_errors=True)
            lock.unlink()

    def close(self) -> None:
        """Remove the folder with all that is in it."""
        if self._folder is None or self._lock is None:
            return
        shutil.rmtree(self._folder, ignore_errors=True)
        self._lock.close()
        self._folder.with_suffix(LOCK).unlink(missing_ok=True)
        self._lock = self._folder = None

    @asynccontextmanager
    async def receive(self, request: Request) -> AsyncIterator[Upload]:
        """
        Take the file of a multipart form; it is removed when the block ends.

        Parameters
        ----------
        request : starlette.requests.Request
            Its body is not read yet. The file stands in the field ``file``.

        Yields
        ------
        Upload

        Raises
        ------
        Refusal
            400 without a file, 408 if it takes too long, 415 if it is no sound, 422 if fields are none.
        """
        folder = Path(tempfile.mkdtemp(dir=self._folder))
        try:
            yield await self._take(request, folder)
        finally:
            await asyncio.to_thread(shutil.rmtree, folder, True)

    async def _take(self, request: Request, folder: Path) -> Upload:
        from python_multipart.multipart import parse_options_header
        from starlette.datastructures import UploadFile

        kind, options = parse_options_header(request.headers.get("content-type"))
        if kind != b"multipart/form-data":
            raise Refusal(400, "No file uploaded")
        if options.get(b"charset", b"utf-8").lower() not in (b"utf-8", b"us-ascii"):
            raise Refusal(400, "the form is not in UTF-8; send it in UTF-8, without a charset in its Content-Type")
        try:
            async with asyncio.timeout(self.timeout_s), request.form(max_files=1, max_fields=MOST_FIELDS) as form:
                file = form.get("file")
                if not isinstance(file, UploadFile) or not (file.filename or file.size):
                    raise Refusal(400, "No file uploaded")
                name = _plain_name(file.filename or "")
                path = folder / name
                head = await file.read(HEAD_BYTES)
                if not head:
                    raise Refusal(400, f"No file uploaded: {name} is empty")
                media_type = media_type_of(head)
                if media_type is None:
                    raise Refusal(
                        415,
                        f"{name} is no sound file of a known kind; expected wav, flac, ogg, opus, mp3, m4a, aac, webm, "
                        "amr, aiff, or for a night EDF",
                    )
                await asyncio.to_thread(_copy, file.file, path)
                pairs = [(key, value) for key, value in form.multi_items() if isinstance(value, str)]
        except TimeoutError:
            raise Refusal(408, f"the upload took longer than {self.timeout_s:g} s; send a smaller file") from None
        fields = dict(pairs)
        if len(fields) < len(pairs):
            raise Refusal(422, "a field is given twice; send each of them once")
        return Upload(path, name, media_type, fields)


def _copy(source: IO[bytes], path: Path) -> None:
    source.seek(0)
    with open(path, "wb") as target:
        shutil.copyfileobj(source, target, 1 << 20)


def _plain_name(given: str) -> str:
    """A name for people and for the folder (less than 255 bytes); the time in it may tell when a night began."""
    name = re.sub(r"[^\w .()+-]", "_", re.split(r"[/\\]", given)[-1]).strip(". ")
    return name[-60:] or "recording"


def _hold(lock: IO[bytes]) -> None:
    """Lock a file for as long as it is open, or raise OSError if another process does."""
    if sys.platform == "win32":
        import msvcrt

        msvcrt.locking(lock.fileno(), msvcrt.LK_NBLCK, 1)
    else:
        import fcntl

        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
