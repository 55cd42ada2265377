"""The public names; type checkers and completion read this file, Python loads each name when it is asked for."""

from .cohort import screen_nights as screen_nights
from .reading import Night as Night
from .screening import screen_night as screen_night
