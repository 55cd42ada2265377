"""
Pictures of results and recordings: arrays and tables in, a matplotlib Figure out.

The figures never touch :mod:`matplotlib.pyplot`, the backend or the settings of the session, so nothing has
to be closed and a program without a screen can draw them. All share one style (`STYLE`): wide as a column of
print or a phone held upright, colours that colour-blind readers can tell apart, words beside the thing they
name.
"""

import lazy_loader as _lazy

__getattr__, __dir__, __all__ = _lazy.attach_stub(__name__, __file__)
