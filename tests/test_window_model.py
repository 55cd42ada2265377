"""WindowModel: what every second of a night is, from nights of known events; made-up sounds and tiny networks."""

from __future__ import annotations

import copy
import json
import shutil
import tracemalloc
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import soundfile

from vocalbio.audio import Recording
from vocalbio.datasets.nights import NightClips, simulate_night
from vocalbio.errors import LeakageError, ModelFileError, ModelUnavailableError, ParameterError, VocalbioWarning
from vocalbio.risk.window import WindowModel, label_seconds
from vocalbio.stream.monitor import Monitor

RATE = 16_000
NIGHT_S = 240
CYCLE_S = 4.0
DETAILS: dict[str, Any] = {
    "against": "polysomnography",
    "study": "doi:10.0000/made-up",
    "n_people": 40,
    "n_nights": 41,
    "scoring": "AASM 2012, 1A",
    "results": {"AUROC at 15/h": 0.9},
    "people_disjoint": True,
}


def make_night(seed: int, *, floor_db: float | None = None) -> tuple[Recording, pd.DataFrame, pd.DataFrame]:
    """
    Four minutes: a breath or a snore every four seconds, and pauses of 12 to 24 s.

    Breaths are noise above 1 kHz, snores pulse at 60 Hz below it; both stand 20 dB or more above white noise.
    """
    rng = np.random.default_rng(seed)
    floor_db = rng.uniform(-70, -50) if floor_db is None else floor_db
    samples = rng.standard_normal(NIGHT_S * RATE)
    events, snores = [], []
    start_s, snoring = 2.0, bool(seed % 2)
    while start_s < NIGHT_S - CYCLE_S:
        if start_s > 40 and rng.random() < 0.12:
            pause_s = rng.uniform(12, 24)
            end_s = min(start_s + pause_s, NIGHT_S - CYCLE_S)
            events.append((start_s - CYCLE_S + 1.2, end_s, "apnea"))
            start_s, snoring = end_s, not snoring
            continue
        time_s = np.arange(round(1.2 * RATE)) / RATE
        shape = 30 * np.sin(np.pi * time_s / 1.2)
        if snoring:
            sound = sum(np.sin(2 * np.pi * 60 * k * time_s + k * k) for k in range(1, 12))
            snores.append((start_s, start_s + 1.2))
        else:
            sound = np.diff(rng.standard_normal(len(time_s) + 1))
        begin = round(start_s * RATE)
        samples[begin : begin + len(time_s)] += shape * sound
        start_s += CYCLE_S
    recording = Recording((samples * 10 ** (floor_db / 20)).astype(np.float32), RATE)
    return (
        recording,
        pd.DataFrame(events, columns=["start_s", "end_s", "kind"]),
        pd.DataFrame(snores, columns=["start_s", "end_s"]),
    )


def tiny(**settings: Any) -> WindowModel:
    defaults: dict[str, Any] = {"network": "bilstm", "preset": "small", "frames_per_s": 2, "n_bands": 12, "epochs": 6}
    return WindowModel("apnea", **(defaults | settings))


@pytest.fixture(scope="module")
def nights() -> list[Any]:
    return [make_night(seed) for seed in range(8)]


@pytest.fixture(scope="module")
def model(nights: list[Any]) -> WindowModel:
    return tiny(epochs=16).fit(nights, groups=[f"P{number}" for number in range(8)])


def padded(samples: np.ndarray, seconds: int) -> np.ndarray:
    return np.pad(samples, seconds * RATE, constant_values=np.nan)


# What a second is ------------------------------------------------------------------------------------------


def test_an_event_claims_the_seconds_whose_middle_it_covers_and_a_snore_those_with_a_quarter_of_it() -> None:
    events = pd.DataFrame({"start_s": [10.4, 30.6], "end_s": [20.5, 41.0], "kind": ["apnea", "hypopnea"]})
    snores = pd.DataFrame({"start_s": [0.8, 5.7, 19.0], "end_s": [1.2, 6.3, 22.0]})
    codes = label_seconds(events, snores, 50)
    assert np.flatnonzero(codes == 2).tolist() == [*range(10, 20), *range(31, 41)]
    assert np.flatnonzero(codes == 1).tolist() == [5, 6, 20, 21]


