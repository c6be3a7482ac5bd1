"""Windows: the same number of them for every shape, and no pixel that none of them shows."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from memaudit.images.windows import DETAILS, Box, Window, detail_windows, lie_apart, tile_windows, window_named

ALL = (*tile_windows(), *detail_windows())
SIZES = st.tuples(st.integers(1, 90), st.integers(1, 90))


def seen(size: tuple[int, int], windows: tuple[Window, ...]) -> np.ndarray:
    """How many of the windows show each pixel, (height, width)."""
    count = np.zeros(size[::-1], int)
    for window in windows:
        left, top, right, bottom = window.box(size)
        count[top:bottom, left:right] += 1
    return count


@given(SIZES)
def test_every_pixel_lies_in_a_window_and_no_window_beyond_the_image(size: tuple[int, int]) -> None:
    for windows in (tile_windows(), detail_windows()):
        assert seen(size, windows).min() > 0
        for window in windows:
            left, top, right, bottom = window.box(size)
            assert 0 <= left < right <= size[0]
            assert 0 <= top < bottom <= size[1]


@given(SIZES)
def test_details_are_squares_of_a_sixth_or_as_high_as_the_image(size: tuple[int, int]) -> None:
    side = -(-max(size) // 6)
    for window in detail_windows():
        left, top, right, bottom = window.box(size)
        assert sorted((right - left, bottom - top)) == [min(side, min(size)), side]


@pytest.mark.parametrize("size", [(660, 440), (440, 660), (600, 600), (660, 60)], ids=str)
def test_neighbouring_details_share_nearly_a_half(size: tuple[int, int]) -> None:
    """Along either side: a part of four tenths of a window lies wholly in one."""
    boxes = np.array([window.box(size) for window in detail_windows()]).reshape(DETAILS, DETAILS, 4)
    for axis in (0, 1):
        assert np.abs(np.diff(boxes[..., :2], axis=axis)).max() <= np.ptp(boxes[0, 0, [0, 2]]) * 0.57


@given(SIZES, st.integers(2, 9))
def test_a_window_lies_at_one_place_whatever_the_scale(size: tuple[int, int], scale: int) -> None:
    """Embedding and the comparison of pixels see an image at sizes of their own, and one side may be the longer by a
    pixel in one of them only."""
    width, height = size
    for window in ALL:
        boxes = [
            np.array(window.box(s))
            for s in (size, (width * scale, height * scale), (width * scale, height * scale + 1))
        ]
        assert np.abs(boxes[1] - boxes[2]).max() <= 2
        assert np.abs(boxes[0] * scale - boxes[1]).max() <= 2 * scale


def test_details_are_counted_by_row_and_column() -> None:
    assert window_named("detail 1,10").box((300, 200)) == (250, 0, 300, 50)
    assert window_named("detail 10,1").box((300, 200)) == (0, 150, 50, 200)


def test_names_tell_the_windows_apart_and_lead_back_to_them() -> None:
    assert len({window.name for window in ALL}) == len(ALL) == 9 + 100
    for window in ALL:
        assert window_named(window.name).box((310, 170)) == window.box((310, 170))
    with pytest.raises(KeyError):
        window_named("mirrored")


def test_a_box_is_widened_as_far_as_the_image_goes() -> None:
    assert Box(40, 20, 80, 60).widened(0.25, (200, 100)) == (30, 10, 90, 70)
    assert Box(0, 0, 40, 40).widened(0.5, (50, 200)) == (0, 0, 50, 60)


def test_windows_lie_apart_where_they_share_nothing() -> None:
    """Of details those two apart along either side; a tile and a detail beyond it."""
    assert [lie_apart("detail 4,6", other) for other in ("detail 4,6", "detail 5,7", "detail 4,8", "detail 6,6")] == [
        False,
        False,
        True,
        True,
    ]
    assert lie_apart("tile 1,1", "tile 1,3")
    assert not lie_apart("tile 1,1", "tile 2,2")
    assert lie_apart("tile 1,1", "detail 10,1")
