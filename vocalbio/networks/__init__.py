"""Keras networks: from an input shape to a graph, nothing else."""

from vocalbio.networks.bilstm import build_bilstm
from vocalbio.networks.dense import build_dense

__all__ = ["build_bilstm", "build_dense"]
