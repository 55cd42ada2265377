"""One self-contained HTML page: text, tables, pictures, nothing to load from elsewhere."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pandas as pd

from vocalbio.conditions import DISCLAIMER
from vocalbio.figures import to_data_uri

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["Section", "render_page"]


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
        Shown as it is, index and all.
    figures : tuple of (Figure, str)
        Pictures with what a person who cannot see them should know.
    preformatted : str
        Text shown in fixed width.
    """

    title: str
    text: tuple[str, ...] = ()
    table: pd.DataFrame | None = None
    figures: tuple[tuple[Figure, str], ...] = ()
    preformatted: str = ""


def render_page(title: str, lead: str, notice: str, sections: Sequence[Section], footer: str = "") -> str:
    """
    Write a page.

    Parameters
    ----------
    title, lead : str
        Heading, and the sentence below it.
    notice : str
        What a reader must know before the first number; shown in a box.
    sections : sequence of Section
    footer : str
        Versions, date.

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
    shown: list[dict[str, Any]] = [
        {
            "title": section.title,
            "text": section.text,
            "table": section.table,
            "figures": [(to_data_uri(figure), words) for figure, words in section.figures],
            "preformatted": section.preformatted,
        }
        for section in sections
    ]
    return environment.get_template("page.html").render(
        title=title, lead=lead, notice=notice, sections=shown, footer=footer, disclaimer=DISCLAIMER
    )
