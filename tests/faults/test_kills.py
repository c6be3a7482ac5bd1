"""Killed or interrupted at any file it touches, a command that is called again ends as if nothing had happened."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import sys
import tempfile
from collections.abc import Callable, Collection, Iterator
from itertools import count
from pathlib import Path
from typing import NamedTuple

import h5py
import pyarrow.parquet as pq
import pytest
from face_stores import HAS_PHOTOGRAPHS
from matrix import COMMANDS, arguments_of
from project import without_own

from memaudit.cli.app import run

EVENTS = ("open", "os.rename", "os.remove", "os.mkdir", "os.rmdir", "os.truncate", "os.link")
# What a call says that was killed after its work: it takes nothing for its own that may be another's
DONE = ("is complete already", "evidence is not written over")
WRITING = [command for command in COMMANDS if "{out}" in command]
# Made of commands that are stopped at every seventh event, and of very many files: at every 35th
OF_OTHERS = (
    "canary check",
    "run",
    "audit {generations}",
    "claims answer",
    "dedup {other-store} {store}",
)
WITH_PROCESSES = ("run", "dedup {other-store} {store}")  # which a kill leaves alive
STEP = int(os.environ.get("MEMAUDIT_KILL_STEP", "7"))  # 1: at every event


class Ended(NamedTuple):
    code: int
    events: int
    said: str


def called(
    command: str,
    project: Path,
    place: Path,
    moments: Collection[int] = (),
    how: signal.Signals = signal.SIGKILL,
    standing: Callable[[], None] = lambda: None,
) -> Ended:
    """Call a command in a process of its own, which gets the signal at these of its events: whatever is opened,
    renamed, made or removed below `place`, where its results and its temporary files lie. standing: called while the
    process stands still, after each SIGSTOP. code: below 0 for a signal."""
    (place / "tmp").mkdir(parents=True, exist_ok=True)
    log = place.parent / f"{place.name}.log"
    process = os.fork()
    if process:
        code = exit_code(process, standing)
        said = log.read_text(errors="replace")
        events = re.findall(r"^events (\d+)$", said, re.MULTILINE)
        return Ended(code, int(events[-1]) if events else 0, said)
    numbers = count(1)  # threads open files, too

    def hook(name: str, arguments: tuple[object, ...]) -> None:
        if name in EVENTS and str(arguments[0]).startswith(str(place)) and next(numbers) in moments:
            os.kill(os.getpid(), how)

    code = 99
    try:
        handle = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(handle, 1)
        os.dup2(handle, 2)
        sys.stdout, sys.stderr = os.fdopen(1, "w", closefd=False), os.fdopen(2, "w", closefd=False)
        tempfile.tempdir = str(place / "tmp")
        os.environ["TMPDIR"] = tempfile.tempdir
        signal.signal(signal.SIGINT, signal.default_int_handler)
        sys.addaudithook(hook)
        code = run([*arguments_of(command, project, place / "out"), "--quiet"])
        print(f"events {next(numbers) - 1}", flush=True)
    finally:
        sys.stderr.flush()
        os._exit(code)


def exit_code(process: int, standing: Callable[[], None]) -> int:
    while os.WIFSTOPPED(status := os.waitpid(process, os.WUNTRACED)[1]):
        standing()
        os.kill(process, signal.SIGCONT)
    return os.waitstatus_to_exitcode(status)


def contents(place: Path) -> dict[str, object]:
    """What results say, by file; earlier runs are put aside and are none."""
    files = (path for path in sorted((place / "out").rglob("*")) if path.is_file())
    # A file of an index never changes: one that is built again has another number
    names = {re.sub(r"vectors-\d+", "vectors", str(path.relative_to(place / "out"))): path for path in files}
    return {name: content(path) for name, path in names.items() if "previous-run" not in name}


def all_that_lies_in(place: Path) -> dict[str, object]:
    """What a command finds that is called again, by name: folders, links, temporary files, and what the files say. Only
    what every run has of its own is left out: when it was, and the number in the name of a temporary file."""
    found = dict[str, object]()
    for path in sorted(place.rglob("*")):
        name = re.sub(r"\.[0-9a-f]{16}\.tmp", ".tmp", str(path.relative_to(place)))
        found[name] = whatever(path)
    return found


def whatever(path: Path) -> object:
    """What a file says, half of one too."""
    if path.is_symlink() or not path.is_file():
        return (path.lstat().st_mode, os.readlink(path) if path.is_symlink() else "")
    try:
        return content(path)
    except (ValueError, OSError, KeyError):
        return path.read_bytes()


def content(path: Path) -> object:
    if path.parent.name in ("planted", "planted-views", "generations"):
        return of_own_folder(path)
    if path.suffix == ".json":
        text = re.sub(r"; [\d,]+ were there: without model_digest[^\"]*", "", path.read_text())  # true of a second run
        return without_own(json.loads(re.sub(r"vectors-\d+", "vectors", text)))
    if path.suffix == ".jsonl":
        return [without_own(json.loads(line)) for line in path.read_text().splitlines()]
    if path.suffix == ".parquet":
        return repr(pq.read_table(path).to_pylist())  # nan is like nan
    return "a page" if path.suffix == ".html" else path.read_bytes()  # a page says when it was made


def of_own_folder(path: Path) -> object:
    """All but where the pictures were: in the run's own folder, which is another in each run."""
    if path.suffix == ".json":
        named = re.sub(r'"parent": "\w+"', '"parent": "the store beside it"', path.read_text())
        manifest = without_own(json.loads(named))
        own = {"states": len(manifest.get("states", []))}  # digests of what lay in that folder
        return {**manifest, **own, "shards": [{**shard, "bytes": 0} for shard in manifest["shards"]]}
    if path.suffix != ".h5":
        return path.read_bytes()
    with h5py.File(path) as shard:
        return {name: repr(shard[name][:].tolist()) for name in shard if name != "uri"}


