"""What is compared on pixels, from which similarity on, and why not: one plan for one set, and for a search."""

from __future__ import annotations

import sys

import pytest

from memaudit.errors import MissingDependencyError, UsageError
from memaudit.matching.plan import NEAREST_FLOORS, PAIR_FLOORS, SEARCH_FLOORS, MatchPlan, plan_matching

SETS = pytest.mark.parametrize("images", [None, 10])  # None: pictures are searched in another set


@pytest.fixture(autouse=True)
def floors(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(PAIR_FLOORS, "measured", 0.45)
    monkeypatch.setitem(SEARCH_FLOORS, "measured", 0.3)
    monkeypatch.setitem(NEAREST_FLOORS, "measured", 0.15)


def test_pairs_of_one_set() -> None:
    """auto says why it looks at no pixels; who asked for them gets an error, or more work."""
    many = 1_000_000
    assert plan_matching("auto", None, "measured", 0.75, 10).floor == 0.45
    assert plan_matching("auto", 0.6, "measured", 0.75, many).floor == 0.6
    assert plan_matching("auto", None, "measured", 0.75, many) == MatchPlan(0.45, 0.45, True)
    assert plan_matching("auto", None, "measured", 0.75, many, cut=0.9).cut == 0.9
    assert plan_matching("pixels", None, "measured", 0.75, many).floor == 0.45
    assert plan_matching("pixels", 0.6, "other", 0.75, 10).floor == 0.6
    for encoder, threshold, images, why in (
        ("other", 0.75, 10, "encoder other has no measured floor"),
        ("measured", 0.45, 10, "the threshold 0.45 is not above 0.45"),
    ):
        plan = plan_matching("auto", None, encoder, threshold, images)
        assert (plan.on_pixels, plan.floor) == (False, threshold)
        assert why in plan.why_not
    with pytest.raises(UsageError, match="encoder other has no measured floor"):
        plan_matching("pixels", None, "other", 0.75, 10)
    with pytest.raises(UsageError, match=r"threshold 0\.4 is not above 0\.45"):
        plan_matching("pixels", None, "measured", 0.4, 10)


def test_a_search() -> None:
    """Where no floor is measured pixels tell the kind of what reaches the threshold; a floor is never above it."""
    assert plan_matching("auto", None, "measured", 0.75) == MatchPlan(0.3, 0.3, True, nearest_from=0.15)
    assert plan_matching("auto", 0.4, "measured", 0.75).nearest_from is None  # one floor was named for all
    assert plan_matching("auto", None, "other", 0.75) == MatchPlan(0.75, 0.75, True)
    assert plan_matching("pixels", 0.9, "other", 0.75) == MatchPlan(0.75, -1.0, True)


def test_images_of_prompts_are_candidates_however_low_their_similarity() -> None:
    """But for embeddings that were imported, whose files are mostly not there, unless a floor is named."""
    assert plan_matching("auto", None, "thumbnail", 0.95).prompts_floor == -1
    assert plan_matching("auto", None, "measured", 0.75).prompts_floor == 0.3
    assert plan_matching("auto", 0.5, "measured", 0.75).prompts_floor == -1


@SETS
def test_no_pixels(images: int | None) -> None:
    assert plan_matching("none", None, "measured", 0.75, images) == MatchPlan(0.75, 0.75, False, "--match none")


@SETS
@pytest.mark.parametrize(
    ("match", "floor", "words"),
    [
        ("pixel", None, "expected one of auto, pixels, none"),
        ("auto", 1.5, "out of range"),
        ("none", 0.5, "leave out --match-from"),
    ],
)
def test_what_cannot_be(match: str, floor: float | None, words: str, images: int | None) -> None:
    with pytest.raises(UsageError, match=words):
        plan_matching(match, floor, "measured", 0.75, images)


@SETS
def test_without_opencv(monkeypatch: pytest.MonkeyPatch, images: int | None) -> None:
    """auto goes on by similarity and says why; pixels, or a floor, that somebody asked for are an error."""
    monkeypatch.setitem(sys.modules, "cv2", None)
    plan = plan_matching("auto", None, "measured", 0.75, images)
    assert (plan.on_pixels, plan.floor, plan.prompts_floor) == (False, 0.75, 0.75)
    assert "pip install" in plan.why_not
    for match, floor in (("pixels", None), ("auto", 0.5)):
        with pytest.raises(MissingDependencyError):
            plan_matching(match, floor, "measured", 0.75, images)
