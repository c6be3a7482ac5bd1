"""Views of an image: what `--views` names, and that no part of an image is left out of the tiles."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from memaudit.errors import UsageError
from memaudit.images.views import CHOICES, WHOLE, details, tiles, views_of


def _numbered(width: int, height: int) -> Image.Image:
    values = np.arange(width * height, dtype=np.uint32).reshape(height, width)
    return Image.fromarray(np.stack([values >> 16, values >> 8 & 255, values & 255], axis=-1).astype(np.uint8))


def _pixels(image: Image.Image) -> set[tuple[int, ...]]:
    return {tuple(pixel) for pixel in np.asarray(image).reshape(-1, 3).tolist()}


@pytest.mark.parametrize(("choice", "count"), [("none", 1), ("flips", 3), ("tiles", 10), ("all", 17)])
def test_the_whole_image_comes_first_and_every_view_is_another_picture(choice: str, count: int) -> None:
    image = _numbered(40, 24)
    views = views_of(choice)
    assert views[0].name == WHOLE
    assert np.array_equal(np.asarray(views[0].apply(image)), np.asarray(image))
    assert len({view.name for view in views}) == len({view.apply(image).tobytes() for view in views}) == count


@pytest.mark.parametrize("size", [(40, 24), (41, 23), (3, 3), (97, 5)])
def test_tiles_and_details_cover_every_pixel(size: tuple[int, int]) -> None:
    image = _numbered(*size)
    for views in (tiles(), details()):
        assert set().union(*(_pixels(view.apply(image)) for view in views)) == _pixels(image)


def test_a_single_pixel_has_all_views() -> None:
    for view in views_of("all"):
        assert view.apply(_numbered(1, 1)).size == (1, 1)


def test_an_unknown_choice_is_refused_with_the_known_ones() -> None:
    with pytest.raises(UsageError, match="expected one of " + ", ".join(CHOICES)):
        views_of("most")
