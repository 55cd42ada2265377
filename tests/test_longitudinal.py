"""One person over time, on made-up trajectories whose truth is known."""

from __future__ import annotations

import json

import numpy as np
import pandas as pd
import pytest
from scipy.stats import t as student

import vocalbio as vb
from vocalbio import ParameterError
from vocalbio.longitudinal import _reach

DATES = pd.date_range("2026-01-01", periods=30)


def person(rng: np.random.Generator, step: float = 0.0, drift_per_week: float = 0.0, n: int = 30) -> np.ndarray:
    days = np.arange(n)
    return 50 + 5 * (rng.standard_normal(n) + step * (days >= 15) + drift_per_week * days / 7)


def test_an_unchanged_person_is_beyond_the_limits_as_often_as_promised(rng: np.random.Generator) -> None:
    found = [vb.track(None, person(rng), dates=DATES) for _ in range(300)]
    beyond = np.mean([(one.days["beyond"] != 0)[~one.days["in_baseline"]].mean() for one in found])
    assert beyond == pytest.approx(0.05, abs=0.02)
    assert np.mean([one.recent["reliable"] for one in found]) == pytest.approx(0.05, abs=0.04)
    assert np.mean([one.days["reliable"].mean() for one in found]) < 0.02


def test_without_pulling_in_the_limits_would_be_those_of_students_t() -> None:
    # the simulated limit of 20 days against the formula of Crawford and Howell for the plain mean
    formula = student.ppf(0.975, 19) * np.sqrt(1 + 1 / 20)
    assert _reach(20, 1, 0.95) == pytest.approx(formula, rel=0.03)
    assert _reach(20, 4, 0.95) == pytest.approx(student.ppf(0.975, 19) * np.sqrt(1 / 4 + 1 / 20), rel=0.03)


@pytest.mark.parametrize("sd", [0.5, 1.0, 2.0])
def test_whole_numbers_raise_no_more_false_alarms(rng: np.random.Generator, sd: float) -> None:
    found = [vb.track(None, np.round(5 + sd * rng.standard_normal(30)), dates=DATES) for _ in range(200)]
    assert np.mean([(one.days["beyond"] != 0)[~one.days["in_baseline"]].mean() for one in found]) < 0.09
    assert np.mean([one.recent["reliable"] for one in found]) < 0.1


def test_a_large_step_is_found_and_told_with_its_size(rng: np.random.Generator) -> None:
    found = [vb.track(None, person(rng, step=5), dates=DATES) for _ in range(60)]
    assert np.mean([one.recent["reliable"] for one in found]) > 0.95
    covered = [one.recent["low"] <= 25 <= one.recent["high"] for one in found]
    assert np.mean(covered) > 0.85
    assert np.mean([one.days["reliable"].iloc[:15].any() for one in found]) < 0.1


def test_the_slope_of_a_drift_is_covered_by_its_interval(rng: np.random.Generator) -> None:
    found = [vb.track(None, person(rng, drift_per_week=1.0), dates=DATES).trend for _ in range(200)]
    assert np.mean([one["low"] <= 5 <= one["high"] for one in found]) == pytest.approx(0.95, abs=0.05)
    assert np.mean([one["slope_per_week"] for one in found]) == pytest.approx(5, abs=0.3)


def test_one_odd_day_moves_neither_baseline_nor_trend(rng: np.random.Generator) -> None:
    calm = person(rng)
    odd = calm.copy()
    odd[3] += 500
    before, after = (vb.track(None, scores, dates=DATES) for scores in (calm, odd))
    assert abs(after.baseline["centre"] - before.baseline["centre"]) < 5
    assert after.baseline["sd"] < 4 * before.baseline["sd"]
    assert after.trend["slope_per_week"] == pytest.approx(before.trend["slope_per_week"], abs=0.7)


def test_memos_of_one_day_count_as_one(rng: np.random.Generator) -> None:
    scores = person(rng)
    once = vb.track(None, scores, dates=DATES)
    often = vb.track(
        None, np.repeat(scores, 5), dates=np.repeat(DATES, 5) + pd.to_timedelta(np.tile(range(5), 30), "h")
    )
    assert (often.days["n_memos"] == 5).all()
    pd.testing.assert_series_equal(often.days["score"], once.days["score"], check_freq=False)
    assert often.recent == pytest.approx(once.recent)
    assert often.trend == pytest.approx(once.trend)


def test_order_and_unit_do_not_matter(rng: np.random.Generator) -> None:
    scores, order = person(rng, step=2), rng.permutation(30)
    plain = vb.track(None, scores, dates=DATES)
    mixed = vb.track(None, scores[order] / 100, dates=DATES[order])
    assert mixed.days["reliable"].tolist() == plain.days["reliable"].tolist()
    assert 100 * mixed.recent["change"] == pytest.approx(plain.recent["change"])


def test_gaps_and_unusable_memos_are_counted_never_zero(rng: np.random.Generator) -> None:
    scores = person(rng)
    scores[[2, 9, 20]] = np.nan
    dates = DATES.to_series().reset_index(drop=True)
    dates[25] = pd.NaT
    found = vb.track(None, pd.Series(scores), dates=dates)
    assert len(found.days) == 26
    assert found.unusable["reason"].tolist() == ["no score: the memo could not be used"] * 3 + ["no date"]
    assert found.days["in_baseline"].sum() == 7
    assert found.days["score"].min() > 20


