"""What a classifier and a regressor share: fitting by speaker, held-out folds, answers, files."""

from __future__ import annotations

import math
import os
import warnings
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from numbers import Integral, Real
from typing import Any, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, clone
from sklearn.exceptions import NotFittedError

from vocalbio import __version__
from vocalbio.conditions import DISCLAIMER, get_condition
from vocalbio.datasets import Sequences, speaker_folds
from vocalbio.errors import LeakageError, ModelFileError, ParameterError, VocalbioWarning
from vocalbio.extract import FeatureExtractor, errors
from vocalbio.extract.table import QUALITY_PREFIX, is_feature
from vocalbio.networks.pooling import check_pooling
from vocalbio.risk import training
from vocalbio.risk.answer import INDETERMINATE, Answer, doubts
from vocalbio.risk.cohort import Likeness, speaker_keys
from vocalbio.risk.explanation import Explanation, Quantiles, explain
from vocalbio.risk.exporting import export_voice_model
from vocalbio.risk.files import keras_from_bytes, keras_to_bytes, read_model, write_model
from vocalbio.risk.inputs import Inputs, align, compare_settings, read_inputs
from vocalbio.risk.scaling import Scaling

__all__ = ["Targets", "Verdict", "VoiceModel"]

NO_VOICE_S = 0.3
"""Less than a syllable or two is no voice: whatever the network says of breath or noise is no answer."""
LEAST_VOICED_S = {"depression": 10.0, "stress": NO_VOICE_S, "apnea": 0.0}
"""Seconds of voice below which there is no label, by condition: memos may be short where utterances are asked for."""
WATCHED = 5  # one speaker in so many is set aside to end training early


@dataclass(frozen=True, eq=False)
class Targets:
    """
    What a network is to say of each sample.

    Attributes
    ----------
    values : numpy.ndarray
        Shape (n, n_outputs).
    weights : numpy.ndarray
        Shape (n,), in the loss.
    strata : numpy.ndarray of int
        Shape (n,), what folds are balanced for; each of them needs two speakers.
    units : numpy.ndarray
        Shape (n,), speakers; the samples themselves where those are not known.
    """

    values: NDArray[np.float64]
    weights: NDArray[np.float64]
    strata: NDArray[np.int64]
    units: NDArray[Any]

    def choose(self, which: NDArray[Any]) -> Targets:
        """Samples by number."""
        return Targets(self.values[which], self.weights[which], self.strata[which], self.units[which])

    @property
    def most_folds(self) -> int:
        """Speakers of the stratum that has the fewest."""
        return min(len(set(self.units[self.strata == stratum].tolist())) for stratum in set(self.strata.tolist()))


@dataclass
class Verdict:
    """What is said of one recording: fields of its `Answer`, reasons for doubt, and why there is no label, if so."""

    label: str
    reasons: list[str]
    undecided: str | None = None
    probability: dict[str, float] | None = None
    interval: dict[str, tuple[float, float]] | None = None
    score: float | None = None
    score_interval: tuple[float, float] | None = None
    scale: dict[str, Any] | None = None


