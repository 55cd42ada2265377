"""Scores of nights: by hand, by brute force, by scikit-learn and by the examples of the papers."""

from __future__ import annotations

import json
import math
from itertools import combinations, permutations
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import cohen_kappa_score, confusion_matrix

from vocalbio.errors import ParameterError
from vocalbio.evaluation.agreement import bland_altman, cohen_kappa, icc, wilson
from vocalbio.evaluation.events import RULES, frame_kappa, match_events, score_events
from vocalbio.evaluation.nights import BANDS, NightScores, score_nights
from vocalbio.metrics import bootstrap

NOTHING = pd.DataFrame({"start_s": [], "end_s": [], "kind": []})


def events(*spans: tuple[float, float], kind: str = "apnea") -> pd.DataFrame:
    return pd.DataFrame(list(spans), columns=["start_s", "end_s"], dtype=float).assign(kind=kind)


def random_events(rng: np.random.Generator, n: int, within_s: float) -> pd.DataFrame:
    start = rng.uniform(0, within_s, n).round(1)
    return events(*zip(start, start + rng.uniform(5, 60, n).round(1), strict=True))


def iou(a: tuple[float, float], b: tuple[float, float]) -> float:
    shared = max(0.0, min(a[1], b[1]) - max(a[0], b[0]))
    return shared / ((a[1] - a[0]) + (b[1] - b[0]) - shared)


def covered(a: tuple[float, float], b: tuple[float, float]) -> float:
    return max(0.0, min(a[1], b[1]) - max(a[0], b[0])) / (a[1] - a[0])


# Matching


@pytest.mark.parametrize(("rule", "measure", "least"), [("iou", iou, 0.2), ("overlap", covered, 0.5)])
def test_no_other_pairing_has_more_pairs_or_fits_better(rng, rule: str, measure: Any, least: float) -> None:
    for _ in range(60):
        a, b = (random_events(rng, int(rng.integers(0, 5)), 120) for _ in range(2))
        first, second = (list(zip(t["start_s"], t["end_s"], strict=True)) for t in (a, b))
        best = (0, 0.0)
        for n in range(1, min(len(a), len(b)) + 1):
            for rows in combinations(range(len(a)), n):
                for columns in permutations(range(len(b)), n):
                    pairs = [(first[row], second[column]) for row, column in zip(rows, columns, strict=True)]
                    if all(measure(*pair) >= least for pair in pairs):
                        best = max(best, (n, round(sum(iou(*pair) for pair in pairs), 9)))
        found = match_events(a, b, **RULES[rule]).dropna(subset=["reference", "detected"])
        assert (len(found), found["iou"].sum()) == (best[0], pytest.approx(best[1]))
        for row, column in zip(found["reference"], found["detected"], strict=True):
            assert measure(first[row], second[column]) >= least


def test_every_event_stands_in_the_table_once_in_the_order_of_time() -> None:
    reference = events((400, 420), (100, 120), (700, 720))  # rows are those of the tables as given
    detected = events((250, 270), (703, 719), (95, 118))
    table = match_events(reference, detected)
    assert table["reference"].tolist() == [1, pd.NA, 0, 2]
    assert table["detected"].tolist() == [2, 0, pd.NA, 1]
    assert table["onset_error_s"].tolist() == pytest.approx([-5, np.nan, np.nan, 3], nan_ok=True)
    assert table["end_error_s"].tolist() == pytest.approx([-2, np.nan, np.nan, -1], nan_ok=True)
    assert table["iou"].tolist() == pytest.approx([18 / 25, np.nan, np.nan, 16 / 20], nan_ok=True)


def test_a_pair_at_the_limit_counts_and_one_below_does_not() -> None:
    reference = events((11.1, 21.1))  # these numbers are not exact, and 2 s of 10 s come out a little below 0.2
    assert len(match_events(reference, events((11.1, 13.1)))) == 1
    assert len(match_events(reference, events((11.1, 13.0)))) == 2
    assert len(match_events(reference, events((16.1, 51.1)), min_overlap=0.5)) == 1
    assert len(match_events(reference, events((16.2, 51.1)), min_overlap=0.5)) == 2
    assert len(match_events(reference, events((21.1, 31.1)), min_overlap=0.01)) == 2  # they only touch


