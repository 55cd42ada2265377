"""Questions about recordings, over HTTP: ``/analyze-...``, ``/features`` and ``/healthz``."""

from __future__ import annotations

import asyncio
from typing import Any, TypeVar

from fastapi import APIRouter, Request
from pydantic import BaseModel, ValidationError

from vocalbio import __version__
from vocalbio.serve.analysis import Analysis
from vocalbio.serve.log import RecordingLog
from vocalbio.serve.models import (
    AnswerFields,
    DepressionAnswer,
    FeatureFields,
    Features,
    Health,
    Limits,
    NightAnswer,
    StressAnswer,
    errors,
)
from vocalbio.serve.refusal import Refusal
from vocalbio.serve.settings import MEMORY, Settings
from vocalbio.serve.uploads import Upload

__all__ = ["router"]

UNDECIDED = "indeterminate"
ASKED = errors(408, 409, 415, 422, 503, 504)
Form = TypeVar("Form", bound=BaseModel)

router = APIRouter()


def _body(fields: type[BaseModel]) -> dict[str, Any]:
    """Describe a form of a file and `fields`: it is read by `Uploads`, after a place in the queue has been taken."""
    schema = fields.model_json_schema()
    file = {"type": "string", "format": "binary", "description": "wav, flac, ogg, opus, mp3, m4a, webm ..."}
    form = schema | {"required": ["file"], "properties": {"file": file, **schema["properties"]}}
    content = {"multipart/form-data": {"schema": form, "encoding": {"file": {"contentType": "audio/*"}}}}
    return {"requestBody": {"required": True, "content": content}}


@router.get("/healthz", summary="Is the service there, and what can it answer?", responses=errors())
async def health(request: Request) -> Health:
    """Tell the version, the conditions that there is an answer for, and the limits."""
    settings: Settings = request.app.state.settings
    return Health(
        status="ok",
        version=__version__,
        conditions=request.app.state.analysis.conditions,
        limits=Limits(**{name: getattr(settings, name) for name in Limits.model_fields}),
        log="memory" if str(settings.log) == MEMORY else "file",
        encrypted=settings.log_key is not None,
    )


@router.post(
    "/analyze-stress", summary="How stressed does a voice sound?", responses=ASKED, openapi_extra=_body(AnswerFields)
)
async def analyze_stress(request: Request) -> StressAnswer:
    """
    Score a voice memo from 0 to 100; above 70 is High.

    The model in the package learnt acted emotions, which are not clinical stress. It screens, it does not diagnose.
    """
    found = await _memo(request, "stress")
    score = found.pop("score")
    return StressAnswer(stress_level=None if score is None else round(score, 2), **found)


@router.post(
    "/analyze-depression",
    summary="How likely is a PHQ-8 score of 10 or more?",
    responses=ASKED,
    openapi_extra=_body(AnswerFields),
)
async def analyze_depression(request: Request) -> DepressionAnswer:
    """
    Tell the probability of depressive symptoms from a voice memo, by a model of your own.

    No such model comes with the package: without one the answer is 409. It screens, it does not diagnose.
    """
    found = await _memo(request, "depression")
    risk = found.pop("score")
    return DepressionAnswer(depression_risk=None if risk is None else round(risk, 2), **found)


@router.post(
    "/analyze-apnea",
    summary="What was heard of the breathing in a night?",
    responses=ASKED,
    openapi_extra=_body(AnswerFields),
)
async def analyze_apnea(request: Request) -> NightAnswer:
    """
    Find acoustic events in a recorded night: where the sound of breathing stops or falls for ten seconds or more.

    A name such as 2026-01-31_23-05-00.wav, or the header of EDF, tells when it began. A microphone hears neither
    airflow nor oxygen nor sleep: events per hour are not the index that a sleep laboratory measures.
    """
    analysis: Analysis = request.app.state.analysis
    async with analysis.place(), request.app.state.uploads.receive(request) as upload:
        fields = _fields(upload, request)
        found = await analysis.answer("apnea", upload.path, upload.name, draw=fields.save)
        night, summary = found["night"], found["night"]["summary"]
        number = await _keep(
            request, upload, fields, condition="apnea", night=night, pictures=found["pictures"], page=found["page"]
        )
    night.pop("evidence")  # a number for every second and column
    return NightAnswer(
        events_per_hour=summary["index"],
        status=summary["severity"] or night["severity_reason"],
        night=night,
        **_addresses(number, found["pictures"]),
    )


