"""The command line: ``vocalbio demo``, ``vocalbio extract``, ``vocalbio doctor``."""

from vocalbio.cli.app import main

__all__ = ["main"]
