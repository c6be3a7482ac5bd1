"""How many training images a generation matches: what a person must look at before it is cleared."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np

from memaudit.audit.matched import matched
from memaudit.matching.candidates import Candidates


def test_what_was_compared_and_does_not_count_is_no_match() -> None:
    """Training image 1 is told apart by pixels; 2 could not be compared, and counts; 3 is a crop below the threshold; 4
    is below it as a whole."""
    query, reference = np.zeros(4, np.int64), np.arange(1, 5)
    whole = Candidates.whole(query, reference, np.float32([0.9, 0.8, 0.4, 0.4]))
    searched: Any = SimpleNamespace(above=np.array([3, 0]), as_whole=whole)
    decided: Any = SimpleNamespace(
        candidates=whole, compared=np.array([True, False, True, True]), counts=np.array([False, True, True, False])
    )
    found = matched(searched, decided, 0.75, most=2)
    assert (found.images.tolist(), found.more.tolist()) == ([2, 0], [True, False])
    assert not matched(searched, decided, 0.75, most=3).more.any()
