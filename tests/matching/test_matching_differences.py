"""How two pictures differ that lie on each other: what was laid over one, and what was drawn otherwise."""

from __future__ import annotations

import numpy as np
import pytest
from altered import COPIES
from pictures import photograph
from PIL import Image, ImageDraw

from memaudit.matching.agreement import lay
from memaudit.matching.differences import NOTHING_SHOWN, Differences, differences
from memaudit.matching.pictures import picture_of

AS_IT_IS = np.eye(2, 3)
HANDS = ((100, 30), (160, 100), (100, 170), (40, 100))


def told(one: Image.Image, other: Image.Image) -> Differences:
    laid = lay(picture_of(one), picture_of(other), AS_IT_IS)
    assert laid is not None
    return differences(laid)


def clock(hand: tuple[int, int]) -> Image.Image:
    image = Image.new("RGB", (200, 200), "white")
    draw = ImageDraw.Draw(image)
    draw.ellipse((8, 8, 192, 192), outline="navy", width=8)
    for mark in range(20, 181, 40):
        draw.line((mark, 20, mark, 30), "black", 3)
    draw.line((100, 100, *hand), "black", 8)
    return image


def covered(image: Image.Image) -> Image.Image:
    covered = image.copy()
    ImageDraw.Draw(covered).ellipse((70, 60, 130, 120), "gold", "black", 3)
    return covered


def test_a_picture_does_not_differ_from_itself() -> None:
    found = told(photograph(1), photograph(1))
    assert found._replace(solid=0.0, outlined=0.0, recoloured=0.0) == NOTHING_SHOWN
    assert found.recoloured < 0.05
    assert found.outlined > 0.1


@pytest.mark.parametrize("name", ["grey", "brighter", "half_jpeg"])
def test_other_colours_are_no_difference(name: str) -> None:
    """Nor what JPEG and a smaller size leave."""
    found = told(COPIES[name](photograph(2)), photograph(2))
    assert found.beyond + found.ragged < 0.02
    assert found.more_lost < 0.02


@pytest.mark.parametrize("hand", HANDS[1:])
def test_another_time_is_drawn_otherwise(hand: tuple[int, int]) -> None:
    """Each clock lacks the hand of the other one, on its plain face; nothing was laid over either."""
    found = told(clock(HANDS[0]), clock(hand))
    assert found.lost > 0.03
    assert found.pieces > 0


def test_what_was_laid_over_it_hides_and_loses_nothing_else() -> None:
    for one, other in ((covered(clock(HANDS[0])), clock(HANDS[0])), (clock(HANDS[0]), covered(clock(HANDS[0])))):
        found = told(one, other)
        assert found.lost < 0.005
        assert found.solid > 0.8
        assert found.more_lost > 0.03


def test_pieces_are_counted() -> None:
    paper, dots = Image.new("RGB", (200, 200), "white"), Image.new("RGB", (200, 200), "white")
    draw = ImageDraw.Draw(dots)
    for x in (40, 100, 160):
        draw.ellipse((x - 16, 84, x + 16, 116), "black")
    assert told(dots, paper).pieces == 3


def test_plain_pictures_show_nothing() -> None:
    white = Image.new("RGB", (100, 100), "white")
    assert told(white, white)._replace(recoloured=0.0) == NOTHING_SHOWN
