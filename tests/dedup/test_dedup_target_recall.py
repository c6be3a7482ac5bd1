"""Target recall: reached and proven on images that did not decide when to stop, or said not to be."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from vectors import Vectors, families, random_vectors, vector_store

from memaudit.dedup import target_recall
from memaudit.dedup.clusters import Plan
from memaudit.dedup.matrix import Matrix
from memaudit.dedup.pairs import compare
from memaudit.dedup.recall import RecallSample, measure_recall
from memaudit.dedup.target_recall import Target, reach_recall
from memaudit.errors import UsageError
from memaudit.similarity import Pairs, pairs_within
from memaudit.types import silent

MakeMatrix = Callable[..., Matrix]


@pytest.fixture
def make_matrix(tmp_path: Path) -> MakeMatrix:
    def make(vectors: Vectors) -> Matrix:
        store = vector_store(tmp_path / "s", vectors, shard_rows=4096)
        return Matrix(tmp_path, store, np.arange(len(vectors), dtype=np.int64))

    return make


def clumps(count: int = 800) -> Vectors:
    vectors = families(0, [4] * count + [1] * count, 32)
    return vectors[np.random.default_rng(0).permutation(len(vectors))]


def test_a_target_that_the_plan_reaches_costs_nothing_more(make_matrix: MakeMatrix) -> None:
    """With enough probes planned the search stops after them, and states what it measured."""
    reached = reach_recall(make_matrix(clumps()), 0.8, Plan(10, 6, 1), Target(0.8, sample=500), 0, silent)
    assert reached.reached
    assert reached.why_not == ""
    assert (reached.plan.probes, reached.plan.clusterings) == (6, 1)
    assert reached.recall.by_pair.low >= 0.8  # type: ignore[operator]


def test_probes_are_added_until_the_target_is_reached(make_matrix: MakeMatrix) -> None:
    """One probe is not enough; the pairs are those of a run that had planned what it came to."""
    matrix = make_matrix(clumps())
    truth = pairs_within(matrix.take(slice(None)), 0.8)
    alone = compare(matrix, 0.8, Plan(40, 1, 1), 0, silent)
    assert len(alone.pairs.left) < 0.95 * len(truth.left)
    reached = reach_recall(matrix, 0.8, Plan(40, 1, 1), Target(0.97, sample=1000), 0, silent)
    assert reached.reached
    assert reached.plan.probes > 1
    assert min(reached.recall.by_pair.low, reached.recall.by_image.low) >= 0.97  # type: ignore[type-var]
    assert len(reached.found.pairs.left) >= 0.97 * len(truth.left)
    planned = compare(matrix, 0.8, reached.plan, 0, silent)
    assert np.array_equal(planned.pairs.left, reached.found.pairs.left)


def test_what_cannot_be_reached_is_said(make_matrix: MakeMatrix, monkeypatch: pytest.MonkeyPatch) -> None:
    """A continuum cut into many small cells: five clusterings later the shortfall is stated, with its bounds."""
    monkeypatch.setattr("memaudit.dedup.target_recall.MOST_PROBES", 2)
    vectors = random_vectors(0, 1500, 6)
    reached = reach_recall(make_matrix(vectors), 0.8, Plan(300, 1, 1), Target(0.99, sample=300), 0, silent)
    assert not reached.reached
    assert "was not reached, only" in reached.why_not
    assert (reached.plan.probes, reached.plan.clusterings) == (2, 5)
    assert reached.recall.by_pair.low < 0.99  # type: ignore[operator]
    assert len(reached.found.added) == 5


def test_what_cannot_be_proven_is_said(make_matrix: MakeMatrix, monkeypatch: pytest.MonkeyPatch) -> None:
    """A hundred images cannot show 99.9 %: that is no shortfall of the search."""
    monkeypatch.setattr("memaudit.dedup.target_recall.MOST_SAMPLED", 200)
    monkeypatch.setattr(Target, "least_images", lambda self: 3688)
    monkeypatch.setattr("memaudit.dedup.target_recall._first_sample", lambda target: 100)
    reached = reach_recall(make_matrix(clumps()), 0.8, Plan(4, 4, 1), Target(0.999, sample=100), 0, silent)
    assert not reached.reached
    assert "cannot be proven" in reached.why_not


def test_a_census_proves_any_target(make_matrix: MakeMatrix) -> None:
    """Where the sample would be the whole set, the recall is exact."""
    vectors = families(1, [3] * 50, 32)
    reached = reach_recall(make_matrix(vectors), 0.8, Plan(5, 5, 1), Target(0.9999), 0, silent)
    assert reached.reached
    assert reached.recall.census


def test_an_exhaustive_plan_has_reached_everything(make_matrix: MakeMatrix) -> None:
    """All compared with all: no sample is needed."""
    reached = reach_recall(make_matrix(clumps(50)), 0.8, Plan(0, 1, 1), Target(0.9999), 0, silent)
    assert reached.reached
    assert reached.recall.census
    assert reached.recall.by_pair.low == 1


def test_nothing_to_find_is_nothing_missed(make_matrix: MakeMatrix) -> None:
    """Strangers only: reached at once, with a recall of nothing, and without an endless search."""
    reached = reach_recall(make_matrix(random_vectors(0, 300, 64)), 0.8, Plan(4, 1, 1), Target(0.9), 0, silent)
    assert reached.reached
    assert reached.recall.by_pair.total == 0


@pytest.mark.parametrize("recall", [0.0, 1.0, 1.5, float("nan")])
def test_impossible_targets_are_refused(recall: float) -> None:
    """A recall of 1 can be computed, by comparing all, but not proven from a sample."""
    with pytest.raises(UsageError, match="expected between 0 and 1"):
        Target(recall)


def test_the_statement_covers_the_truth_although_a_sample_chose_when_to_stop(make_matrix: MakeMatrix) -> None:
    """In at least 90 of 100 seeded runs (misses at random, effort growing by 2 % of the pairs) the interval of a fresh
    sample holds the recall at which the pilot let the search stop."""
    matrix = make_matrix(clumps(300))
    truth = pairs_within(matrix.take(slice(None)), 0.8)
    covered = 0
    for seed in range(100):
        order = np.random.default_rng(seed).permutation(len(truth.left))
        pilot = RecallSample.drawn(matrix, 0.8, 150, seed, silent, "pilot")
        for share in np.arange(0.8, 1.0, 0.02):
            found = _part(truth, order, share)
            if pilot.recall_of(found, 0.95).by_pair.low >= 0.85:  # type: ignore[operator]
                break
        stated = RecallSample.drawn(matrix, 0.8, 150, seed, silent, "statement 1").recall_of(found, 0.95).by_pair
        covered += stated.low <= len(found.left) / len(truth.left) <= stated.high  # type: ignore[operator]
    assert covered >= 90


def _part(truth: Pairs, order: np.ndarray, share: float) -> Pairs:
    return truth.where(np.sort(order[: int(share * len(order))]))


def test_samples_of_different_purpose_differ(make_matrix: MakeMatrix) -> None:
    """The pilot's images are not those of the statement, nor those that a run samples by itself."""
    matrix = make_matrix(clumps(100))
    pilot, statement = (RecallSample.drawn(matrix, 0.8, 50, 0, silent, name).rows for name in ("pilot", "statement 1"))
    assert not np.array_equal(pilot, statement)
    found = compare(matrix, 0.8, Plan(4, 2, 1), 0, silent).pairs
    first = measure_recall(matrix, found, 0.8, sample=50, confidence=0.95, seed=0, progress=silent)
    assert first == measure_recall(matrix, found, 0.8, sample=50, confidence=0.95, seed=0, progress=silent)


def test_a_sample_without_near_duplicates_proves_nothing(
    make_matrix: MakeMatrix, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Three pairs among thousands of images: no sample is likely to hold one, and then nobody knows what was missed."""
    monkeypatch.setattr(target_recall, "MOST_SAMPLED", 200)
    matrix = make_matrix(families(2, [1] * 3000 + [2] * 3))
    reached = reach_recall(matrix, 0.8, Plan(64, 1, 1), Target(0.99, sample=200), 0, silent)
    assert not reached.reached
    assert "cannot be proven: only 0 of 200 sampled images have near-duplicates" in reached.why_not


def test_a_pilot_that_is_a_census_leads_to_an_exhaustive_run(make_matrix: MakeMatrix) -> None:
    """Where all images have to be looked at anyway, all pairs are found and the recall is exact."""
    matrix = make_matrix(families(2, [1] * 300 + [2] * 20))
    reached = reach_recall(matrix, 0.8, Plan(32, 1, 1), Target(0.99, sample=100), 0, silent)
    assert reached.reached
    assert reached.plan.exhaustive
    assert reached.recall.census
    assert len(reached.found.pairs.left) == 20