def test_two_poor_pairs_are_better_than_a_good_one() -> None:
    reference, detected = events((0, 100), (70, 130)), events((5, 105), (0, 25))
    pairs = match_events(reference, detected)
    assert pairs[["reference", "detected"]].to_numpy().tolist() == [[0, 1], [1, 0]]
    assert pairs["iou"].tolist() == pytest.approx([25 / 100, 35 / 125])


def test_one_long_detection_finds_one_event() -> None:
    reference, detected = events((100, 120), (130, 150)), events((95, 155))
    scores = score_events(reference, detected)
    assert (scores.iou.n_matched, scores.iou.precision, scores.iou.recall) == (1, 1.0, 0.5)
    assert scores.overlap.n_matched == 1


def test_a_short_detection_inside_is_found_by_one_rule_and_not_by_the_other() -> None:
    scores = score_events(events((100, 140)), events((110, 120)))
    assert (scores.iou.n_matched, scores.overlap.n_matched) == (1, 0)
    scores = score_events(events((100, 110)), events((60, 120)))
    assert (scores.iou.n_matched, scores.overlap.n_matched) == (0, 1)


def test_kinds_choose_rows_and_do_not_matter_for_a_pair() -> None:
    reference = pd.concat([events((100, 120)), events((300, 320), kind="arousal")])
    detected = events((100, 120), (500, 520), kind="hypopnea")
    assert score_events(reference, detected).iou.n_matched == 1
    assert score_events(reference, detected, kinds=("apnea", "hypopnea")).n_reference == 1
    only = score_events(reference, detected, kinds="hypopnea")
    assert (only.n_reference, only.n_detected) == (0, 2)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"min_iou": 0.2, "min_overlap": 0.5}, "both min_iou and min_overlap"),
        ({"min_iou": 0.0}, r"min_iou is 0\.0; expected a fraction above 0"),
        ({"min_overlap": 50}, "min_overlap is 50"),
    ],
)
def test_rules_that_make_no_sense(options: dict[str, float], words: str) -> None:
    with pytest.raises(ParameterError, match=words):
        match_events(NOTHING, NOTHING, **options)


# One night


def test_scores_of_a_night_by_hand() -> None:
    reference = events((100, 120), (200, 220), (300, 320), (400, 420))
    detected = events((101, 121), (203, 221), (290, 318), (700, 720), (800, 810))
    scores = score_events(reference, detected, hours=0.5)
    found = scores.iou
    assert (scores.n_reference, scores.n_detected, found.n_matched) == (4, 5, 3)
    assert (found.precision, found.recall, found.f1) == (3 / 5, 3 / 4, 6 / 9)
    assert found.false_per_hour == 4.0
    assert found.onset_error_s == 1.0  # of -10, 1 and 3
    assert found.onset_iqr_s == pytest.approx(6.5)
    assert scores.overlap == found
    assert json.loads(json.dumps(scores.to_dict()))["overlap"]["recall"] == 0.75
    assert str(scores).splitlines() == [
        "4 reference events, 5 detected in 0.5 h",
        "IoU of 0.2 or more: 3 matched, precision 0.60, recall 0.75, F1 0.67, onset +1.0 s (IQR 6.5 s), 4.00 false/h",
        "half of the event covered: 3 matched, precision 0.60, recall 0.75, F1 0.67, onset +1.0 s (IQR 6.5 s), "
        "4.00 false/h",
    ]


