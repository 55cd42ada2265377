"""Exported files at work: numpy and one small runtime, no Keras and no TensorFlow in the process."""

from __future__ import annotations

import copy
import hashlib
import json
import os
import zipfile
from collections.abc import Callable, Iterator, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from vocalbio.errors import ModelFileError, ParameterError, required_for
from vocalbio.export.pieces import cut

__all__ = ["FORMAT", "MEMBER", "SUFFIXES", "EncoderRunner", "ModelRunner"]

FORMAT = 1
MEMBER = "vocalbio.json"
"""The description: a file in the zip at the end of a LiteRT model, an entry of an ONNX model's metadata."""
SUFFIXES = {"litert": ".tflite", "onnx": ".onnx"}


class _Runner:
    """
    A file, its description and its runtime.

    Parameters
    ----------
    path : path-like
        Ending in ``.tflite`` (needs ``ai-edge-litert``) or ``.onnx`` (needs ``onnxruntime``).
    n_threads : int, optional
        Unless given, as many as there are cores for this process.

    Raises
    ------
    ModelFileError
        If the file is missing, damaged, no export of vocalbio's, or of the other kind.
    MissingPackageError
        If the runtime is not installed.
    """

    kinds: tuple[str, ...] = ()

    def __init__(self, path: str | os.PathLike[str], *, n_threads: int | None = None) -> None:
        self.path = Path(path)
        if n_threads is not None and (not isinstance(n_threads, int) or isinstance(n_threads, bool) or n_threads < 1):
            raise ParameterError(f"n_threads is {n_threads!r}; expected None or a whole number of at least 1")
        if not self.path.is_file():
            raise ModelFileError(f"{self.path} does not exist; check the path")
        if self.path.suffix not in SUFFIXES.values():
            raise ModelFileError(f"{self.path} ends in {self.path.suffix!r}; expected {' or '.join(SUFFIXES.values())}")
        open_file = _LiteRT if self.path.suffix == SUFFIXES["litert"] else _Onnx
        self._runtime = open_file(self.path, n_threads or len(os.sched_getaffinity(0)))
        self.metadata = self._read(self._runtime.text)
        if self.metadata["kind"] not in self.kinds:
            raise ModelFileError(
                f"{self.path} holds a model of kind {self.metadata['kind']!r}; {type(self).__name__} runs "
                f"{' or '.join(map(repr, self.kinds))}"
            )

    def _read(self, text: str | None) -> dict[str, Any]:
        try:
            metadata = json.loads(text or "null")
            version = metadata["format"]
            if not isinstance(version, int) or not isinstance(metadata["kind"], str):
                raise ValueError
        except (KeyError, TypeError, ValueError) as error:
            raise ModelFileError(
                f"{self.path} was not exported by vocalbio: it holds no description ({MEMBER}). Expected a file that "
                "the export method of an encoder or a model wrote"
            ) from error
        if version > FORMAT:
            raise ModelFileError(
                f"{self.path} has format {version}; this vocalbio reads format {FORMAT}: pip install -U vocalbio"
            )
        return dict(metadata)

    def run(self, values: NDArray[np.float32]) -> dict[str, NDArray[np.float32]]:
        """
        Run the graph as it is.

        Parameters
        ----------
        values : numpy.ndarray of float32
            Of the shape that ``metadata["input"]`` tells.

        Returns
        -------
        dict of str to numpy.ndarray
            By the names in ``metadata["outputs"]``.
        """
        return self._runtime.run(np.ascontiguousarray(values, np.float32))


class _LiteRT:
    def __init__(self, path: Path, n_threads: int) -> None:
        with required_for("running a LiteRT file", "vocalbio[litert]"):
            from ai_edge_litert.interpreter import Interpreter
        self.text: str | None = None
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                if MEMBER in archive.namelist():
                    self.text = archive.read(MEMBER).decode(errors="replace")
        try:
            self._interpreter = Interpreter(str(path), num_threads=n_threads)
        except (RuntimeError, ValueError) as error:
            raise _damaged(path, error) from error
        (self._signature,) = self._interpreter.get_signature_list().values()
        self._run = self._interpreter.get_signature_runner()

    def run(self, values: NDArray[np.float32]) -> dict[str, NDArray[np.float32]]:
        (name,) = self._signature["inputs"]
        return dict(self._run(**{name: values}))  # plans anew where the length is another


