"""Images of one store that another one holds as well: train against test, or against a do-not-train list.

Embeddings are compared in this process or in others: there a task is a run of blocks, each with all of the other store.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from memaudit.dedup import task_stores
from memaudit.dedup.exact_duplicates import distinct_rows
from memaudit.dedup.results import Against, Elsewhere
from memaudit.errors import InputError, UsageError
from memaudit.similarity import pairs_across
from memaudit.store import BLOCK_ROWS, Columns, Store, require_same_encoder
from memaudit.tasks import (
    TASKS_A_PART,
    Executor,
    Work,
    cut_in_blocks,
    finish,
    read_found,
    read_inputs,
    write_found,
    write_inputs,
)
from memaudit.types import Float32, Int64, Progress, Status

OTHER_ROWS = 2048  # rows of the other store at a time: bounds the pairs of a block should all of them be alike
_DIGEST = 32  # bytes
_FAR = np.iinfo(np.int64).max
_STAGE = "comparing with the other set"


def require_comparable(store: Store, other: Store) -> None:
    """Raise InconclusiveError for another encoder, UsageError for the same store, InputError for an empty other."""
    require_same_encoder(store, other)
    if store.digest == other.digest:
        raise UsageError(f"--against {other.folder} is the same store as {store.folder}: nothing would be left")
    if not other.comparable:
        raise InputError(f"--against {other.folder} has no image to compare with: all are blank or unreadable")


def find_elsewhere(
    store: Store,
    other: Store,
    columns: Columns,
    stands_for: Int64,
    threshold: float,
    progress: Progress,
    executor: Executor | None = None,
) -> Against:
    """Compare every image of `store` with all of `other`: by file hash, and exactly by similarity.

    An image goes with its exact duplicates (`stands_for`), so that no copy of a removed image is left. Its witness is
    the same file, else the most similar image of `other`, ties by image_id. executor: who compares embeddings, None:
    this process. Memory: a row's digest, 16 bytes a row of each store, the other's image_ids while they are put in
    order, and one block of each.
    """
    by_id = _order_of_ids(other)
    place = np.empty(len(by_id), np.int64)
    place[by_id] = np.arange(len(by_id))
    own = _same_files(store, other, place)
    copied = _shared(own, stands_for)
    distinct = distinct_rows(store, stands_for)
    near = _Comparison(store, distinct, other, place, threshold).nearest(executor, progress)
    likeness, alike = np.ones(len(own), np.float32), np.full(len(own), _FAR)
    likeness[distinct], alike[distinct] = near.similarity, near.place
    same_file = copied != _FAR
    best = np.where(own != _FAR, own, np.where(same_file, copied, alike[stands_for]))
    found = np.flatnonzero((best != _FAR) & (columns.status != Status.UNREADABLE))
    scores = np.where(same_file, np.float32(1), likeness[stands_for])[found]
    coverage = other.coverage
    return Against(other.digest, coverage, Elsewhere(found, by_id[best[found]], scores, same_file[found]))


def _order_of_ids(other: Store) -> Int64:
    """Rows of the other store by image_id, so that ties do not depend on the order of its rows."""
    ids = np.concatenate([columns.image_id for columns in other.iter_columns(only=["image_id"])])
    return np.argsort(ids, kind="stable")


def _same_files(store: Store, other: Store, place: Int64) -> Int64:
    """For each row the place of the other's first image that is the same file, read or not; _FAR where none is."""
    own = [sha256 for part in store.iter_files() for sha256 in _digests(part.sha256)]
    first = dict.fromkeys(own, _FAR)
    first.pop(bytes(_DIGEST), None)  # no file was read
    for part in other.iter_files():
        for row, sha256 in enumerate(_digests(part.sha256), part.first):
            if sha256 in first:
                first[sha256] = min(first[sha256], int(place[row]))
    return np.array([first.get(sha256, _FAR) for sha256 in own], dtype=np.int64)


def _digests(sha256: NDArray[np.uint8]) -> list[bytes]:
    joined = sha256.tobytes()
    return [joined[low : low + _DIGEST] for low in range(0, len(joined), _DIGEST)]


def _shared(places: Int64, stands_for: Int64) -> Int64:
    """The lowest place among all that the same image stands for."""
    lowest = np.full(len(places), _FAR)
    np.minimum.at(lowest, stands_for, places)
    return np.asarray(lowest[stands_for])


class Nearest(NamedTuple):
    """Of rows (n,) the place of the most similar image of the other store, _FAR below the threshold; the similarity."""

    place: Int64
    similarity: Float32

    @classmethod
    def joined(cls, parts: Sequence[Nearest]) -> Nearest:
        """One after the other."""
        none = cls(np.empty(0, np.int64), np.empty(0, np.float32))
        return cls(*map(np.concatenate, zip(none, *parts, strict=True)))


class _Comparison(NamedTuple):
    """Rows of a store, each with all of another one. place: of the other's rows, in the order in which ties go."""

    store: Store
    rows: Int64
    other: Store
    place: Int64
    threshold: float

    def nearest(self, executor: Executor | None, progress: Progress) -> Nearest:
        """That of all rows."""

        def report(done: int) -> None:
            progress(_STAGE, min(done, len(self.rows)), len(self.rows))

        found = self._elsewhere(executor, report) if executor and len(self.rows) else self.of(0, len(self.rows), report)
        return Nearest.joined(list(found))

    def of(self, first: int, last: int, report: Callable[[int], None]) -> Iterator[Nearest]:
        """That of the rows from the first to before the last, block by block."""
        for low in range(first, last, BLOCK_ROWS):
            yield self._of_block(self.store.embeddings(self.rows[low : min(low + BLOCK_ROWS, last)]))
            report(low + BLOCK_ROWS)

    def _of_block(self, vectors: Float32) -> Nearest:
        best, score = np.full(len(vectors), _FAR), np.full(len(vectors), -np.inf, np.float32)
        for block in self.other.blocks(OTHER_ROWS):
            pairs = pairs_across(vectors, block.embeddings, self.threshold)
            higher = score.copy()
            np.maximum.at(higher, pairs.left, pairs.similarity)
            best[higher > score] = _FAR
            score = higher
            top = pairs.similarity == higher[pairs.left]
            np.minimum.at(best, pairs.left[top], self.place[block.rows[pairs.right[top]]])
        return Nearest(best, score)

    def _elsewhere(self, executor: Executor, report: Callable[[int], None]) -> Iterator[Nearest]:
        bounds = cut_in_blocks(len(self.rows), BLOCK_ROWS, TASKS_A_PART * executor.parts)
        stores = {"store": task_stores.told_of(self.store), "other": task_stores.told_of(self.other)}
        arrays = {"rows": self.rows, "place": self.place, "bounds": bounds}
        folder = write_inputs(executor.folder, "against", {**stores, "threshold": self.threshold}, arrays)
        work = Work(folder, __name__, len(bounds) - 1)
        finish(work, executor, lambda done: report(int(bounds[done])))
        for number in range(work.tasks):
            yield Nearest(**read_found(work.folder, number, Nearest._fields))


def do_tasks(folder: Path, numbers: Sequence[int]) -> None:
    told, arrays = read_inputs(folder)
    store, other = (task_stores.opened(told[name]) for name in ("store", "other"))
    rows, place = (np.array(arrays[name]) for name in ("rows", "place"))
    comparison = _Comparison(store, rows, other, place, told["threshold"])
    for number in numbers:
        low, high = arrays["bounds"][number : number + 2].tolist()
        found = Nearest.joined(list(comparison.of(low, high, lambda done: None)))
        write_found(folder, number, found._asdict())
