"""Where two images show the same: matrix and boxes against places that are known, and columns of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from pictures import mosaic, photograph, round_detail
from PIL import Image, ImageOps

from memaudit.files import sha256_of
from memaudit.images.windows import window_named
from memaudit.matching.compare import Checks, Files, Parts, check_pairs
from memaudit.matching.overlap import Overlap, Overlaps, overlap_of
from memaudit.matching.pictures import picture_of
from memaudit.matching.rule import check
from memaudit.types import silent

CLOSE = 0.03  # of a side: what few pixels make at the size that is compared
FULL = [0, 0, 1, 1]


def overlap(query: Image.Image, reference: Image.Image) -> Overlap:
    found = check(picture_of(query), picture_of(reference))
    assert found.is_copy
    assert found.overlap is not None
    return found.overlap


def test_a_crop_lies_where_it_was_cut() -> None:
    """All of the crop, and its place in the picture; places of the crop come to lie in it."""
    picture = photograph(0)
    width, height = picture.size
    box = (width // 4, height // 8, width, height * 7 // 8)
    found = overlap(picture.crop(box), picture)
    wanted = np.array(box) / [width, height, width, height]
    np.testing.assert_allclose(found.query_box, FULL, atol=CLOSE)
    np.testing.assert_allclose(found.reference_box, wanted, atol=CLOSE)
    corner = found.matrix @ [0, 0, 1] * max(width, height)
    np.testing.assert_allclose(corner, box[:2], atol=CLOSE * width)


@pytest.mark.parametrize("turn", [ImageOps.mirror, lambda image: image.rotate(90, expand=True)])
def test_the_boxes_are_those_of_each_image(turn: object) -> None:
    """Half of a picture, turned: in the turned one it lies elsewhere than in the picture."""
    picture = photograph(1)
    width, height = picture.size
    turned = turn(picture.crop((0, 0, width * 2 // 3, height)))  # type: ignore[operator]
    found = overlap(turned, picture)
    np.testing.assert_allclose(found.query_box, FULL, atol=CLOSE)
    np.testing.assert_allclose(found.reference_box, [0, 0, 2 / 3, 1], atol=CLOSE)


def test_a_turned_query_is_clipped_to_what_both_show() -> None:
    """A square laid on itself, turned by 45 degrees about its centre: the whole width and height of both."""
    square = picture_of(photograph(2).resize((200, 200)))
    half = np.sqrt(0.5)
    turn = np.array([[half, -half, 0.5], [half, half, 0.5 - np.sqrt(0.5)]])
    found = overlap_of(square, square, turn)
    np.testing.assert_allclose(found.query_box, FULL, atol=1e-9)
    shifted = overlap_of(square, square, np.array([[1, 0, 0.25], [0, 1, -0.5]]))
    np.testing.assert_allclose(shifted.query_box, [0, 0.5, 0.75, 1])
    np.testing.assert_allclose(shifted.reference_box, [0.25, 0, 1, 0.5])


def test_a_window_speaks_of_its_image(tmp_path: Path) -> None:
    """What was compared with a detail of a picture lies where the detail does in the whole of it."""
    place, radius = (433, 300), 78
    paths = [tmp_path / "query.png", tmp_path / "whole.png"]
    round_detail(mosaic(1), place, radius).save(paths[0])
    mosaic(1).save(paths[1])
    queries, references = (Files(np.array([str(p)], object), np.array([sha256_of(p)], object)) for p in paths)
    row = np.zeros(1, np.int64)
    width, height = mosaic(1).size
    names = [f"detail {down + 1},{across + 1}" for down in range(10) for across in range(10)]
    boxes = {name: window_named(name).box((width, height)) for name in names}
    centres = {name: np.array([[left + right, top + bottom]]) / 2 for name, (left, top, right, bottom) in boxes.items()}
    window = min(names, key=lambda name: float(np.abs(centres[name] - place).sum()))
    parts = Parts(np.array([""], object), np.array([window], object))
    checks = check_pairs(queries, references, row, row, silent, parts)
    assert checks.copies.tolist() == [True]
    left, top, right, bottom = checks.overlaps.reference_box[0] * [width, height, width, height]
    assert abs((left + right) / 2 - place[0]) < radius / 3
    assert abs((top + bottom) / 2 - place[1]) < radius / 3
    assert right - left < 3 * radius
    centre = checks.overlaps.matrix[0] @ [0.5, 0.5, 1] * max(width, height)
    np.testing.assert_allclose(centre, place, atol=radius / 3)


def test_columns() -> None:
    """Unknown where there is none; exchanged, the way back leads to where it began."""
    one = Overlap(np.array([[2.0, 0.5, 0.1], [0.0, 1.5, -0.2]]), np.array([0, 0, 1, 0.5]), np.array([0.2, 0, 1, 1]))
    columns = Overlaps.of([None, one, one])
    assert columns.known.tolist() == [False, True, True]
    assert len(columns[columns.known]) == 2
    swapped = columns.swapped(np.array([False, False, True]))
    np.testing.assert_array_equal(swapped.matrix[1], one.matrix)
    np.testing.assert_array_equal(swapped.query_box[2], one.reference_box)
    np.testing.assert_array_equal(swapped.reference_box[2], one.query_box)
    np.testing.assert_allclose(swapped.matrix[2] @ [*(one.matrix @ [0.3, 0.4, 1]), 1], [0.3, 0.4])
    assert not Checks.of_nothing(3).overlaps.known.any()
