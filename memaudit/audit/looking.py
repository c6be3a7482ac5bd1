"""Where to look: the training images that a generation, or a view of it, is most similar to."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from memaudit.embed.views import ViewStore
from memaudit.images.views import WHOLE
from memaudit.index import ExactSearch, Searcher
from memaudit.records import Float32, Int64, Progress
from memaudit.store import Store

QUERY_ROWS = 4096
KEPT_WHOLE = 5  # candidates of the whole image that no tile crowds out
_TILE = "reference "  # before the name of the reference's tile


@dataclass(frozen=True)
class Where:
    """What is searched: the training set, and the store of its tiles where it has one.

    threshold: of a near-duplicate. floor: similarity from which a training image is a candidate; the threshold itself
    where pixels are not compared. most: candidates of each query.
    """

    references: Searcher
    tiles: ViewStore | None
    threshold: float
    floor: float
    most: int


class Candidates(NamedTuple):
    """Pairs of rows (query, reference), each once, sorted by query, then by falling similarity.

    similarity: of the view of the query, or the tile of the reference, that is most similar; view: its name.
    """

    query: Int64
    reference: Int64
    similarity: Float32
    view: NDArray[np.object_]


class Looked(NamedTuple):
    """For each row of the queries its nearest training image (-1: none), the similarity (NaN) and how many reach the
    threshold; and the candidates. All of whole images, but for the candidates."""

    best: Int64
    best_similarity: Float32
    above: Int64
    candidates: Candidates


def look(queries: Store, views: ViewStore | None, where: Where, given: Candidates | None, progress: Progress) -> Looked:
    """Search the whole training set for every query, its views, and the training images' tiles for it.

    given: pairs that are candidates whatever the search says: those of the prompts. Should an approximate index have
    missed one at the threshold, it is added. Memory: blocks, 20 bytes a query, and the candidates.
    """
    best = np.full(len(queries), -1, np.int64)
    similarity = np.full(len(queries), np.nan, np.float32)
    above = np.zeros(len(queries), np.int64)
    parts: list[Candidates] = []
    kept: list[Candidates] = []
    done = 0
    for block in queries.blocks(QUERY_ROWS):
        near = where.references.search(block.embeddings, where.most, where.threshold)
        best[block.rows] = near.rows[:, 0]
        similarity[block.rows] = np.where(near.rows[:, 0] >= 0, near.similarity[:, 0], np.nan)
        above[block.rows] = near.above
        near_by = [_part(block.rows, near.rows, near.similarity, where.floor, WHOLE)]
        near_by += _in_tiles(block.rows, block.embeddings, where)
        parts.append(_fewest(_joined(near_by), where))
        kept.append(_fewest(near_by[0], replace(where, most=KEPT_WHOLE)))
        done += len(block.rows)
        progress("searching the training set", done, queries.comparable)
    if views is not None:
        parts += _of_views(views, where, progress)
    found = _once(_joined([_fewest(_joined(parts), where), *kept]), where)
    if given is not None:
        found = _once(_joined([found, given]), where)
        missed = given.similarity > np.nan_to_num(similarity[given.query], nan=-np.inf)
        query = given.query[missed]
        best[query], similarity[query] = given.reference[missed], given.similarity[missed]
        above[query] += given.similarity[missed] >= np.float32(where.threshold)
    return Looked(best, similarity, above, found)


def _part(queries: Int64, rows: Int64, similarity: Float32, floor: float, view: str) -> Candidates:
    query, rank = np.nonzero((similarity >= np.float32(floor)) & (rows >= 0))
    return Candidates(
        queries[query], rows[query, rank], similarity[query, rank], np.full(len(query), view, dtype=object)
    )


def _in_tiles(rows: Int64, vectors: Float32, where: Where) -> list[Candidates]:
    if where.tiles is None:
        return []
    near = ExactSearch(where.tiles.store).search(vectors, 2 * where.most, where.threshold)
    part = _part(rows, near.rows, near.similarity, where.floor, "")
    names = np.array([_TILE + name for name in where.tiles.name_of(part.reference)], dtype=object)
    return [part._replace(reference=where.tiles.parent_of(part.reference), view=names)]


def _of_views(views: ViewStore, where: Where, progress: Progress) -> list[Candidates]:
    parts, done = [], 0
    size = QUERY_ROWS // len(views.names) * len(views.names)  # the views of a query in one block
    for block in views.store.blocks(size):
        near = where.references.search(block.embeddings, where.most, where.threshold)
        part = _part(block.rows, near.rows, near.similarity, where.floor, "")
        part = part._replace(query=views.parent_of(part.query), view=views.name_of(part.query))
        parts.append(_fewest(part, where))
        done += len(block.rows)
        progress("searching with views", done, views.store.comparable)
    return parts


def _joined(parts: list[Candidates]) -> Candidates:
    if not parts:
        none = np.empty(0, np.int64)
        return Candidates(none, none, np.empty(0, np.float32), np.empty(0, object))
    columns: Any = (np.concatenate(column) for column in zip(*parts, strict=True))
    return Candidates(*columns)


def _fewest(part: Candidates, where: Where) -> Candidates:
    """Each pair once, and the most similar ones of each query."""
    once = _once(part, where)
    place = np.arange(len(once.query)) - np.searchsorted(once.query, once.query)
    few = place < where.most
    return Candidates(once.query[few], once.reference[few], once.similarity[few], once.view[few])


def _once(part: Candidates, where: Where) -> Candidates:
    """Each pair once, by its most similar view, in order."""
    order = np.lexsort((part.view != WHOLE, part.reference, -part.similarity, part.query))
    _, first = np.unique(part.query[order] * len(where.references.store) + part.reference[order], return_index=True)
    kept = order[np.sort(first)]
    return Candidates(part.query[kept], part.reference[kept], part.similarity[kept], part.view[kept])
