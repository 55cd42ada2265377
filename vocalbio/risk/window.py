"""WindowModel: normal, snore or event, for every second of a night, from the sound around it; trained on nights."""

from __future__ import annotations

import hashlib
import json
import math
import os
import tempfile
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cached_property
from numbers import Integral
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import numpy as np
import pandas as pd
from numpy.lib.stride_tricks import sliding_window_view
from sklearn.base import BaseEstimator
from sklearn.exceptions import NotFittedError

from vocalbio import __version__
from vocalbio.audio import Recording, stream_audio
from vocalbio.conditions import get_condition
from vocalbio.datasets.nights import SimulatedNight
from vocalbio.errors import LeakageError, ModelFileError, ParameterError, VocalbioWarning, required_for
from vocalbio.risk.calibration import Temperature
from vocalbio.risk.cohort import speaker_keys
from vocalbio.risk.exporting import export_window_model
from vocalbio.risk.files import keras_from_bytes, keras_to_bytes, read_model, write_model

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from vocalbio.encoders import SpeechEncoder

__all__ = ["WindowModel", "label_seconds"]

CLASSES = ("normal", "snore", "apnea")
PRESETS = {"bilstm": "night", "cnn": "published", "tcn": "published"}
"""The networks, and the preset of each unless another is asked for."""
EVENTS, SNORES = ("apnea", "hypopnea"), ("snore",)
BOUNDS = ("start_s", "end_s")
RATE_HZ = 16_000
LEAST_SNORE_S = 0.25  # of a second, for it to be a snore: less is the end of the one before

PIECE = 400  # samples of a spectrum, 25 ms
MOST_BANDS = 64
LOWEST_DB = -120.0  # below the last bit of 16
FLOOR_QUANTILE = 0.1  # somewhere in half a minute is a pause between breaths, in every band
LIMIT = 5.0  # standard deviations
PLACE_COLUMNS = 3  # whether there is sound before and after, and how far from the middle
MEASURED_S = 60  # measured at once

MARGIN_S = 1  # what an encoder hears before and after a second
STATES_PER_S = 50
PEAK = 0.5
PIECES = 8  # through the encoder at once

HELD_OUT = 0.25  # of the groups, to end training and to calibrate
EPOCH_WINDOWS, WATCHED_WINDOWS = 4096, 2048
ANSWERED = 256  # windows answered at once

VALIDATION = ("against", "study", "n_people", "n_nights", "scoring", "results", "people_disjoint")


def label_seconds(events: pd.DataFrame, snores: pd.DataFrame | None, n_seconds: int) -> NDArray[np.int64]:
    """
    Say of every second what it is, from tables of what happened.

    Parameters
    ----------
    events : DataFrame
        ``start_s``, ``end_s`` in seconds from the beginning of the recording, and ``kind``, without which all are
        events: ``"apnea"`` and ``"hypopnea"`` are one class here, that of respiratory events; rows of kind
        ``"snore"`` are snores.
    snores : DataFrame or None
        ``start_s``, ``end_s`` of each snore, or of stretches of snoring.
    n_seconds : int
        Length of the recording.

    Returns
    -------
    numpy.ndarray of int, shape (n_seconds,)
        2 where an event covers the middle of the second; else 1 where a quarter of it or more is snoring; else 0.

    Raises
    ------
    ParameterError
        If a column is missing, a kind unknown, or an end does not lie after its start.

    Examples
    --------
    >>> import pandas as pd
    >>> from vocalbio.risk.window import label_seconds
    >>> event = pd.DataFrame({"start_s": [2.4], "end_s": [4.6], "kind": ["hypopnea"]})
    >>> snore = pd.DataFrame({"start_s": [0.9, 4.0], "end_s": [1.6, 5.1]})
    >>> label_seconds(event, snore, 6).tolist()
    [0, 1, 2, 2, 2, 0]
    """
    events = _intervals(events, "events")
    kinds = events["kind"] if "kind" in events else pd.Series("apnea", events.index)
    unknown = sorted(set(kinds.astype(str)) - {*EVENTS, *SNORES})
    if unknown:
        raise ParameterError(
            f"events holds the kind {', '.join(map(repr, unknown[:5]))}; expected "
            f"{', '.join(map(repr, (*EVENTS, *SNORES)))}: rename or leave out the others"
        )
    breathless, snored = events[~kinds.isin(SNORES)], [events[kinds.isin(SNORES)]]
    if snores is not None:
        snored.append(_intervals(snores, "snores"))
    middles, heard_s = np.arange(n_seconds) + 0.5, np.zeros(n_seconds)
    for start, end in zip(*(np.concatenate([table[name] for table in snored]) for name in BOUNDS), strict=True):
        first, last = max(0, math.floor(start)), min(n_seconds, math.ceil(end))
        seconds = np.arange(first, last)
        heard_s[first:last] += np.minimum(seconds + 1, end) - np.maximum(seconds, start)
    codes = np.where(heard_s >= LEAST_SNORE_S, 1, 0)
    for start, end in zip(breathless["start_s"], breathless["end_s"], strict=True):
        codes[(middles >= start) & (middles < end)] = 2
    return codes


def _intervals(table: Any, what: str) -> pd.DataFrame:
    if not isinstance(table, pd.DataFrame) or not set(BOUNDS) <= set(table.columns):
        got = f"columns {list(table.columns)}" if isinstance(table, pd.DataFrame) else f"a {type(table).__name__}"
        raise ParameterError(f"{what} has {got}; expected a DataFrame with start_s and end_s")
    lengths = table["end_s"] - table["start_s"]
    if not (lengths > 0).all():
        raise ParameterError(
            f"{what} has {(~(lengths > 0)).sum()} rows whose end_s does not lie after start_s; mend or drop them"
        )
    return table


