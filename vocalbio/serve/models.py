"""What the service answers: the models behind the OpenAPI description."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from vocalbio.serve.worker import FAMILIES

__all__ = [
    "AnswerFields",
    "DepressionAnswer",
    "FeatureFields",
    "Features",
    "Health",
    "Limits",
    "NightAnswer",
    "Problem",
    "StressAnswer",
    "errors",
]


class Problem(BaseModel):
    """A request that could not be answered."""

    error: str = Field(description="What was got, what was expected and what to do, in words.")
    id: str | None = Field(None, description="With status 500: the server's log tells more under it.")


class Limits(BaseModel):
    """How much is taken."""

    keep_audio: bool = Field(description="Whether sound may be kept in the log, if asked for.")
    max_upload_mb: float = Field(description="Largest body of a request, in 10^6 bytes.")
    max_duration_s: float = Field(description="Longest memo, in seconds.")
    max_night_s: float = Field(description="Longest night, in seconds.")


class Health(BaseModel):
    """The service runs."""

    status: Literal["ok"]
    version: str = Field(description="Of vocalbio.")
    conditions: dict[str, bool] = Field(description="Which conditions there is an answer for.")
    limits: Limits
    log: Literal["file", "memory"] = Field(description="Where answers are kept.")
    encrypted: bool = Field(description="Whether the log is encrypted.")


class _Fields(BaseModel):
    model_config = ConfigDict(extra="forbid")  # a misspelt "save" must not go unnoticed


class AnswerFields(_Fields):
    """Fields beside the file of a recording that is analysed."""

    person: str = Field(
        "",
        pattern=r"^(\w[\w .@+-]{0,63})?$",
        description="Pseudonym under which the answer is kept: at most 64 letters, digits, blanks and . _ @ + -",
    )
    keep_audio: bool = Field(
        False, description="true or false: keep the sound in the log too; see limits.keep_audio of /healthz."
    )
    save: bool = Field(True, description="true or false: keep the answer in the log.")
    explain: bool = Field(False, description="true or false: tell what moved the answer. A night always tells.")


_FAMILY = "|".join(FAMILIES)


class FeatureFields(_Fields):
    """Fields beside the file of a recording that is measured."""

    families: str = Field(
        "prosody,voice,compact",
        pattern=rf"^ *({_FAMILY})( *, *({_FAMILY}))* *$",
        description="Some of prosody, voice, compact, spectral, with commas between them.",
    )


class _Kept(BaseModel):
    recording_id: int | None = Field(description="Its number in the log; null where it was not kept.")
    pictures: dict[str, str] = Field(description="Addresses of pictures (SVG) by name; empty where it was not kept.")


class _Memo(_Kept):
    answer: dict[str, Any] = Field(
        description="Probability or score with interval, reasons for doubt, whom the model was trained on, disclaimer."
    )
    quality: dict[str, float | None] = Field(description="Of the recording: duration, voicing, noise, clipping ...")
    explanation: dict[str, Any] | None = Field(description="What moved the answer, if that was asked for and exists.")


class _StressScore(BaseModel):
    stress_level: float | None = Field(
        description="0 to 100, two decimals; null where it cannot be said.", ge=0, le=100
    )
    status: Literal["Normal", "High", "indeterminate"] = Field(
        description="High above 70 (or what the model has in its place); indeterminate: answer.reasons tells why."
    )


class StressAnswer(_Memo, _StressScore):  # fields of the last base come first
    """How stressed a voice sounds, on a scale of 0 to 100."""


class _DepressionScore(BaseModel):
    depression_risk: float | None = Field(
        description="Probability, 0 to 1, two decimals; null where it cannot be said.", ge=0, le=1
    )
    status: Literal["Low Risk", "High Risk", "indeterminate"] = Field(
        description="By the model's threshold; indeterminate: answer.reasons tells why."
    )


class DepressionAnswer(_Memo, _DepressionScore):
    """How likely a score of 10 or more in the PHQ-8 is."""


class _NightScore(BaseModel):
    events_per_hour: float | None = Field(description="Audio event index: per analysed hour; null where none was.")
    status: str = Field(description="Severity (normal, mild, moderate, severe), or why none is told.")


class NightAnswer(_Kept, _NightScore):
    """The acoustic events of a night."""

    night: dict[str, Any] = Field(description="The report: summary, notes, events; times in seconds from the start.")


class Features(BaseModel):
    """Features of a recording as a whole."""

    features: dict[str, float | None] = Field(description="By column, family__name; null where it does not exist.")
    quality: dict[str, float | None] = Field(description="Of the recording: duration, voicing, noise, clipping ...")
    errors: list[dict[str, str]] = Field(description="stage and reason of what could not be computed.")


_WORDS = {
    400: "No file, or a request that cannot be read.",
    401: "A token is set, and it was not given.",
    403: "Asked by a page of another site, or under a name that is not this service's.",
    404: "There is no such thing.",
    405: "There is, but not with this method.",
    408: "The upload took too long.",
    409: "No model is loaded for this condition; the words tell how.",
    413: "Too large, or too long.",
    415: "No sound file that can be decoded.",
    422: "A field has no usable value, or the sound is empty or damaged.",
    500: "Unforeseen; the server's log tells more.",
    503: "Too much to do; try again after the seconds in Retry-After.",
    504: "The analysis took too long.",
}


def errors(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """
    Describe the errors of a route, those that any request may get included.

    Parameters
    ----------
    *statuses : int

    Returns
    -------
    dict
        For ``responses`` of FastAPI.

    Examples
    --------
    >>> from vocalbio.serve.models import errors
    >>> sorted(errors(404))
    [400, 401, 403, 404, 405, 413, 500]
    """
    every = {400, 401, 403, 405, 413, 500, *statuses}
    # not by FastAPI's "model", which takes a problem of a page or a picture for one as well
    content = {"application/json": {"schema": {"$ref": "#/components/schemas/Problem"}}}
    return {status: {"description": _WORDS[status], "content": content} for status in sorted(every)}
