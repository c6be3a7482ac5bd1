"""Every fault of every input of every command: one line, no half of a result, and never a false "nothing found"."""

from __future__ import annotations

import os
import resource
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import pytest
import typer
from calls import Called
from face_stores import HAS_PHOTOGRAPHS
from matrix import COMMANDS, INPUTS, Cell, arguments_of, cells, heal, linked, places_of, strike, table
from project import without_own

from memaudit.cli.app import app, run

ROOT = Path(__file__).parents[2]
LONGEST = 30  # seconds: a command that waits for a pipe waits for ever
MOST_MEMORY = 4 * 2**30  # of addresses, beyond what is there: one that reads what is endless takes all there is


@pytest.fixture(scope="session")
def said() -> dict[str, Any]:
    """What each command says of a sound project, by command; filled as it is asked for."""
    return {}


@pytest.fixture(scope="session")
def spare(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where projects of links lie until they are struck: to make one takes longer than most commands."""
    return tmp_path_factory.mktemp("spare")


class StillRunningError(BaseException):
    """No command may catch it."""


@contextmanager
def bounded(seconds: int) -> Iterator[None]:
    def expired(number: int, frame: FrameType | None) -> None:
        raise StillRunningError(f"after {seconds} s")

    before = signal.signal(signal.SIGALRM, expired)
    limits = resource.getrlimit(resource.RLIMIT_AS)
    taken = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (taken + MOST_MEMORY, limits[1]))
    signal.alarm(seconds)
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, limits)
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def called(command: str, project: Path, out: Path, capsys: pytest.CaptureFixture[str]) -> Called:
    capsys.readouterr()
    with bounded(LONGEST):
        code = run([*arguments_of(command, project, out), "--json"])
    return Called(code, *capsys.readouterr())


def files_of(folder: Path) -> dict[str, tuple[int, int]]:
    """Sizes of all that lies there, and when files were last written."""
    found = {}
    for place, folders, files in os.walk(folder):
        for name in folders:
            found[os.path.join(place, name)] = (0, 0)
        for name in files:
            status = os.lstat(path := os.path.join(place, name))
            found[path] = (status.st_size, status.st_mtime_ns)
    return found


@pytest.mark.parametrize("cell", list(cells()), ids=lambda cell: cell.name)
def test_a_fault_is_one_line_or_changes_nothing(
    cell: Cell,
    project_of: Callable[[str], Path],
    said: dict[str, Any],
    spare: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Refused with exit 2 or 3 and one line; or the run says what it says of a sound input, or less and says so."""
    if cell.command.startswith("faces") and not HAS_PHOTOGRAPHS:
        pytest.skip("no weights: memaudit encoders fetch sface")
    sound = project_of(cell.command)
    if cell.command not in said:
        said[cell.command] = called(cell.command, sound, tmp_path / "sound-out", capsys)
    expected = said[cell.command]
    assert expected.code in (0, 1, 3), expected.err
    project, healthy = tmp_path / "project", spare / sound.parent.name
    if not healthy.is_dir():
        linked(sound, healthy)
    healthy.rename(project)
    strike(cell, sound, project)
    before = files_of(project)
    got = called(cell.command, project, tmp_path / "out", capsys)
    assert "internal error" not in got.err
    assert "Traceback" not in got.out + got.err
    after = files_of(tmp_path)
    inputs = {path: each for path, each in after.items() if path.startswith(f"{project}/")}
    assert inputs == before, "an input was changed"
    assert [path for path in after if path.endswith(".tmp")] == []
    heal(cell, sound, project)
    project.rename(healthy)
    if got.code == 2 or (got.code == 3 and not got.out.strip()):
        assert got.err.startswith("memaudit: ")
        assert got.err.count("\n") == 1, got.err
        return
    assert got.code in (0, 1, 3), got.err
    if without_own(got.json) != without_own(expected.json):
        assert got.code == 3 or is_told(got.json, expected.json) or is_another(cell), (got, expected)


def is_told(got: dict[str, Any], expected: dict[str, Any]) -> bool:
    """Whether a run that came to another result has a row for whatever was put beside its images, and every finding."""
    found, known = ({str(each.get("query_id")) for each in result.get("findings", [])} for result in (got, expected))
    (rows, unread), (rows_known, unread_known) = (rows_and_unread(result) for result in (got, expected))
    return found >= known and (rows > rows_known or unread > unread_known)


def rows_and_unread(result: Any) -> tuple[int, int]:
    """Over every coverage that a result states."""
    if not isinstance(result, dict):
        return 0, 0
    if {"measured", "total"} <= result.keys():
        return result["total"], result["total"] - result["measured"]
    if isinstance(images := result.get("images"), int):
        return images, 0
    parts = [rows_and_unread(part) for part in result.values()]
    return sum(rows for rows, _ in parts), sum(unread for _, unread in parts)


def is_another(cell: Cell) -> bool:
    """Whether what is left of the input is a sound one: half of a list, or a file of nothing that a person accepted."""
    return INPUTS[cell.place][1] == "text" and cell.fault in ("is cut in half", "is empty")


def test_every_command_is_in_the_matrix() -> None:
    """A new one is missed here until it has a line; what takes no path needs none."""
    group = typer.main.get_command(app)
    assert isinstance(group, typer.core.TyperGroup)
    assert {command.split()[0] for command in COMMANDS} == set(group.commands) - {"doctor", "encoders", "plan"}


def test_every_input_of_the_project_is_used() -> None:
    """And every fault of every kind is somebody's."""
    assert {place for command in COMMANDS for place in places_of(command)} == set(INPUTS)
    assert len(list(cells())) >= 300


def test_the_table_in_the_docs_is_of_this_matrix() -> None:
    """PYTHONPATH=tests python tests/faults/matrix.py > docs/reference/faults.md"""
    assert table() in (ROOT / "docs" / "reference" / "faults.md").read_text()