@pytest.mark.parametrize(
    ("reference", "detected", "precision", "recall", "f1"),
    [
        (NOTHING, NOTHING, math.nan, math.nan, math.nan),
        (NOTHING, events((1, 20)), 0.0, math.nan, 0.0),
        (events((1, 20)), NOTHING, math.nan, 0.0, 0.0),
        (events((1, 20)), events((50, 70)), 0.0, 0.0, 0.0),
    ],
)
def test_what_is_not_defined_is_nan_and_never_nought(
    reference: pd.DataFrame, detected: pd.DataFrame, precision: float, recall: float, f1: float
) -> None:
    scores = score_events(reference, detected)
    for rule in (scores.iou, scores.overlap):
        assert [rule.precision, rule.recall, rule.f1] == pytest.approx([precision, recall, f1], nan_ok=True)
        assert math.isnan(rule.onset_error_s)
        assert math.isnan(rule.false_per_hour)
    assert "nan" not in str(scores)
    assert scores.to_dict()["iou"]["onset_error_s"] is None


@pytest.mark.parametrize("hours", [0, -1.0, math.nan, "8"])
def test_hours_that_make_no_sense(hours: Any) -> None:
    with pytest.raises(ParameterError, match="expected the hours that were searched"):
        score_events(NOTHING, NOTHING, hours=hours)


def test_tables_that_are_none() -> None:
    with pytest.raises(ParameterError, match="detected has NoneType; expected a DataFrame"):
        score_events(NOTHING, None)  # type: ignore[arg-type]
    with pytest.raises(ParameterError, match="reference has in row 0 an event from 5 s to 1 s"):
        match_events(events((5, 1)), NOTHING)


# Frames


@pytest.mark.parametrize("frame_s", [1.0, 0.5, 30.0])
def test_kappa_by_frame_is_that_of_scikit_learn(rng, frame_s: float) -> None:
    a, b = random_events(rng, 25, 1800), random_events(rng, 25, 1800)  # events of a table may overlap
    middles = np.arange(frame_s / 2, 1800, frame_s)
    inside = [
        [any(start <= t < end for start, end in zip(table["start_s"], table["end_s"], strict=True)) for t in middles]
        for table in (a, b)
    ]
    assert frame_kappa(a, b, 1800, frame_s=frame_s) == pytest.approx(cohen_kappa_score(*inside))
    assert frame_kappa(a, a, 1800, frame_s=frame_s) == 1.0


def test_kappa_without_events_is_not_defined() -> None:
    assert math.isnan(frame_kappa(NOTHING, NOTHING, 100))
    assert frame_kappa(NOTHING, events((10, 20)), 100) == 0.0
    with pytest.raises(ParameterError, match="expected a recording of at least one frame"):
        frame_kappa(NOTHING, NOTHING, 0.5)


# Agreement


def test_icc_is_that_of_shrout_and_fleiss() -> None:
    judges = [[9, 2, 5, 8], [6, 1, 3, 2], [8, 4, 6, 8], [7, 1, 2, 6], [10, 5, 6, 9], [6, 2, 4, 7]]
    assert round(icc(judges), 2) == 0.29  # Table 4 of the paper


def test_icc_falls_with_a_shift_and_knows_its_limits() -> None:
    index = np.array([2.0, 8.0, 20.0, 44.0])
    assert icc(np.column_stack([index, index])) == 1.0
    assert icc(np.column_stack([index, index + 20])) < 0.8
    assert math.isnan(icc([[4.1, 4.1], [4.1, 4.1], [4.1, 4.1]]))
    assert math.isnan(icc([[1.0, 2.0]]))
    with pytest.raises(ParameterError, match=r"shape \(4,\); expected \(n_targets, n_raters\)"):
        icc(index)
    with pytest.raises(ParameterError, match="NaN or infinite"):
        icc([[1, np.nan], [2, 3]])


@pytest.mark.parametrize(
    ("hits", "n", "low", "high"),
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)],
)
def test_wilson_intervals_are_those_of_newcombe(hits: int, n: int, low: float, high: float) -> None:
    found = wilson(hits, n)  # Table I of the paper, method 3
    assert (round(found.low, 4), round(found.high, 4)) == (low, high)
    mirrored = wilson(n - hits, n)
    assert (1 - mirrored.high, 1 - mirrored.low) == pytest.approx((found.low, found.high))


