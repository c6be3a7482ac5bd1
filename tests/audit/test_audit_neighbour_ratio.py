"""The ratio to the neighbours: brute force, and the cases it was made for."""

from pathlib import Path

import numpy as np
import pytest
from vectors import cosines, near, random_vectors, unit, vector_store

from memaudit.audit import neighbour_ratio
from memaudit.audit.neighbour_ratio import neighbour_ratios
from memaudit.audit.run import AuditOptions, audit
from memaudit.index import ExactSearch
from memaudit.matching.kinds import Kind
from memaudit.matching.overlap import Overlaps
from memaudit.matching.results import Matches
from memaudit.store import Store


def stores(folder: Path, training: np.ndarray, generated: np.ndarray) -> tuple[Store, Store]:
    return vector_store(folder / "t", training, shard_rows=512), vector_store(folder / "g", generated, shard_rows=512)


def matches_of(query: list[int], reference: list[int], similarity: np.ndarray) -> Matches:
    count = len(query)
    ones = np.ones(count, np.int64)
    whole, near, no = (np.full(count, value, dtype=object) for value in ("whole", Kind.NEAR, False))
    unseen = no.astype(bool)
    return Matches(
        np.array(query),
        np.array(reference),
        np.float32(similarity),
        whole,
        ones,
        near,
        unseen,
        unseen,
        np.full(count, np.nan, np.float32),
        ones,
        Overlaps.unknown(count),
    )


@pytest.mark.parametrize("block", [1, 7, 1024])
def test_the_ratio_is_that_of_the_formula(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, block: int) -> None:
    """d(g, x) / (0.5 x mean d(g, y) over the 50 nearest), by brute force, for any match and in blocks of any size."""
    monkeypatch.setattr(neighbour_ratio, "_QUERY_ROWS", block)
    training, generated = random_vectors(0, 300), near(1, random_vectors(0, 20), 0.4)
    references, generations = stores(tmp_path, training, generated)
    similarity = cosines(generations.embeddings(np.arange(20)), references.embeddings(np.arange(300)))
    query, reference = [3, 3, 19, 0], [3, 7, 19, 0]
    found = neighbour_ratios(
        generations, ExactSearch(references), matches_of(query, reference, similarity[query, reference])
    )
    distance = np.sqrt(2 - 2 * similarity.astype(np.float64))
    around = np.sort(distance, axis=1)[:, :50].mean(axis=1)
    assert found == pytest.approx(distance[query, reference] / (0.5 * around[query]), rel=1e-4)


def test_a_match_by_a_tile_is_measured_as_a_whole_image(tmp_path: Path) -> None:
    """The similarity of a match may be that of a tile; neighbours are whole images, and so is the match among them."""
    training, generated = random_vectors(0, 80), random_vectors(1, 2)
    references, generations = stores(tmp_path, training, generated)
    similarity = cosines(generations.embeddings(np.arange(2)), references.embeddings(np.arange(80)))
    by_tile = matches_of([0, 1], [3, 5], np.array([0.99, 1.0]))
    found = neighbour_ratios(generations, ExactSearch(references), by_tile)
    distance = np.sqrt(2 - 2 * similarity.astype(np.float64))
    around = np.sort(distance, axis=1)[:, :50].mean(axis=1)
    assert found == pytest.approx(distance[[0, 1], [3, 5]] / (0.5 * around), rel=1e-4)
    assert (found > 1).all()


def test_a_copy_stands_out_and_a_common_motif_does_not(tmp_path: Path) -> None:
    """A copy of a single image: far below 1. An image amid a hundred that are as near: above 1, and still a finding."""
    motif = near(2, np.repeat(random_vectors(3, 1), 100, axis=0), 0.45)  # flat pages: all of them alike
    training = np.concatenate([random_vectors(0, 200), motif])
    generated = np.concatenate([near(4, training[:1], 0.1), near(5, random_vectors(3, 1), 0.45)])
    references, generations = stores(tmp_path, training, generated)
    result = audit(generations, ExactSearch(references), options=AuditOptions(threshold=0.8))
    first = result.matches.rank == 1
    assert result.searched.count == 2
    copy, common = result.neighbour_ratio[first]
    assert copy < 0.5
    assert common > 1


def test_fifty_exact_copies_have_no_ratio(tmp_path: Path) -> None:
    """Where all neighbours lie at distance 0 nothing can be divided: not a number, and not an infinite one."""
    training = np.repeat(unit([[1, 0, 0, 0]]), 60, axis=0)
    references, generations = stores(tmp_path, training, training[:1])
    assert np.isnan(audit(generations, ExactSearch(references)).neighbour_ratio).all()


def test_small_sets_take_the_neighbours_there_are(tmp_path: Path) -> None:
    """Two training images: the mean of two distances."""
    training = unit([[1, 0, 0, 0], [0, 1, 0, 0]])
    references, generations = stores(tmp_path, training, unit([[3, 1, 0, 0]]))
    similarity = np.array([3, 1]) / np.sqrt(10)
    distance = np.sqrt(2 - 2 * similarity)
    found = neighbour_ratios(generations, ExactSearch(references), matches_of([0], [0], similarity[:1]))
    assert found == pytest.approx(distance[0] / (0.5 * distance.mean()), rel=1e-3)


def test_without_matches_there_is_no_ratio(tmp_path: Path) -> None:
    """No finding, no search."""
    references, generations = stores(tmp_path, random_vectors(0, 5), random_vectors(1, 5))
    assert len(neighbour_ratios(generations, ExactSearch(references), matches_of([], [], np.empty(0)))) == 0
