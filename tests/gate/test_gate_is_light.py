"""A job that only gates: what it loads, and that it needs nothing else."""

import re
import subprocess
import sys
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

import pytest
from reports import audit, dedup, write

ROOT = Path(__file__).parents[2]
NEEDED = ROOT / "docs" / "ci" / "requirements-gate.txt"
HEAVY = (
    *("torch", "torchvision", "faiss", "open_clip", "onnxruntime", "cv2", "h5py", "pyarrow", "PIL", "jinja2", "fsspec"),
    *("scipy", "braceexpand", "filelock", "requests", "yaml"),
)
# Of this machine, not ours: .pth files of setuptools are run at each start; jsonschema looks for idna, and does without
ENVIRONMENT = {"setuptools", "idna"}
# Refuses what is not installed where only the gate runs, as if it were not there
BLOCKED = f"""
import sys
class Absent:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {HEAVY!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}")
sys.meta_path.insert(0, Absent())
from memaudit.cli.app import run
code = run(sys.argv[1:])
print("loaded", *sorted({{name.partition(".")[0] for name in sys.modules}}), file=sys.stderr)
sys.exit(code)
"""


def alone(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", BLOCKED, *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)


def dependencies(name: str, seen: set[str]) -> Iterator[str]:
    """The distribution and all that it requires without extras."""
    key = re.sub(r"[-_.]+", "-", name).lower()
    if key in seen:
        return
    seen.add(key)
    yield key
    try:
        required = metadata.requires(key) or []
    except metadata.PackageNotFoundError:  # for another system or Python
        return
    for line in required:
        if "extra ==" not in line:
            yield from dependencies(re.split(r"[\s;<>=!~\[(]", line)[0], seen)


def third_party(modules: list[str]) -> set[str]:
    """Distributions that the loaded modules belong to."""
    owners = metadata.packages_distributions()
    return {re.sub(r"[-_.]+", "-", owner).lower() for module in modules for owner in owners.get(module, [])[:1]}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write(tmp_path / "clean.json", audit(5000))
    write(tmp_path / "copies.json", audit(5000, [1, 2, 3]))
    write(tmp_path / "dedup.json", dedup())
    return tmp_path


CALLS = [
    (["gate", "clean.json", "dedup.json"], 0),
    (["gate", "copies.json", "--baseline", "clean.json", "--junit", "j", "--sarif", "s", "--markdown", "m"], 1),
    (["gate", "clean.json", "--annotations"], 0),
    (["gate", "--init", "memaudit.toml"], 0),
    (["compare", "clean.json", "copies.json"], 0),
    (["verify", "clean.json"], 3),  # a report alone: what it names is not there
]


@pytest.mark.parametrize(("arguments", "code"), CALLS, ids=lambda value: " ".join(value) if value is list else None)
def test_it_works_without_anything_heavy(folder: Path, arguments: list[str], code: int) -> None:
    """Neither torch nor faiss, open_clip, h5py, pyarrow or PIL can be imported, and nobody misses them."""
    done = alone(folder, *arguments)
    assert done.returncode == code, done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(("arguments", "code"), CALLS[:2], ids=["clean", "copies"])
def test_what_is_loaded_is_what_the_list_for_ci_installs(folder: Path, arguments: list[str], code: int) -> None:
    """docs/ci/requirements-gate.txt is complete: nothing else of this machine was used."""
    wanted = [re.split("[<>=]", line)[0] for line in NEEDED.read_text().splitlines() if line and line[0] != "#"]
    installed = {each for name in wanted for each in dependencies(name, set())} | {"memaudit-vision"}
    (loaded,) = [line for line in alone(folder, *arguments).stderr.splitlines() if line.startswith("loaded")]
    assert third_party(loaded.split()[1:]) - ENVIRONMENT <= installed


@pytest.mark.parametrize(("arguments", "code"), CALLS[:2], ids=["clean", "copies"])
def test_scipy_is_not_loaded_for_a_few_findings(folder: Path, arguments: list[str], code: int) -> None:
    """Importing it takes longer than all the rest of the gate."""
    done = alone(folder, *arguments)
    assert done.returncode == code
    assert " scipy " not in done.stderr
