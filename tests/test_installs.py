"""What each way to install brings: by pyproject.toml, and by installing it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from gate.reports import audit, write
from packaging.requirements import Requirement
from pictures import MakeFolder

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
EXTRAS: dict[str, list[str]] = PROJECT["optional-dependencies"]
HEAVY = {"torch", "open-clip-torch", "faiss-cpu", "faiss-gpu-cuvs", "onnxruntime", "opencv-python-headless", "scipy"}
CPU_BUILDS = {"faiss-cpu", "onnxruntime"}
GPU_BUILDS = {"faiss-gpu-cuvs", "onnxruntime-gpu"}


def names(requirements: list[str]) -> set[str]:
    """Distributions of the requirements, those of our own extras among them taken apart."""
    found: set[str] = set()
    for requirement in map(Requirement, requirements):
        if requirement.name == PROJECT["name"]:
            found |= {name for extra in requirement.extras for name in names(EXTRAS[extra])}
        else:
            found.add(re.sub(r"[-_.]+", "-", requirement.name).lower())
    return found


def test_the_base_is_light() -> None:
    """What gate, compare, info, verify and the pages need."""
    assert not names(PROJECT["dependencies"]) & (HEAVY | GPU_BUILDS)


def test_builds_for_cpu_and_gpu_are_never_together() -> None:
    """They own the same files: whichever comes last breaks the other."""
    assert not names(EXTRAS["gpu"]) & CPU_BUILDS
    assert names(EXTRAS["gpu"]) >= GPU_BUILDS | {"torch", "open-clip-torch", "opencv-python-headless", "scipy"}
    assert not names(EXTRAS["cpu"]) & (GPU_BUILDS | {"torch", "open-clip-torch"})
    assert names(EXTRAS["cpu"]) >= CPU_BUILDS | {"opencv-python-headless", "scipy"}
    assert not names(EXTRAS["torch"]) & (GPU_BUILDS | CPU_BUILDS)


def test_names_of_0_1_went_with_0_3() -> None:
    """As the change log says: [cpu] stands for them."""
    assert not EXTRAS.keys() & {"sscd", "pixels", "faces"}


@pytest.mark.slow
def test_base_and_cpu_as_installed(tmp_path: Path, picture_folder: MakeFolder) -> None:
    """In a new environment, from the checkout: the base gates, shows and verifies a report, and what it cannot do is
    one line that works; with [cpu] a set is embedded and deduplicated."""
    venv = tmp_path / "venv"
    subprocess.run([sys.executable, "-m", "venv", venv], check=True)
    install(venv, ".")
    write(tmp_path / "report.json", audit(5000, days_old=1))
    for command in (["--help"], ["gate", "report.json"], ["info", "report.json"], ["verify", "report.json"]):
        alone = 3 if command[0] == "verify" else 0  # of what lay beside it nothing is here
        assert memaudit(venv, tmp_path, *command).returncode == alone, command
    pictures = str(picture_folder(6))
    assert_line(memaudit(venv, tmp_path, "embed", pictures, "--out", "sscd"), "encoder sscd needs onnxruntime")
    assert memaudit(venv, tmp_path, "embed", pictures, "--out", "store", "--encoder", "thumbnail").returncode == 0
    assert memaudit(venv, tmp_path, "verify", "store").returncode == 0
    assert_line(memaudit(venv, tmp_path, "dedup", "store", "--out", "dedup"), "needs SciPy")
    assert_line(memaudit(venv, tmp_path, "index", "store", "--out", "index"), "needs FAISS")
    install(venv, ".[cpu]")
    done = memaudit(venv, tmp_path, "dedup", "store", "--out", "dedup")
    assert done.returncode == 0, done.stderr
    assert memaudit(venv, tmp_path, "verify", "dedup/report.json").returncode == 0


def install(venv: Path, what: str) -> None:
    """Only what is then imported is compiled."""
    pip = [venv / "bin/python", "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--no-compile"]
    done = subprocess.run([*pip, "-c", "constraints.txt", what], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def memaudit(venv: Path, folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    command = [str(venv / "bin/memaudit"), *arguments]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


def assert_line(done: subprocess.CompletedProcess[str], words: str) -> None:
    """Exit code 2, and one line with the command that helps."""
    assert done.returncode == 2, done.stderr
    assert words in done.stderr
    assert 'pip install ".[cpu]"' in done.stderr
    assert done.stderr.count("\n") == 1
