"""Screen a night: read it, listen, keep what was measured on disk, report."""

from __future__ import annotations

import json
import os
import sys
import time
import warnings
from collections.abc import Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from vocalbio import __version__
from vocalbio.errors import ParameterError, VocalbioWarning
from vocalbio.night.reading import RATE_HZ, Night
from vocalbio.stream.monitor import Monitor
from vocalbio.stream.report import NightReport

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

__all__ = ["screen_night"]

FORMAT, FORMAT_VERSION = "vocalbio.night.work", 1
_FLUSH_S = 10.0  # of work that a crash may cost


def screen_night(
    audio: Any,
    *,
    model: Any = None,
    work_dir: str | os.PathLike[str] | None = None,
    channel: str | None = None,
    starts: Sequence[datetime | float] | None = None,
    started: datetime | str | None = None,
    lights_out: Any = None,
    lights_on: Any = None,
    noise_reduction: bool = False,
    progress: bool | None = None,
) -> NightReport:
    """
    Listen to a recorded night and report its acoustic events: where the sound of breathing stops or falls.

    It is the `Monitor` that listens, as to a live microphone: the same sound gives the same events.

    Parameters
    ----------
    audio : path, Recording, Night, or sequence of paths
        Whatever `vocalbio.load_audio` reads, or EDF, EDF+, BDF with an audio channel. Several files are one night: see
        `Night`, and `screen_nights` for several nights. It is read in constant memory.
    model : WindowModel, optional
        A trained model that listens in place of the built-in rules.
    work_dir : path-like, optional
        Folder that keeps what was measured, as far as it got. After a crash the same call goes on where it stopped and
        gives the same report; once finished it gives the report at once. Made if it does not exist.
    channel : str, optional
        Label of the audio channel in EDF files; see `Night`.
    starts : sequence of datetime or float, optional
        When each of several files began; see `Night`.
    started : datetime or str, optional
        When the recording began: ``"2026-01-31 23:05"``. Default: what EDF headers or file names tell.
    lights_out, lights_on : str, time, datetime or float, optional
        Clock time (``"23:15"``) or seconds from the beginning. Only events between them count.
    noise_reduction : bool
        Subtract the tracked noise floor before breaths are compared.
    progress : bool, optional
        Show a progress bar; None: on a terminal or in a notebook, once it takes longer than a second.

    Returns
    -------
    NightReport

    Raises
    ------
    AudioError
        If nothing can be read. A file of several that is damaged is kept as far as it goes, with a warning.
    ParameterError
        If an argument is wrong, or `work_dir` holds another night, other settings or another version.

    Examples
    --------
    >>> import numpy as np
    >>> from vocalbio import Recording, screen_night
    >>> noise = np.random.default_rng(0).normal(0, 1e-3, 16_000 * 60).astype("float32")
    >>> len(screen_night(Recording(noise, 16_000)).events)
    0
    """
    night = audio if isinstance(audio, Night) else None
    if night is not None and any(value is not None for value in (channel, starts, started, lights_out, lights_on)):
        raise ParameterError(
            "audio is a Night, which knows its channel, starts, started, lights_out and lights_on; give them to Night"
        )
    if night is None:
        night = Night(
            audio, channel=channel, starts=starts, started=started, lights_out=lights_out, lights_on=lights_on
        )
    monitor = Monitor(RATE_HZ, model=model, noise_reduction=noise_reduction, started=night.started)
    if work_dir is None:
        return _told(_listen(night, monitor, None, progress), night)
    kept = _Kept(Path(work_dir), night, monitor)
    report = kept.report()
    if report is None:
        report = _listen(night, monitor, kept, progress)
        kept.finish(report)
    return _told(report, night)


def _listen(night: Night, monitor: Monitor, kept: _Kept | None, progress: bool | None) -> NightReport:
    if kept is not None:
        monitor.restore(kept.rows())
    begin_s = monitor.position_s
    with kept.writing() if kept is not None else nullcontext(), _bar(night, begin_s, progress) as bar:
        for block in night.blocks(begin_s):
            monitor.push(block)
            if kept is not None:
                kept.keep(monitor)
            bar.update(len(block) / RATE_HZ / 60)
        report = monitor.finish()
        if kept is not None:
            kept.keep(monitor, at_once=True)
    return replace(report, files=night.files)


