"""A family of images that are all alike has more pairs than memory: said before the search, and never passed."""

from __future__ import annotations

import numpy as np
import pytest
from vectors import near, random_vectors, vector_store

from memaudit.dedup import room
from memaudit.dedup.options import DedupOptions
from memaudit.dedup.run import dedup
from memaudit.errors import InputError
from memaudit.store import Store

PAIRS = 120 * 119 // 2


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    """400 images, 120 of which are alike."""
    alike = np.concatenate([near(n, random_vectors(5, 1), 0.1) for n in range(120)])
    vectors = np.concatenate([random_vectors(1, 280), alike])
    return vector_store(tmp_path_factory.mktemp("room") / "s", vectors, prefix="img")


def give(monkeypatch: pytest.MonkeyPatch, pairs: int) -> None:
    memory = pairs * room.BYTES_PER_PAIR / 0.8
    monkeypatch.setattr(room, "free_memory", lambda: memory + 1)


def test_too_many_pairs_are_said_before_the_search(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """How many there are, what they need, what is free, and an image that is in most of them."""
    give(monkeypatch, PAIRS // 2)
    monkeypatch.setattr("memaudit.dedup.search._compared", lambda *_: pytest.fail("the search began"))
    with pytest.raises(InputError) as caught:
        dedup(store, DedupOptions(threshold=0.8))
    message = str(caught.value)
    assert f"about {PAIRS:,} pairs reach the threshold of 0.8" in message
    assert "'img-00" in message
    assert "similar to about 29.8% of 400 images; raise --threshold" in message


def test_a_search_never_holds_more_than_there_is_room_for(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the sample has missed the family, the search itself stops in one line."""
    give(monkeypatch, PAIRS // 2)
    monkeypatch.setattr("memaudit.dedup.search.require_room", lambda *_: None)
    with pytest.raises(InputError, match=rf"more than {PAIRS // 2:,} pairs reach the threshold .* GB of memory"):
        dedup(store, DedupOptions(threshold=0.8))


def test_a_sample_in_doubt_stops_nothing(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """An estimate within its error of what there is room for: the search is asked, and it finds all."""
    give(monkeypatch, PAIRS)
    monkeypatch.setattr(room, "_SAMPLE", 40)
    assert len(dedup(store, DedupOptions(threshold=0.8)).pairs.left) == PAIRS


def test_room_for_all(store: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """Exactly as many as there is room for are found."""
    give(monkeypatch, PAIRS)
    assert len(dedup(store, DedupOptions(threshold=0.8)).pairs.left) == PAIRS
