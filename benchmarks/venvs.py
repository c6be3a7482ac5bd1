"""Tools to compare with, each in a throwaway venv."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks.measure import BenchmarkError

INSTALL = ("-m", "pip", "install", "--quiet", "--no-input", "--retries", "1")
PIP_SECONDS = 600
VERSION = "import sys; from importlib.metadata import version; print(version(sys.argv[1]))"


def python_for_immaculate() -> str | None:
    """An interpreter >= 3.12: this one, one on the PATH, or one of pyenv's."""
    on_path = [shutil.which(f"python3.{minor}") for minor in (12, 13, 14)]
    pyenv = sorted(Path.home().glob(".pyenv/versions/3.*/bin/python"))
    return next((str(p) for p in (sys.executable, *on_path, *pyenv) if p and _is_new_enough(p)), None)


def _is_new_enough(python: str | Path) -> bool:
    test = "import sys; sys.exit(sys.version_info < (3, 12))"
    return subprocess.run([python, "-c", test], capture_output=True, check=False).returncode == 0


def installed(packages: Sequence[str], venv: Path, python: str | Path = sys.executable) -> Path:
    """The interpreter of a new venv that has the packages, the first of which gives it its name in errors.

    Raises BenchmarkError if they cannot be had.
    """
    interpreter = venv / "bin/python"
    for step in ([python, "-m", "venv", venv], [interpreter, *INSTALL, *packages]):
        try:
            subprocess.run(list(map(str, step)), capture_output=True, timeout=PIP_SECONDS, check=True)
        except (OSError, subprocess.SubprocessError) as error:
            name = packages[0].partition("[")[0]
            raise BenchmarkError(f"{name} could not be installed ({type(error).__name__})") from None
    return interpreter


def install_immaculate(venv: Path) -> Path:
    """The interpreter of a new venv that has it. Raises BenchmarkError if it cannot be had."""
    python = python_for_immaculate()
    if python is None:
        raise BenchmarkError("immaculate needs Python >= 3.12, none found")
    return installed(["immaculate[sscd]"], venv, python)


def version_of(package: str, python: Path) -> str:
    """Of a package that `python` has, with its name."""
    said = subprocess.run([python, "-c", VERSION, package], capture_output=True, text=True, check=False)
    return f"{package} {said.stdout.strip()}"
