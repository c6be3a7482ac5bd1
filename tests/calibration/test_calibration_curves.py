"""Curves and goals: exact against counting, and promised no more often than they can be kept."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from memaudit.calibration.choosing import NEVER, Choice, choose
from memaudit.calibration.curves import PROBABILITIES, SIMILARITIES, Goal, Labelled, chosen, points_of
from memaudit.calibration.estimates import Ends, needed
from memaudit.calibration.recalibration import LEAST_LABELS, recalibrated

OWN = 0.75


def labelled(
    similarity: list[float] | np.ndarray,
    copy: list[bool] | np.ndarray,
    probability: list[float] | np.ndarray | None = None,
    doubtful: list[bool] | np.ndarray | None = None,
    weight: list[float] | np.ndarray | None = None,
) -> Labelled:
    """Pairs of which no two have an image in common."""
    n = len(similarity)
    return Labelled(
        np.asarray(similarity, np.float32),
        np.full(n, np.nan, np.float32) if probability is None else np.asarray(probability, np.float32),
        np.asarray(copy, bool),
        np.zeros(n, bool) if doubtful is None else np.asarray(doubtful, bool),
        np.ones(n) if weight is None else np.asarray(weight, float),
        Ends(np.arange(n), np.arange(n, 2 * n)),
    )


ROWS = st.lists(
    st.tuples(st.floats(0, 1, width=32), st.sampled_from(["copy", "other", "doubtful"]), st.floats(0.1, 50)),
    min_size=1,
    max_size=30,
)


@given(ROWS)
def test_points_are_what_counting_gives(rows: list[tuple[float, str, float]]) -> None:
    """Weighted precision and recall at each step; what is doubtful counts against both."""
    similarity, said, weight = zip(*rows, strict=True)
    given_ = labelled(
        list(similarity), [s == "copy" for s in said], doubtful=[s == "doubtful" for s in said], weight=list(weight)
    )
    for point in points_of(given_, given_.similarity, SIMILARITIES[::-1]):
        found = [np.float32(s) >= np.float32(point.at) for s in similarity]
        hit = sum(w for f, s, w in zip(found, said, weight, strict=True) if f and s == "copy")
        every = sum(w for f, w in zip(found, weight, strict=True) if f)
        copies = sum(w for s, w in zip(said, weight, strict=True) if s == "copy")
        lost = sum(w for f, s, w in zip(found, said, weight, strict=True) if s == "doubtful" and not f)
        assert point.precision.value == pytest.approx(hit / every, abs=1e-6)
        if copies + lost:
            assert point.recall.value == pytest.approx(hit / (copies + lost), abs=1e-6)


def test_points_stand_where_something_changes() -> None:
    """Between two pairs the step nearest to those that are found: no share is promised of what nobody looked at."""
    given_ = labelled([0.9, 0.8, 0.8], [True, True, False])
    falling = points_of(given_, given_.similarity, SIMILARITIES[::-1])
    assert [point.at for point in falling] == [0.9, 0.8]
    rising = points_of(given_, given_.similarity, SIMILARITIES)
    assert [point.at for point in rising] == [0.005, 0.805]


@settings(max_examples=40)
@given(ROWS, st.sampled_from(["precision", "recall"]), st.floats(0.005, 1))
def test_what_nobody_labelled_breaks_no_promise(
    rows: list[tuple[float, str, float]], name: str, between: float
) -> None:
    """Of the steps that find the same labelled pairs it is the one by which whatever else lies between them harms the
    goal least: a further look-alike there is not found where a precision was shown, a further copy not missed where a
    recall was."""
    probability, said, weight = zip(*rows, strict=True)
    copy, doubtful = [each == "copy" for each in said], [each == "doubtful" for each in said]
    given_ = labelled([0.6] * len(rows), copy, list(probability), doubtful, list(weight))
    choice = choose(given_, Goal(name, 0.1), OWN, 0.6)
    if choice.cut is None:
        return
    same = [step for step in PROBABILITIES if _found(given_, step) == _found(given_, choice.cut)]
    assert choice.cut == (max(same) if name == "precision" else min(same))
    if min(same) <= between < max(same):  # a pair that no label is of
        assert (np.float32(between) >= np.float32(choice.cut)) == (name == "recall")


def _found(given_: Labelled, step: float) -> list[bool]:
    return [bool(each) for each in given_.probability >= np.float32(step)]


def test_a_cut_in_a_wide_gap_is_at_the_end_that_is_safe_for_the_goal() -> None:
    """Nobody looked at a pair between 0.2 and 0.9: a precision does not count on it, a recall leaves none of it out."""
    given_ = labelled([0.6] * 150, np.arange(150) >= 100, np.r_[np.full(100, 0.2), np.full(50, 0.9)])
    assert choose(given_, Goal("precision", 0.9), OWN).cut == 0.9
    assert choose(given_, Goal("recall", 0.9), OWN).cut == 0.21


@pytest.mark.parametrize(("floor", "least"), [(None, 0.005), (0.3, 0.3), (0.333, 0.335)])
def test_without_pixels_no_threshold_lies_below_where_pairs_were_sought(floor: float | None, least: float) -> None:
    """All copies have to be found, and some are as little similar as can be."""
    given_ = labelled(np.linspace(0.34, 0.9, 40), [True] * 40)
    assert choose(given_, Goal("recall", 0.9), OWN, floor).threshold == least


def test_copies_whose_pixels_are_gone_are_not_found() -> None:
    """Half of 400: a recall of one in two, not of all; above the threshold similarity finds them."""
    gone = np.r_[np.full(200, np.nan), np.full(200, 0.9)]
    choice = choose(labelled([0.6] * 400, [True] * 400, gone), Goal("recall", 0.9), OWN)
    assert choice.point is None
    assert "(400 copies, 0 doubtful, 200 not compared on pixels) do not show a recall of 0.9: at best 0.5" in (
        choice.shortfall
    )
    assert choice.shortfall.endswith("bring back the files of those that were not compared, or ask for less")
    above = choose(labelled([0.8] * 400, [True] * 400, gone), Goal("recall", 0.9), OWN).point
    assert above
    assert above.recall.value == 1
    wrong = labelled([0.8] * 400, [False] * 200 + [True] * 200, gone)
    assert choose(wrong, Goal("precision", 0.9), OWN).threshold == NEVER
    assert choose(wrong, Goal("recall", 0.9), OWN).point.precision.value == 0.5  # type: ignore[union-attr]


def test_a_precision_is_met_as_far_down_as_it_goes() -> None:
    n = needed(0.9)
    clean = labelled(np.linspace(0.6, 0.9, n), [True] * n)
    point = chosen(points_of(clean, clean.similarity, SIMILARITIES[::-1]), Goal("precision", 0.9))
    assert point is not None
    assert point.at == 0.6
    assert chosen(points_of(clean, clean.similarity, SIMILARITIES[::-1]), Goal("precision", 0.91)) is None
    more = labelled(np.r_[np.linspace(0.7, 0.9, 3 * n), [0.5] * n], [True] * (3 * n) + [False] * n)
    point = chosen(points_of(more, more.similarity, SIMILARITIES[::-1]), Goal("precision", 0.9))
    assert point is not None
    assert 0.5 < point.at <= 0.7
    assert point.precision.low >= 0.9


def test_where_the_search_begins_does_not_hang_on_verdicts() -> None:
    """A mistake among the most similar pairs, where enough were labelled, ends it: it is not passed over."""
    n = needed(0.9)
    wrong = [True] * n
    wrong[-1] = False
    given_ = labelled(np.linspace(0.8, 0.9, n), wrong)
    assert chosen(points_of(given_, given_.similarity, SIMILARITIES[::-1]), Goal("precision", 0.9)) is None


def test_threshold_and_cut_for_a_precision() -> None:
    """The least threshold by similarity alone, then the least cut of both together."""
    similarity = np.r_[np.full(60, 0.8), np.full(60, 0.6), np.full(60, 0.6)]
    probability = np.r_[np.full(60, 0.9), np.full(60, 0.7), np.full(60, 0.1)]
    given_ = labelled(similarity, np.arange(180) < 120, probability)
    choice = choose(given_, Goal("precision", 0.9), OWN)
    assert (choice.threshold, choice.cut, choice.shortfall) == (0.8, 0.7, "")
    assert choice.point is not None
    assert (choice.point.precision.value, choice.point.recall.value) == (1.0, 1.0)


def test_similarity_alone_decides_nothing_where_it_shows_nothing() -> None:
    """Look-alikes of high similarity: pixels decide, and the threshold is out of reach."""
    similarity = np.full(120, 0.8)
    probability = np.r_[np.full(60, 0.9), np.full(60, 0.1)]
    choice = choose(labelled(similarity, np.arange(120) < 60, probability), Goal("precision", 0.9), OWN)
    assert (choice.threshold, choice.cut) == (NEVER, 0.9)


def test_a_recall_is_met_with_as_few_errors_as_can_be() -> None:
    """The greatest cut beside the encoder's own threshold."""
    similarity = np.r_[np.full(50, 0.8), np.full(150, 0.6)]
    probability = np.r_[np.full(50, np.nan), np.linspace(0.2, 0.99, 150)]
    probability[:50] = 0.1
    choice = choose(labelled(similarity, np.full(200, True), probability), Goal("recall", 0.8), OWN)
    assert choice.threshold == OWN
    assert choice.cut is not None
    assert choice.point is not None
    assert choice.point.recall.low >= 0.8 > choice.point.recall.low - 0.05
    assert 0.2 < choice.cut < 0.5


