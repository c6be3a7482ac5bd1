"""Checks of many pairs: each image is read once where it can be, and a bounded number of them is held."""

from __future__ import annotations

import math
import os
from collections import OrderedDict, deque
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, contextmanager
from threading import Lock
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import reverse_cuthill_mckee
from threadpoolctl import threadpool_limits

from memaudit.matching.agreement import NONE
from memaudit.matching.kinds import Kind
from memaudit.matching.overlap import Overlaps
from memaudit.matching.pictures import Picture, import_cv2, read_picture
from memaudit.matching.rule import Check, check, check_part
from memaudit.store import Store
from memaudit.types import Float32, Int64, Progress

HELD = 1024  # pictures, of half a megabyte each
_AT_ONCE = 8  # pairs that a thread takes: also what Ctrl-C has to wait for
_AHEAD = 4  # pieces that wait for each thread


class Files(NamedTuple):
    """Where the images of one side are: uri and sha256 of the embedded file, both (n,) object arrays of str."""

    uri: NDArray[np.object_]
    sha256: NDArray[np.object_]


def files_of(store: Store, rows: Int64) -> Files:
    """The files of these rows of a store."""
    columns = store.columns(rows)
    return Files(columns.uri, columns.sha256)


class Parts(NamedTuple):
    """For each pair, the part of either image that is compared: (n,) object arrays of str, names of windows (see
    images/windows.py), or "" for the whole."""

    query: NDArray[np.object_]
    reference: NDArray[np.object_]


class Checks(NamedTuple):
    """One entry for each pair. read: both files could be; where not, `why` says what is the matter, and kind is NEAR.

    probability: of a copy, see model.py; NaN where it was not read. kind: of `Kind`, and PARTIAL for copies of which a
    part was compared; alike, of_query, of_reference, worst: see
    `Agreement`, shares of what was compared; inliers: features that agree; overlaps: where the copies lie.
    """

    read: NDArray[np.bool_]
    why: NDArray[np.object_]
    kind: NDArray[np.object_]
    probability: Float32
    inliers: Int64
    alike: Float32
    of_query: Float32
    of_reference: Float32
    worst: Float32
    overlaps: Overlaps

    @classmethod
    def empty(cls, pairs: int) -> Checks:
        """Columns to be filled."""
        types = (bool, object, object, np.float32, np.int64, np.float32, np.float32, np.float32, np.float32)
        return cls._make([*(np.empty(pairs, kind) for kind in types), Overlaps.unknown(pairs)])

    @classmethod
    def of_nothing(cls, pairs: int) -> Checks:
        """Those of pairs that were not looked at, for no fault of theirs."""
        return _columns([""] * pairs)

    def picked(self, which: Int64) -> Checks:
        """Those at the given places."""
        return Checks._make(column[which] for column in self)

    def put(self, which: Int64, checks: Checks) -> None:
        """Write these at the given places."""
        columns: Any = zip(self, checks, strict=True)
        for column, values in columns:
            column[which] = values

    @property
    def copies(self) -> NDArray[np.bool_]:
        """Which pairs were read and found to be copies."""
        return np.asarray(self.read & (self.kind != Kind.SIMILAR), dtype=bool)


def check_pairs(
    queries: Files, references: Files, left: Int64, right: Int64, progress: Progress, parts: Parts | None = None
) -> Checks:
    """Check query left[i] against reference right[i], for all i. Memory: `HELD` pictures, and 160 bytes a pair.

    parts: what is compared of them; None: all. The result depends neither on the number of threads nor on the order of
    the pairs. Raises MissingDependencyError without OpenCV.
    """
    order = _near_each_other(left, right, 0 if queries is references else len(queries.uri))
    pictures = _Pictures(queries, references)
    checks = Checks.empty(len(left))
    own, other = parts or [np.full(len(left), "", object)] * 2

    def run(piece: Int64) -> Checks:
        return _columns([pictures.checked(_Part(int(left[i]), own[i]), _Part(int(right[i]), other[i])) for i in piece])

    done = 0
    with _one_thread_each(), closing(_in_order(run, order)) as results:
        for piece, checked in results:
            checks.put(piece, checked)
            done += len(piece)
            progress("comparing pixels", done, len(left))
    return checks


