"""Stores of the same images by different encoders are read side by side, whatever their order and their shards."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from vectors import random_vectors, vector_store

from memaudit.errors import InputError, UsageError
from memaudit.filters.joined import ABSENT, BLANK, OK, UNREADABLE, Joined
from memaudit.types import Status

IDS = [f"i{number}" for number in range(50)]


@pytest.mark.parametrize("shuffled", [False, True])
def test_rows_are_those_of_the_first_store(tmp_path: Path, shuffled: bool) -> None:
    """In blocks, and by row; shards and blocks of any sizes."""
    left, right = random_vectors(1, 50, 8), random_vectors(2, 50, 4)
    order = np.random.default_rng(0).permutation(50) if shuffled else np.arange(50)
    first = vector_store(tmp_path / "a", left, ids=IDS, shard_rows=7)
    second = vector_store(tmp_path / "b", right[order], ids=[IDS[i] for i in order], shard_rows=11, weights="b" * 64)
    joined = Joined([first, second])
    blocks = list(joined.blocks(5))
    assert [each for block in blocks for each in block.image_id] == IDS
    for number, expected in enumerate((left, right)):
        found = np.concatenate([block.embeddings[number] for block in blocks])
        assert np.allclose(found, expected, atol=1e-3)
    assert all(block.scored.all() for block in blocks)
    rows = np.array([3, 40, 7])
    assert np.allclose(joined.features(rows), np.concatenate([left, right], axis=1)[rows], atol=1e-3)


def test_the_worst_state_counts(tmp_path: Path) -> None:
    """An image is scored where all stores have it; those that only another store has are none of it."""
    vectors = random_vectors(1, 4, 8)
    states = [Status.OK, Status.BLANK, Status.OK, Status.OK]
    first = vector_store(tmp_path / "a", vectors, ids=["a", "b", "c", "d"], statuses=states)
    others = [Status.OK, Status.OK, Status.UNREADABLE, Status.OK]
    second = vector_store(tmp_path / "b", vectors, ids=["e", "b", "c", "a"], statuses=others, weights="b" * 64)
    joined = Joined([first, second])
    (block,) = joined.blocks()
    assert block.state.tolist() == [OK, BLANK, UNREADABLE, ABSENT]
    assert joined.states(np.arange(4)).tolist() == [OK, BLANK, UNREADABLE, ABSENT]


def test_what_cannot_be_joined_is_refused(tmp_path: Path) -> None:
    vectors = random_vectors(1, 4, 8)
    first = vector_store(tmp_path / "a", vectors)
    with pytest.raises(UsageError, match="the same images by different encoders"):
        Joined([first, vector_store(tmp_path / "b", vectors)])
    with pytest.raises(InputError, match="no image_id in common"):
        Joined([first, vector_store(tmp_path / "c", vectors, prefix="other", weights="b" * 64)])
    with pytest.raises(InputError, match="an image_id twice"):
        Joined([first, vector_store(tmp_path / "d", vectors, ids=["x", "x", "y", "z"], weights="b" * 64)])
