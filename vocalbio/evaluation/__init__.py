"""Evaluation: every recording judged by a model that never heard its speaker, beside what is trivial."""

from vocalbio.evaluation.cross_validation import cross_validate
from vocalbio.evaluation.events import EventScores, frame_kappa, match_events, score_events
from vocalbio.evaluation.held_out import out_of_fold
from vocalbio.evaluation.learning import learning_curve, permutation_test
from vocalbio.evaluation.new_speakers import evaluate
from vocalbio.evaluation.nights import NightScores, score_nights
from vocalbio.evaluation.result import Evaluation, compare

__all__ = [
    "Evaluation",
    "EventScores",
    "NightScores",
    "compare",
    "cross_validate",
    "evaluate",
    "frame_kappa",
    "learning_curve",
    "match_events",
    "out_of_fold",
    "permutation_test",
    "score_events",
    "score_nights",
]
