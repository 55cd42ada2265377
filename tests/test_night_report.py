"""The report: its numbers by hand, its interval by simulation, its words where there is doubt."""

from __future__ import annotations

import json
import math
from datetime import datetime

import numpy as np
import pandas as pd
import pytest
from scipy.stats import poisson

from vocalbio import Recording
from vocalbio.conditions import DISCLAIMER
from vocalbio.errors import ParameterError
from vocalbio.stream.report import EVIDENCE_COLUMNS, NightReport, event_rate

VALIDATED = {"against": "polysomnography", "study": "made up for this test"}


def evidence(hours: float, **columns: float) -> pd.DataFrame:
    values = {"level_db": -50, "floor_db": -65, "breath": 1, "snore": 0, "apnea": 0, "hypopnea": 0, "usable": 1}
    index = pd.Index(np.arange(round(hours * 3600), dtype=float), name="start_s")
    return pd.DataFrame(values | columns, index=index, columns=list(EVIDENCE_COLUMNS), dtype="float32")


def events(starts, kind="apnea", length=15.0) -> pd.DataFrame:
    starts = np.asarray(starts, float)
    table = pd.DataFrame({"start_s": starts, "end_s": starts + length, "kind": kind, "confidence": 0.8})
    return table.astype({"kind": object})


def evenly(per_hour: float, hours: float) -> pd.DataFrame:
    return events((np.arange(round(per_hour * hours)) + 0.5) * 3600 / per_hour)


@pytest.fixture
def report() -> NightReport:
    """Six hours from 23:00: lights out after one, on after five; ten minutes of it unusable; snoring in one hour."""
    table = evidence(6)
    table.iloc[7200:7800, table.columns.get_loc("usable")] = 0
    table.iloc[7200:7500, table.columns.get_loc("level_db")] = -120
    table.iloc[10800:14400, table.columns.get_loc("snore")] = 0.9
    mixed = pd.concat([events([1000, 4000, 9000, 17000, 18500]), events([12000], "hypopnea")])
    mixed = mixed.sort_values("start_s", ignore_index=True)
    return NightReport(mixed, table, {"rule": {"on": 0.6}}, datetime(2026, 1, 31, 23), None, 3600.0, 18000.0)


def test_only_what_lies_between_the_lights_counts(report):
    assert report.recorded_h == 6
    assert report.analysed_h == pytest.approx(4 - 1 / 6)
    assert report.unusable_h == pytest.approx(1 / 6)
    assert report.unusable_by_reason == pytest.approx(
        {"digital silence": 1 / 12, "clipping, drop-outs, handling or no sound": 1 / 12}
    )
    assert report.counted.tolist() == [False, True, True, True, True, False]
    assert report.index == pytest.approx(4 / (4 - 1 / 6))
    assert report.index_by_kind["n_events"].to_dict() == {"all": 4, "apnea": 3, "hypopnea": 1}
    assert report.index_by_kind.loc["hypopnea", "per_hour"] == pytest.approx(1 / (4 - 1 / 6))
    assert report.interval[0] < report.index < report.interval[1]
    assert len(report.events) == 6  # the rest is kept


def test_snoring_is_counted_by_the_second(report):
    assert report.snoring_min == 60
    assert report.snoring_share == pytest.approx(1 / (4 - 1 / 6))
    assert report.snoring_index == pytest.approx(3600 / (4 - 1 / 6))


def test_the_event_table_has_clock_times_where_they_are_known(report):
    table = report.event_table
    assert table.loc[1, "start_clock"] == "2026-01-31T23:16:40"
    assert table.loc[1, "duration_s"] == 15
    assert report.clock(3600 * 2) == "01:00:00"
    unknown = NightReport(report.events, report.evidence)
    assert "start_clock" not in unknown.event_table
    assert unknown.clock(3725) == "1:02:05"


# The interval ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("count", [0, 1, 7, 60])
def test_without_clusters_the_interval_is_the_exact_poisson_one(count):
    hours = 5
    onsets = evenly(count / hours, hours)["start_s"].to_numpy() if count else np.empty(0)
    rate, low, high = event_rate(onsets, np.ones(hours * 3600, bool))
    assert rate == count / hours
    # its definition: at the limits a count as far out as this has a chance of 2.5 %
    assert poisson.cdf(count, high * hours) == pytest.approx(0.025)
    if count:
        assert poisson.sf(count - 1, low * hours) == pytest.approx(0.025)
    else:
        assert low == 0


