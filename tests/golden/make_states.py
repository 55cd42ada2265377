"""Golden states of PyTorch's encoders; make them anew, with PyTorch installed: python tests/golden/make_states.py.

One .npz a configuration: configuration, weights, the states of every layer, and the versions that made them; the inputs
are a formula. The tests read them with `read_golden`, and where PyTorch is installed compare with `Reference` itself.

The state of the last layer is `last_hidden_state`. So is `hidden_states[-1]` in transformers 4; in transformers 5
that of the stable variants lacks the last normalisation.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

FOLDER = Path(__file__).parent
COMPACT = FOLDER.parents[1] / "vocalbio" / "encoders" / "shipped" / "compact"
RATE = 16_000
TINY = {
    "hidden_size": 16,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "intermediate_size": 24,
    "conv_dim": [8, 12, 8, 12, 8, 12, 8],
    "num_conv_pos_embeddings": 8,
    "num_conv_pos_embedding_groups": 4,
}
TINY_WHISPER = {
    "d_model": 8,
    "encoder_layers": 3,
    "encoder_attention_heads": 2,
    "encoder_ffn_dim": 24,
    "decoder_layers": 1,
    "decoder_attention_heads": 2,
    "decoder_ffn_dim": 8,
    "max_target_positions": 8,
    "vocab_size": 16,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "decoder_start_token_id": 1,
}
STABLE = {"feat_extract_norm": "layer", "do_stable_layer_norm": True}
CONFIGURATIONS: dict[str, tuple[str, dict[str, Any]]] = {
    "wav2vec2_base": ("Wav2Vec2Model", TINY),
    "wav2vec2_large": ("Wav2Vec2Model", {**TINY, **STABLE, "conv_bias": True}),
    # whatever a configuration may change besides
    "wav2vec2_odd": (
        "Wav2Vec2Model",
        {
            **TINY,
            "conv_bias": True,
            "num_conv_pos_embeddings": 9,
            "num_conv_pos_embedding_groups": 2,
            "hidden_act": "relu",
            "feat_extract_activation": "silu",
            "layer_norm_eps": 1e-2,
            "conv_kernel": [10, 3, 3, 3, 3, 2, 3],
            "mask_time_prob": 0.0,
        },
    ),
    "wav2vec2_mixed": ("Wav2Vec2Model", {**TINY, "do_stable_layer_norm": True, "hidden_act": "gelu_new"}),
    "hubert_base": ("HubertModel", TINY),
    "hubert_large": ("HubertModel", {**TINY, **STABLE, "conv_bias": True, "feat_proj_layer_norm": False}),
    # few buckets, so that half a second of frames meets all kinds: single distances, wide ones, and beyond the farthest
    "wavlm_base": ("WavLMModel", {**TINY, "num_buckets": 16, "max_bucket_distance": 15}),
    "wavlm_large": ("WavLMModel", {**TINY, **STABLE, "num_buckets": 17, "max_bucket_distance": 40}),
    "emotion": (
        "Emotion",
        {
            **TINY,
            **STABLE,
            "conv_bias": True,
            "id2label": {"0": "arousal", "1": "dominance", "2": "valence"},
            "label2id": {"arousal": 0, "dominance": 1, "valence": 2},
        },
    ),
    "whisper_80": ("WhisperForConditionalGeneration", TINY_WHISPER),
    "whisper_128": (
        "WhisperModel",
        {
            **TINY_WHISPER,
            "num_mel_bins": 128,
            "max_source_positions": 40,
            "activation_function": "relu",
            "scale_embedding": True,
        },
    ),
}
LENGTHS = (8_000, 5_300)
EVERY = {"whisper_80": 25, "whisper_base": 250, "compact": 8}
"""30 s have 1,500 frames; attention brings each to all, so a few tell of all."""


@dataclass(frozen=True)
class Golden:
    """
    What is frozen of one configuration.

    Attributes
    ----------
    config : dict
        As in config.json.
    tensors : dict of str to numpy.ndarray
        As PyTorch names them.
    inputs : numpy.ndarray of float32
        Waveforms of shape (batch, n_samples), or mel spectrograms of shape (batch, n_mels, n_frames).
    states, masked : list of numpy.ndarray
        By layer, without a mask, and with one that leaves LENGTHS (empty where PyTorch lets padding leak).
    scores, pooled : numpy.ndarray or None
        Of the emotion model.
    rounding : numpy.ndarray or None
        By layer, how far PyTorch is from `states` where these are exact.
    """

    config: dict[str, Any]
    tensors: dict[str, NDArray[Any]]
    inputs: NDArray[np.float32]
    states: list[NDArray[np.float32]]
    masked: list[NDArray[np.float32]]
    scores: NDArray[np.float32] | None
    pooled: NDArray[np.float32] | None
    rounding: NDArray[np.float64] | None


def read_golden(name: str) -> Golden:
    with np.load(FOLDER / f"{name}.npz") as file:
        found = {key: file[key] for key in file.files}

    def numbered(kind: str) -> list[Any]:
        return [found[f"{kind}:{layer}"] for layer in range(sum(key.startswith(f"{kind}:") for key in found))]

    config = json.loads(str(found["config"]))
    return Golden(
        config,
        {key.removeprefix("tensor:"): values for key, values in found.items() if key.startswith("tensor:")},
        inputs_of(config),
        numbered("state"),
        numbered("masked"),
        found.get("scores"),
        found.get("pooled"),
        found.get("rounding"),
    )


def bound(expected: Any) -> float:
    """What DESIGN.md allows a state to differ by."""
    return max(1e-4, 1e-5 * float(np.abs(expected).max()))


def assert_states(found: Sequence[Any], expected: Sequence[Any]) -> None:
    """Every layer within the bound."""
    assert len(found) == len(expected)
    for layer, (own, other) in enumerate(zip(found, expected, strict=True)):
        own, other = np.asarray(own), np.asarray(other)
        assert own.shape == other.shape, f"layer {layer}: shape {own.shape}, expected {other.shape}"
        assert np.isfinite(own).all(), f"layer {layer}"
        assert np.abs(own - other).max() <= bound(other), f"layer {layer}: off by {np.abs(own - other).max():.1e}"


def mask_of(lengths: Sequence[int], n: int) -> NDArray[np.int32]:
    return (np.arange(n) < np.asarray(lengths)[:, None]).astype(np.int32)


def voice(duration_s: float, f0_hz: float = 120.0) -> NDArray[np.float32]:
    """Something like a voice, by a formula."""
    t = np.arange(round(duration_s * RATE)) / RATE
    phase = 2 * np.pi * f0_hz * t + 3.0 * np.sin(2 * np.pi * 2.0 * t)
    swell = 1.1 + np.sin(2 * np.pi * 1.3 * t + f0_hz)
    return (0.05 * swell * sum(np.sin(k * phase + k * k) / k for k in range(1, 25))).astype(np.float32)


def inputs_of(config: dict[str, Any]) -> NDArray[np.float32]:
    """Two recordings of half a second, or one spectrogram of the full length."""
    if config["model_type"] == "whisper":
        n = 2 * config["max_source_positions"]
        times, bands = np.arange(n)[None, None, :], np.arange(config["num_mel_bins"])[None, :, None]
        mel = np.sin(0.07 * times + 0.3 * bands) + 0.5 * np.sin(0.0023 * times * bands)
        return (mel * np.exp(-times / n)).astype(np.float32)
    return np.stack([8 * voice(0.5, f0_hz) for f0_hz in (110.0, 205.0)])


class Reference:
    """
    A model of PyTorch's with random weights, none of them near what it starts from.

    Parameters
    ----------
    kind : str
        Class of transformers, or "Emotion".
    settings : dict
        Of its configuration.
    """

    def __init__(self, kind: str, settings: dict[str, Any], seed: int = 0) -> None:
        import torch
        import transformers

        family = next(f for f in ("Wav2Vec2", "Hubert", "WavLM", "Whisper", "Emotion") if kind.startswith(f))
        config_class = getattr(transformers, f"{'Wav2Vec2' if family == 'Emotion' else family}Config")
        self.config = config_class(**settings)
        self.model = (_emotion_model() if kind == "Emotion" else getattr(transformers, kind))(self.config).eval()
        generator = torch.Generator().manual_seed(seed)
        with torch.no_grad():
            for name, parameter in self.model.named_parameters():
                drawn = torch.randn(parameter.shape, generator=generator)
                if parameter.ndim > 1 and "original0" not in name:
                    parameter.copy_(drawn * np.prod(parameter.shape[1:]) ** -0.5)
                elif name.endswith(("weight", "original0")):  # gains of norms, lengths of weight norm
                    parameter.copy_(1.0 + 0.5 * torch.tanh(drawn))
                else:
                    parameter.copy_(0.3 * torch.sign(drawn) + 0.1 * drawn)

    def tensors(self) -> dict[str, NDArray[np.float32]]:
        return {name: values.numpy() for name, values in self.model.state_dict().items()}

    def save(self, folder: Path) -> None:
        """Write what from_pretrained reads."""
        self.model.save_pretrained(folder)

    def states(self, inputs: Any, mask: Any = None) -> list[NDArray[np.float32]]:
        """State of every layer."""
        return reference_states(self.model, inputs, mask)


def reference_states(model: Any, inputs: Any, mask: Any = None) -> list[NDArray[np.float32]]:
    """State of every layer of a model of PyTorch's."""
    import torch

    encoder = getattr(model, "wav2vec2", model)
    if model.config.model_type == "whisper":
        encoder = model.get_encoder()
    masked = {} if mask is None else {"attention_mask": torch.from_numpy(mask)}
    with torch.no_grad():
        found = encoder(torch.from_numpy(inputs), output_hidden_states=True, **masked)
    return [state.numpy() for state in (*found.hidden_states[:-1], found.last_hidden_state)]


