"""Explanation: what moved an answer away from that for a typical recording of the training cohort, and how unusual."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from vocalbio.conditions import get_condition
from vocalbio.datasets import Sequences
from vocalbio.errors import ParameterError
from vocalbio.explain import PANEL, integrated_gradients, marker_of, words_for
from vocalbio.extract import describe_columns, errors
from vocalbio.extract.table import usable_rows
from vocalbio.risk.calibration import LEAST, Temperature
from vocalbio.risk.inputs import read_inputs
from vocalbio.risk.scaling import LIMIT

if TYPE_CHECKING:
    from matplotlib.figure import Figure

    from vocalbio.risk.base import VoiceModel

__all__ = ["CAUTION", "Explanation", "Quantiles", "explain"]

CAUTION = (
    "A contribution tells how this model came from its answer for the median of the training cohort to the answer for "
    "this recording. It is no cause, neither of the condition nor of the voice, and it does not say that the answer is "
    "right. Markers of one group measure much the same, and the model could have used one in place of another: read "
    "the groups rather than single markers."
)
LEVELS = np.array([1, *range(5, 100, 5), 99], float)
TOLERANCE = 0.01
"""By how many points or percentage points the contributions may miss the difference that they share."""


@dataclass(frozen=True, eq=False)
class Quantiles:
    """
    How each column was spread over the training rows: what a new recording's percentiles are taken from.

    Attributes
    ----------
    values : numpy.ndarray
        Shape (n_features, 21): percentiles 1, 5, 10 to 95, 99 of each column by itself, so that no recording
        can be put together from them; NaN where a column never was a number.
    """

    values: NDArray[np.float64]

    @classmethod
    def fit(cls, rows: NDArray[np.float64]) -> Quantiles:
        """
        Learn from training rows.

        Parameters
        ----------
        rows : numpy.ndarray
            Shape (n_rows, n_features), NaN for gaps.

        Returns
        -------
        Quantiles
        """
        values = np.full((rows.shape[1], len(LEVELS)), np.nan)
        known = ~np.isnan(rows).all(axis=0)
        if known.any():
            values[known] = np.nanpercentile(rows[:, known], LEVELS, axis=0).T
        return cls(values)

    def percentile(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """
        Tell where values lie among those of training.

        Parameters
        ----------
        values : numpy.ndarray
            Shape (n_features,).

        Returns
        -------
        numpy.ndarray
            Shape (n_features,), from 1 ("1 or less") to 99 ("99 or more"); of a value that many recordings share, the
            middle of their percentiles. NaN where there is no value, or was none in training.

        Examples
        --------
        >>> import numpy as np
        >>> from vocalbio.risk.explanation import Quantiles
        >>> Quantiles.fit(np.arange(101.0)[:, None]).percentile(np.array([37.0])).tolist()
        [37.0]
        """
        found = np.full(len(values), np.nan)
        for place, (value, known) in enumerate(zip(values, self.values, strict=True)):
            if np.isnan(value) or np.isnan(known).any():
                continue
            shared = LEVELS[known == value]
            found[place] = (shared[0] + shared[-1]) / 2 if len(shared) else np.interp(value, known, LEVELS)
        return found


@dataclass(frozen=True, eq=False, repr=False)
class Explanation:
    """
    What moved an answer, marker by marker, and how unusual the markers are. ``print`` it for the words.

    Attributes
    ----------
    condition, file : str
    what : str
        What is explained, such as ``"stress score"``.
    unit : str
        Of `value`, `baseline` and contributions: ``"points"`` or ``"%"`` (percentage points).
    value, baseline : float
        The answer for this recording, and for the median of the training cohort.
    contributions : pandas.DataFrame
        One line a column, the largest first. Columns: ``marker`` (in words), ``group`` (`vocalbio.explain.MARKERS`),
        ``family``, ``value`` (over segments their median), ``unit``, ``typical`` (median of the cohort),
        ``contribution``, ``percentile`` (1 to 99 among the training rows; NaN where the model file does not hold the
        cohort's quantiles).
    by_group, by_family : pandas.DataFrame
        ``contribution`` (the sum) and ``n`` (columns), the largest first.
    segments : pandas.DataFrame or None
        Where in the recording: one line a segment, ``start_s``, ``end_s``, ``contribution``, and a column for each
        group. None for a model that takes a recording as a whole.
    notes : tuple of str
        What limits this explanation.
    """

    condition: str
    file: str
    what: str
    unit: str
    value: float
    baseline: float
    contributions: pd.DataFrame
    by_group: pd.DataFrame
    by_family: pd.DataFrame
    segments: pd.DataFrame | None
    notes: tuple[str, ...] = ()

    @property
    def panel(self) -> pd.DataFrame:
        """
        Markers that studies of depressed speech look at (`vocalbio.explain.PANEL`), as far as the model takes them.

        Index: the marker in words; columns ``column``, ``value``, ``unit``, ``typical``, ``percentile``.
        """
        known = self.contributions
        rows = {
            name: {"column": column, **known.loc[column, ["value", "unit", "typical", "percentile"]]}
            for name, columns in PANEL
            if (column := next((one for one in columns if one in known.index), None)) is not None
        }
        columns = ["column", "value", "unit", "typical", "percentile"]
        return pd.DataFrame.from_dict(rows, orient="index", columns=columns).rename_axis("marker")

    @property
    def text(self) -> str:
        """The explanation in words, for somebody who reads no code."""
        unit = "" if self.unit == "points" else " %"
        lines = [
            f"{self.what} {self.value:.1f}{unit} ({self.file}); the median of the training cohort gets "
            f"{self.baseline:.1f}{unit}",
            f"  what makes the difference of {_signed(self.value - self.baseline)} {_points(self.unit)}:",
        ]
        width = max((len(str(name)) for name in self.by_group.index), default=0)
        for name, row in self.by_group.iterrows():
            members = self.contributions[self.contributions["group"] == name]
            own = members.loc[(members["contribution"] * np.sign(row["contribution"])).idxmax()]
            most = f"above all {own['marker']}" if row["n"] > 1 else str(own["marker"])
            lines.append(f"  {_signed(row['contribution']):>7}  {name!s:<{width}}  {most}{_standing(own)}")
        return "\n".join([*lines, *(f"  note: {note}" for note in self.notes), f"  {CAUTION}"])

    def __str__(self) -> str:
        return self.text

    def __repr__(self) -> str:
        return f"<Explanation of {self.what} {self.value:.1f} from {self.baseline:.1f}: {self.file}>"

    def to_dict(self) -> dict[str, Any]:
        """Everything, as plain JSON types; NaN becomes None."""
        tables = {
            "contributions": self.contributions.rename_axis("column").reset_index(),
            "by_group": self.by_group.reset_index(),
            "by_family": self.by_family.reset_index(),
            "panel": self.panel.reset_index(),
        }
        return {
            **{name: getattr(self, name) for name in ("condition", "file", "what", "unit", "value", "baseline")},
            **{name: _records(table) for name, table in tables.items()},
            "segments": None if self.segments is None else _records(self.segments),
            "notes": list(self.notes),
            "caution": CAUTION,
        }

    def to_json(self) -> str:
        """Everything, as JSON text."""
        return json.dumps(self.to_dict(), indent=2, ensure_ascii=False, allow_nan=False)

    # Pictures ---------------------------------------------------------------------------------------------------

    def plot(self, *, title: str = "") -> Figure:
        """
        The way from the typical recording to this one, group by group.

        Parameters
        ----------
        title : str

        Returns
        -------
        matplotlib.figure.Figure
        """
        from vocalbio.figures.explanation import plot_contributions

        return plot_contributions(
            self.by_group["contribution"], baseline=self.baseline, what=self.what, unit=self.unit, title=title
        )

    def plot_panel(self, *, title: str = "") -> Figure:
        """
        The panel of markers, each among the training cohort.

        Parameters
        ----------
        title : str

        Returns
        -------
        matplotlib.figure.Figure

        Raises
        ------
        ParameterError
            If no percentile is known.
        """
        from vocalbio.figures.explanation import plot_marker_panel

        return plot_marker_panel(self.panel, title=title)

    def plot_segments(self, recording: Any = None, *, title: str = "") -> Figure:
        """
        When in the recording the evidence lies.

        Parameters
        ----------
        recording : Recording, optional
            Its spectrogram is drawn above.
        title : str

        Returns
        -------
        matplotlib.figure.Figure

        Raises
        ------
        ParameterError
            If the model takes recordings as a whole.
        """
        from vocalbio.figures.explanation import plot_saliency

        if self.segments is None:
            raise ParameterError("there are no segments: this model takes a recording as a whole")
        sound = {} if recording is None else {"samples": recording.samples, "rate_hz": recording.sampling_rate_hz}
        return plot_saliency(self.segments, unit=self.unit, title=title, **sound)


def explain(model: VoiceModel, audio: Any) -> Explanation:
    """
    Explain what a fitted model says of one recording.

    Integrated gradients (`vocalbio.explain.integrated_gradients`) of the answer itself, in its own unit: the 0-100
    score, the severity, or the probability (in percentage points) of the second or of the likeliest class, calibrated
    as the answer is. They go from the median of the training cohort to this recording, so that contributions add up to
    the difference of the two answers. A missing value counts as its missing-indicator does.

    Parameters
    ----------
    model : RiskModel or SeverityModel
        Fitted.
    audio : path, Recording, pandas.DataFrame, pandas.Series or Sequences
        One recording, or its rows of a feature table (one; with windows all of them), or one sequence.

    Returns
    -------
    Explanation

    Raises
    ------
    ParameterError
        If there is more than one recording, it cannot be used, or the network is of a kind that is not known here.

    References
    ----------
    Sundararajan M, Taly A, Yan Q. Axiomatic attribution for deep networks. ICML 2017:3319-3328. arXiv:1703.01365

    Examples
    --------
    >>> import numpy as np, pandas as pd
    >>> from vocalbio import RiskModel
    >>> from vocalbio.risk.explanation import explain
    >>> rng = np.random.default_rng(0)
    >>> y, speakers = np.arange(60) % 2, np.arange(60) // 6
    >>> X = pd.DataFrame(rng.normal(size=(60, 2)), columns=["voice__f0_sd_st", "voice__jitter_local"])
    >>> X["voice__f0_sd_st"] += 3 * y
    >>> model = RiskModel("depression", preset="small", interval_folds=0, random_state=0).fit(X, y, groups=speakers)
    >>> explain(model, X.iloc[1]).by_group.index[0]
    'pitch variability'
    """
    model._check_fitted()
    X, file, times = _read(model, audio)
    inputs = read_inputs(X, model._sequential, model._names_of_training(X))
    model._compare(inputs)
    inputs = inputs.choose(np.flatnonzero(inputs.usable))
    if not len(inputs.rows):
        raise ParameterError(f"{file} cannot be explained: {_why_unusable(X)}")
    scaling, n_rows = model.scaling_, len(inputs.rows)
    rows = scaling.transform(inputs.rows)
    start = np.repeat(scaling.transform(scaling.medians[None]), n_rows, axis=0)
    function, what, unit, notes = _question(model, rows)
    shares = integrated_gradients(function, rows, start, tolerance=TOLERANCE)
    baseline, value = (float(one) for one in np.asarray(function(_tensor(np.stack([start, rows])))))
    residual = value - baseline - float(shares.sum())
    if abs(residual) > max(1.0, 0.05 * abs(value - baseline)):
        notes.append(f"the contributions miss the difference by {residual:.1f}: the network is steep here")
    beyond = int((np.abs(scaling.fill(inputs.rows) - scaling.centre) > LIMIT * scaling.spread).sum())
    if beyond:
        notes.append(f"values beyond {LIMIT:g} standard deviations of the cohort, cut to that: {beyond}")

    columns = list(inputs.names or [f"column {number}" for number in range(inputs.rows.shape[1])])
    by_column = shares[:, : len(columns)].copy()  # (n_rows, n_features)
    by_column[:, np.flatnonzero(scaling.indicated)] += shares[:, len(columns) :]
    values = _medians(inputs.rows)
    quantiles = getattr(model, "quantiles_", None)
    if quantiles is None:
        notes.append("no percentiles: the model file does not hold the quantiles of its training cohort; fit it anew")
    table = pd.DataFrame(
        {
            "marker": [words_for(name) for name in columns],
            "group": [marker_of(name) for name in columns],
            "family": [name.partition("__")[0] if "__" in name else "other" for name in columns],
            "value": values,
            "unit": [_units().get(name, "") for name in columns],
            "typical": scaling.medians,
            "contribution": by_column.sum(axis=0),
            "percentile": np.nan if quantiles is None else quantiles.percentile(values),
        },
        index=pd.Index(columns, name="column"),
    )
    table = table.sort_values("contribution", key=np.abs, ascending=False, kind="stable")
    segments = None
    if model._sequential or n_rows > 1:
        groups = np.array([marker_of(name) for name in columns], dtype=object)
        segments = pd.DataFrame(times, columns=["start_s", "end_s"]).assign(contribution=by_column.sum(axis=1))
        for group in _sums(table, "group").index:
            segments[group] = by_column[:, groups == group].sum(axis=1)
    return Explanation(
        condition=model.condition,
        file=file,
        what=what,
        unit=unit,
        value=value,
        baseline=baseline,
        contributions=table,
        by_group=_sums(table, "group"),
        by_family=_sums(table, "family"),
        segments=segments,
        notes=tuple(notes),
    )


def _read(model: VoiceModel, audio: Any) -> tuple[Any, str, NDArray[np.float64]]:
    """What the model takes, what it is called, and begin and end of its segments in seconds."""
    if isinstance(audio, Sequences):
        if len(audio) != 1:
            raise ParameterError(f"audio holds {len(audio)} sequences; expected one: sequences[3]")
        return audio, str(audio.keys[0]), np.full((len(audio.values[0]), 2), np.nan)
    if isinstance(audio, pd.Series):
        attrs = audio.attrs
        audio = audio.to_frame().T.infer_objects()
        if isinstance(audio.index[0], tuple):
            audio.index = pd.MultiIndex.from_tuples(audio.index, names=["file", "start", "end"][: audio.index.nlevels])
        audio.attrs = attrs
    elif isinstance(audio, (list, tuple, pd.Index)):
        raise ParameterError(
            f"audio is of type {type(audio).__name__}; expected one recording: explain them one by one"
        )
    table = audio if isinstance(audio, pd.DataFrame) else model.measure(audio, progress=False)
    names = list(table.index.names)
    files = table.index.get_level_values("file") if "file" in names else table.index
    if len(set(files)) != 1:
        raise ParameterError(f"the table holds {len(set(files))} recordings; expected the rows of one: X.iloc[[3]]")
    table = model._own_columns(table)
    times = np.full((len(table), 2), np.nan)
    if {"start", "end"} <= set(names):
        table = table.sort_index(level="start", sort_remaining=False)
        spans = [table.index.get_level_values(name) for name in ("start", "end")]
        times = np.stack([pd.to_timedelta(span).total_seconds() for span in spans], axis=1)
    times = times[usable_rows(table)]
    if model._sequential:
        return Sequences.from_table(table, by=["one"] * len(table)), str(files[0]), times
    return table, str(files[0]), times


def _why_unusable(X: Any) -> str:
    if isinstance(X, pd.DataFrame) and list(X.index.names) == ["file", "start", "end"]:
        reasons = list(dict.fromkeys(errors(X)["reason"]))
        if reasons:
            return "; ".join(map(str, reasons))
    return "it has no usable features"


def _tensor(values: NDArray[Any]) -> Any:
    import tensorflow as tf

    return tf.constant(values.astype(np.float32))


def _question(model: Any, rows: NDArray[np.float32]) -> tuple[Callable[[Any], Any], str, str, list[str]]:
    """The answer as a function of inputs of shape (n_points, n_rows, n_inputs), its name and unit, and notes."""
    import tensorflow as tf

    network, notes = model.network_, []
    if len(network.inputs) != (2 if model._sequential else 1) or len(network.inputs[0].shape) != 2 + model._sequential:
        raise ParameterError(f"network {model.network!r} takes something else than rows of features or their sequence")

    def ask(points: Any) -> Any:
        """Outputs, shape (n_points, n_rows or 1, n_outputs)."""
        if model._sequential:
            mask = tf.ones(tf.shape(points)[:2], tf.bool)
            return network([points, mask], training=False)[:, None]
        n_points, n_rows, n_inputs = points.shape
        outputs = network(tf.reshape(points, (-1, n_inputs)), training=False)
        return tf.reshape(outputs, (n_points, n_rows, -1))

    if not hasattr(model, "classes_"):
        centre, spread = float(model.target_centre_), float(model.target_spread_)
        low, high = model._limits()
        found = float(model._join(model._convert(np.asarray(ask(_tensor(rows[None])), float)[0]))[0])
        if not low < found < high:
            notes.append("the answer was cut to the end of the scale; what is explained lies beyond it")
        return (
            lambda points: tf.reduce_mean(centre + spread * ask(points)[..., 0], axis=1),
            f"{model._scale.name}, predicted",
            "points",
            notes,
        )

    calibration = model.calibration_ if isinstance(model.calibration_, Temperature) else None
    if model.calibration_ is not None and calibration is None:
        notes.append("explained is the network's own probability: isotonic calibration comes in steps, without a slope")

    def probabilities(points: Any) -> Any:
        said = ask(points)
        logs = tf.math.log(tf.clip_by_value(said if said.shape[-1] > 1 else tf.concat([1 - said, said], -1), LEAST, 1))
        if calibration is not None:
            logs = tf.nn.log_softmax(logs * float(calibration.scale[0]) + calibration.bias.astype(np.float32))
        return tf.nn.softmax(tf.reduce_mean(logs, axis=1))

    names = [str(name) for name in model.classes_]
    condition = get_condition(model.condition)
    if condition.score_weights is not None:
        weights = 100 * np.array([condition.score_weights[name] for name in names], np.float32)
        return lambda points: tf.linalg.matvec(probabilities(points), weights), f"{condition.name} score", "points", []
    found = np.asarray(probabilities(_tensor(rows[None])))[0]
    chosen = 1 if condition.classes is None else int(found.argmax())
    return lambda points: 100 * probabilities(points)[:, chosen], f"P({names[chosen]})", "%", notes


def _medians(rows: NDArray[np.float64]) -> NDArray[np.float64]:
    found = np.full(rows.shape[1], np.nan)
    known = ~np.isnan(rows).all(axis=0)
    if known.any():
        found[known] = np.nanmedian(rows[:, known], axis=0)
    return found


def _sums(table: pd.DataFrame, by: str) -> pd.DataFrame:
    found = table.groupby(by, sort=False)["contribution"].agg(["sum", "size"]).set_axis(["contribution", "n"], axis=1)
    return found.sort_values("contribution", key=np.abs, ascending=False, kind="stable")


@lru_cache(maxsize=1)
def _units() -> dict[str, str]:
    return dict(describe_columns()["unit"])


def _signed(number: float) -> str:
    return f"{number:+.1f}".replace("-", "−")


def _points(unit: str) -> str:
    return "points" if unit == "points" else "percentage points"


def _standing(marker: pd.Series) -> str:
    """Where a marker's value lies, in brackets."""
    if math.isnan(marker["value"]):
        return " (missing)"
    value = f"{three_digits(marker['value'])} {marker['unit']}".rstrip()
    if math.isnan(marker["percentile"]):
        return f" ({value}; median {three_digits(marker['typical'])})"
    return f" ({value}; {percentile_words(marker['percentile'])} of the cohort)"


def percentile_words(percentile: float) -> str:
    """Say a percentile: ``"higher than 93 %"``, ``"lowest 1 %"``."""
    if percentile <= 1:
        return "lowest 1 %"
    if percentile >= 99:
        return "highest 1 %"
    return f"higher than {percentile:.0f} %"


def three_digits(value: float) -> str:
    """Write a number with three digits that count, and without an exponent: ``"0.0123"``, ``"1800"``."""
    return np.format_float_positional(float(f"{value:.3g}"), trim="-").replace("-", "−")


def _records(table: pd.DataFrame) -> list[dict[str, Any]]:
    return [
        {
            str(name): None
            if isinstance(value, float) and not math.isfinite(value)
            else value.item()
            if isinstance(value, np.generic)
            else value
            for name, value in row.items()
        }
        for row in table.to_dict("records")
    ]
