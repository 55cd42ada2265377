"""``python -m vocalbio``."""

from vocalbio.cli import main

main()
