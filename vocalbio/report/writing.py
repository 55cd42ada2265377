"""Writing a report: the page that fits what was found, or its JSON."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from vocalbio.errors import ParameterError
from vocalbio.evaluation import Evaluation
from vocalbio.longitudinal import Track
from vocalbio.report.answer import answer_page
from vocalbio.report.card import model_card
from vocalbio.report.evaluation import evaluation_page
from vocalbio.report.night import night_page
from vocalbio.report.page import write_page
from vocalbio.report.track import track_page
from vocalbio.risk import Answer, RiskModel, SeverityModel
from vocalbio.stream.report import NightReport

__all__ = ["write_report"]

PAGES: list[tuple[Any, Any]] = [
    (Evaluation, evaluation_page),
    (Answer, answer_page),
    (NightReport, night_page),
    (Track, track_page),
    ((RiskModel, SeverityModel), model_card),
]


def write_report(found: Any, path: str | os.PathLike[str], **context: Any) -> None:
    """
    Write what was found to a file that stands by itself.

    Parameters
    ----------
    found : Evaluation, Answer, NightReport, Track, RiskModel or SeverityModel
        Of a model its card is written.
    path : path-like
        ``.html``: a page for people; ``.json``: the same facts for programs.
    **context
        What the page of this kind takes besides: `evaluation_page` (``model``, ``X``), `answer_page`
        (``explanation``, ``audio``, ``model``), `night_page` (``pictures``, ``overview``), `track_page` (``title``,
        ``y_label``). JSON of an answer takes ``explanation`` and leaves the rest out.

    Raises
    ------
    ParameterError
        If there is no page for it, the name ends in something else, or nothing can be written there.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> from vocalbio.report import write_report
    >>> from vocalbio.risk import load_shipped
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     write_report(load_shipped("stress"), Path(folder, "card.html"))
    ...     Path(folder, "card.html").stat().st_size > 10_000
    True
    """
    suffix = Path(path).suffix.lower()
    page = next((page for kind, page in PAGES if isinstance(found, kind)), None)
    if page is None:
        raise ParameterError(
            f"there is no page for a {type(found).__name__}; expected an Evaluation, an Answer, a NightReport, a Track "
            "or a fitted model"
        )
    if suffix in (".html", ".htm"):
        page(found, path, **context)
    elif suffix == ".json":
        write_page(json.dumps(_facts(found, context), indent=1, ensure_ascii=False, allow_nan=False) + "\n", path)
    else:
        raise ParameterError(f"path is {os.fspath(path)!r}; expected a name that ends in .html or .json")


def _facts(found: Any, context: dict[str, Any]) -> Any:
    if isinstance(found, (RiskModel, SeverityModel)):
        found._check_fitted()
        return found.manifest_
    if isinstance(found, Answer) and context.get("explanation") is not None:
        return {**found.to_dict(), "explanation": context["explanation"].to_dict()}
    return found.to_dict()
