"""The log: what was analysed and heard, in one SQLite file that can be encrypted, exported and deleted."""

from __future__ import annotations

import csv
import io
import json
import math
import os
import re
import sqlite3
import sys
import threading
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import IO, TYPE_CHECKING, Any

import numpy as np

from vocalbio import __version__
from vocalbio.errors import ParameterError, VocalbioError, required_for

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

__all__ = ["EXPORT_FORMATS", "PERSON", "LogError", "NotInLogError", "RecordingLog", "checked_person", "plain"]

EXPORT_FORMATS = ("json", "csv", "zip")
_APPLICATION_ID = 0x766F6362  # "vocb" in the header of the file
PERSON = r"^\w[\w .@+-]{0,63}$"
"""What a pseudonym looks like."""
_PICTURE = re.compile(r"[a-z][a-z0-9_-]{0,39}")

# One script a version; a log is brought from the version it has to the last one. Never change one that was released.
_MIGRATIONS = (
    """
    CREATE TABLE recordings (
        id INTEGER PRIMARY KEY AUTOINCREMENT,  -- a deleted one's number is not given again: the audit names it
        created_at TEXT NOT NULL,
        kind TEXT NOT NULL CHECK (kind IN ('memo', 'night')),
        person TEXT,
        condition TEXT NOT NULL,
        file_name TEXT,
        duration_s REAL,
        status TEXT,
        score REAL,
        answer TEXT,
        quality TEXT,
        explanation TEXT,
        page TEXT
    );
    CREATE INDEX recordings_person ON recordings (person, condition);
    CREATE TABLE pictures (
        recording_id INTEGER NOT NULL REFERENCES recordings ON DELETE CASCADE,
        name TEXT NOT NULL,
        svg TEXT NOT NULL,
        PRIMARY KEY (recording_id, name)
    );
    CREATE TABLE audio (
        recording_id INTEGER PRIMARY KEY REFERENCES recordings ON DELETE CASCADE,
        media_type TEXT NOT NULL,
        content BLOB NOT NULL
    );
    CREATE TABLE nights (
        recording_id INTEGER PRIMARY KEY REFERENCES recordings ON DELETE CASCADE,
        state TEXT NOT NULL CHECK (state IN ('live', 'finished', 'interrupted')),
        sampling_rate_hz REAL,
        started_at TEXT,
        alarms TEXT NOT NULL DEFAULT '[]',
        report TEXT
    );
    CREATE TABLE events (
        recording_id INTEGER NOT NULL REFERENCES recordings ON DELETE CASCADE,
        number INTEGER NOT NULL,
        start_s REAL NOT NULL,
        end_s REAL NOT NULL,
        kind TEXT NOT NULL,
        confidence REAL,
        open INTEGER NOT NULL DEFAULT 0,
        withdrawn INTEGER NOT NULL DEFAULT 0,
        PRIMARY KEY (recording_id, number)
    );
    -- what was measured of each second while a night is live; gone when its report is made
    CREATE TABLE night_rows (
        recording_id INTEGER NOT NULL REFERENCES recordings ON DELETE CASCADE,
        first_s INTEGER NOT NULL,
        n_seconds INTEGER NOT NULL,
        content BLOB NOT NULL,
        PRIMARY KEY (recording_id, first_s)
    );
    CREATE TABLE audit (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        at TEXT NOT NULL,
        who TEXT NOT NULL,
        action TEXT NOT NULL,
        what TEXT NOT NULL
    );
    """,
)

_SUMMARY = """
    SELECT r.id, r.created_at, r.kind, r.person, r.condition, r.file_name, r.duration_s, r.status, r.score,
           a.recording_id IS NOT NULL AS has_audio, n.state
    FROM recordings r
    LEFT JOIN audio a ON a.recording_id = r.id
    LEFT JOIN nights n ON n.recording_id = r.id
"""


class LogError(VocalbioError):
    """The log cannot be opened, read or written."""


class NotInLogError(VocalbioError, LookupError):
    """What was asked for is not in the log; it may have been deleted."""


