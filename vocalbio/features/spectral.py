"""Spectral: cepstral and log-mel statistics."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.metadata import version
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from vocalbio.audio import Recording
from vocalbio.errors import ParameterError, required_for
from vocalbio.features.family import SAMPLING_RATE_HZ, Column, Family, Frames, Measured

__all__ = ["Spectral"]

FRAME, HOP = 400, 160  # 25 ms and 10 ms
N_FFT = 512  # in whose middle librosa puts the frame
FLOOR = 1e-10
PAPER = (
    "Davis S, Mermelstein P. Comparison of parametric representations for monosyllabic word recognition. "
    "IEEE Trans Acoust 1980;28:357-366. doi:10.1109/TASSP.1980.1163420"
)


@dataclass(frozen=True)
class Spectral(Family):
    """
    Mean and standard deviation over time of MFCCs and log-mel bands (librosa).

    Frames of 25 ms every 10 ms, only those that lie wholly inside the recording, so that no padding enters.

    Parameters
    ----------
    n_mfcc : int
        Cepstral coefficients, the 0th among them.
    n_mels : int
        Mel bands from 20 Hz to 8 kHz.

    References
    ----------
    Davis S, Mermelstein P. IEEE Trans Acoust 1980;28:357-366. doi:10.1109/TASSP.1980.1163420
    McFee B et al. librosa: audio and music signal analysis in Python. SciPy 2015.

    Examples
    --------
    >>> from vocalbio import Spectral
    >>> Spectral().names[0], len(Spectral().names)
    ('mfcc00_mean', 106)
    """

    n_mfcc: int = 13
    n_mels: int = 40

    name: ClassVar[str] = "spectral"

    def __post_init__(self) -> None:
        if not 1 <= self.n_mfcc <= self.n_mels <= 128:
            raise ParameterError(
                f"n_mfcc is {self.n_mfcc!r} and n_mels {self.n_mels!r}; expected 1 <= n_mfcc <= n_mels <= 128"
            )

    @property
    def columns(self) -> tuple[Column, ...]:
        """What each statistic is."""
        parts = [(f"mfcc{i:02d}", "", f"mel-frequency cepstral coefficient {i}") for i in range(self.n_mfcc)]
        parts += [(f"logmel{i:02d}", "dB", f"level in mel band {i}") for i in range(self.n_mels)]
        return tuple(
            Column(f"{name}_{short}", unit, f"{long} of {meaning}", "some sound", "librosa", PAPER)
            for name, unit, meaning in parts
            for short, long in (("mean", "mean"), ("sd", "standard deviation"))
        )

    def extract(self, recording: Recording) -> Measured:
        """Statistics of shape (2 * (n_mfcc + n_mels),)."""
        values = self._frames(recording)
        return Measured(np.column_stack([values.mean(axis=0), values.std(axis=0, ddof=1)]).ravel())

    def frames(self, recording: Recording) -> Frames:
        """MFCCs and log-mel levels (dB) every 10 ms."""
        values = self._frames(recording)
        times_s = (np.arange(len(values)) * HOP + N_FFT / 2) / SAMPLING_RATE_HZ
        names = [column.name.removesuffix("_mean") for column in self.columns[::2]]
        return Frames(values, times_s, tuple(names))

    def _frames(self, recording: Recording) -> NDArray[np.float64]:
        with required_for("the spectral family", "librosa"):
            import librosa
            from scipy.sparse import csr_array
        power = (
            np.abs(
                librosa.stft(
                    recording.samples.astype(np.float64), n_fft=N_FFT, win_length=FRAME, hop_length=HOP, center=False
                )
            )
            ** 2
        )
        # a dense product would go to BLAS, whose last digits depend on how many threads it has: more in the main
        # process than in a worker
        bands = librosa.filters.mel(
            sr=SAMPLING_RATE_HZ, n_fft=N_FFT, n_mels=self.n_mels, fmin=20, fmax=SAMPLING_RATE_HZ / 2
        )
        mel = csr_array(bands.astype(np.float64)) @ power
        log_mel = librosa.power_to_db(mel, ref=1.0, amin=FLOOR, top_db=None)
        mfcc = librosa.feature.mfcc(S=log_mel, n_mfcc=self.n_mfcc)
        return np.vstack([mfcc, log_mel]).T

    def versions(self) -> dict[str, str]:
        """The librosa that computes the numbers."""
        with required_for("the spectral family", "librosa"):
            return {"librosa": version("librosa")}