def test_wilson_without_a_single_case() -> None:
    assert all(math.isnan(value) for value in (wilson(0, 0).estimate, wilson(0, 0).low, wilson(0, 0).high))
    with pytest.raises(ParameterError, match="3 hits of 2"):
        wilson(3, 2)
    with pytest.raises(ParameterError, match="level is 95"):
        wilson(1, 2, level=95)


@pytest.mark.parametrize("weights", [None, "linear", "quadratic"])
def test_kappa_is_that_of_scikit_learn(rng, weights: Any) -> None:
    for _ in range(20):
        a = rng.integers(0, 4, 30)
        b = np.clip(a + rng.integers(-1, 2, 30), 0, 3)
        counts = confusion_matrix(a, b, labels=range(4))
        expected = cohen_kappa_score(a, b, labels=range(4), weights=weights)
        assert cohen_kappa(counts, weights=weights) == pytest.approx(expected)


def test_kappa_knows_its_limits() -> None:
    assert math.isnan(cohen_kappa([[9, 0], [0, 0]]))
    assert math.isnan(cohen_kappa(np.zeros((4, 4))))
    with pytest.raises(ParameterError, match="expected a square table"):
        cohen_kappa([[1, 2, 3], [4, 5, 6]])
    with pytest.raises(ParameterError, match="weights is 'cubic'"):
        cohen_kappa(np.eye(2), weights="cubic")  # type: ignore[arg-type]


def test_limits_of_agreement_are_those_of_bland_and_altman() -> None:
    # Peak expiratory flow by two meters, Lancet 1986;1:307-310; there limits are 2 and not 1.96 deviations away
    wright = [494, 395, 516, 434, 476, 557, 413, 442, 650, 433, 417, 656, 267, 478, 178, 423, 427]
    mini = [512, 430, 520, 428, 500, 600, 364, 380, 658, 445, 432, 626, 260, 477, 259, 350, 451]
    found = bland_altman(mini, wright)
    assert found.loc["bias"].round(1).tolist() == [-2.1, -22.0, 17.8]
    sd = (found.loc["limit_high", "estimate"] - found.loc["limit_low", "estimate"]) / (2 * 1.96)
    assert round(sd, 1) == 38.8
    half_widths = (found["high"] - found["low"])[["limit_low", "limit_high"]] / 2
    assert half_widths.tolist() == pytest.approx([34.6, 34.6], abs=0.5)  # there by the rounder root of 3 / n


def test_limits_of_one_night_or_none() -> None:
    found = bland_altman([10.0], [12.0])
    assert found.loc["bias", "estimate"] == 2.0
    assert found.drop(columns="estimate").isna().all(axis=None)
    assert found["estimate"].isna().tolist() == [False, True, True]
    with pytest.raises(ParameterError, match=r"shapes \(2,\) and \(1,\)"):
        bland_altman([1, 2], [1])
    with pytest.raises(ParameterError, match="does not hold numbers"):
        bland_altman(["a"], [1])


# Many nights


@pytest.fixture(scope="module")
def nights() -> list[tuple[str, pd.DataFrame, pd.DataFrame, float]]:
    rng = np.random.default_rng(5)
    made = []
    for number, per_hour in enumerate([0, 2, 4, 8, 10, 16, 20, 28, 35, 50]):
        hours = 0.5 + 0.1 * number
        reference = random_events(rng, round(per_hour * hours), 3600 * hours)
        kept = reference[rng.random(len(reference)) < 0.8].copy()
        kept[["start_s", "end_s"]] += rng.normal(0, 4, (len(kept), 1))
        false = random_events(rng, int(rng.integers(0, 4)), 3600 * hours)
        made.append((f"night {number}", reference, pd.concat([kept, false]), hours))
    return made


@pytest.fixture(scope="module")
def scores(nights) -> NightScores:
    return score_nights(nights, n_resamples=200)