class RecordingLog:
    """
    Recordings, nights and their answers in one SQLite file.

    Safe to use from several threads. One process at a time: a second one is refused, so that nobody takes a night that
    is being heard for one that was interrupted.

    Parameters
    ----------
    path : path-like
        The file; made if it is not there, readable by its owner alone. ``":memory:"`` keeps nothing.
    key : str, optional
        Encrypts the file (SQLCipher).
    keep_audio : bool, default False
        Whether sound may be kept at all.

    Raises
    ------
    LogError
        If the file is no log of vocalbio, or of a later version, the key is wrong, or another process has it open.
    MissingPackageError
        If a key is given and sqlcipher3 is not installed.

    Notes
    -----
    Deleted rows are overwritten in the file (``secure_delete``), and the write-ahead log is emptied with them. What a
    disk or its backups keep of overwritten blocks is beyond any program.

    Examples
    --------
    >>> from vocalbio.serve.log import RecordingLog
    >>> log = RecordingLog(":memory:")
    >>> number = log.add_recording(condition="stress", status="Normal", score=41.5, person="P7")
    >>> [(entry["person"], entry["score"]) for entry in log.recordings()]
    [('P7', 41.5)]
    >>> log.delete_person("P7")
    1
    """

    def __init__(self, path: str | os.PathLike[str], key: str | None = None, keep_audio: bool = False) -> None:
        self.path = os.fspath(path)
        self.keep_audio = keep_audio
        self._lock = threading.RLock()
        self._database: Any = sqlite3
        if key is not None:
            if not key:
                raise ParameterError("key is empty; expected a pass phrase, or None for a log that is not encrypted")
            self._database = _load_sqlcipher()
        if self.path != ":memory:":
            _make(Path(self.path))
            _check_kind_of_file(Path(self.path), encrypted=key is not None)
        try:
            self._connection = self._database.connect(
                self.path, timeout=2, isolation_level=None, check_same_thread=False
            )
        except self._database.Error as error:
            raise LogError(f"the log {self.path} cannot be opened ({error}); is its folder there and yours?") from error
        try:
            self._open(key)
        except BaseException:
            self._connection.close()
            raise

    def _open(self, key: str | None) -> None:
        run = self._connection.execute
        self._connection.row_factory = self._database.Row
        if key is not None:
            run("PRAGMA cipher_log_level = NONE")  # a wrong key is told below
            run("PRAGMA key = '{}'".format(key.replace("'", "''")))  # a pragma takes no parameters
            if run("PRAGMA cipher_version").fetchone() is None:  # plain SQLite takes a key without a word
                raise LogError(
                    f"the log {self.path} cannot be encrypted: another library's SQLite has taken the place of "
                    "SQLCipher's in this process; open the log before TensorFlow is imported"
                )
        try:
            run("PRAGMA locking_mode = EXCLUSIVE")
            version = run("PRAGMA user_version").fetchone()[0]
            owner = run("PRAGMA application_id").fetchone()[0]
            is_new = not run("SELECT count(*) FROM sqlite_master").fetchone()[0]
        except self._database.OperationalError as error:
            if "locked" in str(error):
                raise LogError(
                    f"the log {self.path} is open in another process; stop that one, or give this one another log"
                ) from error
            raise LogError(f"the log {self.path} cannot be opened ({error})") from error
        except self._database.DatabaseError as error:
            why = "the key is wrong, or the file is damaged" if key is not None else "the file is damaged"
            raise LogError(f"the log {self.path} cannot be read: {why}") from error
        if not is_new and owner != _APPLICATION_ID:
            raise LogError(f"{self.path} is a database of another program; choose another file for the log")
        if version > len(_MIGRATIONS):
            raise LogError(
                f"the log {self.path} was written by a later vocalbio (its version is {version}, this one knows up to "
                f"{len(_MIGRATIONS)}); update vocalbio, or choose another file"
            )
        self._keep_private()
        with self._told():
            for pragma in ("journal_mode = WAL", "foreign_keys = ON", "secure_delete = ON", "synchronous = FULL"):
                run(f"PRAGMA {pragma}")
            run("PRAGMA temp_store = MEMORY")
            run("BEGIN EXCLUSIVE")  # from here on nobody else can open it
            run("COMMIT")
            for number in range(version, len(_MIGRATIONS)):
                # in one piece: what fails, or a crash, leaves the old version whole
                self._connection.executescript(
                    f"BEGIN EXCLUSIVE; PRAGMA application_id = {_APPLICATION_ID}; {_MIGRATIONS[number]} "
                    f"PRAGMA user_version = {number + 1}; COMMIT;"
                )

    def _keep_private(self) -> None:
        for name in (self.path, f"{self.path}-wal"):
            if os.path.exists(name):
                os.chmod(name, 0o600)

    def close(self) -> None:
        """Close the file; the log cannot be used afterwards."""
        with self._lock:
            self._connection.close()

    # Recordings -----------------------------------------------------------------------------------

    def add_recording(
        self,
        *,
        condition: str,
        answer: Mapping[str, Any] | None = None,
        status: str | None = None,
        score: float | None = None,
        person: str | None = None,
        file_name: str | None = None,
        duration_s: float | None = None,
        quality: Mapping[str, Any] | None = None,
        explanation: Mapping[str, Any] | None = None,
        pictures: Mapping[str, str] | None = None,
        page: str | None = None,
        audio: bytes | None = None,
        audio_type: str = "audio/wav",
        night: Mapping[str, Any] | None = None,
        created_at: datetime | None = None,
    ) -> int:
        """
        Keep an answer.

        Parameters
        ----------
        condition : str
            Such as ``"stress"``.
        answer : mapping, optional
            ``Answer.to_dict()``.
        status : str, optional
            The answer in a word, such as ``"High"``. Of a night: taken from it.
        score : float, optional
            What is followed over time; None or NaN: the recording could not be used. Of a night: events an hour.
        person : str, optional
            A pseudonym, see `checked_person`.
        file_name : str, optional
            Kept without its folder.
        duration_s : float, optional
        quality, explanation : mapping, optional
            Plain values.
        pictures : mapping of str to str, optional
            SVG text by name.
        page : str, optional
            The report, as HTML.
        audio : bytes, optional
            The file itself, where sound may be kept.
        audio_type : str
            Media type of `audio`.
        night : mapping, optional
            ``NightReport.to_dict()``: makes it a night.
        created_at : datetime, optional
            With a time zone. Default: now.

        Returns
        -------
        int
            Its number.

        Raises
        ------
        ParameterError
            If the name of the person or of a picture cannot be used, or sound is given to a log that keeps none.
        """
        if audio is not None and not self.keep_audio:
            raise ParameterError("this log keeps no sound; start the service with --keep-audio where people may opt in")
        for name in pictures or {}:
            if not _PICTURE.fullmatch(name):
                raise ParameterError(f"a picture is named {name!r}; expected small letters, digits, - and _")
        if night is not None:
            duration_s, status, score = _outline(night)
        values = (
            _utc(created_at),
            "memo" if night is None else "night",
            None if person is None else checked_person(person),
            condition,
            None if file_name is None else _file_name(file_name),
            _finite(duration_s),
            status,
            _finite(score),
            *(_json(part) for part in (answer, quality, explanation)),
            page,
        )
        with self._writing() as run:
            number = run(
                "INSERT INTO recordings (created_at, kind, person, condition, file_name, duration_s, status, score, "
                "answer, quality, explanation, page) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                values,
            ).lastrowid
            for name, svg in (pictures or {}).items():
                run("INSERT INTO pictures VALUES (?, ?, ?)", (number, name, svg))
            if audio is not None:
                run("INSERT INTO audio VALUES (?, ?, ?)", (number, audio_type, audio))
            if night is not None:
                run(
                    "INSERT INTO nights (recording_id, state, started_at, report) VALUES (?, 'finished', ?, ?)",
                    (number, night.get("started"), _json(night)),
                )
                _write_events(run, number, night["events"])
        return int(number)

    def recordings(
        self, *, person: str | None = None, condition: str | None = None, limit: int = 50, before: int | None = None
    ) -> list[dict[str, Any]]:
        """
        List recordings, the newest first, without their answers.

        Parameters
        ----------
        person, condition : str, optional
            Of them only.
        limit : int
        before : int, optional
            Only those with a lower number: the next leaf of the list.

        Returns
        -------
        list of dict
            ``id``, ``created_at``, ``kind``, ``person``, ``condition``, ``file_name``, ``duration_s``, ``status``,
            ``score``, ``has_audio``, ``state`` (of a night: live, finished or interrupted).
        """
        wanted = {"r.person = ?": person, "r.condition = ?": condition, "r.id < ?": before}
        used = {clause: value for clause, value in wanted.items() if value is not None}
        where = f"WHERE {' AND '.join(used)}" if used else ""
        return [
            _summary(row) for row in self._all(f"{_SUMMARY} {where} ORDER BY r.id DESC LIMIT ?", *used.values(), limit)
        ]

    def recording(self, number: int) -> dict[str, Any]:
        """
        Read one recording whole, but for its pictures, its page and its sound.

        Parameters
        ----------
        number : int

        Returns
        -------
        dict
            As `recordings`, and ``answer``, ``quality``, ``explanation``, ``pictures`` (names), ``has_page``, and
            ``night`` (see `night`), None for a memo.

        Raises
        ------
        NotInLogError
        """
        found = _summary(self._one(number, f"{_SUMMARY} WHERE r.id = ?"))
        rest = self._one(number, "SELECT answer, quality, explanation, page IS NOT NULL FROM recordings WHERE id = ?")
        found.update(zip(("answer", "quality", "explanation"), map(_read_json, rest[:3]), strict=True))
        found["has_page"] = bool(rest[3])
        names = self._all("SELECT name FROM pictures WHERE recording_id = ? ORDER BY name", number)
        found["pictures"] = [row[0] for row in names]
        found["night"] = self.night(number) if found["kind"] == "night" else None
        return found

    def picture(self, number: int, name: str) -> str:
        """
        Read a picture.

        Parameters
        ----------
        number : int
        name : str

        Returns
        -------
        str
            SVG.

        Raises
        ------
        NotInLogError
        """
        return self._one(number, "SELECT svg FROM pictures WHERE recording_id = ? AND name = ?", name)[0]

    def page(self, number: int) -> str | None:
        """
        Read the report that was kept.

        Parameters
        ----------
        number : int

        Returns
        -------
        str or None
            HTML; None where none was kept.

        Raises
        ------
        NotInLogError
            If there is no such recording.
        """
        return self._one(number, "SELECT page FROM recordings WHERE id = ?")[0]

    def audio(self, number: int) -> tuple[bytes, str]:
        """
        Read the sound.

        Parameters
        ----------
        number : int

        Returns
        -------
        content : bytes
        media_type : str

        Raises
        ------
        NotInLogError
            If none was kept.
        """
        return tuple(self._one(number, "SELECT content, media_type FROM audio WHERE recording_id = ?"))

    # People ---------------------------------------------------------------------------------------

    def people(self) -> list[dict[str, Any]]:
        """
        List the people.

        Returns
        -------
        list of dict
            ``name``, ``n_memos`` (nights count as well), ``conditions``, ``first``, ``last``.
        """
        rows = self._all(
            "SELECT person, count(*), group_concat(DISTINCT condition), min(created_at), max(created_at) "
            "FROM recordings WHERE person IS NOT NULL GROUP BY person ORDER BY person"
        )
        return [
            {
                "name": row[0],
                "n_memos": row[1],
                "conditions": sorted(row[2].split(",")),
                "first": row[3],
                "last": row[4],
            }
            for row in rows
        ]

    def scores(self, person: str, condition: str) -> pd.DataFrame:
        """
        Read what `vocalbio.track` needs to follow a person.

        Parameters
        ----------
        person, condition : str

        Returns
        -------
        pandas.DataFrame
            One row a recording, index ``date`` (UTC), oldest first: ``score`` (NaN where it could not be used) and
            the numbers of its quality as ``quality__…``. The date of a night is that of its beginning where it is
            known, and of a memo that of its answer.
        """
        import pandas as pd

        rows = self._all(
            "SELECT coalesce(n.started_at, r.created_at), r.score, r.quality FROM recordings r "
            "LEFT JOIN nights n ON n.recording_id = r.id WHERE r.person = ? AND r.condition = ? ORDER BY r.created_at",
            person,
            condition,
        )
        records = []
        for row in rows:
            quality = {
                f"quality__{name.removeprefix('quality__')}": value
                for name, value in (_read_json(row[2]) or {}).items()
                if isinstance(value, (int, float))
            }
            records.append({"score": math.nan if row[1] is None else row[1], **quality})
        # a time without a zone, of a file's name, is of this place
        times = [datetime.fromisoformat(row[0]).astimezone(UTC) for row in rows]
        dates = pd.DatetimeIndex(times, name="date", tz=UTC)
        table = pd.DataFrame.from_records(records, index=dates)
        return table.sort_index(kind="stable") if records else pd.DataFrame({"score": np.empty(0)}, index=dates)

    # Nights ---------------------------------------------------------------------------------------

    def start_night(self, sampling_rate_hz: float, started: datetime, person: str | None = None) -> int:
        """
        Begin to keep a live night.

        Parameters
        ----------
        sampling_rate_hz : float
            As the monitor was made with.
        started : datetime
            Of the first sample, with a time zone.
        person : str, optional

        Returns
        -------
        int
            Its number, as of any recording.
        """
        with self._writing() as run:
            number = run(
                "INSERT INTO recordings (created_at, kind, person, condition, duration_s, status) "
                "VALUES (?, 'night', ?, 'apnea', 0, 'live')",
                (_utc(started), None if person is None else checked_person(person)),
            ).lastrowid
            run(
                "INSERT INTO nights (recording_id, state, sampling_rate_hz, started_at) VALUES (?, 'live', ?, ?)",
                (number, sampling_rate_hz, started.isoformat()),
            )
        return int(number)

    def flush_night(
        self,
        number: int,
        events: Sequence[Mapping[str, Any]],
        rows: NDArray[np.float32],
        position_s: int,
        alarms: Sequence[Mapping[str, Any]] = (),
    ) -> None:
        """
        Keep what came since the last time: afterwards nothing up to `position_s` can be lost.

        Parameters
        ----------
        number : int
        events : sequence of mapping
            New and changed ones: ``number``, ``start_s``, ``end_s``, ``kind``, ``confidence``, ``open``, ``withdrawn``.
        rows : array of float32, shape (n_seconds, n_columns)
            What was measured of the last seconds, of ``Monitor.measured``.
        position_s : int
            Seconds that have become rows, those in `rows` among them.
        alarms : sequence of mapping
            All alarms so far.

        Raises
        ------
        NotInLogError
            If the night was deleted meanwhile.
        """
        with self._writing() as run:
            changed = run("UPDATE recordings SET duration_s = ? WHERE id = ?", (float(position_s), number)).rowcount
            if not changed:
                raise NotInLogError(f"night {number} is not in the log any more: it was deleted")
            run("UPDATE nights SET alarms = ? WHERE recording_id = ?", (_json(list(alarms)), number))
            _write_events(run, number, events)
            if len(rows):
                content = np.ascontiguousarray(rows, "<f4").tobytes()
                run(
                    "INSERT INTO night_rows VALUES (?, ?, ?, ?)",
                    (number, position_s - len(rows), len(rows), content),
                )

    def night_rows(self, number: int) -> NDArray[np.float32]:
        """
        Read all rows that were flushed of a night without a report.

        Parameters
        ----------
        number : int

        Returns
        -------
        array of float32, shape (n_seconds, n_columns)
            As ``Monitor.restore`` takes them.
        """
        found = self._all("SELECT n_seconds, content FROM night_rows WHERE recording_id = ? ORDER BY first_s", number)
        rows = [np.frombuffer(row[1], "<f4").reshape(row[0], -1) for row in found]
        return np.concatenate(rows).astype(np.float32) if rows else np.empty((0, 0), np.float32)

    def finish_night(self, number: int, report: Mapping[str, Any] | None, *, interrupted: bool = False) -> None:
        """
        Keep the report of a night; its rows go, the report holds the evidence.

        Parameters
        ----------
        number : int
        report : mapping or None
            ``NightReport.to_dict()``; None where none could be made.
        interrupted : bool
            The service was killed, and the report made afterwards from what had been kept.

        Raises
        ------
        NotInLogError
            If the night was deleted meanwhile.
        """
        state = "interrupted" if interrupted else "finished"
        with self._writing() as run:
            changed = run(
                "UPDATE nights SET state = ?, report = ? WHERE recording_id = ?", (state, _json(report), number)
            ).rowcount
            if not changed:
                raise NotInLogError(f"night {number} is not in the log any more: it was deleted")
            if report is None:
                run("UPDATE recordings SET status = 'no report' WHERE id = ?", (number,))
            else:
                duration_s, status, score = _outline(report)
                run(
                    "UPDATE recordings SET duration_s = ?, status = ?, score = ? WHERE id = ?",
                    (_finite(duration_s), status, _finite(score), number),
                )
                run("DELETE FROM events WHERE recording_id = ?", (number,))
                _write_events(run, number, report["events"])
            run("DELETE FROM night_rows WHERE recording_id = ?", (number,))
        self._empty_journal()

    def night(self, number: int) -> dict[str, Any]:
        """
        Read a night.

        Parameters
        ----------
        number : int

        Returns
        -------
        dict
            ``id``, ``state``, ``sampling_rate_hz``, ``started_at``, ``position_s``, ``alarms``, ``events``, and
            ``report`` (``NightReport.to_dict()``; None while it is live).

        Raises
        ------
        NotInLogError
        """
        row = self._one(
            number,
            "SELECT n.state, n.sampling_rate_hz, n.started_at, r.duration_s AS position_s, n.alarms, n.report "
            "FROM nights n JOIN recordings r ON r.id = n.recording_id WHERE r.id = ?",
        )
        events = self._all(
            "SELECT number, start_s, end_s, kind, confidence, open, withdrawn FROM events WHERE recording_id = ? "
            "ORDER BY start_s",
            number,
        )
        return {
            "id": number,
            **dict(row),
            "alarms": _read_json(row["alarms"]),
            "events": [{**dict(e), "open": bool(e["open"]), "withdrawn": bool(e["withdrawn"])} for e in events],
            "report": _read_json(row["report"]),
        }

    def unfinished_nights(self) -> list[int]:
        """
        List the nights without a report.

        Returns
        -------
        list of int
            When the log has just been opened: those in which the service was killed.
        """
        return [row[0] for row in self._all("SELECT recording_id FROM nights WHERE state = 'live' ORDER BY 1")]

    # Deleting -------------------------------------------------------------------------------------

    def delete_recording(self, number: int, who: str = "local") -> int:
        """
        Delete a recording or a night with all that belongs to it.

        Parameters
        ----------
        number : int
        who : str
            For the audit log.

        Returns
        -------
        int
            1.

        Raises
        ------
        NotInLogError
        """
        return self._delete(who, f"recording {number}", "", "WHERE id = ?", number)

    def delete_person(self, person: str, who: str = "local") -> int:
        """
        Delete all that is kept of a person; the audit log will say that somebody was deleted, not whom.

        Parameters
        ----------
        person : str
        who : str
            For the audit log.

        Returns
        -------
        int
            How many recordings and nights there were.

        Raises
        ------
        NotInLogError
        """
        return self._delete(who, "a person", ": recordings {numbers}", "WHERE person = ?", person)

    def delete_everything(self, who: str = "local") -> int:
        """
        Delete all recordings, nights and people; the audit log stays.

        Parameters
        ----------
        who : str
            For the audit log.

        Returns
        -------
        int
            How many recordings and nights there were.
        """
        deleted = self._delete(who, "everything", ": {n} recordings", "")
        with self._lock, self._told():
            self._connection.execute("VACUUM")
        self._empty_journal()
        return deleted

    def _delete(self, who: str, what: str, count: str, where: str, *values: Any) -> int:
        with self._writing() as run:
            numbers = [row[0] for row in run(f"SELECT id FROM recordings {where}", values)]
            if not numbers and where:
                raise NotInLogError(f"{what} with this name or number is not in the log; it may have been deleted")
            run(f"DELETE FROM recordings {where}", values)
            what += count.format(n=len(numbers), numbers=", ".join(map(str, numbers)))
            _write_audit(run, who, "deleted", what)
        self._empty_journal()
        return len(numbers)

    def _empty_journal(self) -> None:
        """It holds pages as they were: deleted means deleted there as well."""
        with self._lock, suppress(self._database.Error):  # the next one empties it too
            self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")

    # Export ---------------------------------------------------------------------------------------

    def export(self, kind: str, file: IO[bytes]) -> None:
        """
        Write everything to a file.

        Parameters
        ----------
        kind : str
            ``"json"``: everything but pictures, pages and sound; ``"csv"``: one line a recording; ``"zip"``: tables of
            recordings, events and the audit log, the JSON, pictures, pages and sound.
        file : binary file
            Open for writing. It is not encrypted.

        Raises
        ------
        ParameterError
            If there is no such kind.
        """
        if kind not in EXPORT_FORMATS:
            raise ParameterError(f"the export is {kind!r}; expected one of {', '.join(EXPORT_FORMATS)}")
        with self._lock:  # one state of the log, not several
            if kind == "json":
                file.write(self._json_export())
            elif kind == "csv":
                file.write(self._recordings_csv())
            else:
                self._zip_export(file)

    def _json_export(self) -> bytes:
        numbers = [row[0] for row in self._all("SELECT id FROM recordings ORDER BY id")]
        found = {
            "format": "vocalbio.log",
            "version": len(_MIGRATIONS),
            "vocalbio": __version__,
            "exported_at": _utc(None),
            "recordings": [self.recording(number) for number in numbers],
            "audit": self.audits(limit=-1),
        }
        return json.dumps(found, indent=1).encode()

    def _recordings_csv(self) -> bytes:
        return _csv(self._all(f"SELECT * FROM ({_SUMMARY}) ORDER BY id"))

    def _zip_export(self, file: IO[bytes]) -> None:
        with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
            archive.writestr("recordings.csv", self._recordings_csv())
            archive.writestr("events.csv", _csv(self._all("SELECT * FROM events ORDER BY recording_id, start_s")))
            archive.writestr("audit.csv", _csv(self._all("SELECT at, who, action, what FROM audit ORDER BY id")))
            archive.writestr("log.json", self._json_export())
            # one at a time: together they may be more than the memory holds
            for number, name in self._all("SELECT recording_id, name FROM pictures"):
                archive.writestr(f"pictures/{number}/{name}.svg", self.picture(number, name))
            for (number,) in self._all("SELECT id FROM recordings WHERE page IS NOT NULL"):
                archive.writestr(f"reports/{number}.html", self.page(number) or "")
            for (number,) in self._all("SELECT recording_id FROM audio"):
                content, media_type = self.audio(number)
                suffix = re.sub(r"\W", "", media_type.partition("/")[2].removeprefix("x-")) or "bin"
                archive.writestr(f"audio/{number}.{suffix}", content, zipfile.ZIP_STORED)

    # Audit ----------------------------------------------------------------------------------------

    def audit(self, who: str, action: str, what: str) -> None:
        """
        Note who did what. It stays when all else is deleted: no names of people, no answers.

        Parameters
        ----------
        who : str
            Who asked, as far as the service knows.
        action : str
            Such as ``"analysed"``.
        what : str
            Such as ``"stress, recording 7"``.
        """
        with self._writing() as run:
            _write_audit(run, who, action, what)

    def audits(self, limit: int = 500) -> list[dict[str, Any]]:
        """
        Read the audit log.

        Parameters
        ----------
        limit : int
            -1: all.

        Returns
        -------
        list of dict
            ``at``, ``who``, ``action``, ``what``; the newest first.
        """
        return [
            dict(row) for row in self._all("SELECT at, who, action, what FROM audit ORDER BY id DESC LIMIT ?", limit)
        ]

    # The database ---------------------------------------------------------------------------------

    @contextmanager
    def _writing(self) -> Iterator[Any]:
        """One transaction: all of it is kept, or nothing."""
        with self._lock, self._told():
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield self._connection.execute
                self._connection.execute("COMMIT")
            except BaseException:
                with suppress(self._database.Error):  # a full disk may have rolled back already
                    self._connection.execute("ROLLBACK")
                raise

    @contextmanager
    def _told(self) -> Iterator[None]:
        try:
            yield
        except self._database.Error as error:
            raise LogError(f"the log {self.path} cannot be read or written ({error})") from error

    def _all(self, query: str, *values: Any) -> list[Any]:
        with self._lock, self._told():
            return self._connection.execute(query, values).fetchall()

    def _one(self, number: int, query: str, *values: Any) -> Any:
        found = self._all(query, number, *values)
        if not found:
            raise NotInLogError(f"recording {number} is not in the log, or nothing of this kind was kept of it")
        return found[0]


