"""Whole nights: read them from files of any kind, screen one, screen many."""

import lazy_loader as _lazy

__getattr__, __dir__, __all__ = _lazy.attach_stub(__name__, __file__)
