"""Readers of published corpora, and of folders and tables of your own: each gives one `Corpus`."""

import lazy_loader as _lazy

__getattr__, __dir__, __all__ = _lazy.attach_stub(__name__, __file__)
