"""Pictures drawn anew, told by other processes: there a task is a run of pairs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from memaudit.encoders.sscd import load_regions
from memaudit.matching.compare import Files
from memaudit.matching.elsewhere import Kept, files_as_arrays, files_of_arrays
from memaudit.matching.redrawn import Redrawn, redrawn_pairs
from memaudit.tasks import (
    TASKS_A_PART,
    Executor,
    Work,
    cut,
    finish,
    forget,
    read_found,
    read_inputs,
    unread_places,
    write_found,
    write_inputs,
)
from memaudit.types import Int64, Progress, silent

PAIRS = 1024  # of a task, at most
_STAGE = "looking for pictures drawn anew"


def redrawn_elsewhere(
    executor: Executor, files: Files, left: Int64, right: Int64, kept: Kept | None, progress: Progress
) -> Redrawn:
    """As `redrawn_pairs` of file left[i] and file right[i], by the executor's workers, who need the encoder's
    weights. Raises InconclusiveError where tasks were not done."""
    if not len(left):
        return Redrawn(np.empty(0, bool), np.empty(0, np.float32))
    work, bounds = _work_of(executor, files, left, right, kept)
    before = work.there()
    finish(work, executor, lambda done: progress(_STAGE, int(bounds[done]), len(left)))
    found = _found_of(work)
    unread = unread_places(work, before, bounds, ("read",), lambda each: ~each["read"])
    if len(unread):
        found.read[unread], found.probability[unread] = _asked_again(executor, files, left[unread], right[unread], kept)
    return found


def _asked_again(executor: Executor, files: Files, left: Int64, right: Int64, kept: Kept | None) -> Redrawn:
    """Of these pairs of a killed run a file could not be read: it may be there now. Here nothing of before is left
    standing."""
    some, places = np.unique(np.concatenate([left, right]), return_inverse=True)
    own, own_kept = Files(files.uri[some], files.sha256[some]), kept and Kept(kept.folder, kept.rows[some])
    work, _ = _work_of(executor, own, places[: len(left)], places[len(left) :], own_kept)
    forget(work, ("read",), lambda found: not found["read"].all())
    finish(work, executor, lambda done: None)
    return _found_of(work)


def _work_of(executor: Executor, files: Files, left: Int64, right: Int64, kept: Kept | None) -> tuple[Work, Int64]:
    """Runs of pairs as tasks, and where each begins."""
    bounds = cut(len(left), max(TASKS_A_PART * executor.parts, -(-len(left) // PAIRS)))
    told, arrays = files_as_arrays(files, kept)
    arrays |= {"left": left, "right": right, "bounds": bounds}
    return Work(write_inputs(executor.folder, "redrawn", told, arrays), __name__, len(bounds) - 1), bounds


def _found_of(work: Work) -> Redrawn:
    parts = [Redrawn(**read_found(work.folder, number, Redrawn._fields)) for number in range(work.tasks)]
    return Redrawn(*map(np.concatenate, zip(*parts, strict=True)))


def do_tasks(folder: Path, numbers: Sequence[int]) -> None:
    told, arrays = read_inputs(folder)
    files, regions = files_of_arrays(told, arrays), load_regions()
    for number in numbers:
        part = slice(*arrays["bounds"][number : number + 2].tolist())
        left, right = (np.array(arrays[side][part]) for side in ("left", "right"))
        write_found(folder, number, redrawn_pairs(files, files, left, right, regions, silent)._asdict())
