"""Images → rows of a store. Of equal files only the first is encoded."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Executor, Future
from dataclasses import replace
from itertools import islice
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from memaudit.embedding.pictures import Prepared, PreparedViews
from memaudit.embedding.reconcile import KnownFiles
from memaudit.encoders import Encoder
from memaudit.store import Row, Store
from memaudit.types import Float32, Progress, Status

T = TypeVar("T")
R = TypeVar("R")

NO_EMBEDDING = "the encoder gave no unit vector for this image"


def ahead(pool: Executor, function: Callable[[T], R], items: Iterable[T], depth: int) -> Iterator[R]:
    """Like pool.map, in order, but with at most `depth` results waiting."""
    waiting: deque[Future[R]] = deque()
    for item in items:
        waiting.append(pool.submit(function, item))
        if len(waiting) >= depth:
            yield waiting.popleft().result()
    while waiting:
        yield waiting.popleft().result()


def batched(items: Iterable[T], size: int) -> Iterator[list[T]]:
    items = iter(items)
    while batch := list(islice(items, size)):
        yield batch


class ShardRows:
    """The rows of a shard in the making. An image whose file came before gets that row's embedding and measures.

    Which images are encoded, and in which batches, depends on the order of the images alone: a run that was
    killed and continued makes the same store.
    """

    def __init__(self, encoder: Encoder, pool: Executor, known: KnownFiles, *, reuse: bool) -> None:
        self._encoder = encoder
        self._pool = pool
        self._encoding: deque[tuple[list[int], Future[Float32]]] = deque()  # places, and their embeddings to come
        self._known = known
        self._reuse = reuse
        self._first: dict[str, int] = {}  # place in this shard, by file
        self._earlier: dict[int, int] = {}  # row of an earlier shard, by place in this one
        self._rows: list[Row] = []

    def add(self, batch: Sequence[Prepared]) -> None:
        """Append the next rows and encode what is new among them."""
        new: list[int] = []
        pixels: list[NDArray[Any]] = []
        for place, item in enumerate(batch, len(self._rows)):
            self._rows.append(item.row)
            if (earlier := self._known.row_of(item.row.sha256)) >= 0:
                self._earlier[place] = earlier
            elif item.pixels is not None and self._first_of(item.row.sha256, place) == place:
                new.append(place)
                pixels.append(item.pixels)
        if new:
            self._take(self._encoder.callers - 1)
            self._encoding.append((new, self._pool.submit(self._encoder.encode, np.stack(pixels))))

    def add_views(self, views: PreparedViews, batch: int) -> None:
        """Append all views of the next image: `batch` at a time what is encoded view by view, passes one by one."""
        start, regions = len(self._rows), self._encoder.regions
        for items in batched(views.items, batch):
            self.add(items)
        for each in views.passes:
            if regions is not None:
                self._take(0)
                places = [start + place for place in each.places]
                self._encoding.append((places, self._pool.submit(each.encoded, regions)))

    def _take(self, left: int) -> None:
        """Wait until no more than `left` batches are with the encoder."""
        while len(self._encoding) > left:
            places, embeddings = self._encoding.popleft()
            for place, vector in zip(places, embeddings.result(), strict=True):
                self._rows[place] = _with_embedding(self._rows[place], vector)

    def _first_of(self, sha256: str, place: int) -> int:
        return self._first.setdefault(sha256, place) if self._reuse else place

    def finished(self, store: Store) -> list[Row]:
        """All rows; what is known is copied from within this shard, or from the shards of `store`."""
        self._take(0)
        for place, row in enumerate(self._rows):
            first = self._first.get(row.sha256, place)
            if first != place:
                original = self._rows[first]
                self._rows[place] = replace(
                    row, status=original.status, error=original.error, embedding=original.embedding
                )
        self._copy_earlier(store)
        return self._rows

    def _copy_earlier(self, store: Store) -> None:
        if not self._earlier:
            return
        rows = np.array(list(self._earlier.values()))
        columns, vectors = store.columns(rows), store.stored_embeddings(rows)
        for i, place in enumerate(self._earlier):
            self._rows[place] = replace(
                self._rows[place],
                width=int(columns.width[i]),
                height=int(columns.height[i]),
                status=Status.OK,
                embedding=vectors[i].astype(np.float32),
                simplicity=float(columns.simplicity[i]),
            )


def are_unit(vectors: Float32) -> NDArray[np.bool_]:
    """Which of them (n, dim) are embeddings: of a picture that an encoder makes nothing of, it is none."""
    return np.asarray(np.isclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-3), bool)


def _with_embedding(row: Row, vector: Float32) -> Row:
    if not are_unit(vector[None])[0]:
        return replace(row, status=Status.UNREADABLE, error=NO_EMBEDDING)
    return replace(row, embedding=vector)


def counting(progress: Progress, stage: str, done: int, total: int) -> Callable[[int], None]:
    """A function that adds to the count of a stage and reports it."""

    def tick(count: int) -> None:
        nonlocal done
        done += count
        progress(stage, done, total)

    return tick
