"""Transforms: noise, room, level, band, tempo and pitch of a recording, drawn from a generator."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from numbers import Real
from typing import TYPE_CHECKING, Any

import numpy as np

from vocalbio.audio import Recording
from vocalbio.errors import ParameterError, required_for

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["Bandwidth", "Gain", "Noise", "PitchShift", "Room", "TimeStretch", "check_range", "draw", "with_samples"]

EXTRA = "vocalbio[augment]"
LOWEST_PINK_HZ = 20.0  # pink noise has no end of power below; microphones have


def check_range(name: str, value: Any, low: float, high: float) -> None:
    """Refuse what is neither a number nor a pair (least, most), or leaves [low, high]."""
    ends = value if isinstance(value, (tuple, list)) and len(value) == 2 else (value, value)
    fine = all(isinstance(end, Real) and not isinstance(end, bool) and low <= float(end) <= high for end in ends)
    if not fine or ends[0] > ends[1]:
        raise ParameterError(
            f"{name} is {value!r}; expected a number, or (least, most) to draw from, between {low:g} and {high:g}"
        )


def draw(rng: np.random.Generator, value: Any) -> float:
    """The number itself, or one between the two."""
    return float(rng.uniform(*value)) if isinstance(value, (tuple, list)) else float(value)


def with_samples(recording: Recording, samples: NDArray[Any], n_samples: int | None = None) -> Recording:
    """The recording with other samples, in [-1, 1]; cut or filled with zeros to `n_samples`, if given."""
    if n_samples is not None:
        samples = samples[:n_samples]
        samples = np.pad(samples, (0, n_samples - len(samples)))
    return replace(recording, samples=np.clip(samples, -1.0, 1.0).astype(np.float32), clipped_s=None)


def _rms(samples: NDArray[Any]) -> float:
    return float(np.std(samples, dtype=float))


@dataclass(frozen=True)
class Noise:
    """
    Add noise at a signal-to-noise ratio.

    Parameters
    ----------
    snr_db : float or (float, float)
        Level of the whole recording, pauses included, above that of the noise, in dB; a pair is drawn from.
    kind : "white", "pink", or sequence of Recording
        Recordings are drawn from, begun anywhere, repeated where they are too short, and resampled if need be.

    Raises
    ------
    ParameterError
        If `snr_db` is not between -20 and 100, or `kind` is something else.

    Examples
    --------
    >>> import numpy as np
    >>> from vocalbio import Recording
    >>> from vocalbio.augment import Augmentation, Noise
    >>> tone = Recording(0.1 * np.sin(2 * np.pi * 150 * np.arange(16_000) / 16_000), 16_000)
    >>> noisy = Augmentation([Noise(10)])(tone)
    >>> round(20 * np.log10(tone.samples.std() / (noisy.samples - tone.samples).std()))
    10
    """

    snr_db: float | tuple[float, float] = (5.0, 30.0)
    kind: str | Sequence[Recording] = "white"

    def __post_init__(self) -> None:
        check_range("snr_db", self.snr_db, -20, 100)
        recordings = isinstance(self.kind, (list, tuple)) and self.kind
        if self.kind not in ("white", "pink") and not (
            recordings and all(isinstance(noise, Recording) for noise in self.kind)
        ):
            raise ParameterError(f"kind is {self.kind!r}; expected 'white', 'pink' or a list of Recordings of noise")

    def __call__(self, recording: Recording, rng: np.random.Generator) -> Recording:
        """Add the noise; silence stays silent, since no noise is 10 dB below it."""
        snr_db = draw(rng, self.snr_db)
        noise = self._noise(recording, rng)
        level = _rms(noise)
        if level == 0:
            return recording
        gain = _rms(recording.samples) * 10 ** (-snr_db / 20) / level
        return with_samples(recording, recording.samples + gain * noise)

    def _noise(self, recording: Recording, rng: np.random.Generator) -> NDArray[np.float64]:
        n_samples = len(recording.samples)
        if not isinstance(self.kind, str):
            source = self.kind[int(rng.integers(len(self.kind)))].resample(recording.sampling_rate_hz).samples
            start = int(rng.integers(len(source)))
            return np.resize(np.roll(source, -start), n_samples).astype(float)
        white = rng.standard_normal(n_samples)
        if self.kind == "white":
            return white
        frequencies_hz = np.fft.rfftfreq(n_samples, 1 / recording.sampling_rate_hz)
        spectrum = np.fft.rfft(white) / np.sqrt(np.maximum(frequencies_hz, LOWEST_PINK_HZ))
        return np.fft.irfft(spectrum, n_samples)


@dataclass(frozen=True)
class Gain:
    """
    Make it louder or softer; what leaves [-1, 1] is clipped, as in a recorder.

    Parameters
    ----------
    gain_db : float or (float, float)
        In dB; a pair is drawn from.

    Raises
    ------
    ParameterError
        If it is not between -60 and 60.

    Examples
    --------
    >>> from vocalbio import Recording
    >>> from vocalbio.augment import Augmentation, Gain
    >>> Augmentation([Gain(-20)])(Recording([0.5, -0.5], 16_000)).samples.tolist()
    [0.05000000074505806, -0.05000000074505806]
    """

    gain_db: float | tuple[float, float] = (-10.0, 10.0)

    def __post_init__(self) -> None:
        check_range("gain_db", self.gain_db, -60, 60)

    def __call__(self, recording: Recording, rng: np.random.Generator) -> Recording:
        """Scale the samples."""
        return with_samples(recording, recording.samples * 10 ** (draw(rng, self.gain_db) / 20))


@dataclass(frozen=True)
class Bandwidth:
    """
    Take away everything above a frequency, as a microphone or line of that bandwidth does.

    Parameters
    ----------
    bandwidth_hz : float or (float, float)
        In Hz; a pair is drawn from. At half the sampling rate or above nothing changes.

    Raises
    ------
    ParameterError
        If it is not between 500 and 48000.

    Examples
    --------
    >>> import numpy as np
    >>> from vocalbio import Recording
    >>> from vocalbio.augment import Augmentation, Bandwidth
    >>> tone = Recording(0.1 * np.sin(2 * np.pi * 5000 * np.arange(16_000) / 16_000), 16_000)
    >>> bool(Augmentation([Bandwidth(4000)])(tone).samples[2000:-2000].std() < 1e-4)
    True
    """

    bandwidth_hz: float | tuple[float, float] = (3400.0, 8000.0)

    def __post_init__(self) -> None:
        check_range("bandwidth_hz", self.bandwidth_hz, 500, 48_000)

    def __call__(self, recording: Recording, rng: np.random.Generator) -> Recording:
        """Resample to twice the bandwidth and back."""
        rate = recording.sampling_rate_hz
        narrow = 2 * draw(rng, self.bandwidth_hz)
        if narrow >= rate:
            return recording
        samples = recording.resample(narrow).resample(rate).samples
        return with_samples(recording, samples, len(recording.samples))


@dataclass(frozen=True)
class TimeStretch:
    """
    Speak slower or faster at the same pitch (Signalsmith Stretch, through audiomentations).

    Parameters
    ----------
    rate : float or (float, float)
        Above 1 is faster and shorter; a pair is drawn from. It changes rates, pauses and durations by design: for
        conditions of which slowness is a sign, keep it small or leave it out.

    Raises
    ------
    ParameterError
        If it is not between 0.5 and 2.

    Examples
    --------
    >>> import numpy as np
    >>> from vocalbio import Recording
    >>> from vocalbio.augment import Augmentation, TimeStretch
    >>> tone = Recording(0.1 * np.sin(2 * np.pi * 150 * np.arange(16_000) / 16_000), 16_000)
    >>> Augmentation([TimeStretch(0.8)])(tone).duration_s
    1.25
    """

    rate: float | tuple[float, float] = (0.9, 1.1)

    def __post_init__(self) -> None:
        check_range("rate", self.rate, 0.5, 2)

    def __call__(self, recording: Recording, rng: np.random.Generator) -> Recording:
        """Stretch."""
        with required_for("time stretching", EXTRA):
            from audiomentations import TimeStretch as Stretch
        found = _settled(Stretch(leave_length_unchanged=False, p=1.0), recording, rate=draw(rng, self.rate))
        return with_samples(recording, found)


@dataclass(frozen=True)
class PitchShift:
    """
    Raise or lower pitch and formants together, at the same tempo (Signalsmith Stretch, through audiomentations).

    Parameters
    ----------
    semitones : float or (float, float)
        A pair is drawn from. Beyond about 2 the voice is that of a smaller or larger body.

    Raises
    ------
    ParameterError
        If it is not between -12 and 12.

    Examples
    --------
    >>> import numpy as np
    >>> from vocalbio import Recording
    >>> from vocalbio.augment import Augmentation, PitchShift
    >>> tone = Recording(0.1 * np.sin(2 * np.pi * 150 * np.arange(16_000) / 16_000), 16_000)
    >>> Augmentation([PitchShift((-2, 2))])(tone)
    Recording(1.00 s at 16000 Hz)
    """

    semitones: float | tuple[float, float] = (-2.0, 2.0)

    def __post_init__(self) -> None:
        check_range("semitones", self.semitones, -12, 12)

    def __call__(self, recording: Recording, rng: np.random.Generator) -> Recording:
        """Shift."""
        with required_for("pitch shifting", EXTRA):
            from audiomentations import PitchShift as Shift
        found = _settled(Shift(p=1.0), recording, num_semitones=draw(rng, self.semitones))
        return with_samples(recording, found, len(recording.samples))


def _settled(transform: Any, recording: Recording, **settings: float) -> NDArray[np.float32]:
    """Run a transform of audiomentations on settings drawn here: its own come from Python's shared generator."""
    transform.parameters = {"should_apply": True, **settings}
    transform.freeze_parameters()
    return transform(recording.samples, int(recording.sampling_rate_hz))


