"""The public names; type checkers and completion read this file, Python loads each name when it is asked for."""

from .agreement import plot_bland_altman as plot_bland_altman
from .atlas import plot_atlas as plot_atlas
from .classes import plot_confusion as plot_confusion
from .explanation import plot_contributions as plot_contributions
from .explanation import plot_marker_panel as plot_marker_panel
from .explanation import plot_saliency as plot_saliency
from .explanation import plot_saliency_map as plot_saliency_map
from .nights import plot_event as plot_event
from .nights import plot_night as plot_night
from .recording import plot_recording as plot_recording
from .scores import plot_precision_recall as plot_precision_recall
from .scores import plot_reliability as plot_reliability
from .scores import plot_roc as plot_roc
from .scores import plot_score_by_class as plot_score_by_class
from .severity import plot_intervals as plot_intervals
from .severity import plot_severity as plot_severity
from .style import STYLE as STYLE
from .style import to_data_uri as to_data_uri
from .style import to_png_bytes as to_png_bytes
from .track import plot_track as plot_track
from .training import plot_training as plot_training
