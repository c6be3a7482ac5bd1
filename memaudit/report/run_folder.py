"""The folder that a run writes its files into: one run at a time, and what earlier ones reported there is put aside."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from memaudit.errors import UsageError
from memaudit.files import digest_of, keep_private, make_folder, write_text
from memaudit.folders import LOCK, sole_writer

THUMBNAILS = "thumbnails"
FACE_CROPS = "face-crops"
REPORT = "report.json"
PREVIOUS = "previous-runs"
KEPT = 5  # runs that are kept there
CLAIM = ".memaudit-run"
PREVIOUS_OF_0_2 = "previous-run"  # where the last run alone was kept
_MOVING = ".moving"  # a run that is being put aside: its files come together under this name
PAGE = "report.html"
PICTURES = (THUMBNAILS, FACE_CROPS)
PLANTED_PICTURES = "planted-pictures"  # there while an audit runs
BOUND = (  # by their digests in the report; the page, which shows the report's digest, has one of its own
    *("matches.parquet", "scores.parquet", "cliques.parquet", "face_matches.parquet"),
    *("pairs.parquet", "groups.parquet", "decisions.parquet", "skew.parquet", "keep.txt", "drop.txt"),
    *("weights.parquet", "shares.parquet"),
)
_OWN = (REPORT, PAGE, *BOUND, *PICTURES)


@contextmanager
def running(out: Path, kind: str) -> Iterator[None]:
    """Be the only run in `out`, what earlier ones left there put aside. Raises as `sole_writer` and `start_run`."""
    with sole_writer(out):
        start_run(out, kind)
        yield


def start_run(out: Path, kind: str) -> None:
    """Claim `out` for a run of this kind, and put what an earlier one reported there aside: into a folder of its own in
    `out`/previous-runs, named by the time when it was written, in UTC. The last KEPT are kept, finished ones first.

    A stale report or drop.txt must not pass for this run's, whatever becomes of it; and a slip of the pen must not
    cost a finished one. Raises UsageError, before anything is moved, if no run of this kind wrote what is there.
    """
    earlier = [name for name in _OWN if (out / name).exists()]
    if earlier and _claimed_by(out) != kind:
        raise UsageError(f"{out} holds {earlier[0]}, which no memaudit {kind} wrote there: choose another --out")
    write_text(out / CLAIM, f"{kind} {digest_of(kind)}\n")
    previous = out / PREVIOUS
    if (out / PREVIOUS_OF_0_2).is_dir():
        make_folder(previous)
        _name_by_time(out / PREVIOUS_OF_0_2, previous)
    if earlier or (previous / _MOVING).is_dir():
        make_folder(previous / _MOVING)
        for name in earlier:  # killed in between, the rest follows when the next run starts
            (out / name).rename(previous / _MOVING / name)
        _name_by_time(previous / _MOVING, previous)
        _drop_oldest(previous)


def _claimed_by(out: Path) -> str:
    claim = out / CLAIM
    kind, *digest = claim.read_text(encoding="utf-8", errors="replace").split() if claim.is_file() else [""]
    return kind if digest in ([], [digest_of(kind)]) else ""  # earlier versions wrote the kind alone


def _name_by_time(run: Path, previous: Path) -> None:
    written = max((path.stat().st_mtime for path in run.iterdir() if path.is_file()), default=run.stat().st_mtime)
    name = f"{datetime.fromtimestamp(written, UTC):%Y-%m-%dT%H-%M-%SZ}"
    name += "" if (run / REPORT).is_file() else "-unfinished"
    taken = {path.name for path in previous.iterdir()}
    names = (name, *(f"{name}-{number}" for number in range(2, len(taken) + 3)))
    run.rename(previous / next(each for each in names if each not in taken))


def previous_runs(out: Path) -> list[Path]:
    """The folders of the runs that were put aside in `out`, the oldest first."""
    folder = out / PREVIOUS
    return sorted(path for path in folder.iterdir() if path.is_dir()) if folder.is_dir() else []


def _drop_oldest(previous: Path) -> None:
    runs = previous_runs(previous.parent)
    worth = sorted(runs, key=lambda run: ((run / REPORT).is_file(), run.name))
    for run in worth[: max(0, len(runs) - KEPT)]:
        shutil.rmtree(run, ignore_errors=True)


def remove_earlier_pictures(out: Path) -> None:
    """Delete the pictures of earlier runs that were put aside, and the pages that hold them: faces that are no longer
    to be shown."""
    for run in previous_runs(out):
        (run / PAGE).unlink(missing_ok=True)
        for name in (THUMBNAILS, FACE_CROPS):
            shutil.rmtree(run / name, ignore_errors=True)


def keep_for_owner(out: Path) -> None:
    """From now on write what is in `out` for its owner alone: it shows people. So is the folder, unless it holds
    somebody else's files as well."""
    ours = {*_OWN, PREVIOUS, CLAIM, LOCK, PLANTED_PICTURES}
    found = list(out.iterdir()) if out.is_dir() else []
    strangers = [path for path in found if path.name not in ours and not (path / "store.json").is_file()]
    keep_private(out, itself=not strangers)
    if (out / PREVIOUS).is_dir():
        keep_private(out / PREVIOUS)