class VoiceModel(BaseEstimator):
    """Impute, scale, network: what `RiskModel` and `SeverityModel` have in common."""

    condition: str
    network: str
    extractor: FeatureExtractor | None
    preset: str
    pooling: str | None
    epochs: int | None
    batch_size: int
    schedule: str
    patience: int | None
    n_networks: int
    interval_folds: int
    least_voiced_s: float | None
    random_state: Any
    verbose: int

    scaling_: Scaling
    likeness_: Likeness
    network_: Any
    history_: dict[str, list[float]]
    manifest_: dict[str, Any]
    interval_reason_: str | None
    threshold_: float
    n_features_in_: int

    # What differs -----------------------------------------------------------------------------------------

    def _loss(self) -> str:
        raise NotImplementedError

    def _learn_labels(self, labels: NDArray[Any]) -> None:
        """Settle what the outputs mean, from the labels of training."""
        raise NotImplementedError

    def _targets(self, labels: NDArray[Any], units: NDArray[Any]) -> Targets:
        raise NotImplementedError

    def _calibrate(
        self, outputs: NDArray[np.float64] | None, targets: Targets, labels: NDArray[Any], reason: str | None
    ) -> None:
        """Learn from outputs of networks that had not heard the speaker; None: there are none, for this reason."""
        raise NotImplementedError

    def _convert(self, outputs: NDArray[np.float64]) -> NDArray[np.float64]:
        """Turn outputs of the network into probabilities, or a severity."""
        raise NotImplementedError

    def _join(self, found: NDArray[np.float64]) -> NDArray[np.float64]:
        """Make one answer of those for the windows of a recording."""
        raise NotImplementedError

    def _verdict(self, found: NDArray[np.float64]) -> Verdict:
        raise NotImplementedError

    def _describe_labels(self, labels: NDArray[Any]) -> dict[str, Any]:
        """What the manifest keeps of the labels of one cohort."""
        raise NotImplementedError

    def _describe_outputs(self) -> dict[str, Any]:
        """What the manifest keeps beside what every model has."""
        raise NotImplementedError

    def _output_arrays(self) -> dict[str, NDArray[Any]]:
        raise NotImplementedError

    def _restore_outputs(self, manifest: dict[str, Any], arrays: dict[str, NDArray[Any]]) -> dict[str, bool]:
        """Undo the two above; tells which parts fit together."""
        raise NotImplementedError

    # Fit ----------------------------------------------------------------------------------------------------

    def fit(self, X: Any, y: Any, groups: Any = None) -> Self:
        """
        Fit on training recordings.

        Parameters
        ----------
        X : pandas.DataFrame, array_like of shape (n_rows, n_features), or Sequences
            Unusable rows (``quality__ok`` 0, or nothing but NaN) are left out, with a warning.
        y : array_like or pandas.Series
            One label or severity a sample; a Series is joined by its index (that of `X`, or files).
        groups : array_like or pandas.Series, optional
            Speaker of each sample. Without it, nothing can be said of new speakers, and answers say so.

        Returns
        -------
        self

        Raises
        ------
        ParameterError
            If a setting, a label or a shape is wrong.
        """
        get_condition(self.condition)
        self._check_settings()
        inputs, labels, speakers = self._prepare(X, y, groups)
        self._learn_labels(labels)
        self.n_features_in_ = inputs.rows.shape[1]
        if inputs.names is not None:
            self.feature_names_in_ = np.array(inputs.names, dtype=object)
        elif hasattr(self, "feature_names_in_"):
            del self.feature_names_in_
        scaling = Scaling.fit(inputs.rows, _names(inputs))
        targets = self._targets(labels, _units(labels, speakers))
        likeness = Likeness.fit(inputs, scaling, targets.units)
        self._learn(inputs, targets, labels, speakers, scaling, likeness)
        self.quantiles_: Quantiles | None = Quantiles.fit(inputs.rows)
        self.manifest_ = self._describe(inputs, self._describe_cohort(labels, speakers))
        return self

    def fit_more(self, X: Any, y: Any, groups: Any, *, epochs: int | None = None) -> Self:
        """
        Go on training with recordings of new speakers.

        The networks continue from where they stand; imputation and scaling stay as they are, since they decide what
        the networks' inputs mean. Calibration, intervals and threshold are learnt anew, from the new speakers alone:
        in each fold the networks as they were go on with the other new speakers, and then score those held out, whom
        they have never heard. With fewer than two new speakers (of each class) there is no calibration, and the
        reason is told. What was learnt from the first cohort may fade: evaluate on both.

        Parameters
        ----------
        X, y : as in `fit`
        groups : array_like or pandas.Series
            Speaker of each sample, none of whom the model was fitted on.
        epochs : int, optional
            Passes over the new rows; as in `fit` unless given.

        Returns
        -------
        self

        Raises
        ------
        LeakageError
            If a speaker is known from training already: their recordings could not be held out.
        ParameterError
            If speakers are missing now or were at first, or columns, settings or labels differ.
        """
        self._check_fitted()
        self._check_settings()
        if epochs is not None:
            _check_whole("epochs", epochs, 1)
        known = self.manifest_["training"]["speakers"]
        if groups is None or known is None:
            raise ParameterError(
                f"{'groups is None' if groups is None else 'the model was fitted without groups'}; going on with "
                "training takes speakers, then and now, to make sure that the new ones are new"
            )
        inputs, labels, found = self._prepare(X, y, groups, self._names_of_training(X))
        speakers = _units(labels, found)
        self._compare(inputs)
        again = sorted({str(speaker) for speaker in speakers.tolist() if speaker_keys([speaker])[0] in set(known)})
        if again:
            raise LeakageError(
                f"heard in training already: {', '.join(again[:5])}{', …' if len(again) > 5 else ''} (speakers: "
                f"{len(again)}). fit_more takes new speakers; to use theirs too, fit anew on all recordings"
            )
        targets = self._targets(labels, speakers)
        likeness = self.likeness_.merge(Likeness.fit(inputs, self.scaling_, targets.units))
        self._learn(inputs, targets, labels, speakers, self.scaling_, likeness, start=self.network_, epochs=epochs)
        first, second = self.manifest_["training"], self._describe_cohort(labels, speakers)
        cohorts = first.get("cohorts", [first])
        # a plain array tells neither its columns nor how it was made: what training told stays
        kept = {name: self.manifest_[name] for name in ("columns", "extractor") if self.manifest_[name] is not None}
        self.manifest_ = self._describe(inputs, self._add_cohorts([*cohorts, second], first["licence"])) | kept
        return self

    @property
    def _sequential(self) -> bool:
        return self.network in training.SEQUENTIAL

    def _check_settings(self) -> None:
        if self.network not in list(training.NETWORKS):
            raise ParameterError(f"network is {self.network!r}; expected one of {', '.join(training.NETWORKS)}")
        for name, value, known in (
            ("preset", self.preset, training.PRESETS[self.network]),
            ("schedule", self.schedule, list(training.SCHEDULES)),
        ):
            if value not in known:
                raise ParameterError(f"{name} is {value!r}; expected one of {', '.join(known)}")
        check_pooling(self.pooling)
        if self.pooling is not None and not self._sequential:
            raise ParameterError(
                f"pooling is {self.pooling!r}; network {self.network!r} takes one row a recording: nothing "
                f"to pool. Expected None, or one of the networks {', '.join(training.SEQUENTIAL)}"
            )
        for count, number, least in (
            ("epochs", 1 if self.epochs is None else self.epochs, 1),
            ("batch_size", self.batch_size, 1),
            ("patience", 1 if self.patience is None else self.patience, 1),
            ("n_networks", self.n_networks, 1),
            ("interval_folds", self.interval_folds, 0),
        ):
            _check_whole(count, number, least)
        if self.interval_folds == 1:
            raise ParameterError("interval_folds is 1; expected 0 (no intervals) or at least 2")
        voiced = self.least_voiced_s
        if voiced is not None and (not _is_number(voiced) or not 0 <= voiced < math.inf):
            raise ParameterError(f"least_voiced_s is {voiced!r}; expected None or seconds, at least 0")
        if not isinstance(self.random_state, (Integral, np.random.RandomState, type(None))):
            raise ParameterError(f"random_state is {self.random_state!r}; expected None or a whole number")
        if self.extractor is not None and not isinstance(self.extractor, FeatureExtractor):
            raise ParameterError(f"extractor is of type {type(self.extractor).__name__}; expected a FeatureExtractor")

    def _prepare(
        self, X: Any, y: Any, groups: Any, names: list[str] | None = None
    ) -> tuple[Inputs, NDArray[Any], NDArray[Any] | None]:
        """Usable samples with their labels and speakers."""
        inputs = read_inputs(X, self._sequential, names)
        n_samples = len(inputs.usable)
        if y is None:
            raise ParameterError("requires y to be passed, but the target y is None: one label for each sample of X")
        labels = align(y, X, n_samples, "y")
        speakers = None if groups is None else align(groups, X, n_samples, "groups")
        if self.extractor is not None:
            _compare_settings(self.extractor.to_dict(), inputs.extractor, "X was made by another extractor")
        if speakers is None:
            warnings.warn(
                "fitted without groups: whether a speaker stands in training and test cannot be told. "
                "Pass groups=speakers",
                VocalbioWarning,
                stacklevel=3,
            )
        if not inputs.usable.all():
            warnings.warn(
                f"{(~inputs.usable).sum()} of {n_samples} samples have no usable features and are left out; "
                "see vocalbio.errors(X)",
                VocalbioWarning,
                stacklevel=3,
            )
        kept = np.flatnonzero(inputs.usable)
        if not len(kept):
            raise ParameterError(
                f"Found array with {n_samples} sample(s), none of them usable, while a minimum of 1 is required."
            )
        return inputs.choose(kept), labels[kept], None if speakers is None else speakers[kept]

    def _seed(self) -> int:
        if self.random_state is None:
            return int(np.random.SeedSequence().generate_state(1)[0] % 2**20)
        if isinstance(self.random_state, np.random.RandomState):
            return int(self.random_state.randint(2**20))
        return int(self.random_state) % 2**20

    def _learn(
        self,
        inputs: Inputs,
        targets: Targets,
        labels: NDArray[Any],
        speakers: NDArray[Any] | None,
        scaling: Scaling,
        likeness: Likeness,
        *,
        start: Any = None,
        epochs: int | None = None,
    ) -> None:
        """Train, and learn from folds what the outputs mean on speakers not heard."""
        longest = epochs or self.epochs or training.EPOCHS[self.preset]
        families = _families(inputs, scaling) if self.network == "hybrid" else ()
        plan = training.Plan(
            self.network, self.preset, self._loss(), longest, longest, self.schedule, self.batch_size, self.pooling,
            families,
        )  # fmt: skip
        seed = self._seed()
        network, history = self._train(plan, inputs, targets, scaling, seed, start)
        reason = None
        if self.interval_folds == 0:
            reason = "the model was fitted with interval_folds=0"
        elif targets.most_folds < 2:
            who = "recording" if speakers is None else "speaker"
            reason = (
                f"{'a class has' if len(set(targets.strata.tolist())) > 1 else 'there is'} one {who} only; two or more "
                "are needed"
            )
        outputs = None
        if reason is None:
            outputs = np.empty(targets.values.shape)
            n_folds = min(self.interval_folds, targets.most_folds)
            for train, test in speaker_folds(targets.strata, targets.units, n_folds, seed):
                part, answered = inputs.choose(train), inputs.choose(test)
                # which columns have an indicator is settled, so that all folds train a network of the same shape
                own = scaling if start is not None else Scaling.fit(part.rows, _names(part), scaling.indicated)
                fold, _ = self._train(plan, part, targets.choose(train), own, seed, start)
                outputs[test] = training.predict(fold, own.transform(answered.rows), answered.lengths)
        self._calibrate(outputs, targets, labels, reason)
        self.interval_reason_ = reason
        self.scaling_, self.likeness_, self.network_, self.history_ = scaling, likeness, network, history

    def _train(
        self, plan: training.Plan, inputs: Inputs, targets: Targets, scaling: Scaling, seed: int, start: Any
    ) -> tuple[Any, dict[str, list[float]]]:
        """Train one network or several, each from a seed of its own; how long is found on speakers set aside."""
        history: dict[str, list[float]] = {}
        starts = [None] * self.n_networks if start is None else training.members(start)
        if self.patience is not None:
            history = self._watch(plan, inputs, targets, scaling, seed, starts[0])
            if history:
                plan = replace(plan, epochs=1 + int(np.argmin(history["val_loss"])))
        material = _material(inputs, targets, scaling)
        networks, curves = [], []
        for number, begin in enumerate(starts):
            # the first network is the one that would be trained alone
            own = seed if number == 0 else int(np.random.SeedSequence([seed, number]).generate_state(1)[0] % 2**20)
            network, curve = training.train(plan, material, own, start=begin, verbose=self.verbose)
            networks.append(network)
            curves.append(curve["loss"])
        history["refit_loss" if history else "loss"] = np.mean(curves, axis=0).tolist()
        return training.join(networks), history

    def _watch(
        self, plan: training.Plan, inputs: Inputs, targets: Targets, scaling: Scaling, seed: int, start: Any
    ) -> dict[str, list[float]]:
        """Training curves with some of these speakers set aside; empty where there are too few."""
        if targets.most_folds < 2:
            warnings.warn(
                "too few speakers to set some aside: training does not end early", VocalbioWarning, stacklevel=2
            )
            return {}
        folds = speaker_folds(targets.strata, targets.units, min(WATCHED, targets.most_folds), seed)
        train, test = folds[0]
        part = inputs.choose(train)
        own = scaling if start is not None else Scaling.fit(part.rows, _names(part), scaling.indicated)
        _, history = training.train(
            plan,
            _material(part, targets.choose(train), own),
            seed,
            start=start,
            watched=_material(inputs.choose(test), targets.choose(test), own),
            patience=self.patience,
            verbose=self.verbose,
        )
        return history

    # Manifest -----------------------------------------------------------------------------------------------

    def _describe_cohort(self, labels: NDArray[Any], speakers: NDArray[Any] | None) -> dict[str, Any]:
        return {
            "n_recordings": len(labels),
            "n_speakers": None if speakers is None else len(set(speakers.tolist())),
            "speakers": None if speakers is None else speaker_keys(speakers.tolist()),
            **self._describe_labels(labels),
            "sex": "not known",
            "age": "not known",
            "speaker_disjoint": "unknown" if speakers is None else "by groups",
            "licence": None,
            "references": list(get_condition(self.condition).references),
        }

    def _add_cohorts(self, cohorts: list[dict[str, Any]], licence: str | None) -> dict[str, Any]:
        """Facts of several cohorts as if they were one, and each by itself."""
        counts: dict[str, int] = {}
        for cohort in cohorts:
            for name, n in cohort.get("classes", {}).items():
                counts[name] = counts.get(name, 0) + n
        speakers = sorted({key for cohort in cohorts for key in cohort["speakers"]})
        return {
            **{key: value for key, value in cohorts[0].items() if key not in ("classes", "severity")},
            **({"classes": counts} if counts else {}),
            "n_recordings": sum(cohort["n_recordings"] for cohort in cohorts),
            "n_speakers": len(speakers),
            "speakers": speakers,
            "licence": licence,
            "cohorts": cohorts,
        }

    def _describe(self, inputs: Inputs, cohort: dict[str, Any]) -> dict[str, Any]:
        import keras
        import tensorflow as tf

        return {
            "model": type(self).__name__,
            "created": datetime.now(UTC).isoformat(timespec="seconds"),
            "versions": {"vocalbio": __version__, "keras": keras.__version__, "tensorflow": tf.__version__},
            "condition": self.condition,
            "parameters": {
                key: _to_plain(value)
                for key, value in self.get_params(deep=False).items()
                if key not in ("condition", "extractor") and not isinstance(value, np.random.RandomState)
            },
            "columns": inputs.names,
            "n_features": self.n_features_in_,
            "extractor": inputs.extractor if self.extractor is None else self.extractor.to_dict(),
            "threshold": self.threshold_,
            "interval_reason": self.interval_reason_,
            "training": cohort,
            "history": self.history_,
            **self._describe_outputs(),
        }

    # Predict ------------------------------------------------------------------------------------------------

    def _check_fitted(self) -> None:
        if not hasattr(self, "network_"):
            name = type(self).__name__
            raise NotFittedError(f"this {name} is not fitted yet; call fit(X, y, groups=speakers) or {name}.load")

    def _names_of_training(self, X: Any) -> list[str] | None:
        return self.manifest_["columns"] if hasattr(X, "names") or hasattr(X, "columns") else None

    def _compare(self, inputs: Inputs) -> None:
        """Refuse what was measured in another way than in training."""
        if inputs.rows.shape[1] != self.n_features_in_:
            raise ParameterError(
                f"X has {inputs.rows.shape[1]} features, but {type(self).__name__} is expecting {self.n_features_in_} "
                "features as input"
            )
        _compare_settings(
            self.manifest_["extractor"], inputs.extractor, "the extractor's settings differ from those of training"
        )

    def _find(self, X: Any) -> NDArray[np.float64]:
        """Probabilities or severities, shape (n_samples, n); NaN for samples that could not be used."""
        self._check_fitted()
        inputs = read_inputs(X, self._sequential, self._names_of_training(X))
        self._compare(inputs)
        chosen = inputs.choose(np.flatnonzero(inputs.usable))
        outputs = training.predict(self.network_, self.scaling_.transform(chosen.rows), chosen.lengths)
        found = self._convert(outputs)
        result = np.full((len(inputs.usable), found.shape[1]), np.nan)
        result[inputs.usable] = found
        return result

    # Answer -------------------------------------------------------------------------------------------------

    def score_audio(self, audio: Any) -> Answer | list[Answer]:
        """
        Answer for a recording, with an interval and reasons for doubt.

        A model of windows, one row each, gives one answer a recording: the mean of the log-odds (with several classes
        of the log-probabilities) of its usable windows, or the mean of their severities. Its interval is that of a
        window of the same probability.

        Parameters
        ----------
        audio : path or Recording, or a list of those, or DataFrame
            A table: the rows of one recording, as `measure` gives them.

        Returns
        -------
        Answer, or a list of them
            ``"indeterminate"`` where there is too little voice (`least_voiced_s`), or where the interval says neither
            the one nor the other: it reaches to both sides of the threshold and is wider than half of the scale.
            Without a probability or a severity where the recording cannot be used at all.

        Raises
        ------
        ParameterError
            If the model does not know how its features were extracted.
        """
        if isinstance(audio, pd.DataFrame):
            return self._answer(audio)
        # an answer tells what was wrong with a recording, and for that it needs the quality columns
        extractor = clone(self._audio_extractor()).set_params(quality=True, on_error="record")
        several = isinstance(audio, (list, tuple))
        items = list(audio) if several else [audio]
        if self._sequential or extractor.window_s is not None:
            # one by one: recordings may share a name, and their segments must not be mixed
            tables = [extractor.transform([item]) for item in items]
        else:
            table = extractor.transform(items)
            tables = [table.iloc[[row]] for row in range(len(table))]
        answers = [self._answer(table) for table in tables]
        return answers if several else answers[0]

    def measure(self, audio: Any, *, n_jobs: int | None = None, progress: bool | None = None) -> pd.DataFrame:
        """
        Extract what this model takes, with its own settings: for `vocalbio.evaluation.evaluate`, or `predict_proba`.

        Parameters
        ----------
        audio : path, Recording, list of either, or pandas index
            As in `vocalbio.extract_features`; for sequences each file once.
        n_jobs : int, optional
            Worker processes.
        progress : bool, optional
            Show a progress bar; None: on a terminal or in a notebook.

        Returns
        -------
        pandas.DataFrame
            The columns of training, and those of quality. `vocalbio.datasets.Sequences.from_table` makes sequences
            of it for a network that takes those.

        Raises
        ------
        ParameterError
            If the model does not know how its features were extracted.
        """
        extractor = clone(self._audio_extractor()).set_params(
            quality=True, on_error="record", n_jobs=n_jobs, progress=progress
        )
        return self._own_columns(extractor.transform(audio))

    def _own_columns(self, table: pd.DataFrame) -> pd.DataFrame:
        """Leave out features that the model was not trained on, as a model of some columns only."""
        columns = self.manifest_["columns"]
        if columns is None:
            return table
        return table[[name for name in table if not is_feature(name) or name in set(columns)]]

    def _audio_extractor(self) -> FeatureExtractor:
        self._check_fitted()
        if self.extractor is not None:
            return self.extractor
        if self.manifest_["extractor"] is None:
            raise ParameterError(
                "the training table did not tell how it was extracted; "
                f"pass extractor=FeatureExtractor(...) to {type(self).__name__}"
            )
        return FeatureExtractor.from_dict(self.manifest_["extractor"])

    def _answer(self, table: pd.DataFrame) -> Answer:
        columns = self.manifest_["columns"]
        table = self._own_columns(table)
        X = Sequences.from_table(table, by=["one"] * len(table)) if self._sequential else table
        found = self._find(X)
        found = found[~np.isnan(found).any(axis=1)]
        reasons = list(dict.fromkeys(errors(table, partial=True)["reason"]))
        if len(found):
            quality = _summary(table)
            verdict = self._verdict(self._join(found))
            inputs = read_inputs(X, self._sequential, columns)
            rows = inputs.choose(np.flatnonzero(inputs.usable)).rows
            unlike = self.likeness_.doubt(rows, inputs.names, self.scaling_)
            reasons += [*doubts(quality), *([] if unlike is None else [unlike]), *verdict.reasons]
            least = LEAST_VOICED_S[self.condition] if self.least_voiced_s is None else float(self.least_voiced_s)
            voiced_s = quality["voiced_fraction"] * quality["duration_s"]
            undecided = verdict.undecided
            if voiced_s < min(least, NO_VOICE_S):
                verdict = Verdict(INDETERMINATE, [])
            if voiced_s < least:
                undecided = f"{voiced_s:.1f} s of voice are too little for a label; {least:g} s are the least"
            if undecided is not None:
                verdict.label = INDETERMINATE
                reasons.insert(0, undecided)
        else:
            verdict = Verdict(INDETERMINATE, [])
        if self.manifest_["training"]["speaker_disjoint"] == "unknown":
            reasons.append("speaker-disjoint: unknown; the model was fitted without groups")
        told = {key: value for key, value in self.manifest_["training"].items() if key not in ("speakers", "cohorts")}
        return Answer(
            condition=self.condition,
            file=str(table.index[0][0]),
            label=verdict.label,
            probability=verdict.probability,
            interval=verdict.interval,
            score=verdict.score,
            score_interval=verdict.score_interval,
            scale=verdict.scale,
            threshold=self._told_threshold(),
            reasons=tuple(reasons),
            training=told,
            disclaimer=DISCLAIMER,
        )

    def _told_threshold(self) -> float | None:
        return self.threshold_

    def explain(self, audio: Any) -> Explanation:
        """See `vocalbio.risk.explanation.explain`."""
        return explain(self, audio)

    # File ---------------------------------------------------------------------------------------------------

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
            raise NotFittedError(f"this {type(self).__name__} is not fitted yet; there is nothing to save")
        if licence is not None:
            self.manifest_["training"]["licence"] = licence
        arrays = self.scaling_.arrays() | {"distances": self.likeness_.distances} | self._output_arrays()
        if self.quantiles_ is not None:
            arrays["quantiles"] = self.quantiles_.values
        write_model(path, self.manifest_, keras_to_bytes(self.network_), arrays)

    def export(self, path: str | os.PathLike[str], format: str = "litert", quantize: str | None = None) -> None:
        """
        Write a file that other runtimes execute: features in, calibrated probabilities or a severity out.

        `vocalbio.export.ModelRunner` runs it without TensorFlow. Imputation, scaling, network and calibration are
        inside; intervals and reasons for doubt are not. Numbers are float32: answers differ from those here by 1e-6.

        Parameters
        ----------
        path : path-like
            Ending in ``.tflite`` or ``.onnx``.
        format : {"litert", "onnx"}
        quantize : {None, "int8"}
            Weights of eight bits: a quarter of the size. ``docs/export.md`` tells how far answers move.

        Raises
        ------
        ParameterError
            If an argument is wrong, or the network has a layer that the format does not know.
        MissingPackageError
            If a package that the format needs is absent.
        """
        self._check_fitted()
        export_voice_model(self, path, format, quantize)

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Self:
        """
        Load what `save` wrote; runs no code of the file's.

        Parameters
        ----------
        path : path-like

        Returns
        -------
        RiskModel or SeverityModel
            Predicts just as the saved one.

        Raises
        ------
        ModelFileError
            If it is missing, not ours, damaged, of the other kind, or of another format than this vocalbio's.
        """
        manifest, network, arrays = read_model(path)
        kind = manifest.get("model")
        if kind != cls.__name__:
            raise ModelFileError(f"{path} holds a {kind}; load it with {kind}.load, not {cls.__name__}.load")
        try:
            parameters = {key: _from_plain(value) for key, value in manifest["parameters"].items()}
            model = cls(manifest["condition"], **parameters)
            get_condition(model.condition)
            model._check_settings()
            fits = model._restore(manifest, arrays)
            model.network_ = keras_from_bytes(network, str(path))
            fits |= model._check_network()
            for entry, right in fits.items():
                if not right:
                    raise ValueError(f"{entry}: not of the same model as the rest")
        except (AttributeError, IndexError, KeyError, TypeError, ValueError) as error:
            raise ModelFileError(f"{path} lacks or garbles an entry of its manifest ({error!r})") from error
        return model

    def _restore(self, manifest: dict[str, Any], arrays: dict[str, NDArray[Any]]) -> dict[str, bool]:
        """Take a file's entries over; tells which are of one model, before others fail one by one in predictions."""
        fits = self._restore_outputs(manifest, arrays)
        self.manifest_ = manifest
        self.threshold_ = manifest["threshold"]
        self.history_ = manifest["history"]
        self.interval_reason_ = manifest["interval_reason"]
        self.n_features_in_ = n_features = manifest["n_features"]
        names = manifest["columns"]
        if names is not None:
            self.feature_names_in_ = np.array(names, dtype=object)
        self.likeness_ = Likeness(arrays.pop("distances"))
        quantiles = arrays.pop("quantiles", None)  # older files hold none
        self.quantiles_ = None if quantiles is None else Quantiles(quantiles)
        self.scaling_ = scaling = Scaling(**arrays)
        shape = (n_features + int(scaling.indicated.sum()),)
        return fits | {
            "threshold": _is_number(self.threshold_),
            "columns": names is None or (len(names) == n_features and all(isinstance(name, str) for name in names)),
            "training": isinstance(manifest["training"], dict) and "speakers" in manifest["training"],
            "extractor": isinstance(manifest["extractor"], (dict, type(None))),
            "interval_reason": isinstance(self.interval_reason_, (str, type(None))),
            "n_features": scaling.medians.shape == scaling.indicated.shape == (n_features,),
            "scaling": scaling.centre.shape == scaling.spread.shape == scaling.weight.shape == shape,
            "quantiles": quantiles is None or quantiles.shape == (n_features, 21),
            "distances": self.likeness_.distances.ndim == 1,
        }

    def _n_outputs(self) -> int:
        raise NotImplementedError

    def _check_network(self) -> dict[str, bool]:
        return {
            "network's input": self.network_.inputs[0].shape[-1] == len(self.scaling_.centre),
            "network's output": self.network_.outputs[0].shape[-1] == self._n_outputs(),
        }

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


