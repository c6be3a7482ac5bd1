"""What an audit makes of a training image."""

from __future__ import annotations

import numpy as np
import pytest
from pictures import draw
from PIL import Image, ImageChops

from memaudit.images.alterations import COPIES
from memaudit.images.copy_kinds import PLANTED


@pytest.mark.parametrize("kind", PLANTED)
@pytest.mark.parametrize("size", [(96, 72), (1, 1), (5, 400)])
def test_a_copy_is_another_picture_and_always_the_same(kind: str, size: tuple[int, int]) -> None:
    """Of pictures of any size; the draws are the generator's alone."""
    make, strength, quality = COPIES[kind]
    image = draw(3, size)
    before = image.copy()
    copies = [make(image, strength, np.random.default_rng(7)) for _ in range(2)]
    assert ImageChops.difference(*copies).getbbox() is None
    assert ImageChops.difference(image, before).getbbox() is None
    if size == (96, 72):
        assert not _same(copies[0], image) or quality < 50


def _same(copy: Image.Image, image: Image.Image) -> bool:
    return copy.size == image.size and ImageChops.difference(copy, image).getbbox() is None


def test_all_kinds_have_names_that_a_policy_knows() -> None:
    assert tuple(COPIES) == PLANTED
