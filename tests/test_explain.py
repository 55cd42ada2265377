"""Explanations: contributions add up to the answer, find what was put in, and say what they are not."""

from __future__ import annotations

import json
import warnings

import numpy as np
import pandas as pd
import pytest

import vocalbio as vb
from vocalbio.datasets import Sequences
from vocalbio.errors import ParameterError, VocalbioWarning
from vocalbio.explain import MARKERS, PANEL, grad_cam, integrated_gradients, marker_of, words_for
from vocalbio.risk import RiskModel, SeverityModel, load_shipped
from vocalbio.risk.explanation import CAUTION, Explanation, Quantiles, explain

COLUMNS = ["voice__f0_sd_st", "voice__jitter_local", "voice__pause_mean_s", "prosody__mfcc1_sma3_amean", "own__x"]


def cohort(seed=0, n=120):
    """Six rows a speaker; the class moves pitch variability alone; pauses are missing now and then."""
    rng = np.random.default_rng(seed)
    y, speakers = np.arange(n) % 2, np.arange(n) // 6
    X = pd.DataFrame(rng.normal(size=(n, len(COLUMNS))), columns=COLUMNS)
    X["voice__f0_sd_st"] += 2.5 * y
    X.loc[rng.uniform(size=n) < 0.3, "voice__pause_mean_s"] = np.nan
    return X, y, speakers


@pytest.fixture(scope="module")
def fitted():
    X, y, speakers = cohort()
    model = RiskModel("depression", preset="small", interval_folds=3, epochs=40, random_state=0)
    model.fit(X, y, groups=speakers)
    model.quantiles_ = Quantiles.fit(X.to_numpy())
    return model, X, y


def sequences(n=36, n_segments=(3, 6)):
    rng = np.random.default_rng(1)
    y = np.arange(n) % 3
    values = []
    for label in y:
        one = rng.normal(size=(rng.integers(*n_segments), 2)).astype(np.float32)
        one[-1, 0] += 3 * (label - 1)  # told by the last segment alone
        values.append(one)
    found = Sequences([f"{k}.wav" for k in range(n)], values, ["voice__f0_median_hz", "voice__jitter_local"])
    return found, np.array(["neutral", "sad", "anxious"])[y], np.arange(n) // 6


# Integrated gradients ---------------------------------------------------------------------------------------------


def test_shares_of_a_product_are_those_of_the_integral():
    # f = x²y from (0, 0) to (2, 3): along (2t, 3t) the integrals are 8 and 4
    shares = integrated_gradients(lambda x: x[:, 0] ** 2 * x[:, 1], [2.0, 3.0], [0.0, 0.0])
    np.testing.assert_allclose(shares, [8, 4], atol=1e-4)


def test_shares_of_a_linear_function_are_weight_times_way(rng):
    weights, start, end = rng.normal(size=(3, 7)).astype(np.float32)
    from keras import ops

    shares = integrated_gradients(lambda x: 3.0 + ops.sum(x * weights, axis=-1), end, start)
    np.testing.assert_allclose(shares, weights * (end - start), atol=1e-5)


@pytest.mark.parametrize("seed", range(3))
def test_shares_of_a_bent_network_add_up_to_the_difference(seed):
    from vocalbio.networks import build_dense

    rng = np.random.default_rng(seed)
    network = build_dense(20, preset="small", seed=seed)
    for layer in network.layers:  # steep and full of bends, as no trained one is
        layer.set_weights([3 * weights for weights in layer.get_weights()])
    start, end = rng.normal(size=(2, 20))
    shares = integrated_gradients(lambda x: 100 * network(x)[:, 0], end, start, tolerance=0.01)
    said = 100 * np.asarray(network(np.stack([start, end]).astype(np.float32)))[:, 0]
    assert shares.sum() == pytest.approx(said[1] - said[0], abs=0.05)


