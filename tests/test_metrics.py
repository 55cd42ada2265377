"""Truth here is a formula, a table worked out by hand, or scikit-learn and scipy as second implementation."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable
from functools import partial

import numpy as np
import pandas as pd
import pytest
import sklearn.metrics
from scipy import stats

from vocalbio import metrics
from vocalbio.errors import ParameterError, VocalbioWarning

EMOTIONS = np.array(["neutral", "sad", "anxious"])
ILL = [1, 1, 1, 1, 0, 0, 0, 0, 0, 0]
RISK = [0.9, 0.8, 0.4, 0.2, 0.7, 0.6, 0.3, 0.2, 0.1, 0.1]


@pytest.fixture
def heard(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """True and predicted emotion of 300 utterances, right half of the time."""
    truth = EMOTIONS[rng.choice(3, size=300, p=[0.5, 0.3, 0.2])]
    return truth, np.where(rng.random(300) < 0.5, truth, EMOTIONS[rng.integers(3, size=300)])


@pytest.fixture
def screened(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Illness and risk of 200 people; risks are rounded, so that many are tied."""
    ill = rng.random(200) < 0.3
    return ill, np.round(np.clip(0.25 * ill + 0.75 * rng.random(200), 0, 1), 1)


@pytest.fixture
def rated(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """PHQ-8 totals of 60 people and what a model said."""
    totals = rng.integers(0, 25, size=60)
    return totals, 0.5 * totals + 4 + rng.normal(0, 3, size=60)


# Against the other implementation ------------------------------------------------------------------------


def test_uar_is_balanced_accuracy(heard: tuple[np.ndarray, np.ndarray]) -> None:
    assert metrics.uar(*heard) == pytest.approx(sklearn.metrics.balanced_accuracy_score(*heard))


def test_always_saying_the_commonest_class_has_the_uar_of_chance() -> None:
    assert metrics.uar(["sad"] * 97 + ["neutral", "anxious", "angry"], ["sad"] * 100) == 0.25


def test_predicting_a_class_that_never_occurs_is_an_error_of_the_class_that_was_true() -> None:
    assert metrics.uar(["sad", "sad", "neutral"], ["angry", "sad", "neutral"]) == pytest.approx(0.75)


def test_precision_recall_and_f1_by_hand() -> None:
    truth = ["snore"] * 4 + ["apnea"] * 4 + ["normal"] * 2
    predicted = ["snore", "snore", "snore", "apnea", "apnea", "apnea", "normal", "normal", "normal", "snore"]
    table = metrics.precision_recall_f1(truth, predicted, classes=["normal", "snore", "apnea"])
    expected = pd.DataFrame(
        {
            "precision": [1 / 3, 3 / 4, 2 / 3, (1 / 3 + 3 / 4 + 2 / 3) / 3, 0.6],
            "recall": [1 / 2, 3 / 4, 2 / 4, (1 / 2 + 3 / 4 + 2 / 4) / 3, 0.6],
            "f1": [2 / 5, 3 / 4, 4 / 7, (2 / 5 + 3 / 4 + 4 / 7) / 3, 0.6],
            "n": [2, 4, 4, 10, 10],
        },
        index=pd.Index(["normal", "snore", "apnea", "macro", "micro"], name="class"),
    )
    pd.testing.assert_frame_equal(table, expected, check_index_type=False)


@pytest.mark.parametrize("average", ["macro", "micro"])
def test_averages_of_precision_recall_and_f1_are_those_of_scikit_learn(
    heard: tuple[np.ndarray, np.ndarray], average: str
) -> None:
    expected = sklearn.metrics.precision_recall_fscore_support(*heard, average=average)[:3]
    line = metrics.precision_recall_f1(*heard).loc[average, ["precision", "recall", "f1"]]
    assert line.tolist() == pytest.approx(expected)


def test_precision_of_a_class_never_predicted_is_missing_and_so_is_the_macro_average() -> None:
    table = metrics.precision_recall_f1([0, 0, 1, 1], [1, 1, 1, 1])
    assert np.isnan(table.loc[0, "precision"])
    assert np.isnan(table.loc["macro", "precision"])
    assert table.loc[0, ["recall", "f1"]].tolist() == [0, 0]
    assert table.loc["macro", "f1"] == pytest.approx((0 + 2 / 3) / 2)


def test_confusion_counts_each_pair_with_the_truth_in_the_rows(heard: tuple[np.ndarray, np.ndarray]) -> None:
    table = metrics.confusion(*heard, classes=EMOTIONS)
    assert table.index.tolist() == table.columns.tolist() == EMOTIONS.tolist()
    assert (table.index.name, table.columns.name) == ("true", "predicted")
    for true in EMOTIONS:
        for predicted in EMOTIONS:
            assert table.loc[true, predicted] == np.sum((heard[0] == true) & (heard[1] == predicted))


def test_auroc_and_auprc_agree_with_scikit_learn_ties_included(
    screened: tuple[np.ndarray, np.ndarray],
) -> None:
    assert metrics.auroc(*screened) == pytest.approx(sklearn.metrics.roc_auc_score(*screened))
    assert metrics.auprc(*screened) == pytest.approx(sklearn.metrics.average_precision_score(*screened))


def test_auprc_of_equal_scores_is_the_prevalence() -> None:
    assert metrics.auprc(ILL, [0.5] * 10) == pytest.approx(0.4)


def test_auroc_and_auprc_of_three_classes_are_the_mean_of_one_against_the_rest(
    rng: np.random.Generator,
) -> None:
    truth = EMOTIONS[rng.integers(3, size=120)]
    probabilities = rng.dirichlet(np.ones(3), size=120) + 0.4 * (truth[:, None] == EMOTIONS)
    probabilities /= probabilities.sum(axis=1, keepdims=True)
    order = np.argsort(EMOTIONS)  # scikit-learn wants its classes sorted, we take them as they come
    area = sklearn.metrics.roc_auc_score(truth, probabilities[:, order], multi_class="ovr")
    assert metrics.auroc(truth, probabilities, classes=EMOTIONS) == pytest.approx(area)
    precision = sklearn.metrics.average_precision_score(truth[:, None] == EMOTIONS, probabilities)
    assert metrics.auprc(truth, probabilities, classes=EMOTIONS) == pytest.approx(precision)


def test_brier_of_two_classes_agrees_with_scikit_learn(screened: tuple[np.ndarray, np.ndarray]) -> None:
    assert metrics.brier(*screened) == pytest.approx(sklearn.metrics.brier_score_loss(*screened))


def test_brier_of_several_classes_sums_over_them() -> None:
    # (0.5 - 1)^2 + 0.3^2 + 0.2^2 = 0.38 and 0 + 0 + 0
    probabilities = np.array([[0.5, 0.3, 0.2], [0, 1, 0]])
    assert metrics.brier(["neutral", "sad"], probabilities, classes=EMOTIONS) == pytest.approx(0.19)
    uniform = np.full((2, 3), 1 / 3)
    assert metrics.brier(["neutral", "sad"], uniform, classes=EMOTIONS) == pytest.approx(2 / 3)


def test_concordance_falls_below_correlation_by_shift_and_scale(rated: tuple[np.ndarray, np.ndarray]) -> None:
    x, y = rated
    # Lin 1989: concordance = correlation times a bias term of the two means and deviations
    scale, shift = x.std() / y.std(), (x.mean() - y.mean()) / np.sqrt(x.std() * y.std())
    bias = 2 / (scale + 1 / scale + shift**2)
    assert metrics.ccc(x, y) == pytest.approx(stats.pearsonr(x, y).statistic * bias)
    assert metrics.ccc(x, x) == pytest.approx(1)
    assert metrics.ccc(x, -x.astype(float) + 2 * x.mean()) == pytest.approx(-1)


def test_a_constant_prediction_has_no_concordance(rated: tuple[np.ndarray, np.ndarray]) -> None:
    assert metrics.ccc(rated[0], np.full(60, 7.1)) == pytest.approx(0, abs=1e-12)


def test_mae_and_rmse_agree_with_scikit_learn(rated: tuple[np.ndarray, np.ndarray]) -> None:
    assert metrics.mae(*rated) == pytest.approx(sklearn.metrics.mean_absolute_error(*rated))
    assert metrics.rmse(*rated) == pytest.approx(sklearn.metrics.root_mean_squared_error(*rated))


# Calibration ---------------------------------------------------------------------------------------------


def test_reliability_table_by_hand() -> None:
    scores = [0.1, 0.2, 0.3, 0.4, 0.5, 0.9]
    table = metrics.reliability_table([0, 0, 0, 1, 1, 1], scores, n_bins=3)
    assert table["mean_score"].tolist() == pytest.approx([0.15, 0.35, 0.7])
    assert table["observed_fraction"].tolist() == pytest.approx([0, 0.5, 1])
    assert table["n"].tolist() == [2, 2, 2]
    error = (0.15 + 0.15 + 0.3) / 3
    assert metrics.ece([0, 0, 0, 1, 1, 1], scores, n_bins=3) == pytest.approx(error)


def test_bins_hold_equally_many_rows(rng: np.random.Generator) -> None:
    scores = rng.beta(1, 8, size=200)  # crowded near 0, where bins of equal width would be lopsided
    assert metrics.reliability_table(rng.random(200) < scores, scores)["n"].tolist() == [20] * 10


def test_equal_scores_share_a_bin_and_the_order_of_rows_does_not_matter(
    screened: tuple[np.ndarray, np.ndarray], rng: np.random.Generator
) -> None:
    ill, risk = screened
    table = metrics.reliability_table(ill, risk)
    assert table["n"].sum() == 200
    assert table["mean_score"].is_monotonic_increasing
    shuffled = rng.permutation(200)
    pd.testing.assert_frame_equal(metrics.reliability_table(ill[shuffled], risk[shuffled]), table)
    assert metrics.reliability_table(ill, np.full(200, 0.3)).to_numpy().tolist() == [
        pytest.approx([0.3, ill.mean(), 200])
    ]


def test_calibration_error_is_small_for_honest_scores_and_large_for_overconfident_ones(
    rng: np.random.Generator,
) -> None:
    honest = rng.random(20_000)
    happened = rng.random(20_000) < honest
    assert metrics.ece(happened, honest) < 0.02
    # a model that says 0 or 1 where it should say p is wrong by min(p, 1 - p), 0.25 on average
    assert metrics.ece(happened, honest > 0.5) == pytest.approx(0.25, abs=0.02)


# At a threshold ------------------------------------------------------------------------------------------


def test_the_four_fractions_at_a_threshold_by_hand() -> None:
    # 0.6 and above: 2 of 4 ill, 2 of 6 well; below: 2 ill, 4 well
    table = metrics.sensitivity_specificity(ILL, RISK, threshold=0.6)
    assert table.to_dict() == pytest.approx({"sensitivity": 2 / 4, "specificity": 4 / 6, "ppv": 2 / 4, "npv": 4 / 6})


def test_the_four_fractions_agree_with_scikit_learn(screened: tuple[np.ndarray, np.ndarray]) -> None:
    ill, risk = screened
    positive = risk >= 0.4
    recall, precision = sklearn.metrics.recall_score, sklearn.metrics.precision_score
    assert metrics.sensitivity_specificity(ill, risk, threshold=0.4).tolist() == pytest.approx(
        [
            recall(ill, positive),
            recall(ill, positive, pos_label=False),
            precision(ill, positive),
            precision(ill, positive, pos_label=False),
        ]
    )


@pytest.mark.parametrize("wanted", [0.25, 0.5, 0.75, 0.9, 1.0])
def test_threshold_for_a_sensitivity_reaches_it_and_none_higher_does(
    screened: tuple[np.ndarray, np.ndarray], wanted: float
) -> None:
    ill, risk = screened
    threshold = metrics.threshold_at_sensitivity(ill, risk, sensitivity=wanted)
    assert metrics.sensitivity(ill, risk, threshold=threshold) >= wanted
    assert metrics.sensitivity(ill, risk, threshold=np.nextafter(threshold, 2)) < wanted


def test_a_fraction_that_rounds_up_asks_for_no_further_row() -> None:
    # 0.55 * 100 is 55.00000000000001 in floating point
    assert metrics.threshold_at_sensitivity([1] * 100, np.arange(100), sensitivity=0.55) == 45


# What is not defined is NaN and says so ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (partial(metrics.auroc, [1, 1], [0.2, 0.7]), "every row is of class 1"),
        (partial(metrics.auprc, [0, 0], [0.2, 0.7]), "no row is of class 1"),
        (partial(metrics.auroc, ["sad"] * 2, np.eye(2), classes=["sad", "neutral"]), "every row .* 'sad'"),
        (partial(metrics.uar, ["sad"], ["sad"], classes=["sad", "neutral"]), "no row of class 'neutral'"),
        (partial(metrics.ccc, [0.1] * 3, [0.1] * 3), "every value .* the same"),
        (partial(metrics.sensitivity, [0, 0], [0.2, 0.7]), "no positive row"),
        (partial(metrics.specificity, [1, 1], [0.2, 0.7]), "no negative row"),
        (partial(metrics.ppv, [0, 1], [0.2, 0.4]), "no row scores 0.5 or more"),
        (partial(metrics.npv, [0, 1], [0.6, 0.7]), "no row scores below 0.5"),
        (partial(metrics.threshold_at_sensitivity, [0, 0], [0.6, 0.7]), "no positive row"),
    ],
)
def test_undefined_is_nan_with_the_reason(value: Callable[[], float], reason: str) -> None:
    with pytest.warns(VocalbioWarning, match=f"{reason}.*NaN") as caught:
        assert np.isnan(value())
    assert caught[0].filename == __file__