def _emotion_model() -> Any:
    """Build the model as its card tells: mean over time, dense, tanh, dense."""
    import torch
    from transformers import Wav2Vec2Model
    from transformers.models.wav2vec2.modeling_wav2vec2 import Wav2Vec2PreTrainedModel

    class Head(torch.nn.Module):
        def __init__(self, config: Any) -> None:
            super().__init__()
            self.dense = torch.nn.Linear(config.hidden_size, config.hidden_size)
            self.out_proj = torch.nn.Linear(config.hidden_size, config.num_labels)

        def forward(self, pooled: Any) -> Any:
            return self.out_proj(torch.tanh(self.dense(pooled)))

    class Emotion(Wav2Vec2PreTrainedModel):
        def __init__(self, config: Any) -> None:
            super().__init__(config)
            self.wav2vec2 = Wav2Vec2Model(config)
            self.classifier = Head(config)
            self.post_init()

        def forward(self, input_values: Any) -> Any:
            pooled = torch.mean(self.wav2vec2(input_values).last_hidden_state, dim=1)
            return self.classifier(pooled), pooled

    return Emotion


def make(name: str) -> None:
    """Write one golden file."""
    import torch
    import transformers

    reference = Reference(*CONFIGURATIONS[name])
    inputs = inputs_of(reference.config.to_dict())
    every = EVERY.get(name, 1)
    arrays: dict[str, Any] = {
        "config": json.dumps({**reference.config.to_dict(), "dtype": "float32"}),
        "versions": json.dumps({"torch": torch.__version__, "transformers": transformers.__version__}),
    }
    arrays |= {f"tensor:{key}": values for key, values in reference.tensors().items()}
    arrays |= {f"state:{n}": state[:, ::every] for n, state in enumerate(reference.states(inputs))}
    if getattr(reference.config, "feat_extract_norm", "") == "layer":
        mask = mask_of(LENGTHS, inputs.shape[1])
        arrays |= {
            f"masked:{n}": state for n, state in enumerate(reference.states(inputs * mask.astype(np.float32), mask))
        }
    if name == "emotion":
        with torch.no_grad():
            scores, pooled = reference.model(torch.from_numpy(inputs))
        arrays |= {"scores": scores.numpy(), "pooled": pooled.numpy()}
    np.savez_compressed(FOLDER / f"{name}.npz", **arrays)
    if name == "wav2vec2_base":
        torch.save(reference.model.state_dict(), FOLDER / f"{name}.bin")