class _Onnx:
    def __init__(self, path: Path, n_threads: int) -> None:
        with required_for("running an ONNX file", "vocalbio[onnx]"):
            import onnxruntime
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = n_threads
        options.log_severity_level = 3
        try:
            self._session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        except Exception as error:  # the runtime's own kinds, which share no base
            raise _damaged(path, error) from error
        self.text = self._session.get_modelmeta().custom_metadata_map.get(MEMBER)
        self._input = self._session.get_inputs()[0].name
        self._outputs = [output.name for output in self._session.get_outputs()]

    def run(self, values: NDArray[np.float32]) -> dict[str, NDArray[np.float32]]:
        found = self._session.run(self._outputs, {self._input: values})
        return dict(zip(self._outputs, found, strict=True))


def _damaged(path: Path, error: Exception) -> ModelFileError:
    text = (str(error).strip() or type(error).__name__).splitlines()[0]
    return ModelFileError(f"{path} is no model of its kind, or it is damaged ({text}); copy or export it again")


class EncoderRunner(_Runner):
    """
    A speech encoder from a file: samples in, hidden states out.

    Pools and cuts as `vocalbio.encoders.inference.Inference`, and gives its numbers.

    Parameters
    ----------
    path : path-like
        What `SpeechEncoder.export` wrote.
    n_threads : int, optional
        Unless given, as many as there are cores for this process.

    Attributes
    ----------
    metadata : dict
        What the file tells of itself.
    layers : list of int
        Hidden states that are given.
    weights : str
        Identity of the file: ``"sha256:"`` and 16 hexadecimal digits.

    Raises
    ------
    ModelFileError
        If the file is missing, damaged, or no encoder exported by vocalbio.
    MissingPackageError
        If its runtime is not installed.

    Examples
    --------
    >>> import tempfile
    >>> import numpy as np
    >>> from vocalbio.encoders import TFWhisperEncoder
    >>> from vocalbio.export import EncoderRunner
    >>> path = tempfile.mkdtemp() + "/tiny.tflite"
    >>> TFWhisperEncoder({"d_model": 16, "encoder_layers": 2, "encoder_attention_heads": 2,
    ...     "encoder_ffn_dim": 32}).export(path)
    >>> states, times_s = EncoderRunner(path).frames(np.zeros(16_000, "float32"))
    >>> states.shape
    (50, 1, 16)
    """

    kinds = ("encoder",)

    def __init__(self, path: str | os.PathLike[str], *, n_threads: int | None = None) -> None:
        super().__init__(path, n_threads=n_threads)
        self.layers: list[int] = list(self.metadata["layers"])
        self._average = False

    @property
    def config(self) -> dict[str, Any]:
        """As in the checkpoint: architecture and sizes."""
        return dict(self.metadata["config"])

    @cached_property
    def weights(self) -> str:
        """The identity of the file, wherever it lies."""
        with open(self.path, "rb") as file:
            return f"sha256:{hashlib.file_digest(file, 'sha256').hexdigest()[:16]}"

    def choose(self, layers: Sequence[int], *, average: bool = False) -> Self:
        """
        Give some of the layers only, from the same file.

        Parameters
        ----------
        layers : sequence of int
        average : bool
            Their mean, as if it were one layer.

        Returns
        -------
        EncoderRunner

        Raises
        ------
        ParameterError
            If the file does not hold them.
        """
        absent = [layer for layer in layers if layer not in self.metadata["layers"]]
        if absent or not len(layers):
            raise ParameterError(
                f"layers are {list(layers)}; {self.path} holds {', '.join(map(str, self.metadata['layers']))}. Others "
                "are added by export(..., layers=...)"
            )
        chosen = copy.copy(self)
        chosen.layers, chosen._average = list(layers), average
        return chosen

    def pool(
        self, recordings: Sequence[NDArray[np.float32]], advance: Callable[[int], Any] | None = None
    ) -> list[tuple[NDArray[np.float32], NDArray[np.float32]]]:
        """
        Mean and standard deviation over the frames of each recording.

        Parameters
        ----------
        recordings : sequence of numpy.ndarray of float32, shape (n_samples,)
            Mono, 16 kHz.
        advance : callable, optional
            Told the number of recordings that are done.

        Returns
        -------
        list of (means, deviations)
            Each of shape (n_layers, hidden_size); deviations divide by the number of frames.

        Raises
        ------
        ParameterError
            If a recording is too short for one frame.
        """
        found = []
        for samples in recordings:
            n, mean, square = 0, np.zeros(1), np.zeros(1)
            for states in self._parts(samples):
                own = states.mean(axis=1, dtype=float)
                n += states.shape[1]
                step = own - mean
                share = states.shape[1] / n
                square = square * (1 - share) + share * (states.var(axis=1, dtype=float) + step**2 * (1 - share))
                mean = mean + share * step
            found.append((mean.astype(np.float32), np.sqrt(square).astype(np.float32)))
            if advance is not None:
                advance(1)
        return found

    def frames(self, samples: NDArray[np.float32]) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
        """
        States over time.

        Parameters
        ----------
        samples : numpy.ndarray of float32, shape (n_samples,)
            Mono, 16 kHz.

        Returns
        -------
        states : numpy.ndarray of float32, shape (n_frames, n_layers, hidden_size)
        times_s : numpy.ndarray, shape (n_frames,)
            Centre of what the convolutions see for each frame.

        Raises
        ------
        ParameterError
            If the recording is too short for one frame.
        """
        states = np.concatenate(list(self._parts(samples)), axis=1).transpose(1, 0, 2)
        facts = self.metadata
        return states, (np.arange(len(states)) * facts["frame_hop"] + facts["frame_centre"]) / facts["sampling_rate_hz"]

    def _parts(self, samples: NDArray[np.float32]) -> Iterator[NDArray[np.float32]]:
        """States of a recording, piece by piece, (n_layers, n_frames, hidden_size)."""
        samples = np.asarray(samples, np.float32)
        least = self.metadata["fewest_samples"]
        if samples.ndim != 1 or len(samples) < least:
            raise ParameterError(f"samples have shape {samples.shape}; expected (n_samples,), at least {least}")
        if self.metadata["normalize"]:  # over the whole recording, never by piece
            samples = (samples - samples.mean()) / np.sqrt(samples.var() + 1e-7)
        which = [self.metadata["layers"].index(layer) for layer in self.layers]
        for piece in cut(len(samples), self):
            states = self.run(samples[None, piece.start : piece.end])["states"][which, piece.first : piece.last]
            yield states.mean(axis=0, keepdims=True) if self._average else states

    @property
    def chunk_s(self) -> float:
        """Longer recordings are cut into pieces of this length."""
        return float(self.metadata["chunk_s"])

    @property
    def frame_hop(self) -> int:
        """Samples from one frame to the next."""
        return int(self.metadata["frame_hop"])

    def frame_count(self, n_samples: int) -> int:
        """Frames of a recording of so many samples."""
        for size, stride in self.metadata["convolutions"]:
            n_samples = (n_samples - size) // stride + 1
        return n_samples


