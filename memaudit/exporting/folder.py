"""Samples as files in a folder, each by itself: copies of what was read, or links to it."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import NamedTuple

from memaudit.embedding.rows import ahead
from memaudit.errors import InputError
from memaudit.exporting.names import path_of
from memaudit.exporting.records import Entry
from memaudit.exporting.samples import Sample, SampleFile
from memaudit.files import make_folder, read_small, whole_file
from memaudit.images.reading import MAX_BYTES

IMAGES = "images"
_AT_ONCE = 16  # files: a disk that is asked to keep several takes little longer than for one


class _Task(NamedTuple):
    """A file to be written."""

    path: Path
    file: SampleFile
    sample: Sample


def write_files(out: Path, samples: Iterable[Sample], links: str) -> list[Entry]:
    """Write samples as they come, several files at a time, for each waits for the disk; what a killed run wrote is
    there already. links: "hard" or "symbolic" instead of copies, of what is a file by itself.

    Raises InputError where another file has the name, or a link cannot be made.
    """
    entries = list[Entry]()
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        for _ in ahead(pool, partial(_write, links), _tasks(out, samples, entries), 2 * _AT_ONCE):
            pass
    return entries


def _tasks(out: Path, samples: Iterable[Sample], entries: list[Entry]) -> Iterator[_Task]:
    """Each name once: what stands beside two images belongs to both. The entries are made in passing."""
    given: dict[str, str] = {}
    for sample in samples:
        path = path_of(sample)
        for each in sample.files:
            name = f"{IMAGES}/{path}{each.ending}"
            image_id = sample.images[each.image].image_id if each.image >= 0 else ""
            entries.append(Entry.of(sample.images[0].image_id, image_id, name, each.data))
            if name not in given:
                given[name] = entries[-1].sha256
                yield _Task(out / name, each, sample)
            elif given[name] != entries[-1].sha256:
                raise _taken(out / name)


def _write(links: str, task: _Task) -> None:
    path, file, sample = task
    if path.is_symlink() or path.exists():
        _require_same(path, file.data)
    elif links and file.path:
        _link(path, file.path, links)
    elif links and (sample.archive or sample.row is not None):
        raise InputError(
            f"{sample.images[0].image_id!r} is within an archive or a table: there is no file to link to; leave out "
            "--in-place-links"
        )
    else:
        with whole_file(path) as handle:
            handle.write(file.data)


def _require_same(path: Path, data: bytes) -> None:
    try:
        is_same = path.stat().st_size == len(data) and read_small(path, MAX_BYTES) == data
    except OSError:
        is_same = False
    if not is_same:
        raise _taken(path)


def _taken(path: Path) -> InputError:
    return InputError(f"{path} is there with another content: two samples have this name, or somebody changed it")


def _link(path: Path, source: str, links: str) -> None:
    try:
        make_folder(path.parent)
        if links == "hard":
            os.link(os.path.realpath(source), path)
        else:
            os.symlink(os.path.abspath(source), path)
    except OSError as error:
        other_disk = error.errno == errno.EXDEV
        more = "; a hard link leads to a file of the same disk: take symbolic, or leave it out" if other_disk else ""
        raise InputError(f"{path} cannot be made a link to {source}: {error.strerror}{more}") from None
