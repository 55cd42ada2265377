"""The command line: ``vocalbio`` and its commands."""

from vocalbio.cli.app import main

__all__ = ["main"]