def checked_person(name: str) -> str:
    """
    Check the pseudonym of a person.

    Parameters
    ----------
    name : str

    Returns
    -------
    str
        Without blanks around it.

    Raises
    ------
    ParameterError
        If it is empty, longer than 64 characters, or holds others than letters, digits, blanks and ``. _ @ + -``.

    Examples
    --------
    >>> from vocalbio.serve.log import checked_person
    >>> checked_person(" P7 ")
    'P7'
    """
    stripped = name.strip() if isinstance(name, str) else ""
    if not re.fullmatch(PERSON, stripped):
        raise ParameterError(
            f"person is {name!r:.80}; expected a pseudonym of at most 64 letters, digits, blanks and . _ @ + -, which "
            "begins with a letter or a digit"
        )
    return stripped


def _load_sqlcipher() -> Any:
    """
    Load SQLCipher with its own SQLite.

    TensorFlow offers its SQLite, which knows no encryption, to every library that is loaded after it, under the same
    names. RTLD_DEEPBIND gives SQLCipher its own.
    """
    with required_for("an encrypted log", "vocalbio[serve]"):
        flags = sys.getdlopenflags() if hasattr(sys, "getdlopenflags") else 0
        try:
            if hasattr(os, "RTLD_DEEPBIND"):
                sys.setdlopenflags(flags | os.RTLD_DEEPBIND)
            from sqlcipher3 import dbapi2
        finally:
            if flags:
                sys.setdlopenflags(flags)
    return dbapi2


