"""What of a run lies in a bundle: its report, its tables, its page and the thumbnails of its findings."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from msgspec import UNSET
from PIL import Image

from memaudit.bundling.archive import Content
from memaudit.errors import InconclusiveError, InputError
from memaudit.files import for_owner_alone, read_small
from memaudit.folders import TemporaryFolder
from memaudit.report.bindings import faults_beside
from memaudit.report.document import read_report
from memaudit.report.found import find_reports
from memaudit.report.model import Report
from memaudit.report.pages import write_report_page
from memaudit.report.run_folder import BOUND, PAGE, REPORT, THUMBNAILS

AS_THEY_ARE, BLURRED, NONE = "as-they-are", "blurred", "none"
PICTURES = (BLURRED, AS_THEY_ARE, NONE)
_SQUARES = 8  # along the longer side of a picture that is blurred
_MOST_PICTURE = 4 << 20  # bytes: the thumbnails of a run are far smaller


class RunFolder(NamedTuple):
    """A run, and the folder that it has in the bundle."""

    name: str
    folder: Path
    report: Report


def runs_in(folders: list[Path]) -> list[RunFolder]:
    """The runs of these folders, by name: of the folder itself, or of all below it, as of a release run.

    Raises InputError where there is none, InconclusiveError for a run that has no report yet, or that was changed.
    """
    found, names = list[RunFolder](), dict[str, int]()
    for folder in dict.fromkeys(run for given in folders for run in _folders(given)):
        report = read_report(folder / REPORT)
        for fault in faults_beside(report, folder):
            raise InconclusiveError(fault)
        names[report.kind] = number = names.get(report.kind, 0) + 1
        found.append(RunFolder(report.kind if number == 1 else f"{report.kind}-{number}", folder, report))
    return found


def _folders(given: Path) -> Iterator[Path]:
    if (given / REPORT).is_file():
        yield given
        return
    if not given.is_dir():
        raise InputError(f"{given} is no folder of a run: expected that of an audit, a dedup or another run")
    found = find_reports(given)
    for folder in found.unfinished:
        raise InconclusiveError(f"{folder}: a run began there and wrote no report; let it finish, or remove the folder")
    yield from (path.parent for path in found.reports if path.name == REPORT)


def is_for_owner(run: RunFolder) -> bool:
    """Whether the run is for its owner alone: it shows people."""
    return for_owner_alone(run.folder / REPORT)


def files_of_run(run: RunFolder, *, pictures: str, tables: bool) -> dict[str, Content]:
    """By their path in the bundle. Crops of faces are never among them. Raises InconclusiveError where one is not there
    that the report was written with."""
    known = {} if run.report.head.files is UNSET else run.report.head.files
    wanted = [*(BOUND if tables else ()), *(() if pictures == NONE else (THUMBNAILS,))]
    for name in wanted:
        if name in known and not (run.folder / name).exists():
            raise InconclusiveError(
                f"{run.folder / name} is not there: restore it, or leave such files out of the bundle"
            )
    files = {f"{run.name}/{REPORT}": Content(path=run.folder / REPORT)}
    if tables:
        names = (name for name in BOUND if (run.folder / name).is_file())
        files |= {f"{run.name}/{name}": Content(path=run.folder / name) for name in names}
    shown = {name: Content(data) for name, data in _thumbnails(run.folder / THUMBNAILS, pictures)}
    files |= {f"{run.name}/{THUMBNAILS}/{name}": content for name, content in shown.items()}
    return {**files, f"{run.name}/{PAGE}": Content(page_of(run.report, shown))}


def _thumbnails(folder: Path, pictures: str) -> Iterator[tuple[str, bytes]]:
    if pictures == NONE or not folder.is_dir():
        return
    for path in sorted(folder.iterdir()):
        if path.suffix in (".jpg", ".png") and path.is_file():
            data = read_small(path, _MOST_PICTURE)
            yield path.name, blurred(data) if pictures == BLURRED else data


def blurred(data: bytes) -> bytes:
    """A thumbnail as a few squares of its colours, in the same format and size."""
    with Image.open(io.BytesIO(data)) as image:
        kind, plain = image.format or "PNG", image.convert("RGB")
    share = _SQUARES / max(plain.size)
    small = plain.resize(
        (max(1, round(plain.width * share)), max(1, round(plain.height * share))), Image.Resampling.BOX
    )
    out = io.BytesIO()
    small.resize(plain.size, Image.Resampling.NEAREST).save(out, kind)
    return out.getvalue()


def page_of(report: Report, thumbnails: Mapping[str, Content]) -> bytes:
    """A page that shows its pictures as they are in the bundle: the run's own may have crops of faces in it.
    thumbnails: by their names in the run's folder of them. Memory: one of them, and the page."""
    with TemporaryFolder(None, "memaudit-bundle-") as folder:
        (folder / THUMBNAILS).mkdir()
        for name, content in thumbnails.items():
            if "/" not in name:  # in a bundle that somebody made by hand
                (folder / THUMBNAILS / name).write_bytes(content.whole(name))
        write_report_page(folder / PAGE, report, folder=folder)
        return (folder / PAGE).read_bytes()
