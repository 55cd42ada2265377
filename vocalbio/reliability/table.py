"""Table: the atlas as it ships, and the choice of columns by it."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from importlib.resources import files
from typing import Any, NamedTuple

import pandas as pd

from vocalbio.errors import ParameterError
from vocalbio.explain.markers import MARKERS, marker_of
from vocalbio.extract.table import is_feature

__all__ = ["MARKERS", "MEASURES", "PERTURBATIONS", "Perturbation", "atlas", "marker_of", "select_reliable"]


class Perturbation(NamedTuple):
    """What was done to a recording: the kind of it, and in words."""

    kind: str
    meaning: str


PERTURBATIONS = {
    "mp3_32k": Perturbation("codec", "mp3, 32 kbit/s at 16 kHz"),
    "opus_16k": Perturbation("codec", "Opus, 16 kbit/s at 16 kHz"),
    "telephone": Perturbation("codec", "landline: 300-3400 Hz, G.711 at 8 kHz"),
    "mobile": Perturbation("codec", "mobile call: AMR narrowband, 12.2 kbit/s"),
    "noise_20db": Perturbation("noise", "pink noise, 20 dB below the recording"),
    "noise_10db": Perturbation("noise", "pink noise, 10 dB below the recording"),
    "room_small": Perturbation("room", "furnished room, 4 m long, decay 0.3 s, microphone at 0.5 m"),
    "room_large": Perturbation("room", "bare room, 10 m long, decay 1 s, microphone at 2 m"),
    "band_6khz": Perturbation("bandwidth", "microphone that hears up to 6 kHz"),
    "band_4khz": Perturbation("bandwidth", "microphone that hears up to 4 kHz"),
    "soft_10db": Perturbation("level", "10 dB softer"),
    "loud_10db": Perturbation("level", "10 dB louder, clipped at full scale"),
    "repetition": Perturbation("repetition", "the same actor, sentence and emotion once more"),
    "halves": Perturbation("repetition", "first and second half of one vowel"),
}
"""What the features were measured against; `select_reliable` takes these names, or their kinds."""

MEASURES = ("icc", "icc_low", "icc_high", "consistency", "shift_sd", "missing", "n")


def atlas() -> pd.DataFrame:
    """
    How stable each feature was against codecs, noise, rooms, microphones, levels and repetition.

    Returns
    -------
    pandas.DataFrame
        One row a column, material and perturbation:

        - ``column``, ``family`` (prosody, voice, spectral, compact_L6), ``marker`` (one of `MARKERS`);
        - ``material``: ``"speech"`` (RAVDESS, 16 actors, 96 clips) or ``"vowel"`` (33 speakers, /a/ and /i/);
        - ``perturbation`` (one of `PERTURBATIONS`) and its ``kind``;
        - ``icc``, ``icc_low``, ``icc_high``, ``consistency``, ``shift_sd``, ``missing``, ``n``: see `agreement`.

    Notes
    -----
    The table is derived from RAVDESS (Livingstone & Russo 2018, doi:10.1371/journal.pone.0196391, CC BY-NC-SA 4.0) and
    Minsk2020 (Vashkevich & Rushkevich 2021, arXiv:2012.07347, GPL-3), and is shared as CC BY-NC-SA 4.0. Acted speech
    from a studio, and simulated channels: what it calls unstable is, what it calls stable may yet fail elsewhere. The
    compact encoder was made with these actors, and to be deaf to noise and rooms: its lines may flatter it.

    Examples
    --------
    >>> from vocalbio.reliability import atlas
    >>> found = atlas().query("column == 'voice__f0_median_hz' and material == 'speech'").set_index("perturbation")
    >>> bool(found.loc["mp3_32k", "icc"] > 0.9)
    True
    """
    return _read().copy()


@lru_cache(maxsize=1)
def _read() -> pd.DataFrame:
    with files("vocalbio.reliability").joinpath("shipped", "atlas.csv").open(encoding="utf-8") as file:
        wide = pd.read_csv(file, comment="#", index_col=["column", "material"])
    wide.columns = pd.MultiIndex.from_tuples(
        [tuple(str(name).split(".")) for name in wide], names=["perturbation", None]
    )
    table = pd.DataFrame(wide.stack("perturbation", future_stack=True)).dropna(subset=["n"]).reset_index()
    table["family"] = table["column"].str.split("__").str[0]
    table["marker"] = table["column"].map(marker_of)
    table["kind"] = table["perturbation"].map({name: entry.kind for name, entry in PERTURBATIONS.items()})
    table["n"] = table["n"].astype(int)
    return table[["column", "family", "marker", "material", "perturbation", "kind", *MEASURES]]


def select_reliable(
    X: pd.DataFrame,
    *,
    min_icc: float = 0.75,
    against: str | Iterable[str] = ("codec", "noise"),
    material: str = "speech",
    measure: str = "icc",
    unknown: str = "drop",
) -> pd.DataFrame:
    """
    Keep the columns that were stable against everything that is named.

    It looks at names alone, never at the rows or labels, so it may stand before a split or within a fold alike; in a
    pipeline of scikit-learn: ``FunctionTransformer(select_reliable, kw_args={"against": "codec"})``.

    Parameters
    ----------
    X : pandas.DataFrame
        From `vocalbio.extract_features`.
    min_icc : float
        Least value of `measure`. 0.75 to 0.9 is called good (Koo & Li 2016).
    against : str or iterable of str
        Names of `PERTURBATIONS`, or kinds: ``"codec"``, ``"noise"``, ``"room"``, ``"bandwidth"``, ``"level"``,
        ``"repetition"``. All of a kind must be survived.
    material : {"speech", "vowel"}
        What it was measured on.
    measure : {"icc", "icc_low", "consistency"}
        Estimate, lower end of its 95 % interval, or ICC(3,1), which forgives a constant shift: right where training and
        use share the channel.
    unknown : {"drop", "keep", "raise"}
        What becomes of columns of which nothing is known: other embeddings and families that are not in the atlas, and
        what its recordings did not have, as pauses within short sentences (NaN in the atlas although hardly any value
        was lost).

    Returns
    -------
    pandas.DataFrame
        The same rows, fewer columns, in the same order, with the same ``attrs``. Quality columns always stay. A column
        of which half of the values or more were lost counts as unstable.

    Raises
    ------
    ParameterError
        If an argument is wrong, or something is unknown and `unknown` is ``"raise"``.

    References
    ----------
    Koo TK, Li MY. A guideline of selecting and reporting intraclass correlation coefficients for reliability research.
    J Chiropr Med 2016;15:155-163. doi:10.1016/j.jcm.2016.02.012

    Examples
    --------
    >>> import pandas as pd
    >>> from vocalbio.reliability import select_reliable
    >>> X = pd.DataFrame({"voice__f0_median_hz": [110.0], "prosody__mfcc4_sma3_stddevNorm": [-3.0]})
    >>> list(select_reliable(X, against="mp3_32k"))
    ['voice__f0_median_hz']
    """
    if not isinstance(X, pd.DataFrame):
        raise ParameterError(f"X is a {type(X).__name__}; expected a table of features, whose columns have names")
    for name, value, known in (
        ("material", material, ("speech", "vowel")),
        ("measure", measure, ("icc", "icc_low", "consistency")),
        ("unknown", unknown, ("drop", "keep", "raise")),
    ):
        if value not in known:
            raise ParameterError(f"{name} is {value!r}; expected one of {', '.join(known)}")
    if isinstance(min_icc, bool) or not isinstance(min_icc, (int, float)) or not -1 <= min_icc <= 1:
        raise ParameterError(f"min_icc is {min_icc!r}; expected a number up to 1")
    table = _read()
    table = table[(table["material"] == material) & table["perturbation"].isin(_named(against, material, table))]
    unstable = table["missing"].ge(0.5) | table[measure].lt(min_icc)
    told = pd.DataFrame({"unstable": unstable, "silent": table[measure].isna() & ~unstable})
    told = told.groupby(table["column"]).any()
    features = [name for name in X.columns if is_feature(name)]
    bad = set(told.index[told["unstable"]])
    strange = [name for name in features if name not in told.index or (told["silent"][name] and name not in bad)]
    if strange and unknown == "raise":
        families = ", ".join(sorted({str(name).split("__")[0] for name in strange}))
        raise ParameterError(
            f"of {len(strange)} columns of X nothing is known on {material} (families: {families}; the first is "
            f"{strange[0]!r}). Say unknown='keep' or unknown='drop'"
        )
    out = bad | (set() if unknown == "keep" else set(strange))
    return X[[name for name in X.columns if name not in out or not is_feature(name)]]


def _named(against: Any, material: str, table: pd.DataFrame) -> set[str]:
    """Perturbations of these names or kinds that were measured on this material."""
    wanted = [against] if isinstance(against, str) else list(against)
    measured = set(table.loc[table["material"] == material, "perturbation"])
    chosen: set[str] = set()
    for name in wanted:
        own = {entry for entry, facts in PERTURBATIONS.items() if name in (entry, facts.kind)} & measured
        if not own:
            kinds = sorted({facts.kind for facts in PERTURBATIONS.values()})
            raise ParameterError(
                f"against holds {name!r}; expected kinds ({', '.join(kinds)}) or, on {material}, some of "
                f"{', '.join(entry for entry in PERTURBATIONS if entry in measured)}"
            )
        chosen |= own
    if not chosen:
        raise ParameterError("against is empty; expected at least one perturbation or kind, such as 'codec'")
    return chosen
