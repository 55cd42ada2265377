"""The public names; type checkers and completion read this file, Python loads each name when it is asked for."""

from . import corpora as corpora
from .annotations import read_annotations as read_annotations
from .annotations import write_annotations as write_annotations
from .corpora import Corpus as Corpus
from .corpora import read_corpus as read_corpus
from .nights import NightClips as NightClips
from .nights import SimulatedNight as SimulatedNight
from .nights import simulate_night as simulate_night
from .sequences import Sequences as Sequences
from .splits import check_disjoint as check_disjoint
from .splits import official_folds as official_folds
from .splits import speaker_folds as speaker_folds
