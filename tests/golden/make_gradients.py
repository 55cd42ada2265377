"""Golden gradients of PyTorch's encoders; make them anew, with PyTorch installed: python make_gradients.py, in here.

One gradients.npz for all: the loss of a head that is a formula, on the models and weights of make_states.py, and its
gradient for every parameter. The wide convolution's kernel stands for weight norm's length and direction. Dropout is
off. The head: all states, normalised last one included, summed by softmax of `SHARES`; mean and standard deviation over
real frames; a matrix of sines; cross-entropy.
"""

from __future__ import annotations

import json
import sys
from typing import Any

import numpy as np
from numpy.typing import NDArray

if __name__ == "__main__":
    sys.path.insert(0, str(__file__).rsplit("/", 2)[0])
from golden.make_states import CONFIGURATIONS, FOLDER, LENGTHS, Reference, voice

NAMES = ("wav2vec2_base", "wav2vec2_large", "hubert_large", "wavlm_base", "whisper_128")
POSITION = "encoder.pos_conv_embed.conv"
SHARES = np.array([0.3, -0.4, 0.1, 0.6], np.float32)
TRUTH = (2, 0)
HOP, N_FFT = 160, 400


def head(n: int) -> NDArray[np.float32]:
    """From mean and deviation of n channels to three classes."""
    return (0.5 * np.sin(0.7 + np.arange(6 * n))).reshape(2 * n, 3).astype(np.float32)


def lengths_of(name: str) -> tuple[int, ...]:
    """Real samples; PyTorch lets padding leak into the group norm, and gives Whisper no mask."""
    return LENGTHS if name.endswith("large") else (12_800, 12_800) if name.startswith("whisper") else (8_000, 8_000)


def recordings(name: str) -> NDArray[np.float32]:
    """As recorded, padded with zeros."""
    lengths = lengths_of(name)
    sounds = np.stack([voice(max(lengths) / 16_000, f0_hz) for f0_hz in (110.0, 205.0)]) + np.float32(0.01)
    return sounds * (np.arange(max(lengths)) < np.array(lengths)[:, None])


def gradients_of(name: str, reference: Reference) -> dict[str, NDArray[np.float32]]:
    """The loss, and its gradient for each parameter of the encoder, by names of a checkpoint."""
    import torch

    sounds, lengths = torch.from_numpy(recordings(name)), lengths_of(name)
    model, hears_mel = reference.model, name.startswith("whisper")
    if hears_mel:
        model = model.get_encoder()
        found = model(_log_mel(sounds, reference.config.num_mel_bins), output_hidden_states=True)
    else:
        torch.nn.utils.parametrize.remove_parametrizations(model.encoder.pos_conv_embed.conv, "weight")
        mask = torch.arange(sounds.shape[1]) < torch.tensor(lengths)[:, None]
        normal = torch.zeros_like(sounds)
        for row, sound, n in zip(normal, sounds, lengths, strict=True):
            row[:n] = (sound[:n] - sound[:n].mean()) / torch.sqrt(sound[:n].var(unbiased=False) + 1e-7)
        found = model(normal, attention_mask=mask.long() if min(lengths) < max(lengths) else None,
                      output_hidden_states=True)  # fmt: skip
    states = [*found.hidden_states[:-1], found.last_hidden_state]
    hidden = sum(share * state for share, state in zip(torch.softmax(torch.from_numpy(SHARES), 0), states, strict=True))
    n_frames = [n // HOP // 2 if hears_mel else (n - 400) // 320 + 1 for n in lengths]
    pooled = torch.stack([
        torch.cat([clip[:n].mean(0), torch.sqrt(clip[:n].var(0, unbiased=False) + 1e-6)])
        for clip, n in zip(hidden, n_frames, strict=True)
    ])  # fmt: skip
    logits = pooled / np.sqrt(1 + 1e-3) @ torch.from_numpy(head(hidden.shape[-1]))  # a batch norm that saw nothing yet
    loss = torch.nn.functional.cross_entropy(logits, torch.tensor(TRUTH))
    loss.backward()
    gradients = {n: p.grad.numpy() for n, p in model.named_parameters() if p.grad is not None}
    return {"loss": loss.detach().numpy(), **gradients}


def _log_mel(sounds: Any, n_mels: int) -> Any:
    """Whisper's spectrogram; silence before and after is that of a longer recording (mirrored, zero)."""
    import torch
    from transformers.audio_utils import mel_filter_bank

    filters = mel_filter_bank(N_FFT // 2 + 1, n_mels, 0.0, 8_000.0, 16_000, norm="slaney", mel_scale="slaney")
    half = N_FFT // 2
    padded = torch.nn.functional.pad(torch.nn.functional.pad(sounds, (half, 0), mode="reflect"), (0, half))
    spectra = torch.stft(padded, N_FFT, HOP, window=torch.hann_window(N_FFT), center=False, return_complex=True)
    power = spectra[..., : sounds.shape[1] // HOP].abs() ** 2
    log = torch.log10(torch.clamp(torch.from_numpy(filters.astype(np.float32)).T @ power, min=1e-10))
    return (torch.maximum(log, log.amax(dim=(1, 2), keepdim=True) - 8.0) + 4.0) / 4.0


def make() -> None:
    """Write the file."""
    import torch
    import transformers

    arrays = {
        f"{name}:{key}": values
        for name in NAMES
        for key, values in gradients_of(name, Reference(*CONFIGURATIONS[name])).items()
    }
    versions = json.dumps({"torch": torch.__version__, "transformers": transformers.__version__})
    np.savez_compressed(FOLDER / "gradients.npz", versions=versions, **arrays)


if __name__ == "__main__":
    make()
