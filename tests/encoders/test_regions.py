"""Pooling over windows of a map, and passes in bands."""

import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from memaudit.encoders.regions import STRIDE, Trunk, TrunkRegions, inner_boxes, pooled_windows

RNG = np.random.default_rng(0)
CELLS = RNG.gamma(0.5, size=(300, 7, 11)).astype(np.float32)


def mean_of_cubes(part: np.ndarray) -> np.ndarray:
    return np.cbrt((part.astype(np.float64) ** 3).mean(axis=(1, 2)))


@pytest.mark.parametrize("box", [(0, 0, 11, 7), (2, 1, 5, 4), (10, 6, 11, 7), (0, 3, 11, 4)])
def test_a_window_of_whole_cells_is_pooled_as_these_cells_alone(box: tuple[int, int, int, int]) -> None:
    left, top, right, bottom = box
    (pooled,) = pooled_windows(CELLS, np.array([box], float))
    np.testing.assert_allclose(pooled, mean_of_cubes(CELLS[:, top:bottom, left:right]), rtol=1e-5)


def test_a_cell_counts_by_the_part_that_is_covered() -> None:
    """Half of one column and all of the next: 1 to 2; a window that goes beyond the map counts what is there."""
    part = CELLS[:, 2:3, 4:6].astype(np.float64) ** 3
    half, beyond = pooled_windows(CELLS, np.array([[4.5, 2, 6, 3], [10, 6, 12.5, 9]]))
    np.testing.assert_allclose(half, np.cbrt((part[:, 0, 0] + 2 * part[:, 0, 1]) / 3), rtol=1e-5)
    np.testing.assert_allclose(beyond, CELLS[:, 6, 10], rtol=1e-5)


def test_each_window_has_its_own_row_whatever_else_is_asked_for() -> None:
    """In any order, and alone. A map of zeros gives no NaN."""
    boxes = RNG.uniform([0, 0, 6, 4], [5, 3, 11, 7], (20, 4))
    pooled = pooled_windows(CELLS, boxes)
    np.testing.assert_allclose(pooled_windows(CELLS, boxes[::-1])[::-1], pooled, rtol=1e-5)
    np.testing.assert_allclose(np.concatenate([pooled_windows(CELLS, box[None]) for box in boxes]), pooled, rtol=1e-5)
    assert np.isfinite(pooled_windows(np.zeros_like(CELLS), boxes)).all()


def test_half_the_outermost_cells_of_a_window_are_left_out_but_for_the_edge_of_the_picture() -> None:
    """A side that lies half a pixel from the edge is at it."""
    boxes = np.array([[0, 0, 288, 288], [32, 0.5, 320, 288], [152, 200, 440, 399.5]])
    expected = np.array([[0, 0, 272, 272], [48, 0.5, 304, 272], [168, 216, 440, 399.5]])
    np.testing.assert_array_equal(inner_boxes(boxes, (440, 400)), expected)


def means(picture: np.ndarray) -> np.ndarray:
    """A trunk that sees no further than a cell: the mean colour of each. (3, rows, columns) float32."""
    _, height, width, _ = picture.shape
    rows, columns = -(-height // STRIDE), -(-width // STRIDE)
    full = np.zeros((rows * STRIDE, columns * STRIDE, 3), np.float32)
    full[:height, :width] = picture[0]
    return full.reshape(rows, STRIDE, columns, STRIDE, 3).mean(axis=(1, 3)).transpose(2, 0, 1)


PICTURE = RNG.integers(0, 256, (20 * STRIDE, 10 * STRIDE, 3), dtype=np.uint8)
BOXES = STRIDE * np.array([[x, y, x + 4, y + 4] for y in range(0, 17, 2) for x in range(0, 7, 3)], float)


@pytest.mark.parametrize("rows", [20, 11, 7, 4, 1])
def test_bands_hold_whole_windows_and_no_more_pixels_than_allowed(rows: int) -> None:
    """Unless a window alone has more. What comes out depends on them as far as there are edges in other places."""
    seen: list[int] = []

    def last_map(picture: np.ndarray) -> np.ndarray:
        seen.append(picture.shape[1])
        return means(picture)

    trunk = Trunk(last_map, np.eye(3, dtype=np.float32), np.zeros(3, np.float32))
    whole = TrunkRegions("whole", lambda: trunk._replace(last_map=means)).encode(PICTURE, BOXES)
    banded = TrunkRegions("banded", lambda: trunk, rows * STRIDE * PICTURE.shape[1]).encode(PICTURE, BOXES)
    assert (banded * whole).sum(axis=1).min() > 0.999
    np.testing.assert_allclose(np.linalg.norm(whole, axis=1), 1, atol=1e-6)
    assert max(seen) <= STRIDE * max(rows, 4)
    assert (len(seen) == 1) == (rows == 20)


def test_a_trunk_is_loaded_once_and_used_by_one_thread_at_a_time() -> None:
    """Its passes take much memory."""
    loads, inside, most = [], [0], [0]
    entering = threading.Barrier(4)

    def last_map(picture: np.ndarray) -> np.ndarray:
        inside[0] += 1
        most[0] = max(most[0], inside[0])
        cells = means(picture)
        inside[0] -= 1
        return cells

    def load() -> Trunk:
        loads.append(1)
        return Trunk(last_map, np.eye(3, dtype=np.float32), np.zeros(3, np.float32))

    regions = TrunkRegions("once", load)

    def encode(_: int) -> np.ndarray:
        entering.wait()
        return regions.encode(PICTURE, BOXES)

    with ThreadPoolExecutor(4) as pool:
        rows = list(pool.map(encode, range(4)))
    assert (len(loads), most[0]) == (1, 1)
    assert all((row == rows[0]).all() for row in rows)
