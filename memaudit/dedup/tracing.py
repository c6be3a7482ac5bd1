"""Traces of alterations of many images, in this process or in others: there a task is a run of images."""

from __future__ import annotations

import errno
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from memaudit import machine
from memaudit.images.arrow_rows import AbsentTableError
from memaudit.images.decode import UnreadableImageError
from memaudit.images.hosts import allow_hosts, allowed_hosts
from memaudit.images.sources import read_image
from memaudit.images.traces import MEASURE, THUMB, Traces, traces_of
from memaudit.matching.identity import identity_of_reading
from memaudit.store import ANOTHER_FILE, is_same_file
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

_AT_ONCE = 4096  # images that wait for a thread
_STAGE = "looking for the cleanest"
NO_FILE_THERE = "cannot read file: No such file or directory"
NO_PLACE = "the store does not say where the image is"  # it may be there
GONE = (NO_FILE_THERE, ANOTHER_FILE)  # why there are no traces of what nobody can train on any more
_NUMBERS = Traces._fields[:-1]
_KINDS = (int, int, float, float, float, float, bool, bool, float, float)
Texts = NDArray[np.object_]


def traced(uri: Texts, sha256: Texts, progress: Progress, executor: Executor | None) -> Iterator[Traces | str]:
    """Traces of each image, in order, or why there are none."""
    elsewhere = executor is not None and len(uri) > 0
    found = (
        _elsewhere(uri, sha256, progress, executor) if elsewhere and executor else _here(uri, sha256, machine.cores())
    )
    for done, each in enumerate(found, start=1):
        if not elsewhere or done == len(uri):
            progress(_STAGE, done, len(uri))
        yield each


def _here(uri: Texts, sha256: Texts, workers: int) -> Iterator[Traces | str]:
    with ThreadPoolExecutor(workers) as pool:
        for low in range(0, len(uri), _AT_ONCE):
            part = slice(low, low + _AT_ONCE)
            yield from pool.map(_read, uri[part], sha256[part])


def _read(uri: str, sha256: str) -> Traces | str:
    if not uri:
        return NO_PLACE
    try:
        data = read_image(uri)
        return traces_of(data) if is_same_file(data, sha256) else ANOTHER_FILE
    except MemoryError:  # no fault of the file
        raise
    except UnreadableImageError as error:
        return str(error)
    except Exception as error:  # noqa: BLE001 - each backend of fsspec, and Arrow, has exceptions of its own
        if _is_absent(error):
            return NO_FILE_THERE
        return f"cannot read file: {getattr(error, 'strerror', None) or type(error).__name__}"


def _is_absent(error: Exception) -> bool:
    """Whether it says that nothing is there any more: no file, no table, nothing behind a URL (404, 410)."""
    is_absent = isinstance(error, OSError) and error.errno == errno.ENOENT
    return is_absent or isinstance(error, FileNotFoundError | AbsentTableError)


def _elsewhere(uri: Texts, sha256: Texts, progress: Progress, executor: Executor) -> Iterator[Traces | str]:
    work, bounds = _work_of(uri, sha256, executor)
    before = work.there()
    finish(work, executor, lambda done: progress(_STAGE, int(bounds[done]), len(uri)))
    unread = unread_places(work, before, bounds, ("why_ends",), lambda found: np.diff(found["why_ends"], prepend=0) > 0)
    again, asked = _asked_again(uri[unread], sha256[unread], executor), set(unread.tolist())
    for place, each in enumerate(_found_of(work)):
        yield next(again) if place in asked else each


def _asked_again(uri: Texts, sha256: Texts, executor: Executor) -> Iterator[Traces | str]:
    """Of these files, which a killed run could not read: they may be there now. Here nothing of before is left
    standing."""
    if not len(uri):
        return
    work, _ = _work_of(uri, sha256, executor)
    forget(work, ("why",), lambda found: len(found["why"]) > 0)
    finish(work, executor, lambda done: None)
    yield from _found_of(work)


def _work_of(uri: Texts, sha256: Texts, executor: Executor) -> tuple[Work, Int64]:
    """Runs of images as tasks, and where each begins."""
    bounds = cut(len(uri), TASKS_A_PART * executor.parts)
    arrays = {"bounds": bounds, **text_arrays("uri", uri), **text_arrays("sha256", sha256)}
    told = {"hosts": sorted(allowed_hosts()), "measure": _measure()}
    return Work(write_inputs(executor.folder, "traces", told, arrays), __name__, len(bounds) - 1), bounds


def _measure() -> str:
    """What makes traces of a file."""
    return f"{MEASURE}, {identity_of_reading()}"


def _found_of(work: Work) -> Iterator[Traces | str]:
    for number in range(work.tasks):
        yield from _of_arrays(read_found(work.folder, number, ("numbers", "thumb", "why", "why_ends")))


def do_tasks(folder: Path, numbers: Sequence[int]) -> None:
    told, arrays = read_inputs(folder)
    require_same(told["measure"], _measure(), "traces of measure")
    allow_hosts(told["hosts"])
    uri, sha256 = (texts_of(arrays, name) for name in ("uri", "sha256"))
    for number in numbers:
        low, high = arrays["bounds"][number : number + 2].tolist()
        write_found(folder, number, _as_arrays(list(_here(uri[low:high], sha256[low:high], threads()))))


def _as_arrays(found: Sequence[Traces | str]) -> dict[str, NDArray[Any]]:
    """Columns that a file holds: of what was not read why, and zeros."""
    numbers, thumb = np.zeros((len(found), len(_NUMBERS))), np.zeros((len(found), THUMB, THUMB), np.float32)
    for place, each in enumerate(found):
        if not isinstance(each, str):
            numbers[place], thumb[place] = each[:-1], each.thumb
    why = (each if isinstance(each, str) else "" for each in found)
    return {"numbers": numbers, "thumb": thumb, **text_arrays("why", why)}


def _of_arrays(arrays: dict[str, NDArray[Any]]) -> Iterator[Traces | str]:
    """What `_as_arrays` gave."""
    for why, numbers, thumb in zip(texts_of(arrays, "why"), arrays["numbers"].tolist(), arrays["thumb"], strict=True):
        own = [kind(number) for kind, number in zip(_KINDS, numbers, strict=True)]
        yield why or Traces._make([*own, thumb])
