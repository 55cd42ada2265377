"""SeverityModel: from features to a severity on its clinical scale, with an interval, and an answer."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import RegressorMixin

from vocalbio.conditions import CONDITIONS, SeverityScale, get_condition
from vocalbio.errors import ParameterError
from vocalbio.extract import FeatureExtractor
from vocalbio.risk.base import Targets, Verdict, VoiceModel, _is_number
from vocalbio.risk.classifier import undecided
from vocalbio.risk.intervals import conformal_radius

__all__ = ["SeverityModel"]

LOSSES = ("mse", "ccc")


class SeverityModel(RegressorMixin, VoiceModel):
    """
    A scikit-learn regressor around a Keras network: how severe, on a clinical scale, with an interval.

    Inputs, folds, early stopping and files are those of `RiskModel`. The network learns severities less their training
    mean, over their standard deviation; what it says is brought back and clipped to the scale.

    Parameters
    ----------
    condition : {"depression", "stress"}
        Depression: the PHQ-8 total, 0 to 24, "High Risk" from 10; stress: 0 to 100, "High" above 70.
    network, extractor, preset, pooling, epochs, batch_size, schedule, patience
        As in `RiskModel`.
    loss : {"mse", "ccc"}
        Squared error, or one minus the concordance correlation of a batch: squared error draws what it is not sure of
        to the mean, concordance keeps the spread at the price of larger errors. Take batches of 32 or more for it.
    scale : (float, float), optional
        Lowest and highest severity where it is not that of the condition, such as ``(0, 27)`` for the PHQ-9.
    n_networks : int
        Networks trained from different seeds, whose severities are averaged.
    interval_folds : int
        Speaker-disjoint folds whose errors make the intervals, at the cost of as many more fits; 0: no intervals.
    interval_level : float
        Share of new speakers' recordings that intervals are to hold. So much can be promised from ``level / (1 -
        level)`` speakers on, 9 for 0.9; with fewer an interval is the whole scale.
    least_voiced_s, random_state, verbose
        As in `RiskModel`.

    Attributes
    ----------
    threshold_ : float
        Severity that parts the labels.
    radius_ : float
        Half the width of an interval before it is clipped; infinite with too few speakers, NaN without folds.
    manifest_ : dict
        Versions, settings, columns, training cohort.
    history_ : dict of str to list of float
        Training curves, as in `RiskModel`.

    Examples
    --------
    >>> import numpy as np
    >>> from vocalbio.risk import SeverityModel
    >>> rng = np.random.default_rng(0)
    >>> X, speakers = rng.normal(size=(60, 4)), np.arange(60) // 6
    >>> phq8 = np.clip(12 + 4 * X[:, 0], 0, 24)
    >>> model = SeverityModel("depression", preset="small", interval_folds=0, random_state=0)
    >>> model.fit(X, phq8, groups=speakers).score(X, phq8) > 0.5
    True
    """

    def __init__(
        self,
        condition: str = "depression",
        network: str = "dense",
        *,
        extractor: FeatureExtractor | None = None,
        preset: str = "published",
        pooling: str | None = None,
        loss: str = "mse",
        scale: tuple[float, float] | None = None,
        epochs: int | None = None,
        batch_size: int = 32,
        schedule: str = "constant",
        patience: int | None = None,
        n_networks: int = 1,
        interval_folds: int = 5,
        interval_level: float = 0.9,
        least_voiced_s: float | None = None,
        random_state: int | None = None,
        verbose: int = 0,
    ) -> None:
        self.condition = condition
        self.network = network
        self.extractor = extractor
        self.preset = preset
        self.pooling = pooling
        self.loss = loss
        self.scale = scale
        self.epochs = epochs
        self.batch_size = batch_size
        self.schedule = schedule
        self.patience = patience
        self.n_networks = n_networks
        self.interval_folds = interval_folds
        self.interval_level = interval_level
        self.least_voiced_s = least_voiced_s
        self.random_state = random_state
        self.verbose = verbose

    def __sklearn_tags__(self) -> Any:
        """Gaps are imputed."""
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        return tags

    # Settings and severities ------------------------------------------------------------------------------------

    def _check_settings(self) -> None:
        super()._check_settings()
        self._scale  # noqa: B018 - a condition without a severity is told first
        if self.loss not in LOSSES:
            raise ParameterError(f"loss is {self.loss!r}; expected one of {', '.join(map(repr, LOSSES))}")
        scale = self.scale
        if scale is not None:
            fine = isinstance(scale, (tuple, list)) and len(scale) == 2 and all(map(_is_number, scale))
            if not fine or not -math.inf < scale[0] < scale[1] < math.inf:
                raise ParameterError(f"scale is {scale!r}; expected None or (lowest, highest)")
        level = self.interval_level
        if not _is_number(level) or not 0 < level < 1:
            raise ParameterError(f"interval_level is {level!r}; expected a number between 0 and 1, such as 0.9")

    @property
    def _scale(self) -> SeverityScale:
        """Of the condition."""
        scale = get_condition(self.condition).severity
        if scale is None:
            known = [name for name, condition in CONDITIONS.items() if condition.severity is not None]
            raise ParameterError(
                f"condition is {self.condition!r}; a severity is known for {', '.join(map(repr, known))}"
            )
        return scale

    def _limits(self) -> tuple[float, float]:
        scale = self._scale
        return (scale.low, scale.high) if self.scale is None else (float(self.scale[0]), float(self.scale[1]))

    def _loss(self) -> str:
        return self.loss

    def _severities(self, labels: NDArray[Any]) -> NDArray[np.float64]:
        try:
            values = labels.astype(float)
        except (TypeError, ValueError) as error:
            raise ParameterError(f"y is not numeric ({error}); expected severities") from error
        low, high = self._limits()
        if np.isinf(values).any():
            raise ParameterError("y holds infinity; expected severities")
        if values.min() < low or values.max() > high:
            raise ParameterError(
                f"y goes from {values.min():g} to {values.max():g}; {self._scale.name} goes from {low:g} to "
                f"{high:g}. For another scale pass scale=(lowest, highest)"
            )
        return values

    def _learn_labels(self, labels: NDArray[Any]) -> None:
        values = self._severities(labels)
        self.target_centre_ = float(values.mean())
        self.target_spread_ = float(values.std()) or 1.0
        self.threshold_ = self._scale.cutoff

    def _targets(self, labels: NDArray[Any], units: NDArray[Any]) -> Targets:
        values = (self._severities(labels) - self.target_centre_) / self.target_spread_
        n = len(values)
        return Targets(values[:, None], np.ones(n), np.zeros(n, np.int64), units)

    def _calibrate(
        self, outputs: NDArray[np.float64] | None, targets: Targets, labels: NDArray[Any], reason: str | None
    ) -> None:
        self.radius_ = math.nan
        if outputs is not None:
            errors = self._convert(outputs)[:, 0] - self._severities(labels)
            self.radius_ = conformal_radius(errors, targets.units, float(self.interval_level))

    # Predict ------------------------------------------------------------------------------------------------

    def _convert(self, outputs: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.clip(self.target_centre_ + self.target_spread_ * outputs, *self._limits())

    def predict(self, X: Any) -> NDArray[np.float64]:
        """
        Severities.

        Parameters
        ----------
        X : as in `fit`

        Returns
        -------
        numpy.ndarray
            Shape (n_samples,), on the scale and within it; NaN for samples that could not be used.

        Raises
        ------
        ParameterError
            If columns or extractor settings differ from those of training; the text names the difference.
        """
        return self._find(X)[:, 0]

    def predict_interval(self, X: Any) -> NDArray[np.float64]:
        """
        Intervals that hold a new speaker's severity with probability `interval_level`.

        Split conformal prediction in which every speaker counts once
        (`vocalbio.risk.intervals.conformal_radius`), from errors on speakers that the predicting networks never heard.
        It promises that share over speakers like those of training, not for each kind of speaker.

        Parameters
        ----------
        X : as in `fit`

        Returns
        -------
        numpy.ndarray
            Shape (n_samples, 2): lowest and highest, within the scale; NaN for samples that could not be used.

        Raises
        ------
        ParameterError
            If the model was fitted without intervals.
        """
        values = self.predict(X)
        if self.interval_reason_:
            raise ParameterError(f"no interval: {self.interval_reason_}")
        return self._bounds(values)

    def _bounds(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.clip(np.stack([values - self.radius_, values + self.radius_], axis=-1), *self._limits())

    # Answer -------------------------------------------------------------------------------------------------

    def _join(self, found: NDArray[np.float64]) -> NDArray[np.float64]:
        return found.mean(axis=0)

    def _verdict(self, found: NDArray[np.float64]) -> Verdict:
        condition = get_condition(self.condition)
        low, high = self._limits()
        value = float(found[0])
        # a score is high above its threshold, a questionnaire from its cut-off on
        is_above = value > self.threshold_ if condition.score_weights is not None else value >= self.threshold_
        verdict = Verdict(condition.above if is_above else condition.below, [], score=value)
        verdict.scale = {"name": self._scale.name, "low": low, "high": high}
        if self.interval_reason_:
            verdict.reasons.append(f"no interval: {self.interval_reason_}")
        else:
            span = self._bounds(found)[0]
            verdict.score_interval = (float(span[0]), float(span[1]))
            verdict.undecided = undecided(span, self.threshold_, high - low, verdict.scale["name"])
            if math.isinf(self.radius_):
                verdict.reasons.append("the interval is the whole scale: too few speakers in training to promise less")
        return verdict

    # File ---------------------------------------------------------------------------------------------------

    def _describe_labels(self, labels: NDArray[Any]) -> dict[str, Any]:
        values = self._severities(labels)
        facts = {"mean": values.mean(), "sd": values.std(), "min": values.min(), "max": values.max()}
        return {"severity": {name: float(value) for name, value in facts.items()}}

    def _describe_outputs(self) -> dict[str, Any]:
        # JSON knows neither NaN nor infinity
        radius = self.radius_ if math.isfinite(self.radius_) else None
        return {"target_centre": self.target_centre_, "target_spread": self.target_spread_, "radius": radius}

    def _output_arrays(self) -> dict[str, NDArray[Any]]:
        return {}

    def _restore_outputs(self, manifest: dict[str, Any], arrays: dict[str, NDArray[Any]]) -> dict[str, bool]:
        self.target_centre_, self.target_spread_ = manifest["target_centre"], manifest["target_spread"]
        radius = manifest["radius"]
        self.radius_ = radius if radius is not None else math.nan if manifest["interval_reason"] else math.inf
        return {
            name: _is_number(value)
            for name, value in (
                ("target_centre", self.target_centre_),
                ("target_spread", self.target_spread_),
                ("radius", self.radius_),
            )
        }

    def _n_outputs(self) -> int:
        return 1
