"""Windows: parts of an image at fixed places, the same number of them whatever its shape."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, partial
from typing import NamedTuple

_SQUARE = 1 << 12  # pixels of a side: windows are told apart without an image at hand
_TILES = 3  # a side: windows of half the side, a quarter apart
DETAIL = "detail "  # begins the names of details
_SIDES = 6  # to the longer side: the side of a square window
DETAILS = 10  # such windows along a side: neighbours share 44 % of the longer one, and more of the shorter


class Box(NamedTuple):
    """A rectangle in pixels, right and bottom excluded: what Pillow's crop takes."""

    left: int
    top: int
    right: int
    bottom: int

    def widened(self, margin: float, size: tuple[int, int]) -> Box:
        """With `margin` times its own sides more on every side, as far as an image of `size` goes."""
        x, y = (round(margin * side) for side in (self.right - self.left, self.bottom - self.top))
        return Box(
            max(0, self.left - x), max(0, self.top - y), min(size[0], self.right + x), min(size[1], self.bottom + y)
        )


class Window(NamedTuple):
    """`name` is what reports use; `part`: its longer side, to the image's; `box` gives its place in an image of a size,
    (width, height) in pixels, upright."""

    name: str
    part: float
    box: Callable[[tuple[int, int]], Box]


def tile_windows() -> tuple[Window, ...]:
    """Windows of half the width and height, in a grid of three by three: each overlaps its neighbours by a half."""
    return tuple(
        Window(f"tile {row + 1},{column + 1}", 1 / 2, partial(_tile, row=row, column=column))
        for row in range(_TILES)
        for column in range(_TILES)
    )


def detail_windows() -> tuple[Window, ...]:
    """Squares of a sixth of the longer side, evenly spread, `DETAILS` a side. A side of the image that is shorter than
    the square is seen whole. As many along either side: which of two is the longer may change with the scale."""
    return tuple(
        Window(f"{DETAIL}{row + 1},{column + 1}", 1 / _SIDES, partial(_detail, row=row, column=column))
        for row in range(DETAILS)
        for column in range(DETAILS)
    )


def window_named(name: str) -> Window:
    """The window of a view's name. Raises KeyError for another view's."""
    return _BY_NAME[name]


@cache
def lie_apart(name: str, other: str) -> bool:
    """Whether two windows have nothing in common, in a square image."""
    one, two = (window_named(each).box((_SQUARE, _SQUARE)) for each in (name, other))
    return one.right <= two.left or two.right <= one.left or one.bottom <= two.top or two.bottom <= one.top


def _tile(size: tuple[int, int], row: int, column: int) -> Box:
    width, height = size
    left, top = column * width // (_TILES + 1), row * height // (_TILES + 1)
    return Box(left, top, left + width - width // 2, top + height - height // 2)


def _detail(size: tuple[int, int], row: int, column: int) -> Box:
    side = -(-max(size) // _SIDES)
    width, height = (min(side, length) for length in size)
    left, top = (size[0] - width) * column // (DETAILS - 1), (size[1] - height) * row // (DETAILS - 1)
    return Box(left, top, left + width, top + height)


_BY_NAME = {window.name: window for window in (*tile_windows(), *detail_windows())}
