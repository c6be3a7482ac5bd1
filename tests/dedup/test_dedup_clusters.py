"""Clusters: assignment that nothing but the row decides, and plans that say what they do."""

import numpy as np
import pytest
from vectors import near, random_vectors, unit

from memaudit.dedup import kmeans
from memaudit.dedup.clusters import Plan, choose_clusters, comparisons
from memaudit.dedup.kmeans import fit, fit_rows, in_regions, shared_out
from memaudit.dedup.nearest import Assigner, Centroids, margin_for
from memaudit.dedup.results import Cells
from memaudit.similarity import whole
from memaudit.similarity.whole import Whole


def test_assignment_is_by_nearest_centroid() -> None:
    """The rounding to whole numbers only matters where two centroids are equally near."""
    vectors, centroids = random_vectors(0, 2000, 64), random_vectors(1, 40, 64)
    nearest = Assigner(Centroids.flat(centroids)).nearest(Whole.each(vectors), 3)
    scores = vectors @ centroids.T
    best = -np.sort(-scores, axis=1)[:, :3]
    got = np.take_along_axis(scores, nearest.astype(np.int64), axis=1)
    assert np.abs(best - got).max() < 5e-3
    assert all(len(set(row)) == 3 for row in nearest.tolist())


def test_assignment_does_not_depend_on_the_block() -> None:
    """A row alone goes where it goes in a crowd, ties included."""
    centroids = np.repeat(random_vectors(1, 5, 32), 2, axis=0)
    vectors = random_vectors(0, 300, 32)
    together = Assigner(Centroids.flat(centroids)).nearest(Whole.each(vectors), 10)
    for row in (0, 7, 299):
        alone = Assigner(Centroids.flat(centroids)).nearest(Whole.each(vectors[row : row + 1]), 10)
        assert np.array_equal(alone[0], together[row])


def test_k_means_on_data_that_is_mostly_copies() -> None:
    """95 % near-copies of one image: centroids are finite, every row gets a cluster, and cells say how uneven it is."""
    vectors = np.concatenate([near(1, np.repeat(random_vectors(0, 1, 32), 950, axis=0), 0.001), random_vectors(2, 50)])
    centroids = fit(vectors[fit_rows(1000, 16, 0)], 16, 0)
    assert np.isfinite(centroids).all()
    nearest = Assigner(Centroids.flat(centroids)).nearest(Whole.each(vectors), 2)
    cells = Cells.of(np.bincount(nearest[:, 0], minlength=16))
    assert cells.rows == 1000
    assert cells.largest >= 950 / 16
    assert cells.share <= 1


def test_k_means_finds_what_is_apart() -> None:
    """Two groups that lie opposite each other never share a cluster."""
    vectors = near(3, np.repeat(unit([[1] * 16, [-1] * 16]), 100, axis=0), noise=0.2)
    nearest = Assigner(Centroids.flat(fit(vectors, 6, 0))).nearest(Whole.each(vectors), 1)[:, 0]
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


def test_clusters_grow_with_the_rows() -> None:
    """So many that a row is compared with as many others however large the set, and 2,048 rows to one at least."""
    assert 100 <= choose_clusters(10**6, 4, 1) <= 512
    assert choose_clusters(10**5, 4, 1) < choose_clusters(10**6, 4, 1) < choose_clusters(10**7, 4, 1)
    for rows in (10**6, 10**7):
        assert 4 * 2048 * 0.9 <= comparisons(rows, choose_clusters(rows, 4, 1), 4.5) / rows <= 4 * 2048 * 1.1


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
    assert Assigner(Centroids.flat(np.eye(8, dtype=np.float32))).nearest(Whole.each(vectors), 1)[
        1:, 0
    ].tolist() == list(range(8))


def topical(seed: int, rows: int, topics: int = 12, dim: int = 64, exponent: float = 1.0) -> np.ndarray:
    """Rows of topics whose sizes follow Zipf's law (exponent 0: all alike), whatever the seed the same topics."""
    rng, weights = np.random.default_rng(seed), 1 / np.arange(1, topics + 1) ** exponent
    centres = random_vectors(99, topics, dim)[rng.choice(topics, rows, p=weights / weights.sum())]
    return unit(0.6 * centres + 0.8 * random_vectors(seed + 1000, rows, dim))


@pytest.fixture
def small_scale(monkeypatch: pytest.MonkeyPatch) -> None:
    """Few clusters count as many."""
    monkeypatch.setattr(kmeans, "FLAT", 16)
    monkeypatch.setattr(kmeans, "AT_ONCE", 16)


