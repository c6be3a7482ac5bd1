"""The benchmark of windows: what it counts as a pass, and as found."""

import io
import random
from pathlib import Path

import numpy as np
import pytest
from passes import PassEncoder
from pictures import draw, photograph

from benchmarks.runner import BENCHMARKS, load
from benchmarks.windows import _recall, part_of, seen
from memaudit.encoders.thumbnail import ThumbnailEncoder


def test_an_image_is_counted_with_all_that_the_encoder_is_given_of_it() -> None:
    """One by one 110 pictures; by passes the whole, 4 times its pixels for the tiles, 24 for the details of 3 to 2."""
    data = io.BytesIO()
    photograph(1, (600, 400)).save(data, "PNG")
    alone, passes = (seen(data.getvalue(), encoder) for encoder in (ThumbnailEncoder(), PassEncoder()))
    assert (alone.passes, len(alone.rows)) == (110, 110)
    assert (passes.passes, len(passes.rows)) == (pytest.approx(1 + 4 + 24), 110)
    assert (alone.rows * passes.rows).sum(axis=1).min() > 0.5


def test_found_is_what_is_first_and_above_the_floor() -> None:
    """The first query's own picture is first; the second's is below the floor, the third's is not the closest."""
    axes = np.eye(4, dtype=np.float32)
    pictures = [axes[:1], axes[1:2], axes[2:3]]
    queries = np.stack([axes[0], 0.1 * axes[1] + axes[3], 0.4 * axes[2] + 0.9 * axes[0]]).astype(np.float32)
    found, others, middle = _recall("windows", 0.5, queries, pictures)
    assert (found.median, others.median) == (pytest.approx(1 / 3), pytest.approx(1 / 3))
    assert middle.median == pytest.approx(0.4)


def test_a_part_has_its_share_of_either_side() -> None:
    image = draw(1, (400, 200))
    assert part_of(image, 0.25, random.Random(1)).size == (100, 50)


def test_it_is_listed_and_loads(tmp_path: Path) -> None:
    assert "windows" in BENCHMARKS
    assert load("windows").packages
