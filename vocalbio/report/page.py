"""One self-contained HTML page: text, tables, pictures, nothing to load from elsewhere."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from vocalbio.conditions import DISCLAIMER
from vocalbio.errors import ParameterError
from vocalbio.figures import to_data_uri

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["Section", "render_page", "write_page"]


@dataclass(frozen=True)
class Section:
    """
    A part of a page.

    Attributes
    ----------
    title : str
        Heading.
    text : tuple of str
        Paragraphs.
    table : pandas.DataFrame or None
        Shown as it is, index and all; without headings where its only column has the name ``""``.
    figures : tuple of (Figure, str)
        Pictures with what a person who cannot see them should know.
    preformatted : str
        Text shown in fixed width.
    items : tuple of str
        A list, shown below the paragraphs.
    note : str
        Small print at the end.
    """

    title: str
    text: tuple[str, ...] = ()
    table: pd.DataFrame | None = None
    figures: tuple[tuple[Figure, str], ...] = ()
    preformatted: str = ""
    items: tuple[str, ...] = ()
    note: str = ""


def render_page(
    title: str,
    lead: str,
    notice: str,
    sections: Sequence[Section],
    footer: str = "",
    *,
    headline: Sequence[tuple[str, str, str]] = (),
) -> str:
    """
    Write a page.

    Parameters
    ----------
    title, lead : str
        Heading, and the sentence below it.
    notice : str
        What a reader must know before the first number; shown in a box, below the disclaimer.
    sections : sequence of Section
    footer : str
        Versions, date.
    headline : sequence of (str, str, str)
        The few numbers that matter most: what it is, the number, what to know about it.

    Returns
    -------
    str
        HTML, legible on a phone and in print; every text is escaped.

    Examples
    --------
    >>> from vocalbio.report.page import Section, render_page
    >>> "a &lt; b" in render_page("Title", "Lead", "Mind this", [Section("One", ("a < b",))])
    True
    """
    from jinja2 import Environment, PackageLoader

    environment = Environment(
        loader=PackageLoader("vocalbio.report"), autoescape=True, trim_blocks=True, lstrip_blocks=True
    )
    shown = [_prepared(section) for section in sections]
    return environment.get_template("page.html").render(
        title=title, lead=lead, notice=notice, sections=shown, footer=footer, headline=headline, disclaimer=DISCLAIMER
    )


def _prepared(section: Section) -> dict[str, Any]:
    # what and how much, without headings
    facts = section.table is not None and list(section.table.columns) == [""]
    return {
        "title": section.title,
        "text": [text for text in section.text if text],
        "table": section.table,
        "figures": [(to_data_uri(figure), words) for figure, words in section.figures],
        "preformatted": section.preformatted,
        "items": section.items,
        "note": section.note,
        "facts": facts,
        "numbered": section.table is not None and max((len(str(row)) for row in section.table.index), default=0) < 7,
        # one picture and words: side by side where there is room
        "beside": len(section.figures) == 1 and (facts or any([*section.text, *section.items])),
    }


def write_page(html: str, path: str | os.PathLike[str] | None) -> str:
    """
    Write a page to a file, where one is named.

    Parameters
    ----------
    html : str
    path : path-like or None

    Returns
    -------
    str
        `html`.

    Raises
    ------
    ParameterError
        If nothing can be written there.
    """
    if path is not None:
        try:
            Path(path).write_text(html, encoding="utf-8")
        except OSError as error:
            raise ParameterError(
                f"cannot write a page to {path} ({error.strerror}); choose a folder that exists"
            ) from error
    return html
