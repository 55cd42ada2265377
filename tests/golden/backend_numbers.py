"""What the encoders give under the Keras backend of this process: python backend_numbers.py folder.

`tests/test_backends.py` runs it once a backend, with KERAS_BACKEND set, and compares the arrays it leaves in
``folder/numbers.npz`` with the frozen states of PyTorch's own classes.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import keras
import numpy as np
from keras import ops
from safetensors.numpy import save_file

sys.path.insert(0, str(Path(__file__).parents[1]))
from golden.make_states import LENGTHS, STABLE, TINY, mask_of, read_golden, voice

import vocalbio as vb
from vocalbio.encoders import LogMel, TFWav2Vec2Model, TFWavLMModel, TFWhisperEncoder, load_encoder

NAMES = (
    "wav2vec2_base",
    "wav2vec2_large",
    "wav2vec2_odd",
    "hubert_base",
    "hubert_large",
    "wavlm_base",
    "wavlm_large",
    "whisper_80",
    "whisper_128",
)
FEATURES = {"wav2vec2_base": (1.0, 0.7, 20.5), "wavlm_large": (1.0, 0.7), "whisper_80": (1.0, 0.7)}
"""Seconds of the clips; the long one is cut into pieces."""
CALM = dict.fromkeys(("hidden_dropout", "attention_dropout", "activation_dropout", "feat_proj_dropout"), 0.0)
TRAINED: dict[str, Any] = {
    "wav2vec2": lambda: TFWav2Vec2Model({**TINY, **CALM, "num_hidden_layers": 1}),
    "stable": lambda: TFWav2Vec2Model({**TINY, **STABLE, **CALM, "num_hidden_layers": 1}),
    "wavlm": lambda: TFWavLMModel({**TINY, **CALM, "num_hidden_layers": 1}),
    "whisper": lambda: TFWhisperEncoder(
        {
            "d_model": 8,
            "encoder_layers": 1,
            "encoder_attention_heads": 2,
            "encoder_ffn_dim": 16,
            "dropout": 0.0,
            "max_source_positions": 50,
        }
    ),
}


def checkpoint(folder: Path, name: str) -> Path:
    golden = read_golden(name)
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps(golden.config))
    save_file(golden.tensors, folder / "model.safetensors", metadata={"format": "pt"})
    return folder


def losses(kind: str, rng: np.random.Generator) -> list[float]:
    """Of three steps of Keras' own fit, a waveform or spectrogram in, one number out."""
    encoder = TRAINED[kind]()
    n = 60 if kind == "whisper" else 3_000  # with None, Keras asks JAX and PyTorch for shapes that they cannot tell
    mask = keras.Input((n,), dtype="int32")
    if kind == "whisper":
        x, samples, lengths = keras.Input((80, 60)), rng.normal(size=(4, 80, 60)), [60, 40, 60, 20]
    else:
        x, samples, lengths = keras.Input((3_000,)), rng.normal(size=(4, 3_000)), [3_000, 2_000, 3_000, 2_500]
    for weight in encoder.weights:  # drawn here, since each backend draws its own
        shape = weight.shape
        drawn = rng.normal(size=shape) * (0.1 if len(shape) == 1 else np.prod(shape[:-1]) ** -0.5)
        weight.assign(drawn + weight.path.endswith("gamma"))
    output = encoder(x, attention_mask=mask)
    pooled = keras.layers.GlobalAveragePooling1D()(output.last_hidden_state, mask=output.frame_mask)
    head = keras.layers.Dense(1)
    model = keras.Model([x, mask], head(pooled))
    head.kernel.assign(rng.normal(size=head.kernel.shape))
    model.compile(keras.optimizers.SGD(1e-4), "mse")
    given = [samples.astype(np.float32), mask_of(lengths, samples.shape[-1])]
    wanted = np.array([[0.0], [1.0], [0.0], [1.0]], np.float32)
    return model.fit(given, wanted, batch_size=4, epochs=3, shuffle=False, verbose=0).history["loss"]


def main(folder: Path) -> None:
    found: dict[str, Any] = {"backend": keras.backend.backend()}

    def keep(key: str, states: Any) -> None:
        found.update({f"{key}:{n}": ops.convert_to_numpy(state) for n, state in enumerate(states)})

    for name in NAMES:
        golden = read_golden(name)
        encoder = load_encoder(checkpoint(folder / name, name))
        keep(f"{name}:states", encoder(golden.inputs, output_hidden_states=True).hidden_states)
        if not name.startswith("whisper"):
            mask = mask_of(LENGTHS, golden.inputs.shape[1])
            batch = np.where(mask, golden.inputs, np.float32(np.nan))
            keep(f"{name}:padded", encoder(batch, attention_mask=mask, output_hidden_states=True).hidden_states)
            alone = encoder(golden.inputs[1:, : LENGTHS[1]], output_hidden_states=True).hidden_states
            keep(f"{name}:alone", alone)
        encoder.save_pretrained(folder / name / "again")
    for name, seconds in FEATURES.items():
        clips = [vb.Recording(voice(s, 100.0 + 40.0 * n), 16_000) for n, s in enumerate(seconds)]
        X = vb.extract_features(clips, [vb.Embedding(folder / name, layer=(0, 2), pooling="mean+std")])
        found[f"{name}:features"] = X.filter(like=f"{name}_L0_L2__").to_numpy()
    keep("hum", load_encoder(folder / "wav2vec2_base")(hum()[None], output_hidden_states=True).hidden_states)
    found["log_mel"] = ops.convert_to_numpy(LogMel(80)(np.stack([voice(1.0), voice(1.0, 210.0)])))
    for number, kind in enumerate(TRAINED):
        found[f"losses:{kind}"] = losses(kind, np.random.default_rng(number))
    np.savez(folder / "numbers.npz", **found)


def hum() -> np.ndarray:
    """A voice far below the hum and the offset of a recorder: what is heard is a small difference of large samples."""
    t = np.arange(16_000) / 16_000
    return (np.sin(2 * np.pi * 50 * t) + 0.3 + 1e-2 * voice(1.0)).astype(np.float32)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