@contextmanager
def _one_thread_each() -> Iterator[None]:
    """Threads of ours are busy already: those of OpenCV and BLAS would wait for each other, and spin meanwhile. With
    one thread BLAS also sums in the same order everywhere."""
    cv2 = import_cv2()
    before = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        with threadpool_limits(1, user_api="blas"):
            yield
    finally:
        cv2.setNumThreads(before)


def _in_order(run: Callable[[Int64], Checks], order: Int64) -> Generator[tuple[Int64, Checks], None, None]:
    """Pieces of `order` and what becomes of them, one after the other; a few are begun before they are asked for."""
    threads = os.cpu_count() or 1
    waiting: deque[tuple[Int64, Future[Checks]]] = deque()
    with ThreadPoolExecutor(threads) as pool:
        try:
            for low in range(0, len(order), _AT_ONCE):
                piece = order[low : low + _AT_ONCE]
                waiting.append((piece, pool.submit(run, piece)))
                if len(waiting) > threads * _AHEAD:
                    piece, future = waiting.popleft()
                    yield piece, future.result()
            while waiting:
                piece, future = waiting.popleft()
                yield piece, future.result()
        finally:
            for _, future in waiting:
                future.cancel()


def _near_each_other(left: Int64, right: Int64, queries: int) -> Int64:
    """An order of the pairs in which those that share images, or whose partners do, are neighbours.

    queries: how many images come before those on the right; 0 where both sides are the same.
    """
    if not len(left):
        return np.empty(0, np.int64)
    names, place = np.unique(np.concatenate([left, right + queries]), return_inverse=True)
    ends = place.reshape(2, -1)
    graph = coo_array((np.ones(len(left), np.int8), (ends[0], ends[1])), shape=(len(names), len(names)))
    rank = np.empty(len(names), np.int64)
    rank[reverse_cuthill_mckee((graph + graph.T).tocsr(), symmetric_mode=True)] = np.arange(len(names))
    ends = np.sort(rank[ends], axis=0)
    return np.asarray(np.lexsort((ends[1], ends[0])), dtype=np.int64)


class _Part(NamedTuple):
    """What is compared of an image: its row, and the name of a window, "" for all of it."""

    row: int
    window: str


class _Pictures:
    """Pictures of both sides, the latest `HELD` of them; threads that want the same one wait for its reader."""

    def __init__(self, queries: Files, references: Files) -> None:
        self._sides = (queries, references)
        self._same = queries is references
        self._held: OrderedDict[tuple[int, _Part], Future[Picture | str]] = OrderedDict()
        self._lock = Lock()

    def checked(self, left: _Part, right: _Part) -> Check | str:
        """The check of a pair, or why it could not be made."""
        query, reference = self._get(0, left), self._get(0 if self._same else 1, right)
        if isinstance(query, str):
            return query
        if isinstance(reference, str):
            return reference
        return check_part(query, reference) if left.window or right.window else check(query, reference)

    def _get(self, side: int, part: _Part) -> Picture | str:
        with self._lock:
            future = self._held.get((side, part))
            mine = future is None
            if future is None:
                future = self._held[side, part] = Future()
                while len(self._held) > HELD:
                    self._held.popitem(last=False)
            self._held.move_to_end((side, part))
        if mine:
            try:
                files = self._sides[side]
                future.set_result(read_picture(files.uri[part.row], files.sha256[part.row], part.window))
            except BaseException as error:
                future.set_exception(error)
                raise
        return future.result()


def _columns(found: list[Check | str]) -> Checks:
    checks = [Check(Kind.NEAR, 0, NONE, math.nan) if isinstance(item, str) else item for item in found]
    alike, of_query, of_reference, worst = (
        np.array([getattr(item.agreement, name) for item in checks], np.float32)
        for name in ("alike", "of_query", "of_reference", "worst")
    )
    return Checks(
        np.array([not isinstance(item, str) for item in found], bool),
        np.array([item if isinstance(item, str) else "" for item in found], object),
        np.array([item.kind for item in checks], object),
        np.array([item.probability for item in checks], np.float32),
        np.array([item.inliers for item in checks], np.int64),
        alike,
        of_query,
        of_reference,
        worst,
        Overlaps.of([item.overlap for item in checks]),
    )