class ModelRunner(_Runner):
    """
    A risk model from a file: features in, calibrated probabilities or a severity out.

    Imputation, missing-indicators, scaling, network and calibration are all inside. Intervals, reasons for doubt and
    features from audio are not: those need `vocalbio.RiskModel`.

    Parameters
    ----------
    path : path-like
        What `export` of a `RiskModel`, `SeverityModel` or `WindowModel`, or `export_end_to_end`, wrote.
    n_threads : int, optional
        Unless given, as many as there are cores for this process.

    Attributes
    ----------
    metadata : dict
        What the file tells of itself: condition, classes, columns in their order, threshold, how features were
        extracted, training cohort, licence.

    Raises
    ------
    ModelFileError
        If the file is missing, damaged, or no model exported by vocalbio.
    MissingPackageError
        If its runtime is not installed.

    Examples
    --------
    >>> import tempfile
    >>> import numpy as np
    >>> from vocalbio import RiskModel
    >>> from vocalbio.export import ModelRunner
    >>> rng = np.random.default_rng(0)
    >>> X, y, speakers = rng.normal(size=(60, 4)), np.arange(60) % 2, np.arange(60) // 6
    >>> model = RiskModel("depression", preset="small", interval_folds=0, random_state=0, epochs=1)
    >>> path = tempfile.mkdtemp() + "/tiny.tflite"
    >>> model.fit(X, y, groups=speakers).export(path)
    >>> bool(np.abs(ModelRunner(path).predict(X) - model.predict_proba(X)).max() < 1e-5)
    True
    """

    kinds = ("RiskModel", "SeverityModel", "WindowModel", "EndToEnd")

    def predict(self, values: Any) -> NDArray[np.float32]:
        """
        Probabilities, or severities.

        Parameters
        ----------
        values : array_like or sequence of array_like
            A table of shape (n_samples, n_features), columns in the order of ``metadata["columns"]``, NaN for what is
            missing. For a model of sequences a list of such tables, (n_segments, n_features) each. For a model of
            nights samples at 16 kHz, ``((n_seconds + 2 * context_s) * 16000,)``, NaN where nothing was recorded. For an
            end-to-end network a list of recordings, samples at 16 kHz.

        Returns
        -------
        numpy.ndarray of float32
            Shape (n_samples, n_classes) in the order of ``metadata["classes"]``, or (n_samples,) severities; NaN for
            samples that hold nothing.

        Raises
        ------
        ParameterError
            If the shape is not that of the model.
        """
        return self._ask(values, self.metadata["outputs"][0])

    def predict_score(self, values: Any) -> NDArray[np.float32]:
        """
        The condition's 0-100 score.

        Parameters
        ----------
        values : as in `predict`

        Returns
        -------
        numpy.ndarray of float32, shape (n_samples,)

        Raises
        ------
        ParameterError
            If the condition has no score.
        """
        if "score" not in self.metadata["outputs"]:
            raise ParameterError(f"condition {self.metadata['condition']!r} has no 0-100 score here; use predict")
        return self._ask(values, "score")

    def _ask(self, values: Any, output: str) -> NDArray[np.float32]:
        if self.metadata["takes"] == "rows":
            rows = self._table(values)
            found = self.run(rows)[output]
            found[np.isnan(rows).all(axis=1)] = np.nan
            return found
        takes = self.metadata["takes"]
        if takes == "samples":
            parts = self._samples(values)
        else:
            parts = (self._table(one) if takes == "sequences" else self._recording(one) for one in values)
        answers = [self.run(part)[output] for part in parts]
        return np.concatenate([np.empty((0, *self.metadata["answer"]), np.float32), *answers])

    def _table(self, values: Any) -> NDArray[np.float32]:
        rows = np.asarray(values, np.float32)
        n_features = self.metadata["n_features"]
        if rows.ndim != 2 or rows.shape[1] != n_features or np.isinf(rows).any():
            raise ParameterError(
                f"values have shape {rows.shape}; expected (n, {n_features}) of finite numbers or NaN, columns in the "
                'order of metadata["columns"]'
            )
        return rows

    def _recording(self, values: Any) -> NDArray[np.float32]:
        samples = np.asarray(values, np.float32)
        least = self.metadata["fewest_samples"]
        if samples.ndim != 1 or len(samples) < least:
            raise ParameterError(f"samples have shape {samples.shape}; expected (n_samples,), at least {least}")
        return samples[None]

    def _samples(self, values: Any) -> Iterator[NDArray[np.float32]]:
        samples = np.asarray(values, np.float32)
        rate = self.metadata["sampling_rate_hz"]
        around = 2 * self.metadata["context_s"]
        n_seconds = samples.size // rate - around
        if samples.ndim != 1 or samples.size % rate or n_seconds < 0:
            raise ParameterError(
                f"samples have shape {samples.shape}; expected ((n_seconds + {around}) * {rate},): whole seconds"
            )
        return (samples[second * rate : (second + around + 1) * rate] for second in range(n_seconds))