def test_clusters_widen_the_interval_and_never_narrow_it(rng):
    analysed = np.ones(8 * 3600, bool)
    for _ in range(50):
        centres = rng.uniform(0, 28_000, rng.integers(1, 8))
        onsets = np.sort(np.concatenate([c + rng.uniform(0, 700, rng.integers(1, 30)) for c in centres]))
        _, low, high = event_rate(onsets, analysed)
        _, plain_low, plain_high = event_rate(np.linspace(0, 28_799, len(onsets)), analysed)
        assert low <= plain_low + 1e-9
        assert high >= plain_high - 1e-9


def test_the_interval_holds_the_true_rate_of_clustered_nights_more_often_than_poisson(rng):
    hours, rate, held, plain = 8, 15.0, [], []
    for _ in range(200):
        # bouts of ten events within eight minutes, at random times
        bouts = rng.uniform(-480, hours * 3600, rng.poisson(rate / 10 * (hours + 480 / 3600)))
        onsets = np.sort(np.concatenate([b + rng.uniform(0, 480, 10) for b in bouts] or [np.empty(0)]))
        onsets = onsets[(onsets >= 0) & (onsets < hours * 3600)]
        _, low, high = event_rate(onsets, np.ones(hours * 3600, bool))
        held.append(low <= rate <= high)
        count = len(onsets)
        plain.append(poisson.cdf(count, rate * hours) > 0.025 and poisson.sf(count - 1, rate * hours) > 0.025)
    assert np.mean(held) > 0.85
    assert np.mean(plain) < 0.6


def test_unusable_time_is_taken_out_of_the_blocks():
    analysed = np.ones(4 * 3600, bool)
    analysed[3600:7200] = False
    onsets = evenly(12, 4)["start_s"].to_numpy()
    onsets = onsets[(onsets < 3600) | (onsets > 7200)]
    rate, low, high = event_rate(onsets, analysed)
    _, even_low, even_high = event_rate(evenly(12, 3)["start_s"].to_numpy(), np.ones(3 * 3600, bool))
    assert rate == pytest.approx(12)
    assert (low, high) == pytest.approx((even_low, even_high))


# Words ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("per_hour", "word"), [(2, "none"), (5, "mild"), (14, "mild"), (15, "moderate"), (30, "severe")]
)
def test_a_validated_detector_tells_a_severity_by_the_usual_limits(per_hour, word):
    report = NightReport(evenly(per_hour, 6), evidence(6), {}, None, VALIDATED)
    assert report.severity == word
    assert word in report.severity_reason


def test_no_severity_without_validation_or_four_hours():
    assert NightReport(evenly(20, 6), evidence(6)).severity is None
    assert "not been validated against polysomnography" in NightReport(evenly(20, 6), evidence(6)).severity_reason
    short = NightReport(evenly(20, 3), evidence(3), {}, None, VALIDATED)
    assert short.severity is None
    assert "3.0 h could be analysed, at least 4 h are needed" in short.severity_reason
    other = NightReport(evenly(20, 6), evidence(6), {}, None, {"against": "simulated nights"})
    assert other.severity is None


@pytest.mark.parametrize(
    ("table", "words"),
    [
        (evidence(2), "Only 2.0 h could be analysed"),
        (evidence(5, level_db=-63), "Breathing stood only 2 dB above the noise"),
        (evidence(5, breath=0), "Breathing was heard in only 0% of the seconds"),
        (evidence(5, usable=0), "nothing can be said about this night"),
        (evidence(5), "the time awake in bed counts as well"),
    ],
)
def test_doubts_are_told_in_words(table, words):
    assert any(words in note for note in NightReport(events([]), table).notes)


def test_much_unusable_time_and_damaged_files_are_doubts():
    table = evidence(6)
    table.iloc[: 2 * 3600, table.columns.get_loc("usable")] = 0
    files = (
        {"file": "a.wav", "start_s": 0.0, "end_s": 3600.0, "reason": "it is damaged"},
        {"file": "b.wav", "start_s": 7200.0, "end_s": 21600.0, "reason": ""},
    )
    report = NightReport(events([]), table, {}, None, None, 0.0, None, files)
    assert report.notes[0] == "a.wav: it is damaged"
    assert report.unusable_by_reason["nothing recorded"] == pytest.approx(1)
    assert any(note.startswith("33% of the time cannot be used") for note in report.notes)


