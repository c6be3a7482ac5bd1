"""What share of true copies a run finds, by the similarities that copies have in a benchmark."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from vectors import families, vector_store

from memaudit.dedup import outcome, setup
from memaudit.dedup import true_copies as module
from memaudit.dedup.options import DedupOptions
from memaudit.dedup.results import TrueCopies
from memaudit.dedup.run import dedup
from memaudit.dedup.true_copies import true_copies
from memaudit.matching.calibrated import Calibrated
from memaudit.matching.identity import digest_of_model
from memaudit.matching.kinds import ALL, COPIES, Kind
from memaudit.matching.plan import NOT_LOOKED_FOR

NOTHING = np.empty(0, np.float32), np.empty(0, bool)
RESULTS = Path(__file__).parents[2] / "results/families-amd-epyc-2-cores.csv"


def found(threshold: float, floor: float, below: Sequence[float] = (), decided: Sequence[bool] = ()) -> TrueCopies:
    made = true_copies("sscd", threshold, floor, np.array(below, np.float32), np.array(decided, bool))
    assert made is not None
    return made


def test_by_similarity_alone_and_with_all_pairs() -> None:
    alone, whole = found(0.75, 0.75), found(0.75, 0.45)
    assert alone.found == 0.3797
    assert alone.possible == whole.possible == whole.found == pytest.approx(0.9179, abs=5e-4)
    assert "benchmarks/families" in whole.source


def test_pairs_that_were_left_cost_the_copies_of_their_band() -> None:
    """All of one band, then half of it; where the set has no pairs nothing is lost."""
    band = 0.954 * (0.9437 - 0.8967)
    assert found(0.75, 0.45, [0.46, 0.48, 0.6], [False, False, True]).found == pytest.approx(0.9178 - band, abs=1e-3)
    assert found(0.75, 0.45, [0.46, 0.48, 0.6], [True, False, True]).found == pytest.approx(0.9178 - band / 2, abs=1e-3)
    assert found(0.75, 0.45, [0.46], [False]).found == pytest.approx(found(0.75, 0.5).found)


@given(st.lists(st.tuples(st.floats(0.45, 0.7499), st.booleans()), max_size=30))
def test_it_lies_between_similarity_alone_and_all_pairs(pairs: list[tuple[float, bool]]) -> None:
    made = found(0.75, 0.45, [value for value, _ in pairs], [decided for _, decided in pairs])
    assert 0.3797 - 1e-9 <= made.found <= made.possible


def test_nothing_is_said_of_what_no_benchmark_knows() -> None:
    assert true_copies("thumbnail", 0.9, 0.8, *NOTHING) is None
    assert true_copies("sscd", 0.9, 0.45, *NOTHING) is None
    assert true_copies("sscd", 0.4, 0.3, *NOTHING) is None


def test_it_says_as_of_when_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """And whether another model of copies decided then."""
    table = module._tables()["sscd"]
    for model, words in (
        ("", "measured on 2026-11-28, before the model that now decides"),
        (digest_of_model(), "11-28"),
    ):
        monkeypatch.setattr(module, "_tables", lambda model=model: {"sscd": table._replace(model=model)})
        assert found(0.75, 0.45).source.startswith("benchmarks/families, 931 pictures")
        assert words in found(0.75, 0.45).source
    assert found(0.75, 0.45).source.endswith("11-28")


@pytest.mark.parametrize(
    ("cut", "kinds", "is_said"),
    [(None, COPIES, True), (None, ALL, True), (0.99, COPIES, False), (None, (Kind.VERBATIM, Kind.NEAR), False)],
)
def test_nothing_is_said_of_what_another_cut_or_fewer_kinds_find(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cut: float | None, kinds: tuple[Kind, ...], *, is_said: bool
) -> None:
    said = TrueCopies(0.5, 0.6, "a benchmark")
    monkeypatch.setattr(outcome, "true_copies", lambda *_: said)
    monkeypatch.setattr(setup, "_redrawn", lambda *_: NOT_LOOKED_FOR)
    store = vector_store(tmp_path / "s", families(0, [3, 2], noise=0.1))
    by = Calibrated("c" * 64, 0.8, cut, 0.4, None, store.encoder, digest_of_model())
    options = DedupOptions(match_from=0.5, kinds=kinds, calibrated=by)
    assert dedup(store, options).copies == (said if is_said else None)


def test_the_figures_are_those_of_the_results() -> None:
    """The last ones of each threshold, as they stand in results/."""
    found_then = {"measure": "recall, all pairs", "count": "931"}
    with RESULTS.open() as file:
        rows = [row for row in csv.DictReader(file) if found_then.items() <= row.items()]
    recall = {row["data"].removeprefix("copies, threshold "): float(row["median"]) for row in rows}
    for threshold in (0.65, 0.6, 0.55, 0.5, 0.45):
        assert found(threshold, threshold).found == recall[f"{threshold:g}"]
    assert found(0.75, 0.75).found == recall["0.75 (default)"]
    assert found(0.75, 0.45).found == pytest.approx(recall["0.75 (default) and pixels"], abs=5e-4)
