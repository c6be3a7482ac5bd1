"""How much of each unit a command does: what its costs are counted by."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from memaudit.dedup.clusters import PROBES, choose_clusters, comparisons
from memaudit.dedup.enough import pilot_size
from memaudit.dedup.kmeans import fitted, held_against
from memaudit.images.windows import detail_windows, tile_windows
from memaudit.index.recipes import Plan
from memaudit.similarity.backends import WORTH_CODES
from memaudit.similarity.codes import BITS

SAMPLED = 1000  # images whose recall is measured
KMEANS_ROUNDS = 10
# What windows of an image take, in units of one pass of a whole picture: at most, of a square (docs/how-to/details.md)
_PASSES_OF_TILES, _PASSES_OF_DETAILS = 4.0, 38.6


class DedupWork(NamedTuple):
    """A dedup run: rows of `dim` numbers, clusters (0: all with all), comparisons of rows in all, and pairs found.
    reread: images that are read again, to find the cleanest."""

    rows: int
    dim: int
    clusters: int
    compared: float
    pairs: float
    reread: float = 0.0

    @classmethod
    def planned(
        cls, rows: int, dim: int, pairs_per_row: float, reread: float = 0.0, *, exhaustive: bool = False
    ) -> DedupWork:
        """As `dedup` would choose by itself. Pairs are counted by the row: families do not grow with the set."""
        clusters = 0 if exhaustive else choose_clusters(rows, PROBES, 1)
        return cls(rows, dim, clusters, comparisons(rows, clusters, PROBES), pairs_per_row * rows, reread)

    @property
    def by_codes(self) -> bool:
        """Whether sign codes nominate, as it is settled before anything is compared."""
        expected = comparisons(self.rows, self.clusters, PROBES)
        return self.clusters > 0 and expected > WORTH_CODES + BITS * self.rows / 4

    @property
    def piloted(self) -> float:
        """Comparisons of a pilot."""
        return float(pilot_size(self.rows, by_codes=self.by_codes) * self.rows if self.clusters else 0)

    @property
    def quantities(self) -> Mapping[str, float]:
        """fitted, assigned, products: times the numbers of a row; compared, piloted: by sign codes, where they are
        worth it, and products else; clustered: 1 where there are clusters; coded: 1 where there are codes."""
        numbers, coded = self.rows * self.dim, self.by_codes
        return {
            "clustered": float(self.clusters > 0),
            "coded": float(coded),
            "rows": self.rows,
            "numbers": numbers,
            "fitted": fitted(self.clusters) * self.dim,
            "assigned": held_against(self.clusters) * numbers,
            "compared": self.compared if coded else 0.0,
            "piloted": self.piloted if coded else 0.0,
            "products": 0.0 if coded else self.compared * self.dim,
            "piloted_products": 0.0 if coded else self.piloted * self.dim,
            "sampled": min(SAMPLED, self.rows) * numbers if self.clusters else 0.0,
            "pairs": self.pairs,
            "reread": self.reread,
        }


def index_quantities(rows: int, dim: int, plan: Plan, bytes_per_number: float) -> Mapping[str, float]:
    """trained, assigned: rows times lists times numbers; bytes: of the index."""
    return {
        "rows": rows,
        "numbers": rows * dim,
        "trained": KMEANS_ROUNDS * plan.training_rows * plan.lists * dim,
        "assigned": float(rows * plan.lists * dim) if plan.lists < _BY_GRAPH else rows * _GRAPH_VISITS * dim,
        "bytes": rows * dim * bytes_per_number,
        "in_memory": 0.0 if plan.on_disk else rows * dim * bytes_per_number,
    }


_BY_GRAPH = 65_536  # lists, from so many on found by a graph
_GRAPH_VISITS = 2_000


def embed_quantities(
    images: int, dim: int, per_second: float, *, tiles: bool = False, fine_tiles: bool = False
) -> Mapping[str, float]:
    """images: seconds of a core, which embeds so many whole ones a second; rows: embeddings of these and of windows."""
    tiles = tiles or fine_tiles
    passes = 1 + tiles * _PASSES_OF_TILES + fine_tiles * _PASSES_OF_DETAILS
    rows = images * (1 + tiles * len(tile_windows()) + fine_tiles * len(detail_windows()))
    return {"images": images * passes / per_second, "rows": rows, "numbers": rows * dim}


class AuditWork(NamedTuple):
    """What an audit looks for: generations, held-out images, planted copies; each goes through the same. views: of
    each, searched among whole training images; windows: tiles and details of these, which are searched for it alone."""

    generations: int
    held_out: int
    planted: int
    views: int
    windows: int = 0

    def quantities(self, rows: int, dim: int) -> Mapping[str, float]:
        """products: of the numbers of all that are compared."""
        queries = self.generations + self.held_out + self.planted
        products = float(queries * (self.views * rows + self.windows) * dim)
        return {"queries": queries, "numbers": rows * dim, "products": products}