@dataclass(frozen=True)
class Room:
    """
    Play it in a room: a shoebox simulated by image sources (pyroomacoustics), or impulse responses of your own.

    The sound keeps its length and its level; the direct sound keeps its time.

    Parameters
    ----------
    rt60_s : float or (float, float)
        Reverberation time aimed at by Sabine's formula, in seconds; a pair is drawn from. What the walls of a shoebox
        bring about is longer, the more so in large rooms.
    distance_m : float or (float, float)
        From mouth to microphone, in metres; at most three quarters of the room's length.
    size_m : (float, float, float)
        Length, width and height of the room, in metres.
    responses : sequence of Recording, optional
        Measured impulse responses to draw from, in place of the simulation.

    Raises
    ------
    ParameterError
        If a number is out of range, or no walls give that reverberation in that room.

    References
    ----------
    Scheibler R, Bezzam E, Dokmanić I. Pyroomacoustics: a Python package for audio room simulation and array
    processing algorithms. ICASSP 2018. doi:10.1109/ICASSP.2018.8461310

    Examples
    --------
    >>> import numpy as np
    >>> from vocalbio import Recording
    >>> from vocalbio.augment import Augmentation, Room
    >>> click = Recording(np.eye(1, 16_000, 4000)[0], 16_000)
    >>> echo = Augmentation([Room(responses=[Recording([1.0, 0.0, 0.5], 16_000)])])(click)
    >>> np.flatnonzero(np.abs(echo.samples) > 0.01).tolist()
    [4000, 4002]
    """

    rt60_s: float | tuple[float, float] = (0.2, 0.6)
    distance_m: float | tuple[float, float] = (0.5, 2.0)
    size_m: tuple[float, float, float] = (5.0, 4.0, 2.5)
    responses: Sequence[Recording] | None = None

    def __post_init__(self) -> None:
        if len(self.size_m) != 3 or not all(isinstance(side, Real) and 2 <= side <= 50 for side in self.size_m):
            raise ParameterError(f"size_m is {self.size_m!r}; expected length, width and height, each 2 to 50 metres")
        check_range("rt60_s", self.rt60_s, 0.1, 3)
        check_range("distance_m", self.distance_m, 0.05, 0.75 * self.size_m[0])
        if self.responses is not None and not (
            self.responses and all(isinstance(response, Recording) for response in self.responses)
        ):
            raise ParameterError("responses holds something else than Recordings of impulse responses")

    def __call__(self, recording: Recording, rng: np.random.Generator) -> Recording:
        """Convolve with an impulse response."""
        from scipy.signal import fftconvolve

        response = self.response(recording.sampling_rate_hz, rng)
        direct = int(np.argmax(np.abs(response)))
        found = fftconvolve(recording.samples.astype(float), response)[direct:][: len(recording.samples)]
        level = _rms(found)
        return recording if level == 0 else with_samples(recording, found * _rms(recording.samples) / level)

    def response(self, sampling_rate_hz: float, rng: np.random.Generator) -> NDArray[np.float64]:
        """
        Draw an impulse response.

        Parameters
        ----------
        sampling_rate_hz : float
            In Hz.
        rng : numpy.random.Generator

        Returns
        -------
        numpy.ndarray
            Shape (n_samples,).
        """
        if self.responses is not None:
            chosen = self.responses[int(rng.integers(len(self.responses)))]
            return chosen.resample(sampling_rate_hz).samples.astype(float)
        with required_for("simulating rooms", EXTRA):
            import pyroomacoustics
        size = np.array(self.size_m, float)
        rt60_s, distance_m = draw(rng, self.rt60_s), draw(rng, self.distance_m)
        try:
            absorption, order = pyroomacoustics.inverse_sabine(rt60_s, size)
        except ValueError as error:
            raise ParameterError(
                f"no walls give a room of {size.tolist()} m a reverberation of {rt60_s:.2f} s ({error}); "
                "expected a longer one, or a smaller room"
            ) from error
        # both stand off the walls and off the middle, where reflections would coincide
        mouth = np.array([0.12, 0.4, 0.45]) * size
        microphone = mouth + distance_m * np.array([1.0, 0.0, 0.0])
        room = pyroomacoustics.ShoeBox(
            size, fs=int(sampling_rate_hz), materials=pyroomacoustics.Material(absorption), max_order=order
        )
        room.add_source(mouth)
        room.add_microphone(microphone)
        room.compute_rir()
        return np.asarray(room.rir[0][0], float)
