"""
Copies of training recordings as another microphone, room or line would have brought them.

For training folds only: a copy of a speaker who is tested is a leak like any other recording of theirs.
"""

import lazy_loader as _lazy

__getattr__, __dir__, __all__ = _lazy.attach_stub(__name__, __file__)
