"""Clusters: assignment that nothing but the row decides, and plans that say what they do."""

import numpy as np
import pytest
from vectors import near, random_vectors, unit

from memaudit.dedup.clusters import Assigner, Plan, choose_clusters, comparisons, fit, fit_rows
from memaudit.dedup.results import Cells
from memaudit.similarity.whole import Whole


def test_assignment_is_by_nearest_centroid() -> None:
    """The rounding to whole numbers and bfloat16 only matters where two centroids are equally near."""
    vectors, centroids = random_vectors(0, 2000, 64), random_vectors(1, 40, 64)
    nearest = Assigner(centroids).nearest(Whole.each(vectors), 3)
    scores = vectors @ centroids.T
    best = -np.sort(-scores, axis=1)[:, :3]
    got = np.take_along_axis(scores, nearest.astype(np.int64), axis=1)
    assert np.abs(best - got).max() < 5e-3
    assert all(len(set(row)) == 3 for row in nearest.tolist())


def test_assignment_does_not_depend_on_the_block() -> None:
    """A row alone goes where it goes in a crowd, ties included."""
    centroids = np.repeat(random_vectors(1, 5, 32), 2, axis=0)
    vectors = random_vectors(0, 300, 32)
    together = Assigner(centroids).nearest(Whole.each(vectors), 10)
    for row in (0, 7, 299):
        alone = Assigner(centroids).nearest(Whole.each(vectors[row : row + 1]), 10)
        assert np.array_equal(alone[0], together[row])


def test_k_means_on_data_that_is_mostly_copies() -> None:
    """95 % near-copies of one image: centroids are finite, every row gets a cluster, and cells say how uneven it is."""
    vectors = np.concatenate([near(1, np.repeat(random_vectors(0, 1, 32), 950, axis=0), 0.001), random_vectors(2, 50)])
    centroids = fit(vectors[fit_rows(1000, 16, 0)], 16, 0)
    assert np.isfinite(centroids).all()
    nearest = Assigner(centroids).nearest(Whole.each(vectors), 2)
    cells = Cells.of(np.bincount(nearest[:, 0], minlength=16))
    assert cells.rows == 1000
    assert cells.largest >= 950 / 16
    assert cells.share <= 1


def test_k_means_finds_what_is_apart() -> None:
    """Two groups that lie opposite each other never share a cluster."""
    vectors = near(3, np.repeat(unit([[1] * 16, [-1] * 16]), 100, axis=0), noise=0.2)
    nearest = Assigner(fit(vectors, 6, 0)).nearest(Whole.each(vectors), 1)[:, 0]
    assert not set(nearest[:100].tolist()) & set(nearest[100:].tolist())


def test_empty_clusters_are_counted() -> None:
    """Cells of sizes 3, 0, 5, 0: the largest holds five of eight, two hold none."""
    cells = Cells.of(np.array([3, 0, 5, 0]))
    assert (cells.clusters, cells.largest, cells.empty, cells.rows, cells.share) == (4, 5, 2, 8, 5 / 8)
    assert Cells.of(np.empty(0, np.int64)).share == 0


def test_comparisons_of_equal_clusters() -> None:
    """One probe compares each cluster with itself; each further one, every row with another cluster."""
    assert comparisons(1000, 0, 2) == 500_000
    assert comparisons(1000, 10, 1) == 50_000
    assert comparisons(1000, 10, 2) == 150_000


def test_few_clusters_where_comparing_is_cheap() -> None:
    """A million images with two probes: some hundred clusters, and more as the set grows."""
    assert 100 <= choose_clusters(10**6, 2, 1) <= 512
    assert choose_clusters(10**5, 2, 1) <= choose_clusters(10**6, 2, 1) < choose_clusters(10**8, 2, 1)


def test_the_method_of_2022() -> None:
    """K = 1024, five clusterings, one probe, plain products; a small set gets fewer clusters and says so."""
    plan = Plan.openai_2022(10**6)
    assert (plan.clusters, plan.probes, plan.clusterings, plan.backend) == (1024, 1, 5, "product")
    assert plan.describe().startswith("openai-2022: union of 5 clusterings of 1024 clusters")
    small = Plan.openai_2022(8948)
    assert small.clusters == 139
    assert "1024 clusters are too many for 8,948 images" in small.describe()
    assert Plan.openai_2022(1).clusters == 1


@pytest.mark.parametrize("rows", [10, 10_000])
def test_a_clustering_is_fitted_on_its_own_subset(rows: int) -> None:
    """Distinct rows in order, others for another seed where there is a choice."""
    first, second = fit_rows(rows, 4, 0), fit_rows(rows, 4, 1)
    assert len(np.unique(first)) == len(first) == min(rows, 1024)
    assert np.array_equal(first, np.sort(first))
    assert (rows == 10) == np.array_equal(first, second)


def test_zero_is_no_direction_and_no_crash() -> None:
    """A vector without length (it cannot come from a store) still gets a cluster."""
    vectors = np.concatenate([np.zeros((1, 8), np.float32), unit(np.eye(8))])
    assert Assigner(np.eye(8, dtype=np.float32)).nearest(Whole.each(vectors), 1)[1:, 0].tolist() == list(range(8))