# Frames -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Ear:
    """
    Seconds of sound to frames: levels of mel bands in dB, and beside them states of an encoder if there is one.

    What a second is measured from ends `margin_s` before and after it, so that its frames are the same whatever is
    asked for at once. `weights` are the identity of the encoder's.
    """

    frames_per_s: int
    n_bands: int
    encoder: SpeechEncoder | None
    layer: int
    weights: str | None = None

    @property
    def margin_s(self) -> int:
        return 0 if self.encoder is None else MARGIN_S

    @property
    def n_columns(self) -> int:
        return self.n_bands + (0 if self.encoder is None else self.encoder.hidden_size)

    def hear(self, samples: NDArray[np.float32]) -> NDArray[np.float32]:
        """Frames of the seconds but for `margin_s` at both ends, (n_frames, n_columns); NaN where there is nothing."""
        margin = self.margin_s * RATE_HZ
        inner = samples[margin : len(samples) - margin]
        step = MEASURED_S * RATE_HZ
        parts = [np.empty((0, self.n_columns), np.float32)]
        for start in range(0, len(inner), step):
            levels = self._levels(inner[start : start + step])
            if self.encoder is not None:
                states = self._states(self.encoder, samples[start : min(start + step, len(inner)) + 2 * margin])
                states[np.isnan(levels[:, 0])] = np.nan
                levels = np.hstack([levels, states])
            parts.append(levels)
        return np.concatenate(parts)

    def listen(self, blocks: Iterable[NDArray[np.float32]]) -> Iterator[NDArray[np.float32]]:
        """Frames of a whole recording, from blocks of any size; its last second is filled up with nothing."""
        margin = self.margin_s * RATE_HZ
        held = np.full(margin, np.nan, np.float32)
        for samples in blocks:
            held = np.concatenate([held, samples])
            ready = max(0, len(held) - 2 * margin) // RATE_HZ * RATE_HZ
            if ready:
                yield self.hear(held[: ready + 2 * margin])
                held = held[ready:]
        rest = -(len(held) - margin) % RATE_HZ
        yield self.hear(np.concatenate([held, np.full(rest + margin, np.nan, np.float32)]))

    def _levels(self, samples: NDArray[np.float32]) -> NDArray[np.float32]:
        frames = samples.reshape(-1, RATE_HZ // self.frames_per_s)
        # digital silence is a drop-out or a gate, not a room: it would drag the noise floor down
        absent = np.isnan(frames).any(axis=1) | (np.ptp(frames, axis=1) == 0)
        frames = np.where(absent[:, None], np.float32(0), frames)
        pieces = sliding_window_view(frames, PIECE, axis=1)[:, :: PIECE // 2]
        power = np.square(np.abs(np.fft.rfft(pieces * self._taper, axis=2))).mean(axis=1)
        levels = 10 * np.log10(np.maximum(power @ self._filters, 10 ** (LOWEST_DB / 10)))
        levels[absent] = np.nan
        return levels.astype(np.float32)

    @cached_property
    def _taper(self) -> NDArray[np.float32]:
        return np.hanning(PIECE + 1)[:-1].astype(np.float32)

    @cached_property
    def _filters(self) -> NDArray[np.float64]:
        """Shape (n_bins, n_bands); full scale in one band is 0 dB."""
        with required_for("mel bands", "librosa"):
            import librosa
        filters = librosa.filters.mel(sr=RATE_HZ, n_fft=PIECE, n_mels=self.n_bands, fmin=50, fmax=7500, norm=None)
        return 2 * filters.T.astype(float) / (PIECE * np.square(self._taper, dtype=float).sum())

    def _states(self, encoder: SpeechEncoder, samples: NDArray[np.float32]) -> NDArray[np.float32]:
        n_seconds = len(samples) // RATE_HZ - 2 * MARGIN_S
        pieces = sliding_window_view(np.nan_to_num(samples), (2 * MARGIN_S + 1) * RATE_HZ)[::RATE_HZ][:n_seconds]
        # as loud as each other: how loud a second is, the bands beside tell, and a gain must not change the rest
        pieces = pieces * (PEAK / np.maximum(np.abs(pieces).max(axis=1, keepdims=True), 1e-6))
        found = [np.empty((0, self.n_columns - self.n_bands), np.float32)]
        for start in range(0, n_seconds, PIECES):
            heard = np.stack([encoder.normalize(piece) for piece in pieces[start : start + PIECES]])
            states = np.asarray(self._graph(heard))[:, MARGIN_S * STATES_PER_S : (MARGIN_S + 1) * STATES_PER_S]
            pooled = states.reshape(len(states) * self.frames_per_s, -1, states.shape[-1]).mean(axis=1)
            found.append(pooled)
        return np.concatenate(found)

    @cached_property
    def _graph(self) -> Callable[[Any], Any]:
        import tensorflow as tf

        encoder: Any = self.encoder
        return tf.function(
            lambda waveforms: encoder.states(waveforms, None, [self.layer])[0][0],
            input_signature=[tf.TensorSpec([None, (2 * MARGIN_S + 1) * RATE_HZ])],
            autograph=False,
        )


# Nights -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class _Night:
    """A night that was listened to: its frames, in a file, half a window of nothing at both ends; its seconds."""

    frames: NDArray[np.float16]
    codes: NDArray[np.int64]
    answerable: NDArray[np.bool_]
    key: str
    simulated: bool


def _parts(night: Any) -> tuple[Any, pd.DataFrame, pd.DataFrame | None]:
    """Sound, events and snores of what was given for a night."""
    if isinstance(night, SimulatedNight):
        return night, night.events, night.timeline[night.timeline["what"] == "snore"]
    if isinstance(night, (tuple, list)) and len(night) in (2, 3):
        return night[0], night[1], night[2] if len(night) == 3 else None
    raise ParameterError(
        f"a night is a {type(night).__name__}; expected (audio, events) or (audio, events, snores), or a SimulatedNight"
    )


def _blocks(audio: Any) -> Iterator[NDArray[np.float32]]:
    if isinstance(audio, SimulatedNight):
        blocks: Iterable[Recording] = (block.resample(RATE_HZ) for block in audio.blocks())
    else:
        blocks = stream_audio(audio, RATE_HZ)
    for block in blocks:
        yield block.samples


def _is_simulated(audio: Any) -> bool:
    """Whether nobody slept there: told by the night itself, or by the description beside its file."""
    if isinstance(audio, SimulatedNight):
        return True
    if not isinstance(audio, (str, os.PathLike)):
        return False
    try:
        beside = json.loads(Path(audio).with_suffix(".json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    return isinstance(beside, dict) and beside.get("simulated") is True


def _counts(nights: Sequence[_Night]) -> NDArray[np.int64]:
    """Seconds of each class."""
    return np.sum([np.bincount(night.codes[night.answerable], minlength=len(CLASSES)) for night in nights], axis=0)


def _alike(codes: NDArray[np.int64]) -> NDArray[np.float64]:
    """Weights with which all classes count alike."""
    return 1 / np.bincount(codes)[codes]


def _hold_out(groups: NDArray[Any], nights: Sequence[_Night], seed: int) -> NDArray[np.bool_]:
    """Which nights are not trained on: whole groups, chosen so that both sides hold every class if they can."""
    names = np.unique(groups)
    held = np.zeros(len(groups), bool)
    if len(names) < 2:
        return held
    counts = np.array([_counts([night]) for night in nights])
    generator = np.random.default_rng(seed)
    best = -1
    for _ in range(100):
        chosen = np.isin(groups, generator.permutation(names)[: max(1, round(HELD_OUT * len(names)))])
        trained, watched = ((counts[side].sum(axis=0) > 0).sum() for side in (~chosen, chosen))
        if 4 * trained + watched > best:  # what is not trained on cannot be learnt
            best, held = 4 * trained + watched, chosen
    return held


# The model ----------------------------------------------------------------------------------------------------


class WindowModel(BaseEstimator):
    """
    Normal breathing, snoring or a respiratory event, for every second of a night.

    The sound of `window_s` seconds around a second is turned into frames, a network says what the second in the middle
    is, and the probabilities are calibrated on nights that it was not trained on. In `vocalbio.Monitor` and
    `vocalbio.screen_night` it takes the place of the default detector.

    Parameters
    ----------
    condition : {"apnea"}
    network : {"bilstm", "cnn", "tcn"}
        `vocalbio.networks.build_bilstm`, `build_cnn2d` (log-mel only) or `build_tcn`.
    features : str
        ``"log_mel"``: levels of mel bands. Else a Hugging Face checkpoint of Whisper, wav2vec 2.0 or HuBERT (its
        folder, or its name on the Hub): the encoder's states stand beside the levels. It is frozen.
    window_s : int
        Length of a window in seconds.
    hop_s : int
        From one training window to the next, in seconds. Answers come for every second anyway.
    frames_per_s : int
        Half a second tells a breath from a pause; more frames are more to learn and no better
        (``docs/night_models.md``).
    n_bands : int
        Mel bands from 50 Hz to 7.5 kHz.
    layer : int, optional
        Hidden state of the encoder, 0 to its number of layers; None: two thirds of the way up.
    preset : str, optional
        Of the network; None: ``"night"`` for ``"bilstm"``, else ``"published"``.
    epochs : int
        At most; an epoch is 4,096 windows (all, if there are fewer), drawn anew, of each class as many as of the
        others.
    patience : int
        Training ends after so many epochs without a lower loss on held-out nights; the best weights are kept.
    batch_size : int
    seed : int
        Decides who is held out, weights, draws and dropout.
    verbose : int
        0 quiet, else a progress bar.

    Attributes
    ----------
    classes_ : tuple of str
        ``("normal", "snore", "apnea")``; ``"apnea"`` stands for apneas and hypopneas.
    network_ : keras.Model
    calibration_ : Temperature or None
        None: held-out nights were too few; probabilities are then the network's own.
    history_ : dict of str to list of float
        ``loss`` and, where nights were held out, ``val_loss`` of every epoch.

    Notes
    -----
    **Level.** What tells silence from snoring is level, so a window must not be normalised to itself; and what tells
    one telephone from another is gain, so levels in dB of full scale must not enter. Here a level is told in dB above
    the noise floor of its band, which is the lowest tenth of the window's frames: between breaths there is a pause in
    every half minute. Gain and the colour of microphone and room cancel out, exactly so but for what lies below the
    last bit; silence is 0 dB and a snore 30 dB. Centre and spread of that are learnt from training windows. Sound
    whose level does not change for a window, a fan or rain, is floor. What an encoder hears is set to one peak level,
    second by second.

    **What is not there.** NaN samples and digital silence (drop-outs, gaps between files) are left out of floor and
    window, and a column tells how far from the middle a frame lies, so that a frame before a gap is not taken for one
    beside it. A second with no sound of its own gets NaN.

    **Order.** To ``"bilstm"`` and ``"tcn"`` a window is folded: the frames as far before the middle as after it stand
    side by side, from the edges inwards. Unfolded, the last state of a recurrent network is as far from the second
    asked for as the window allows, and it learnt nothing in the time that folded ones need.

    **Memory.** Nights are read block by block; their frames lie in a temporary file (4 MB for a night of 8 hours;
    with an encoder 60 MB), and a batch is gathered from there.

    **What is known of the answers.** Simulated nights are put together from short clips: a model trained on them alone
    has never heard a night, and the manifest says so. An event is what was annotated; where that was scored from
    airflow and oxygen, the sound may not tell.

    References
    ----------
    .. [1] Berry RB et al. Rules for scoring respiratory events in sleep: update of the 2007 AASM manual. J Clin Sleep
       Med 2012;8:597-619. doi:10.5664/jcsm.2172
    .. [2] Guo C, Pleiss G, Sun Y, Weinberger KQ. On calibration of modern neural networks. ICML 2017:1321-1330.
       arXiv:1706.04599

    Examples
    --------
    >>> from vocalbio.risk.window import WindowModel
    >>> model = WindowModel("apnea", network="cnn", window_s=30)
    >>> model.context_s
    15
    """

    network_: Any
    calibration_: Temperature | None
    history_: dict[str, list[float]]

    def __init__(
        self,
        condition: str = "apnea",
        network: str = "bilstm",
        features: str = "log_mel",
        *,
        window_s: int = 30,
        hop_s: int = 1,
        frames_per_s: int = 2,
        n_bands: int = 32,
        layer: int | None = None,
        preset: str | None = None,
        epochs: int = 20,
        patience: int = 4,
        batch_size: int = 64,
        seed: int = 0,
        verbose: int = 0,
    ) -> None:
        self.condition = condition
        self.network = network
        self.features = features
        self.window_s = window_s
        self.hop_s = hop_s
        self.frames_per_s = frames_per_s
        self.n_bands = n_bands
        self.layer = layer
        self.preset = preset
        self.epochs = epochs
        self.patience = patience
        self.batch_size = batch_size
        self.seed = seed
        self.verbose = verbose

    # Settings -------------------------------------------------------------------------------------------------

    @property
    def classes_(self) -> tuple[str, ...]:
        """What is told apart, in the order of the probabilities."""
        return CLASSES

    @property
    def context_s(self) -> int:
        """Seconds of sound needed before and after a second."""
        return math.ceil((self.window_s - 1) / 2) + (0 if self.features == "log_mel" else MARGIN_S)

    @property
    def manifest(self) -> dict[str, Any]:
        """What the model is and on whom it was trained; plain JSON types."""
        self._check_fitted()
        return self._manifest

    @property
    def _n_frames(self) -> int:
        return self.window_s * self.frames_per_s

    @property
    def _half(self) -> int:
        """Frames of a window before the second in its middle."""
        return (self.window_s - 1) * self.frames_per_s // 2

    def _check_settings(self) -> None:
        get_condition(self.condition)
        if self.condition != "apnea":
            raise ParameterError(f"condition is {self.condition!r}; windows of a night are for 'apnea'")
        if self.network not in PRESETS:
            raise ParameterError(f"network is {self.network!r}; expected one of {', '.join(map(repr, PRESETS))}")
        if not isinstance(self.features, (str, os.PathLike)) or not os.fspath(self.features):
            raise ParameterError(f"features is {self.features!r}; expected 'log_mel', or an encoder's folder or name")
        if self.network == "cnn" and self.features != "log_mel":
            raise ParameterError(
                "network 'cnn' sees a picture of neighbouring bands, which an encoder's states are not; "
                "use 'bilstm' or 'tcn'"
            )
        least_of = {"window_s": 3, "hop_s": 1, "frames_per_s": 1, "n_bands": 8, "seed": 0}
        for name, least in (least_of | dict.fromkeys(("epochs", "patience", "batch_size"), 1)).items():
            value = getattr(self, name)
            if not isinstance(value, Integral) or isinstance(value, bool) or value < least:
                raise ParameterError(f"{name} is {value!r}; expected a whole number of at least {least}")
        if self.n_bands > MOST_BANDS:
            raise ParameterError(f"n_bands is {self.n_bands}; expected at most {MOST_BANDS}")
        rates = range(1, RATE_HZ // PIECE + 1) if self.features == "log_mel" else range(1, STATES_PER_S + 1)
        whole = RATE_HZ if self.features == "log_mel" else STATES_PER_S
        choices = [rate for rate in rates if whole % rate == 0 and (self.window_s - 1) * rate % 2 == 0]
        if self.frames_per_s not in choices:
            raise ParameterError(
                f"frames_per_s is {self.frames_per_s} and window_s {self.window_s}; expected one of "
                f"{', '.join(map(str, choices))} frames a second, so that a second stands in the middle"
            )

    def _make_ear(self) -> _Ear:
        if self.features == "log_mel":
            return _Ear(self.frames_per_s, self.n_bands, None, 0)
        with required_for("an encoder", "tensorflow"):
            from vocalbio.encoders import load_encoder, open_checkpoint
        weights = open_checkpoint(self.features).weights
        encoder = load_encoder(self.features)
        layer = math.ceil(2 * encoder.n_layers / 3) if self.layer is None else self.layer
        if not isinstance(layer, Integral) or not 0 <= layer <= encoder.n_layers:
            raise ParameterError(f"layer is {self.layer!r}; {self.features} has 0 to {encoder.n_layers}")
        return _Ear(self.frames_per_s, self.n_bands, encoder, int(layer), weights)

    # Fit ------------------------------------------------------------------------------------------------------

    def fit(self, nights: Sequence[Any], groups: Sequence[Any] | None = None) -> Self:
        """
        Train on nights whose events are known.

        Parameters
        ----------
        nights : sequence
            Each ``(audio, events)`` or ``(audio, events, snores)``, with a path or `Recording` and tables as
            `label_seconds` takes them; or a `vocalbio.datasets.nights.SimulatedNight`.
        groups : sequence, optional
            Whose night each is: all nights of a person are held out, or none. Without it, each night counts as a
            person of its own, and the manifest says so.

        Returns
        -------
        self

        Raises
        ------
        LeakageError
            If the same recording belongs to two groups: it would be held out and trained on at once.
        ParameterError
            If a setting, a night or a table is wrong, or there is no event, or nothing but events.
        AudioError
            If a recording cannot be read.

        Warns
        -----
        VocalbioWarning
            If there are no groups or no snores, or nothing can be held out, or nothing of some class, so that the model
            is not calibrated.
        """
        self._check_settings()
        nights = list(nights)
        if not nights:
            raise ParameterError("nights is empty; expected at least one, better ten or more")
        names = np.array([f"night {number}" for number in range(len(nights))] if groups is None else list(groups))
        if names.shape != (len(nights),):
            raise ParameterError(f"groups has shape {names.shape}; expected one entry for each of {len(nights)} nights")
        ear = self._make_ear()
        with tempfile.TemporaryDirectory() as folder:
            heard = self._read_nights(nights, ear, Path(folder))
            self._check_cohort(heard, names, told=groups is not None)
            held = _hold_out(names, heard, self.seed)
            network, history = self._train(heard, held, ear)
            self._ear, self.network_, self.history_ = ear, network, history
            self.calibration_ = self._calibrate(heard, held)
            self._manifest = self._describe(heard, names, held, told=groups is not None)
        return self

    def _read_nights(self, nights: list[Any], ear: _Ear, folder: Path) -> list[_Night]:
        from tqdm.auto import tqdm

        heard = []
        for number, night in enumerate(tqdm(nights, desc="Listening", unit="night", disable=not self.verbose)):
            heard.append(self._read_night(night, ear, folder / f"{number}.frames"))
        return heard

    def _read_night(self, night: Any, ear: _Ear, file: Path) -> _Night:
        audio, events, snores = _parts(night)
        nothing = np.full((self._half, ear.n_columns), np.nan, np.float16)
        with open(file, "wb") as written:
            nothing.tofile(written)
            for heard in ear.listen(_blocks(audio)):
                heard.astype(np.float16).tofile(written)
            nothing.tofile(written)
        frames: NDArray[np.float16] = np.memmap(file, np.float16, "r").reshape(-1, ear.n_columns)
        inner = frames[self._half : len(frames) - self._half]
        n_seconds = len(inner) // self.frames_per_s
        answerable: NDArray[np.bool_] = np.any(~np.isnan(inner[:, 0]).reshape(n_seconds, self.frames_per_s), axis=1)
        key = hashlib.sha256(inner[:, : self.n_bands].tobytes()).hexdigest()[:16]
        return _Night(frames, label_seconds(events, snores, n_seconds), answerable, key, _is_simulated(audio))

    def _check_cohort(self, heard: list[_Night], names: NDArray[Any], *, told: bool) -> None:
        group_of: dict[str, Any] = {}
        for night, name in zip(heard, names.tolist(), strict=True):
            if night.answerable.any() and group_of.setdefault(night.key, name) != name:
                raise LeakageError(
                    f"the same recording belongs to {group_of[night.key]} and to {name}; held out with the one and "
                    "trained on with the other, it would be known beforehand. Give it once"
                )
        counts = _counts(heard)
        for code in (0, 2):
            if not counts[code]:
                raise ParameterError(
                    f"no second of the nights is {CLASSES[code]!r}; expected nights with events and breathing between"
                )
        if not counts[1]:
            _warn("no snores are noted: snoring is learnt as 'normal', and 'snore' will never be the answer")
        if not told:
            _warn("fitted without groups: each night counts as a person of its own. Pass groups=people")
        if len(set(names.tolist())) < 2:
            _warn("one group only: nothing can be held out, so training does not end early and is not calibrated")

    def _train(self, heard: list[_Night], held: NDArray[np.bool_], ear: _Ear) -> tuple[Any, dict[str, list[float]]]:
        with required_for("training a network", "tensorflow"):
            import tensorflow as tf
        from tqdm.auto import tqdm

        generator = np.random.default_rng(self.seed)
        trained = [night for night, is_out in zip(heard, held, strict=True) if not is_out]
        places = self._places(trained)
        self._learn_scale(trained, places, generator)
        network = self._build(ear.n_columns)

        @tf.function(reduce_retracing=True, autograph=False)
        def learn(inputs: Any, targets: Any) -> Any:
            with tf.GradientTape() as tape:
                loss = network.compute_loss(inputs, targets, network(inputs, training=True))
            gradients = tape.gradient(loss, network.trainable_variables)
            network.optimizer.apply_gradients(zip(gradients, network.trainable_variables, strict=True))
            return loss

        self._forward = _forward(network)
        out = [night for night, is_out in zip(heard, held, strict=True) if is_out]
        watched = self._watched(out)
        history: dict[str, list[float]] = {"loss": [], "val_loss": []} if len(watched) else {"loss": []}
        best = None
        for _ in tqdm(range(self.epochs), desc="Training", unit="epoch", disable=not self.verbose):
            losses = []
            for batch in self._draw(places, generator):
                inputs = self._inputs(_gather(trained, batch, self._n_frames, self.frames_per_s))
                losses.append(float(learn(inputs, np.eye(3, dtype=np.float32)[batch[:, 2]])))
            history["loss"].append(float(np.mean(losses)))
            if len(watched):
                history["val_loss"].append(self._loss(out, watched))
                latest, least = len(history["val_loss"]) - 1, int(np.argmin(history["val_loss"]))
                if least == latest:
                    best = [variable.numpy() for variable in network.weights]
                elif latest - least >= self.patience:
                    break
        if best is not None:
            network.set_weights(best)
        return network, history

    def _places(self, nights: list[_Night]) -> NDArray[np.int64]:
        """Windows that can be drawn: night, second, class; shape (n, 3)."""
        found = [np.empty((0, 3), np.int64)]
        for number, night in enumerate(nights):
            seconds = np.flatnonzero(night.answerable)[:: self.hop_s]
            found.append(np.column_stack([np.full(len(seconds), number), seconds, night.codes[seconds]]))
        return np.concatenate(found)

    def _draw(self, places: NDArray[np.int64], generator: np.random.Generator) -> Iterator[NDArray[np.int64]]:
        """Batches of an epoch, of each class as many as of the others."""
        present = np.unique(places[:, 2])
        share = min(EPOCH_WINDOWS, len(places)) // len(present) + 1
        drawn = [generator.choice(places[places[:, 2] == code], share) for code in present]
        mixed = generator.permutation(np.concatenate(drawn))
        for start in range(0, len(mixed) - self.batch_size + 1, self.batch_size):
            yield mixed[start : start + self.batch_size]
        if len(mixed) < self.batch_size:
            yield mixed

    def _learn_scale(self, nights: list[_Night], places: NDArray[np.int64], generator: np.random.Generator) -> None:
        """Centre and spread of the columns, from windows of every class alike."""
        batches = [batch for batch, _ in zip(self._draw(places, generator), range(8), strict=False)]
        windows = _gather(nights, np.concatenate(batches), self._n_frames, self.frames_per_s)
        frames = self._above_floor(windows)
        frames = frames[~np.isnan(frames[..., 0])]
        self._centre, spread = frames.mean(axis=0), frames.std(axis=0)
        self._spread = np.where(spread > 1e-6, spread, np.inf).astype(np.float32)

    def _build(self, n_columns: int) -> Any:
        from vocalbio import networks

        preset = self.preset or PRESETS[self.network]
        if self.network == "cnn":
            return networks.build_cnn2d(self._n_frames, n_columns, len(CLASSES), preset=preset, seed=self.seed)
        build = networks.build_bilstm if self.network == "bilstm" else networks.build_tcn
        return build(2 * n_columns + PLACE_COLUMNS, len(CLASSES), preset=preset, seed=self.seed)

    def _watched(self, held: list[_Night]) -> NDArray[np.int64]:
        """Windows of held-out nights, evenly spread, of their natural frequencies."""
        places = self._places(held)
        return places[:: max(1, len(places) // WATCHED_WINDOWS)]

    def _loss(self, held: list[_Night], places: NDArray[np.int64]) -> float:
        """Mean loss of windows, classes weighed alike."""
        codes = places[:, 2]
        said = self._say_of(held, places)[np.arange(len(codes)), codes]
        return float(np.average(-np.log(np.maximum(said, 1e-7)), weights=_alike(codes)))

    def _calibrate(self, heard: list[_Night], held: NDArray[np.bool_]) -> Temperature | None:
        out = [night for night, is_out in zip(heard, held, strict=True) if is_out]
        places = self._watched(out)
        if not len(places):
            return None
        codes, counts = places[:, 2], _counts(heard)
        absent = [CLASSES[code] for code in np.flatnonzero(counts) if code not in codes]
        if absent:
            _warn(f"not calibrated: no second of the held-out nights is {absent[0]!r}. More people, or another seed")
            return None
        # how frequent a class is, a few nights cannot tell: all nights of the cohort do
        return Temperature.fit(self._say_of(out, places), codes, _alike(codes) * counts[codes])

    def _say_of(self, nights: list[_Night], places: NDArray[np.int64]) -> NDArray[np.float64]:
        parts = np.split(places, range(ANSWERED, len(places), ANSWERED))
        return np.concatenate([self._say(_gather(nights, part, self._n_frames, self.frames_per_s)) for part in parts])

    # Inputs ---------------------------------------------------------------------------------------------------

    def _above_floor(self, windows: NDArray[np.float32]) -> NDArray[np.float32]:
        """Bands in dB above their noise floor in the window, what stands beside them as it is."""
        n_present = (~np.isnan(windows[..., 0])).sum(axis=1)
        levels = windows[..., : self.n_bands]
        place = (FLOOR_QUANTILE * np.maximum(n_present - 1, 0)).astype(int)
        floor = np.take_along_axis(np.sort(levels, axis=1), place[:, None, None], axis=1)  # NaN comes last
        return np.concatenate([levels - floor, windows[..., self.n_bands :]], axis=2)

    def _inputs(self, windows: NDArray[np.float32]) -> Any:
        """What the network takes: frames that are not there are 0, or for sequences left out."""
        present = ~np.isnan(windows[..., 0])
        values = np.clip((self._above_floor(windows) - self._centre) / self._spread, -LIMIT, LIMIT)
        values = np.where(present[..., None], values, np.float32(0))
        if self.network == "cnn":
            return values
        # folded: what was heard before and after the middle stands side by side, from the edges inwards, so that a
        # network which answers from its last step ends with the second asked for, after half as many steps
        n = self._n_frames
        sides = slice(0, (n + 1) // 2), slice(n - 1, n // 2 - 1, -1)
        there = np.stack([present[:, side] for side in sides], axis=2)
        distance = np.broadcast_to(np.linspace(1, 0, there.shape[1])[:, None], (*there.shape[:2], 1))
        values = np.concatenate([*(values[:, side] for side in sides), there, distance], axis=2, dtype=np.float32)
        mask = there.any(axis=2)
        if not mask.all():  # padded on the right, as the networks want it
            order = np.argsort(~mask, axis=1, kind="stable")
            values = np.take_along_axis(values, order[..., None], axis=1)
            mask = np.take_along_axis(mask, order, axis=1)
        return [values, mask]

    def _say(self, windows: NDArray[np.float32]) -> NDArray[np.float64]:
        """Probabilities as the network has them, (n, 3)."""
        found = [np.empty((0, len(CLASSES)))]
        for start in range(0, len(windows), ANSWERED):
            found.append(np.asarray(self._forward(self._inputs(windows[start : start + ANSWERED])), float))
        return np.concatenate(found)

    def _answer(self, frames: NDArray[Any], n_seconds: int, first: int) -> NDArray[np.float32]:
        """Probabilities of seconds, whose windows begin at frame `first` and a second later each."""
        answers = np.full((n_seconds, len(CLASSES)), np.nan, np.float32)
        for start in range(0, n_seconds, ANSWERED):
            stop = min(start + ANSWERED, n_seconds)
            windows = np.stack(
                [
                    frames[begin : begin + self._n_frames]
                    for begin in range(
                        first + start * self.frames_per_s, first + stop * self.frames_per_s, self.frames_per_s
                    )
                ]
            ).astype(np.float32)
            there = ~np.isnan(windows[:, self._half : self._half + self.frames_per_s, 0]).all(axis=1)
            said = self._say(windows[there])
            if self.calibration_ is not None and len(said):
                said = self.calibration_.transform(said)
            answers[start:stop][there] = said
        return answers

    # Predict --------------------------------------------------------------------------------------------------

    def predict_seconds(self, samples: NDArray[np.float32]) -> NDArray[np.float32]:
        """
        Probabilities of every second that has its context.

        Parameters
        ----------
        samples : numpy.ndarray of float32
            At 16 kHz, shape ``((n_seconds + 2 * context_s) * 16000,)``; NaN where nothing was recorded, as before and
            after a night.

        Returns
        -------
        numpy.ndarray of float32, shape (n_seconds, 3)
            In the order of `classes_`, calibrated, adding up to 1; NaN for a second in which there is no sound at all
            (nothing recorded, or digital silence). A second's answer depends on its own context alone.

        Raises
        ------
        ParameterError
            If the samples are no whole seconds, or fewer than the context.
        """
        self._check_fitted()
        samples = np.asarray(samples, np.float32)
        n_seconds = samples.size // RATE_HZ - 2 * self.context_s
        if samples.ndim != 1 or samples.size % RATE_HZ or n_seconds < 0:
            raise ParameterError(
                f"samples have shape {samples.shape}; expected ((n_seconds + {2 * self.context_s}) * {RATE_HZ},): "
                f"whole seconds at 16 kHz, with {self.context_s} s before and after those asked for"
            )
        frames = self._ear.hear(samples)
        return self._answer(frames, n_seconds, (self.context_s - self._ear.margin_s) * self.frames_per_s - self._half)

    def predict_night(self, audio: Any) -> pd.DataFrame:
        """
        Probabilities of every second of a night.

        Parameters
        ----------
        audio : path, Recording or SimulatedNight
            Read block by block.

        Returns
        -------
        pandas.DataFrame
            Index ``start_s``, columns ``normal``, ``snore``, ``apnea``; NaN where there is no sound.
        """
        self._check_fitted()
        nothing = np.full((self._half, self._ear.n_columns), np.nan, np.float32)
        frames = np.concatenate([nothing, *self._ear.listen(_blocks(audio)), nothing])
        n_seconds = (len(frames) - 2 * self._half) // self.frames_per_s
        start = pd.Index(np.arange(n_seconds, dtype=float), name="start_s")
        return pd.DataFrame(self._answer(frames, n_seconds, 0), start, list(CLASSES))

    def confusion(self, nights: Sequence[Any], groups: Sequence[Any] | None = None) -> pd.DataFrame:
        """
        Count how the seconds of new nights are answered.

        Parameters
        ----------
        nights, groups : as in `fit`

        Returns
        -------
        pandas.DataFrame
            Seconds: a row for what they are, a column for the likeliest answer; those without sound are left out.

        Raises
        ------
        LeakageError
            If a night or a person is known from training.
        """
        self._check_fitted()
        training = self.manifest["training"]
        nights = list(nights)
        people = {} if groups is None else {speaker_keys([name])[0]: name for name in groups}
        again = [str(name) for key, name in people.items() if key in (training["people"] or [])]
        counts = np.zeros((len(CLASSES), len(CLASSES)), int)
        with tempfile.TemporaryDirectory() as folder:
            heard = self._read_nights(nights, self._ear, Path(folder))
            again += [f"night {number}" for number, night in enumerate(heard) if night.key in training["nights"]]
            if again:
                raise LeakageError(
                    f"known from training: {', '.join(again[:5])}{', …' if len(again) > 5 else ''}; what is counted "
                    "there tells nothing of new nights. Leave them out"
                )
            for night in heard:
                answers = self._answer(night.frames, len(night.codes), 0)
                said = ~np.isnan(answers[:, 0])
                np.add.at(counts, (night.codes[said], answers[said].argmax(axis=1)), 1)
        names = list(CLASSES)
        return pd.DataFrame(counts, pd.Index(names, name="is"), pd.Index(names, name="said"))

    # Manifest and file ----------------------------------------------------------------------------------------

    def _check_fitted(self) -> None:
        if not hasattr(self, "network_"):
            raise NotFittedError("this WindowModel is not fitted yet; call fit(nights) or WindowModel.load")

    def _describe(
        self, heard: list[_Night], names: NDArray[Any], held: NDArray[np.bool_], *, told: bool
    ) -> dict[str, Any]:
        import keras
        import tensorflow as tf

        counts = _counts(heard)
        kinds = {night.simulated for night in heard}
        encoder = self._ear.encoder
        return {
            "model": type(self).__name__,
            "created": datetime.now(UTC).isoformat(timespec="seconds"),
            "versions": {"vocalbio": __version__, "keras": keras.__version__, "tensorflow": tf.__version__},
            "condition": self.condition,
            "parameters": {
                name: value.item() if isinstance(value, np.generic) else value
                for name, value in (self.get_params(deep=False) | {"features": os.fspath(self.features)}).items()
            },
            "classes": list(CLASSES),
            "context_s": self.context_s,
            "encoder": None
            if encoder is None
            else {"weights": self._ear.weights, "layer": self._ear.layer, "size": encoder.hidden_size},
            "calibrated": self.calibration_ is not None,
            "history": self.history_,
            "training": {
                "data": "simulated and recorded" if len(kinds) > 1 else "simulated" if kinds == {True} else "recorded",
                "n_nights": len(heard),
                "n_people": len(set(names.tolist())) if told else None,
                "people": speaker_keys(names.tolist()) if told else None,
                "nights": [night.key for night in heard],
                "n_nights_held_out": int(held.sum()),
                "hours": round(float(sum(len(night.codes) for night in heard)) / 3600, 3),
                "seconds": dict(zip(CLASSES, counts.tolist(), strict=True)),
                "person_disjoint": "by groups" if told else "unknown",
                "licence": None,
                "references": list(get_condition(self.condition).references),
            },
            "validation": None,
        }

    def add_validation(
        self,
        *,
        against: str,
        study: str,
        n_people: int,
        n_nights: int,
        scoring: str,
        results: dict[str, Any],
        people_disjoint: bool,
    ) -> None:
        """
        Keep the results of a polysomnography study of this very model in its manifest.

        Fitting anew takes them out again. Reports of a model without them say that it was not validated.

        Parameters
        ----------
        against : {"polysomnography"}
        study : str
            Where it is described: a citation, DOI or registration.
        n_people, n_nights : int
            How many were studied.
        scoring : str
            By what rules and from what signals events were scored, such as ``"AASM 2012, 1A, two scorers"``.
        results : dict
            What was found, by name, such as ``{"sensitivity at 15/h": 0.86, "specificity at 15/h": 0.87}``.
        people_disjoint : bool
            That nobody studied was in training; it must be True.

        Raises
        ------
        ParameterError
            If something is missing or makes no sense.

        Examples
        --------
        >>> from vocalbio.risk.window import WindowModel
        >>> details = {"against": "polysomnography", "study": "doi:…", "n_people": 40, "n_nights": 40,
        ...     "scoring": "AASM 2012, 1A", "results": {"AUROC at 15/h": 0.9}, "people_disjoint": True}
        >>> model = WindowModel()  # doctest: +SKIP
        >>> model.add_validation(**details)  # doctest: +SKIP
        """
        self._check_fitted()
        given = (against, study, n_people, n_nights, scoring, results, people_disjoint)
        details = dict(zip(VALIDATION, given, strict=True))
        _check_validation(details)
        self._manifest["validation"] = details

    def save(self, path: str | os.PathLike[str], *, licence: str | None = None) -> None:
        """
        Save Keras model, JSON manifest and plain arrays; no pickle.

        Parameters
        ----------
        path : path-like
            Such as ``"night.vocalbio"``, one zip; a folder if it is one, or ends with a slash. An encoder's weights are
            not in it: its checkpoint is looked up by name, and must be the same.
        licence : str, optional
            On what terms the model may be used: those of its recordings.

        Raises
        ------
        ParameterError
            If nothing can be written there.
        """
        self._check_fitted()
        if licence is not None:
            self._manifest["training"]["licence"] = licence
        arrays = {"centre": self._centre, "spread": self._spread}
        if self.calibration_ is not None:
            arrays |= self.calibration_.arrays()
        write_model(path, self._manifest, keras_to_bytes(self.network_), arrays)

    def export(self, path: str | os.PathLike[str], format: str = "litert", quantize: str | None = None) -> None:
        """
        Write a file that other runtimes execute: a second of sound and its context in, probabilities out.

        `vocalbio.export.ModelRunner` runs it without TensorFlow. Mel bands, noise floor, network and calibration
        are inside.

        Parameters
        ----------
        path : path-like
            Ending in ``.tflite`` or ``.onnx``.
        format : {"litert", "onnx"}
        quantize : {None, "int8"}
            Weights of eight bits: a quarter of the size. ``docs/export.md`` tells how far answers move.

        Raises
        ------
        ParameterError
            If an argument is wrong, or the model listens through an encoder.
        MissingPackageError
            If a package that the format needs is absent.
        """
        self._check_fitted()
        export_window_model(self, path, format, quantize)

    @classmethod
    def load(cls, path: str | os.PathLike[str], *, encoder: str | os.PathLike[str] | None = None) -> Self:
        """
        Load what `save` wrote; runs no code of the file's.

        Parameters
        ----------
        path : path-like
        encoder : path-like, optional
            Where the encoder's checkpoint lies, if elsewhere than in training.

        Returns
        -------
        WindowModel
            Answers just as the saved one.

        Raises
        ------
        ModelFileError
            If it is missing, not ours, damaged, of another kind, or the encoder is not the one of training.
        ModelUnavailableError
            If the encoder is neither here nor within reach.
        """
        manifest, network, arrays = read_model(path)
        kind = manifest.get("model")
        if kind != cls.__name__:
            raise ModelFileError(f"{path} holds a {kind}; load it with {kind}.load, not {cls.__name__}.load")
        try:
            model = cls(**manifest["parameters"])
            model._check_settings()
            training, trained = manifest["training"], manifest["encoder"]
            if manifest["classes"] != list(CLASSES) or not isinstance(training["nights"], list):
                raise ValueError("classes or training")
            if manifest["validation"] is not None:
                _check_validation(manifest["validation"])
            n_columns = model.n_bands + (0 if trained is None else trained["size"])
            model._centre, model._spread = (arrays[name].astype(np.float32) for name in ("centre", "spread"))
            model.calibration_ = Temperature(arrays["scale"], arrays["bias"]) if manifest["calibrated"] else None
            model.network_ = keras_from_bytes(network, str(path))
            shapes = model._centre.shape, model._spread.shape, model.network_.output_shape
            if shapes != ((n_columns,), (n_columns,), (None, len(CLASSES))) or not (
                model.calibration_ is None or model.calibration_.fits(len(CLASSES))
            ):
                raise ValueError("arrays and network are not of the same model")
            model.history_, model._manifest = manifest["history"], manifest
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise ModelFileError(f"{path} lacks or garbles an entry of its manifest ({error!r})") from error
        model._forward = _forward(model.network_)
        if trained is not None:
            model.features = os.fspath(encoder or model.features)
            model.layer = trained["layer"]
        model._ear = model._make_ear()
        if trained is not None and model._ear.weights != trained["weights"]:
            raise ModelFileError(
                f"{model.features} has weights {model._ear.weights}; {path} was trained with {trained['weights']}: "
                "another checkpoint of the same name? Pass encoder= to load"
            )
        return model


def _warn(text: str) -> None:
    warnings.warn(text, VocalbioWarning, stacklevel=4)


def _gather(nights: list[_Night], places: NDArray[np.int64], n_frames: int, rate: int) -> NDArray[np.float32]:
    """Windows of frames, (n, n_frames, n_columns), around seconds of nights."""
    windows = [nights[night].frames[second * rate : second * rate + n_frames] for night, second in places[:, :2]]
    return np.stack(windows).astype(np.float32)


def _forward(network: Any) -> Callable[[Any], Any]:
    """Ask a network through one compiled graph, for any number of windows."""
    import tensorflow as tf

    signature = [tf.TensorSpec([None, *tensor.shape[1:]], tf.as_dtype(str(tensor.dtype))) for tensor in network.inputs]
    several = len(signature) > 1
    return tf.function(
        lambda inputs: network(inputs, training=False),
        input_signature=[signature if several else signature[0]],
        autograph=False,
    )


def _check_validation(details: Any) -> None:
    """Refuse what does not tell of a study enough to believe it."""
    if not isinstance(details, dict) or set(details) != set(VALIDATION):
        raise ParameterError(f"a validation needs {', '.join(VALIDATION)}, no more and no less")
    if details["against"] != "polysomnography":
        raise ParameterError(f"against is {details['against']!r}; what counts as validation is 'polysomnography'")
    for name in ("study", "scoring"):
        if not isinstance(details[name], str) or not details[name].strip():
            raise ParameterError(f"{name} is {details[name]!r}; expected words")
    for name in ("n_people", "n_nights"):
        value = details[name]
        if not isinstance(value, int) or isinstance(value, bool) or value < 1:
            raise ParameterError(f"{name} is {value!r}; expected a whole number of at least 1")
    if details["n_nights"] < details["n_people"]:
        raise ParameterError(f"n_nights is {details['n_nights']} of {details['n_people']} people; expected one each")
    if not isinstance(details["results"], dict) or not details["results"]:
        raise ParameterError(f"results is {details['results']!r}; expected a dict of what was found")
    if details["people_disjoint"] is not True:
        raise ParameterError("people_disjoint is not True; people of the training are no validation")
