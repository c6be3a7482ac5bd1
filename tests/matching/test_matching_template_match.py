"""Where one picture lies within another, found by sliding: for drawings without corners."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from altered import saved
from hypothesis import given, settings
from hypothesis import strategies as st
from pictures import draw, photograph
from PIL import Image, ImageDraw

from memaudit.matching import template_match as slide
from memaudit.matching.agreement import agreement
from memaudit.matching.kinds import Kind
from memaudit.matching.pictures import Picture, picture_of
from memaudit.matching.rule import check, is_copy
from memaudit.matching.template_match import placements
from memaudit.types import Float64

RED, WHITE, GREEN, BLUE = (206, 43, 55), (250, 250, 250), (0, 146, 70), (20, 40, 140)


def flag(left: tuple[int, int, int], top: tuple[int, int, int], bottom: tuple[int, int, int]) -> Image.Image:
    """An upright band beside two that lie, like the flag of Benin, with a disk where they meet."""
    image = Image.new("RGB", (300, 200), bottom)
    draw = ImageDraw.Draw(image)
    draw.rectangle((0, 0, 299, 99), fill=top)
    draw.rectangle((0, 0, 119, 199), fill=left)
    draw.ellipse((85, 65, 155, 135), fill=tuple(255 - value for value in left))
    return image


FLAG = flag(GREEN, (252, 209, 22), RED)
OTHERS = (flag(RED, WHITE, BLUE), flag(BLUE, WHITE, RED), flag(GREEN, RED, WHITE))


def part(image: Image.Image, left: float, top: float, share: float) -> Image.Image:
    width, height = image.size
    x, y = left * (1 - share) * width, top * (1 - share) * height
    return image.crop((round(x), round(y), round(x + share * width), round(y + share * height)))


def pasted(image: Image.Image, ground: Image.Image, left: float, top: float, share: float) -> Image.Image:
    small = image.resize((round(ground.width * share), round(ground.width * share * image.height / image.width)))
    altered = ground.copy()
    altered.paste(small, (round(left * (ground.width - small.width)), round(top * (ground.height - small.height))))
    return altered


def nearest(found: list[Float64], truth: Float64) -> float:
    """The largest distance, in shares of the longer side, by which the best of them misplaces a corner."""
    corners = np.array([[0, 0, 1], [1, 0, 1], [0, 2 / 3, 1], [1, 2 / 3, 1]]).T
    return min((float(np.abs((matrix - truth) @ corners).max()) for matrix in found), default=np.inf)


PLACE = st.floats(0.2, 0.8)


@settings(deadline=None, max_examples=15)
@given(PLACE, PLACE, st.floats(0.45, 0.8), st.integers(0, 3))
def test_a_part_is_placed_where_it_was_cut(left: float, top: float, share: float, seed: int) -> None:
    whole = draw(seed, (300, 200))
    query = saved(part(whole, left, top, share))
    truth = np.array([[share, 0, left * (1 - share)], [0, share, top * (1 - share) * 2 / 3]])
    assert nearest([placed.matrix for placed in placements(picture_of(query), picture_of(whole))], truth) < 0.02


def test_pasted_flags_are_found_in_photographs() -> None:
    """Nearly all of them; and where one is found it is as large as it was pasted."""
    found, tried = 0, list(itertools.product((0.2, 0.5, 0.8), (0.3, 0.7), (0.4, 0.55, 0.7), range(2)))
    for left, top, share, seed in tried:
        query = saved(pasted(FLAG, photograph(seed), left, top, share))
        checked = check(picture_of(query), picture_of(FLAG))
        if checked.is_copy:
            found += 1
            assert checked.kind is Kind.PARTIAL
            assert checked.agreement.of_query == pytest.approx(share**2 * 320 * 2 / 3 / 240, rel=0.15)
    assert found >= 0.9 * len(tried)


def test_a_part_of_a_flag_is_a_part() -> None:
    for left, top in ((0.2, 0.5), (0.5, 0.2), (0.4, 0.7)):
        assert check(picture_of(saved(part(FLAG, left, top, 0.5))), picture_of(FLAG)).kind is Kind.PARTIAL


def test_other_colours_are_not_found_by_sliding() -> None:
    """Their outlines agree, and so may their greys."""
    whole = picture_of(FLAG)
    for other in OTHERS:
        for query in (other, part(other, 0.4, 0.5, 0.5), pasted(other, photograph(1), 0.5, 0.5, 0.5)):
            picture = picture_of(query)
            found = [agreement(picture, whole, placed.matrix) for placed in placements(picture, whole)]
            assert not any(is_copy(agreed, 0, sought=True) for agreed in found)


def bands(*colours: tuple[int, int, int]) -> Image.Image:
    column = Image.new("RGB", (1, len(colours)))
    column.putdata(colours)
    return column.resize((300, 200), Image.Resampling.NEAREST)


def test_parallel_edges_fit_anywhere_and_say_nothing() -> None:
    """Two bands of three are no part of them, and a line is no copy of a line elsewhere."""
    pairs = [(bands(RED, WHITE), bands(BLUE, RED, WHITE)), (bands(WHITE, RED), bands(RED, WHITE, RED))]
    lines = [Image.new("RGB", (300, 200), WHITE) for _ in range(2)]
    for image, x in zip(lines, (60, 190), strict=True):
        ImageDraw.Draw(image).rectangle((x, 0, x + 8, 199), fill=BLUE)
    pairs.append((bands(RED, WHITE, RED), bands(RED, WHITE, BLUE)))
    for left, right in (*pairs, (lines[0], lines[1])):
        assert not check(picture_of(left), picture_of(right)).is_copy


def test_a_turned_flag_is_found_by_the_frame_on_its_ground() -> None:
    turned = saved(OTHERS[0].rotate(25, Image.Resampling.BICUBIC, expand=True))
    assert check(picture_of(turned), picture_of(OTHERS[0])).is_copy


def test_where_features_abound_nothing_is_slid(monkeypatch: pytest.MonkeyPatch) -> None:
    whole, piece = picture_of(photograph(0)), picture_of(part(photograph(0), 0.5, 0.5, 0.7))
    monkeypatch.setattr(slide, "MOST_FEATURES", len(piece.features.places) + 1)
    assert list(placements(piece, whole))
    monkeypatch.setattr(slide, "MOST_FEATURES", len(piece.features.places))
    assert not list(placements(piece, whole))


@pytest.mark.parametrize("size", [(1, 1), (2, 300), (300, 3), (40, 30)])
def test_nothing_is_found_in_what_shows_nothing(size: tuple[int, int]) -> None:
    """Nor does it fail: one pixel wide, or plain."""
    plain, whole = picture_of(Image.new("RGB", size, RED)), picture_of(FLAG)
    pairs: list[tuple[Picture, Picture]] = [(plain, whole), (whole, plain), (plain, plain)]
    assert not any(list(placements(*pair)) for pair in pairs)
    assert not any(check(*pair).is_copy for pair in pairs)