def test_without_pixels_the_similarity_is_calibrated_alone() -> None:
    given_ = labelled(np.linspace(0.6, 0.9, 100), np.linspace(0.6, 0.9, 100) > 0.7)
    assert choose(given_, Goal("precision", 0.9), OWN).cut is None
    assert 0.69 < choose(given_, Goal("precision", 0.9), OWN).threshold < 0.71
    assert choose(given_, Goal("recall", 0.9), OWN).threshold < 0.71


@pytest.mark.parametrize(
    ("copies", "others", "goal", "words"),
    [
        (10, 0, Goal("precision", 0.99), ["10 labelled pairs (10 copies, 0 doubtful)", "about 358 more pairs"]),
        (0, 30, Goal("precision", 0.99), ["hold nothing to show", "at least 368 copies"]),
        (50, 50, Goal("precision", 0.99), ["more labels alone will not show it"]),
        (20, 0, Goal("recall", 0.95), ["about 52 more copies"]),
    ],
)
def test_what_falls_short_says_how_many_more(copies: int, others: int, goal: Goal, words: list[str]) -> None:
    n = copies + others
    choice = choose(labelled(np.full(n, 0.6), np.arange(n) < copies, np.full(n, 0.8)), goal, OWN)
    assert choice.point is None
    assert all(word in choice.shortfall for word in words), choice.shortfall


