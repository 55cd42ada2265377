"""Prosody: openSMILE's functionals and low-level descriptors, with zeros that mean "did not occur" made NaN."""

from __future__ import annotations

import ctypes
import importlib.util
import os
import re
import sys
import warnings
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from vocalbio.audio import Recording
from vocalbio.errors import ParameterError, VocalbioError, required_for
from vocalbio.features.family import SAMPLING_RATE_HZ, Column, Family, Frames, Measured

__all__ = ["Prosody"]

PAPER = {
    "GeMAPS": "Eyben F et al. The Geneva Minimalistic Acoustic Parameter Set (GeMAPS). IEEE Trans Affect Comput "
    "2016;7:190-202. doi:10.1109/TAFFC.2015.2457417",
    "ComParE_2016": "Schuller B et al. The INTERSPEECH 2016 Computational Paralinguistics Challenge. Interspeech 2016. "
    "doi:10.21437/Interspeech.2016-129",
    "": "Eyben F, Wöllmer M, Schuller B. openSMILE. ACM Multimedia 2010. doi:10.1145/1873951.1874246",
}

COUNTS = re.compile(r"^(loudnessPeaksPerSec|VoicedSegmentsPerSec)$|Turn_numOnsets$|ff0_(de_)?nnz$")
"""Counts and shares, truly 0 where nothing occurred."""

PITCH_WITNESS = re.compile(r"^F0\w*_sma_amean$")
"""Mean pitch in the sets other than GeMAPS: 0 where no frame is voiced (a length of turns, say, is not)."""
VOICED = re.compile(
    r"^(?!.*_duration$)(F0|jitter|shimmer|HNR|logHNR|logRelF0|F[123](frequency|bandwidth|amplitude)|(Mean|Stddev)Voiced"
    r"|(alphaRatio|hammarbergIndex|slope|spectralFlux|mfcc\d)V)"
)
UNVOICED = re.compile(r"^((Mean|Stddev)Unvoiced|(alphaRatio|hammarbergIndex|slope|spectralFlux)UV)")

OCCURRENCE = {
    "always": "always a number: 0 means that there were none",
    "sound": "some sound (one sample of at least a 16-bit step)",
    "slopes": "some sound that rises and falls (openSMILE writes 0 where it found no slope)",
    "voiced": "voiced frames, by openSMILE's own decision (it writes 0 where they are too few, or too even, to tell)",
    "voiced slopes": "voiced frames in which F0 rises or falls (openSMILE writes 0 where it found no slope)",
    "unvoiced": "unvoiced frames that hold some sound, by openSMILE's own decision",
    "two voiced segments": "two or more voiced segments that differ in length",
    "two unvoiced segments": "two or more unvoiced segments that differ in length",
}
"""What must have occurred, by group."""

LLD_MEANING = {
    "F0semitoneFrom27.5Hz": ("pitch, in semitones above 27.5 Hz", "st"),
    "loudness": ("perceived loudness from the auditory spectrum", ""),
    "spectralFlux": ("change of the spectrum from frame to frame", ""),
    "jitterLocal": ("difference of consecutive periods over the mean period", ""),
    "shimmerLocaldB": ("difference of consecutive peak amplitudes", "dB"),
    "HNRdBACF": ("harmonics-to-noise ratio by autocorrelation", "dB"),
    "logRelF0-H1-H2": ("first over second harmonic", "dB"),
    "logRelF0-H1-A3": ("first harmonic over the strongest harmonic near F3", "dB"),
    "alphaRatio": ("energy of 50-1000 Hz over 1-5 kHz", "dB"),
    "hammarbergIndex": ("strongest peak of 0-2 kHz over that of 2-5 kHz", "dB"),
    "slope0-500": ("slope of the spectrum, 0-500 Hz", "dB/Hz"),
    "slope500-1500": ("slope of the spectrum, 500-1500 Hz", "dB/Hz"),
}
FUNCTIONAL_MEANING = {
    "amean": "mean",
    "stddevNorm": "standard deviation over mean (grows without bound as the mean nears 0)",
    "percentile20.0": "20th percentile",
    "percentile50.0": "median",
    "percentile80.0": "80th percentile",
    "pctlrange0-2": "range from the 20th to the 80th percentile",
    "meanRisingSlope": "mean slope of rising parts",
    "stddevRisingSlope": "standard deviation of the slope of rising parts",
    "meanFallingSlope": "mean slope of falling parts",
    "stddevFallingSlope": "standard deviation of the slope of falling parts",
}
PLAIN_MEANING = {
    "loudnessPeaksPerSec": ("peaks of loudness a second, a proxy of syllable rate", "1/s"),
    "VoicedSegmentsPerSec": ("stretches of continuous voicing a second", "1/s"),
    "MeanVoicedSegmentLengthSec": ("mean length of voiced stretches", "s"),
    "StddevVoicedSegmentLengthSec": ("standard deviation of the length of voiced stretches", "s"),
    "MeanUnvoicedSegmentLength": ("mean length of unvoiced stretches, pauses among them", "s"),
    "StddevUnvoicedSegmentLength": ("standard deviation of the length of unvoiced stretches", "s"),
    "equivalentSoundLevel_dBp": ("energy-averaged level re full scale", "dB"),
}