def make_whisper_base(folder: str | os.PathLike[str]) -> None:
    """
    Freeze the states of the real weights, without the weights.

    Some of these states reach 500, and what follows from them carries more rounding than the bound allows, PyTorch's
    too. So the states are the exact ones, in float64, and how far PyTorch's own are from them stands beside.
    """
    import torch
    import transformers

    model = transformers.WhisperModel.from_pretrained(folder, dtype=torch.float32).eval()
    features = transformers.WhisperFeatureExtractor()(voice(3.0), sampling_rate=RATE, return_tensors="np")
    features = features["input_features"]
    every = EVERY["whisper_base"]
    found = [state[:, ::every] for state in reference_states(model, features)]
    exact = [state[:, ::every] for state in reference_states(model.double(), features.astype(float))]
    versions = json.dumps({"torch": torch.__version__, "transformers": transformers.__version__})
    np.savez_compressed(
        FOLDER / "whisper_base.npz",
        config=json.dumps(model.config.to_dict()),
        versions=versions,
        rounding=np.array([np.abs(own - other).max() for own, other in zip(found, exact, strict=True)]),
        **{f"state:{n}": state.astype(np.float32) for n, state in enumerate(exact)},
    )


def make_compact() -> None:
    """Freeze the states of the encoder in the wheel, without its weights."""
    import torch
    import transformers

    model = transformers.Wav2Vec2Model.from_pretrained(COMPACT).eval()
    states = reference_states(model, inputs_of(model.config.to_dict()))
    np.savez_compressed(
        FOLDER / "compact.npz",
        config=json.dumps(model.config.to_dict()),
        versions=json.dumps({"torch": torch.__version__, "transformers": transformers.__version__}),
        **{f"state:{n}": state[:, :: EVERY["compact"]] for n, state in enumerate(states)},
    )


if __name__ == "__main__":
    for configuration in CONFIGURATIONS:
        make(configuration)
    make_compact()
    if len(sys.argv) > 1:  # the folder whisper-base-encoder
        make_whisper_base(sys.argv[1])
