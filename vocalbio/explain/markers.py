"""Markers in words: what columns measure, which of them belong together, and which are looked at in depression."""

from __future__ import annotations

import re
from typing import NamedTuple

__all__ = ["MARKERS", "PANEL", "PanelMarker", "marker_of", "words_for"]

MARKERS = {
    "pitch": r"F0semitone.*(amean|percentile)|__f0_(mean|median|p5|p95)",
    "pitch variability": r"F0semitone|__f0_|pitch_range",
    "pauses and rate": r"PerSec|SegmentLength|__pause|_rate_per_s|syllable|phonation|voiced_(sounding_)?fraction",
    "loudness": r"__loudness|equivalentSound|__intensity",
    "jitter": r"jitter|period_irregularity",
    "shimmer": r"shimmer",
    "HNR and CPPS": r"HNR|__hnr|cpps",
    "breaks and creak": r"voice_breaks|creak",
    "formants": r"__F[123](freq|band|ampl)|__f[1234]_",
    "spectral balance": r"alphaRatio|hammarberg|__slope|spectralFlux|logRelF0",
    "MFCC": r"mfcc",
    "log-mel": r"logmel",
    "compact encoder": r"^compact_L",
}
"""Groups of markers that measure much the same, and what their columns are called; the first pattern found counts."""


def marker_of(column: str) -> str:
    """
    Tell which group of markers a column belongs to.

    Parameters
    ----------
    column : str
        Such as ``"voice__jitter_local"``.

    Returns
    -------
    str
        One of `MARKERS`; the family of any other column, such as the encoder of an embedding.

    Examples
    --------
    >>> from vocalbio.explain import marker_of
    >>> marker_of("prosody__F0semitoneFrom27.5Hz_sma3nz_stddevNorm"), marker_of("wav2vec2_base_L7__017")
    ('pitch variability', 'wav2vec2_base_L7')
    """
    group = next((name for name, pattern in MARKERS.items() if re.search(pattern, column)), None)
    return group or (column.partition("__")[0] if "__" in column else "other")


class PanelMarker(NamedTuple):
    """
    A line of the panel.

    Attributes
    ----------
    name : str
        In words.
    columns : tuple of str
        What measures it; the first that a model has counts.
    """

    name: str
    columns: tuple[str, ...]


PANEL = (
    PanelMarker("pitch variability", ("voice__f0_sd_st", "prosody__F0semitoneFrom27.5Hz_sma3nz_pctlrange0-2")),
    PanelMarker("pitch range", ("voice__f0_range_st",)),
    PanelMarker("loudness variability", ("voice__intensity_sd_db", "prosody__loudness_sma3_stddevNorm")),
    PanelMarker("speech rate", ("voice__speech_rate_per_s", "prosody__loudnessPeaksPerSec")),
    PanelMarker("articulation rate", ("voice__articulation_rate_per_s",)),
    PanelMarker("time in pauses", ("voice__pause_fraction",)),
    PanelMarker("mean pause", ("voice__pause_mean_s", "prosody__MeanUnvoicedSegmentLength")),
    PanelMarker("jitter", ("voice__jitter_local", "prosody__jitterLocal_sma3nz_amean")),
    PanelMarker("shimmer", ("voice__shimmer_local", "prosody__shimmerLocaldB_sma3nz_amean")),
    PanelMarker("harmonics to noise", ("voice__hnr_db", "prosody__HNRdBACF_sma3nz_amean")),
    PanelMarker("cepstral peak (CPPS)", ("voice__cpps_db",)),
    PanelMarker("creak (proxy)", ("voice__creak_proxy",)),
)
"""
Markers that studies of depressed speech look at: less variable pitch and loudness, slower speech with more and longer
pauses, rougher and breathier voice [1]_. Groups differ in them, on average; a single person's value says little.

References
----------
.. [1] Cummins N, Scherer S, Krajewski J, Schnieder S, Epps J, Quatieri TF. A review of depression and suicide risk
   assessment using speech analysis. Speech Communication 2015;71:10-49. doi:10.1016/j.specom.2015.03.004
"""