@router.post(
    "/features", summary="What can be measured in a recording?", responses=ASKED, openapi_extra=_body(FeatureFields)
)
async def features(request: Request) -> Features:
    """
    Extract the features of a recording as a whole, and how good it is. Nothing of it is kept.

    The columns are those of ``vocalbio.describe_columns()``, which tells their units and meaning.
    """
    analysis: Analysis = request.app.state.analysis
    async with analysis.place(), request.app.state.uploads.receive(request) as upload:
        asked = _checked(FeatureFields, upload.fields).families
        families = tuple(dict.fromkeys(name.strip() for name in asked.split(",")))
        found = await analysis.measure(families, upload.path, upload.name)
    await _audit(request, "measured", f"features {', '.join(families)}, not kept")
    return Features(features=found["features"], quality=found["quality"], errors=found["errors"])


async def _memo(request: Request, condition: str) -> dict[str, Any]:
    """What both memo questions have in common: all of the answer, and the number that is followed over time."""
    analysis: Analysis = request.app.state.analysis
    analysis.need(condition)
    async with analysis.place(), request.app.state.uploads.receive(request) as upload:
        fields = _fields(upload, request)
        found = await analysis.answer(condition, upload.path, upload.name, explain=fields.explain, draw=fields.save)
        answer = found["answer"]
        score = None if answer["label"] == UNDECIDED else answer["score"]
        if condition == "depression" and answer["label"] != UNDECIDED:
            score = list(answer["probability"].values())[-1]
        number = await _keep(
            request,
            upload,
            fields,
            condition=condition,
            status=answer["label"],
            score=score,
            **{name: found[name] for name in ("answer", "duration_s", "quality", "explanation", "pictures", "page")},
        )
    return {
        "score": score,
        "status": answer["label"],
        **{name: found[name] for name in ("answer", "quality", "explanation")},
        **_addresses(number, found["pictures"]),
    }


# The form ---------------------------------------------------------------------------------------------------


def _checked(kind: type[Form], fields: dict[str, str]) -> Form:
    try:
        return kind.model_validate(fields)
    except ValidationError as error:
        first = error.errors()[0]
        name = str(first["loc"][0])
        if name not in kind.model_fields:
            raise Refusal(
                422, f"there is no field {name!r}; expected some of {', '.join(kind.model_fields)}"
            ) from error
        expected = kind.model_fields[name].description
        raise Refusal(422, f"{name} is {first['input']!r}; expected: {expected}") from error


def _fields(upload: Upload, request: Request) -> AnswerFields:
    fields = _checked(AnswerFields, upload.fields)
    if fields.keep_audio and not request.app.state.settings.keep_audio:
        raise Refusal(
            422, "keep_audio is set, but this service keeps no sound; start it with --keep-audio, or leave it out"
        )
    return fields


# The log ----------------------------------------------------------------------------------------------------


async def _keep(request: Request, upload: Upload, fields: AnswerFields, *, condition: str, **answer: Any) -> int | None:
    """Keep an answer, if that is wanted, and note who asked; its number."""
    number = None
    if fields.save:
        log: RecordingLog = request.app.state.log

        def add() -> int:
            return log.add_recording(
                condition=condition,
                person=fields.person or None,
                file_name=upload.name,
                audio=upload.path.read_bytes() if fields.keep_audio else None,
                audio_type=upload.media_type,
                **answer,
            )

        number = await asyncio.to_thread(add)
    kept = "not kept" if number is None else f"recording {number}{' with its sound' if fields.keep_audio else ''}"
    await _audit(request, "analysed", f"{condition}, {kept}")
    return number


async def _audit(request: Request, action: str, what: str) -> None:
    await asyncio.to_thread(request.app.state.log.audit, request.state.who, action, what)


def _addresses(number: int | None, pictures: dict[str, str]) -> dict[str, Any]:
    drawn = {} if number is None else {name: f"/recordings/{number}/pictures/{name}.svg" for name in pictures}
    return {"recording_id": number, "pictures": drawn}
