"""`extract_features`, and the same as a scikit-learn transformer."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import pandas as pd
from sklearn.base import BaseEstimator, TransformerMixin

from vocalbio import __version__
from vocalbio.audio import Recording, load_audio
from vocalbio.errors import AudioError, ParameterError
from vocalbio.extract.requests import Request, parse_audio
from vocalbio.extract.rows import (
    QUALITY,
    SHORTEST_S,
    Plan,
    Row,
    add_batched,
    family_name,
    measure_request,
    prepare,
    speech_of,
)
from vocalbio.extract.table import QUALITY_PREFIX, is_feature, make_table
from vocalbio.features.embedding import Embedding
from vocalbio.features.family import Family, FamilyLike, Frames
from vocalbio.features.prosody import Prosody
from vocalbio.features.spectral import Spectral
from vocalbio.features.voice import Voice

__all__ = ["FeatureExtractor", "extract_features", "extract_frames"]

FAMILIES: dict[str, type[Family]] = {
    "prosody": Prosody,
    "voice": Voice,
    "spectral": Spectral,
    "embedding": Embedding,
}
NAMED: dict[str, Callable[[], Family]] = {
    **{name: cls for name, cls in FAMILIES.items() if cls is not Embedding},
    "compact": partial(Embedding, "compact"),
}
"""What a name alone asks for."""
DEFAULT_FAMILIES = ("prosody", "voice", "compact")


def resolve_families(families: Any) -> list[tuple[str, FamilyLike]]:
    """Families with their column prefixes; a name becomes the family of that name with its defaults."""
    if isinstance(families, (str, FamilyLike)):
        families = [families]
    if not isinstance(families, Iterable):
        raise ParameterError(f"families is {families!r}; expected names or families, such as ('prosody', 'voice')")
    resolved = []
    for family in families:
        if isinstance(family, str):
            if family == Embedding.kind:
                raise ParameterError(
                    "family 'embedding' needs an encoder: Embedding('facebook/wav2vec2-base', layer=7)"
                )
            if family not in NAMED:
                raise ParameterError(f"family {family!r} is unknown; expected one of {', '.join(NAMED)}")
            family = NAMED[family]()
        if isinstance(family, type) or not isinstance(family, FamilyLike):
            raise ParameterError(f"family {family!r} has no names or extract(recording); see vocalbio.Family")
        resolved.append((family_name(family), family))
    prefixes = [prefix for prefix, _ in resolved]
    if not prefixes or len(set(prefixes)) < len(prefixes):
        raise ParameterError(f"families are {prefixes}; expected at least one, and each once")
    if "quality" in prefixes:
        raise ParameterError("a family is named 'quality', which is kept for the quality columns; rename it")
    return resolved


class FeatureExtractor(TransformerMixin, BaseEstimator):
    """
    `extract_features` as a scikit-learn transformer: stateless, one row a recording, in the order given.

    Parameters
    ----------
    families : sequence of str or Family
        ``"prosody"``, ``"voice"``, ``"compact"``, ``"spectral"``, or families with settings of your own.
    window_s, hop_s : float, optional
        Cut every recording into windows of this length, this far apart (default: `window_s`). The rest after the
        last full window is a shorter row if it is at least half a window.
    speech_only : bool
        Cut pauses out before families that do not measure timing (``"spectral"``).
    quality : bool
        Append the quality columns. Switch it off in a scikit-learn pipeline: they describe a recording (length,
        noise, bandwidth) and would leak labels into whatever model comes next.
    n_jobs : int, optional
        Worker processes, through joblib: None is 1, or what a surrounding ``joblib.parallel_config`` says; -1 is all
        cores.
    on_error : {"record", "raise"}
        Keep a row of NaN and the reason (`errors`), or stop at the first file that cannot be read.
    progress : bool, optional
        Show a progress bar; None: on a terminal or in a notebook, once it takes longer than a second.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.impute import SimpleImputer
    >>> from sklearn.pipeline import make_pipeline
    >>> from vocalbio import FeatureExtractor, Recording
    >>> tone = Recording(0.1 * np.sin(2 * np.pi * 150 * np.arange(16_000) / 16_000), 16_000)
    >>> steps = make_pipeline(FeatureExtractor(["voice"], quality=False), SimpleImputer(keep_empty_features=True))
    >>> steps.fit_transform([tone, tone]).shape
    (2, 55)
    """

    def __init__(
        self,
        families: Any = DEFAULT_FAMILIES,
        *,
        window_s: float | None = None,
        hop_s: float | None = None,
        speech_only: bool = False,
        quality: bool = True,
        n_jobs: int | None = None,
        on_error: str = "record",
        progress: bool | None = None,
    ) -> None:
        self.families = families
        self.window_s = window_s
        self.hop_s = hop_s
        self.speech_only = speech_only
        self.quality = quality
        self.n_jobs = n_jobs
        self.on_error = on_error
        self.progress = progress

    def fit(self, X: Any, y: Any = None) -> FeatureExtractor:
        """
        Check the settings; there is nothing to learn.

        Parameters
        ----------
        X : audio
            Not looked at.
        y : ignored

        Returns
        -------
        FeatureExtractor

        Raises
        ------
        ParameterError
            If a setting is wrong.
        """
        self._plan()
        return self

    def transform(self, X: Any) -> pd.DataFrame:
        """
        Measure recordings.

        Parameters
        ----------
        X : path, Recording, list of either, or pandas index
            As ``audio`` in `extract_features`.

        Returns
        -------
        pandas.DataFrame
            As `extract_features` returns it.
        """
        plan = self._plan()
        requests = parse_audio(X)
        batched = [(n, f) for n, f in enumerate(plan.families) if hasattr(f, "extract_many")]
        for _, family in batched:
            if hasattr(family, "load"):
                family.load()  # what cannot be loaded is told before hours of other work
        # encoders use every core by themselves, so they come after the workers, not beside them
        others = replace(plan, families=tuple(f for f in plan.families if not hasattr(f, "extract_many")))
        rows: list[Row] = []
        with _bar(len(requests), self.progress) as bar:
            for measured in _parallel(requests, others, self.n_jobs):
                rows += measured
                bar.update()
        for place, family in batched:
            found = (entry for request in requests for entry in speech_of(request, plan))
            with _bar(len(rows), self.progress, f"Encoding {family_name(family)}", "row") as bar:
                add_batched(rows, found, family, place, bar.update)
        rows.sort(key=lambda row: row.position)  # stable: windows stay in the order of time
        names = self.get_feature_names_out()
        table = make_table(rows, [name for name in names if is_feature(name)], self._provenance())
        return table[list(names)]

    def get_feature_names_out(self, input_features: Any = None) -> Any:
        """
        Column names, in order.

        Parameters
        ----------
        input_features : ignored

        Returns
        -------
        numpy.ndarray of str
        """
        import numpy as np

        names = [f"{prefix}__{name}" for prefix, family in resolve_families(self.families) for name in family.names]
        return np.array(names + [QUALITY_PREFIX + name for name in QUALITY] * bool(self.quality), dtype=object)

    def to_dict(self) -> dict[str, Any]:
        """
        Settings that decide the numbers, as plain JSON types.

        Returns
        -------
        dict
            ``families`` (each with its settings), ``window_s``, ``hop_s``, ``speech_only``.
        """
        plan = self._plan()
        families = []
        for prefix, family in resolve_families(self.families):
            kind = getattr(family, "kind", prefix)
            if isinstance(family, Family) and type(family) is FAMILIES.get(kind):
                families.append({"family": kind, **family.settings()})
            else:
                settings = family.settings() if hasattr(family, "settings") else {}
                made_by = f"{type(family).__module__}.{type(family).__qualname__}"
                families.append({"family": prefix, "class": made_by, **settings})
        return {
            "families": families,
            "window_s": plan.window_s,
            "hop_s": plan.hop_s,
            "speech_only": plan.speech_only,
        }

    @classmethod
    def from_dict(cls, settings: dict[str, Any]) -> FeatureExtractor:
        """
        Make the extractor that `to_dict` described.

        Parameters
        ----------
        settings : dict

        Returns
        -------
        FeatureExtractor

        Raises
        ------
        ParameterError
            If a family is not one of vocalbio's: code is never loaded by name.
        """
        families = []
        try:
            for entry in settings["families"]:
                entry = dict(entry)
                name = entry.pop("family")
                if name not in FAMILIES or "class" in entry:
                    raise ParameterError(
                        f"family {name!r} ({entry.get('class', 'unknown')}) is not one of vocalbio's, and code is not "
                        "loaded by name; make FeatureExtractor(families=[...]) with it yourself"
                    )
                families.append(FAMILIES[name](**entry))
            return cls(families, **{key: settings[key] for key in ("window_s", "hop_s", "speech_only")})
        except ParameterError:
            raise
        except (KeyError, TypeError, ValueError) as error:
            raise ParameterError(f"these are not the settings of an extractor: {error!r}") from error

    def _plan(self) -> Plan:
        families = tuple(family for _, family in resolve_families(self.families))
        for family in families:
            family.names  # noqa: B018 - an unknown openSMILE set is told now, not once a file
        if self.on_error not in ("record", "raise"):
            raise ParameterError(f"on_error is {self.on_error!r}; expected 'record' or 'raise'")
        if self.hop_s is not None and self.window_s is None:
            raise ParameterError(f"hop_s is {self.hop_s!r} without window_s; give both, or window_s alone")
        for name, value, least in (("window_s", self.window_s, SHORTEST_S), ("hop_s", self.hop_s, 0.01)):
            if value is not None and not (isinstance(value, (int, float)) and least <= value < float("inf")):
                raise ParameterError(f"{name} is {value!r}; expected a number of seconds, at least {least}")
        hop_s = self.window_s if self.hop_s is None else self.hop_s
        return Plan(
            families,
            None if self.window_s is None else float(self.window_s),
            None if hop_s is None else float(hop_s),
            bool(self.speech_only),
            self.on_error,
        )

    def _provenance(self) -> dict[str, Any]:
        tools: dict[str, str] = {}
        for _, family in resolve_families(self.families):
            tools |= family.versions() if hasattr(family, "versions") else {}
        return {"version": __version__, "extractor": self.to_dict(), "tools": tools}

    def __sklearn_is_fitted__(self) -> bool:
        """Nothing is learnt, so it is always ready."""
        return True


def _bar(total: int, progress: bool | None, what: str = "Extracting features", unit: str = "file") -> Any:
    from tqdm.auto import tqdm

    if progress is None:
        progress = sys.stderr.isatty() or "ipykernel" in sys.modules
    return tqdm(total=total, desc=what, unit=unit, disable=not progress, delay=1.0)


def _parallel(requests: Sequence[Request], plan: Plan, n_jobs: int | None) -> Iterator[list[Row]]:
    import joblib

    try:
        pool = joblib.Parallel(n_jobs=n_jobs, return_as="generator")
    except ValueError:  # not every backend of joblib can yield as it goes
        pool = joblib.Parallel(n_jobs=n_jobs)
    yield from pool(joblib.delayed(measure_request)(request, plan) for request in requests)


def extract_features(
    audio: Any,
    families: Any = DEFAULT_FAMILIES,
    *,
    window_s: float | None = None,
    hop_s: float | None = None,
    speech_only: bool = False,
    n_jobs: int | None = None,
    on_error: str = "record",
    progress: bool | None = None,
) -> pd.DataFrame:
    """
    Turn recordings into a table of features, one row a request, in the order asked.

    Parameters
    ----------
    audio : path, Recording, binary file object, list of those, or pandas index
        An index holds files, or (file, start, end) with two Timedelta as in audformat and opensmile.
    families : sequence of str or Family
        ``"prosody"`` (openSMILE eGeMAPSv02), ``"voice"`` (Praat), ``"compact"`` (the wav2vec 2.0 encoder in the wheel:
        ``Embedding("compact")``), ``"spectral"`` (librosa), or families with settings, such as
        ``Prosody("ComParE_2016")``.
    window_s, hop_s : float, optional
        Cut every recording into windows of this length in seconds, this far apart (default: `window_s`).
    speech_only : bool
        Cut pauses out before families that do not measure timing (``"spectral"``).
    n_jobs : int, optional
        Worker processes, through joblib: None is 1, or what a surrounding ``joblib.parallel_config`` says; -1 is all
        cores.
    on_error : {"record", "raise"}
        Keep a row of NaN and the reason (`errors`), or stop at the first file that cannot be read.
    progress : bool, optional
        Show a progress bar; None: on a terminal or in a notebook, once it takes longer than a second.

    Returns
    -------
    pandas.DataFrame
        Index (file, start, end); columns ``family__feature`` and ``quality__…``, float64. What did not occur in a
        recording is NaN, never 0; `describe_columns` tells what must have occurred. A recording that cannot be read
        or used has ``quality__ok`` 0, and `errors` tells why. ``attrs["vocalbio"]`` holds the settings.

    Raises
    ------
    ParameterError
        If an argument is wrong.
    AudioError
        If a file cannot be read and `on_error` is ``"raise"``.

    See Also
    --------
    FeatureExtractor : The same for scikit-learn pipelines.

    Examples
    --------
    >>> import numpy as np
    >>> from vocalbio import Recording, extract_features
    >>> tone = Recording(0.1 * np.sin(2 * np.pi * 150 * np.arange(16_000) / 16_000), 16_000)
    >>> X = extract_features(tone, ["voice"])
    >>> round(X["voice__f0_median_hz"].item())
    150
    """
    extractor = FeatureExtractor(
        families,
        window_s=window_s,
        hop_s=hop_s,
        speech_only=speech_only,
        n_jobs=n_jobs,
        on_error=on_error,
        progress=progress,
    )
    return extractor.transform(audio)


def extract_frames(audio: Any, family: Any) -> Frames:
    """
    Measure one recording over time.

    Parameters
    ----------
    audio : path, binary file object or Recording
    family : str or Family
        ``"prosody"``: openSMILE's low-level descriptors; ``"voice"``: F0, level, formants; ``"spectral"``: MFCC and
        log-mel bands; ``"compact"``: hidden states of the encoder in the wheel.

    Returns
    -------
    Frames
        ``values`` of shape (n_frames, n_features), ``times_s`` of shape (n_frames,), ``names``.

    Raises
    ------
    AudioError
        If the recording cannot be read, or lasts less than half a second.
    ParameterError
        If the family has no frames.

    Examples
    --------
    >>> import numpy as np
    >>> from vocalbio import Recording, extract_frames
    >>> tone = Recording(0.1 * np.sin(2 * np.pi * 150 * np.arange(16_000) / 16_000), 16_000)
    >>> extract_frames(tone, "prosody")
    Frames(96 frames x 25 features, 0.03-0.98 s)
    """
    [(prefix, resolved)] = resolve_families([family])
    if not hasattr(resolved, "frames"):
        raise ParameterError(f"family {prefix!r} has no frames(recording)")
    recording = prepare(audio if isinstance(audio, Recording) else load_audio(audio))
    if recording.duration_s < SHORTEST_S:
        raise AudioError(f"the recording lasts {recording.duration_s:.2f} s; frames need at least {SHORTEST_S} s")
    return resolved.frames(recording)
