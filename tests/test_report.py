"""Pages: whole in one file, escaped, legible without their pictures."""

from __future__ import annotations

import re

import pandas as pd

from vocalbio.conditions import DISCLAIMER
from vocalbio.figures import plot_confusion
from vocalbio.report.page import Section, render_page

TABLE = pd.DataFrame([[3, 1], [0, 4]], index=["calm", "<b>loud</b>"], columns=["calm", "<b>loud</b>"])


def page() -> str:
    sections = [
        Section("First", ("a < b & c",), TABLE.rename_axis("true")),
        Section("Second", figures=((plot_confusion(TABLE), 'counts of "calm"'),), preformatted="one\n  two"),
    ]
    return render_page("Title", "Lead", "Mind <this>", sections, "vocalbio 0")


def test_text_is_escaped_wherever_it_comes_from():
    html = page()
    assert "a &lt; b &amp; c" in html
    assert "Mind &lt;this&gt;" in html
    assert "<b>" not in html
    assert 'alt="counts of &#34;calm&#34;"' in html


def test_nothing_is_loaded_from_elsewhere():
    sources = re.findall(r'(?:src|href)="([^"]*)"', page())
    assert len(sources) == 1
    assert sources[0].startswith("data:image/png;base64,")
    assert "<script" not in page()


def test_what_it_is_not_stands_on_every_page():
    assert DISCLAIMER.split(";")[0] in page()


def test_tables_keep_rows_and_headings():
    html = page()
    assert re.search(r'<th scope="row">calm</th><td>3</td><td>1</td>', html)
    assert '<th scope="col">true</th>' in html
