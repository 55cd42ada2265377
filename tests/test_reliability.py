"""The atlas and what is chosen by it; coefficients against analysis of variance."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

import vocalbio as vb
from vocalbio.errors import ParameterError
from vocalbio.reliability import MARKERS, PERTURBATIONS, agreement, atlas, marker_of, select_reliable

SPEECH = {name for name in PERTURBATIONS if name != "halves"}
SHROUT_FLEISS = np.array([[9, 2, 5, 8], [6, 1, 3, 2], [8, 4, 6, 8], [7, 1, 2, 6], [10, 5, 6, 9], [6, 2, 4, 7]], float)


def by_anova(ratings: np.ndarray) -> tuple[float, float]:
    """ICC(2,1) and ICC(3,1) as in Shrout & Fleiss, sum by sum."""
    n, k = ratings.shape
    grand = ratings.mean()
    rows = k * np.sum((ratings.mean(axis=1) - grand) ** 2) / (n - 1)
    columns = n * np.sum((ratings.mean(axis=0) - grand) ** 2) / (k - 1)
    left = ratings - ratings.mean(axis=1, keepdims=True) - ratings.mean(axis=0) + grand
    error = np.sum(left**2) / ((n - 1) * (k - 1))
    absolute = (rows - error) / (rows + (k - 1) * error + k * (columns - error) / n)
    return absolute, (rows - error) / (rows + (k - 1) * error)


def twice(rng: np.random.Generator, n: int = 60, noise: float = 0.5, shift: float = 0.0) -> tuple[Any, Any, Any]:
    """A feature measured twice, with known reliability."""
    truth = rng.normal(size=(n, 1))
    first, second = (truth + noise * rng.normal(size=(n, 3)) for _ in range(2))
    names = ["voice__f0_mean_hz", "voice__hnr_db", "voice__cpps_db"]
    return pd.DataFrame(first, columns=names), pd.DataFrame(second + shift, columns=names), np.arange(n) // 4


# Coefficients --------------------------------------------------------------------------------------------


def test_coefficients_are_those_of_the_analysis_of_variance(rng: np.random.Generator) -> None:
    first, second, speakers = twice(rng, shift=0.7)
    found = agreement(first, second, speakers, n_resamples=10)
    for column in first:
        expected = by_anova(np.column_stack([first[column], second[column]]))
        assert found.loc[column, ["icc", "consistency"]].tolist() == pytest.approx(expected)
        moved = (second[column] - first[column]).median() / first[column].std()
        assert found.loc[column, "shift_sd"] == pytest.approx(moved)


def test_the_second_implementation_gives_what_shrout_and_fleiss_printed() -> None:
    assert np.round(by_anova(SHROUT_FLEISS), 2).tolist() == [0.29, 0.71]


def test_known_reliability_is_found_and_lies_in_its_interval(rng: np.random.Generator) -> None:
    first, second, speakers = twice(rng, n=400, noise=0.5)  # 1 / (1 + 0.25) = 0.8
    found = agreement(first, second, speakers, n_resamples=200)
    assert found["icc"].to_numpy() == pytest.approx(0.8, abs=0.06)
    assert (found["icc_low"] < 0.83).all()
    assert (found["icc_high"] > 0.77).all()
    assert ((found["icc_low"] < found["icc"]) & (found["icc"] < found["icc_high"])).all()


def test_a_constant_shift_lowers_agreement_but_not_consistency(rng: np.random.Generator) -> None:
    first, _, speakers = twice(rng)
    found = agreement(first, first + 3 * first.std(), speakers, n_resamples=10)
    assert (found["icc"] < 0.25).all()
    assert found["consistency"].to_numpy() == pytest.approx(1)
    assert found["shift_sd"].to_numpy() == pytest.approx(3)


def test_units_do_not_matter(rng: np.random.Generator) -> None:
    first, second, speakers = twice(rng)
    plain = agreement(first, second, speakers, n_resamples=50)
    scaled = agreement(1e-4 * first + 1e3, 1e-4 * second + 1e3, speakers, n_resamples=50)
    pd.testing.assert_frame_equal(plain, scaled, rtol=1e-4)


def test_intervals_are_over_speakers_not_over_rows(rng: np.random.Generator) -> None:
    first, second, speakers = twice(rng)
    many = [pd.concat([table] * 10, ignore_index=True) for table in (first, second)]
    own, tenfold = agreement(first, second, speakers), agreement(*many, np.tile(speakers, 10))
    widths = [found["icc_high"] - found["icc_low"] for found in (own, tenfold)]
    assert widths[1].to_numpy() == pytest.approx(widths[0].to_numpy(), rel=0.15)
    assert agreement(first.iloc[:16], second.iloc[:16], speakers[:16])["icc"].isna().all()  # four speakers


def test_missing_numbers_are_counted_and_left_out(rng: np.random.Generator) -> None:
    first, second, speakers = twice(rng)
    second.iloc[:15, 0] = np.nan
    first.iloc[:6, 1] = np.nan
    second["voice__cpps_db"] = np.nan
    found = agreement(first, second, speakers, n_resamples=10)
    assert found["missing"].tolist() == pytest.approx([0.25, 0, 1])
    assert found["n"].tolist() == [45, 54, 0]
    assert found["n_speakers"].tolist() == [12, 14, 0]
    whole = by_anova(np.column_stack([first.iloc[15:, 0], second.iloc[15:, 0]]))[0]
    assert found.iloc[0]["icc"] == pytest.approx(whole)
    assert found.iloc[2][["icc", "icc_low", "consistency", "shift_sd"]].isna().all()


def test_where_nearly_all_values_are_equal_there_is_no_coefficient(rng: np.random.Generator) -> None:
    first, _, speakers = twice(rng)
    first[:] = 1.0
    first.iloc[:5, 0] = [2, 3, 4, 5, 6]  # 55 of 60 are the same
    first.iloc[:7, 1] = [2, 3, 4, 5, 6, 7, 8]  # 53
    found = agreement(first, first, speakers, n_resamples=10)["icc"]
    assert found.isna().tolist() == [True, False, True]


def test_quality_columns_are_left_out(rng: np.random.Generator) -> None:
    first, second, speakers = twice(rng)
    found = agreement(first.assign(quality__snr_db=1.0), second.assign(quality__snr_db=2.0), speakers, n_resamples=5)
    assert list(found.index) == list(first.columns)


@pytest.mark.parametrize(
    ("change", "match"),
    [
        (lambda a, b, s: (a.to_numpy(), b, s), "first is a ndarray; expected a table"),
        (lambda a, b, s: (a, b.iloc[:-1], s), "expected the same columns, in the same order, and as many rows"),
        (lambda a, b, s: (a, b[b.columns[::-1]], s), "expected the same columns"),
        (lambda a, b, s: (a, b, s[:-1]), "groups has 59 entries for 60 rows"),
    ],
)
def test_tables_that_do_not_belong_together_are_refused(change: Any, match: str, rng: np.random.Generator) -> None:
    with pytest.raises(ParameterError, match=match):
        agreement(*change(*twice(rng)))


def test_a_level_beyond_one_is_refused(rng: np.random.Generator) -> None:
    with pytest.raises(ParameterError, match="level 95"):
        agreement(*twice(rng), level=95)


# The atlas that ships ------------------------------------------------------------------------------------


def test_every_column_of_the_shipped_families_was_measured_against_everything() -> None:
    table = atlas()
    columns = list(vb.describe_columns().query("family != 'quality'").index)
    for material, perturbations in (
        ("speech", SPEECH),
        ("vowel", {*SPEECH, "halves"} - {"repetition"}),
    ):
        part = table[table["material"] == material]
        assert set(part["perturbation"]) == perturbations
        assert sorted(part["column"].unique()) == sorted(columns)
        assert len(part) == len(columns) * len(perturbations)


def test_no_column_is_without_a_family_of_markers() -> None:
    assert set(atlas()["marker"]) == set(MARKERS)
    assert marker_of("voice__jitter_rap") == "jitter"
    assert marker_of("whisper_base_encoder_L4__017") not in MARKERS


def test_coefficients_lie_in_their_intervals_and_below_one() -> None:
    table = atlas().dropna(subset=["icc"])
    assert len(table) > 5000
    assert table["icc"].between(-1, 1).all()
    assert table["missing"].between(0, 1).all()
    assert (table["icc_low"] <= table["icc_high"]).all()
    inside = (table["icc"] >= table["icc_low"] - 0.01) & (table["icc"] <= table["icc_high"] + 0.01)
    assert inside.mean() > 0.98  # a percentile interval may miss its own estimate
    assert (table["icc"] <= table["consistency"] + 0.02).mean() > 0.95


def test_what_must_be_so_by_physics_is_so() -> None:
    table = atlas().query("material == 'speech'").set_index(["column", "perturbation"])["icc"]
    # level changes loudness, not pitch, formants, jitter
    assert table["prosody__loudness_sma3_amean", "soft_10db"] < 0.5
    for column in ("voice__f0_median_hz", "voice__f1_median_hz", "voice__jitter_local", "voice__hnr_db"):
        assert table[column, "soft_10db"] > 0.99
    # more noise is worse than less, and jitter suffers more than pitch
    assert table["voice__jitter_local", "noise_10db"] < table["voice__jitter_local", "noise_20db"]
    assert table["voice__jitter_local", "noise_10db"] < table["voice__f0_median_hz", "noise_10db"]
    # nothing above 4 kHz is left by a narrow microphone, and everything below
    assert table["spectral__logmel38_mean", "band_4khz"] < 0.2
    assert table["spectral__logmel10_mean", "band_4khz"] > 0.95


def test_the_table_is_a_copy_that_may_be_changed() -> None:
    first = atlas()
    first.loc[:, "icc"] = 0.0
    assert atlas()["icc"].max() > 0.9


def test_the_shipped_table_is_small_text_that_names_its_licence_and_sources() -> None:
    import vocalbio.reliability

    path = Path(vocalbio.reliability.__file__).parent / "shipped" / "atlas.csv"
    text = path.read_text(encoding="utf-8")
    assert path.stat().st_size < 500_000
    head = " ".join(line for line in text.splitlines() if line.startswith("#"))
    for words in ("CC BY-NC-SA 4.0", "10.1371/journal.pone.0196391", "2012.07347", "opensmile 2"):
        assert words in head


# Choosing ------------------------------------------------------------------------------------------------


@pytest.fixture
def table() -> pd.DataFrame:
    return vb.extract_features(["nowhere.wav", "nor_here.wav"], ["prosody", "voice"])


def test_exactly_the_columns_that_survive_everything_named_are_kept_in_order(table: pd.DataFrame) -> None:
    left = select_reliable(table, min_icc=0.8, against=["codec", "noise_10db"])
    lines = atlas().query("material == 'speech' and (kind == 'codec' or perturbation == 'noise_10db')")
    stable = lines.assign(fine=lines["icc"] >= 0.8).groupby("column")["fine"].all()
    features = [name for name in left if not name.startswith("quality__")]
    assert features == [name for name in table if stable.get(name, False)]
    assert 0 < len(features) < 143
    pd.testing.assert_frame_equal(left, table[list(left)])


def test_rows_attrs_and_quality_columns_stay(table: pd.DataFrame) -> None:
    left = select_reliable(table, against="repetition")
    assert left.attrs == table.attrs
    assert vb.errors(left)["stage"].tolist() == ["audio", "audio"]
    assert left.filter(like="quality__").shape == table.filter(like="quality__").shape


def test_more_demands_keep_fewer_columns(table: pd.DataFrame) -> None:
    def kept(**settings: Any) -> set[str]:
        return set(select_reliable(table, **settings))

    assert kept(min_icc=0.9) < kept(min_icc=0.5)
    assert kept(against=["codec", "noise", "room"]) < kept(against="codec")
    assert kept(measure="icc_low") < kept(measure="icc")
    assert kept(measure="consistency") > kept(measure="icc")
    assert kept(material="vowel", against="halves") != kept(material="speech", against="repetition")


def test_what_nothing_is_known_of_is_dropped_kept_or_told_as_said(table: pd.DataFrame) -> None:
    wider = table.assign(whisper_base_encoder_L4__000=1.0)
    unknown = {"whisper_base_encoder_L4__000", "voice__pause_fraction"}  # short sentences have no pauses
    assert not unknown & set(select_reliable(wider, against="codec"))
    assert unknown <= set(select_reliable(wider, against="codec", unknown="keep"))
    with pytest.raises(ParameterError, match=r"nothing is known on speech \(families: voice, whisper_base_encoder_L4"):
        select_reliable(wider, against="codec", unknown="raise")


def test_what_noise_destroys_is_unstable_not_unknown(table: pd.DataFrame) -> None:
    line = atlas().query("column == 'voice__articulation_rate_per_s' and perturbation == 'noise_10db'").iloc[0]
    assert line["missing"] > 0.9
    assert "voice__articulation_rate_per_s" not in select_reliable(table, against="noise_10db", unknown="keep")
    assert "voice__articulation_rate_per_s" in select_reliable(table, against="noise_20db")


def test_it_is_a_step_of_a_pipeline(rng: np.random.Generator) -> None:
    X = pd.DataFrame({"voice__f0_median_hz": rng.normal(size=9), "voice__jitter_local": rng.normal(size=9)})
    step = FunctionTransformer(select_reliable, kw_args={"against": "room"})
    found = make_pipeline(step, StandardScaler().set_output(transform="pandas")).fit_transform(X)
    assert list(found) == ["voice__f0_median_hz"]


@pytest.mark.parametrize(
    ("settings", "match"),
    [
        ({"against": "weather"}, r"against holds 'weather'; expected kinds \(bandwidth, codec"),
        ({"against": "halves"}, "against holds 'halves'.*on speech, some of mp3_32k"),
        ({"against": []}, "against is empty"),
        ({"material": "song"}, "material is 'song'; expected one of speech, vowel"),
        ({"measure": "shift_sd"}, "measure is 'shift_sd'"),
        ({"unknown": "ask"}, "unknown is 'ask'"),
        ({"min_icc": 75}, "min_icc is 75"),
    ],
)
def test_wrong_demands_are_told(settings: dict[str, Any], match: str, table: pd.DataFrame) -> None:
    with pytest.raises(ParameterError, match=match):
        select_reliable(table, **settings)


def test_an_array_has_no_names_to_choose_by() -> None:
    with pytest.raises(ParameterError, match="X is a ndarray"):
        select_reliable(np.zeros((2, 2)))  # type: ignore[arg-type]


# The measuring -------------------------------------------------------------------------------------------


def test_the_benchmark_writes_what_the_atlas_reads(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("audiomentations")
    pytest.importorskip("pyroomacoustics")
    path = Path(__file__).parents[1] / "benchmarks" / "reliability_atlas.py"
    monkeypatch.syspath_prepend(path.parent)
    spec = importlib.util.spec_from_file_location("reliability_atlas", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "reliability_atlas", module)
    spec.loader.exec_module(module)
    assert set(module.RECIPES) == SPEECH - {"repetition"}
    shipped = atlas()
    module.write(shipped, tmp_path / "atlas.csv")
    monkeypatch.setattr("vocalbio.reliability.table.files", lambda package: _Folder(tmp_path))
    from vocalbio.reliability import table

    pd.testing.assert_frame_equal(table._read.__wrapped__(), shipped)


class _Folder:
    def __init__(self, path: Path) -> None:
        self.path = path

    def joinpath(self, *parts: str) -> Path:
        return self.path / parts[-1]
