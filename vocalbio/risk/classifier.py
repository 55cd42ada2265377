"""RiskModel: from features to calibrated class probabilities, a label and an answer."""

from __future__ import annotations

import math
import warnings
from typing import Any

import numpy as np
from numpy.typing import NDArray
from sklearn.base import ClassifierMixin

from vocalbio.conditions import get_condition
from vocalbio.errors import ParameterError, VocalbioWarning
from vocalbio.extract import FeatureExtractor
from vocalbio.risk.answer import INDETERMINATE
from vocalbio.risk.base import Targets, Verdict, VoiceModel, _is_number
from vocalbio.risk.calibration import CALIBRATIONS, LEAST, Calibration, choose_threshold
from vocalbio.risk.intervals import class_bounds, score_bounds

__all__ = ["RiskModel"]

WIDE = 0.5
"""An interval wider than half of its scale, on both sides of a threshold, says neither the one nor the other."""


class RiskModel(ClassifierMixin, VoiceModel):
    """
    A scikit-learn classifier around a Keras network, from a feature table to an answer with its doubts.

    Missing numbers are imputed by training medians beside a missing-indicator, columns are standardised and clipped to
    five standard deviations, families weigh alike; all of it is learnt from training rows. Quality columns are never
    inputs. What the network's probabilities mean is learnt from speakers that it had not heard: `interval_folds` times
    a network is trained without some of the speakers, and its probabilities for these serve calibration, intervals and
    the choice of a threshold together.

    Parameters
    ----------
    condition : {"depression", "stress", "apnea"}
        Decides classes, score and words. Depression takes any two classes, the second (or True) meaning PHQ-8 of 10 or
        more; stress takes ``"neutral"``, ``"sad"``, ``"anxious"``; apnea ``"normal"``, ``"snore"``, ``"apnea"``.
    network : {"dense", "hybrid", "bilstm", "tcn", "transformer", "cnn"}
        ``"dense"`` and ``"hybrid"`` (a branch for every family of columns) take a table, the others take `Sequences`.
    extractor : FeatureExtractor, optional
        For `score_audio`; taken from the settings of the training table unless given.
    preset : {"published", "small"}
        Size of the network, see `vocalbio.networks`; ``"small"`` for tens to hundreds of recordings. Some have a
        preset of their own: ``"dense"`` has ``"wav2vec2"``, ``"bilstm"`` has ``"night"``.
    pooling : {None, "average", "attention", "max", "last"}
        How the segments of a sequence become one; None: as the preset has it.
    class_weight : {None, "balanced"} or dict of label to float
        ``"balanced"``: every class weighs alike, whatever its size; right where unweighted average recall is what
        counts. A dict gives weights itself (1 for labels that it does not name). Weights hold for the loss, for
        calibration and for intervals: probabilities then speak of a world in which classes are that common.
    epochs : int, optional
        Passes over the training rows; 120 (published) or 80 (small) unless given. At most so many with `patience`.
    batch_size : int
        Rows a step.
    schedule : {"constant", "cosine"}
        Learning rate: as the preset has it, or falling from there to 0 along half a cosine.
    patience : int, optional
        End training after so many epochs without a lower loss on speakers set aside: a fifth of those at hand, chosen
        anew in each fold, so that held-out speakers never have a say. A network is then trained on all of them for the
        best number of epochs, since with few speakers a fifth of them is worth more than the time of a second fit.
    n_networks : int
        Networks trained from different seeds, whose probabilities are averaged (before calibration, which undoes the
        caution that averaging brings).
    interval_folds : int
        Speaker-disjoint folds for calibration, intervals and threshold, at the cost of as many more fits (fewer where
        a class has fewer speakers); 0: none of the three.
    calibration : {"temperature", "isotonic", None}
        ``"temperature"``: a scale of the log-probabilities and a bias of each class, so few numbers that a few dozen
        recordings settle them. ``"isotonic"``: any rising curve, for hundreds of recordings or more. None: the
        network's own probabilities.
    threshold : None, float, "youden" or ("sensitivity", float)
        With two classes, the probability from which on the second is the label: 0.5 unless given. ``"youden"``: where
        sensitivity + specificity is largest on the held-out speakers; ``("sensitivity", 0.9)``: the highest that
        finds 90 % of their positive recordings.
    least_voiced_s : float, optional
        Seconds of voice below which an answer has no label: 10 for depression, 0.3 for stress, unless given. Below
        0.3 s, or what is given if that is less, it has no numbers either.
    random_state : int, optional
        Makes a fit repeatable on one machine; None: a new seed each time.
    verbose : int
        0 quiet, 1 a progress bar.

    Attributes
    ----------
    classes_ : numpy.ndarray
        Class labels, in the order of probabilities.
    threshold_ : float
        Cut-off: of the second class's probability, or of the 0-100 score.
    calibration_ : Temperature, Isotonic or None
        None where there are no held-out speakers: `interval_reason_` tells why.
    manifest_ : dict
        Versions, settings, columns, training cohort.
    history_ : dict of str to list of float
        Training curves: ``loss`` of each epoch (the mean of several networks). With `patience`, ``loss`` and
        ``val_loss`` are those of the fit with speakers set aside, and ``refit_loss`` of the fit on all.

    Examples
    --------
    >>> import numpy as np
    >>> from vocalbio import RiskModel
    >>> rng = np.random.default_rng(0)
    >>> X, y, speakers = rng.normal(size=(60, 4)), np.arange(60) % 2, np.arange(60) // 6
    >>> X[:, 0] += 3 * y
    >>> model = RiskModel("depression", preset="small", interval_folds=0, random_state=0)
    >>> model.fit(X, y, groups=speakers).score(X, y) > 0.8
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
        class_weight: Any = None,
        epochs: int | None = None,
        batch_size: int = 32,
        schedule: str = "constant",
        patience: int | None = None,
        n_networks: int = 1,
        interval_folds: int = 5,
        calibration: str | None = "temperature",
        threshold: Any = None,
        least_voiced_s: float | None = None,
        random_state: int | None = None,
        verbose: int = 0,
    ) -> None:
        self.condition = condition
        self.network = network
        self.extractor = extractor
        self.preset = preset
        self.pooling = pooling
        self.class_weight = class_weight
        self.epochs = epochs
        self.batch_size = batch_size
        self.schedule = schedule
        self.patience = patience
        self.n_networks = n_networks
        self.interval_folds = interval_folds
        self.calibration = calibration
        self.threshold = threshold
        self.least_voiced_s = least_voiced_s
        self.random_state = random_state
        self.verbose = verbose

    def __sklearn_tags__(self) -> Any:
        """Gaps are imputed; two classes, or those of the condition."""
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.classifier_tags.multi_class = self.condition != "depression"
        return tags

    # Settings and labels --------------------------------------------------------------------------------------

    def _check_settings(self) -> None:
        super()._check_settings()
        if self.calibration not in [None, *CALIBRATIONS]:
            raise ParameterError(
                f"calibration is {self.calibration!r}; expected None, {', '.join(map(repr, CALIBRATIONS))}"
            )
        weights = self.class_weight
        if isinstance(weights, dict):
            wrong = [value for value in weights.values() if not _is_number(value) or not 0 < value < math.inf]
            if wrong:
                raise ParameterError(f"class_weight holds {wrong[0]!r}; expected numbers above 0")
        elif weights is not None and not (isinstance(weights, str) and weights == "balanced"):
            raise ParameterError(f"class_weight is {weights!r}; expected None, 'balanced' or a dict")
        self._check_threshold()

    def _check_threshold(self) -> None:
        threshold = self.threshold
        if threshold is None:
            return
        rule = self._threshold_rule()
        if rule is None and not (_is_number(threshold) and 0 <= threshold <= 1):
            raise ParameterError(
                f"threshold is {threshold!r}; expected None, a probability, 'youden' or ('sensitivity', 0.9)"
            )
        if get_condition(self.condition).classes is not None:
            raise ParameterError(f"threshold is {threshold!r}; {self.condition} has no two classes to choose one for")
        if rule is not None and self.interval_folds == 0:
            raise ParameterError(
                f"threshold {threshold!r} is chosen on held-out speakers, and interval_folds is 0; expected at least 2"
            )

    def _threshold_rule(self) -> str | None:
        """``"youden"`` or ``"sensitivity"`` if the threshold is to be chosen."""
        threshold = self.threshold
        if isinstance(threshold, str) and threshold == "youden":
            return "youden"
        is_pair = isinstance(threshold, tuple) and len(threshold) == 2 and threshold[0] == "sensitivity"
        return "sensitivity" if is_pair and _is_number(threshold[1]) and 0 < threshold[1] <= 1 else None

    def _loss(self) -> str:
        return "cross_entropy"

    def _learn_labels(self, labels: NDArray[Any]) -> None:
        self.classes_ = self._find_classes(labels)
        if isinstance(self.class_weight, dict):
            unknown = [label for label in self.class_weight if label not in self.classes_.tolist()]
            if unknown:
                raise ParameterError(
                    f"class_weight names {unknown[0]!r}; the classes are {', '.join(map(repr, self.classes_.tolist()))}"
                )

    def _find_classes(self, labels: NDArray[Any]) -> NDArray[Any]:
        condition = get_condition(self.condition)
        if labels.dtype.kind == "f" and not np.array_equal(labels, labels.round()):
            raise ParameterError(
                "Unknown label type: continuous; expected classes, not a severity: for that there is SeverityModel"
            )
        try:
            found = np.unique(labels.astype(str) if labels.dtype == object and condition.classes else labels)
        except TypeError as error:
            raise ParameterError(f"y mixes kinds of labels ({error}); expected all strings or all numbers") from error
        if condition.classes is None:
            if len(found) != 2:
                raise ParameterError(
                    f"y holds {len(found)} class(es): {', '.join(map(str, found[:6]))}; {condition.name} takes two, "
                    f"the second meaning {condition.positive}. Only binary classification is supported. The type of "
                    f"the target is {'multiclass' if len(found) > 2 else 'one class'}"
                )
            return found
        unknown = sorted(set(map(str, found)) - set(condition.classes))
        if unknown:
            raise ParameterError(
                f"y holds {', '.join(map(repr, unknown[:6]))}; {condition.name} takes "
                f"{', '.join(map(repr, condition.classes))}: rename your labels"
            )
        absent = sorted(set(condition.classes) - set(map(str, found)))
        if absent:
            raise ParameterError(
                f"y holds no {', '.join(map(repr, absent))}; a {condition.name} model needs every class"
            )
        return np.array(condition.classes)

    def _targets(self, labels: NDArray[Any], units: NDArray[Any]) -> Targets:
        found = self._find_classes(labels)
        if found.tolist() != self.classes_.tolist():
            raise ParameterError(
                f"y holds {', '.join(map(repr, found.tolist()))}; the model was fitted on "
                f"{', '.join(map(repr, self.classes_.tolist()))}: name the same classes alike"
            )
        codes = np.array([list(self.classes_).index(label) for label in labels], np.int64)
        n_classes = len(self.classes_)
        weights = np.ones(n_classes)
        if isinstance(self.class_weight, dict):
            weights = np.array([self.class_weight.get(label, 1.0) for label in self.classes_.tolist()], float)
        elif self.class_weight == "balanced":
            weights = len(codes) / (n_classes * np.bincount(codes))
        values = codes[:, None].astype(float) if n_classes == 2 else np.eye(n_classes)[codes]
        return Targets(values, weights[codes], codes, units)

    # Held-out speakers ------------------------------------------------------------------------------------------

    def _calibrate(
        self, outputs: NDArray[np.float64] | None, targets: Targets, labels: NDArray[Any], reason: str | None
    ) -> None:
        rule = self._threshold_rule()
        if outputs is None and rule is not None:
            raise ParameterError(f"threshold {self.threshold!r} cannot be chosen: {reason}")
        condition = get_condition(self.condition)
        calibration: Calibration | None = None
        scores = np.empty((0, len(self.classes_)))
        kept = np.arange(0)
        threshold = condition.threshold if self.threshold is None else self.threshold
        self.threshold_choice_: dict[str, Any] | None = None
        if outputs is not None:
            scores, kept = _to_probabilities(outputs), np.arange(len(outputs))
            if self.calibration is not None:
                calibration = CALIBRATIONS[self.calibration].fit(scores, targets.strata, targets.weights)
                scores = calibration.transform(scores)
            if rule is not None:
                least = None if rule == "youden" else float(self.threshold[1])
                threshold, found, spared = choose_threshold(scores[:, 1], targets.strata == 1, least)
                self.threshold_choice_ = {"rule": rule, "sensitivity": found, "specificity": spared}
        self.calibration_, self.threshold_ = calibration, float(threshold)
        self.held_out_scores_, self.held_out_codes_ = scores, targets.strata[kept]
        self.held_out_weights_ = targets.weights[kept]

    # Predict ------------------------------------------------------------------------------------------------

    def _convert(self, outputs: NDArray[np.float64]) -> NDArray[np.float64]:
        probabilities = _to_probabilities(outputs)
        return probabilities if self.calibration_ is None else self.calibration_.transform(probabilities)

    def predict_proba(self, X: Any) -> NDArray[np.float64]:
        """
        Class probabilities, calibrated if the model is.

        Parameters
        ----------
        X : as in `fit`

        Returns
        -------
        numpy.ndarray
            Shape (n_samples, n_classes), in the order of ``classes_``; NaN for samples that could not be used.

        Raises
        ------
        ParameterError
            If columns or extractor settings differ from those of training; the text names the difference.
        """
        return self._find(X)

    def predict(self, X: Any) -> NDArray[Any]:
        """
        Labels: the likelier class, or with two classes the positive one from ``threshold_`` up.

        Parameters
        ----------
        X : as in `fit`

        Returns
        -------
        numpy.ndarray
            Shape (n_samples,). Samples that could not be used get ``"indeterminate"`` among strings and NaN among
            numbers, with a warning.
        """
        probabilities = self.predict_proba(X)
        unusable = np.isnan(probabilities).any(axis=1)
        if len(self.classes_) == 2:
            codes = (np.nan_to_num(probabilities[:, 1]) >= self.threshold_).astype(int)
        else:
            codes = np.nan_to_num(probabilities).argmax(axis=1)
        labels = self.classes_[codes]
        if unusable.any():
            warnings.warn(
                f"{unusable.sum()} of {len(labels)} samples have no usable features: their label is not known",
                VocalbioWarning,
                stacklevel=2,
            )
            if labels.dtype.kind in "biuf":
                labels = labels.astype(float)
                labels[unusable] = np.nan
            else:
                labels = labels.astype(object)
                labels[unusable] = INDETERMINATE
        return labels

    def predict_score(self, X: Any) -> NDArray[np.float64]:
        """
        The condition's 0-100 score: 100 times the weighted sum of class probabilities.

        Parameters
        ----------
        X : as in `fit`

        Returns
        -------
        numpy.ndarray
            Shape (n_samples,), NaN for samples that could not be used.

        Raises
        ------
        ParameterError
            If the condition has no score.
        """
        return self.predict_proba(X) @ self._score_weights()

    def _score_weights(self) -> NDArray[np.float64]:
        weights = get_condition(self.condition).score_weights
        if weights is None:
            raise ParameterError(f"condition {self.condition!r} has no 0-100 score; use predict_proba")
        return 100 * np.array([weights[name] for name in self.classes_])

    def predict_interval(self, X: Any) -> NDArray[np.float64]:
        """
        Bounds of each class probability, from speakers that the scoring networks never heard.

        They are Venn-Abers bounds of the calibrated probability, widened where need be to hold it
        (`vocalbio.risk.intervals.class_bounds`).

        Parameters
        ----------
        X : as in `fit`

        Returns
        -------
        numpy.ndarray
            Shape (n_samples, n_classes, 2): lowest and highest; NaN for samples that could not be used. Rows of one
            speaker count as if independent, so with few speakers the bounds are narrower than they should be.

        Raises
        ------
        ParameterError
            If the model was fitted without intervals.
        """
        probabilities = self.predict_proba(X)
        if self.interval_reason_:
            raise ParameterError(f"no interval: {self.interval_reason_}")
        bounds = np.full((*probabilities.shape, 2), np.nan)
        usable = ~np.isnan(probabilities).any(axis=1)
        bounds[usable] = self._bounds(probabilities[usable])
        return bounds

    def _bounds(self, probabilities: NDArray[np.float64]) -> NDArray[np.float64]:
        return class_bounds(self.held_out_scores_, self.held_out_codes_, self.held_out_weights_, probabilities)

    # Answer -------------------------------------------------------------------------------------------------

    def _join(self, found: NDArray[np.float64]) -> NDArray[np.float64]:
        if len(found) == 1:
            return found[0]
        logs = np.log(np.clip(found, LEAST, 1)).mean(axis=0)
        joined = np.exp(logs - logs.max())
        return joined / joined.sum()

    def _verdict(self, found: NDArray[np.float64]) -> Verdict:
        condition = get_condition(self.condition)
        names = [str(name) for name in self.classes_]
        verdict = Verdict("", [], probability={name: float(p) for name, p in zip(names, found, strict=True)})
        bounds = None if self.interval_reason_ else self._bounds(found[None])[0]
        if bounds is not None:
            verdict.interval = {
                name: (float(low), float(high)) for name, (low, high) in zip(names, bounds, strict=True)
            }
        span: tuple[float, float] | None = None
        if condition.score_weights is not None:
            weights = self._score_weights()
            verdict.score = float(found @ weights)
            verdict.scale = {"name": f"{condition.name} score", "low": 0.0, "high": 100.0}
            verdict.label = condition.above if verdict.score > self.threshold_ else condition.below
            if bounds is not None:
                verdict.score_interval = span = score_bounds(weights, bounds)
                verdict.undecided = undecided(span, self.threshold_, 100.0, verdict.scale["name"])
        elif condition.classes is None:
            verdict.label = condition.above if found[1] >= self.threshold_ else condition.below
            if bounds is not None:
                verdict.undecided = undecided(bounds[1], self.threshold_, 1.0, f"P({names[1]})")
        else:
            best = int(found.argmax())
            verdict.label = names[best]
            if bounds is not None:
                rival = float(np.delete(bounds[:, 1], best).max())
                verdict.undecided = undecided(bounds[best], rival, 1.0, f"P({names[best]})")
        verdict.reasons = self._reasons(bounds, verdict.undecided)
        return verdict

    def _reasons(self, bounds: NDArray[np.float64] | None, undecided: str | None) -> list[str]:
        found = []
        if bounds is None:
            what = "no interval" if self.calibration is None else "no interval and no calibration"
            found.append(f"{what}: {self.interval_reason_}")
        elif undecided is None and (bounds[:, 1] - bounds[:, 0]).max() > WIDE:
            found.append("wide interval: recordings like this one were too few in training to tell")
        if self.calibration is None:
            found.append("not calibrated: probabilities are the network's own")
        return found

    def _told_threshold(self) -> float | None:
        return None if self.condition == "apnea" else self.threshold_

    # File ---------------------------------------------------------------------------------------------------

    def _describe_labels(self, labels: NDArray[Any]) -> dict[str, Any]:
        names, counts = np.unique(labels.astype(str), return_counts=True)
        return {"classes": dict(zip(names.tolist(), counts.tolist(), strict=True))}

    def _describe_outputs(self) -> dict[str, Any]:
        return {
            "classes": self.classes_.tolist(),
            "classes_kind": self.classes_.dtype.kind,
            "calibrated": self.calibration_ is not None,
            "threshold_choice": self.threshold_choice_,
        }

    def _output_arrays(self) -> dict[str, NDArray[Any]]:
        held_out = {
            "held_out_scores": self.held_out_scores_,
            "held_out_codes": self.held_out_codes_,
            "held_out_weights": self.held_out_weights_,
        }
        return held_out if self.calibration_ is None else held_out | self.calibration_.arrays()

    def _restore_outputs(self, manifest: dict[str, Any], arrays: dict[str, NDArray[Any]]) -> dict[str, bool]:
        self.classes_ = np.array(manifest["classes"], object if manifest["classes_kind"] == "O" else None)
        self.threshold_choice_ = manifest["threshold_choice"]
        self.held_out_scores_ = arrays.pop("held_out_scores")
        self.held_out_codes_, self.held_out_weights_ = arrays.pop("held_out_codes"), arrays.pop("held_out_weights")
        self.calibration_ = None
        classes, n_classes = self.classes_.tolist(), len(self.classes_)
        known = get_condition(self.condition).classes
        fits = {"classes": n_classes == 2 if known is None else classes == list(known)}
        if manifest["calibrated"] and self.calibration is not None:
            kind = CALIBRATIONS[self.calibration]
            parts = {name: arrays.pop(name) for name in kind.__dataclass_fields__}
            self.calibration_ = kind(**parts)
            fits["calibration"] = self.calibration_.fits(n_classes)
        n_held_out = len(self.held_out_codes_)
        fits["held-out scores"] = self.held_out_scores_.shape == (n_held_out, n_classes)
        fits["held-out weights"] = self.held_out_weights_.shape == (n_held_out,)
        return fits

    def _n_outputs(self) -> int:
        return 1 if len(self.classes_) == 2 else len(self.classes_)


def undecided(interval: Any, threshold: float, whole: float, what: str) -> str | None:
    """Say why there is no label, if the interval reaches to both sides of the threshold and is wide."""
    low, high = interval
    if not (low < threshold <= high and high - low > WIDE * whole):
        return None
    digits = 0 if whole > 1 else 2
    return (
        f"{what} may be anything from {low:.{digits}f} to {high:.{digits}f}: the threshold of {threshold:.3g} lies "
        f"between, and more than half of the scale"
    )


def _to_probabilities(outputs: NDArray[np.float64]) -> NDArray[np.float64]:
    """One sigmoid or a softmax, to probabilities that add up to 1."""
    if outputs.shape[1] == 1:
        return np.hstack([1 - outputs, outputs])
    return outputs / outputs.sum(axis=1, keepdims=True)
