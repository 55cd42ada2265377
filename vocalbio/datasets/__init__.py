"""From corpora to tables of files, speakers and labels; splits by speaker; sequences."""

import lazy_loader as _lazy

__getattr__, __dir__, __all__ = _lazy.attach_stub(__name__, __file__)
