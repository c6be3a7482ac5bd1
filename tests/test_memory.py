"""Too little memory is one line that says how much was asked for, and no crash."""

from __future__ import annotations

import errno
import os
import platform
import resource
import subprocess
import sys
from pathlib import Path

import pytest

from memaudit.errors import require
from memaudit.memory import NoRoomError, refused


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        MemoryError("Unable to allocate 4.00 GiB for an array with shape (32768, 32768) and data type float32"),
        RuntimeError("std::bad_alloc"),
        OSError("Can't synchronously read data (memory allocation failed for raw data chunk)"),
        OSError(errno.ENOMEM, "Cannot allocate memory"),
        RuntimeError("[ONNXRuntimeError] : 6 : RUNTIME_EXCEPTION : bad allocation"),
        RuntimeError("OpenCV(4.14) alloc.cpp:73: error: (-4:Insufficient memory) Failed to allocate 9 bytes"),
        RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes. Error code 12"),
        RuntimeError("CUDA out of memory. Tried to allocate 20.00 GiB"),
        RuntimeError("can't start new thread"),
        ImportError("libarrow_compute.so.2600: failed to map segment from shared object"),
    ],
    ids=str,
)
def test_however_a_library_says_it(error: Exception) -> None:
    """One line, with the library's own words and what this process had."""
    said = refused(error)
    assert said.startswith("memory ran out: ")
    assert (str(error) or "the amount is not known") in said
    assert "this process had taken" in said
    assert "\n" not in said


@pytest.mark.parametrize(
    "error", [ValueError("boom"), OSError(errno.ENOSPC, "No space left"), ImportError("no module")]
)
def test_other_errors_are_other_errors(error: Exception) -> None:
    assert refused(error) == ""


def test_a_library_that_has_no_room_is_not_called_absent(monkeypatch: pytest.MonkeyPatch) -> None:
    """To install it would not help."""

    def fail(name: str) -> None:
        raise NoRoomError(f"to load {name} takes 2.93 GiB of address space, 0.41 are left")

    monkeypatch.setattr("memaudit.errors.import_module", fail)
    with pytest.raises(MemoryError, match=r"to load torch takes 2\.93 GiB"):
        require("torch", "this")


@pytest.mark.skipif(sys.platform != "linux", reason="what a process has taken is read from /proc")
@pytest.mark.parametrize(
    ("mebibytes", "arguments", "needed"),
    [(100, ["--version"], "to load numpy takes"), (700, ["encoders", "list"], None), (700, ["info", "."], None)],
)
def test_under_a_limit_of_the_address_space(
    tmp_path: Path, mebibytes: int, arguments: list[str], needed: str | None
) -> None:
    """What has room is done; else exit code 3 and a line, never a signal, nor the exit code of a finding."""
    limit = mebibytes * 2**20
    done = subprocess.run(
        [sys.executable, "-m", "memaudit", *arguments],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_AS, (limit, limit)),
    )
    if needed:
        assert done.returncode == 3
        assert done.stderr.startswith(f"memaudit: memory ran out: {needed}")
        assert "of at most 0.1 (ulimit -v)" in done.stderr
    assert done.returncode in (0, 2, 3)
    assert done.stderr.count("\n") <= 1


OFTEN = """
import resource
from memaudit.memory import keep_freed

{before}
for _ in range(20):
    several = [bytearray(b"picture " * 250_000) for _ in range(8)]
    del several
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="another C library")
def test_freed_memory_is_kept_for_the_next_picture() -> None:
    """Pages that are asked for anew each time cost more than what is done with them. Whoever set glibc's own variables
    has decided."""

    def faults(before: str, **variables: str) -> int:
        clean = {name: value for name, value in os.environ.items() if not name.startswith(("MALLOC_", "GLIBC_"))}
        command = [sys.executable, "-c", OFTEN.format(before=before)]
        return int(subprocess.run(command, capture_output=True, check=True, env=clean | variables).stdout)

    anew, kept = faults(""), faults("keep_freed()")
    assert kept < anew / 3
    assert faults("keep_freed()", MALLOC_TRIM_THRESHOLD_="131072") > 3 * kept
