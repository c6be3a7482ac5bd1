"""Checks of many pairs by other processes: there a task is a run of pairs in the order that reads few files."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from memaudit.images.hosts import allow_hosts, allowed_hosts
from memaudit.matching.compare import LEAST_HELD, Checks, Ends, Files, checked_in_order
from memaudit.matching.identity import identity_of_rule
from memaudit.matching.kept import KeptFeatures
from memaudit.matching.kinds import Kind
from memaudit.matching.overlap import Overlaps
from memaudit.matching.schedule import Schedule, schedule
from memaudit.tasks import (
    TASKS_A_PART,
    Executor,
    Work,
    cut,
    finish,
    forget,
    read_found,
    read_inputs,
    require_same,
    text_arrays,
    texts_of,
    threads,
    unread_places,
    write_found,
    write_inputs,
)
from memaudit.types import Int64, Progress

PAIRS = 2048  # of a task, at most: what a lost worker costs, some minutes
_TEXTS = ("why", "kind")
_OVERLAPS = ("matrix", "query_box", "reference_box")
_NAMES = tuple(name for name in Checks._fields if name not in (*_TEXTS, "overlaps"))


class Kept(NamedTuple):
    """What is kept of images: the folder of it, and which rows of its store they are, in the order of `Files`."""

    folder: Path
    rows: Int64


def checked_elsewhere(
    executor: Executor,
    ends: Ends,
    order: Schedule,
    skipped: NDArray[np.bool_],
    cut_at: float | None,
    kept: Kept | None,
    report: Callable[[int], None],
) -> Generator[tuple[Int64, Checks], None, None]:
    """As `checked_in_order`, by the executor's workers. report: is told how many pairs are done before any is given.
    What a killed run could not read is asked again, in tasks of its own: it may be there now."""
    order = _without(order, ends, skipped)
    chosen = order.pairs
    if not len(chosen):
        return
    work, bounds = _work_of(executor, ends, order, cut_at, kept)
    before = work.there()
    finish(work, executor, lambda done: report(int(bounds[done])))
    unread = unread_places(work, before, bounds, ("read",), lambda found: ~found["read"])
    for number in range(work.tasks):
        places, checks = _found_of(work, number, bounds)
        now = np.flatnonzero(~np.isin(places, unread))
        yield chosen[places[now]], checks.picked(now)
    yield from _asked_again(executor, ends, chosen[unread], cut_at, kept, report)


def _without(order: Schedule, ends: Ends, skipped: NDArray[np.bool_]) -> Schedule:
    """A schedule of the pairs that are not skipped: in the one of all, some let a picture go that others hold."""
    if not skipped.any():
        return order
    chosen = np.flatnonzero(~skipped)
    left = schedule(ends.left[chosen], ends.right[chosen], LEAST_HELD)
    return Schedule(chosen[left.pairs], left.done)


def _asked_again(
    executor: Executor, ends: Ends, again: Int64, cut_at: float | None, kept: Kept | None, report: Callable[[int], None]
) -> Generator[tuple[Int64, Checks], None, None]:
    """Of these pairs of a killed run, of which files could not be read. Here nothing of before is left standing."""
    if not len(again):
        return
    files, row = ends.pictures.files, ends.pictures.row
    own = Ends.of(files, files, row[ends.left[again]], row[ends.right[again]])
    order = schedule(own.left, own.right, LEAST_HELD)
    work, bounds = _work_of(executor, own, order, cut_at, kept)
    forget(work, ("read",), lambda found: not found["read"].all())
    finish(work, executor, lambda done: report(int(bounds[done])))
    for number in range(work.tasks):
        places, checks = _found_of(work, number, bounds)
        yield again[order.pairs[places]], checks


def _work_of(
    executor: Executor, ends: Ends, order: Schedule, cut_at: float | None, kept: Kept | None
) -> tuple[Work, Int64]:
    """The pairs of a schedule as tasks, and where in it each begins."""
    chosen = order.pairs
    bounds = cut(len(chosen), max(TASKS_A_PART * executor.parts, -(-len(chosen) // PAIRS)))
    files, row = ends.pictures.files, ends.pictures.row
    told, arrays = files_as_arrays(Files(files.uri[row], files.sha256[row]), kept and Kept(kept.folder, kept.rows[row]))
    arrays |= {"left": ends.left[chosen], "right": ends.right[chosen], "done": order.done, "bounds": bounds}
    folder = write_inputs(executor.folder, "pixels", {**told, "cut": cut_at}, arrays)
    return Work(folder, __name__, len(bounds) - 1), bounds


def _found_of(work: Work, number: int, bounds: Int64) -> tuple[Int64, Checks]:
    """What a task found, and of which places in the schedule."""
    found = read_found(work.folder, number, (*_NAMES, *_TEXTS, *(f"{name}_ends" for name in _TEXTS), *_OVERLAPS))
    return np.arange(bounds[number], bounds[number + 1]), checks_of_arrays(found)


def check_files_elsewhere(
    executor: Executor,
    files: Files,
    left: Int64,
    right: Int64,
    cut_at: float | None,
    kept: Kept | None,
    progress: Progress,
) -> Checks:
    """As `check_pairs` of file left[i] and file right[i], by the executor's workers."""
    ends, checks = Ends.of(files, files, left, right), Checks.empty(len(left))
    order = schedule(ends.left, ends.right, LEAST_HELD)

    seen = 0

    def report(more: int) -> None:
        progress("comparing pixels", seen + more, len(left))

    for places, found in checked_elsewhere(executor, ends, order, np.zeros(len(left), bool), cut_at, kept, report):
        checks.put(places, found)
        seen += len(places)
    return checks


