"""
Which features survive what: codecs, noise, rooms, microphones, levels, and saying it again.

`atlas` is the table that was measured with ``benchmarks/reliability_atlas.py``, `select_reliable` takes the columns
of a feature table that are stable enough by it, and `agreement` measures the same for a channel or a corpus of your
own.
"""

import lazy_loader as _lazy

__getattr__, __dir__, __all__ = _lazy.attach_stub(__name__, __file__)