def test_snores_may_stand_in_the_table_of_events_as_annotators_write_them() -> None:
    table = pd.DataFrame({"start_s": [3.0, 8.0], "end_s": [4.0, 20.0], "kind": ["snore", "apnea"]})
    assert label_seconds(table, None, 10).tolist() == [0, 0, 0, 1, 0, 0, 0, 0, 2, 2]
    with pytest.raises(ParameterError, match="'arousal'; expected 'apnea', 'hypopnea', 'snore'"):
        label_seconds(table.assign(kind="arousal"), None, 10)


@pytest.mark.parametrize(
    ("table", "words"),
    [
        (pd.DataFrame({"start": [1]}), r"columns \['start'\]; expected a DataFrame with start_s and end_s"),
        ("events.csv", "a str; expected a DataFrame"),
        (pd.DataFrame({"start_s": [5.0], "end_s": [4.0]}), "1 rows whose end_s does not lie after start_s"),
        (pd.DataFrame({"start_s": [5.0], "end_s": [np.nan]}), "1 rows whose end_s does not lie after start_s"),
    ],
)
def test_tables_that_tell_no_times_are_refused(table: Any, words: str) -> None:
    with pytest.raises(ParameterError, match=words):
        label_seconds(table, None, 10)


# What it learns ----------------------------------------------------------------------------------------------


def test_it_tells_breath_snore_and_pause_apart_in_nights_that_it_never_heard(model: WindowModel) -> None:
    counts = model.confusion([make_night(seed) for seed in (20, 21, 22, 23)], groups=["A", "B", "C", "D"])
    recall = np.diag(counts) / counts.sum(axis=1)
    assert counts.index.tolist() == list(model.classes_) == ["normal", "snore", "apnea"]
    assert counts.to_numpy().sum() == 4 * NIGHT_S
    assert recall.min() > 0.75, counts


@pytest.mark.parametrize("network", ["cnn", "tcn"])
def test_every_network_learns_it_and_can_be_kept(network: str, nights: list[Any], tmp_path: Path) -> None:
    small = tiny(network=network, preset="small", epochs=10).fit(nights, groups=range(8))
    counts = small.confusion([make_night(seed) for seed in (20, 21)])
    assert (np.diag(counts) / counts.sum(axis=1)).min() > 0.6, counts
    small.save(tmp_path / "night.vocalbio")
    found = [model.predict_night(make_night(32)[0]) for model in (small, WindowModel.load(tmp_path / "night.vocalbio"))]
    np.testing.assert_allclose(*found, atol=1e-6)


def test_probabilities_add_up_and_are_as_often_right_as_they_say(model: WindowModel) -> None:
    night, events, snores = make_night(24)
    found = model.predict_night(night)
    np.testing.assert_allclose(found.sum(axis=1), 1, atol=1e-5)
    truth = label_seconds(events, snores, NIGHT_S)
    for code, name in enumerate(model.classes_):
        assert found[name].mean() == pytest.approx(np.mean(truth == code), abs=0.12)


def test_the_monitor_finds_events_by_it(model: WindowModel) -> None:
    night, events, _ = make_night(25)
    monitor = Monitor(RATE, model=model)
    monitor.push(night.samples)
    report = monitor.finish()
    assert len(events) >= 3
    found = report.events
    for event in events.itertuples():
        overlap = np.minimum(found["end_s"], event.end_s) - np.maximum(found["start_s"], event.start_s)
        assert overlap.max() > 0.5 * (event.end_s - event.start_s), (events, found)
    assert len(found) <= len(events) + 1


def test_the_same_seed_gives_the_same_model(nights: list[Any]) -> None:
    night = make_night(30)[0]
    found = [tiny(network="cnn", epochs=2).fit(nights[:3], groups="abc").predict_night(night) for _ in range(2)]
    np.testing.assert_allclose(*found, atol=1e-6)