def _told(report: NightReport, night: Night) -> NightReport:
    """The report with this call's times, which do not change what was heard."""
    report = replace(report, started=night.started, lights_out_s=night.lights_out_s, lights_on_s=night.lights_on_s)
    for file in report.files:
        if file["reason"]:
            warnings.warn(
                f"{file['file']}: {file['reason']}. What comes before is kept, the rest counts as not recorded",
                VocalbioWarning,
                stacklevel=3,
            )
    return report


class _Kept:
    """
    A working folder: what was measured of one night.

    ``night.json`` tells which night, settings and version; ``rows.f32`` holds a row a second, raw; ``report.json``
    stands there once the night is finished. Rows depend on the sound alone and are written at their places, so a torn
    last row is written anew, and two processes at work on the same night do no harm.
    """

    def __init__(self, folder: Path, night: Night, monitor: Monitor) -> None:
        self.folder = folder
        self._columns = monitor.measured.shape[1]
        self._written = 0
        self._last = time.monotonic()
        self._file: Any = None
        wanted = {
            "format": FORMAT,
            "format_version": FORMAT_VERSION,
            "vocalbio": __version__,
            "night": night.fingerprint(),
            "settings": monitor.settings,
            "columns": self._columns,
        }
        wanted = json.loads(json.dumps(wanted, default=str))
        header = folder / "night.json"
        if header.exists():
            self._check(header, wanted)
        elif folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            raise ParameterError(f"work_dir {folder} holds something else; choose a new or empty folder")
        else:
            folder.mkdir(parents=True, exist_ok=True)
            _write(header, json.dumps(wanted, indent=1))

    def _check(self, header: Path, wanted: dict[str, Any]) -> None:
        try:
            found = json.loads(header.read_text(encoding="utf-8"))
            if found["format"] != FORMAT:
                raise ValueError
        except (OSError, ValueError, KeyError, TypeError):
            raise ParameterError(f"work_dir {self.folder} holds no night of vocalbio; choose an empty folder") from None
        for key, what in (
            ("format_version", "was written in another format"),
            ("vocalbio", "was written by another version of vocalbio"),
            ("night", "holds another night (file names, sizes, contents, starts or channel differ)"),
            ("settings", "holds this night with other settings (model, rule or noise_reduction differ)"),
            ("columns", "was written in another format"),
        ):
            if found.get(key) != wanted[key]:
                raise ParameterError(f"work_dir {self.folder} {what}; choose another folder, or delete this one")

    def report(self) -> NightReport | None:
        path = self.folder / "report.json"
        return NightReport.from_json(path) if path.exists() else None

    def rows(self) -> NDArray[np.float32]:
        path = self.folder / "rows.f32"
        raw = path.read_bytes() if path.exists() else b""
        n_rows = len(raw) // (4 * self._columns)
        self._written = n_rows
        return np.frombuffer(raw, "<f4", n_rows * self._columns).astype(np.float32).reshape(n_rows, self._columns)

    @contextmanager
    def writing(self) -> Iterator[None]:
        path = self.folder / "rows.f32"
        path.touch()
        with open(path, "r+b") as self._file:
            yield

    def keep(self, monitor: Monitor, *, at_once: bool = False) -> None:
        if not at_once and time.monotonic() - self._last < _FLUSH_S:
            return
        rows = monitor.measured[self._written :]
        self._file.seek(self._written * 4 * self._columns)
        self._file.write(rows.astype("<f4").tobytes())
        self._file.flush()
        os.fsync(self._file.fileno())
        self._written += len(rows)
        self._last = time.monotonic()

    def finish(self, report: NightReport) -> None:
        _write(self.folder / "report.json", report.to_json())


def _write(path: Path, text: str) -> None:
    """All of it or nothing."""
    draft = path.with_suffix(f".{os.getpid()}.tmp")
    with open(draft, "w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    os.replace(draft, path)


def _bar(night: Night, begin_s: float, progress: bool | None) -> Any:
    from tqdm.auto import tqdm

    if progress is None:
        progress = sys.stderr.isatty() or "ipykernel" in sys.modules
    total = None if night.duration_s is None else round(night.duration_s / 60)
    return tqdm(
        total=total,
        initial=round(begin_s / 60),
        desc="Screening the night",
        unit="min",
        disable=not progress,
        delay=1.0,
        bar_format=None if total is None else "{l_bar}{bar}| {n:.0f}/{total} min [{elapsed}<{remaining}]",
    )
