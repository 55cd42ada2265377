"""SpeechEncoder: what all encoders offer, from checkpoints to states of recordings of any length."""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Iterator, Sequence
from typing import Any, ClassVar, NamedTuple, Self

import keras
import numpy as np
from keras import ops
from numpy.typing import NDArray

from vocalbio.encoders.checkpoint import Checkpoint, open_checkpoint, write_checkpoint
from vocalbio.encoders.layers import Weight
from vocalbio.errors import ModelFileError, ParameterError, VocalbioWarning

__all__ = ["EncoderOutput", "SpeechEncoder"]

FAR = -1e9
"""Added to attention scores of frames that do not exist: their weight is then exactly 0 in float32."""


class EncoderOutput(NamedTuple):
    """
    States of a batch.

    Attributes
    ----------
    last_hidden_state : tensor
        Shape (batch, n_frames, hidden_size); 0 in frames that lie in the padding.
    hidden_states : tuple of tensor
        The embedding and the output of every layer, if asked for; else empty.
    frame_mask : tensor of bool
        Shape (batch, n_frames), True where a frame saw real samples only.
    """

    last_hidden_state: Any
    hidden_states: tuple[Any, ...]
    frame_mask: Any

    @classmethod
    def of(cls, states: list[Any], mask: Any, every: bool) -> EncoderOutput:
        """Put states together. No part is None, so that encoders can stand in a functional Keras model."""
        last = states[-1]
        return cls(last, tuple(states) if every else (), ops.ones_like(last[..., 0], "bool") if mask is None else mask)


