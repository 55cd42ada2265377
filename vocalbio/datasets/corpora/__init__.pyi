"""The public names; type checkers and completion read this file, Python loads each name when it is asked for."""

from .androids import read_androids as read_androids
from .catalogue import READERS as READERS
from .catalogue import read_corpus as read_corpus
from .corpus import Corpus as Corpus
from .corpus import Source as Source
from .crema_d import read_crema_d as read_crema_d
from .daic_woz import read_daic_woz as read_daic_woz
from .database import read_audformat as read_audformat
from .e_daic import read_e_daic as read_e_daic
from .emodb import read_emodb as read_emodb
from .emotions import STRESS_OF_EMOTION as STRESS_OF_EMOTION
from .folders import read_folders as read_folders
from .iemocap import read_iemocap as read_iemocap
from .khan_snoring import read_khan_snoring as read_khan_snoring
from .psg_audio import read_psg_audio as read_psg_audio
from .ravdess import read_ravdess as read_ravdess
from .tables import read_table as read_table
