"""The relabelling test: exact sums, and labels drawn by chance."""

import math
from itertools import permutations

import numpy as np
import pytest

from memaudit.statistics import least_relabelling_p, relabelling, relabelling_p


def p_of(weights: list[int], training: list[bool], references: int, controls: int) -> float:
    columns = (np.array(weights, dtype=np.int64), np.array(training, dtype=bool))
    return relabelling_p(*columns, references, controls, permutations=999, seed=0)


def test_without_matches_p_is_one() -> None:
    """No generation near any image speaks for nothing."""
    assert p_of([], [], 1000, 1000) == 1


def test_p_is_never_zero() -> None:
    """(1 + reached) / (1 + B): a thousand findings give 1 / 1000 with 999 permutations, and not 0."""
    assert p_of([1] * 1000, [True] * 1000, 5000, 5000) == 0.001


@pytest.mark.parametrize("groups", range(1, 30))
def test_no_p_is_below_the_least_that_there_can_be(groups: int) -> None:
    """The report prints both: draws that happen to reach the extreme less often than it is likely show nothing more."""
    assert p_of([1] * groups, [True] * groups, 300, 100) >= least_relabelling_p(groups, 300, 100)


def test_all_matches_held_out_give_p_one() -> None:
    """A model whose generations resemble only images it never saw has memorised nothing."""
    assert p_of([2] * 30, [False] * 30, 500, 500) == 1


def test_many_training_matches_mean_little_beside_few_controls() -> None:
    """With 100 training images to each held-out one, twenty training matches are what chance gives."""
    assert p_of([1] * 20, [True] * 20, 100_000, 1_000) > 0.7
    assert p_of([1] * 20, [True] * 20, 1_000, 1_000) == 0.001


def test_one_group_that_returns_often_is_one_piece_of_evidence() -> None:
    """Fifty generations of one group are one label: the p-value cannot fall below the chance of that label."""
    assert p_of([50], [True], 500, 500) == pytest.approx(0.5, abs=0.06)
    assert p_of([50], [True], 500, 1000) == pytest.approx(1 / 3, abs=0.05)


def test_relabelling_is_the_exact_sum_over_labels() -> None:
    """Uneven weights, few images: the p-value is that of all ways to draw the labels."""
    weights, training = [5, 3, 1, 1], [True, False, True, True]

    def excess(labels: list[bool]) -> float:
        both = ((sum(w for w, label in zip(weights, labels, strict=True) if label), 10, 36), (sum(labels), 4, 4))
        return max((count - 5 / 9 * total) / math.sqrt(squares) for count, total, squares in both)

    ways = [excess([label < 5 for label in labels]) for labels in permutations(range(9), 4)]
    truth = sum(way >= excess(training) - 1e-9 for way in ways) / len(ways)  # labels 0 to 4 are training images
    columns = (np.array(weights, dtype=np.int64), np.array(training, dtype=bool))
    assert relabelling_p(*columns, 5, 4, permutations=99_999, seed=1) == pytest.approx(truth, abs=0.005)


def test_relabelling_does_not_depend_on_what_is_drawn_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """The memory bound is no part of the result, beyond the draws themselves."""
    columns = (np.arange(1, 41), np.arange(40) < 25)
    whole = relabelling_p(*columns, 60, 40, permutations=9999, seed=0)
    monkeypatch.setattr(relabelling, "_DRAWN_AT_ONCE", 1000)
    assert relabelling_p(*columns, 60, 40, permutations=9999, seed=0) == pytest.approx(whole, abs=0.02)


@pytest.mark.parametrize(("groups", "references", "controls"), [(1, 3, 1), (4, 6, 4), (5, 4, 9), (0, 5, 5)])
def test_the_least_p_is_the_chance_that_all_labels_are_training(groups: int, references: int, controls: int) -> None:
    """What the test could show at most: by counting, 0 where there are fewer training images than groups."""
    truth = math.comb(references, groups) / math.comb(references + controls, groups)
    assert least_relabelling_p(groups, references, controls) == pytest.approx(truth)


@pytest.mark.parametrize(("references", "controls"), [(300, 300), (900, 100), (100, 300)])
def test_relabelling_is_valid_when_labels_are_exchangeable(references: int, controls: int) -> None:
    """Labels drawn by chance give p <= alpha no more often than alpha, for uneven weights (1,000 splits)."""
    rng = np.random.default_rng(0)
    weights = rng.integers(1, 6, 40)
    labels = np.arange(references + controls) < references
    ps = np.array(
        [
            relabelling_p(weights, rng.permutation(labels)[:40], references, controls, permutations=199, seed=int(seed))
            for seed in rng.integers(0, 2**31, 1000)
        ]
    )
    for alpha in (0.01, 0.05, 0.2, 0.5):
        assert (ps <= alpha).mean() <= alpha + 3 * np.sqrt(alpha * (1 - alpha) / 1000)
    assert (ps <= 0.5).mean() > 0.35  # and it is not valid by never speaking