# What it hears ---------------------------------------------------------------------------------------------------


def test_the_gain_of_the_recorder_does_not_matter(model: WindowModel) -> None:
    night = make_night(26, floor_db=-50)[0]
    loud = model.predict_night(night)
    soft = model.predict_night(Recording(night.samples * np.float32(0.05), RATE))
    np.testing.assert_allclose(soft, loud, atol=1e-3)


def test_level_matters_though_gain_does_not(model: WindowModel) -> None:
    """The same pause, filled up with noise as loud as the breaths around it, is no pause."""
    night, events, _ = make_night(27)
    samples = night.samples.copy()
    first = events.iloc[0]
    start, end = round((first.start_s + 1) * RATE), round((first.end_s - 1) * RATE)
    inside = slice(int(first.start_s) + 3, int(first.end_s) - 3)
    before = model.predict_night(night)["apnea"].to_numpy()[inside].mean()
    rng = np.random.default_rng(0)
    samples[start:end] += (rng.standard_normal(end - start) * 20 * np.std(samples[:RATE])).astype(np.float32)
    after = model.predict_night(Recording(samples, RATE))["apnea"].to_numpy()[inside].mean()
    assert before > 0.7
    assert after < before - 0.3


def test_a_second_depends_on_its_own_context_and_not_on_how_many_are_asked_for(model: WindowModel) -> None:
    context = model.context_s
    sound = padded(make_night(28)[0].samples, context)
    whole = model.predict_seconds(sound)
    assert whole.shape == (NIGHT_S, 3)
    assert whole.dtype == np.float32
    for first, n in ((0, 1), (0, 7), (100, 13), (NIGHT_S - 5, 5), (50, 0)):
        part = model.predict_seconds(sound[first * RATE : (first + n + 2 * context) * RATE])
        np.testing.assert_allclose(part, whole[first : first + n], atol=1e-5)
    other = sound.copy()
    other[(context + 150) * RATE : (context + 152) * RATE] *= 30
    changed = np.flatnonzero(np.abs(model.predict_seconds(other) - whole).max(axis=1) > 1e-5)
    assert len(changed)
    assert 150 - context <= changed.min() <= changed.max() <= 151 + context


def test_a_whole_night_is_answered_as_the_monitor_asks_second_by_second(model: WindowModel) -> None:
    night = make_night(29)[0]
    found = model.predict_night(night)
    assert found.index.name == "start_s"
    assert found.index.tolist() == list(range(NIGHT_S))
    np.testing.assert_allclose(found, model.predict_seconds(padded(night.samples, model.context_s)), atol=1e-5)


@pytest.mark.parametrize("absent", [np.nan, 0.0], ids=["not recorded", "digital silence"])
def test_seconds_without_sound_get_no_answer_and_do_not_disturb_the_others(model: WindowModel, absent: float) -> None:
    night = make_night(31)[0]
    whole = model.predict_night(night).to_numpy()
    holed = night.samples.copy()
    holed[100 * RATE : 104 * RATE] = absent
    found = model.predict_seconds(padded(holed, model.context_s))
    assert np.isnan(found[100:104]).all()
    rest = np.r_[0:100, 104:NIGHT_S]
    assert np.isfinite(found[rest]).all()
    far = np.r_[0 : 100 - model.context_s, 104 + model.context_s : NIGHT_S]
    np.testing.assert_allclose(found[far], whole[far], atol=1e-5)
    near = np.setdiff1d(rest, far)
    assert (found[near].argmax(axis=1) == whole[near].argmax(axis=1)).mean() > 0.7


@pytest.mark.parametrize("samples", [np.zeros(RATE * 30 + 1), np.zeros(RATE * 29), np.zeros((2, RATE * 40))])
def test_sound_that_is_no_whole_seconds_with_context_is_refused(model: WindowModel, samples: Any) -> None:
    with pytest.raises(ParameterError, match=r"expected \(\(n_seconds \+ 30\) \* 16000,\)"):
        model.predict_seconds(samples)


