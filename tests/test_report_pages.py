"""Pages of evaluations, answers, nights, tracks and models: whole, honest, and legible for everybody."""

from __future__ import annotations

import json
import re
from datetime import datetime
from html import unescape
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LinearRegression, LogisticRegression

import vocalbio as vb
from vocalbio.conditions import DISCLAIMER
from vocalbio.datasets.voices import make_cohort
from vocalbio.errors import ParameterError
from vocalbio.evaluation import cross_validate, evaluate
from vocalbio.figures.nights import plot_event
from vocalbio.report import (
    answer_page,
    evaluation_page,
    model_card,
    night_page,
    track_page,
    write_report,
)
from vocalbio.report.references import REFERENCES, cite, paste
from vocalbio.report.tripod import ITEMS, tripod_table
from vocalbio.risk import RiskModel, load_shipped
from vocalbio.risk.explanation import CAUTION, Quantiles, explain
from vocalbio.stream.report import EVIDENCE_COLUMNS, NightReport

PACKAGE = Path(vb.__file__).parent


class Outline(HTMLParser):
    """What an HTML page is made of."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in ("meta", "img", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag, f"</{tag}> closes something else"

    def of(self, tag):
        return [attrs for name, attrs in self.tags if name == tag]


def text_of(html: str) -> str:
    return re.sub(r"\s+", " ", unescape(re.sub(r"<style>.*?</style>|<[^>]*>", " ", html, flags=re.S)))


def cohort(kind="binary"):
    rng = np.random.default_rng(0)
    speakers, y = np.repeat([f"S{k:02d}" for k in range(12)], 6), np.tile([0, 1, 2], 24)
    X = pd.DataFrame(rng.normal(size=(72, 3)) + y[:, None], columns=["voice__f0_sd_st", "voice__hnr_db", "own__<b>x"])
    y = {
        "binary": (y > 0).astype(int),
        "multiclass": np.array(["neutral", "sad", "anxious"])[y],
        "regression": y + rng.normal(size=72),
    }[kind]
    return X, y, speakers


def evaluated(kind):
    X, y, speakers = cohort(kind)
    person = pd.DataFrame({"sex": ["f", "m"] * 6}, index=sorted(set(speakers)))
    model = LinearRegression() if kind == "regression" else LogisticRegression()
    return cross_validate(
        model, X, y, groups=speakers, person=person, cv=4, n_resamples=50, seeds=(0, 1), progress=False
    )


@pytest.fixture(scope="module")
def answered():
    recordings, truth = make_cohort(n_speakers=6, n_recordings=6, seed=3)
    X = vb.extract_features(recordings, families=("voice",), progress=False)
    y, speakers = truth["label"].to_numpy(str), truth["speaker"].to_numpy(str)
    model = RiskModel("stress", preset="small", interval_folds=2, epochs=20, random_state=0)
    model.fit(X, y, groups=speakers)
    model.quantiles_ = Quantiles.fit(X[model.manifest_["columns"]].to_numpy(float))
    return model, recordings[2], model.score_audio(recordings[2]), explain(model, recordings[2])


def night(n_hours=5, n_events=3):
    rng = np.random.default_rng(0)
    evidence = pd.DataFrame(0.0, index=np.arange(n_hours * 3600.0), columns=EVIDENCE_COLUMNS, dtype="float32")
    evidence["usable"], evidence["breath"] = np.float32(1), np.float32(0.9)
    evidence["level_db"] = (-50 + rng.normal(size=len(evidence))).astype("float32")
    evidence["floor_db"] = np.float32(-60)
    starts = 600.0 * np.arange(1, n_events + 1)
    events = pd.DataFrame({"start_s": starts, "end_s": starts + 12, "kind": "apnea", "confidence": 0.8})
    return NightReport(events, evidence, {}, datetime(2026, 1, 30, 23, 5))


def track():
    dates = pd.date_range("2026-01-01", periods=14)
    return vb.track(None, np.r_[[40, 44, 41, 43, 39, np.nan, 42, 41, 40], np.full(5, 70.0)], dates=dates)


@pytest.fixture(scope="module")
def pages(answered):
    model, recording, answer, explanation = answered
    picture = plot_event(np.random.default_rng(0).normal(0, 0.01, 16_000 * 40), 16_000, 10.0, 22.0)
    return {
        "binary": evaluation_page(evaluated("binary")),
        "multiclass": evaluation_page(evaluated("multiclass"), model=model),
        "regression": evaluation_page(evaluated("regression")),
        "answer": answer_page(answer, explanation=explanation, audio=recording, model=model),
        "night": night_page(night(), pictures={2: picture}),
        "track": track_page(track()),
        "card": model_card(model),
        "shipped": model_card(load_shipped("stress")),
    }


KINDS = ["binary", "multiclass", "regression", "answer", "night", "track", "card", "shipped"]


# Every page -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_a_page_is_whole_and_loads_nothing(pages, kind):
    html = pages[kind]
    outline = Outline(html)
    assert not outline.open
    assert not {"script", "link", "iframe", "object", "base", "form"} & {tag for tag, _ in outline.tags}
    assert all(image["src"].startswith("data:image/png;base64,") for image in outline.of("img"))
    assert not any("href" in attrs or "srcset" in attrs for _, attrs in outline.tags)
    assert not re.search(r"url\(|@import|https?://", html.split("<body>")[0])


@pytest.mark.parametrize("kind", KINDS)
def test_the_disclaimer_stands_before_the_first_number(pages, kind):
    text = text_of(pages[kind].split("<body>")[1])
    assert DISCLAIMER in text
    assert text.index(DISCLAIMER) < 300


@pytest.mark.parametrize("kind", KINDS)
def test_it_can_be_read_without_eyes(pages, kind):
    outline = Outline(pages[kind])
    assert outline.of("html")[0]["lang"] == "en"
    assert all(len(image["alt"]) > 15 for image in outline.of("img"))
    levels = [int(tag[1]) for tag, _ in outline.tags if re.fullmatch(r"h[1-6]", tag)]
    assert levels[0] == 1
    assert set(levels[1:]) == {2}
    assert all(cell.get("scope") in ("row", "col") for cell in outline.of("th"))
    # whoever has no mouse can scroll a wide table
    assert all(
        div["tabindex"] == "0" and div["aria-label"] for div in outline.of("div") if div.get("class") == "scroll"
    )
    assert len([div for div in outline.of("div") if div.get("class") == "scroll"]) == len(outline.of("table"))


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_unknown_is_not_written_as_a_number(pages, kind):
    assert not re.search(r"\bnan\b|\bNone\b(?! was found)|\bNaT\b", text_of(pages[kind]))


@pytest.mark.parametrize("kind", KINDS)
def test_papers_that_are_cited_are_listed(pages, kind):
    text = text_of(pages[kind])
    for name in REFERENCES:
        if cite(name)[1:-1] in text.split("Methods")[-1].split("Written from the settings")[0]:
            assert REFERENCES[name] in text


def test_phone_and_print_are_thought_of(pages):
    head = pages["card"].split("<body>")[0]
    assert 'name="viewport"' in head
    assert "@media print" in head
    assert "overflow-x: auto" in head


# References and TRIPOD+AI -----------------------------------------------------------------------------------------


def test_every_reference_stands_elsewhere_in_the_package():
    sources = "\n".join(path.read_text("utf-8") for path in PACKAGE.rglob("*.py") if path.name != "references.py")
    flat = re.sub(r'[\s"]+', " ", sources)
    for reference in REFERENCES.values():
        mark = re.search(r"(doi:|arXiv:)\S+", reference)
        if mark:
            assert mark[0] in flat, reference
        else:
            assert re.match(r"\S+ \S+", reference)[0] in flat, reference
        surname = reference.split()[0]
        assert surname in flat, reference


def test_references_are_listed_once_and_in_order():
    found = paste(["slope", "ccc", "slope"]).split("\n\n")
    assert found == [REFERENCES["ccc"], REFERENCES["slope"]]


def test_tripod_is_honest_about_what_the_page_cannot_know(pages):
    table = tripod_table({"11": "Methods"})
    assert len(table) == len(ITEMS) == 52
    assert table.loc["17", "where"].startswith("not known")
    text = text_of(pages["binary"])
    assert "Ethical approval and consent not known here" in text
    assert "Fairness: what was done LogisticRegression by part of the cohort: sex" in text
    # who the model is was not told here, so no item may claim that it was
    assert "Type of model, steps, tuning, validation not known" in text
    assert "Type of model, steps, tuning, validation Methods" in text_of(pages["multiclass"])


# Evaluation -------------------------------------------------------------------------------------------------------


def test_an_evaluation_tells_its_own_numbers(pages):
    result = evaluated("binary")
    text = text_of(pages["binary"])
    for system, value in result.summary()["auroc"].items():
        assert f"{system} {value}" in text
    assert "12 speakers whom the model had not heard" in text
    assert "4 folds of speakers (12)" in text
    assert "50 draws of speakers" in text
    assert "means over 2 seeds" in text


@pytest.mark.parametrize(
    ("kind", "pictures"),
    [
        ("binary", ["ROC curve", "Precision against recall", "Confusion", "Predicted probability"]),
        ("multiclass", ["Confusion", "Stress score", "ROC curve of sad", "likeliest class", "Training curves"]),
        ("regression", ["Predicted against true"]),
    ],
)
def test_an_evaluation_is_drawn(pages, kind, pictures):
    words = " | ".join(image["alt"] for image in Outline(pages[kind]).of("img"))
    for picture in pictures:
        assert picture in words


def test_a_column_of_any_name_is_escaped(tmp_path):
    X, y, speakers = cohort()
    model = RiskModel("depression", preset="small", interval_folds=2, epochs=5, random_state=0)
    model.fit(X, y, groups=speakers)
    html = answer_page_of(model, X)
    assert "<b>x" not in html
    assert "&lt;b&gt;x" in html


def answer_page_of(model, X):
    from vocalbio.report.answer import explained_sections
    from vocalbio.report.page import render_page

    return render_page("Title", "Lead", "", explained_sections(explain(model, X.iloc[[0]])))


def test_an_evaluation_on_new_speakers_says_so():
    X, y, speakers = cohort()
    known = np.isin(speakers, [f"S{k:02d}" for k in range(6)])
    model = RiskModel("depression", preset="small", interval_folds=2, epochs=5, random_state=0)
    model.fit(X[known], y[known], groups=speakers[known])
    result = evaluate(model, X[~known], y[~known], groups=speakers[~known], n_resamples=50)
    text = text_of(evaluation_page(result, model=model))
    assert "evaluation of a fitted model" in text
    assert "temperature" not in text
    assert "calibrated by a scale and a bias" in text
    assert "Guo C, Pleiss G" in text


# Answer -----------------------------------------------------------------------------------------------------------


def test_an_answer_tells_its_doubts_and_its_cohort(pages, answered):
    _, _, answer, explanation = answered
    text = text_of(pages["answer"])
    assert answer.label in text
    for reason in answer.reasons:
        assert reason[1:] in text
    assert "36" in text
    assert CAUTION in text
    assert explanation.by_group.index[0] in text


def test_an_answer_needs_neither_explanation_nor_sound(answered):
    _, _, answer, _ = answered
    text = text_of(answer_page(answer))
    assert "What moved the answer" not in text
    assert "Whom the model was trained on" in text


def test_a_recording_that_cannot_be_used_gets_a_page(answered):
    model = answered[0]
    silent = vb.Recording(np.zeros(16_000, np.float32), 16_000)
    answer = model.score_audio(silent)
    assert answer.probability is None
    assert "indeterminate" in text_of(answer_page(answer))


def test_the_folder_of_a_recording_is_not_told(answered, tmp_path):
    from dataclasses import replace

    page = answer_page(replace(answered[2], file="/home/somebody/memo.wav"))
    assert "memo.wav" in page
    assert "somebody" not in page


# Night, track, card -----------------------------------------------------------------------------------------------


def test_a_night_tells_index_events_and_doubts(pages):
    text = text_of(pages["night"])
    assert "All 3 events" in text
    assert "not the index that a sleep laboratory measures" in text
    assert "No severity is told" in text
    assert "Event 2 at 23:25:00" in " ".join(image["alt"] for image in Outline(pages["night"]).of("img"))


def test_a_night_without_usable_sound_has_a_page():
    report = night(1, 0)
    report.evidence["usable"] = np.float32(0)
    empty = NightReport(report.events, report.evidence)
    text = text_of(night_page(empty))
    assert "nothing can be said about this night" in text
    assert "nan" not in text


def test_a_track_tells_what_is_more_than_chance(pages):
    text = text_of(pages["track"])
    assert "more than chance" in text
    assert "no score: the memo could not be used" in text
    assert "Jacobson" in text


def test_a_short_track_tells_why_there_is_no_baseline():
    found = vb.track(None, [40.0, 41.0], dates=pd.date_range("2026-01-01", periods=2))
    text = text_of(track_page(found))
    assert "No baseline" in text or "no baseline" in text
    assert "nan" not in text


def test_a_card_says_what_its_file_does_not_know(pages):
    assert "is not told in the model file" in text_of(pages["card"])
    text = text_of(pages["shipped"])
    assert "RAVDESS" in text
    manifest = load_shipped("stress").manifest_
    uar, low, high = (f"{manifest['metrics'][name]:.2f}" for name in ("uar", "uar_low", "uar_high"))
    assert f"uar {uar} [{low}, {high}]" in text
    for key in manifest["training"]["speakers"]:
        assert key not in text


# Files ------------------------------------------------------------------------------------------------------------


def test_a_report_is_written_by_its_name(tmp_path, answered):
    model, _, answer, explanation = answered
    for found in (evaluated("binary"), answer, night(), track(), model):
        write_report(found, tmp_path / "report.html")
        assert (tmp_path / "report.html").read_text("utf-8").startswith("<!DOCTYPE html>")
        write_report(found, tmp_path / "report.json")
        assert isinstance(json.loads((tmp_path / "report.json").read_text("utf-8")), dict)
    write_report(answer, tmp_path / "answer.json", explanation=explanation)
    whole = json.loads((tmp_path / "answer.json").read_text("utf-8"))
    assert whole["label"] == answer.label
    assert whole["explanation"]["what"] == "stress score"


def test_what_cannot_be_written_is_refused(tmp_path, answered):
    with pytest.raises(ParameterError, match="no page for a dict"):
        write_report({}, tmp_path / "a.html")
    with pytest.raises(ParameterError, match=r"\.html or \.json"):
        write_report(answered[2], tmp_path / "a.pdf")
    with pytest.raises(ParameterError, match="folder that exists"):
        write_report(answered[2], tmp_path / "nowhere" / "a.html")