def _import_opensmile() -> Any:
    """
    Import openSMILE so that it keeps its own functions where TensorFlow is loaded.

    Both define ``rdft``, openSMILE's for floats and TensorFlow's, visible to the whole process, for doubles. Loaded
    second, openSMILE would call TensorFlow's and write past its buffers. RTLD_DEEPBIND gives it its own.
    """
    with required_for("the prosody family", "opensmile"):
        if "opensmile" not in sys.modules and hasattr(os, "RTLD_DEEPBIND"):
            package = importlib.util.find_spec("opensmile")
            for folder in package.submodule_search_locations or () if package is not None else ():
                for library in Path(folder).glob("core/bin/*/libSMILEapi.so"):
                    ctypes.CDLL(str(library), mode=os.RTLD_LOCAL | os.RTLD_DEEPBIND)
                    _BOUND.append(library)
        import opensmile
    loaded = list(sys.modules)
    if (
        not _BOUND
        and hasattr(os, "RTLD_DEEPBIND")
        and "tensorflow" in loaded
        and loaded.index("tensorflow") < loaded.index("opensmile")
    ):
        raise VocalbioError(
            "opensmile was imported after tensorflow, and in that order it crashes or gives wrong numbers; import "
            "opensmile first, or leave the import to vocalbio"
        )
    return opensmile


_BOUND: list[Path] = []


@lru_cache(maxsize=8)
def _smile(feature_set: str, level: str) -> Any:
    opensmile = _import_opensmile()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # deprecated sets were asked for by name
        return opensmile.Smile(opensmile.FeatureSet[feature_set], opensmile.FeatureLevel[level])


def _feature_sets() -> list[str]:
    opensmile = _import_opensmile()
    return [feature_set.name for feature_set in opensmile.FeatureSet]


def occurrence(name: str) -> str:
    """
    Tell what must have occurred for an openSMILE functional to be a number.

    Parameters
    ----------
    name : str
        Official column name, such as ``"jitterLocal_sma3nz_amean"``.

    Returns
    -------
    str
        A key of `OCCURRENCE`.

    Examples
    --------
    >>> from vocalbio.features.prosody import occurrence
    >>> occurrence("jitterLocal_sma3nz_amean"), occurrence("loudnessPeaksPerSec")
    ('voiced', 'always')
    """
    if COUNTS.search(name):
        return "always"
    if name == "StddevVoicedSegmentLengthSec":
        return "two voiced segments"
    if name == "StddevUnvoicedSegmentLength":
        return "two unvoiced segments"
    voiced = bool(VOICED.match(name))
    if name.endswith("ingSlope"):
        return "voiced slopes" if voiced else "slopes"
    if voiced:
        return "voiced"
    return "unvoiced" if UNVOICED.match(name) else "sound"


def _meaning(name: str) -> tuple[str, str]:
    if name in PLAIN_MEANING:
        return PLAIN_MEANING[name]
    lld, _, functional = re.sub(r"_sma3(nz)?", "", name).rpartition("_")
    where = ""
    for mark, words in (("UV", "unvoiced frames"), ("V", "voiced frames")):
        plain = re.sub(rf"(?<=[a-z0-9]){mark}(?=\d|$)", "", lld)
        if plain != lld:
            lld, where = plain, f", in {words}"
            break
    if formant := re.match(r"F([123])(frequency|bandwidth|amplitude)", lld):
        number, what = formant.groups()
        meaning = f"{what} of formant {number}" + (" over that of F0" if what == "amplitude" else "")
        unit = "dB" if what == "amplitude" else "Hz"
    elif mfcc := re.match(r"mfcc(\d)", lld):
        meaning, unit = f"mel-frequency cepstral coefficient {mfcc.group(1)}", ""
    else:
        meaning, unit = LLD_MEANING[lld]
    if functional == "stddevNorm":
        unit = ""
    elif functional.endswith("ingSlope"):
        unit = f"{unit}/s" if unit else "1/s"
    return f"{FUNCTIONAL_MEANING[functional]} of {meaning}{where}", unit