def test_an_input_that_stays_is_given_nothing():
    shares = integrated_gradients(lambda x: x[:, 0] * x[:, 1], [2.0, 5.0], [0.0, 5.0])
    assert shares.tolist() == pytest.approx([10, 0], abs=1e-4)


def test_what_cannot_be_shared_out_is_refused():
    with pytest.raises(ParameterError, match="shape"):
        integrated_gradients(lambda x: x[:, 0], [1.0, 2.0], [0.0])
    with pytest.raises(ParameterError, match="NaN"):
        integrated_gradients(lambda x: x[:, 0], [np.nan], [0.0])
    with pytest.raises(ParameterError, match="one answer a point"):
        integrated_gradients(lambda x: x, [1.0], [0.0])


# Grad-CAM ---------------------------------------------------------------------------------------------------------


def spot_network():
    """Sums what is bright: a positive spot anywhere makes the output rise."""
    import keras

    picture = keras.Input((16, 12))
    hidden = keras.layers.Reshape((16, 12, 1))(picture)
    hidden = keras.layers.Conv2D(1, 3, padding="same", activation="relu", kernel_initializer="ones")(hidden)
    hidden = keras.layers.GlobalAveragePooling2D()(hidden)
    return keras.Model(picture, keras.layers.Dense(1, activation="sigmoid", kernel_initializer="ones")(hidden))


def test_grad_cam_finds_the_spot():
    picture = np.zeros((2, 16, 12), np.float32)
    picture[0, 4, 9] = picture[1, 12, 2] = 1.0
    found = grad_cam(spot_network(), picture)
    assert found.shape == (2, 16, 12)
    assert found.max() == 1.0
    for one, (row, column) in zip(found, [(4, 9), (12, 2)], strict=True):
        assert one[row, column] == 1.0
        assert one[np.abs(np.indices(one.shape) - np.array([row, column])[:, None, None]).max(axis=0) > 1].max() == 0


def test_grad_cam_of_our_own_network_covers_its_window():
    from vocalbio.networks import build_cnn2d

    network = build_cnn2d(20, 16, n_outputs=3, preset="small", seed=0)
    found = grad_cam(network, np.random.default_rng(0).normal(size=(1, 20, 16)), output=2)
    assert found.shape == (1, 20, 16)
    assert np.isfinite(found).all()
    assert (found >= 0).all()


def test_grad_cam_needs_a_picture():
    from vocalbio.networks import build_dense

    with pytest.raises(ParameterError, match="no layer of shape"):
        grad_cam(build_dense(4, preset="small"), np.zeros((1, 4)))
    with pytest.raises(ParameterError, match="output is 3"):
        grad_cam(spot_network(), np.zeros((1, 16, 12)), output=3)
    with pytest.raises(ParameterError, match="expected one of"):
        grad_cam(spot_network(), np.zeros((1, 16, 12)), layer="nowhere")


# Words ------------------------------------------------------------------------------------------------------------


def test_every_column_that_ships_has_words_and_a_group():
    columns = [name for name in vb.describe_columns().index if not name.startswith("quality__")]
    assert len(columns) > 200
    for column in columns:
        assert marker_of(column) in MARKERS, column
        words = words_for(column)
        assert "sma3" not in words, words
        assert "_" not in words, words
    known = set(columns)
    assert all(column in known for _, names in PANEL for column in names)


def test_columns_of_others_keep_their_names():
    assert words_for("own__x") == "own x"
    assert marker_of("own__x") == "own"
    assert marker_of("plain") == "other"


# Percentiles ------------------------------------------------------------------------------------------------------


def test_percentiles_are_those_of_numpy(rng):
    rows = rng.normal(size=(400, 3))
    rows[::7, 1] = np.nan
    quantiles = Quantiles.fit(rows)
    for level in (5, 30, 50, 95):
        found = quantiles.percentile(np.nanpercentile(rows, level, axis=0))
        np.testing.assert_allclose(found, level, atol=1e-6)
    assert quantiles.percentile(np.array([-9.0, 9.0, np.nan]))[:2].tolist() == [1, 99]
    assert np.isnan(quantiles.percentile(np.array([0.0, 0.0, np.nan]))[2])


