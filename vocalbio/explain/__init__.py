"""What moved a network's answer: gradients, and the words for what they point at."""

from vocalbio.explain.grad_cam import grad_cam
from vocalbio.explain.gradients import integrated_gradients
from vocalbio.explain.markers import MARKERS, PANEL, marker_of, words_for

__all__ = ["MARKERS", "PANEL", "grad_cam", "integrated_gradients", "marker_of", "words_for"]
