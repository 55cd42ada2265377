"""Make the golden files of PyTorch's own form; run with PyTorch installed: python tests/golden/make_bin.py.

Made with PyTorch 2.13.0 (CPU). The values are a formula, which tests/test_checkpoint.py states again.
"""

from __future__ import annotations

from collections import OrderedDict
from pathlib import Path

import torch

DTYPES = {
    "float32": torch.float32,
    "float16": torch.float16,
    "bfloat16": torch.bfloat16,
    "float64": torch.float64,
    "int64": torch.int64,
    "int32": torch.int32,
    "uint8": torch.uint8,
}


def state() -> OrderedDict[str, torch.Tensor]:
    """Tensors of all kinds that a checkpoint may hold, every value a quarter of its place in the storage."""
    module = torch.nn.Module()
    quarters = torch.arange(24) / 4
    shared = quarters.reshape(4, 6)
    tensors = {name: (quarters[:8] * 4).reshape(2, 4).to(dtype) for name, dtype in DTYPES.items()}
    tensors |= {
        "shared": shared,
        "transposed": shared.T,
        "columns": shared[1:3, 2:5],
        "repeated": shared[2, :3].expand(2, 3),
        "scalar": shared[3, 5],
        "empty": torch.empty(0, 3),
        "conv.weight_g": torch.full((1, 1, 3), 2.0),
        "conv.weight_v": quarters[:12].reshape(2, 2, 3).clone(),
    }
    module.parameter = torch.nn.Parameter(quarters[:3].clone())
    saved = module.state_dict(keep_vars=True)  # keeps the parameter a parameter, and PyTorch's _metadata
    saved.update(tensors)
    return saved


if __name__ == "__main__":
    folder = Path(__file__).parent
    torch.save(state(), folder / "zip.bin")
    torch.save(state(), folder / "legacy.bin", _use_new_zipfile_serialization=False)