def test_a_night_among_many_is_scored_as_alone(nights, scores: NightScores) -> None:
    for name, reference, detected, hours in nights:
        alone, row = score_events(reference, detected, hours=hours), scores.per_night.loc[name]
        for rule in RULES:
            for field, value in alone.to_dict()[rule].items():
                expected = math.nan if value is None else value
                assert row[f"{rule}_{field.removeprefix('n_')}"] == pytest.approx(expected, nan_ok=True)
        assert row["index_reference"] == len(reference) / hours
        assert row["index_error"] == pytest.approx((len(detected) - len(reference)) / hours)


@pytest.mark.parametrize("rule", list(RULES))
def test_pooled_scores_are_those_of_the_nights_one_after_another(nights, scores: NightScores, rule: str) -> None:
    def joined(which: int) -> pd.DataFrame:
        return pd.concat(
            [
                night[which].assign(start_s=night[which]["start_s"] + 1e5 * n, end_s=night[which]["end_s"] + 1e5 * n)
                for n, night in enumerate(nights)
            ]
        )

    whole = getattr(score_events(joined(1), joined(2), hours=sum(night[3] for night in nights)), rule)
    for name in ("precision", "recall", "f1", "false_per_hour", "onset_error_s"):
        assert scores.summary.loc[f"{rule}_{name}", "estimate"] == pytest.approx(getattr(whole, name))
    for name in ("precision", "recall", "f1"):
        expected = np.nanmedian(scores.per_night[f"{rule}_{name}"])
        assert scores.summary.loc[f"{rule}_{name}_median", "estimate"] == expected


def test_events_per_hour_are_compared(scores: NightScores) -> None:
    a, b = scores.per_night["index_reference"], scores.per_night["index_detected"]
    estimate = scores.summary["estimate"]
    assert estimate["index_mae"] == pytest.approx((b - a).abs().mean())
    assert estimate["index_pearson"] == pytest.approx(a.corr(b))
    assert estimate["index_icc"] == pytest.approx(icc(np.column_stack([a, b])))
    limits = scores.summary.loc[["index_bias", "index_limit_low", "index_limit_high"], ["estimate", "low", "high"]]
    np.testing.assert_allclose(limits, bland_altman(a, b))


def test_nights_above_a_cut_are_counted(scores: NightScores) -> None:
    a, b = scores.per_night["index_reference"], scores.per_night["index_detected"]
    for cut in (5, 15, 30):
        (tn, fp), (fn, tp) = confusion_matrix(a >= cut, b >= cut).tolist()
        for name, hits, n in (
            ("sensitivity", tp, tp + fn),
            ("specificity", tn, tn + fp),
            ("ppv", tp, tp + fp),
            ("npv", tn, tn + fn),
        ):
            expected, row = wilson(hits, n), scores.summary.loc[f"{name}_{cut}"]
            assert row[["estimate", "low", "high"]].tolist() == [expected.estimate, expected.low, expected.high]
            assert row["n"] == n


def test_a_night_on_a_cut_lies_above_it() -> None:
    five, four = (events(*((100 * n, 100 * n + 20) for n in range(count))) for count in (5, 4))
    found = score_nights([("a", five, four, 1.0)])
    assert found.bands.loc["5 to 15", "below 5"] == 1
    assert found.summary.loc["sensitivity_5", ["estimate", "n"]].tolist() == [0.0, 1]
    assert found.summary.loc["ppv_5", "n"] == 0
    assert math.isnan(found.summary.loc["ppv_5", "estimate"])


def test_bands_and_their_kappas(scores: NightScores) -> None:
    a, b = (
        pd.cut(scores.per_night[f"index_{name}"], [0, 5, 15, 30, np.inf], right=False, labels=BANDS)
        for name in ("reference", "detected")
    )
    np.testing.assert_array_equal(scores.bands, confusion_matrix(a, b, labels=list(BANDS)))
    assert scores.bands.to_numpy().sum() == 10
    codes = a.cat.codes, b.cat.codes
    assert scores.summary.loc["band_kappa", "estimate"] == pytest.approx(cohen_kappa_score(*codes))
    assert scores.summary.loc["band_kappa_linear", "estimate"] == pytest.approx(
        cohen_kappa_score(*codes, weights="linear")
    )


