"""Which alignments are refused before an agreement is computed."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from altered import COPIES
from pictures import photograph
from PIL import Image

from memaudit.matching.align import Alignment, Way, alignments
from memaudit.matching.hopeless import hopeless, small_correlation
from memaudit.matching.kinds import Kind
from memaudit.matching.pictures import Frame, Picture, picture_of
from memaudit.matching.rule import check

AS_IT_IS = np.array([[1.0, 0, 0], [0, 1, 0]])


@pytest.fixture(scope="module")
def photo() -> Picture:
    return picture_of(photograph(0))


@pytest.mark.parametrize("name", COPIES)
def test_what_makes_a_copy_is_left(photo: Picture, name: str) -> None:
    assert check(picture_of(COPIES[name](photograph(0))), photo).is_copy


def test_of_other_pictures_nothing_is_left_but_frame_on_frame(photo: Picture) -> None:
    """As what they are told by; it is no copy."""
    for seed in range(1, 9):
        other = picture_of(photograph(seed))
        assert [found.way for found in alignments(other, photo)] == [Way.FRAME]
        assert check(other, photo).kind is Kind.SIMILAR


def test_of_parts_nothing_is_refused(photo: Picture) -> None:
    other = picture_of(photograph(0).point(lambda value: 255 - value))
    part = replace(other, within=Frame(AS_IT_IS, (1.0, 0.75)))
    found = Alignment(AS_IT_IS, Way.FEATURES, inliers=5)
    assert hopeless(other, photo, found)
    assert not hopeless(part, photo, found)
    assert not hopeless(photo, part, found)


@pytest.mark.parametrize("score", [0.0, 0.94])
def test_a_few_features_earn_more_patience_than_none(photo: Picture, score: float) -> None:
    """A double exposure, of which the other picture is the larger part."""
    mixed = picture_of(Image.blend(photograph(0), photograph(1), 0.75))
    correlation = small_correlation(mixed, photo, AS_IT_IS)
    assert 0.25 < correlation < 0.45
    assert hopeless(mixed, photo, Alignment(AS_IT_IS, Way.FRAME, score=score))
    assert not hopeless(mixed, photo, Alignment(AS_IT_IS, Way.FEATURES, inliers=5))


def test_many_features_or_a_perfect_fit_are_believed(photo: Picture) -> None:
    other = picture_of(photograph(0).point(lambda value: 255 - value))
    assert hopeless(other, photo, Alignment(AS_IT_IS, Way.FEATURES, inliers=11))
    assert not hopeless(other, photo, Alignment(AS_IT_IS, Way.FEATURES, inliers=12))
    assert not hopeless(other, photo, Alignment(AS_IT_IS, Way.SLID, score=0.95))


def test_correlation_is_that_of_the_common_part(photo: Picture) -> None:
    """One with itself, minus one with its negative; none where nothing is common, or nothing shown."""
    negative = picture_of(photograph(0).point(lambda value: 255 - value))
    assert small_correlation(photo, photo, AS_IT_IS) > 0.99
    assert small_correlation(negative, photo, AS_IT_IS) < -0.99
    assert small_correlation(photo, photo, AS_IT_IS + np.array([[0, 0, 40.0], [0, 0, 0]])) == 0
    plain = picture_of(Image.new("RGB", (320, 240), "white"))
    assert small_correlation(plain, plain, AS_IT_IS) == 0
    left = picture_of(photograph(0).crop((0, 0, 160, 240)))
    height = 240 / 320  # of the half in shares of the whole's longer side
    assert small_correlation(left, photo, AS_IT_IS * height) > 0.9


def test_tiny_pictures_have_a_correlation_too() -> None:
    thin = picture_of(Image.effect_noise((300, 12), 80).convert("RGB"))
    assert -1 <= small_correlation(thin, thin, AS_IT_IS) <= 1
