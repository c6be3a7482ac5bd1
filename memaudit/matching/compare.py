"""Checks of many pairs, as they come: each image is read once where it can be, and a bounded number of them is held."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, contextmanager
from threading import Lock
from time import perf_counter
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits

from memaudit import machine
from memaudit.matching.agreement import NONE
from memaudit.matching.kept import KeptImage, features_of
from memaudit.matching.kinds import Kind
from memaudit.matching.overlap import Overlaps
from memaudit.matching.pictures import Picture, import_cv2, read_picture
from memaudit.matching.rule import ONE_FILE, Check, check, check_part
from memaudit.matching.schedule import Schedule, schedule
from memaudit.memory import is_limited, keep_freed, room
from memaudit.store import Store, is_one_file
from memaudit.types import Float32, Int64, Progress

LEAST_HELD, _MOST_HELD = 1024, 4096  # pictures
_PICTURE = 600_000  # bytes, of 384 pixels and 600 features, when it has been compared
_SHARE = 1 / 8  # of the memory that is free
_AT_ONCE = 8  # pairs that a thread takes: also what Ctrl-C has to wait for
_AHEAD = 4  # pieces that wait for each thread


def pictures_held() -> int:
    """How many pictures a run holds: 1,024, and up to 4,096 where these take no more than an eighth of the free
    memory, or of what `ulimit -v` leaves. It says how often files are read, and nothing of what is found."""
    free = machine.free_memory()
    if is_limited():
        free = min(free, room())
    return min(_MOST_HELD, max(LEAST_HELD, int(_SHARE * free / _PICTURE)))


class Files(NamedTuple):
    """Where the images of one side are: uri and sha256 of the embedded file, both (n,) object arrays of str. kept:
    where what is kept of them is, (n,) of `KeptImage` or None; None: nothing is."""

    uri: NDArray[np.object_]
    sha256: NDArray[np.object_]
    kept: NDArray[np.object_] | None = None

    def followed_by(self, others: Files) -> Files:
        """These, and then the others."""
        kept = [np.full(len(side.uri), None, object) if side.kept is None else side.kept for side in (self, others)]
        uri, sha256 = (np.concatenate(both) for both in zip(self[:2], others[:2], strict=True))
        return Files(uri, sha256, np.concatenate(kept))


def files_of(store: Store, rows: Int64) -> Files:
    """The files of these rows of a store, and what is kept of them.

    Raises InconclusiveError where what is kept is of another state of the store, or damaged.
    """
    columns, kept = store.columns(rows, only=("uri", "sha256")), features_of(store)
    return Files(columns.uri, columns.sha256, None if kept is None else kept.images(rows))


class Parts(NamedTuple):
    """For each pair, the part of either image that is compared: (n,) object arrays of str, names of windows (see
    images/windows.py), or "" for the whole."""

    query: NDArray[np.object_]
    reference: NDArray[np.object_]


class Checks(NamedTuple):
    """One entry for each pair. read: both files could be, or one is the other; where not, `why` says what is the
    matter, and kind is NEAR.

    probability: of a copy, see model.py; NaN where it was not read, and where a part was compared. kind: of `Kind`, and
    PARTIAL for copies of which a part was compared; alike, of_query, of_reference, worst: see `Agreement`, shares of
    what was compared; inliers: features that agree; apart: see `Check`; overlaps: where the copies lie.
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
    apart: NDArray[np.bool_]
    overlaps: Overlaps

    @classmethod
    def empty(cls, pairs: int) -> Checks:
        """Columns to be filled."""
        types = (bool, object, object, np.float32, np.int64, np.float32, np.float32, np.float32, np.float32, bool)
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
    queries: Files,
    references: Files,
    left: Int64,
    right: Int64,
    progress: Progress,
    parts: Parts | None = None,
    cut: float | None = None,
) -> Checks:
    """Check query left[i] against reference right[i], for all i. Memory: `pictures_held` of
    600 kB each, and 300 bytes a pair.

    parts: what is compared of them; None: all. cut: least probability of a copy, None: the model's own. The result
    depends neither on the number of threads nor on the order of the pairs. Raises
    MissingDependencyError without OpenCV.
    """
    checks, done = Checks.empty(len(left)), 0
    ends = Ends.of(queries, references, left, right, parts)
    with closing(checked_in_order(ends, schedule(ends.left, ends.right, pictures_held()), cut=cut)) as results:
        for piece, checked in results:
            checks.put(piece, checked)
            done += len(piece)
            progress("comparing pixels", done, len(left))
    return checks


class Ends(NamedTuple):
    """Pairs by what is compared of either side: left[i] and right[i] (n,) are places in `pictures`, each there once."""

    left: Int64
    right: Int64
    pictures: _Pictures

    @classmethod
    def of(cls, queries: Files, references: Files, left: Int64, right: Int64, parts: Parts | None = None) -> Ends:
        """Query left[i] and reference right[i], or of these the parts."""
        same, pairs = queries is references, len(left)
        rows = np.concatenate([left, right + (0 if same else len(queries.uri))])
        windows = np.concatenate(parts) if parts else np.full(2 * pairs, "", object)
        names, window = np.unique(windows.astype(str), return_inverse=True)
        _, first, place = np.unique(rows * max(1, len(names)) + window, return_index=True, return_inverse=True)
        sides = queries if same else queries.followed_by(references)
        return cls(place[:pairs], place[pairs:], _Pictures(sides, rows[first], windows[first]))

    @classmethod
    def of_whole(cls, files: Files, left: Int64, right: Int64) -> Ends:
        """File left[i] and file right[i], each file there once and compared as a whole."""
        rows = np.arange(len(files.uri), dtype=np.int64)
        return cls(left, right, _Pictures(files, rows, np.full(len(rows), "", object)))


