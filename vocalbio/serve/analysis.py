"""Work off the event loop: worker processes, a bounded queue before them, and a limit of time."""

from __future__ import annotations

import asyncio
import logging
import multiprocessing
import signal
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import TimeoutError as TookTooLong
from contextlib import asynccontextmanager, contextmanager
from multiprocessing import resource_tracker
from typing import TYPE_CHECKING, Any

from pebble import ProcessExpired, ProcessPool

from vocalbio.serve import worker
from vocalbio.serve.refusal import Refusal
from vocalbio.serve.worker import Question

if TYPE_CHECKING:
    from pathlib import Path

    from vocalbio.serve.settings import Settings

__all__ = ["Analysis"]

RETRY_S = 5
log = logging.getLogger("vocalbio.serve")


class Analysis:
    """
    What can be asked of recordings.

    Each worker is a process of its own: extraction holds Python's lock for seconds, a decoder may crash on a damaged
    file, and only a process can be stopped in the middle of its work.

    Parameters
    ----------
    settings : Settings

    Attributes
    ----------
    models : dict of str to str or None
        File by condition; None stands for the model in the wheel.

    Raises
    ------
    ModelFileError, ParameterError
        If a file in ``settings.models`` is no model that can answer here.

    Examples
    --------
    >>> from vocalbio.serve import Settings
    >>> from vocalbio.serve.analysis import Analysis
    >>> Analysis(Settings()).conditions
    {'stress': True, 'depression': False, 'apnea': True}
    """

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.models = worker.conditions_of(settings.models)
        self._pool: ProcessPool | None = None
        self._taken = 0

    @property
    def conditions(self) -> dict[str, bool]:
        """Whether there is an answer, by condition; a night's built-in rules need no model."""
        return {name: name == "apnea" or name in self.models for name in ("stress", "depression", "apnea")}

    def start(self) -> None:
        """Start the workers; the first questions wait until the models are loaded."""
        spawn = multiprocessing.get_context("spawn")  # a fork of a process with threads may hang
        self._pool = ProcessPool(
            self.settings.workers, initializer=worker.prepare, initargs=[self.models], context=spawn
        )
        with _ctrl_c_held_back():
            self._pool.schedule(len, args=[()])  # workers begin with the first job

    def close(self) -> None:
        """Stop the workers in the middle of what they do."""
        if self._pool is not None:
            self._pool.stop()
            self._pool.join()

    @asynccontextmanager
    async def place(self) -> AsyncIterator[None]:
        """
        Hold one of the places in the queue: before the upload is taken, so that no more lie on the disk.

        Raises
        ------
        Refusal
            503 where there is none.
        """
        if self._taken >= self.settings.workers + self.settings.max_queue:
            raise Refusal(
                503,
                f"{self._taken} recordings are waiting already; try again in a few seconds",
                {"Retry-After": str(RETRY_S)},
            )
        self._taken += 1
        try:
            yield
        finally:
            self._taken -= 1

    async def answer(
        self, condition: str, path: Path, name: str, *, explain: bool = False, draw: bool = False
    ) -> dict[str, Any]:
        """
        Ask about a recording.

        Parameters
        ----------
        condition : {"stress", "depression", "apnea"}
        path : Path
        name : str
            What the recording is called in the answer.
        explain, draw : bool
            Whether reasons and pictures are asked for.

        Returns
        -------
        dict
            As `vocalbio.serve.worker.answer_memo` or `answer_night` tell.

        Raises
        ------
        Refusal
            409 where no model is loaded, 413 and 415 and 422 where the recording cannot be used, 504 where it took too
            long.
        """
        self.need(condition)
        if condition == "apnea":
            question = Question(str(path), name, self.settings.max_night_s, draw=draw)
            return await self._do(worker.answer_night, question)
        question = Question(str(path), name, self.settings.max_duration_s, explain, draw)
        return await self._do(worker.answer_memo, condition, question)

    async def measure(self, families: tuple[str, ...], path: Path, name: str) -> dict[str, Any]:
        """
        Extract features.

        Parameters
        ----------
        families : tuple of str
            Of `vocalbio.serve.worker.FAMILIES`.
        path : Path
        name : str

        Returns
        -------
        dict
            As `vocalbio.serve.worker.measure` tells.

        Raises
        ------
        Refusal
            As `answer`.
        """
        return await self._do(worker.measure, families, Question(str(path), name, self.settings.max_duration_s))

    async def run(self, job: Callable[..., Any], *arguments: Any) -> Any:
        """
        Do anything else in a worker, in its turn.

        Parameters
        ----------
        job : callable
            Of a module, so that a worker finds it.
        *arguments
            That can be pickled, as what `job` gives back.

        Returns
        -------
        object

        Raises
        ------
        Refusal
            503 where too much is waiting, 504 where it took too long.
        """
        async with self.place():
            return await self._do(job, *arguments)

    def need(self, condition: str) -> None:
        """Refuse (409) a condition that nothing here can answer for."""
        if not self.conditions[condition]:
            raise Refusal(
                409,
                f"no {condition} model is loaded. Train one (vocalbio train --data recordings.csv --condition "
                f"{condition} --save-path {condition}.vocalbio), then start the service with it: vocalbio serve "
                f"--model {condition}.vocalbio",
            )

    async def _do(self, job: Callable[..., Any], *arguments: Any) -> Any:
        if self._pool is None:
            raise Refusal(503, "the service is not running; try again", {"Retry-After": str(RETRY_S)})
        limit_s = self.settings.request_timeout_s
        future = self._pool.schedule(job, args=arguments, timeout=limit_s)
        try:
            return await asyncio.wrap_future(future)
        except TookTooLong:
            raise Refusal(
                504,
                f"the analysis was stopped after {limit_s:g} s; send a shorter recording, or start the service "
                "with a longer --timeout-s",
            ) from None
        except ProcessExpired as expired:
            log.error("a worker ended with exit code %s", expired.exitcode)
            raise Refusal(
                503,
                "the process that analysed this recording ended unexpectedly, and has been replaced; try again. If it "
                "happens again, the recording itself does it: convert it to wav",
                {"Retry-After": str(RETRY_S)},
            ) from None


@contextmanager
def _ctrl_c_held_back() -> Iterator[None]:
    """Processes and threads that begin here never see Ctrl-C, not even while they start: it is for the server."""
    if sys.platform == "win32":
        yield
        return
    resource_tracker.ensure_running()  # would let signals through if it were started inside
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
