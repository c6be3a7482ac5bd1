"""Where to look: the training images that a generation, or a view of it, is most similar to."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from memaudit.embedding.views import ViewStore
from memaudit.images.views import WHOLE
from memaudit.images.windows import DETAIL
from memaudit.index import ExactSearch, Searcher
from memaudit.store import Store
from memaudit.types import Float32, Int64, Progress

QUERY_ROWS = 4096
KEPT_WHOLE = 5  # candidates of the whole image that no tile crowds out
WINDOWS = 2  # of each candidate: the most similar one may show half of what the second shows
_REFERENCE = "reference "  # before the name of the reference's window
_AT_FIRST = 4  # windows that are asked for, times `most`: those around a place resemble each other


@dataclass(frozen=True)
class Where:
    """What is searched: the training set, and the stores of its tiles and details where it has them.

    threshold: of a near-duplicate. floor: similarity from which a training image is a candidate; the threshold itself
    where pixels are not compared. most: candidates of each query.
    """

    references: Searcher
    tiles: ViewStore | None
    threshold: float
    floor: float
    most: int
    details: ViewStore | None = None


class Candidates(NamedTuple):
    """Pairs of rows (query, reference), each once, sorted by query, then by falling similarity.

    similarity: of the view of the query, or the tile of the reference, that is most similar; view: its name.
    """

    query: Int64
    reference: Int64
    similarity: Float32
    view: NDArray[np.object_]

    def picked(self, which: NDArray[np.bool_] | Int64) -> Candidates:
        """Some of them, by a mask or by places."""
        columns: Any = (column[which] for column in self)
        return Candidates(*columns)

    def numbers(self, references: Store) -> Int64:
        """A number for each pair of rows, which rises with the query, then the reference."""
        return self.query * len(references) + self.reference


def decides(view: NDArray[np.object_]) -> NDArray[np.bool_]:
    """Of which views a similarity at the threshold makes a match. Details are too small for that: a line, a corner and
    a gradient are the same everywhere, and are for pixels to tell."""
    return np.array([not name.startswith(_REFERENCE + DETAIL) for name in view], dtype=bool)


def window_of(view: str) -> str:
    """The name of the window that a view of a reference shows."""
    return view.removeprefix(_REFERENCE)


class Looked(NamedTuple):
    """For each row of the queries its nearest training image (-1: none), the similarity (NaN) and how many reach the
    threshold; all of whole images. And the candidates, with the windows of the references that are similar to the whole
    query: at most `WINDOWS` of each pair that is a candidate, most similar first."""

    best: Int64
    best_similarity: Float32
    above: Int64
    candidates: Candidates
    windows: Candidates


def look(queries: Store, views: ViewStore | None, where: Where, given: Candidates | None, progress: Progress) -> Looked:
    """Search the whole training set for every query, its views, and the training images' tiles for it.

    given: pairs that are candidates whatever the search says: those of the prompts. Should an approximate index have
    missed one at the threshold, it is added. Details of training images have candidates of their own, as many again,
    and crowd out nobody. Memory: blocks, 20 bytes a query, and the candidates.
    """
    best = np.full(len(queries), -1, np.int64)
    similarity = np.full(len(queries), np.nan, np.float32)
    above = np.zeros(len(queries), np.int64)
    parts: list[Candidates] = []
    kept: list[Candidates] = []
    details: list[Candidates] = []
    windows: list[Candidates] = []
    done = 0
    for block in queries.blocks(QUERY_ROWS):
        near = where.references.search(block.embeddings, where.most, where.threshold)
        best[block.rows] = near.rows[:, 0]
        similarity[block.rows] = np.where(near.rows[:, 0] >= 0, near.similarity[:, 0], np.nan)
        above[block.rows] = near.above
        whole = _part(block.rows, near.rows, near.similarity, where.floor, WHOLE)
        of_tiles = _in_windows(where.tiles, block.rows, block.embeddings, where)
        of_details = _in_windows(where.details, block.rows, block.embeddings, where)
        parts.append(_fewest(_joined([whole, of_tiles]), where))
        kept.append(_fewest(whole, replace(where, most=KEPT_WHOLE)))
        details.append(_fewest(of_details, where))
        windows.append(_of_candidates(_joined([of_tiles, of_details]), _joined([parts[-1], details[-1]]), where))
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
    found = _with_new(found, _joined(details), where)
    return Looked(best, similarity, above, found, _of_candidates(_joined(windows), found, where))


def _part(queries: Int64, rows: Int64, similarity: Float32, floor: float, view: str) -> Candidates:
    query, rank = np.nonzero((similarity >= np.float32(floor)) & (rows >= 0))
    return Candidates(
        queries[query], rows[query, rank], similarity[query, rank], np.full(len(query), view, dtype=object)
    )


def _in_windows(windows: ViewStore | None, rows: Int64, vectors: Float32, where: Where) -> Candidates:
    """Windows of training images that are similar to these queries: of `most` images each, though many windows of one
    may come before those of the next."""
    if windows is None:
        return _joined([])
    few, enough = _AT_FIRST * where.most, (where.most - 1) * len(windows.names) + 1
    found = _similar_windows(windows, rows, vectors, few, where)
    crowded = _crowded(found, rows, few, where.most)
    parts = [found.picked(~np.isin(found.query, rows[crowded]))]
    step = max(1, QUERY_ROWS * few // enough)
    for low in range(0, len(crowded), step):
        again = crowded[low : low + step]
        parts.append(_similar_windows(windows, rows[again], vectors[again], enough, where))
    return _joined([_of_candidates(part, _fewest(part, where), where) for part in parts])


def _similar_windows(windows: ViewStore, rows: Int64, vectors: Float32, k: int, where: Where) -> Candidates:
    """The k most similar windows of each query, by the images that they are of."""
    near = ExactSearch(windows.store).search(vectors, k, where.threshold)
    part = _part(rows, near.rows, near.similarity, where.floor, "")
    names = np.array([_REFERENCE + name for name in windows.names], dtype=object)
    return part._replace(
        reference=windows.parent_of(part.reference), view=names[part.reference % len(names)].astype(object)
    )


def _crowded(found: Candidates, rows: Int64, k: int, most: int) -> Int64:
    """Places in `rows` of the queries whose k windows are of fewer than `most` images, so that there may be more."""
    pairs = np.unique(np.stack([found.query, found.reference]), axis=1)
    windows, images = (
        np.bincount(np.searchsorted(rows, query), minlength=len(rows)) for query in (found.query, pairs[0])
    )
    return np.flatnonzero((windows >= k) & (images < most))


def _of_candidates(windows: Candidates, candidates: Candidates, where: Where) -> Candidates:
    """Of the windows of those pairs that are candidates the `WINDOWS` most similar ones."""
    store = where.references.store
    windows = windows.picked(np.isin(windows.numbers(store), candidates.numbers(store)))
    windows = windows.picked(np.lexsort((-windows.similarity, windows.reference, windows.query)))
    pairs = windows.numbers(store)
    return windows.picked(np.arange(len(pairs)) - np.searchsorted(pairs, pairs) < WINDOWS)


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


def _with_new(found: Candidates, details: Candidates, where: Where) -> Candidates:
    """With what details led to. Where whole pictures or tiles decide by their similarity, they go before that;
    elsewhere a pair goes by what is most similar in it, so that the closest come first."""
    decided = found.picked(found.similarity >= np.float32(where.threshold))
    store = where.references.store
    new = details.picked(~np.isin(details.numbers(store), decided.numbers(store)))
    return _once(_joined([found, new]), where)


def _fewest(part: Candidates, where: Where) -> Candidates:
    """Each pair once, and the most similar ones of each query."""
    once = _once(part, where)
    place = np.arange(len(once.query)) - np.searchsorted(once.query, once.query)
    return once.picked(place < where.most)


def _once(part: Candidates, where: Where) -> Candidates:
    """Each pair once, by its most similar view, in order."""
    order = np.lexsort((part.view != WHOLE, part.reference, -part.similarity, part.query))
    _, first = np.unique(part.numbers(where.references.store)[order], return_index=True)
    return part.picked(order[np.sort(first)])