def test_a_night_is_listened_to_in_constant_memory(model: WindowModel, tmp_path: Path) -> None:
    peaks = []
    for minutes in (4, 12):
        file = tmp_path / f"{minutes}.flac"
        noise = np.random.default_rng(0).integers(-300, 300, 60 * RATE, dtype=np.int16)
        with soundfile.SoundFile(file, "w", RATE, 1, "PCM_16") as sound:
            for _ in range(minutes):
                sound.write(noise)
        tracemalloc.start()
        model.predict_night(file)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert peaks[1] < peaks[0] + 3e6  # eight minutes of sound are 31 MB


# Who is held out ----------------------------------------------------------------------------------------------


def test_one_recording_under_two_names_is_a_leak(nights: list[Any]) -> None:
    twice = [*nights[:3], nights[0]]
    with pytest.raises(LeakageError, match="the same recording belongs to P0 and to P3"):
        tiny().fit(twice, groups=["P0", "P1", "P2", "P3"])


def test_nights_and_people_of_the_training_are_not_counted(model: WindowModel, nights: list[Any]) -> None:
    with pytest.raises(LeakageError, match="known from training: night 1;"):
        model.confusion([make_night(40), nights[5]])
    with pytest.raises(LeakageError, match="known from training: P3;"):
        model.confusion([make_night(40)], groups=["P3"])


def test_all_nights_of_a_person_are_held_out_or_none(nights: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    class Split(Exception):
        """Taken before anything is trained."""

    def stop(self: WindowModel, heard: Any, held: Any, ear: Any) -> Any:
        raise Split(held)

    monkeypatch.setattr(WindowModel, "_train", stop)
    groups = np.array(["A", "B", "A", "C", "B", "A", "C", "B"])
    sides = set()
    for seed in range(8):
        with pytest.raises(Split) as found:
            tiny(seed=seed).fit(nights, groups=groups)
        held = found.value.args[0]
        assert 0 < held.sum() < 8
        assert not set(groups[held]) & set(groups[~held])
        sides.add(tuple(held.tolist()))
    assert len(sides) > 1  # the seed decides


def test_training_ends_when_people_held_out_are_told_no_better(nights: list[Any]) -> None:
    stubborn = tiny(network="cnn", epochs=30, patience=1).fit(nights[:3], groups="abc")
    watched = stubborn.history_["val_loss"]
    assert len(watched) < 30
    assert watched[-1] >= min(watched)


def test_what_cannot_be_told_is_told(nights: list[Any]) -> None:
    with pytest.warns(VocalbioWarning) as told:
        alone = tiny(network="cnn", epochs=1).fit([night[:2] for night in nights[:2]])
    words = " ".join(str(warning.message) for warning in told)
    assert "fitted without groups: each night counts as a person of its own" in words
    assert "no snores are noted: snoring is learnt as 'normal'" in words
    assert alone.manifest["training"]["person_disjoint"] == "unknown"
    with pytest.warns(VocalbioWarning, match="one group only: nothing can be held out"):
        one = tiny(network="cnn", epochs=1).fit(nights[:2], groups=["A", "A"])
    assert one.calibration_ is None
    assert one.manifest["calibrated"] is False


def test_a_class_that_no_held_out_night_has_is_not_calibrated_away(nights: list[Any]) -> None:
    night, events, _ = nights[1]
    snoreless = (night, events, events.iloc[:0])
    with pytest.warns(VocalbioWarning, match="not calibrated: no second of the held-out nights is 'snore'"):
        model = tiny(network="cnn", epochs=1).fit([nights[0], snoreless], groups=["A", "B"])
    assert model.calibration_ is None


# Files and settings -----------------------------------------------------------------------------------------------


def test_a_saved_model_answers_as_before_and_is_plain_data(model: WindowModel, tmp_path: Path) -> None:
    file = tmp_path / "night.vocalbio"
    model.save(file, licence="made-up sounds")
    again = WindowModel.load(file)
    night = make_night(33)[0]
    np.testing.assert_allclose(again.predict_night(night), model.predict_night(night), atol=1e-6)
    assert again.context_s == 15
    assert again.classes_ == ("normal", "snore", "apnea")
    with zipfile.ZipFile(file) as archive:
        assert set(archive.namelist()) == {"manifest.json", "model.keras", "arrays.npz"}
        manifest = json.loads(archive.read("manifest.json"))
    assert manifest["training"]["licence"] == "made-up sounds"
    assert manifest["training"]["n_people"] == 8
    assert "P3" not in json.dumps(manifest)
    assert manifest["validation"] is None
    assert manifest["training"]["data"] == "recorded"


def test_garbled_and_foreign_files_are_refused(model: WindowModel, tmp_path: Path) -> None:
    file = tmp_path / "night.vocalbio"
    model.save(file)
    with zipfile.ZipFile(file) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}

    def rewritten(**changes: Any) -> Path:
        changed = tmp_path / "changed.vocalbio"
        manifest = json.loads(parts["manifest.json"]) | changes
        with zipfile.ZipFile(changed, "w") as archive:
            for name, content in (parts | {"manifest.json": json.dumps(manifest).encode()}).items():
                archive.writestr(name, content)
        return changed

    with pytest.raises(ModelFileError, match=r"holds a RiskModel; load it with RiskModel\.load"):
        WindowModel.load(rewritten(model="RiskModel"))
    for changes in (
        {"parameters": {"window_s": "long"}},
        {"parameters": model.get_params() | {"n_bands": 20}},
        {"classes": ["normal", "apnea", "snore"]},
        {"validation": {"against": "nothing"}},
        {"training": None},
    ):
        with pytest.raises(ModelFileError, match="lacks or garbles an entry"):
            WindowModel.load(rewritten(**changes))