def _make(path: Path) -> None:
    """Make the file, and its folder, where they are missing, so that nobody else can read them."""
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        os.close(os.open(path, os.O_RDWR | os.O_CREAT, 0o600))  # the journal gets the same rights from SQLite
    except OSError as error:
        raise LogError(
            f"the log {path} cannot be made or opened ({error.strerror}); choose a file in a folder that is yours"
        ) from error


def _check_kind_of_file(path: Path, *, encrypted: bool) -> None:
    with path.open("rb") as file:
        head = file.read(16)
    is_plain = head == b"SQLite format 3\0"
    if head and encrypted and is_plain:
        raise LogError(f"the log {path} is not encrypted; open it without a key, or choose another file")
    if head and not encrypted and not is_plain:
        raise LogError(f"the log {path} is encrypted, which needs its key, or is no log at all")


def _write_events(run: Any, number: int, events: Sequence[Mapping[str, Any]]) -> None:
    for event in events:
        values = (event["number"], event["start_s"], event["end_s"], event["kind"], _finite(event["confidence"]))
        run(
            "INSERT OR REPLACE INTO events VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (number, *values, bool(event.get("open")), bool(event.get("withdrawn"))),
        )


def _write_audit(run: Any, who: str, action: str, what: str) -> None:
    run("INSERT INTO audit (at, who, action, what) VALUES (?, ?, ?, ?)", (_utc(None), who, action, what))


