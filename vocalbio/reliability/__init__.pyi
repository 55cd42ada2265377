"""The public names; type checkers and completion read this file, Python loads each name when it is asked for."""

from .measures import agreement as agreement
from .table import MARKERS as MARKERS
from .table import PERTURBATIONS as PERTURBATIONS
from .table import atlas as atlas
from .table import marker_of as marker_of
from .table import select_reliable as select_reliable