@dataclass(frozen=True)
class Prosody(Family):
    """
    openSMILE's functionals under their official names.

    Every number that is not NaN is openSMILE's own for the same 16 kHz samples. openSMILE writes 0 (or -201 for
    formant amplitudes) where a thing did not occur; here such columns are NaN, by one rule a column
    (`vocalbio.describe_columns` shows it). openSMILE is free for research and non-commercial use only.

    Parameters
    ----------
    feature_set : str
        Name of an openSMILE feature set, such as ``"eGeMAPSv02"`` (88 functionals), ``"ComParE_2016"`` or
        ``"emobase"``.

    References
    ----------
    Eyben F et al. The Geneva Minimalistic Acoustic Parameter Set (GeMAPS) for voice research and affective
    computing. IEEE Trans Affect Comput 2016;7:190-202. doi:10.1109/TAFFC.2015.2457417

    Examples
    --------
    >>> from vocalbio import Prosody
    >>> len(Prosody().names)
    88
    """

    feature_set: str = "eGeMAPSv02"

    name: ClassVar[str] = "prosody"
    measures_timing: ClassVar[bool] = True

    def __post_init__(self) -> None:
        if not isinstance(self.feature_set, str):
            raise ParameterError(
                f"feature_set is {self.feature_set!r}; expected the name of an openSMILE set, such as 'eGeMAPSv02'"
            )

    @property
    def names(self) -> tuple[str, ...]:
        """Official names of the functionals."""
        if self.feature_set not in _feature_sets():
            raise ParameterError(f"feature_set is {self.feature_set!r}; expected one of {', '.join(_feature_sets())}")
        return tuple(_smile(self.feature_set, "Functionals").feature_names)

    @property
    def columns(self) -> tuple[Column, ...]:
        """What each functional is, and what must have occurred for it to be a number."""
        gemaps = "GeMAPS" in self.feature_set
        paper = PAPER["GeMAPS" if gemaps else self.feature_set if self.feature_set in PAPER else ""]
        columns = []
        for name in self.names:
            meaning, unit = _meaning(name) if gemaps else (f"openSMILE {self.feature_set} functional", "")
            group = occurrence(name)
            columns.append(Column(name, unit, meaning, OCCURRENCE[group], f"openSMILE {self.feature_set}", paper))
        return tuple(columns)

    def extract(self, recording: Recording) -> Measured:
        """Functionals of shape (n_features,); NaN for what did not occur."""
        names = self.names
        values = _smile(self.feature_set, "Functionals")(recording.samples, SAMPLING_RATE_HZ).ravel().astype(float)
        groups = _groups(self.feature_set)
        if "GeMAPS" in self.feature_set:
            values, reasons = _mask_gemaps(values, dict(zip(names, values, strict=True)), groups)
        else:
            values, reasons = _mask_other(values, names, groups)
        return Measured(values, tuple(reasons))

    def frames(self, recording: Recording) -> Frames:
        """
        Low-level descriptors every 10 ms; voiced ones NaN where openSMILE found no voicing.

        Times are the centres of the 60 ms frames of pitch and voice quality. Loudness, flux, MFCC and spectral slopes
        come from shorter frames with the same start, so theirs lie some 20 ms before the time given.
        """
        if self.feature_set not in _feature_sets():
            self.names  # noqa: B018 - raises, naming the sets that exist
        smile = _smile(self.feature_set, "LowLevelDescriptors")
        names = tuple(smile.feature_names)
        values = smile(recording.samples, SAMPLING_RATE_HZ)[0].T.astype(float)
        pitch = [i for i, name in enumerate(names) if re.match(r"F0(?!\w*env)", name, re.IGNORECASE)]
        if pitch:
            unvoiced = values[:, pitch[0]] == 0
            voiced_only = [i for i, name in enumerate(names) if VOICED.match(name)]
            values[np.ix_(unvoiced, voiced_only)] = np.nan
        # openSMILE stamps a frame with its start; the frames of pitch and voice quality last 60 ms
        return Frames(values, np.arange(len(values)) * 0.01 + 0.03, names)

    def versions(self) -> dict[str, str]:
        """The openSMILE that computes the numbers."""
        return {"opensmile": _import_opensmile().__version__}


@lru_cache(maxsize=8)
def _groups(feature_set: str) -> np.ndarray:
    return np.array([occurrence(name) for name in _smile(feature_set, "Functionals").feature_names])


def _mask_gemaps(values: np.ndarray, by_name: dict[str, float], groups: np.ndarray) -> tuple[np.ndarray, list[str]]:
    reasons = []
    voiced = by_name["F0semitoneFrom27.5Hz_sma3nz_amean"] != 0 and by_name["VoicedSegmentsPerSec"] > 0
    unvoiced = by_name["MeanUnvoicedSegmentLength"] > 0
    # a plain statistic of all frames may truly be 0 (the range of loudness, where most frames are silent)
    missing = ~np.isin(groups, ["always", "sound"]) & (values == 0)
    if not voiced:
        missing |= np.isin(groups, ["voiced", "voiced slopes", "two voiced segments"])
        reasons.append("no voiced frames by openSMILE: pitch, jitter, shimmer, HNR and formants are NaN")
    if not unvoiced:
        missing |= np.isin(groups, ["unvoiced", "two unvoiced segments"])
        reasons.append("no unvoiced segments by openSMILE: the columns of unvoiced frames are NaN")
    return np.where(missing, np.nan, values), reasons


def _mask_other(values: np.ndarray, names: tuple[str, ...], groups: np.ndarray) -> tuple[np.ndarray, list[str]]:
    # Other sets have functionals that may truly be 0 (positions, minima), so only voicing as a whole is judged.
    values = np.where(np.char.endswith(groups, "slopes") & (values == 0), np.nan, values)
    if any(value != 0 for name, value in zip(names, values, strict=True) if PITCH_WITNESS.match(name)):
        return values, []
    reason = "no voiced frames by openSMILE: pitch, jitter, shimmer and HNR columns are NaN"
    return np.where(np.isin(groups, ["voiced", "voiced slopes"]), np.nan, values), [reason]