def checked_in_order(
    ends: Ends,
    order: Schedule,
    skipped: NDArray[np.bool_] | None = None,
    cut: float | None = None,
    threads: int | None = None,
) -> Generator[tuple[Int64, Checks], None, None]:
    """The checks of the pairs of a schedule, but for those that are `skipped` (n,): places of some, and theirs, one
    piece after the other. Memory: the pictures that the schedule was made to hold, and some more for each thread. cut:
    as of `check_pairs`. threads: None: one a core.

    Close it where it is not used up. Raises MissingDependencyError without OpenCV.
    """
    with one_thread_each():
        yield from _in_order(_pieces(ends, order, skipped), cut, threads or machine.cores())


class Times(NamedTuple):
    """Seconds of one thread: to read a picture, to compare two; in the mean."""

    reading: float
    comparing: float


def timed(ends: Ends, places: Int64) -> Times:
    """What reading and comparing these pairs takes. Raises MissingDependencyError without OpenCV."""
    begun, reading = perf_counter(), 0.0
    with one_thread_each():
        for place in places.tolist():
            own, other = (_Read(ends.pictures, int(side[place])) for side in (ends.left, ends.right))
            before = perf_counter()
            own.picture(), other.picture()
            reading += perf_counter() - before
            _checked(own, other, None)
    return Times(reading / (2 * len(places)), (perf_counter() - begun - reading) / len(places))


@contextmanager
def one_thread_each() -> Iterator[None]:
    """Threads of ours are busy already: those of OpenCV and BLAS would wait for each other, and spin meanwhile. With
    one thread BLAS also sums in the same order everywhere."""
    cv2 = import_cv2()
    keep_freed()
    before = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        with threadpool_limits(1, user_api="blas"):
            yield
    finally:
        cv2.setNumThreads(before)


class _Piece(NamedTuple):
    """Places of some pairs, and the pictures of these."""

    places: Int64
    pairs: list[tuple[_Read, _Read]]

    def checked(self, cut: float | None) -> Checks:
        return _columns([_checked(*pair, cut) for pair in self.pairs])


def _pieces(ends: Ends, order: Schedule, skipped: NDArray[np.bool_] | None) -> Iterator[_Piece]:
    """Each with its pictures, which are read when a thread first looks at them."""
    held: dict[int, _Read] = {}
    places, pairs = list[int](), list[tuple[_Read, _Read]]()
    for place, done in zip(order.pairs.tolist(), order.done.tolist(), strict=True):
        names = int(ends.left[place]), int(ends.right[place])
        own, other = (held.setdefault(name, _Read(ends.pictures, name)) for name in names)
        for name in (name for name, is_done in zip(names, done, strict=True) if is_done):
            held.pop(name, None)
        if skipped is None or not skipped[place]:
            places.append(place)
            pairs.append((own, other))
        if len(places) == _AT_ONCE:
            yield _Piece(np.array(places, np.int64), pairs)
            places, pairs = [], []
    if places:
        yield _Piece(np.array(places, np.int64), pairs)


def _in_order(pieces: Iterable[_Piece], cut: float | None, threads: int) -> Generator[tuple[Int64, Checks], None, None]:
    """What becomes of the pieces, one after the other; a few are begun before they are asked for."""
    waiting: deque[tuple[Int64, Future[Checks]]] = deque()
    with ThreadPoolExecutor(threads) as pool:
        try:
            for piece in pieces:
                waiting.append((piece.places, pool.submit(piece.checked, cut)))
                if len(waiting) > threads * _AHEAD:
                    places, future = waiting.popleft()
                    yield places, future.result()
            while waiting:
                places, future = waiting.popleft()
                yield places, future.result()
        finally:
            for _, future in waiting:
                future.cancel()


class _Pictures(NamedTuple):
    """What may be compared: for each the row of `files`, and the name of a window, "" for all of it."""

    files: Files
    row: Int64
    window: NDArray[np.object_]


class _Read:
    """A picture that is read once; threads that want it wait for the one that reads it."""

    def __init__(self, pictures: _Pictures, place: int) -> None:
        row, self.window = pictures.row[place], str(pictures.window[place])
        files = pictures.files
        self._uri, self.sha256 = files.uri[row], str(files.sha256[row])
        self._kept: KeptImage | None = None if files.kept is None or self.window else files.kept[row]
        self._lock = Lock()
        self._picture: Picture | str | None = None

    def picture(self) -> Picture | str:
        """It, or why it cannot be read."""
        with self._lock:
            if self._picture is None:
                kept = self._kept.reduced() if self._kept else None
                self._picture = kept.picture() if kept else read_picture(self._uri, self.sha256, self.window)
            return self._picture


def _checked(own: _Read, other: _Read, cut: float | None) -> Check | str:
    """The check of a pair, or why it could not be made. One file is a copy of itself, whether or not it can be read."""
    of_part = bool(own.window or other.window)
    if not of_part and is_one_file(own.sha256, other.sha256):
        return ONE_FILE
    query, reference = own.picture(), other.picture()
    if isinstance(query, str):
        return query
    if isinstance(reference, str):
        return reference
    return check_part(query, reference) if of_part else check(query, reference, cut)


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
        np.array([item.apart for item in checks], bool),
        Overlaps.of([item.overlap for item in checks]),
    )
