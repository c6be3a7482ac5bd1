"""Pinned distributions of others, by pip. Needs the standard library and pip only."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from scripts.folders import ScriptError

PIP_SECONDS = 900


def pip_download(into: Path, arguments: Sequence[str], what: str, remedy: str) -> None:
    """Let pip put what the arguments name into `into`, without dependencies. Raises ScriptError when it cannot."""
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-input", "--disable-pip-version-check"]
    command += ["--no-deps", "--retries", "1", "--dest", str(into), *arguments]
    try:
        done = subprocess.run(command, capture_output=True, timeout=PIP_SECONDS, check=False)
        outcome = "" if done.returncode == 0 else f"exit code {done.returncode}"
    except subprocess.TimeoutExpired:
        outcome = f"no answer in {PIP_SECONDS} s"
    if outcome:
        raise ScriptError(f"pip could not fetch {what} ({outcome}); {remedy}")


def checked(path: Path, sha256: str, remedy: str) -> Path:
    """`path`, if it is the pinned file. Raises ScriptError if it is absent or is another one."""
    if not path.is_file():
        raise ScriptError(f"{path} is missing; {remedy}")
    with path.open("rb") as handle:
        found = hashlib.file_digest(handle, "sha256").hexdigest()
    if found != sha256:
        raise ScriptError(f"{path} has sha256 {found}, expected {sha256}; {remedy}")
    return path
