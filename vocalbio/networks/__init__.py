"""Keras networks: from an input shape to a graph, nothing else."""