def _check_whole(name: str, value: Any, least: int) -> None:
    if not isinstance(value, Integral) or isinstance(value, bool) or value < least:
        raise ParameterError(f"{name} is {value!r}; expected a whole number of at least {least}")


def _is_number(value: Any) -> bool:
    return isinstance(value, Real) and not isinstance(value, bool)


def _names(inputs: Inputs) -> list[str]:
    return inputs.names or ["array"] * inputs.rows.shape[1]


def _families(inputs: Inputs, scaling: Scaling) -> tuple[str, ...]:
    """Of every input of the network: of each column, then of each missing-indicator."""
    found = np.array([name.split("__")[0] for name in _names(inputs)])
    return tuple(np.concatenate([found, found[scaling.indicated]]).tolist())


def _units(labels: NDArray[Any], speakers: NDArray[Any] | None) -> NDArray[Any]:
    return np.arange(len(labels)) if speakers is None else speakers


def _material(inputs: Inputs, targets: Targets, scaling: Scaling) -> training.Material:
    return training.Material(scaling.transform(inputs.rows), inputs.lengths, targets.values, targets.weights)


def _compare_settings(trained: Any, given: Any, what: str) -> None:
    if trained is not None and given is not None:
        differences = compare_settings(trained, given)
        if differences:
            raise ParameterError(f"{what}: {'; '.join(differences[:5])}")


def _summary(table: pd.DataFrame) -> dict[str, float]:
    """Quality of one recording, over its windows."""
    quality = table[[name for name in table.columns if name.startswith(QUALITY_PREFIX)]]
    summary = {str(name).removeprefix(QUALITY_PREFIX): float(mean) for name, mean in quality.mean().items()}
    start, end = table.index.get_level_values("start"), table.index.get_level_values("end")
    # windows may overlap, and then their durations add up to more than was recorded
    summary["duration_s"] = float(
        np.fmin(quality[QUALITY_PREFIX + "duration_s"].sum(), (end.max() - start.min()).total_seconds())
    )
    return summary


def _to_plain(value: Any) -> Any:
    """Turn a parameter into plain JSON types."""
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, tuple):
        return {"tuple": [_to_plain(entry) for entry in value]}
    if isinstance(value, dict):
        return {"pairs": [[_to_plain(key), _to_plain(entry)] for key, entry in value.items()]}
    return value


def _from_plain(value: Any) -> Any:
    """Undo `_to_plain`."""
    if not isinstance(value, dict):
        return value
    if "tuple" in value:
        return tuple(_from_plain(entry) for entry in value["tuple"])
    return {key: _from_plain(entry) for key, entry in value["pairs"]}
