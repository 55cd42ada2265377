"""From recordings to one table: families side by side, one row a request, whatever happens to it."""

import lazy_loader as _lazy

# worker processes load this package for its rows, and must not load scikit-learn with it
__getattr__, __dir__, __all__ = _lazy.attach_stub(__name__, __file__)