def _outline(night: Mapping[str, Any]) -> tuple[float, str, float | None]:
    """Length in seconds, status and score of a night's report."""
    summary = night["summary"]
    rate = summary["index"]
    status = summary["severity"] or ("nothing could be analysed" if rate is None else f"{rate:.1f} events an hour")
    return 3600 * summary["recorded_h"], status, rate


def _summary(row: Any) -> dict[str, Any]:
    return {**dict(row), "has_audio": bool(row["has_audio"])}


def _file_name(given: str) -> str:
    name = PureWindowsPath(PurePosixPath(given).name).name
    return "".join(letter for letter in name if letter.isprintable())[:200]


def _utc(when: datetime | None) -> str:
    if when is not None and when.tzinfo is None:
        raise ParameterError(f"the time {when.isoformat()} has no time zone; expected one, such as UTC")
    return (when or datetime.now(UTC)).astimezone(UTC).isoformat(timespec="milliseconds")


def _finite(value: float | None) -> float | None:
    return None if value is None or not math.isfinite(value) else float(value)


def _json(value: Any) -> str | None:
    return None if value is None else json.dumps(plain(value), allow_nan=False)


def plain(value: Any) -> Any:
    """
    Turn a value into what JSON knows: no NaN, no infinity, no types of NumPy.

    Parameters
    ----------
    value : object
        Of mappings, lists, tuples, numbers, texts and None.

    Returns
    -------
    object
        None for what is not finite.

    Examples
    --------
    >>> from vocalbio.serve.log import plain
    >>> plain({"snr_db": float("inf"), "tags": (1, "a")})
    {'snr_db': None, 'tags': [1, 'a']}
    """
    if isinstance(value, Mapping):
        return {str(key): plain(entry) for key, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(entry) for entry in value]
    if isinstance(value, np.generic):
        value = value.item()
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _read_json(text: str | None) -> Any:
    return None if text is None else json.loads(text)


def _csv(rows: Sequence[Any]) -> bytes:
    buffer = io.StringIO()
    if rows:
        writer = csv.writer(buffer)
        writer.writerow(rows[0].keys())
        writer.writerows([_harmless(value) for value in row] for row in rows)
    return buffer.getvalue().encode("utf-8-sig")  # spreadsheets take it for Latin-1 otherwise


def _harmless(value: Any) -> Any:
    """Text that a spreadsheet would run as a formula is told to be text."""
    is_formula = isinstance(value, str) and value.lstrip()[:1] in tuple("=+-@＝＋－＠")
    return f"'{value}" if is_formula else value
