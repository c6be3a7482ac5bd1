"""What tasks are given and what they find: arrays and plain values in files that appear whole."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from itertools import pairwise
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from memaudit import __version__
from memaudit.errors import InconclusiveError
from memaudit.files import digest_of, whole_file, write_json
from memaudit.tasks.work import Work, found_at
from memaudit.types import Int64

SCHEMA = "memaudit-tasks/1"
INPUTS = "inputs.json"
Arrays = Mapping[str, NDArray[Any]]


def write_inputs(folder: Path, kind: str, told: Mapping[str, Any], arrays: Arrays) -> Path:
    """Put all that tasks of a kind need into a folder of their own in `folder`, named by its digest; give that. What
    another version of memaudit found is no part of a run."""
    content = {"schema": SCHEMA, "version": __version__, "kind": kind, **told}
    digests = {name: digest_of([str(array.dtype), array.shape, _sha256(array)]) for name, array in arrays.items()}
    own = folder.resolve() / f"{kind}-{digest_of([content, digests])[:24]}"
    own.mkdir(mode=0o700, parents=True, exist_ok=True)
    if not (own / INPUTS).is_file():
        for name, array in arrays.items():
            with whole_file(own / f"{name}.npy") as file:
                np.save(file, array, allow_pickle=False)
        write_json(own / INPUTS, {**content, "arrays": sorted(arrays)})
    return own


def _sha256(array: NDArray[Any]) -> str:
    return hashlib.sha256(np.ascontiguousarray(array).data).hexdigest()


def read_inputs(folder: Path) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    """What `write_inputs` wrote; arrays are read as they are asked for. Raises InconclusiveError where that was another
    version of memaudit: what it finds is no part of that run."""
    told: dict[str, Any] = json.loads((folder / INPUTS).read_text())
    require_same(told["version"], __version__, "memaudit")
    return told, {name: np.load(folder / f"{name}.npy", mmap_mode="r", allow_pickle=False) for name in told["arrays"]}


def require_same(told: str, here: str, what: str) -> None:
    """Raise InconclusiveError where a worker has another one of something than who began the run."""
    if told != here:
        raise InconclusiveError(
            f"install the same wherever workers run: it began by {what} {told:.40}, this worker has {here:.40}"
        )


def write_found(folder: Path, number: int, arrays: Arrays) -> None:
    """The file of a task."""
    with whole_file(found_at(folder, number)) as file:
        np.savez(file, allow_pickle=False, **arrays)


def read_found(folder: Path, number: int, names: Iterable[str]) -> dict[str, NDArray[Any]]:
    """What a task found, by these names. Raises InconclusiveError for a file that is damaged."""
    path = found_at(folder, number)
    try:
        with np.load(path, allow_pickle=False) as file:
            return {name: file[name] for name in names}
    except (OSError, ValueError, KeyError, EOFError, BadZipFile) as error:
        raise InconclusiveError(f"{path} is damaged ({error}): remove it and run again") from None


def forget(work: Work, names: Iterable[str], is_unread: Callable[[Arrays], bool]) -> None:
    """Remove what tasks of a killed run found, by these names, where a file could not be read: it may be there now."""
    for number in range(work.tasks):
        if work.done(number) and is_unread(read_found(work.folder, number, names)):
            found_at(work.folder, number).unlink()


def unread_places(
    work: Work, tasks: Iterable[int], bounds: Int64, names: Iterable[str], is_unread: Callable[[Arrays], NDArray[Any]]
) -> Int64:
    """Of what these tasks are of, by the bounds of each, the places that could not be read, rising."""
    found = (bounds[number] + np.flatnonzero(is_unread(read_found(work.folder, number, names))) for number in tasks)
    return np.concatenate([np.empty(0, np.int64), *found])


def text_arrays(name: str, texts: Iterable[str]) -> dict[str, NDArray[Any]]:
    """A column of texts as two arrays: their bytes, one after the other, and where each ends."""
    encoded = [text.encode("utf-8", "surrogatepass") for text in texts]
    ends = np.cumsum([len(each) for each in encoded], dtype=np.int64)
    return {name: np.frombuffer(b"".join(encoded), np.uint8), f"{name}_ends": ends}


def texts_of(arrays: Arrays, name: str) -> NDArray[np.object_]:
    """The way back: (n,) of str."""
    whole, lows = arrays[name].tobytes(), [0, *arrays[f"{name}_ends"].tolist()]
    texts = [whole[low:high].decode("utf-8", "surrogatepass") for low, high in pairwise(lows)]
    found = np.empty(len(texts), object)
    found[:] = texts
    return found


def cut(count: int, tasks: int) -> Int64:
    """Where each of at most `tasks` tasks of `count` things of equal cost begins, and the last one ends."""
    return np.unique(np.linspace(0, count, min(tasks, count) + 1).astype(np.int64))


def cut_in_blocks(count: int, size: int, tasks: int) -> Int64:
    """The same of `count` rows that are read in blocks of `size`: each task begins with a block."""
    return np.minimum(size * cut(-(-count // size), tasks), count)


def beside(out: Path) -> Path:
    """Where the files of tasks for a run in `out` lie."""
    whole = out.resolve()
    return whole.with_name(f"{whole.name}-tasks")


def clear(folder: Path) -> None:
    """Remove what workers were given and made, and nothing else: the run that it was for is written. A worker that is
    still at it, elsewhere, may keep its folder from going."""
    for path in [*(path.parent for path in folder.glob(f"*/{INPUTS}")), *folder.glob("embeddings-*.f16")]:
        shutil.rmtree(path, ignore_errors=True) if path.is_dir() else path.unlink(missing_ok=True)
    with suppress(OSError):
        folder.rmdir()