def files_as_arrays(files: Files, kept: Kept | None) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    """What tasks that compare files are told, and arrays of these. kept: of the same files."""
    arrays: dict[str, NDArray[Any]] = {**text_arrays("uri", files.uri), **text_arrays("sha256", files.sha256)}
    arrays["kept"] = np.empty(0, np.int64) if kept is None else kept.rows
    told = {"kept": None if kept is None else str(kept.folder.resolve())}
    return {**told, "hosts": sorted(allowed_hosts()), "rule": identity_of_rule()}, arrays


def files_of_arrays(told: dict[str, Any], arrays: dict[str, NDArray[Any]]) -> Files:
    """The way back; from here on the hosts that were named are asked. Raises InconclusiveError where pixels are decided
    by another rule here, or another OpenCV or Pillow."""
    require_same(told["rule"], identity_of_rule(), "OpenCV, Pillow and memaudit of digest")
    allow_hosts(told["hosts"])
    kept = None
    if told["kept"] is not None:
        kept = KeptFeatures.at(Path(told["kept"])).images(np.array(arrays["kept"]))
    return Files(texts_of(arrays, "uri"), texts_of(arrays, "sha256"), kept)


def checks_as_arrays(checks: Checks) -> dict[str, NDArray[Any]]:
    """Columns that a file holds."""
    arrays: dict[str, NDArray[Any]] = {name: getattr(checks, name) for name in _NAMES}
    for name in _TEXTS:
        arrays |= text_arrays(name, map(str, getattr(checks, name)))
    return arrays | {name: getattr(checks.overlaps, name) for name in _OVERLAPS}


def checks_of_arrays(arrays: dict[str, NDArray[Any]]) -> Checks:
    """What `checks_as_arrays` gave."""
    why, kind = (texts_of(arrays, name) for name in _TEXTS)
    kinds = np.array([Kind(each) for each in kind], object)
    columns = {name: arrays[name] for name in _NAMES}
    return Checks(why=why, kind=kinds, overlaps=Overlaps(*(arrays[name] for name in _OVERLAPS)), **columns)


def do_tasks(folder: Path, numbers: Sequence[int]) -> None:
    told, arrays = read_inputs(folder)
    # The pictures that were written are the files, each of them once
    ends = Ends.of_whole(files_of_arrays(told, arrays), np.array(arrays["left"]), np.array(arrays["right"]))
    for number in numbers:
        low, high = arrays["bounds"][number : number + 2].tolist()
        checks = Checks.empty(high - low)
        order = Schedule(np.arange(low, high), np.array(arrays["done"][low:high]))
        for places, found in checked_in_order(ends, order, cut=told["cut"], threads=threads()):
            checks.put(places - low, found)
        write_found(folder, number, checks_as_arrays(checks))