def test_a_good_night_has_no_doubts():
    assert NightReport(events([]), evidence(7), lights_out_s=60.0).notes == ()


def test_it_never_speaks_of_a_diagnosis_or_an_ahi(report):
    for text in (str(report), report._repr_html_(), report.to_json()):
        assert "AHI" not in text
        assert DISCLAIMER in text
        assert "diagnos" not in text.replace(DISCLAIMER, "").casefold()
    assert "Audio event index" in str(report)
    assert "23:00" in str(report)


# Out and in -------------------------------------------------------------------------------------------------


def test_json_brings_the_same_report_back(report, tmp_path, rng):
    table = report.evidence.copy()
    table["snore"] = rng.random(len(table)).astype("float32")
    table.iloc[5, :5] = np.nan
    whole = NightReport(report.events, table, report.settings, report.started, VALIDATED, 3600.0, 18000.0)
    text = whole.to_json(tmp_path / "night.json")
    for source in (text, tmp_path / "night.json", str(tmp_path / "night.json")):
        back = NightReport.from_json(source)
        assert back == whole
        pd.testing.assert_frame_equal(back.evidence, table, check_exact=True)
        pd.testing.assert_frame_equal(back.events, report.events, check_exact=True)
    assert whole != report
    read = json.loads(text)
    assert read["version"] == 1
    assert read["summary"]["index"] == pytest.approx(report.index)


def test_an_empty_night_survives_json():
    report = NightReport(events([]), evidence(1, usable=0))
    back = NightReport.from_json(report.to_json())
    assert back == report
    assert math.isnan(back.index)


@pytest.mark.parametrize("text", ["{}", '{"format": "other"}', "{not json", "nowhere.json"])
def test_something_else_is_no_report(text):
    with pytest.raises(ParameterError, match="is no report of a night"):
        NightReport.from_json(text)


def test_a_later_version_is_refused(report):
    later = report.to_json().replace('"version": 1', '"version": 9', 1)
    with pytest.raises(ParameterError, match="its version is 9"):
        NightReport.from_json(later)


def test_csv_holds_the_event_table(report, tmp_path):
    report.to_csv(tmp_path / "events.csv")
    read = pd.read_csv(tmp_path / "events.csv", index_col="number")
    pd.testing.assert_frame_equal(read, report.event_table, check_dtype=False)


@pytest.mark.parametrize(("write", "name"), [("to_edf", "events.edf"), ("to_audacity", "labels.txt")])
def test_annotations_are_read_back(report, tmp_path, write, name):
    from vocalbio.datasets.annotations import read_annotations

    getattr(report, write)(tmp_path / name)
    back = read_annotations(tmp_path / name)
    assert back["start_s"].tolist() == pytest.approx(report.events["start_s"].tolist(), abs=0.01)
    assert back["end_s"].tolist() == pytest.approx(report.events["end_s"].tolist(), abs=0.01)
    assert back["kind"].tolist() == report.events["kind"].tolist()
    with pytest.raises(ParameterError, match="expected a name that ends in"):
        getattr(report, write)(tmp_path / "events.doc")


def test_the_summary_is_one_row(report):
    row = report.summary()
    assert row["started"] == datetime(2026, 1, 31, 23)
    assert row["n_events"] == 4
    assert row["index"] == report.index
    assert row["severity"] is None


def test_events_are_drawn_from_a_recording_that_stands_at_its_time(report, rng):
    piece = Recording(rng.normal(0, 0.01, 16_000 * 60).astype("float32"), 16_000, start_s=3975.0)
    figure = report.plot_event(2, piece)
    assert "01:06" not in figure.texts[0].get_text()
    assert "Event 2, apnea-like, 00:06:40" in figure.texts[0].get_text()
    with pytest.raises(ParameterError, match="expected one of the 6 events"):
        report.plot_event(7, piece)
    assert report.span_of(1) == (980, 1035)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((pd.DataFrame(), evidence(1)), "events has columns"),
        ((events([]), "evidence"), "evidence has str"),
        ((events([]), evidence(1), {}, None, None, 500.0, 400.0), "lights out before lights on"),
        ((events([]), evidence(1), {}, None, None, 5000.0), "both inside it"),
    ],
)
def test_what_is_no_night_is_refused(arguments, words):
    with pytest.raises(ParameterError, match=words):
        NightReport(*arguments)