class SpeechEncoder(keras.Model):
    """
    Base of the encoders.

    Parameters
    ----------
    config : transformers.PretrainedConfig or dict
        As in the checkpoint's ``config.json``.
    preprocessor : dict, optional
        As in the checkpoint's ``preprocessor_config.json``.

    Attributes
    ----------
    config : transformers.PretrainedConfig
    checkpoint : Checkpoint or None
        Where the weights come from.
    n_frozen : int
        How many of `parts` training leaves as they are, from the front; see `freeze`.
    n_layers, hidden_size : int
        `hidden_states` are ``n_layers + 1``: number 0 enters the first layer.
    """

    model_type: ClassVar[str]
    prefixes: ClassVar[tuple[str, ...]]
    """What may stand before the names of this encoder's weights in a checkpoint."""
    ignored: ClassVar[tuple[str, ...]] = ()
    """Weights of a checkpoint that only pre-training needs."""
    chunk_s: ClassVar[float]
    """Longer recordings are cut into pieces of this length."""

    def __init__(self, config: Any, preprocessor: dict[str, Any] | None = None, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.autocast = False  # samples stay float32 in mixed precision; every layer casts for itself
        self.config = self._read_config(config)
        self.checkpoint: Checkpoint | None = None
        self.preprocessor: dict[str, Any] = preprocessor or {}
        self.n_frozen = 0

    # ----------------------------------------------------------- architecture

    @classmethod
    def _read_config(cls, config: Any) -> Any:
        """Configuration class of transformers from whatever was given."""
        raise NotImplementedError

    def _named_weights(self) -> list[Weight]:
        """Every variable with its name in a checkpoint, in the checkpoint's order."""
        return [
            weight for layer in self._flatten_layers(include_self=False) for weight in getattr(layer, "tensors", list)()
        ]

    @property
    def n_layers(self) -> int:
        """Transformer layers."""
        return int(self.config.num_hidden_layers)

    @property
    def hidden_size(self) -> int:
        """Size of a state."""
        return int(self.config.hidden_size)

    def frame_count(self, n_samples: Any) -> Any:
        """Frames of a recording of so many samples."""
        raise NotImplementedError

    frame_hop: ClassVar[int] = 320
    """Samples from frame to frame: 20 ms."""
    frame_centre: ClassVar[float]
    """Samples from the start of a recording to the centre of its first frame."""
    fewest_samples: ClassVar[int]
    """Shorter recordings have no frame."""

    def get_config(self) -> dict[str, Any]:
        """The configuration, for `from_config`."""
        return {"config": self.config.to_dict(), "preprocessor": dict(self.preprocessor), "name": self.name}

    # ------------------------------------------------------------ checkpoints

    @classmethod
    def from_pretrained(
        cls, name_or_path: str | os.PathLike[str], *, revision: str | None = None, local_files_only: bool = False
    ) -> Self:
        """
        Load a Hugging Face checkpoint, without PyTorch.

        Parameters
        ----------
        name_or_path : str or path-like
            ``"compact"``, which is in the wheel; a folder; or the name of a repository on the Hub, looked for in the
            local cache first, then downloaded.
        revision : str, optional
            Branch, tag or commit of the repository.
        local_files_only : bool
            Never ask the Hub.

        Returns
        -------
        SpeechEncoder

        Raises
        ------
        ModelUnavailableError
            If there is no such checkpoint here or within reach.
        ModelFileError
            If its files are damaged, or of another architecture.
        """
        return cls.from_checkpoint(open_checkpoint(name_or_path, revision=revision, local_files_only=local_files_only))

    @classmethod
    def from_checkpoint(cls, checkpoint: Checkpoint) -> Self:
        """
        Load a checkpoint that was opened already.

        Parameters
        ----------
        checkpoint : Checkpoint

        Returns
        -------
        SpeechEncoder
        """
        found = checkpoint.config.get("model_type")
        if found != cls.model_type:
            raise ModelFileError(
                f"{checkpoint.name} is of type {found!r}; {cls.__name__} reads {cls.model_type!r}. "
                "vocalbio.encoders.load_encoder chooses by itself"
            )
        model = cls(checkpoint.config)
        model._load(checkpoint)
        return model

    def _load(self, checkpoint: Checkpoint) -> None:
        waiting = {weight.name: weight for weight in self._named_weights()}
        unknown = []
        for name, array in self._merged(checkpoint.tensors()):
            own = next((n for n in self._own_names(name) if n in waiting), None)
            if own is None:
                unknown.append(name)
                continue
            weight = waiting.pop(own)
            if array.shape != weight.shape:
                raise ModelFileError(
                    f"{checkpoint.name}: {name} has shape {array.shape}; its config.json asks for {weight.shape}"
                )
            weight.read(array)
        missing = [name for name in waiting if name not in self._optional()]
        if missing:
            raise ModelFileError(
                f"{checkpoint.name} lacks {len(missing)} weights of {type(self).__name__}, such as "
                f"{', '.join(missing[:3])}; is it a checkpoint of another architecture?"
            )
        told = sorted({".".join(n.split(".")[:2]) for n in unknown if not n.startswith(self.ignored)})
        if told:
            warnings.warn(
                f"{checkpoint.name}: ignored what {type(self).__name__} has no place for, such as the head of a "
                f"fine-tuned model: {', '.join(told[:6])}{', …' if len(told) > 6 else ''}",
                VocalbioWarning,
                stacklevel=4,
            )
        self.checkpoint, self.preprocessor = checkpoint, checkpoint.preprocessor or {}

    def _own_names(self, name: str) -> list[str]:
        """What a name in a checkpoint may be here."""
        return [name.removeprefix(prefix) for prefix in ("", *self.prefixes) if name.startswith(prefix)]

    def _merged(self, tensors: Iterator[tuple[str, NDArray[np.float32]]]) -> Iterator[tuple[str, NDArray[np.float32]]]:
        """Tensors of a checkpoint in the form of our variables."""
        return tensors

    def _optional(self) -> set[str]:
        """Weights that a checkpoint may lack."""
        return set()

    def save_pretrained(self, folder: str | os.PathLike[str]) -> None:
        """
        Write a Hugging Face checkpoint that PyTorch's model loads.

        Parameters
        ----------
        folder : path-like
            ``config.json``, ``model.safetensors`` (float32) and ``preprocessor_config.json`` are written there.
        """
        write_checkpoint(folder, self._written_config(), self._written(), self._written_preprocessor())

    def export(
        self,
        path: str | os.PathLike[str],
        format: str = "litert",
        quantize: str | None = None,
        *,
        layers: int | str | Sequence[int] = "last",
    ) -> None:
        """
        Write a file that other runtimes execute: samples in, hidden states out.

        `vocalbio.export.EncoderRunner` and ``Embedding(path)`` run it without TensorFlow. Recordings of any length have
        the states that they have here; the spectrogram, if there is one, is inside.

        Parameters
        ----------
        path : path-like
            Ending in ``.tflite`` or ``.onnx``.
        format : {"litert", "onnx"}
        quantize : {None, "int8"}
            Weights of eight bits: a quarter of the size. ``docs/export.md`` tells how far states move.
        layers : int, "last", "all" or sequence of int
            Hidden states to give; what lies above the highest is left out of the file.

        Raises
        ------
        ParameterError
            If an argument is wrong, or this encoder has no exported form.
        MissingPackageError
            If a package that the format needs is absent.
        """
        from vocalbio.export.encoding import export_encoder

        export_encoder(self, path, format, quantize, layers)

    def _written(self) -> dict[str, NDArray[np.float32]]:
        """Names and arrays of a checkpoint of PyTorch's class."""
        return {weight.name: weight.write() for weight in self._named_weights()}

    def _written_config(self) -> dict[str, Any]:
        return {**self.config.to_dict(), "dtype": "float32"}

    def _written_preprocessor(self) -> dict[str, Any] | None:
        return self.preprocessor or None

    # -------------------------------------------------------------- inference

    @property
    def normalizes(self) -> bool:
        """Whether the encoder was trained on recordings of mean 0 and variance 1."""
        return False

    def normalize(self, samples: NDArray[np.float32]) -> NDArray[np.float32]:
        """Samples of a whole recording in the form that the encoder was trained on."""
        if not self.normalizes:
            return samples
        return (samples - samples.mean()) / np.sqrt(samples.var() + 1e-7)

    def states(
        self, waveforms: Any, lengths: Any, layers: Sequence[int], training: bool = False
    ) -> tuple[list[Any], Any]:
        """
        States of some layers; nothing is computed beyond the highest, nothing kept of the others.

        Parameters
        ----------
        waveforms : tensor of float32, shape (batch, n_samples)
            Normalised, padded on the right with zeros.
        lengths : tensor of int32, shape (batch,), or None
            Real samples of each; None: all.
        layers : sequence of int
            0 to `n_layers`.

        Returns
        -------
        states : list of tensor, shape (batch, n_frames, hidden_size)
            One a layer asked for.
        frame_mask : tensor of bool, shape (batch, n_frames), or None
        """
        x, mask = self.embed(waveforms, lengths, training)
        return self.transform(x, mask, layers, training), mask

    def embed(
        self, waveforms: Any, lengths: Any, training: bool = False, augment: Callable[..., Any] | None = None
    ) -> tuple[Any, Any]:
        """
        What enters the first layer.

        Parameters
        ----------
        waveforms, lengths, training
            As in `states`.
        augment : callable, optional
            Changes features (batch, n_steps, n_features) before they are encoded; it is also given the number of real
            steps (batch,) or None, and what to put in the place of a step, (n_features,) or None.

        Returns
        -------
        states : tensor, shape (batch, n_frames, hidden_size)
        frame_mask : tensor of bool, shape (batch, n_frames), or None
        """
        raise NotImplementedError

    def transform(self, x: Any, mask: Any, layers: Sequence[int], training: bool = False, first: int = 0) -> list[Any]:
        """
        Go on from the state of one layer to those of layers above.

        Parameters
        ----------
        x : tensor, shape (batch, n_frames, hidden_size)
        mask : tensor of bool, shape (batch, n_frames), or None
        layers : sequence of int
            `first` to `n_layers`.
        training : bool
        first : int
            The layer that `x` is the state of.

        Returns
        -------
        list of tensor, shape (batch, n_frames, hidden_size)
        """
        bias = self._bias(x, mask)
        kept = {}
        for number in range(first, max(layers) + 1):
            if number > first:
                part = number + 1
                x = self._held(self.blocks[number - 1](x, bias, training=training and part >= self.n_frozen), part)
            if number in layers:
                state = x
                for norm in self._last_norms() if number == self.n_layers else ():
                    state = self._held(norm(state), self.n_layers + 2)
                kept[number] = hide(state, mask)
        return [kept[number] for number in layers]

    def _bias(self, x: Any, mask: Any) -> Any:
        """What every attention is given: keys that do not exist are far below the others."""
        return None if mask is None else ops.where(mask, 0.0, FAR)[:, None, None, :]

    # --------------------------------------------------------------- training

    def freeze(self, part: str | int | None) -> None:
        """
        Choose what training leaves as it is. No gradient is computed there, and no dropout happens.

        Parameters
        ----------
        part : {"front", "all"}, int or None
            ``"front"``: the convolutions that hear the samples, or the spectrogram; a number: all that comes before the
            first layer, and that many layers; ``"all"``; None: nothing.

        Raises
        ------
        ParameterError
            If there is no such part.

        Examples
        --------
        >>> from vocalbio.encoders import TFWhisperEncoder
        >>> model = TFWhisperEncoder({"d_model": 16, "encoder_layers": 2, "encoder_attention_heads": 2,
        ...     "encoder_ffn_dim": 32})
        >>> model.freeze(1)
        >>> sorted({weight.path.split("_")[0] for weight in model.trainable_weights}), model.n_frozen
        (['layer', 'layers'], 3)
        """
        numbers = {None: 0, "front": 1, "all": self.n_layers + 3} | {k: k + 2 for k in range(self.n_layers + 1)}
        if isinstance(part, bool) or not isinstance(part, (str, int, type(None))) or part not in numbers:
            raise ParameterError(
                f"freeze is {part!r}; expected None, 'front', 'all' or a number of layers, 0 to {self.n_layers}"
            )
        self.n_frozen = numbers[part]
        for number, layers in enumerate(self.parts()):
            for layer in layers:
                layer.trainable = number >= self.n_frozen

    def parts(self) -> list[list[Any]]:
        """Keras layers from the samples up: front, what makes the first state of it, each layer, the last norm."""
        front, last = self._front(), self._last_norms()
        apart = {id(layer) for layer in (*front, *last, *self.blocks)}
        own = self._flatten_layers(include_self=False, recursive=False)
        between = [layer for layer in own if id(layer) not in apart]
        return [front, between, *([block] for block in self.blocks), last]

    def _front(self) -> list[Any]:
        """Convolutions that hear the samples, or the spectrogram."""
        raise NotImplementedError

    def _last_norms(self) -> list[Any]:
        """What only the last state goes through."""
        raise NotImplementedError

    def _held(self, x: Any, part: int) -> Any:
        """No gradient goes back into what is frozen."""
        return ops.stop_gradient(x) if part < self.n_frozen else x


def spread(lengths: Any, n: Any) -> Any:
    """Mask of shape (batch, n): True below each length."""
    return ops.arange(n)[None, :] < ops.cast(lengths, "int32")[:, None]


def hide(states: Any, mask: Any) -> Any:
    """Zeros where nothing is."""
    return states if mask is None else ops.where(mask[..., None], states, 0.0)
