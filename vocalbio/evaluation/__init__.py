"""Evaluation: every recording judged by a model that never heard its speaker, beside what is trivial."""

from vocalbio.evaluation.cross_validation import cross_validate
from vocalbio.evaluation.held_out import out_of_fold
from vocalbio.evaluation.learning import learning_curve, permutation_test
from vocalbio.evaluation.new_speakers import evaluate
from vocalbio.evaluation.result import Evaluation, compare

__all__ = [
    "Evaluation",
    "compare",
    "cross_validate",
    "evaluate",
    "learning_curve",
    "out_of_fold",
    "permutation_test",
]