@pytest.mark.usefixtures("small_scale")
@pytest.mark.parametrize("exponent", [0.0, 1.0], ids=["uniform", "heavy topics"])
def test_regions_find_the_clusters_that_all_would(exponent: float) -> None:
    """Held against some, nearly all rows go to the nearest of all 150; and most second ones that are near are found."""
    centroids = fit(topical(0, 6000, exponent=exponent), 150, 0)
    in_two, flat = in_regions(centroids, 4, 0), Centroids.flat(centroids)
    assert in_two.listed.shape == (24, 98)
    rows = Whole.each(topical(1, 3000, exponent=exponent))
    some, (every, behind) = Assigner(in_two).nearest(rows, 4), Assigner(flat).ranked(rows, 4)
    assert (some[:, 0] == every[:, 0]).mean() > 0.99
    near = (behind < 0.05) & (np.arange(4) > 0)
    assert (some[:, :, None] == every[:, None, :]).any(axis=1)[near].mean() > 0.97
    assert all(len(set(row)) == 4 for row in some.tolist())


@pytest.mark.usefixtures("small_scale")
def test_regions_assign_a_row_alone_as_in_a_crowd() -> None:
    vectors = topical(2, 400)
    assigner = Assigner(in_regions(np.repeat(fit(vectors, 20, 0), 2, axis=0), 3, 0))
    together = assigner.nearest(Whole.each(vectors), 3, 0.1)
    for part in (slice(0, 1), slice(7, 9), slice(399, 400)):
        assert np.array_equal(assigner.nearest(Whole.each(vectors[part]), 3, 0.1), together[part])
    assert -1 in together
    assert (together[:, 0] >= 0).all()


@pytest.mark.usefixtures("small_scale")
def test_bytes_and_float32_assign_alike(monkeypatch: pytest.MonkeyPatch) -> None:
    """Clusters, regions, margin and all: a worker with numkong and one without may share a run."""
    numkong, found = pytest.importorskip("numkong"), []
    vectors = topical(7, 500)
    centroids = fit(vectors, 40, 0)
    for kernel in (numkong, None):
        monkeypatch.setattr(whole, "fast_bytes", lambda kernel=kernel: kernel)
        assigner = Assigner(in_regions(centroids, 3, 0))
        margin = margin_for(assigner, vectors[:200], 0.8, 3, 0)
        found.append((margin, assigner.nearest(Whole.each(vectors), 3, margin)))
    assert found[0][0] == found[1][0]
    assert np.array_equal(found[0][1], found[1][1])


@pytest.mark.usefixtures("small_scale")
def test_a_heavy_topic_gets_its_share_of_clusters() -> None:
    """Of 1,000 rows half of which are of one topic no cell of forty holds a tenth."""
    vectors = np.concatenate([topical(3, 500, topics=1), topical(4, 500)])
    centroids = fit(vectors, 40, 0)
    assert len(centroids) == 40
    sizes = np.bincount(Assigner(Centroids.flat(centroids)).nearest(Whole.each(vectors), 1)[:, 0])
    assert sizes.max() < 100


@pytest.mark.usefixtures("small_scale")
def test_copies_of_one_image_are_fitted_all_the_same() -> None:
    """They cannot be told apart, however often one tries."""
    copies = np.repeat(random_vectors(0, 1, 32), 300, axis=0)
    assert np.isfinite(fit(copies, 40, 0)).all()
    assert len(fit(np.concatenate([copies, random_vectors(1, 20, 32)]), 40, 0)) == 40


def test_clusters_are_shared_out_by_rows() -> None:
    """All of them, to no cell more than it has rows, none to one that has next to none."""
    assert shared_out(10, np.array([50, 30, 20])).tolist() == [5, 3, 2]
    assert shared_out(10, np.array([98, 1, 1])).tolist() == [10, 0, 0]
    assert shared_out(5, np.array([3, 2, 0])).tolist() == [3, 2, 0]
    assert shared_out(7, np.array([33, 33, 34])).sum() == 7


def test_rows_look_no_further_than_near_duplicates_lie() -> None:
    """Where topics are apart no second cluster is worth comparing; where one topic is cut into cells, most are."""
    apart, cut = topical(5, 1500, exponent=0), topical(6, 1500, topics=1)
    seen = []
    for vectors, clusters in ((apart, 12), (cut, 6)):
        assigner = Assigner(Centroids.flat(fit(vectors, clusters, 0)))
        margin = margin_for(assigner, vectors[:500], 0.9, 4, 0)
        seen.append((assigner.nearest(Whole.each(vectors), 4, margin) >= 0).mean())
    assert seen[0] < 0.5 < seen[1]
