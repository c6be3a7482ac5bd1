"""What binds the files beside a report to it: their digests in the report, and the page's own."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import UNSET

from memaudit.errors import InconclusiveError
from memaudit.files import NOT_BOUND, digest_of, sha256_as_it_is, sha256_of
from memaudit.report.document import Bound
from memaudit.report.model import About, Report
from memaudit.report.page import digest_of_page, digests_of_page
from memaudit.report.run_folder import BOUND, PAGE, PICTURES

if TYPE_CHECKING:
    from memaudit.store import Store


def bound_to(out: Path, stores: Iterable[Store | None] = (), about: About | None = None) -> Bound:
    """What binds a report in `out` to the files beside it, to the stores that were read, and to what it is about."""
    return Bound(_files_beside(out), _stores_read(out, stores), about)


def _files_beside(out: Path) -> dict[str, str]:
    """The sha256 of each table and list of a run, and for each folder of pictures one over all their names and bytes.

    Costs one reading of them.
    """
    files = {name: sha256_of(out / name) for name in BOUND if (out / name).is_file()}
    return files | {name: _digest_of_folder(out / name) for name in PICTURES if (out / name).is_dir()}


def _stores_read(out: Path, stores: Iterable[Store | None]) -> dict[str, str]:
    """The digest of each store, and of those that one was made of, by its path from `out`: run and stores may be moved
    together."""
    there = os.path.realpath(out)
    return {
        Path(os.path.relpath(os.path.realpath(each.folder), there)).as_posix(): each.digest
        for store in stores
        if store is not None
        for each in (store, *store.made_of)
    }


def require_bound(report: Report, path: Path) -> Path:
    """The path of a table beside a report. Raises InconclusiveError unless it is the one that the report was written
    with. A report of memaudit 0.1 or 0.2 does not know."""
    expected = sha256_in(report, path.name)
    if expected is not None:
        require_sha256(path, expected)
    return path


def require_sha256(path: Path, expected: str) -> None:
    """Raise InconclusiveError for another file, or none."""
    try:
        found = sha256_as_it_is(path)
    except OSError as error:
        reason = error.strerror or str(error)
        raise InconclusiveError(f"{path} cannot be read ({reason}): restore it, or run again") from None
    if found != expected:
        raise InconclusiveError(
            f"{path} was changed after its report was written: its sha256 is {found[:12]}…, the report has "
            f"{expected[:12]}…; restore it, or run again"
        )


def sha256_in(report: Report, name: str) -> str | None:
    """What a report says a file beside it is; None where it does not know."""
    return None if report.head.files is UNSET else report.head.files.get(name)


def faults_beside(report: Report, folder: Path) -> Iterator[str]:
    """What was changed of the files beside a report, one line each."""
    for name, expected in ({} if report.head.files is UNSET else report.head.files).items():
        path = folder / name
        if name in PICTURES and path.is_dir() and _digest_of_folder(path) != expected:
            yield f"{path} holds other pictures than when its report was written: restore them, or run again"
        elif name in BOUND and path.is_file():
            try:
                require_sha256(path, expected)
            except InconclusiveError as error:
                yield str(error)
    yield from _faults_of_page(report, folder / PAGE)


def unchecked_beside(report: Report, folder: Path) -> Iterator[str]:
    """Files beside a report of which nothing tells whether they were changed, and those that are not there."""
    known = {} if report.head.files is UNSET else report.head.files
    for name in (*BOUND, *PICTURES):
        there = (folder / name).exists()
        if there and name not in known:
            yield NOT_BOUND.format(folder / name)
        if name in known and not there:
            yield f"{folder / name} is not there: its digest is all that is known of it"
    if report.head.stores is UNSET and report.inputs:
        yield f"{folder} does not name the stores that were read: an earlier version wrote its report; run again"
    page = folder / PAGE
    if page.is_file() and digest_of_page(page)[0] is None:
        yield NOT_BOUND.format(page)


def _faults_of_page(report: Report, page: Path) -> Iterator[str]:
    if page.is_file():
        yield from faults_of_page(report, page, [page.read_bytes()])


def faults_of_page(report: Report, page: Path | str, chunks: Iterable[bytes]) -> Iterator[str]:
    """What is wrong with a page of these bytes that is said to be of this report. Memory: a chunk."""
    written, found, names_report = digests_of_page(chunks, report.digest)
    if written is None:
        if report.head.files is not UNSET:
            yield f"{page} was changed after it was written: its own digest is gone; run again"
    elif written != found:
        yield f"{page} was changed after it was written: its digest does not fit its content; run again"
    elif not names_report:
        yield f"{page} is the page of another report: run again"


def _digest_of_folder(folder: Path) -> str:
    files = sorted(path for path in folder.iterdir() if path.is_file())
    return digest_of([[path.name, sha256_of(path)] for path in files])
