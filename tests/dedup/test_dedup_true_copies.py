"""What share of true copies a run finds, by the similarities that copies have in a benchmark."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from memaudit.dedup.results import TrueCopies
from memaudit.dedup.true_copies import true_copies

NOTHING = np.empty(0, np.float32), np.empty(0, bool)
RESULTS = Path(__file__).parents[2] / "results/families-amd-epyc-2-cores.csv"


def found(threshold: float, floor: float, below: Sequence[float] = (), decided: Sequence[bool] = ()) -> TrueCopies:
    made = true_copies("sscd", threshold, floor, np.array(below, np.float32), np.array(decided, bool))
    assert made is not None
    return made


def test_by_similarity_alone_and_with_all_pairs() -> None:
    alone, whole = found(0.75, 0.75), found(0.75, 0.45)
    assert alone.found == 0.3814
    assert alone.possible == whole.possible == whole.found == pytest.approx(0.9124, abs=5e-4)
    assert "benchmarks/families" in whole.source


def test_pairs_that_were_left_cost_the_copies_of_their_band() -> None:
    """All of one band, then half of it; where the set has no pairs nothing is lost."""
    band = 0.952 * (0.9393 - 0.8926)
    assert found(0.75, 0.45, [0.46, 0.48, 0.6], [False, False, True]).found == pytest.approx(0.9126 - band, abs=1e-3)
    assert found(0.75, 0.45, [0.46, 0.48, 0.6], [True, False, True]).found == pytest.approx(0.9126 - band / 2, abs=1e-3)
    assert found(0.75, 0.45, [0.46], [False]).found == pytest.approx(found(0.75, 0.5).found)


@given(st.lists(st.tuples(st.floats(0.45, 0.7499), st.booleans()), max_size=30))
def test_it_lies_between_similarity_alone_and_all_pairs(pairs: list[tuple[float, bool]]) -> None:
    made = found(0.75, 0.45, [value for value, _ in pairs], [decided for _, decided in pairs])
    assert 0.3814 - 1e-9 <= made.found <= made.possible


def test_nothing_is_said_of_what_no_benchmark_knows() -> None:
    assert true_copies("thumbnail", 0.9, 0.8, *NOTHING) is None
    assert true_copies("sscd", 0.9, 0.45, *NOTHING) is None
    assert true_copies("sscd", 0.4, 0.3, *NOTHING) is None


def test_the_figures_are_those_of_the_results() -> None:
    """The last ones of each threshold, as they stand in results/."""
    found_then = {"measure": "recall, all pairs", "count": "928"}
    with RESULTS.open() as file:
        rows = [row for row in csv.DictReader(file) if found_then.items() <= row.items()]
    recall = {row["data"].removeprefix("copies, threshold "): float(row["median"]) for row in rows}
    for threshold in (0.65, 0.6, 0.55, 0.5, 0.45):
        assert found(threshold, threshold).found == recall[f"{threshold:g}"]
    assert found(0.75, 0.75).found == recall["0.75 (default)"]
    assert found(0.75, 0.45).found == pytest.approx(recall["0.75 (default) and pixels"], abs=5e-4)