def test_intervals_come_from_drawing_nights(scores: NightScores) -> None:
    table = scores.per_night
    expected = bootstrap("mae", table["index_reference"], table["index_detected"], table.index, n_resamples=200)
    assert scores.summary.loc["index_mae", ["low", "high"]].tolist() == pytest.approx([expected.low, expected.high])
    drawn = scores.summary[scores.summary["interval"] == "bootstrap"]
    assert len(drawn) == 21
    assert (drawn["low"] <= drawn["high"]).all()
    assert (drawn["high"] > drawn["low"]).sum() >= 19


def test_the_order_of_the_nights_does_not_matter(nights, scores: NightScores) -> None:
    found = score_nights(nights[::-1], n_resamples=200)
    pd.testing.assert_frame_equal(found.summary, scores.summary)


def test_one_night_has_no_interval_over_nights() -> None:
    found = score_nights([("only", events((1, 20)), events((2, 20)), 1.0)])
    drawn = found.summary[found.summary["interval"] != "Wilson"]
    assert drawn[["low", "high"]].isna().all(axis=None)
    assert found.summary.loc["iou_f1", "estimate"] == 1.0
    assert found.summary.loc["specificity_5", ["estimate", "n"]].tolist() == [1.0, 1]


def test_nights_without_any_event_leave_the_undefined_undefined() -> None:
    found = score_nights([(name, NOTHING, NOTHING, 7.0) for name in "abc"], n_resamples=20)
    assert found.summary.loc[["iou_precision", "iou_recall", "iou_f1", "band_kappa"], "estimate"].isna().all()
    assert found.summary.loc["iou_f1", "n_undefined"] == 20
    assert found.summary.loc["index_mae", "estimate"] == 0.0
    assert "nan" not in str(found)


def test_the_text_and_the_dict_say_what_the_tables_say(scores: NightScores) -> None:
    text = scores.to_markdown()
    assert "nan" not in text
    row = scores.summary.loc["iou_f1"]
    assert f"{row['estimate']:.2f} [{row['low']:.2f}, {row['high']:.2f}]" in text
    assert "with fewer than 20 nights it is too narrow" in text
    assert "| night 0 " in text
    rows = [line for line in text.splitlines() if line.startswith("|")]
    assert {len(line) for line in rows[:6]} == {len(rows[0])}
    found = json.loads(json.dumps(scores.to_dict(), allow_nan=False))
    assert found["summary"][0]["estimate"] == scores.summary["estimate"].iloc[0]
    assert found["per_night"][3]["night"] == "night 3"
    assert found["per_night"][0]["iou_recall"] is None
    assert np.sum(found["bands"]) == 10
    assert repr(scores).startswith("<NightScores of 10 nights: F1 ")


def test_a_name_with_a_bar_keeps_its_cell() -> None:
    text = score_nights([("left|right", NOTHING, NOTHING, 1.0)]).to_markdown()
    assert "left\\|right" in text


@pytest.mark.parametrize(
    ("nights", "words"),
    [
        ([], "there is no night"),
        ([("a", NOTHING, NOTHING, 1.0)] * 2, "two nights 'a'"),
        ([("a", NOTHING, NOTHING)], "expected name, reference, detected, hours"),
        ([("a", NOTHING, NOTHING, None)], "night 'a' has no hours"),
        ([("a", NOTHING, NOTHING, 0)], "night 'a': hours is 0"),
        ([("a", NOTHING, {}, 1.0)], "night 'a': detected has dict"),
    ],
)
def test_nights_that_cannot_be_scored(nights: Any, words: str) -> None:
    with pytest.raises(ParameterError, match=words):
        score_nights(nights)
