"""The clinical tables of the benchmarks: no label among the features, no copied row among the recordings."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType
from typing import Any

import pandas as pd
import pytest


@pytest.fixture
def tables() -> ModuleType:
    """The script, read from its file: benchmarks are no package."""
    path = Path(__file__).parents[1] / "benchmarks" / "clinical_tables.py"
    spec = importlib.util.spec_from_file_location("clinical_tables", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def judged(tables: ModuleType, monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What would have been judged, without training anything."""
    seen: list[Any] = []
    monkeypatch.setattr(tables, "judge", lambda X, y, people, **arguments: seen.append((X, y, people)))
    return seen


def test_rows_that_share_a_whole_vowel_are_copies(tables: ModuleType) -> None:
    rows = pd.DataFrame(
        {
            "F0_a": [1.0, 2.0, 3.0, 4.0],
            "F1_a": [5.0, 5.0, 6.0, 7.0],
            "F0_i": [1.0, 8.0, 8.0, 9.0],
            "F1_i": [1.0, 2.0, 2.0, 2.0],
        }
    )
    assert tables.copies(rows, vowels=("a", "i")).tolist() == [False, True, True, False]


def test_no_questionnaire_and_no_sex_is_a_feature_of_depression(
    tables: ModuleType, judged: list[Any], data: Path
) -> None:
    tables.emu(data)
    (X, y, people), *_ = judged
    assert not [column for column in X if column.split("__")[-1].lower() in ("phq", "q9", "gad", "gender", "id")]
    assert (X.shape, int(y.sum()), people.nunique()) == ((56, 1582), 27, 56)
    assert X.columns[-1] == "quality__duration_s"  # and so no input


def test_each_student_of_the_exam_has_two_rows_that_differ(tables: ModuleType, judged: list[Any], data: Path) -> None:
    tables.exam(data)
    (X, y, people), *_ = judged
    assert not [column for column in X if "pid5" in column or "condition" in column]
    assert not X.duplicated(keep=False).any()
    assert (people[y].nunique(), people[~y].nunique(), len(X)) == (63, 63, 126)