def test_a_value_that_most_share_lies_in_the_middle_of_them():
    values = np.r_[np.zeros(60), np.arange(1, 41)]
    assert Quantiles.fit(values[:, None]).percentile(np.array([0.0]))[0] == pytest.approx(28, abs=3)


def test_a_column_that_never_was_a_number_has_no_percentile():
    found = Quantiles.fit(np.array([[1.0, np.nan], [2.0, np.nan]])).percentile(np.array([1.5, 3.0]))
    assert found[0] == pytest.approx(50)
    assert np.isnan(found[1])


# Explanations of answers ------------------------------------------------------------------------------------------


def test_contributions_add_up_to_the_answer_and_find_the_marker(fitted):
    model, X, y = fitted
    for row in (1, 8, 23):
        found = explain(model, X.iloc[[row]])
        assert found.value == pytest.approx(100 * model.predict_proba(X.iloc[[row]])[0, 1], abs=1e-3)
        assert found.contributions["contribution"].sum() == pytest.approx(found.value - found.baseline, abs=0.05)
        for part in (found.by_group, found.by_family):
            assert part["contribution"].sum() == pytest.approx(found.value - found.baseline, abs=0.05)
    sure = int(np.argmax(np.where(y == 1, X["voice__f0_sd_st"], -np.inf)))
    assert explain(model, X.iloc[[sure]]).by_group.index[0] == "pitch variability"
    assert set(explain(model, X.iloc[[0]]).by_family.index) == {"voice", "prosody", "own"}


def test_the_baseline_is_the_answer_for_the_median_recording(fitted):
    model, X, _ = fitted
    median = X.median().to_frame().T
    found = explain(model, median)
    assert found.value == pytest.approx(found.baseline, abs=1e-3)
    assert np.abs(found.contributions["contribution"]).max() < 1e-3
    assert found.contributions.loc["own__x", "percentile"] == pytest.approx(50, abs=1)


def test_a_gap_counts_as_its_indicator_does(fitted):
    model, X, _ = fitted
    row = int(np.flatnonzero(X["voice__pause_mean_s"].isna())[0])
    line = explain(model, X.iloc[[row]]).contributions.loc["voice__pause_mean_s"]
    assert np.isnan(line["value"])
    assert np.isnan(line["percentile"])
    assert line["contribution"] != 0


def test_a_row_may_come_as_a_series(fitted):
    model, X, _ = fitted
    pd.testing.assert_frame_equal(explain(model, X.iloc[3]).contributions, explain(model, X.iloc[[3]]).contributions)


def test_the_words_say_what_it_is_and_what_it_is_not(fitted):
    model, X, _ = fitted
    found = explain(model, X.iloc[[1]])
    assert CAUTION in str(found)
    assert "no cause" in CAUTION
    assert "pitch variability" in found.text
    assert "higher than" in found.text or "highest" in found.text
    whole = json.loads(found.to_json())
    assert whole["caution"] == CAUTION
    assert {"column", "marker", "family", "value", "unit", "contribution", "percentile"} <= set(
        whole["contributions"][0]
    )


def test_without_quantiles_there_are_no_percentiles_and_it_is_told(fitted):
    model, X, _ = fitted
    kept = model.__dict__.pop("quantiles_")
    try:
        found = explain(model, X.iloc[[1]])
    finally:
        model.quantiles_ = kept
    assert found.contributions["percentile"].isna().all()
    assert any("no percentiles" in note for note in found.notes)


