"""Sound as it comes: breaths, snores and the events of a night, live or from a file."""

import lazy_loader as _lazy

__getattr__, __dir__, __all__ = _lazy.attach_stub(__name__, __file__)
