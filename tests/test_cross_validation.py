"""Cross-validation: nobody on both sides, what is trivial beside it, and intervals over speakers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import soundfile
from sklearn.base import BaseEstimator, ClassifierMixin
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import GridSearchCV, KFold, RandomizedSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.svm import LinearSVC

from vocalbio.datasets import Sequences
from vocalbio.errors import LeakageError, ParameterError
from vocalbio.evaluation import compare, cross_validate, out_of_fold
from vocalbio.evaluation.scores import Task, at_level
from vocalbio.metrics import bootstrap, ccc, mae, paired_difference

N_SPEAKERS, N_EACH = 16, 6
SPEAKERS = np.repeat([f"S{number:02}" for number in range(N_SPEAKERS)], N_EACH)
ILL = np.tile([0, 1, 1], N_SPEAKERS * N_EACH // 3)  # every speaker has both labels
FAST: dict[str, Any] = {"groups": SPEAKERS, "n_resamples": 40}
BARE = FAST | {"baselines": False}
PERSON = pd.DataFrame(
    {"sex": ["female", "male"] * 8, "age": np.arange(20, 52, 2), "device": ["phone"] * 13 + ["studio"] * 3},
    index=np.unique(SPEAKERS),
)


class Remembering(ClassifierMixin, BaseEstimator):
    """Knows shares of classes, and remembers whom it was fitted on and with which seed."""

    seen: list[dict[str, Any]] = []  # noqa: RUF012 - shared by all clones
    stops_after: int | None = None

    def __init__(self, weight: float = 1.0, random_state: int | None = None) -> None:
        self.weight = weight
        self.random_state = random_state

    def fit(self, X: Any, y: Any, groups: Any = None) -> Remembering:
        if self.stops_after is not None and len(self.seen) >= self.stops_after:
            raise KeyboardInterrupt
        self.classes_ = np.unique(y)
        self.seen.append({"rows": np.asarray(X)[:, -1].astype(int), "groups": groups, "seed": self.random_state})
        self.shift_ = np.random.default_rng(self.random_state).normal()
        return self

    def predict_proba(self, X: Any) -> Any:
        p = 1 / (1 + np.exp(-self.weight * np.asarray(X)[:, 0] - 0.3 * self.shift_))
        return np.column_stack([1 - p, p])

    def predict(self, X: Any) -> Any:
        return self.classes_[self.predict_proba(X).argmax(axis=1)]


@pytest.fixture(autouse=True)
def _forgotten() -> None:
    Remembering.seen, Remembering.stops_after = [], None


@pytest.fixture
def table(rng: np.random.Generator) -> pd.DataFrame:
    """Jitter tells the ill, loudness a little; the last column is the number of the row."""
    n = len(ILL)
    columns = ["voice__jitter", "prosody__loudness_sma3_amean", *(f"prosody__f{number}" for number in range(8))]
    X = pd.DataFrame(rng.normal(size=(n, len(columns))), columns=columns)
    X["voice__jitter"] += 1.5 * ILL
    X["prosody__loudness_sma3_amean"] += 0.5 * ILL
    X["voice__row"] = np.arange(n, dtype=float)
    X["quality__ok"], X["quality__snr_db"], X["quality__duration_s"] = 1.0, rng.normal(30, 5, n), rng.normal(4, 1, n)
    zero, one = pd.to_timedelta(np.zeros(n), unit="s"), pd.to_timedelta(np.ones(n), unit="s")
    X.index = pd.MultiIndex.from_arrays([[f"{i}.wav" for i in range(n)], zero, one], names=["file", "start", "end"])
    return X


def windows(table: pd.DataFrame) -> pd.DataFrame:
    """The same rows as windows: three a recording, two recordings a speaker."""
    files = [f"{speaker}_{number // 3}.wav" for speaker, number in zip(SPEAKERS, np.tile(range(6), 16), strict=True)]
    start = np.tile([0, 5, 10], len(table) // 3)
    index = [files, pd.to_timedelta(start, unit="s"), pd.to_timedelta(start + 5, unit="s")]
    return table.set_index(pd.MultiIndex.from_arrays(index, names=["file", "start", "end"]))


def logistic() -> Any:
    return make_pipeline(StandardScaler(), LogisticRegression())


# Numbers -------------------------------------------------------------------------------------------------------


def test_numbers_intervals_and_differences_are_those_of_metrics(table: pd.DataFrame) -> None:
    own = {"nearly nothing": make_pipeline(StandardScaler(), LogisticRegression(C=1e-3, class_weight="balanced"))}
    result = cross_validate(logistic(), table, ILL, **FAST | {"baselines": own})
    p = out_of_fold(logistic(), table, ILL, SPEAKERS)[1].to_numpy()
    q = out_of_fold(own["nearly nothing"], table, ILL, SPEAKERS)[1].to_numpy()
    for metric, a, b in (("auroc", p, q), ("uar", p >= 0.5, q >= 0.5), ("brier", p, q), ("npv", p, q)):
        truth, found = bootstrap(metric, ILL, a, SPEAKERS, n_resamples=40), result.interval(metric)
        np.testing.assert_allclose([found.estimate, found.low, found.high], [truth.estimate, truth.low, truth.high])
        assert found.n_groups == truth.n_groups == 16
        truth = paired_difference(metric, ILL, a, b, SPEAKERS, n_resamples=40)
        line = result.table.loc[("recording", "nearly nothing", metric)]
        np.testing.assert_allclose(
            line[["difference", "difference_low", "difference_high"]].astype(float),
            [truth.estimate, truth.low, truth.high],
            atol=1e-12,
        )


def test_several_classes_are_scored_one_by_one(table: pd.DataFrame) -> None:
    state = np.array(["neutral", "sad", "anxious"])[np.arange(96) % 3]
    table["voice__jitter"] += 3 * (state == "sad")
    result = cross_validate(logistic(), table, state, **BARE)
    labels = out_of_fold(logistic(), table, state, SPEAKERS).idxmax(axis=1).to_numpy()
    assert result.interval("recall_sad").estimate == pytest.approx((labels == "sad")[state == "sad"].mean())
    precision = (state == "sad")[labels == "sad"].mean()
    recall = result.interval("recall_sad").estimate
    assert result.interval("f1_sad").estimate == pytest.approx(2 * precision * recall / (precision + recall))
    assert result.interval("uar").estimate == pytest.approx(
        np.mean([result.interval(f"recall_{name}").estimate for name in np.unique(state)])
    )


def test_severity_is_scored_by_concordance_and_error(table: pd.DataFrame, rng: np.random.Generator) -> None:
    phq8 = pd.Series(rng.integers(0, 25, 16), index=np.unique(SPEAKERS))
    table["voice__jitter"] += phq8.reindex(SPEAKERS).to_numpy() / 4
    result = cross_validate(Ridge(), table, phq8, person=PERSON, **FAST)
    X, y = table.filter(regex="^(voice|prosody)").to_numpy(), phq8.reindex(SPEAKERS).to_numpy()
    held_out = np.empty(96)
    for speaker in np.unique(SPEAKERS):
        test = speaker == SPEAKERS
        held_out[test] = Ridge().fit(X[~test], y[~test]).predict(X[test])
    by_speaker = held_out.reshape(16, 6).mean(axis=1)
    assert result.level == "speaker"
    assert result.interval("ccc").estimate == pytest.approx(ccc(phq8, by_speaker))
    assert result.interval("mae", level="recording").estimate == pytest.approx(mae(y, held_out))
    systems = result.summary().index
    assert {"mean of the cohort", "sex and age only", "loudness only", "duration only"} <= set(systems)
    assert result.interval("ccc", "mean of the cohort").estimate == 0
    assert cross_validate(Ridge(), table, phq8, cv=8, **BARE).settings["split"].startswith("8 folds of speakers (16)")


def test_a_model_without_probabilities_has_no_calibration_error(table: pd.DataFrame) -> None:
    result = cross_validate(make_pipeline(StandardScaler(), LinearSVC()), table, ILL, **BARE)
    assert result.interval("auroc").estimate > 0.75
    assert result.interval("sensitivity").estimate > 0.75  # cut at 0, not at a probability of 0.5
    assert result.table.loc[("recording", "LinearSVC (pipeline)", "ece"), "note"] == "its scores are no probabilities"


def test_a_threshold_is_the_models_own_or_the_one_that_is_stated(table: pd.DataFrame) -> None:
    class Strict(LogisticRegression):
        threshold_ = 0.9

    table = table.drop(columns="voice__row")
    p = out_of_fold(LogisticRegression(), table, ILL, SPEAKERS)[1].to_numpy()
    own = cross_validate(Strict(), table, ILL, **BARE)
    stated = cross_validate(Strict(), table, ILL, threshold=0.2, **BARE)
    for result, threshold in ((own, 0.9), (stated, 0.2)):
        assert result.interval("sensitivity").estimate == pytest.approx((p >= threshold)[ILL == 1].mean())
    assert own.interval("auroc") == stated.interval("auroc")


# Windows, recordings, speakers ---------------------------------------------------------------------------------


def test_windows_are_averaged_to_recordings_and_these_to_speakers_by_log_odds() -> None:
    p = np.array([0.9, 0.8, 0.7, 0.2])
    rows = pd.DataFrame(
        {"seed": 0, "speaker": "Ann", "recording": ["a", "a", "a", "b"], "row": range(4), "y": 1, "threshold": 0.5,
         "kind": "probability", "score_0": 1 - p, "score_1": p}
    )  # fmt: skip
    log_odds = np.log(p / (1 - p))
    a, b = log_odds[:3].mean(), log_odds[3]
    found = {level: at_level(rows, level, Task("binary", (0, 1)))["score_1"] for level in ("recording", "speaker")}
    np.testing.assert_allclose(found["recording"], 1 / (1 + np.exp([-a, -b])))
    np.testing.assert_allclose(found["speaker"], 1 / (1 + np.exp(-(a + b) / 2)))  # not weighted by windows


def test_every_level_at_which_each_has_one_label_is_scored(table: pd.DataFrame) -> None:
    ill = pd.Series(np.arange(16) % 2, index=np.unique(SPEAKERS))
    result = cross_validate(logistic(), windows(table), ill, **BARE)
    assert result.settings["levels"] == ["window", "recording", "speaker"]
    assert result.level == "speaker"
    assert cross_validate(logistic(), windows(table), ill, level="window", **BARE).level == "window"
    per_window = cross_validate(logistic(), windows(table), ILL, **BARE)
    assert per_window.settings["levels"] == ["window"]
    reason = per_window.settings["levels_without"]["recording"]
    assert reason == "32 of 32 recordings have windows of more than one label"
    with pytest.raises(ParameterError, match=r"level is 'speaker'.* none by speaker: 16 of 16 speakers"):
        cross_validate(logistic(), table, ILL, level="speaker", **BARE)


def test_sequences_are_judged_and_the_linear_baselines_get_their_means(table: pd.DataFrame) -> None:
    class Mean(LogisticRegression):
        def fit(self, X: Sequences, y: Any) -> Mean:
            return super().fit([value.mean(axis=0) for value in X.values], y)

        def predict_proba(self, X: Sequences) -> Any:
            return super().predict_proba([value.mean(axis=0) for value in X.values])

    ill = pd.Series(np.arange(16) % 2, index=np.unique(SPEAKERS))
    table["prosody__f0"] += 3 * ill.reindex(SPEAKERS).to_numpy()
    sequences = Sequences.from_table(windows(table))
    speakers = pd.Series(sequences.keys, index=sequences.keys).str[:3]
    result = cross_validate(Mean(), sequences, ill, groups=speakers, n_resamples=40)
    assert result.settings["cohort"]["n_recordings_tested"] == 32
    assert result.interval("auroc", "logistic regression, prosody (9 columns)").estimate > 0.9
    assert result.interval("auroc").estimate > 0.9


# Speakers never cross -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("cv", [[(range(48), range(45, 96))], KFold(5), ["train"] * 50 + ["test"] * 46])
def test_a_split_that_shares_a_speaker_is_refused(table: pd.DataFrame, cv: Any) -> None:
    with pytest.raises(LeakageError, match="in training and in test at once: S"):
        cross_validate(logistic(), table, ILL, cv=cv, **BARE)


def test_an_official_split_is_kept(table: pd.DataFrame) -> None:
    part = pd.Series(["train"] * 8 + ["dev"] * 4 + ["test"] * 4, index=np.unique(SPEAKERS))
    result = cross_validate(Remembering(), table, ILL, cv=part.sample(frac=1, random_state=0), **BARE)
    assert sorted(result.predictions["speaker"].unique()) == ["S12", "S13", "S14", "S15"]
    assert [len(seen["rows"]) for seen in Remembering.seen] == [72]  # train and dev
    folds = cross_validate(Remembering(), table, ILL, cv=np.arange(96) // 24, **BARE)
    assert sorted(folds.predictions["row"]) == list(range(96))
    assert folds.predictions["fold"].nunique() == 4


def test_no_fold_hears_a_speaker_that_it_judges(table: pd.DataFrame) -> None:
    result = cross_validate(Remembering(), table, ILL, cv=4, **BARE)
    for fold, seen in enumerate(Remembering.seen):
        judged = result.predictions.loc[result.predictions["fold"] == fold, "speaker"]
        assert seen["groups"].tolist() == SPEAKERS[seen["rows"]].tolist()
        assert not set(judged) & set(seen["groups"])


def test_the_same_features_under_two_names_are_a_leak(table: pd.DataFrame) -> None:
    features = ["voice__jitter", *(column for column in table if column.startswith("prosody"))]
    table = table[features]
    table.iloc[95] = table.iloc[0]
    with pytest.raises(LeakageError, match=r"two names: 0.wav \(speaker S00\) and 95.wav \(speaker S15\) \(pairs: 1\)"):
        cross_validate(logistic(), table, ILL, **BARE)
    assert cross_validate(logistic(), table, ILL, check_audio=False, **BARE).settings["same_audio"] == "not checked"
    table.iloc[95] = table.iloc[95] + 1e-12  # nearly is not the same
    table.iloc[1] = table.iloc[0]  # of one speaker: on one side of every split
    cross_validate(logistic(), table, ILL, **BARE)


def test_the_same_samples_in_two_files_are_a_leak(
    table: pd.DataFrame, rng: np.random.Generator, tmp_path: Path
) -> None:
    noise = rng.integers(-9000, 9000, size=(96, 1600)).astype(np.int16)
    noise[60] = noise[3]
    files = [tmp_path / f"{number}.{'flac' if number % 2 else 'wav'}" for number in range(96)]
    for samples, file in zip(noise, files, strict=True):
        soundfile.write(file, samples, 16_000, "PCM_16")
    table = table.drop(columns="quality__duration_s").set_index(
        pd.MultiIndex.from_arrays([[str(file) for file in files], *map(table.index.get_level_values, ("start", "end"))],
                                  names=["file", "start", "end"])
    )  # fmt: skip
    with pytest.raises(LeakageError, match=r"3.flac \(speaker S00\) and .*60.wav \(speaker S10\)"):
        cross_validate(logistic(), table, ILL, **BARE)
    files[60].unlink()
    result = cross_validate(logistic(), table, ILL, **BARE)
    assert result.settings["same_audio"].endswith("samples of 95 files)")


def test_without_speakers_it_says_why_they_are_needed(table: pd.DataFrame) -> None:
    with pytest.raises(ParameterError, match=r"Recordings of one person resemble each other.*groups='row'"):
        cross_validate(logistic(), table, ILL, groups=None)
    result = cross_validate(logistic(), table, ILL, groups="row", cv=5, baselines=False, n_resamples=40)
    assert "cannot be checked" in result.settings["speaker_disjoint"]
    assert result.settings["cohort"]["n_speakers_tested"] == 96
    with pytest.raises(ParameterError, match=r"'S00_0\.wav' has several rows"):
        cross_validate(logistic(), windows(table), ILL, groups="row")


# Labels and people are joined by name ---------------------------------------------------------------------------


def test_labels_are_joined_by_speaker_or_file_and_not_by_position(table: pd.DataFrame) -> None:
    ill = pd.Series(np.arange(16) % 2, index=np.unique(SPEAKERS)).sample(frac=1, random_state=1)
    by_speaker = cross_validate(logistic(), table, ill, **BARE)
    assert by_speaker.predictions.groupby("speaker")["y"].first().tolist() == [0, 1] * 8
    files = table.index.get_level_values("file")
    y = pd.Series(ILL, index=files).sample(frac=1, random_state=2)
    speakers = pd.Series(SPEAKERS, index=files).sample(frac=1, random_state=3)
    by_file = cross_validate(logistic(), table, y, **BARE | {"groups": speakers})
    pd.testing.assert_frame_equal(by_file.table, cross_validate(logistic(), table, ILL, **BARE).table)
    with pytest.raises(ParameterError, match=r"one entry for each speaker of groups, once. Without any: S00"):
        cross_validate(logistic(), table, ill.drop("S00"), **BARE)


# Choice inside the training part --------------------------------------------------------------------------------


def test_a_candidate_is_chosen_by_speakers_of_the_training_part_alone(table: pd.DataFrame) -> None:
    candidates = {"upside down": Remembering(-1.0), "right way up": Remembering(1.0)}
    result = cross_validate(candidates, table, ILL, cv=4, **BARE)
    assert result.chosen["chosen"].tolist() == ["right way up"] * 4
    assert result.chosen["inner_scores"][0]["upside down"] < 0.5
    assert "highest AUROC" in result.settings["selection"]
    assert len(Remembering.seen) == 4 * (2 * 5 + 1)
    for number, seen in enumerate(Remembering.seen):
        judged = set(result.predictions.loc[result.predictions["fold"] == number // 11, "row"])
        assert not judged & set(seen["rows"])
        inner = SPEAKERS[seen["rows"]]
        assert all((inner == speaker).sum() == N_EACH for speaker in set(inner))  # whole speakers


@pytest.mark.parametrize(
    ("search", "piped"), [(GridSearchCV, False), (GridSearchCV, True), (RandomizedSearchCV, False)]
)
def test_a_search_gets_folds_of_speakers_and_hands_them_on(table: pd.DataFrame, search: Any, piped: bool) -> None:
    more = {"n_iter": 2, "random_state": 0} if search is RandomizedSearchCV else {}
    model = make_pipeline(FunctionTransformer(), Remembering()) if piped else Remembering()
    name = "remembering__weight" if piped else "weight"
    result = cross_validate(search(model, {name: [-1.0, 1.0]}, cv=3, **more), table, ILL, cv=4, **BARE)
    assert result.chosen["chosen"].tolist() == [{name: "1.0"}] * 4
    for seen in Remembering.seen:
        assert seen["groups"].tolist() == SPEAKERS[seen["rows"]].tolist()
        assert all((seen["groups"] == speaker).sum() == N_EACH for speaker in set(seen["groups"]))


def test_a_search_among_candidates_splits_by_speaker_too(table: pd.DataFrame) -> None:
    candidates = {"plain": Remembering(-1.0), "searched": GridSearchCV(Remembering(), {"weight": [1.0, 2.0]}, cv=2)}
    result = cross_validate(candidates, table, ILL, cv=2, **BARE)
    assert result.chosen["chosen"].tolist() == ["searched"] * 2
    for seen in Remembering.seen:
        assert all((seen["groups"] == speaker).sum() == N_EACH for speaker in set(seen["groups"]))


def test_a_model_that_gives_no_number_is_told(table: pd.DataFrame) -> None:
    class Silent(Remembering):
        def predict_proba(self, X: Any) -> Any:
            return super().predict_proba(X) * np.where(np.arange(len(X)) < 2, np.nan, 1)[:, None]

    with pytest.raises(ParameterError, match="Silent gave no number for 2 of 6 usable rows"):
        cross_validate(Silent(), table, ILL, **BARE)


# Seeds ----------------------------------------------------------------------------------------------------------


def test_seeds_reach_the_model_and_their_spread_is_told(table: pd.DataFrame) -> None:
    result = cross_validate(make_pipeline(StandardScaler(), Remembering()), table, ILL, cv=4, seeds=(3, 5), **BARE)
    assert [seen["seed"] for seen in Remembering.seen] == [3] * 4 + [5] * 4
    each = [
        cross_validate(make_pipeline(StandardScaler(), Remembering()), table, ILL, cv=4, seeds=[seed], **BARE)
        .interval("auroc").estimate for seed in (3, 5)
    ]  # fmt: skip
    line = result.table.loc[("recording", result.model, "auroc")]
    assert line["estimate"] == pytest.approx(np.mean(each))
    assert line["seeds_sd"] == pytest.approx(np.std(each, ddof=1))
    assert each[0] != each[1]


# Baselines ------------------------------------------------------------------------------------------------------


def test_what_is_trivial_stands_in_the_same_table(table: pd.DataFrame) -> None:
    result = cross_validate(logistic(), table, ILL, person=PERSON, **FAST)
    assert result.summary().index.tolist() == [
        "LogisticRegression (pipeline)", "majority", "always positive", "sex and age only", "loudness only",
        "duration only", "logistic regression, prosody (9 columns)", "linear SVM, prosody (9 columns)",
    ]  # fmt: skip
    assert result.interval("auprc", "majority").estimate == pytest.approx(2 / 3)
    assert result.interval("auroc", "majority").estimate == 0.5
    assert result.interval("uar", "always positive").estimate == 0.5
    assert result.interval("sensitivity", "always positive").estimate == 1
    assert result.interval("ppv", "always positive").estimate == pytest.approx(2 / 3)
    assert result.interval("auroc", "sex and age only").estimate == pytest.approx(0.5)  # all speakers are alike
    only = out_of_fold(
        LogisticRegression(class_weight="balanced"), table[["prosody__loudness_sma3_amean"]], ILL, SPEAKERS
    )
    expected = bootstrap("auroc", ILL, only[1].to_numpy(), SPEAKERS, n_resamples=40)
    assert result.interval("auroc", "loudness only").estimate == pytest.approx(expected.estimate, abs=0.02)


def test_a_baseline_that_cannot_be_made_is_listed_with_its_reason(table: pd.DataFrame) -> None:
    result = cross_validate(logistic(), table[["voice__jitter"]], ILL, **FAST)
    assert "extract the family 'prosody'" in result.settings["not_made"]["logistic regression, eGeMAPS"]
    assert "keep the quality columns" in result.settings["not_made"]["duration only"]
    assert "person" in result.settings["not_made"]["sex and age only"]
    line = result.table.loc[("recording", "loudness only", "auroc")]
    assert np.isnan(line["estimate"])
    assert line["note"].startswith("not made: X has no column of loudness")


def test_quality_columns_are_seen_by_the_duration_baseline_alone(table: pd.DataFrame) -> None:
    table["quality__duration_s"] = 3.0 + ILL  # a leak of the label
    result = cross_validate(logistic(), table, ILL, **FAST)
    assert result.interval("auroc", "duration only").estimate == 1
    assert result.interval("auroc").estimate < 1


# Parts of the cohort --------------------------------------------------------------------------------------------


def test_the_model_is_reported_by_part_of_the_cohort(table: pd.DataFrame) -> None:
    result = cross_validate(logistic(), table, ILL, person=PERSON, **BARE)
    assert result.breakdown["column"].unique().tolist() == ["sex", "age", "device", "snr_db", "duration_s"]
    lines = result.breakdown.set_index(["column", "part", "metric"])
    women = PERSON.loc[SPEAKERS, "sex"].to_numpy() == "female"
    p = out_of_fold(logistic(), table, ILL, SPEAKERS)[1].to_numpy()
    truth = bootstrap("auroc", ILL[women], p[women], SPEAKERS[women], n_resamples=40)
    line = lines.loc[("sex", "female", "auroc")]
    np.testing.assert_allclose(line[["estimate", "low", "high"]].astype(float), [truth.estimate, truth.low, truth.high])
    assert line["n_speakers"] == 8
    studio = lines.loc[("device", "studio", "auroc")]
    assert np.isnan(studio["estimate"])
    assert studio["note"] == "too few speakers: 3, at least 4 are needed"
    assert lines.xs("auroc", level="metric").loc["snr_db", "n"].tolist() == [32, 32, 32]  # thirds


def test_limits_of_parts_may_be_given(table: pd.DataFrame) -> None:
    result = cross_validate(logistic(), table, ILL, person=PERSON, breakdown={"age": [20, 30, 45]}, **BARE)
    parts = result.breakdown[result.breakdown["metric"] == "uar"].set_index("part")["n_speakers"]
    assert parts.to_dict() == {"20 to 30": 5, "30 to 45": 8, "outside": 3}
    with pytest.raises(ParameterError, match=r"breakdown names 'accent'; known are.*sex, age, device"):
        cross_validate(logistic(), table, ILL, person=PERSON, breakdown=["accent"], **BARE)


# Going on after an interruption ---------------------------------------------------------------------------------


def test_a_second_call_goes_on_where_the_first_was_interrupted(table: pd.DataFrame, tmp_path: Path) -> None:
    settings = BARE | {"cv": 4, "seeds": (0, 1)}
    whole = cross_validate(Remembering(), table, ILL, **settings)
    Remembering.seen, Remembering.stops_after = [], 3
    with pytest.raises(KeyboardInterrupt):
        cross_validate(Remembering(), table, ILL, work_dir=tmp_path / "work", **settings)
    Remembering.seen, Remembering.stops_after = [], None
    resumed = cross_validate(Remembering(), table, ILL, work_dir=tmp_path / "work", **settings)
    assert len(Remembering.seen) == 8 - 3
    pd.testing.assert_frame_equal(resumed.predictions, whole.predictions)
    pd.testing.assert_frame_equal(resumed.table, whole.table)


def test_folds_of_other_settings_or_data_are_not_taken(table: pd.DataFrame, tmp_path: Path) -> None:
    settings = BARE | {"cv": 4, "work_dir": tmp_path}
    cross_validate(Remembering(), table, ILL, **settings)
    for model, X, y in (
        (Remembering(2.0), table, ILL),
        (Remembering(), table + 1e-9, ILL),
        (Remembering(), table, 1 - ILL),
    ):
        before = len(Remembering.seen)
        cross_validate(model, X, y, **settings)
        assert len(Remembering.seen) == before + 4


# Two results ----------------------------------------------------------------------------------------------------


def test_two_models_are_compared_on_the_same_speakers(table: pd.DataFrame) -> None:
    a = cross_validate(logistic(), table, ILL, **BARE)
    b = cross_validate(logistic(), table[["voice__jitter"]], ILL, **BARE)
    p, q = (found.predictions.sort_values("row")["score_1"].to_numpy() for found in (a, b))
    truth = paired_difference("auroc", ILL, p, q, SPEAKERS, n_resamples=60)
    found = a.compare(b, n_resamples=60).loc["auroc"]
    np.testing.assert_allclose(
        found[["difference", "low", "high"]], [truth.estimate, truth.low, truth.high], atol=1e-12
    )
    assert compare(b, a, n_resamples=60).loc["auroc", "difference"] == pytest.approx(-truth.estimate)
    fewer = cross_validate(logistic(), table.iloc[6:], ILL[6:], **BARE | {"groups": SPEAKERS[6:]})
    with pytest.raises(ParameterError, match="a holds 96 recordings and b 90, 90 of them the same"):
        compare(a, fewer)


# What is handed back --------------------------------------------------------------------------------------------


def test_the_text_says_how_it_was_made(table: pd.DataFrame, tmp_path: Path) -> None:
    table.iloc[5, table.columns.get_loc("quality__ok")] = 0
    result = cross_validate(logistic(), table, ILL, person=PERSON, cv=4, seeds=(0, 1), **FAST)
    text = str(result)
    for words in (
        "16 speakers tested, 95 recordings, 95 rows; 1 rows could not be used", "prevalence by recording 0.66",
        "4 folds of speakers (16), balanced for class, dealt anew for each seed",
        "speaker-disjoint: checked in every fold", "95 % interval, 40 draws of speakers", "always positive",
        "minus each baseline, paired over speakers", "No result by speaker", "by part of the cohort", "2 seeds",
    ):  # fmt: skip
        assert words in text
    assert text == result.to_markdown()
    content = json.loads(result.to_json(tmp_path / "result.json", predictions=True))
    assert content == json.loads((tmp_path / "result.json").read_text())
    assert content["task"] == {"kind": "binary", "classes": [0, 1]}
    assert len(content["predictions"]) == len(result.predictions)
    assert repr(result).startswith("<Evaluation of LogisticRegression (pipeline): auroc 0.")


@pytest.mark.parametrize(
    ("changed", "message"),
    [
        ({"model": LogisticRegression}, "expected an estimator like scikit-learn's"),
        ({"model": []}, "holds no candidate"),
        ({"model": [Ridge(), LogisticRegression()]}, "mixes classifiers and regressors"),
        ({"y": np.zeros(96)}, "y holds 1 class"),
        ({"y": np.linspace(0, 1, 96)}, "expected classes for a classifier"),
        ({"model": Ridge(), "y": ["ill"] * 96}, "neither predict_proba nor decision_function"),
        ({"cv": 40}, "holds 16 speakers; 40 folds need"),
        ({"cv": True}, "cv is True; expected None, a number"),
        ({"cv": [([0], [90]), ([1], [90])]}, "1 rows are tested more than once"),
        ({"cv": [([0], [400])]}, "fold 1 is no pair of positions of the 96 rows"),
        ({"seeds": ()}, "seeds is \\(\\); expected different whole numbers"),
        ({"metrics": ["ccc"]}, "expected a list of those that fit a binary task: auroc"),
        ({"threshold": "high"}, "threshold is 'high' for a binary task"),
        ({"n_resamples": 0}, "n_resamples is 0"),
        ({"interval_level": 95}, "interval_level is 95"),
        ({"baselines": {"majority": LogisticRegression(), "LogisticRegression": Ridge()}}, "mixes classifiers and reg"),
        ({"baselines": {"LogisticRegression": LogisticRegression()}}, "two systems are called 'LogisticRegression'"),
        ({"person": "sex"}, "person is of type str"),
        ({"y": np.repeat([0, 1], [90, 6])}, "training part of a fold holds one class, 0, from 15 speakers"),
    ],
)
def test_what_does_not_fit_together_is_refused_in_words(
    table: pd.DataFrame, changed: dict[str, Any], message: str
) -> None:
    arguments = {"model": LogisticRegression(), "y": ILL} | BARE | changed
    with pytest.raises(ParameterError, match=message):
        cross_validate(arguments.pop("model"), table, arguments.pop("y"), **arguments)