def test_too_few_days_give_nan_and_the_reason() -> None:
    found = vb.track(None, [1.0, 2.0, 3.0], dates=DATES[:3])
    assert np.isnan(found.baseline["centre"])
    assert np.isnan(found.recent["change"])
    assert not found.recent["reliable"]
    assert any("no baseline: 3 days" in reason for reason in found.reasons)
    assert any("no trend: 3 days" in reason for reason in found.reasons)
    only = vb.track(None, np.arange(7.0), dates=DATES[:7])
    assert any("no day with a memo after" in reason for reason in only.reasons)


def test_a_stated_period_is_the_baseline(rng: np.random.Generator) -> None:
    found = vb.track(None, pd.Series(person(rng), DATES), baseline=("2026-01-05", "2026-01-14"))
    assert (found.baseline["n_days"], found.baseline["start"], found.baseline["end"]) == (
        10,
        "2026-01-05",
        "2026-01-14",
    )
    assert found.days["in_baseline"].tolist() == [False] * 4 + [True] * 10 + [False] * 16


def test_days_before_a_stated_baseline_are_not_its_future(rng: np.random.Generator) -> None:
    scores = np.r_[np.full(15, 500.0), person(rng, n=15)]
    found = vb.track(None, scores, dates=DATES, baseline=("2026-01-16", "2026-01-28"), recent=5)
    assert found.recent["n_days"] == 2
    assert abs(found.recent["change"]) < 50


def test_rows_named_in_another_order_are_refused(rng: np.random.Generator) -> None:
    files = [f"{i}.wav" for i in range(30)]
    X = pd.DataFrame({"quality__snr_db": 40 + rng.standard_normal(30)}, files)
    with pytest.raises(ParameterError, match="in another order"):
        vb.track(X, pd.Series(person(rng), files[::-1]), dates=DATES)
    assert vb.track(X, pd.Series(person(rng), files), dates=DATES).recent["n_days"] == 3


def test_another_microphone_is_told_as_a_doubt(rng: np.random.Generator) -> None:
    index = pd.MultiIndex.from_product([[f"{i}.wav" for i in range(30)], [0], [1]], names=["file", "start", "end"])
    X = pd.DataFrame({"voice__f0_sd_st": person(rng), "quality__snr_db": 40 + rng.standard_normal(30)}, index)
    X["quality__source_rate_hz"] = 44_100.0
    assert not vb.track(X, "voice__f0_sd_st", dates=DATES).reasons
    X.iloc[20:, 1] -= 20
    X.iloc[20:, 2] = 8000.0
    told = " ".join(vb.track(X, "voice__f0_sd_st", dates=DATES).reasons)
    assert "the noise around the voice changed too" in told
    assert "quality__source_rate_hz from 4.41e+04 to 8e+03" in told


def test_the_answer_reads_and_travels_as_json(rng: np.random.Generator) -> None:
    found = vb.track(None, person(rng, step=6), dates=DATES.tz_localize("Europe/Berlin"))
    assert "more than chance" in str(found)
    assert "Not a diagnosis" in str(found)
    read = json.loads(found.to_json())
    assert read["recent"]["reliable"] is True
    assert read["days"][0]["change"] == pytest.approx(found.days["change"].iloc[0])
    assert found.plot(title="Stress").axes


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"scores": "voice__x"}, "which is no column of X"),
        ({"dates": None}, "dates are missing"),
        ({"dates": DATES[:3]}, "dates 3 entries"),
        ({"dates": ["soon"] * 30}, "cannot be read"),
        ({"scores": np.full(30, np.nan)}, "no memo has a score"),
        ({"scores": np.full(30, np.inf)}, "hold infinity"),
        ({"baseline": 2}, "expected at least 4"),
        ({"baseline": "2026"}, r"expected a number of days, or \(start, end\)"),
        ({"baseline": ("then", "now or so")}, "expected two dates"),
        ({"baseline": ("2026-01-09", "2026-01-01")}, "expected the earlier date first"),
        ({"recent": 0}, "expected a whole number of days"),
        ({"level": 95}, "expected a number from 0.5"),
        ({"X": [1]}, "of type list; expected a table"),
    ],
)
def test_what_cannot_be_followed_is_refused_in_words(change: dict, words: str) -> None:
    given = {"X": None, "scores": np.arange(30.0), "dates": DATES, **change}
    with pytest.raises(ParameterError, match=words):
        vb.track(given.pop("X"), given.pop("scores"), **given)


def test_days_months_apart_do_not_confirm_each_other() -> None:
    scores = np.r_[[40, 44, 41, 43, 39, 42, 41], [90, 90, 40, 90]]
    dates = [*DATES[:7], *pd.to_datetime(["2026-01-09", "2026-01-10", "2026-01-20", "2026-06-01"])]
    assert vb.track(None, scores, dates=dates).days["reliable"].to_numpy().nonzero()[0].tolist() == [8]
    dates[7] = pd.Timestamp("2026-01-08")
    dates[8] = pd.Timestamp("2026-04-01")
    dates[9:] = list(pd.to_datetime(["2026-05-20", "2026-06-10"]))
    assert not vb.track(None, scores, dates=dates).days["reliable"].any()
