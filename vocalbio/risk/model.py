"""RiskModel: impute, scale, network, interval, answer."""

from __future__ import annotations

import os
import warnings
from datetime import UTC, datetime
from numbers import Integral
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassifierMixin, clone
from sklearn.exceptions import NotFittedError

from vocalbio import __version__
from vocalbio.conditions import DISCLAIMER, get_condition
from vocalbio.datasets import Sequences, speaker_folds
from vocalbio.errors import ModelFileError, ParameterError, VocalbioWarning
from vocalbio.extract import FeatureExtractor, errors
from vocalbio.extract.table import QUALITY_PREFIX, is_feature
from vocalbio.risk import training
from vocalbio.risk.answer import Answer, doubts
from vocalbio.risk.files import keras_from_bytes, keras_to_bytes, read_model, write_model
from vocalbio.risk.inputs import Inputs, align, compare_settings, read_inputs
from vocalbio.risk.intervals import score_bounds, venn_abers
from vocalbio.risk.scaling import Scaling

__all__ = ["RiskModel"]

INDETERMINATE = "indeterminate"
WIDE = 0.6


class RiskModel(ClassifierMixin, BaseEstimator):
    """
    A scikit-learn classifier around a Keras network, from a feature table to an answer with its doubts.

    Missing numbers are imputed by training medians beside a missing-indicator, columns are standardised and clipped to
    five standard deviations, families weigh alike; all of it is learnt from training rows. Quality columns are never
    inputs. Probabilities are the network's own; calibration is not part of this version.

    Parameters
    ----------
    condition : {"depression", "stress", "apnea"}
        Decides classes, score and words. Depression takes any two classes, the second (or True) meaning PHQ-8 of 10 or
        more; stress takes ``"neutral"``, ``"sad"``, ``"anxious"``; apnea ``"normal"``, ``"snore"``, ``"apnea"``.
    network : {"dense", "bilstm"}
        ``"dense"`` takes a table, ``"bilstm"`` takes `Sequences`.
    extractor : FeatureExtractor, optional
        For `score_audio`; taken from the settings of the training table unless given.
    preset : {"published", "small"}
        Size of the network, see `vocalbio.networks`; ``"small"`` for tens to hundreds of recordings.
    class_weight : {None, "balanced"}
        ``"balanced"``: every class weighs alike in the loss, whatever its size; right where unweighted average recall
        is what counts. Probabilities then no longer follow the classes' shares in training.
    epochs : int, optional
        Passes over the training rows; 120 (published) or 80 (small) unless given.
    batch_size : int
        Rows a step.
    interval_folds : int
        Speaker-disjoint folds whose held-out scores make the intervals of `predict_interval` and `score_audio`, at the
        cost of as many more fits (fewer where a class has fewer speakers); 0: no intervals.
    random_state : int, optional
        Makes a fit repeatable on one machine; None: a new seed each time.
    verbose : int
        0 quiet, 1 Keras' progress.

    Attributes
    ----------
    classes_ : numpy.ndarray
        Class labels, in the order of probabilities.
    threshold_ : float
        Cut-off of the condition.
    manifest_ : dict
        Versions, settings, columns, training cohort.
    history_ : dict
        Training curves.

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
        class_weight: str | None = None,
        epochs: int | None = None,
        batch_size: int = 32,
        interval_folds: int = 5,
        random_state: int | None = None,
        verbose: int = 0,
    ) -> None:
        self.condition = condition
        self.network = network
        self.extractor = extractor
        self.preset = preset
        self.class_weight = class_weight
        self.epochs = epochs
        self.batch_size = batch_size
        self.interval_folds = interval_folds
        self.random_state = random_state
        self.verbose = verbose

    def __sklearn_tags__(self) -> Any:
        """Gaps are imputed; two classes, or those of the condition."""
        tags = super().__sklearn_tags__()
        tags.input_tags.allow_nan = True
        tags.classifier_tags.multi_class = self.condition != "depression"
        return tags

    # ------------------------------------------------------------------ fit

    def fit(self, X: Any, y: Any, groups: Any = None) -> RiskModel:
        """
        Fit on training recordings.

        Parameters
        ----------
        X : pandas.DataFrame, array_like of shape (n_rows, n_features), or Sequences
            Unusable rows (``quality__ok`` 0, or nothing but NaN) are left out, with a warning.
        y : array_like or pandas.Series
            One label a sample; a Series is joined by its index (that of `X`, or files).
        groups : array_like or pandas.Series, optional
            Speaker of each sample. Without it, nothing can be said of new speakers, and answers say so.

        Returns
        -------
        RiskModel

        Raises
        ------
        ParameterError
            If a setting, a label or a shape is wrong.
        """
        condition = get_condition(self.condition)
        self._check_settings()
        inputs = read_inputs(X, self._sequential)
        n_samples = len(inputs.usable)
        if y is None:
            raise ParameterError("requires y to be passed, but the target y is None: one label for each sample of X")
        labels = align(y, X, n_samples, "y")
        speakers = None if groups is None else align(groups, X, n_samples, "groups")
        if self.extractor is not None:
            self._compare_settings(self.extractor.to_dict(), inputs.extractor, "X was made by another extractor")
        if speakers is None:
            warnings.warn(
                "fitted without groups: whether a speaker stands in training and test cannot be told. "
                "Pass groups=speakers",
                VocalbioWarning,
                stacklevel=2,
            )
        if not inputs.usable.all():
            warnings.warn(
                f"{(~inputs.usable).sum()} of {n_samples} samples have no usable features and are left out; "
                "see vocalbio.errors(X)",
                VocalbioWarning,
                stacklevel=2,
            )
        kept = np.flatnonzero(inputs.usable)
        inputs, labels = inputs.choose(kept), labels[kept]
        speakers = None if speakers is None else speakers[kept]
        if not len(kept):
            raise ParameterError(
                f"Found array with {n_samples} sample(s), none of them usable, while a minimum of 1 is required."
            )
        self.classes_ = self._find_classes(labels)
        codes = np.array([list(self.classes_).index(label) for label in labels], np.int64)
        self.n_features_in_ = inputs.rows.shape[1]
        if inputs.names is not None:
            self.feature_names_in_ = np.array(inputs.names, dtype=object)
        elif hasattr(self, "feature_names_in_"):
            del self.feature_names_in_
        self.threshold_ = condition.threshold
        seed = self._seed()
        self.scaling_, self.network_, self.history_ = self._fit_network(inputs, codes, seed)
        self._calibrate(inputs, codes, speakers, seed)
        self._describe(inputs, labels, speakers)
        return self

    @property
    def _sequential(self) -> bool:
        return self.network == "bilstm"

    def _check_settings(self) -> None:
        if self.network not in list(training.NETWORKS):
            raise ParameterError(f"network is {self.network!r}; expected one of {', '.join(training.NETWORKS)}")
        if self.preset not in list(training.EPOCHS):
            raise ParameterError(f"preset is {self.preset!r}; expected one of {', '.join(training.EPOCHS)}")
        if self.class_weight not in (None, "balanced"):
            raise ParameterError(f"class_weight is {self.class_weight!r}; expected None or 'balanced'")
        for name, value, least in (
            ("epochs", 1 if self.epochs is None else self.epochs, 1),
            ("batch_size", self.batch_size, 1),
            ("interval_folds", self.interval_folds, 0),
        ):
            if not isinstance(value, Integral) or isinstance(value, bool) or value < least:
                raise ParameterError(f"{name} is {value!r}; expected a whole number of at least {least}")
        if self.interval_folds == 1:
            raise ParameterError("interval_folds is 1; expected 0 (no intervals) or at least 2")
        if not isinstance(self.random_state, (Integral, np.random.RandomState, type(None))):
            raise ParameterError(f"random_state is {self.random_state!r}; expected None or a whole number")
        if self.extractor is not None and not isinstance(self.extractor, FeatureExtractor):
            raise ParameterError(f"extractor is of type {type(self.extractor).__name__}; expected a FeatureExtractor")

    def _seed(self) -> int:
        if self.random_state is None:
            return int(np.random.SeedSequence().generate_state(1)[0] % 2**20)
        if isinstance(self.random_state, np.random.RandomState):
            return int(self.random_state.randint(2**20))
        return int(self.random_state) % 2**20

    def _find_classes(self, labels: NDArray[Any]) -> NDArray[Any]:
        condition = get_condition(self.condition)
        if labels.dtype.kind == "f" and not np.array_equal(labels, labels.round()):
            raise ParameterError("Unknown label type: continuous; expected classes, not a severity")
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

    def _fit_network(
        self, inputs: Inputs, codes: NDArray[np.int64], seed: int, indicated: NDArray[np.bool_] | None = None
    ) -> tuple[Scaling, Any, dict[str, list[float]]]:
        scaling = Scaling.fit(inputs.rows, inputs.names or ["array"] * inputs.rows.shape[1], indicated)
        network, history = training.train(
            self.network,
            self.preset,
            scaling.transform(inputs.rows),
            inputs.lengths,
            codes,
            len(self.classes_),
            class_weight=self.class_weight,
            epochs=self.epochs,
            batch_size=self.batch_size,
            seed=seed,
            verbose=self.verbose,
        )
        return scaling, network, history

    def _calibrate(self, inputs: Inputs, codes: NDArray[np.int64], speakers: Any, seed: int) -> None:
        """Keep scores of speakers that the scoring network never heard: what intervals are made of."""
        self.held_out_scores_ = np.empty((0, len(self.classes_)))
        self.held_out_codes_ = np.empty(0, np.int64)
        self.interval_reason_: str | None = None
        units = np.arange(len(codes)) if speakers is None else speakers
        fewest = min(len(set(units[codes == code].tolist())) for code in range(len(self.classes_)))
        if self.interval_folds == 0:
            self.interval_reason_ = "the model was fitted with interval_folds=0"
        elif fewest < 2:
            who = "recording" if speakers is None else "speaker"
            self.interval_reason_ = f"a class has one {who} only; two or more are needed"
        if self.interval_reason_:
            return
        scores = np.full((len(codes), len(self.classes_)), np.nan)
        for train, test in speaker_folds(codes, units, min(self.interval_folds, fewest), seed):
            # which columns have an indicator is settled, so that all folds train a network of the same shape
            scaling, network, _ = self._fit_network(inputs.choose(train), codes[train], seed, self.scaling_.indicated)
            held_out = inputs.choose(test)
            scores[test] = training.predict(network, scaling.transform(held_out.rows), held_out.lengths)
        self.held_out_scores_, self.held_out_codes_ = scores, codes

    def _describe(self, inputs: Inputs, labels: NDArray[Any], speakers: Any) -> None:
        import keras
        import tensorflow as tf

        condition = get_condition(self.condition)
        names, counts = np.unique(labels.astype(str), return_counts=True)
        self.manifest_ = {
            "created": datetime.now(UTC).isoformat(timespec="seconds"),
            "versions": {"vocalbio": __version__, "keras": keras.__version__, "tensorflow": tf.__version__},
            "condition": condition.name,
            "classes": self.classes_.tolist(),
            "classes_kind": self.classes_.dtype.kind,
            "threshold": self.threshold_,
            "parameters": {
                key: int(value) if isinstance(value, Integral) else value
                for key, value in self.get_params(deep=False).items()
                if key != "extractor" and not isinstance(value, np.random.RandomState)
            },
            "columns": inputs.names,
            "n_features": int(inputs.rows.shape[1]),
            "extractor": inputs.extractor if self.extractor is None else self.extractor.to_dict(),
            "training": {
                "n_recordings": len(labels),
                "n_speakers": None if speakers is None else len(set(speakers.tolist())),
                "classes": dict(zip(names.tolist(), counts.tolist(), strict=True)),
                "speaker_disjoint": "unknown" if speakers is None else "by groups",
                "references": list(condition.references),
            },
            "interval_reason": self.interval_reason_,
            "history": self.history_,
        }

    # -------------------------------------------------------------- predict

    def predict_proba(self, X: Any) -> NDArray[np.float64]:
        """
        Class probabilities.

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
        if not hasattr(self, "scaling_"):
            raise NotFittedError("this RiskModel is not fitted yet; call fit(X, y, groups=speakers) or RiskModel.load")
        inputs = read_inputs(X, self._sequential, self.manifest_["columns"] if self._has_names(X) else None)
        if inputs.rows.shape[1] != self.n_features_in_:
            raise ParameterError(
                f"X has {inputs.rows.shape[1]} features, but RiskModel is expecting {self.n_features_in_} features "
                "as input"
            )
        self._compare_settings(
            self.manifest_["extractor"],
            inputs.extractor,
            "the extractor's settings differ from those of training",
        )
        result = np.full((len(inputs.usable), len(self.classes_)), np.nan)
        chosen = inputs.choose(np.flatnonzero(inputs.usable))
        result[inputs.usable] = training.predict(self.network_, self.scaling_.transform(chosen.rows), chosen.lengths)
        return result

    @staticmethod
    def _compare_settings(trained: Any, given: Any, what: str) -> None:
        if trained is not None and given is not None:
            differences = compare_settings(trained, given)
            if differences:
                raise ParameterError(f"{what}: {'; '.join(differences[:5])}")

    def _has_names(self, X: Any) -> bool:
        return hasattr(X, "names") or hasattr(X, "columns")

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
        return 100 * self.predict_proba(X) @ self._weights()

    def _weights(self) -> NDArray[np.float64]:
        weights = get_condition(self.condition).score_weights
        if weights is None:
            raise ParameterError(f"condition {self.condition!r} has no 0-100 score; use predict_proba")
        return np.array([weights[name] for name in self.classes_])

    def predict_interval(self, X: Any) -> NDArray[np.float64]:
        """
        Venn-Abers bounds of each class probability, from speakers that the scoring networks never heard.

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
        return self._intervals(self.predict_proba(X))

    def _intervals(self, probabilities: NDArray[np.float64]) -> NDArray[np.float64]:
        if self.interval_reason_:
            raise ParameterError(f"no interval: {self.interval_reason_}")
        bounds = np.full((*probabilities.shape, 2), np.nan)
        usable = ~np.isnan(probabilities).any(axis=1)
        for code in range(len(self.classes_)):
            bounds[usable, code] = venn_abers(
                self.held_out_scores_[:, code], self.held_out_codes_ == code, probabilities[usable, code]
            )
        return bounds

    # --------------------------------------------------------------- answer

    def score_audio(self, audio: Any) -> Answer | list[Answer]:
        """
        Answer for a recording, with an interval and reasons for doubt.

        Parameters
        ----------
        audio : path or Recording, or a list of those

        Returns
        -------
        Answer, or a list of them
            ``"indeterminate"`` without a probability where the recording cannot be used.

        Raises
        ------
        ParameterError
            If the model does not know how its features were extracted, or takes sequences over speakers.
        """
        # an answer tells what was wrong with a recording, and for that it needs the quality columns
        extractor = clone(self._audio_extractor()).set_params(quality=True, on_error="record")
        several = isinstance(audio, (list, tuple))
        items = list(audio) if several else [audio]
        if self._sequential:  # one by one: recordings may share a name, and their segments must not be mixed
            tables = [extractor.transform([item]) for item in items]
        else:
            table = extractor.transform(items)
            tables = [table.iloc[[row]] for row in range(len(table))]
        answers = [self._answer(self._probability(table), table) for table in tables]
        return answers if several else answers[0]

    def _probability(self, table: pd.DataFrame) -> NDArray[np.float64]:
        """Of one recording. A model of some columns only takes those."""
        columns = self.manifest_["columns"]
        if columns is not None:
            table = table[[name for name in table if not is_feature(name) or name in set(columns)]]
        X = Sequences.from_table(table, by=["one"] * len(table)) if self._sequential else table
        return self.predict_proba(X)[0]

    def _audio_extractor(self) -> FeatureExtractor:
        if not hasattr(self, "manifest_"):
            raise NotFittedError("this RiskModel is not fitted yet; call fit(X, y, groups=speakers) or RiskModel.load")
        if self.extractor is not None:
            return self.extractor
        if self.manifest_["extractor"] is None:
            raise ParameterError(
                "the training table did not tell how it was extracted; "
                "pass extractor=FeatureExtractor(...) to RiskModel"
            )
        extractor = FeatureExtractor.from_dict(self.manifest_["extractor"])
        if not self._sequential and extractor.window_s is not None:
            raise ParameterError(
                "the model was trained on windows, one row each, and has no rule to join them; train on whole "
                "recordings, or on Sequences with network='bilstm'"
            )
        return extractor

    def _answer(self, probability: NDArray[np.float64], table: pd.DataFrame) -> Answer:
        condition = get_condition(self.condition)
        classes = [str(name) for name in self.classes_]
        reasons = list(dict.fromkeys(errors(table, partial=True)["reason"]))
        quality = table[[name for name in table.columns if name.startswith(QUALITY_PREFIX)]]
        summary = {str(name).removeprefix(QUALITY_PREFIX): float(mean) for name, mean in quality.mean().items()}
        start, end = table.index.get_level_values("start"), table.index.get_level_values("end")
        # windows may overlap, and then their durations add up to more than was recorded
        summary["duration_s"] = float(
            np.fmin(quality[QUALITY_PREFIX + "duration_s"].sum(), (end.max() - start.min()).total_seconds())
        )
        usable = not np.isnan(probability).any()
        intervals = score = score_interval = None
        label = INDETERMINATE
        if usable:
            reasons += doubts(summary)
            if condition.score_weights is not None:
                weights = 100 * self._weights()
                score = float(probability @ weights)
                label = condition.above if score > self.threshold_ else condition.below
            elif condition.classes is None:
                label = condition.above if probability[1] >= self.threshold_ else condition.below
            else:
                label = classes[int(probability.argmax())]
            if self.interval_reason_:
                reasons.append(f"no interval: {self.interval_reason_}")
            else:
                bounds = self._intervals(probability[None])[0]
                intervals = {name: (float(low), float(high)) for name, (low, high) in zip(classes, bounds, strict=True)}
                if score is not None:
                    score_interval = score_bounds(weights, bounds)
                reasons += self._interval_doubts(probability, bounds, classes)
        if self.manifest_["training"]["speaker_disjoint"] == "unknown":
            reasons.append("speaker-disjoint: unknown; the model was fitted without groups")
        return Answer(
            condition=condition.name,
            file=str(table.index[0][0]),
            probability={name: float(p) for name, p in zip(classes, probability, strict=True)} if usable else None,
            interval=intervals,
            score=score,
            score_interval=score_interval,
            label=label,
            reasons=tuple(reasons),
            training=self.manifest_["training"],
            disclaimer=DISCLAIMER,
        )

    @staticmethod
    def _interval_doubts(
        probability: NDArray[np.float64], bounds: NDArray[np.float64], classes: list[str]
    ) -> list[str]:
        found = []
        if (bounds[:, 1] - bounds[:, 0]).max() > WIDE:
            found.append("wide interval: recordings like this one were too few in training to tell")
        for name, p, (low, high) in zip(classes, probability, bounds, strict=True):
            if not low - 0.05 <= p <= high + 0.05:
                found.append(
                    f"P({name}) of {p:.2f} lies outside its interval: on speakers not heard in training such values "
                    f"meant {low:.2f} to {high:.2f}"
                )
        return found

    # ----------------------------------------------------------------- file

    def save(self, path: str | os.PathLike[str], *, licence: str | None = None) -> None:
        """
        Save Keras model, JSON manifest and plain arrays; no pickle.

        Parameters
        ----------
        path : path-like
            Such as ``"depression.vocalbio"``, one zip; a folder if it is one, or ends with a slash.
        licence : str, optional
            On what terms the model may be used: those of its corpus, and of openSMILE (research only) if it has
            prosody. Kept in the manifest and told in every answer.

        Raises
        ------
        ParameterError
            If nothing can be written there.
        """
        if not hasattr(self, "network_"):
            raise NotFittedError("this RiskModel is not fitted yet; there is nothing to save")
        if licence is not None:
            self.manifest_["training"]["licence"] = licence
        arrays = self.scaling_.arrays() | {
            "held_out_scores": self.held_out_scores_,
            "held_out_codes": self.held_out_codes_,
        }
        write_model(path, self.manifest_, keras_to_bytes(self.network_), arrays)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> RiskModel:
        """
        Load what `save` wrote; runs no code of the file's.

        Parameters
        ----------
        path : path-like

        Returns
        -------
        RiskModel
            Predicts just as the saved one.

        Raises
        ------
        ModelFileError
            If it is missing, not ours, damaged, or newer than this vocalbio.
        """
        manifest, network, arrays = read_model(path)
        try:
            model = cls(manifest["condition"], **{k: v for k, v in manifest["parameters"].items() if k != "condition"})
            model._check_settings()
            held_out = arrays.pop("held_out_scores"), arrays.pop("held_out_codes")
            model._restore(manifest, Scaling(**arrays), held_out)
            model.network_ = keras_from_bytes(network, str(path))
            model._check_parts()
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            raise ModelFileError(f"{path} lacks or garbles an entry of its manifest ({error!r})") from error
        return model

    def _check_parts(self) -> None:
        """Refuse parts that are not of one model, before they fail one by one in predictions."""
        condition, manifest, scaling = get_condition(self.condition), self.manifest_, self.scaling_
        names, classes = getattr(self, "feature_names_in_", None), self.classes_.tolist()
        n_features = self.n_features_in_
        n_inputs = n_features + int(scaling.indicated.sum())
        for entry, right in {
            "classes": len(classes) == 2 if condition.classes is None else classes == list(condition.classes),
            "threshold": isinstance(self.threshold_, (int, float)),
            "columns": names is None or (len(names) == n_features and all(isinstance(name, str) for name in names)),
            "training": isinstance(manifest["training"], dict),
            "extractor": isinstance(manifest["extractor"], (dict, type(None))),
            "interval_reason": isinstance(self.interval_reason_, (str, type(None))),
            "n_features": scaling.medians.shape == scaling.indicated.shape == (n_features,),
            "scaling": scaling.centre.shape == scaling.spread.shape == scaling.weight.shape == (n_inputs,),
            "held-out scores": self.held_out_scores_.shape == (len(self.held_out_codes_), len(classes)),
            "network's input": self.network_.inputs[0].shape[-1] == n_inputs,
            "network's output": self.network_.outputs[0].shape[-1] == (1 if len(classes) == 2 else len(classes)),
        }.items():
            if not right:
                raise ValueError(f"{entry}: not of the same model as the rest")

    def _restore(self, manifest: dict[str, Any], scaling: Scaling, held_out: tuple[Any, Any]) -> None:
        self.manifest_ = manifest
        self.classes_ = np.array(manifest["classes"], object if manifest["classes_kind"] == "O" else None)
        self.threshold_ = manifest["threshold"]
        self.history_ = manifest["history"]
        self.interval_reason_ = manifest["interval_reason"]
        self.n_features_in_ = manifest["n_features"]
        if manifest["columns"] is not None:
            self.feature_names_in_ = np.array(manifest["columns"], dtype=object)
        self.scaling_ = scaling
        self.held_out_scores_, self.held_out_codes_ = held_out

    def __getstate__(self) -> dict[str, Any]:
        """Keras models do not pickle in every version; their own format does."""
        state = dict(super().__getstate__())
        if "network_" in state:
            state["network_"] = keras_to_bytes(state["network_"])
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Undo `__getstate__`."""
        if isinstance(state.get("network_"), bytes):
            state = {**state, "network_": keras_from_bytes(state["network_"], "the pickled model")}
        super().__setstate__(state)