# Bad input -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("metric", [metrics.uar, metrics.auroc, metrics.ece, metrics.ccc, metrics.npv])
@pytest.mark.parametrize(
    ("y_true", "y_pred", "message"),
    [
        ([0, 1, 1], [0, 1], r"differ in length \(y_true 3, y_\w+ 2\)"),
        ([], [], "y_true is empty"),
        ([0, 1], [0.0, np.nan], "1 missing values .* leave those rows out"),
        ([0, None], [0, 1], "y_true holds 1 missing"),
        ([0, 1], [0, np.inf], "infinite"),
        ([[0], [1]], [0, 1], r"y_true has shape \(2, 1\); expected one value a row"),
        ([[0], [1, 2]], [0, 1], "y_true holds rows of different lengths"),
        (np.array(["a", 1], dtype=object), [0, 1], "y_true holds 1 texts among 2 values"),
        (np.array(["2026-01-01"], dtype="datetime64[D]"), [0], "datetime64"),
    ],
)
def test_one_gate_for_all_metrics(metric: metrics.Metric, y_true: object, y_pred: object, message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        metric(y_true, y_pred)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (partial(metrics.uar, [0, 1], [0.2, 0.7]), "y_pred holds 0.2; expected class labels"),
        (partial(metrics.uar, [0, 1], ["0", "1"]), "y_true holds 0 and y_pred '0'"),
        (partial(metrics.uar, ["sad"], ["sad"], classes=["happy"]), "'sad', which is not among the classes"),
        (partial(metrics.confusion, ["sad"], ["glad"], classes=["sad"]), "y_pred holds 'glad'"),
        (partial(metrics.confusion, [1], [1], classes=[1, 1]), "expected each name once"),
        (partial(metrics.auroc, ["sad", "glad"], [0.1, 0.2]), "y_true holds 'sad'; expected 0/1"),
        (partial(metrics.auroc, [0, 2], [0.1, 0.2]), "y_true holds 2; expected 0/1"),
        (partial(metrics.auroc, [0, 1], [[0.1, 0.9], [0.2, 0.8]]), r"pass the positive one alone"),
        (partial(metrics.auroc, [0, 1], [0.1, 0.9], classes=[0, 1]), "leave it out"),
        (partial(metrics.auroc, [0, 1], np.eye(2), classes=[0, 1, 2]), "2 columns for the 3 classes"),
        (partial(metrics.brier, [0, 1], [10, 70]), "expected probabilities between 0 and 1"),
        (partial(metrics.brier, [0, 1], np.full((2, 2), 0.7), classes=[0, 1]), "sums to 1.4"),
        (partial(metrics.ece, [0, 1], [-0.1, 1]), "holds -0.1; expected probabilities"),
        (partial(metrics.ece, [0, 1], [0.1, 1], n_bins=0), "n_bins is 0"),
        (partial(metrics.mae, ["a"], ["b"]), "y_true holds text such as 'a'; expected numbers"),
        (partial(metrics.threshold_at_sensitivity, [0, 1], [0.1, 1], sensitivity=90), "sensitivity is 90"),
    ],
)
def test_bad_input_is_named(call: Callable[[], object], message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        call()


def test_tables_of_pandas_are_read_by_position() -> None:
    truth = pd.Series(["sad", "neutral"], index=[7, 9], dtype="category")
    assert metrics.uar(truth, pd.Series(["sad", "neutral"], dtype="string")) == 1
    assert metrics.mae(pd.Series([3, 5], dtype="Int64"), pd.Series([4.0, 4.0], index=[5, 1])) == 1


# Intervals over speakers ---------------------------------------------------------------------------------


def mean_prediction(y_true: np.ndarray, y_pred: np.ndarray) -> float:
    return float(y_pred.mean())


def width(interval: metrics.Interval) -> float:
    return interval.high - interval.low


def emotions_by_speaker(
    rng: np.random.Generator, n_speakers: int, n_each: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Truth, prediction and speaker of each utterance; some speakers are much easier than others."""
    speakers = np.repeat([f"S{number:02d}" for number in range(n_speakers)], n_each)
    truth = np.tile(np.resize(EMOTIONS, n_each), n_speakers)
    ease = np.repeat(rng.uniform(0.2, 1.0, size=n_speakers), n_each)
    guess = EMOTIONS[rng.integers(3, size=truth.size)]
    return truth, np.where(rng.random(truth.size) < ease, truth, guess), speakers


def test_the_interval_of_a_mean_covers_the_truth_about_as_often_as_it_says() -> None:
    covered = 0
    for repeat in range(200):
        rng = np.random.default_rng(repeat)
        of_speaker = rng.normal(0.6, 0.1, size=20)
        scores = np.repeat(of_speaker, 5) + rng.normal(0, 0.05, size=100)
        interval = metrics.bootstrap(
            mean_prediction, np.zeros(100), scores, np.repeat(np.arange(20), 5), n_resamples=200
        )
        covered += interval.low <= 0.6 <= interval.high
    assert 0.87 <= covered / 200 <= 0.98


def test_the_interval_of_independent_people_is_that_of_the_textbook(rng: np.random.Generator) -> None:
    errors = rng.normal(0, 1, size=400)
    interval = metrics.bootstrap(mean_prediction, np.zeros(400), errors, np.arange(400), n_resamples=4000)
    textbook = stats.norm.interval(0.95, loc=errors.mean(), scale=stats.sem(errors))
    assert (interval.low, interval.high) == pytest.approx(textbook, abs=0.01)
    assert interval.estimate == errors.mean()
    assert interval.n_groups == 400


def test_copies_of_a_speakers_rows_do_not_narrow_the_interval(rng: np.random.Generator) -> None:
    truth, predicted, speakers = emotions_by_speaker(rng, 16, 12)
    copies = [np.tile(column, 10) for column in (truth, predicted, speakers)]
    once = metrics.bootstrap("uar", truth, predicted, speakers)
    ten_times = metrics.bootstrap("uar", *copies)
    assert (ten_times.low, ten_times.high) == pytest.approx((once.low, once.high))
    by_rows = metrics.bootstrap("uar", *copies[:2], groups=np.arange(copies[0].size))
    assert width(by_rows) < 0.4 * width(once)


def test_a_wider_level_holds_the_narrower_one(rng: np.random.Generator) -> None:
    table = emotions_by_speaker(rng, 16, 12)
    narrow, wide = (metrics.bootstrap("uar", *table, level=level) for level in (0.5, 0.99))
    assert wide.low < narrow.low < narrow.estimate < narrow.high < wide.high
    assert (narrow.level, wide.level) == (0.5, 0.99)


def test_the_same_seed_gives_the_same_interval_in_any_order_of_rows(rng: np.random.Generator) -> None:
    truth, predicted, speakers = emotions_by_speaker(rng, 8, 12)
    first = metrics.bootstrap("uar", truth, predicted, speakers)
    assert metrics.bootstrap("uar", truth, predicted, speakers) == first
    assert metrics.bootstrap("uar", truth, predicted, speakers, random_state=1) != first
    order = rng.permutation(truth.size)
    again = metrics.bootstrap("uar", truth[order], predicted[order], speakers[order])
    assert (again.low, again.high) == pytest.approx((first.low, first.high))


def test_several_seeds_are_averaged_within_each_draw(rng: np.random.Generator) -> None:
    totals = rng.integers(0, 25, size=60).astype(float)
    runs = [totals + rng.normal(0, 3, size=60) for _ in range(3)]
    people = np.arange(60)
    together = metrics.bootstrap("mae", totals, runs, people)
    assert together.estimate == pytest.approx(np.mean([metrics.mae(totals, run) for run in runs]))
    # the mean of absolute errors over runs is the absolute error of a run whose errors are that mean
    mean_error = np.mean([np.abs(run - totals) for run in runs], axis=0)
    same = metrics.bootstrap("mae", totals, totals + mean_error, people)
    assert (together.low, together.high) == pytest.approx((same.low, same.high))


def test_probabilities_of_several_classes_go_through_a_bound_metric(rng: np.random.Generator) -> None:
    truth, _, speakers = emotions_by_speaker(rng, 10, 12)
    probabilities = rng.dirichlet(np.ones(3), size=truth.size)
    metric = partial(metrics.auroc, classes=EMOTIONS)
    one = metrics.bootstrap(metric, truth, probabilities, speakers, n_resamples=50)
    assert one.estimate == metrics.auroc(truth, probabilities, classes=EMOTIONS)
    assert metrics.bootstrap(metric, truth, [probabilities] * 2, speakers, n_resamples=50) == one


def test_the_difference_of_similar_systems_is_surer_than_either_system(rng: np.random.Generator) -> None:
    truth, first, speakers = emotions_by_speaker(rng, 16, 12)
    second = np.where(rng.random(truth.size) < 0.9, first, EMOTIONS[rng.integers(3, size=truth.size)])
    difference = metrics.paired_difference("uar", truth, first, second, speakers)
    alone = [metrics.bootstrap("uar", truth, predicted, speakers) for predicted in (first, second)]
    assert difference.estimate == pytest.approx(alone[0].estimate - alone[1].estimate)
    assert width(difference) < 0.6 * np.hypot(width(alone[0]), width(alone[1]))


def test_a_system_does_not_differ_from_itself_over_any_seed(rng: np.random.Generator) -> None:
    truth, predicted, speakers = emotions_by_speaker(rng, 6, 12)
    difference = metrics.paired_difference("uar", truth, [predicted, predicted], predicted, speakers)
    assert (difference.estimate, difference.low, difference.high) == (0, 0, 0)


def test_draws_without_a_positive_speaker_are_left_out_and_counted() -> None:
    ill, risk = [1, 0, 0, 0], [0.9, 0.2, 0.4, 0.1]
    with pytest.warns(VocalbioWarning, match="not defined on .* draws of 4 speakers"):
        interval = metrics.bootstrap("auroc", ill, risk, list("abcd"), n_resamples=2000)
    # a draw lacks the one ill speaker with probability (3/4)^4 and holds nobody else with (1/4)^4
    assert interval.n_undefined / 2000 == pytest.approx((3 / 4) ** 4 + (1 / 4) ** 4, abs=0.03)
    assert (interval.low, interval.high) == (1, 1)


def test_uar_of_a_draw_that_lacks_a_class_is_not_an_average_over_fewer() -> None:
    truth = ["sad", "neutral", "anxious"]
    with pytest.warns(VocalbioWarning, match="not defined"):
        interval = metrics.bootstrap("uar", truth, truth, [1, 2, 3])
    # all three speakers are drawn with probability 3! / 3^3
    assert interval.n_undefined / 1000 == pytest.approx(1 - 6 / 27, abs=0.05)


def test_a_metric_defined_on_no_draw_has_no_interval() -> None:
    with pytest.warns(VocalbioWarning, match="every row"), pytest.warns(match="1000 of 1000"):
        interval = metrics.bootstrap("auroc", [1, 1], [0.1, 0.2], [1, 2])
    assert np.isnan([interval.estimate, interval.low, interval.high]).all()


def test_a_few_undefined_draws_need_no_warning(rng: np.random.Generator) -> None:
    ill = np.arange(16) < 5
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        metrics.bootstrap("auroc", ill, rng.random(16), np.arange(16))


def test_an_interval_reads_well() -> None:
    assert str(metrics.Interval(0.694, 0.63, 0.75, level=0.95, n_groups=16)) == "0.69 [0.63, 0.75]"
    assert str(metrics.Interval(-0.001, -0.1, 0.05, level=0.95, n_groups=16)) == "0.00 [-0.10, 0.05]"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"groups": ["a"] * 4}, "groups holds one speaker, 'a'; .* at least two"),
        ({"groups": ["a", "b"]}, "y_true 4, groups 2"),
        ({"groups": ["a", "b", "c", None]}, "groups holds 1 missing"),
        ({"y_pred": [0, 1]}, "y_true 4, y_pred 2"),
        ({"y_pred": [[0, 1, 1, 0], [0, 1]]}, "y_true 4, y_pred 2"),
        ({"y_pred": []}, "y_pred is empty"),
        ({"y_pred": np.zeros((4, 0))}, "y_pred is empty"),
        ({"metric": "accuracy"}, "metric is 'accuracy'; expected a function or one of uar, auroc"),
        ({"metric": 3}, "metric is 3"),
        ({"metric": metrics.confusion}, "the metric gave a DataFrame; expected one number"),
        ({"n_resamples": 0}, "n_resamples is 0"),
        ({"level": 95}, "level is 95"),
        ({"random_state": None}, "random_state is None"),
    ],
)
def test_a_bad_request_for_an_interval_is_named(change: dict[str, object], message: str) -> None:
    request = {"metric": "uar", "y_true": [0, 1, 1, 0], "y_pred": [0, 1, 0, 0], "groups": list("abcd")}
    with pytest.raises(ParameterError, match=message):
        metrics.bootstrap(**{**request, **change})  # type: ignore[arg-type]


def test_a_thousand_draws_of_a_thousand_utterances_take_seconds(rng: np.random.Generator) -> None:
    table = emotions_by_speaker(rng, 16, 60)
    start = time.perf_counter()
    metrics.bootstrap("uar", *table)
    assert time.perf_counter() - start < 3
