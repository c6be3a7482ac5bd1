"""Ctrl-C at any moment: exit code 130 and one line, in a program of its own."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest
from pictures import write_pictures

LINE = "memaudit: interrupted; run the same command again to continue\n"
PROGRAM = """
import os, signal, sys
event, word, *sys.argv = sys.argv[1:]
hits = []
def hook(name, arguments):
    if name == event and not hits and word in str(arguments):
        hits.append(name)
        os.kill(os.getpid(), signal.SIGINT)
from memaudit.cli import main
sys.addaudithook(hook)
main()
"""


def interrupted(cwd: Path, event: str, word: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """The command, with a SIGINT to itself when Python reports such an event for the first time."""
    command = [sys.executable, "-c", PROGRAM, event, word, "memaudit", *arguments]
    return subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False, preexec_fn=heeded)


def heeded() -> None:
    """A shell lets what it starts in the background ignore Ctrl-C, and so these tests perhaps."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@pytest.mark.parametrize(
    "module", ["memaudit.memory", "memaudit.cli.app", "typer", "numpy", "memaudit.api.stores", "h5py", "PIL"]
)
def test_while_modules_are_loaded(tmp_path: Path, module: str) -> None:
    """Also where a library would make an error of its own of it."""
    write_pictures(tmp_path / "in", range(2))
    done = interrupted(tmp_path, "import", f"'{module}", "embed", "in", "--out", "st", "--encoder", "thumbnail")
    assert (done.returncode, done.stdout, done.stderr) == (130, "", LINE)


@pytest.mark.parametrize("moment", [("os.rename", "shard-"), ("open", ".store.json"), ("open", "0001.png")])
def test_in_the_middle_of_the_work(tmp_path: Path, moment: tuple[str, str]) -> None:
    """The same command continues, and nothing half-written stays."""
    write_pictures(tmp_path / "in", range(3))
    arguments = ("embed", "in", "--out", "st", "--encoder", "thumbnail")
    done = interrupted(tmp_path, *moment, *arguments)
    assert (done.returncode, done.stderr) == (130, LINE)
    again = interrupted(tmp_path, "no event", "", *arguments)
    assert (again.returncode, again.stderr) == (0, "")
    assert sorted(path.name for path in (tmp_path / "st").iterdir()) == [".lock", "shard-00000.h5", "store.json"]


def test_where_it_is_ignored_it_stays_ignored(tmp_path: Path) -> None:
    """As for a program that a shell started in the background."""
    program = f"import signal; signal.signal(signal.SIGINT, signal.SIG_IGN)\n{PROGRAM}"
    command = [sys.executable, "-c", program, "import", "'typer", "memaudit", "--version"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_in_code_that_was_made_of_text(tmp_path: Path) -> None:
    """As where a dataclass is made: `python -m` ended by the signal, after our line, and no exit code was told."""
    (tmp_path / "program.py").write_text("""
import sys
from memaudit import interrupts
interrupts.watch()
try:
    exec("import os, signal; os.kill(os.getpid(), signal.SIGINT); [0 for _ in range(9)]")
except KeyboardInterrupt:
    sys.exit(interrupts.INTERRUPTED)
""")
    done = subprocess.run([sys.executable, "-m", "program"], cwd=tmp_path, check=False, preexec_fn=heeded)
    assert done.returncode == 130


def test_a_server_that_is_asked_twice_to_end_ends_at_once(tmp_path: Path) -> None:
    """Else Python goes down under the thread that checks: "terminate called", and exit code 134."""
    write_pictures(tmp_path / "in", range(3))
    interrupted(tmp_path, "no event", "", "embed", "in", "--out", "st", "--encoder", "thumbnail")
    program = """
import atexit, os, signal
from memaudit.api.guarding import GuardServer
atexit.register(os._exit, 134)
GuardServer.serve = GuardServer.close = lambda self: os.kill(os.getpid(), signal.SIGINT)
from memaudit.cli import main
main()
"""
    command = [sys.executable, "-c", program, "serve", "st", "--quiet"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False, preexec_fn=heeded)
    assert (done.returncode, done.stderr) == (130, LINE)
