"""Keras networks: from an input shape to a graph, nothing else."""

from vocalbio.networks.bilstm import build_bilstm
from vocalbio.networks.cnn import build_cnn, build_cnn2d
from vocalbio.networks.dense import build_dense
from vocalbio.networks.end_to_end import build_end_to_end
from vocalbio.networks.hybrid import build_hybrid
from vocalbio.networks.multitask import build_multitask
from vocalbio.networks.tcn import build_tcn
from vocalbio.networks.transformer import build_transformer

__all__ = [
    "build_bilstm",
    "build_cnn",
    "build_cnn2d",
    "build_dense",
    "build_end_to_end",
    "build_hybrid",
    "build_multitask",
    "build_tcn",
    "build_transformer",
]
