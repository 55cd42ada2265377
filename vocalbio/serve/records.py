"""The log over HTTP: recordings, people over time, nights, export, deletion, and who did what."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any, Literal

from fastapi import APIRouter, Path, Query, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import HTMLResponse, Response, StreamingResponse

from vocalbio.serve.log import PERSON, NotInLogError, RecordingLog, checked_person
from vocalbio.serve.models import errors
from vocalbio.serve.worker import svg_of

if TYPE_CHECKING:
    import pandas as pd

    from vocalbio.longitudinal import Track

__all__ = ["router"]

router = APIRouter()

MEMORY_BYTES = 32 * 2**20
"""An export that gets larger goes through a temporary file without a name, which nobody else can open."""
BASELINE_DAYS, LEAST_BASELINE_DAYS = 7, 4
_MEDIA_TYPE = re.compile(r"(audio|video)/[a-z0-9.+-]+|application/ogg")
_EXPORTS = {"json": "application/json", "csv": "text/csv; charset=utf-8", "zip": "application/zip"}

Number = Annotated[int, Path(ge=1, le=2**53, description="Number of the recording.")]
Name = Annotated[str, Path(pattern=PERSON, description="Pseudonym of the person.")]
Condition = Annotated[Literal["depression", "stress", "apnea"], Query()]


# Recordings -----------------------------------------------------------------------------------------------


@router.get("/recordings", summary="What is in the log, the newest first", responses=errors(422, 503))
def list_recordings(
    request: Request,
    person: Annotated[str | None, Query(pattern=PERSON)] = None,
    condition: Annotated[Literal["depression", "stress", "apnea"] | None, Query()] = None,
    limit: Annotated[int, Query(ge=1, le=500)] = 50,
    before: Annotated[int | None, Query(ge=1, le=2**53, description="The `next` of the answer before.")] = None,
) -> dict[str, Any]:
    """List memos and nights; ``next`` is null on the last leaf."""
    found = _log(request).recordings(
        person=None if person is None else checked_person(person), condition=condition, limit=limit + 1, before=before
    )
    shown = found[:limit]
    return {"recordings": shown, "next": shown[-1]["id"] if len(found) > limit else None}


@router.get("/recordings/{number}", summary="One recording with its answer", responses=errors(404, 422, 503))
def read_recording(request: Request, number: Number) -> dict[str, Any]:
    """Tell answer, quality, reasons, and where pictures, report and sound are; of a night its report."""
    log = _log(request)
    found = log.recording(number)
    night = found.pop("night")
    names = found["pictures"]
    if night is not None:
        report = night.pop("report")
        if report is not None:
            del report["evidence"]  # long; /nights/{id} has it
            names = sorted({*names, "night"})
        found |= {"night": report, "events": night["events"], "alarms": night["alarms"]}
    has_report = found.pop("has_page") or found["answer"] is not None or found.get("night") is not None
    found |= {
        "pictures": {name: f"/recordings/{number}/pictures/{name}.svg" for name in names},
        "report": f"/recordings/{number}/report.html" if has_report else None,
        "audio": f"/recordings/{number}/audio" if found["has_audio"] else None,
    }
    log.audit(_who(request), "read", f"recording {number}")
    return found


@router.delete("/recordings/{number}", summary="Delete one recording", responses=errors(404, 422, 503))
def delete_recording(request: Request, number: Number) -> dict[str, int]:
    """Delete a memo or a night with its answer, events, pictures and sound."""
    return {"deleted": _log(request).delete_recording(number, _who(request))}


@router.get(
    "/recordings/{number}/pictures/{name}.svg",
    summary="A picture",
    response_class=Response,
    responses={200: {"content": {"image/svg+xml": {}}}, **errors(404, 422, 503)},
)
async def read_picture(request: Request, number: Number, name: str) -> Response:
    """Give a picture that was kept, or draw the night at a glance."""
    log = _log(request)
    try:
        svg = await run_in_threadpool(log.picture, number, name)
    except NotInLogError:
        report = (await run_in_threadpool(log.night, number))["report"] if name == "night" else None
        if report is None:
            raise
        svg = await _apart(request, draw_night, report)
    return Response(svg, media_type="image/svg+xml")


@router.get(
    "/recordings/{number}/report.html",
    summary="The report of a recording",
    response_class=HTMLResponse,
    responses=errors(404, 422, 503),
)
@router.get(
    "/nights/{number}/report.html",
    summary="The report of a night",
    response_class=HTMLResponse,
    responses=errors(404, 422, 503),
)
async def read_report(request: Request, number: Number) -> HTMLResponse:
    """Give the page that was kept, or write it from the answer."""
    log = _log(request)
    page = await run_in_threadpool(log.page, number)
    if page is None:
        found = await run_in_threadpool(log.recording, number)
        night = found["night"]
        if night is not None and night["report"] is not None:
            page = await _apart(request, write_night, night["report"])
        elif found["answer"] is not None:
            page = await _apart(request, write_answer, found["answer"])
        else:
            raise NotInLogError(f"recording {number} has no report (yet)")
    await run_in_threadpool(log.audit, _who(request), "read", f"report of recording {number}")
    return HTMLResponse(page)


@router.get(
    "/recordings/{number}/audio",
    summary="The sound, where it was kept",
    response_class=Response,
    responses={200: {"content": {"audio/*": {}}}, **errors(404, 422, 503)},
)
def read_audio(request: Request, number: Number) -> Response:
    """Give the file as it was sent."""
    log = _log(request)
    content, media_type = log.audio(number)
    log.audit(_who(request), "read", f"sound of recording {number}")
    # what a client called it must not make a browser run it
    return Response(content, media_type=media_type if _MEDIA_TYPE.fullmatch(media_type) else "application/octet-stream")


# Nights -----------------------------------------------------------------------------------------------------


@router.get("/nights/{number}", summary="One night with its events", responses=errors(404, 422, 503))
def read_night(request: Request, number: Number) -> dict[str, Any]:
    """Tell a night, live or finished: state, position, events, alarms, and the report once there is one."""
    log = _log(request)
    found = log.night(number)
    log.audit(_who(request), "read", f"night {number}")
    return found


# People -----------------------------------------------------------------------------------------------------


@router.get("/people", summary="Whose recordings are in the log", responses=errors(503))
def list_people(request: Request) -> dict[str, Any]:
    """List pseudonyms with their numbers of recordings."""
    return {"people": _log(request).people()}


@router.get("/people/{name}/track", summary="A person over time", responses=errors(404, 422, 503))
def follow_person(request: Request, name: Name, condition: Condition = "stress") -> dict[str, Any]:
    """Tell baseline, trend and reliable change; what cannot be said yet is null, with the reason."""
    log = _log(request)
    name = checked_person(name)
    scores = log.scores(name, condition)
    found = follow(scores, name, condition).to_dict()
    log.audit(_who(request), "read", f"a person over time: {condition}, {len(scores)} recordings")
    return {**found, "picture": f"/people/{name}/track.svg?condition={condition}"}


@router.get(
    "/people/{name}/track.svg",
    summary="A person over time, drawn",
    response_class=Response,
    responses={200: {"content": {"image/svg+xml": {}}}, **errors(404, 422, 503)},
)
async def draw_person(request: Request, name: Name, condition: Condition = "stress") -> Response:
    """Draw the days, the baseline and what lies beyond it."""
    name = checked_person(name)
    scores = await run_in_threadpool(_log(request).scores, name, condition)
    follow(scores, name, condition)  # refuses here, in words, what cannot be drawn
    svg = await _apart(request, draw_track, scores, name, condition)
    return Response(svg, media_type="image/svg+xml")


@router.delete("/people/{name}", summary="Delete a person", responses=errors(404, 422, 503))
def delete_person(request: Request, name: Name) -> dict[str, int]:
    """Delete all memos, nights, pictures and sound of a person; thereby what could be followed over time."""
    return {"deleted": _log(request).delete_person(checked_person(name), _who(request))}


# Everything -------------------------------------------------------------------------------------------------


@router.get(
    "/export",
    summary="Everything, to take away",
    response_class=StreamingResponse,
    responses={200: {"content": {kind.partition(";")[0]: {} for kind in _EXPORTS.values()}}, **errors(422, 503)},
)
def export(request: Request, format: Annotated[Literal["json", "csv", "zip"], Query()] = "json") -> StreamingResponse:
    """Give the log as one file; the zip holds tables, pictures, reports and sound. It is not encrypted."""
    log = _log(request)
    file = tempfile.SpooledTemporaryFile(MEMORY_BYTES)  # noqa: SIM115 - closed when it has been sent
    try:
        log.export(format, file)
    except BaseException:
        file.close()
        raise
    file.seek(0)
    log.audit(_who(request), "exported", f"everything, as {format}")

    def pieces() -> Iterator[bytes]:
        with file:
            while piece := file.read(2**20):
                yield piece

    name = f"vocalbio-log-{datetime.now(UTC):%Y-%m-%d}.{format}"
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    return StreamingResponse(pieces(), media_type=_EXPORTS[format], headers=headers)


@router.delete("/everything", summary="Delete everything", responses=errors(422, 503))
def delete_everything(
    request: Request, confirm: Annotated[Literal["delete"], Query(description="Must be `delete`.")]
) -> dict[str, int]:
    """Delete all recordings, nights and people; the audit log keeps that it was done."""
    return {"deleted": _log(request).delete_everything(_who(request))}


@router.get("/audit", summary="Who did what", responses=errors(422, 503))
def list_audit(request: Request, limit: Annotated[int, Query(ge=1, le=10_000)] = 500) -> dict[str, Any]:
    """List analyses, reads, exports and deletions, the newest first."""
    return {"entries": _log(request).audits(limit)}


# What takes long --------------------------------------------------------------------------------------------


def follow(scores: pd.DataFrame, name: str, condition: str) -> Track:
    """
    Follow a person with as few days as it needs: four for the baseline and one after it, seven as soon as there are.

    Parameters
    ----------
    scores : pandas.DataFrame
        Of ``RecordingLog.scores``.
    name, condition : str

    Returns
    -------
    Track

    Raises
    ------
    NotInLogError
        If there is no recording, or none that could be used.
    """
    import pandas as pd

    from vocalbio.longitudinal import track

    if not len(scores):
        raise NotInLogError(f"there is no {condition} recording of {name!r} in the log")
    if scores["score"].isna().all():
        raise NotInLogError(
            f"none of the {len(scores)} {condition} recordings of {name!r} has a score: they could not be used"
        )
    # a day is the day of the person, not that of Greenwich; each by the summer or winter time that it had
    local = [date.astimezone().replace(tzinfo=None) for date in pd.DatetimeIndex(scores.index).to_pydatetime()]
    dates = pd.DatetimeIndex(local)
    n_days = dates[scores["score"].notna()].normalize().nunique()
    baseline = min(max(n_days - 1, LEAST_BASELINE_DAYS), BASELINE_DAYS)
    return track(scores.reset_index(drop=True), "score", dates=dates, baseline=baseline)


def draw_track(scores: pd.DataFrame, name: str, condition: str) -> str:
    """
    Draw a person over time.

    Parameters
    ----------
    scores : pandas.DataFrame
    name, condition : str

    Returns
    -------
    str
        SVG.
    """
    label = {"stress": "Stress score", "depression": "P(High Risk)", "apnea": "Events an hour"}[condition]
    return svg_of(follow(scores, name, condition).plot(title=name, y_label=label))


def draw_night(report: dict[str, Any]) -> str:
    """
    Draw a night at a glance.

    Parameters
    ----------
    report : dict
        ``NightReport.to_dict()``.

    Returns
    -------
    str
        SVG.
    """
    return svg_of(_night(report).plot())


def write_night(report: dict[str, Any]) -> str:
    """
    Write the page of a night.

    Parameters
    ----------
    report : dict
        ``NightReport.to_dict()``.

    Returns
    -------
    str
        HTML.
    """
    from vocalbio.report import night_page

    return night_page(_night(report))


def write_answer(answer: dict[str, Any]) -> str:
    """
    Write the page of an answer, without the sound.

    Parameters
    ----------
    answer : dict
        ``Answer.to_dict()``.

    Returns
    -------
    str
        HTML.
    """
    from vocalbio.report import answer_page
    from vocalbio.risk import Answer

    return answer_page(Answer(**{**answer, "reasons": tuple(answer["reasons"])}))


def _night(report: dict[str, Any]) -> Any:
    import json

    from vocalbio.stream import NightReport

    return NightReport.from_json(json.dumps(report))


async def _apart(request: Request, job: Any, *arguments: Any) -> Any:
    """Draw in a worker process: here it would hold up those who are listening."""
    return await request.app.state.analysis.run(job, *arguments)


def _log(request: Request) -> RecordingLog:
    return request.app.state.log


def _who(request: Request) -> str:
    return getattr(request.state, "who", request.client.host if request.client else "unknown")