def test_only_a_polysomnography_study_of_other_people_counts_as_validation(model: WindowModel) -> None:
    for change, words in (
        ({"against": "a questionnaire"}, "what counts as validation is 'polysomnography'"),
        ({"study": " "}, "study is ' '; expected words"),
        ({"n_people": 0}, "n_people is 0"),
        ({"n_nights": 39}, "n_nights is 39 of 40 people"),
        ({"results": {}}, "results is {}"),
        ({"people_disjoint": False}, "people of the training are no validation"),
    ):
        with pytest.raises(ParameterError, match=words):
            model.add_validation(**(DETAILS | change))
    assert model.manifest["validation"] is None
    model.add_validation(**DETAILS)
    try:
        assert model.manifest["validation"] == DETAILS
    finally:
        model.manifest["validation"] = None


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"condition": "stress"}, "windows of a night are for 'apnea'"),
        ({"network": "dense"}, "network is 'dense'; expected one of 'bilstm', 'cnn', 'tcn'"),
        ({"features": 3}, "features is 3"),
        ({"features": "some/encoder", "network": "cnn"}, "use 'bilstm' or 'tcn'"),
        ({"window_s": 2}, "window_s is 2; expected a whole number of at least 3"),
        ({"hop_s": 0.5}, r"hop_s is 0\.5"),
        ({"frames_per_s": 5}, r"frames_per_s is 5 and window_s 30; expected one of 2, 4, 8, 10"),
        ({"n_bands": 100}, "n_bands is 100; expected at most 64"),
        ({"seed": -1}, "seed is -1"),
    ],
)
def test_wrong_settings_are_named(settings: dict[str, Any], words: str, nights: list[Any]) -> None:
    condition = settings.pop("condition", "apnea")
    defaults: dict[str, Any] = {"preset": "small", "n_bands": 12}
    with pytest.raises(ParameterError, match=words):
        WindowModel(condition, **(defaults | settings)).fit(nights)


