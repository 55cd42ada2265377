"""The public names; type checkers and completion read this file, Python loads each name when it is asked for."""

from .sequences import Sequences as Sequences
from .splits import check_disjoint as check_disjoint
from .splits import official_folds as official_folds
from .splits import speaker_folds as speaker_folds
