"""One process at a time writes a folder, and nothing is left of those that were killed."""

from __future__ import annotations

import ctypes.util
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from memaudit.errors import InputError
from memaudit.files import appearing_whole, whole_file, write_text
from memaudit.folders import TemporaryFolder, nameless_file, sole_writer, sole_writer_of

HELD = "is being written by another process"
HOLD = """
import sys, time
from pathlib import Path
from memaudit.files import whole_file
from memaudit.folders import TemporaryFolder, nameless_file, sole_writer, sole_writer_of
folder = Path(sys.argv[1])
with sole_writer(folder), sole_writer_of(folder.parent / "file"), whole_file(folder / "half.txt") as file:
    with TemporaryFolder(folder.parent, ".some-"), nameless_file(folder) as scratch:
        scratch.write(b"x"), file.write(b"half"), file.flush()
        print("held", flush=True)
        time.sleep(60)
"""


def holder(folder: Path, **environment: str) -> subprocess.Popen[str]:
    """A process that is in the middle of everything."""
    command = [sys.executable, "-c", HOLD, str(folder)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env={**os.environ, **environment})
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    return process


def kill(process: subprocess.Popen[str]) -> None:
    process.send_signal(signal.SIGKILL)
    process.communicate()


def test_one_process_at_a_time_and_nothing_is_left_of_a_killed_one(tmp_path: Path) -> None:
    """The second is refused in a line while the first is there; once that is killed, the next cleans up after it."""
    folder = tmp_path / "out"
    first = holder(folder)
    try:
        for other in (sole_writer(folder), sole_writer_of(tmp_path / "file")):
            with pytest.raises(InputError, match=HELD), other:
                pass
        with TemporaryFolder(tmp_path, ".some-") as own:
            assert {own} < set(tmp_path.glob(".some-*")), "that of a living process stays"
        assert len(list(folder.iterdir())) == 2, "the lock and half a file: the scratch has no name"
    finally:
        kill(first)
    with sole_writer(folder), sole_writer_of(tmp_path / "file"), TemporaryFolder(tmp_path, ".some-") as own:
        assert list(tmp_path.glob(".some-*")) == [own]
        assert [path.name for path in folder.iterdir()] == [".lock"]
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


def test_a_half_written_file_goes_with_the_next_that_is_written_beside_it(tmp_path: Path) -> None:
    """A file of a living process stays; that of a dead one needs no lock on its folder to be known."""
    first = holder(tmp_path / "out")
    code = "import sys; from pathlib import Path; from memaudit.files import *; write_text(Path(sys.argv[1]), '')"
    write = [sys.executable, "-c", code, str(tmp_path / "out" / "other.txt")]
    subprocess.run(write, check=True)
    assert list((tmp_path / "out").glob("*.tmp")) or list((tmp_path / "out").glob(".*.tmp"))
    kill(first)
    subprocess.run(write, check=True)
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [".lock", "other.txt"]


def test_threads_of_one_process_exclude_each_other(tmp_path: Path) -> None:
    """As two cells of a notebook would."""
    found: list[str] = []

    def second() -> None:
        with pytest.raises(InputError, match=HELD) as caught, sole_writer(tmp_path):
            pass
        found.append(str(caught.value))

    with sole_writer(tmp_path):
        thread = threading.Thread(target=second)
        thread.start()
        thread.join()
    assert found == [f"{tmp_path} {HELD}: wait for it, or choose another --out"]


@pytest.fixture(scope="module")
def without_locks(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A library that makes flock fail as on NFS without its lock daemon."""
    if not shutil.which("cc"):
        pytest.skip("needs a C compiler")
    folder = tmp_path_factory.mktemp("shim")
    (folder / "shim.c").write_text("#include <errno.h>\nint flock(int f, int o) { errno = ENOLCK; return -1; }\n")
    subprocess.run(["cc", "-shared", "-fPIC", "shim.c", "-o", "shim.so"], cwd=folder, check=True)
    return str(folder / "shim.so")


@pytest.mark.skipif(not ctypes.util.find_library("c") or sys.platform != "linux", reason="needs LD_PRELOAD")
def test_without_locks_a_file_says_who_writes(tmp_path: Path, without_locks: str) -> None:
    """A file that is created exclusively stands for the lock. The second is told whose it is, and one of a dead process
    of this machine does not count."""
    first = holder(tmp_path / "out", LD_PRELOAD=without_locks)
    second = [sys.executable, "-c", HOLD.replace("sleep(60)", "sleep(0)"), str(tmp_path / "out")]
    environment = {**os.environ, "LD_PRELOAD": without_locks}
    refused = subprocess.run(second, capture_output=True, text=True, check=False, env=environment)
    assert (
        f"(process {first.pid} on {os.uname().nodename}, if it is dead delete {tmp_path}/out/.lock-owner)"
        in (refused.stderr.splitlines()[-1])
    )
    kill(first)
    again = subprocess.run(second, capture_output=True, text=True, check=False, env=environment)
    assert (again.returncode, again.stdout) == (0, "held\n")
    assert not (tmp_path / "out" / ".lock-owner").exists()


def test_a_folder_that_cannot_be_is_one_line(tmp_path: Path) -> None:
    """A link to itself, a file in its place, no right to write: each says which path and why."""
    (tmp_path / "loop").symlink_to("loop")
    (tmp_path / "file").write_text("")
    for name, reason in (
        ("loop", "Too many levels of symbolic links"),
        ("file", "File exists"),
        ("file/x", "Not a dir"),
    ):
        with pytest.raises(InputError, match=f"{name} cannot be written: {reason}"), sole_writer(tmp_path / name):
            pass
        with pytest.raises(InputError, match=f"{name} cannot be written: {reason}"):
            nameless_file(tmp_path / name)


def test_a_link_to_a_folder_that_is_to_be_is_followed(tmp_path: Path) -> None:
    """As a link to a file is by whoever writes one."""
    (tmp_path / "link").symlink_to("target")
    with sole_writer(tmp_path / "link"):
        write_text(tmp_path / "link" / "a.txt", "text")
    assert (tmp_path / "target" / "a.txt").read_text() == "text"


def test_a_lock_is_no_link(tmp_path: Path) -> None:
    """Somebody else's link in a shared folder is not written through."""
    (tmp_path / "precious").write_text("mine")
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / ".lock").symlink_to("../precious")
    with pytest.raises(InputError, match="cannot be written"), sole_writer(tmp_path / "out"):
        pass
    assert (tmp_path / "precious").read_text() == "mine"


def test_old_leftovers_of_others_stay(tmp_path: Path) -> None:
    """Only what a writer of ours left goes: by its name, and unlocked."""
    others = [".notes.tmp", ".a.txt.tmp", "x.0123456789abcdef.tmp", ".x.0123456789ABCDEF.tmp", ".dedup-notes"]
    for name in others:
        (tmp_path / name).write_text("")
        os.utime(tmp_path / name, (0, time.time() - 10**6))
    for name in (".a.txt.0123456789abcdef.tmp", ".report.json.4242.tmp"):
        (tmp_path / name).write_text("half")
    with sole_writer(tmp_path):
        assert {path.name for path in tmp_path.iterdir()} == {*others, ".lock"}


def test_a_pipe_or_a_device_is_written_to_as_it_is() -> None:
    """Nothing is made beside it, locked or renamed over it."""
    with sole_writer_of(Path("/dev/null")), whole_file(Path("/dev/null")) as file:
        file.write(b"gone")
    with appearing_whole(Path("/dev/null")) as path:
        assert path == Path("/dev/null")
    assert Path("/dev/null").is_char_device()