def test_nights_of_a_wrong_form_are_refused(nights: list[Any]) -> None:
    quiet = nights[0][1].iloc[:0]
    for given, words in (
        ([], "nights is empty"),
        (["night.wav"], r"a night is a str; expected \(audio, events\)"),
        ([(nights[0][0], quiet)], "no second of the nights is 'apnea'"),
    ):
        with pytest.raises(ParameterError, match=words):
            tiny().fit(given, groups=["A"] * len(given))
    with pytest.raises(ParameterError, match="one entry for each of 2 nights"):
        tiny().fit(nights[:2], groups=["A"])


# Simulated nights and files -----------------------------------------------------------------------------------


def test_the_manifest_tells_that_a_night_was_simulated_wherever_it_was_kept(tmp_path: Path) -> None:
    simulated = [
        simulate_night(NightClips(), duration_s=300, apneas_per_hour=24, hypopneas_per_hour=0, seed=seed)
        for seed in (1, 2)
    ]
    model = tiny(network="cnn", epochs=1).fit(simulated, groups=["A", "B"])
    assert model.manifest["training"]["data"] == "simulated"
    assert model.manifest["training"]["hours"] == pytest.approx(600 / 3600, abs=1e-3)
    assert min(model.manifest["training"]["seconds"].values()) > 0
    kept = []
    for night in simulated:
        file = tmp_path / f"{night.description['seed']}.wav"
        night.write(file)
        kept.append((file, pd.read_csv(file.with_suffix(".events.csv"))))
    with pytest.warns(VocalbioWarning, match="no snores"):
        again = tiny(network="cnn", epochs=1).fit([kept[0], make_night(1)[:2]], groups=["A", "B"])
    assert again.manifest["training"]["data"] == "simulated and recorded"


# An encoder beside -----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def whisper(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from vocalbio.encoders import TFWhisperEncoder

    folder = tmp_path_factory.mktemp("whisper")
    config = {"d_model": 16, "encoder_layers": 2, "encoder_attention_heads": 2, "encoder_ffn_dim": 32}
    TFWhisperEncoder(config).save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def hearing(nights: list[Any], whisper: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[WindowModel, Path]:
    model = tiny(features=str(whisper), epochs=2).fit(nights[:4], groups="abcd")
    file = tmp_path_factory.mktemp("model") / "night.vocalbio"
    model.save(file)
    return model, file


def test_whisper_s_states_stand_beside_the_levels(hearing: tuple[WindowModel, Path]) -> None:
    model, _ = hearing
    assert model.context_s == 16
    assert model.manifest["encoder"]["size"] == 16
    sound = padded(make_night(34, floor_db=-50)[0].samples[: 60 * RATE], 16)
    whole = model.predict_seconds(sound)
    np.testing.assert_allclose(model.predict_seconds(sound[10 * RATE : 50 * RATE]), whole[10:18], atol=1e-5)
    np.testing.assert_allclose(model.predict_seconds(sound * np.float32(0.1)), whole, atol=1e-3)
    deaf = copy.copy(model)
    deaf._centre, deaf._spread = model._centre.copy(), model._spread.copy()
    deaf._spread[model.n_bands :] = np.inf  # states that tell nothing
    assert np.abs(deaf.predict_seconds(sound) - whole).max() > 1e-3


def test_a_saved_model_finds_its_encoder_again(
    hearing: tuple[WindowModel, Path], whisper: Path, tmp_path: Path
) -> None:
    from vocalbio.encoders import TFWhisperEncoder

    model, file = hearing
    sound = padded(make_night(35)[0].samples[: 10 * RATE], 16)
    moved = shutil.copytree(whisper, tmp_path / "elsewhere")
    again = WindowModel.load(file, encoder=moved)
    np.testing.assert_allclose(again.predict_seconds(sound), model.predict_seconds(sound), atol=1e-6)
    TFWhisperEncoder(json.loads((whisper / "config.json").read_text())).save_pretrained(tmp_path / "other")
    with pytest.raises(ModelFileError, match="another checkpoint of the same name"):
        WindowModel.load(file, encoder=tmp_path / "other")
    with pytest.raises(ModelUnavailableError):
        WindowModel.load(file, encoder=tmp_path / "nowhere")