def test_severity_is_explained_in_points_of_its_scale():
    X, y, speakers = cohort()
    truth = np.clip(8 + 4 * y + np.random.default_rng(2).normal(size=len(y)), 0, 24)
    model = SeverityModel("depression", preset="small", interval_folds=0, epochs=40, random_state=0)
    model.fit(X, truth, groups=speakers)
    found = explain(model, X.iloc[[5]])
    assert found.unit == "points"
    assert found.value == pytest.approx(model.predict(X.iloc[[5]])[0], abs=1e-3)
    assert found.contributions["contribution"].sum() == pytest.approx(found.value - found.baseline, abs=0.05)


def test_isotonic_calibration_is_told_to_be_left_out():
    X, y, speakers = cohort()
    model = RiskModel("depression", preset="small", interval_folds=3, epochs=20, calibration="isotonic", random_state=0)
    model.fit(X, y, groups=speakers)
    assert any("isotonic" in note for note in explain(model, X.iloc[[0]]).notes)


def test_a_sequence_is_explained_segment_by_segment():
    X, y, speakers = sequences()
    model = RiskModel(
        "stress", "bilstm", preset="small", interval_folds=0, epochs=60, class_weight="balanced", random_state=0
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", VocalbioWarning)
        model.fit(X, y, groups=speakers)
    last = []
    for number in np.flatnonzero(y == "anxious")[:6]:
        found = explain(model, X[int(number)])
        assert found.value == pytest.approx(model.predict_score(X[int(number)])[0], abs=1e-2)
        assert found.segments["contribution"].sum() == pytest.approx(found.value - found.baseline, abs=0.05)
        groups = found.segments[list(found.by_group.index)]
        np.testing.assert_allclose(groups.sum(axis=1), found.segments["contribution"], atol=1e-6)
        last.append(found.segments["contribution"].idxmax() == len(found.segments) - 1)
    assert np.mean(last) > 0.5


def test_windows_of_a_recording_are_explained_together():
    rng = np.random.default_rng(4)
    files = np.repeat([f"{k}.wav" for k in range(24)], 3)
    index = pd.MultiIndex.from_arrays(
        [files, pd.to_timedelta(np.tile([0, 1, 2], 24), unit="s"), pd.to_timedelta(np.tile([1, 2, 3], 24), unit="s")],
        names=["file", "start", "end"],
    )
    y = np.repeat(np.arange(24) % 2, 3)
    X = pd.DataFrame({"voice__f0_sd_st": rng.normal(size=72) + 2 * y, "voice__hnr_db": rng.normal(size=72)}, index)
    model = RiskModel("depression", preset="small", interval_folds=2, epochs=30, random_state=0)
    model.fit(X, y, groups=np.repeat(np.arange(24) // 4, 3))
    found = explain(model, X[files == "3.wav"])
    joined = model._join(model.predict_proba(X[files == "3.wav"]))
    assert found.value == pytest.approx(100 * joined[1], abs=1e-3)
    assert found.segments["start_s"].tolist() == [0, 1, 2]
    with pytest.raises(ParameterError, match="2 recordings"):
        explain(model, X[np.isin(files, ["3.wav", "4.wav"])])


def test_what_cannot_be_explained_is_refused(fitted):
    model, X, _ = fitted
    with pytest.raises(ParameterError, match="one recording"):
        explain(model, ["a.wav", "b.wav"])
    with pytest.raises(ParameterError, match="cannot be explained"):
        explain(model, X.iloc[[0]] * np.nan)
    with pytest.raises(ParameterError, match="missing"):
        explain(model, X.iloc[[0]].drop(columns="own__x"))
    X, _, _ = sequences()
    with pytest.raises(ParameterError, match="36 sequences"):
        explain(model, X)


def test_shipped_model_explains_a_real_recording(data):
    file = next((data / "ravdess").rglob("*.flac"))
    model = load_shipped("stress")
    found = explain(model, file)
    assert isinstance(found, Explanation)
    assert found.value == pytest.approx(model.score_audio(file).score, abs=0.01)
    assert found.contributions["contribution"].sum() == pytest.approx(found.value - found.baseline, abs=0.05)
    assert len(found.panel) >= 8