VOICE_WORDS = {
    "f0_mean_hz": "mean pitch", "f0_median_hz": "median pitch", "f0_sd_hz": "SD of pitch (Hz)",
    "f0_p5_hz": "low end of pitch (5 %)", "f0_p95_hz": "high end of pitch (95 %)", "f0_sd_st": "pitch variability",
    "f0_range_st": "pitch range", "f0_slope_st_per_s": "drift of pitch", "f0_change_st_per_s": "movement of pitch",
    "hnr_db": "harmonics to noise", "cpps_db": "cepstral peak (CPPS)", "intensity_sd_db": "loudness variability",
    "intensity_range_db": "loudness range", "pause_fraction": "time in pauses", "pause_mean_s": "mean pause",
    "pause_sd_s": "SD of pauses", "pause_longest_s": "longest pause", "pause_rate_per_min": "pauses a minute",
    "pause_count": "number of pauses", "speech_rate_per_s": "speech rate", "syllable_count": "number of syllables",
    "articulation_rate_per_s": "articulation rate", "syllable_mean_s": "length of a syllable",
    "phonation_time_s": "time sounding", "creak_proxy": "creak (proxy)", "creak_low_fraction": "share below 70 Hz",
    "voiced_sounding_fraction": "voiced share of sound", "voice_breaks_per_s": "voice breaks a second",
    "voice_breaks_degree": "share of voice breaks", "period_irregularity": "irregular periods",
}  # fmt: skip
PROSODY_WORDS = (
    (r"F0semitoneFrom27.5Hz_sma3nz", "pitch"),
    (r"loudness_sma3", "loudness"),
    (r"spectralFlux(U?V)?_sma3(nz)?", r"spectral flux\1"),
    (r"mfcc(\d)(V?)_sma3(nz)?", r"MFCC \1\2"),
    (r"jitterLocal_sma3nz", "jitter"),
    (r"shimmerLocaldB_sma3nz", "shimmer"),
    (r"HNRdBACF_sma3nz", "harmonics to noise"),
    (r"logRelF0-(H1)-(H2|A3)_sma3nz", r"\1 minus \2"),
    (r"F(\d)frequency_sma3nz", r"formant \1"),
    (r"F(\d)bandwidth_sma3nz", r"bandwidth of formant \1"),
    (r"F(\d)amplitudeLogRelF0_sma3nz", r"level of formant \1"),
    (r"alphaRatio(U?V)_sma3nz", r"alpha ratio\1"),
    (r"hammarbergIndex(U?V)_sma3nz", r"Hammarberg index\1"),
    (r"slope(U?V)([\d-]+)_sma3nz", r"spectral slope \2 Hz\1"),
    (r"loudnessPeaksPerSec", "loudness peaks a second"),
    (r"MeanVoicedSegmentLengthSec", "mean voiced stretch"),
    (r"StddevVoicedSegmentLengthSec", "voiced stretch, SD"),
    (r"MeanUnvoicedSegmentLength", "mean unvoiced stretch"),
    (r"StddevUnvoicedSegmentLength", "unvoiced stretch, SD"),
    (r"VoicedSegmentsPerSec", "voiced stretches a second"),
    (r"equivalentSoundLevel_dBp", "sound level"),
    (r"_amean$", ", mean"),
    (r"_stddevNorm$", ", SD over mean"),
    (r"_percentile(\d+)\.0", r", \1th percentile"),
    (r"_pctlrange0-2", ", range"),
    (r"_mean(Ris|Fall)ingSlope", r", \1ing slope"),
    (r"_stddev(Ris|Fall)ingSlope", r", SD of \1ing slope"),
)


def words_for(column: str) -> str:
    """
    Say what a column measures, in a few words.

    Parameters
    ----------
    column : str

    Returns
    -------
    str
        The column itself where there are no words for it. Two families may use the same words: a Praat and an
        openSMILE jitter are both jitter.

    Examples
    --------
    >>> from vocalbio.explain import words_for
    >>> words_for("voice__f0_sd_st"), words_for("prosody__mfcc2V_sma3nz_amean")
    ('pitch variability', 'MFCC 2 in voiced parts, mean')
    """
    family, _, name = column.partition("__")
    if not name:
        return column
    if family == "voice":
        if name in VOICE_WORDS:
            return VOICE_WORDS[name]
        if found := re.fullmatch(r"(jitter|shimmer)_(.*?)(_s)?", name):
            return f"{found[1]} ({found[2].replace('_', ' ')})"
        if found := re.fullmatch(r"f(\d)_(median_hz|sd_hz|bandwidth_hz)", name):
            words = {"median_hz": "formant {}", "sd_hz": "formant {}, SD", "bandwidth_hz": "bandwidth of formant {}"}
            return words[found[2]].format(found[1])
        return name.replace("_", " ")
    if family == "prosody":
        for pattern, replacement in PROSODY_WORDS:
            name = re.sub(pattern, replacement, name)
        name = re.sub(r"(?<=[a-zA-Z0-9])UV(?=,|$)", " in unvoiced parts", name)
        name = re.sub(r"(?<=[a-zA-Z0-9])V(?=,|$)", " in voiced parts", name)
        return name.replace("Rising", "rising").replace("Falling", "falling")
    if found := re.fullmatch(r"(mfcc|logmel)(\d+)_(mean|sd)", name):
        what = {"mfcc": "MFCC", "logmel": "mel band"}[found[1]]
        return f"{what} {int(found[2])}, {'mean' if found[3] == 'mean' else 'SD'}"
    if family.startswith("compact_L"):
        where = f"dimension {name}" if name.isdigit() else name.replace("_", " ")
        return f"compact encoder, layer {family.removeprefix('compact_L')}, {where}"
    return f"{family} {name}"
