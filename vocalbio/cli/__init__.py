"""The command line: ``vocalbio extract``, ``predict``, ``train``, ``evaluate``, ``demo``, ``doctor``."""

from vocalbio.cli.app import main

__all__ = ["main"]
