"""The search for candidates: the training images that a picture, or a view of it, is most similar to."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from memaudit.embedding.views import ViewStore
from memaudit.images.view_names import WHOLE
from memaudit.images.windows import lie_apart
from memaudit.index import ExactSearch, Searcher
from memaudit.matching.candidates import Basis, Candidates
from memaudit.matching.compare import Files, files_of
from memaudit.matching.windows import NO_WINDOWS, Windows
from memaudit.similarity import Neighbours
from memaudit.store import Store
from memaudit.types import Float32, Int64, Progress

QUERY_ROWS = 4096
LEAST_CANDIDATES = 10  # training images that each picture is compared with on pixels
CLOSEST_WHOLE = 3  # whole images that each picture may be drawn anew from
NEAREST = 3  # training images that each picture is compared with though they lie below the floor
KEPT_WHOLE = 5  # candidates of the whole image that no tile crowds out
WINDOWS = 2  # of each candidate: the most similar one may show half of what the second shows
_AT_FIRST = 4  # windows that are asked for, times `most`: those around a place resemble each other
_MOST_NEIGHBOURS = 4096  # that are asked for, should one picture stand there thousands of times
_AT_ONCE = 1 << 20  # neighbours of all queries of one such search


class QueryBlock(NamedTuple):
    """Embeddings (n, dim) float32 of queries, `query` their rows, rising, and of views of them by their names."""

    query: Int64
    view: NDArray[np.object_]
    embeddings: Float32


class Queries(Protocol):
    """Pictures that are searched, a row for each."""

    def __len__(self) -> int: ...

    def blocks(self, progress: Progress) -> Iterator[QueryBlock]:
        """Their embeddings, all views of a picture in one block, but for the whole, which may come before."""
        ...

    def files(self, rows: Int64) -> Files: ...


@dataclass(frozen=True)
class StoredQueries:
    """Queries whose embeddings, and those of their views, are stores."""

    store: Store
    views: ViewStore | None = None

    def __len__(self) -> int:
        return len(self.store)

    def blocks(self, progress: Progress) -> Iterator[QueryBlock]:
        done = 0
        for block in self.store.blocks(QUERY_ROWS):
            yield QueryBlock(block.rows, np.full(len(block.rows), WHOLE, object), block.embeddings)
            done += len(block.rows)
            progress("searching the training set", done, self.store.comparable)
        if self.views is not None:
            yield from self._of_views(self.views, progress)

    def _of_views(self, views: ViewStore, progress: Progress) -> Iterator[QueryBlock]:
        done = 0
        size = QUERY_ROWS // len(views.names) * len(views.names)  # the views of a query in one block
        for block in views.store.blocks(size):
            yield QueryBlock(views.parent_of(block.rows), views.name_of(block.rows), block.embeddings)
            done += len(block.rows)
            progress("searching with views", done, views.store.comparable)

    def files(self, rows: Int64) -> Files:
        return files_of(self.store, rows)


@dataclass(frozen=True)
class Scope:
    """What is searched: the training set, and the windows of its images.

    threshold: of a near-duplicate. floor: similarity from which a training image is a candidate; the threshold itself
    where pixels are not compared. most: candidates of each query. nearest_from: similarity from which the `NEAREST`
    are some in any case; None: from the floor on. whole_from: similarity from which the closest whole
    images are told apart from all else; None: they are not.
    """

    references: Searcher
    threshold: float
    floor: float
    most: int
    windows: Windows = NO_WINDOWS
    whole_from: float | None = None
    nearest_from: float | None = None


class Searched(NamedTuple):
    """For each query its nearest training image (-1: none), the similarity (NaN) and how many reach the threshold; all
    of whole images. nearest: for each query that has one its most similar pair, by any view, whatever the floor.

    And the candidates, with the windows of the references that are similar to the whole query: at most `WINDOWS` of
    each pair that is a candidate, most similar first, and one that lies apart from these. whole: the `CLOSEST_WHOLE`
    most similar whole images of each query from `whole_from` on, and those that were given. as_whole: of each query the
    most similar whole images from the floor on, by their own similarity, which that of a part may hide in `candidates`;
    and those that were given.
    """

    best: Int64
    best_similarity: Float32
    above: Int64
    nearest: Candidates
    candidates: Candidates
    windows: Candidates
    whole: Candidates = Candidates.joined([])
    as_whole: Candidates = Candidates.joined([])


@dataclass
class _Parts:
    """Candidates as they come; kept: of whole images, those that nothing crowds out."""

    nearest: list[Candidates] = field(default_factory=list)
    found: list[Candidates] = field(default_factory=list)
    kept: list[Candidates] = field(default_factory=list)
    details: list[Candidates] = field(default_factory=list)
    windows: list[Candidates] = field(default_factory=list)
    whole: list[Candidates] = field(default_factory=list)
    as_whole: list[Candidates] = field(default_factory=list)


def search(queries: Queries, scope: Scope, given: Candidates | None, progress: Progress) -> Searched:
    """Search the whole training set for every query, its views, and the training images' windows for it.

    given: pairs that are candidates whatever the search says: those of the prompts. Should an approximate index have
    missed one at the threshold, it is added. Details of training images have candidates of their own, as many again,
    and crowd out nobody. Memory: blocks, 60 bytes a query (with `nearest_from` some 200), and the candidates.
    """
    best = np.full(len(queries), -1, np.int64)
    similarity = np.full(len(queries), np.nan, np.float32)
    above = np.zeros(len(queries), np.int64)
    parts = _Parts()
    for block in queries.blocks(progress):
        near = scope.references.search(block.embeddings, scope.most, scope.threshold)
        whole = np.flatnonzero(block.view == WHOLE)
        rows = block.query[whole]
        best[rows] = near.rows[whole, 0]
        similarity[rows] = np.where(near.rows[whole, 0] >= 0, near.similarity[whole, 0], np.nan)
        above[rows] = near.above[whole]
        of_block = _of_block(block, near, scope)
        parts.nearest.append(of_block.closest(1 if scope.nearest_from is None else NEAREST))
        if scope.whole_from is not None:
            of_whole = of_block.picked(of_block.basis == Basis.WHOLE)
            parts.whole.append(of_whole.at_least(scope.whole_from).closest(CLOSEST_WHOLE))
        _add(parts, of_block.at_least(scope.floor), rows, block.embeddings[whole], scope)
    nearest = Candidates.joined(parts.nearest)
    found = Candidates.joined(parts.found).closest(scope.most)
    found = Candidates.joined([found, *parts.kept, _in_any_case(nearest, scope)]).once()
    if given is not None:
        found = Candidates.joined([found, given]).once()
        missed = given.picked(given.similarity > np.nan_to_num(similarity[given.query], nan=-np.inf))
        best[missed.query], similarity[missed.query] = missed.reference, missed.similarity
        above[missed.query] += missed.similarity >= np.float32(scope.threshold)
    found = _with_new(found, Candidates.joined(parts.details), scope)
    windows = _of_candidates(Candidates.joined(parts.windows), found)
    as_whole = Candidates.joined([*parts.as_whole, *([] if given is None else [given])]).once()
    return Searched(
        best, similarity, above, nearest.closest(1), found, windows, _closest_whole(parts, given, scope), as_whole
    )


def _in_any_case(nearest: Candidates, scope: Scope) -> Candidates:
    """A picture that is pasted small and blurred has its source nearest to it, and yet below the floor."""
    if scope.nearest_from is None:
        return Candidates.joined([])
    return nearest.at_least(scope.nearest_from).closest(NEAREST)


def _closest_whole(parts: _Parts, given: Candidates | None, scope: Scope) -> Candidates:
    if scope.whole_from is None:
        return Candidates.joined([])
    also = [] if given is None else [given.at_least(scope.whole_from)]
    return Candidates.joined([*parts.whole, *also]).once()


def _of_block(block: QueryBlock, near: Neighbours, scope: Scope) -> Candidates:
    """All neighbours of a block's embeddings, and more of those that have fewer than `most` pictures from the floor on,
    for some stand there many times."""
    total = min(scope.references.store.comparable, _MOST_NEIGHBOURS)
    parts, places, k = list[Candidates](), np.arange(len(block.query)), near.rows.shape[1]
    while len(places):
        more = _crowded_by_equals(near, scope) if k < total else np.zeros(len(places), bool)
        parts.append(_neighbours(block, places[~more], near.rows[~more], near.similarity[~more]))
        places, k = places[more], min(_AT_FIRST * k, total)
        if len(places):
            near = _search_in_parts(scope, block.embeddings[places], k)
    return Candidates.joined(parts)


def _search_in_parts(scope: Scope, vectors: Float32, k: int) -> Neighbours:
    """As one search. Each part reads all references: a few hundred queries at once, of 20 MB of neighbours."""
    step = _AT_ONCE // k
    parts = [
        scope.references.search(vectors[low : low + step], k, scope.threshold) for low in range(0, len(vectors), step)
    ]
    return Neighbours(*(np.concatenate(column) for column in zip(*parts, strict=True)))


def _crowded_by_equals(near: Neighbours, scope: Scope) -> NDArray[np.bool_]:
    """Which queries might have more candidates: those whose neighbours are fewer than `most` pictures."""
    floor = scope.floor if scope.whole_from is None else min(scope.floor, scope.whole_from)
    pictures = 1 + np.count_nonzero(near.similarity[:, 1:] != near.similarity[:, :-1], axis=1)
    return np.asarray((near.similarity[:, -1] >= np.float32(floor)) & (pictures < scope.most))


def _neighbours(block: QueryBlock, places: Int64, rows: Int64, similarity: Float32) -> Candidates:
    """These neighbours (n, k) of the embeddings at some places of a block."""
    place, rank = np.nonzero(rows >= 0)
    view = block.view[places[place]]
    basis = np.where(view == WHOLE, Basis.WHOLE, Basis.VIEW).astype(np.int8)
    return Candidates(block.query[places[place]], rows[place, rank], similarity[place, rank], basis, view)


def _add(parts: _Parts, near: Candidates, rows: Int64, vectors: Float32, scope: Scope) -> None:
    """Add what lies from the floor on, with the windows of training images that are similar to whole queries, `rows`
    with the embeddings `vectors`."""
    of_tiles = _in_windows(scope.windows.tiles, Basis.TILE, rows, vectors, scope)
    of_details = _in_windows(scope.windows.details, Basis.DETAIL, rows, vectors, scope)
    found = Candidates.joined([near, of_tiles]).closest(scope.most)
    details = of_details.closest(scope.most)
    parts.found.append(found)
    as_whole = near.picked(near.basis == Basis.WHOLE)
    parts.kept.append(as_whole.closest(KEPT_WHOLE))
    parts.as_whole.append(as_whole.closest(scope.most))
    parts.details.append(details)
    parts.windows.append(_of_candidates(Candidates.joined([of_tiles, of_details]), Candidates.joined([found, details])))


def _in_windows(windows: ViewStore | None, basis: Basis, rows: Int64, vectors: Float32, scope: Scope) -> Candidates:
    """Windows of training images that are similar to these queries: of `most` images each, though many windows of one
    may come before those of the next."""
    if windows is None or not len(rows):
        return Candidates.joined([])
    few, enough = _AT_FIRST * scope.most, (scope.most - 1) * len(windows.names) + 1
    parts, left, k = list[Candidates](), np.arange(len(rows)), few
    while len(left):
        found, again = list[Candidates](), k < min(windows.store.comparable, _MOST_NEIGHBOURS)
        step = max(1, QUERY_ROWS * few // k)
        for low in range(0, len(left), step):
            part = left[low : low + step]
            found.append(_similar_windows(windows, basis, rows[part], vectors[part], k, scope))
        near = Candidates.joined(found)
        crowded = _crowded(near, rows[left], k, scope.most) if again else np.empty(0, np.int64)
        near = near.picked(~np.isin(near.query, rows[left[crowded]]))
        parts.append(_of_candidates(near, near.closest(scope.most)))
        left, k = left[crowded], enough if k < enough else _AT_FIRST * k
    return Candidates.joined(parts)


def _similar_windows(
    windows: ViewStore, basis: Basis, rows: Int64, vectors: Float32, k: int, scope: Scope
) -> Candidates:
    """The k most similar windows of each query, by the images that they are of."""
    near = ExactSearch(windows.store).search(vectors, k, scope.threshold)
    query, rank = np.nonzero((near.similarity >= np.float32(scope.floor)) & (near.rows >= 0))
    found = near.rows[query, rank]
    return Candidates(
        rows[query],
        windows.parent_of(found),
        near.similarity[query, rank],
        np.full(len(found), basis, np.int8),
        windows.name_of(found),
    )


def _crowded(found: Candidates, rows: Int64, k: int, most: int) -> Int64:
    """Places in `rows` of the queries whose k windows are of fewer than `most` pictures, so that there may be more."""
    windows, pictures = (
        np.bincount(np.searchsorted(rows, part.query), minlength=len(rows)) for part in (found, found.pictures())
    )
    return np.flatnonzero((windows >= k) & (pictures < most))


def _of_candidates(windows: Candidates, candidates: Candidates) -> Candidates:
    """Of the windows of those pairs that are candidates the `WINDOWS` most similar ones, and the most similar of those
    that lie apart from them: where much of an image is alike, what is elsewhere in it may be as similar by a hair."""
    ordered = windows.picked(windows.places_in(candidates) >= 0).closest_of_pair(len(windows.query))
    kept, pair, of_pair = np.zeros(len(ordered.query), bool), (-1, -1), list[str]()
    for i, (query, reference, name) in enumerate(zip(*ordered[:2], ordered.window, strict=True)):
        if (query, reference) != pair:
            pair, of_pair = (query, reference), []
        if len(of_pair) < WINDOWS or (len(of_pair) == WINDOWS and all(lie_apart(name, other) for other in of_pair)):
            of_pair.append(name)
            kept[i] = True
    return ordered.picked(kept)


def _with_new(found: Candidates, details: Candidates, scope: Scope) -> Candidates:
    """With what details led to. Where whole pictures or tiles decide by their similarity, they go before that;
    elsewhere a pair goes by what is most similar in it, so that the closest come first."""
    decided = found.at_least(scope.threshold)
    return Candidates.joined([found, details.picked(details.places_in(decided) < 0)]).once()