def left_over(place: Path) -> list[str]:
    """Temporary files, wherever."""
    return [str(path.relative_to(place)) for path in place.rglob("*") if ".tmp" in path.name] + os.listdir(
        place / "tmp"
    )


def left_at(
    moments: list[int], how: signal.Signals, command: str, project: Path, place: Path, whole: Ended
) -> Iterator[int]:
    """Leave in `place` what a command leaves that is stopped at this moment, for each; yields the moment.

    A process that is killed leaves what lies there: while one stands still at each moment that is copied, instead of
    killing as many. The one in the middle is killed indeed, and so are those that have processes of their own.
    """
    kept = dict[int, Path]()
    if how is signal.SIGKILL and not command.startswith(WITH_PROCESSES):
        middle, waiting = moments[len(moments) // 2], iter(moments)

        def keep() -> None:
            moment = next(waiting)
            kept[moment] = place.with_name(f"at-{moment}")
            shutil.copytree(place, kept[moment], symlinks=True)

        standing = called(command, project, place, moments, signal.SIGSTOP, keep)
        assert standing.code == whole.code, standing.said
        kept.pop(middle, None)
    for moment in moments:
        shutil.rmtree(place, ignore_errors=True)
        if moment in kept:
            kept[moment].rename(place)
        else:
            stopped = called(command, project, place, (moment,), how)
            if how is signal.SIGINT:
                assert_interrupted(stopped, whole)
            else:
                # Threads open files: one run has some events more than another
                assert stopped.code == -how or (stopped.code == whole.code and stopped.events < moment), stopped
        yield moment


@pytest.mark.slow
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGINT], ids=["killed", "interrupted"])
@pytest.mark.parametrize("command", WRITING, ids=lambda command: command.replace("{", "").replace("}", "")[:60])
def test_stopped_at_any_file_it_ends_as_if_it_had_not_been(
    command: str, how: signal.Signals, project_of: Callable[[str], Path], tmp_path: Path
) -> None:
    """Equal results, and nothing left over; interrupted it says so in one line and exits with 130. What is left at one
    moment as it was at another is called again once."""
    if command.startswith("faces") and not HAS_PHOTOGRAPHS:
        pytest.skip("no weights: memaudit encoders fetch sface")
    sound = project_of(command)
    whole = called(command, sound, tmp_path / "whole")
    assert whole.code in (0, 1, 3), whole.said
    expected = contents(tmp_path / "whole")
    assert expected
    step = 5 * STEP if command.startswith(OF_OTHERS) else STEP
    moments = list(range(1 + (whole.events // 2) % step, whole.events + 1, step))
    place, seen = tmp_path / "stopped", list[dict[str, object]]()
    for moment in left_at(moments, how, command, sound, place, whole):
        if (found := all_that_lies_in(place)) in seen:
            continue
        seen.append(found)
        again = called(command, sound, place)
        assert again.code == whole.code or any(words in again.said for words in DONE), (moment, again.said)
        assert contents(place) == expected, f"stopped at event {moment} of {whole.events}"
        assert left_over(place) == [], f"stopped at event {moment} of {whole.events}"
    print(f"{whole.events} events, {len(moments)} moments, {len(seen)} states")


def assert_interrupted(stopped: Ended, whole: Ended) -> None:
    """A signal at the very end may come too late to change anything."""
    if stopped.code == whole.code:
        return
    assert stopped.code == 130, stopped
    said = [line for line in stopped.said.splitlines() if line and not line.startswith("events ")]
    assert said == ["memaudit: interrupted; run the same command again to continue"], stopped.said


def test_every_writing_command_is_there() -> None:
    """Twelve lines at least, and with every seventh event more than a kill each."""
    assert {command.split()[0] for command in WRITING} >= {"embed", "import", "index", "dedup", "audit", "extract"}
    assert len(WRITING) >= 12