@pytest.mark.slow
@pytest.mark.parametrize("goal", [Goal("precision", 0.9), Goal("recall", 0.8)])
def test_promises_are_kept_as_often_as_they_say(goal: Goal) -> None:
    """Of 100 sets with known truth, a share below the goal is promised in no more than 2.5 % of those, but for chance
    (1 in 1,000); and something is promised most times."""
    rng, broken, promised = np.random.default_rng(11), 0, 0
    for _ in range(100):
        copy = rng.random(250) < 0.7
        probability = np.clip(rng.normal(np.where(copy, 0.75, 0.35), 0.15), 0.001, 0.999)
        choice = choose(labelled(np.full(250, 0.6), copy, probability), goal, OWN)
        if choice.point is not None:
            promised += 1
            broken += truth(choice, goal) < goal.share
    assert promised > 75
    assert broken <= 8


def truth(choice: Choice, goal: Goal) -> float:
    """Precision or recall of the cut in the set that the simulated pairs are drawn from."""
    rng = np.random.default_rng(1)
    copy = rng.random(200_000) < 0.7
    found = np.clip(rng.normal(np.where(copy, 0.75, 0.35), 0.15), 0.001, 0.999) >= (choice.cut or 0)
    return float(copy[found].mean() if goal.name == "precision" else found[copy].mean())


def test_a_probability_is_recalibrated_to_what_is_so_here() -> None:
    """Copies half as likely as the model says, by odds: the curve finds that."""
    rng = np.random.default_rng(2)
    said = rng.uniform(0.02, 0.98, 4000)
    here = 1 / (1 + np.exp(-(-1 + 1.5 * np.log(said / (1 - said)))))
    found = recalibrated(labelled(np.full(4000, 0.6), rng.random(4000) < here, said)).curve
    assert found is not None
    assert found.intercept == pytest.approx(-1, abs=0.15)
    assert found.slope == pytest.approx(1.5, abs=0.15)
    assert np.abs(found(said) - here).max() < 0.05
    assert (np.diff(found(PROBABILITIES)) > 0).all()


def test_separable_pairs_have_a_curve_too() -> None:
    copy = np.arange(120) < 60
    found = recalibrated(labelled(np.full(120, 0.6), copy, np.where(copy, 0.9, 0.1))).curve
    assert found is not None
    assert 0.9 < found(0.9) < 1
    assert 0 < found(0.1) < 0.1


@pytest.mark.parametrize(
    ("copies", "others", "words"), [(60, 30, "it takes 100"), (190, 10, "with 20 of each"), (0, 200, "0 copies")]
)
def test_too_few_labels_leave_the_probability_as_it_is(copies: int, others: int, words: str) -> None:
    n = copies + others
    found = recalibrated(labelled(np.full(n, 0.6), np.arange(n) < copies, np.full(n, 0.5)))
    assert found.curve is None
    assert words in found.why_not


def test_no_curve_falls() -> None:
    copy = np.arange(LEAST_LABELS) < LEAST_LABELS // 2
    found = recalibrated(labelled(np.full(LEAST_LABELS, 0.6), copy, np.where(copy, 0.1, 0.9)))
    assert found.curve is None
    assert "no curve that rises" in found.why_not
