"""The public names; type checkers and completion read this file, Python loads each name when it is asked for."""

from .alarms import Alarm as Alarm
from .alarms import AlarmPolicy as AlarmPolicy
from .events import Event as Event
from .events import Rule as Rule
from .monitor import Monitor as Monitor
from .report import NightReport as NightReport
