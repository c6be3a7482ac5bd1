"""Modules are imported by their names, never by the paths of their files."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[1]
BY_PATH = re.compile(
    r"sys\.path\s*(?:\.\w+\(|\[.*\]\s*=|\+?=)|SourceFileLoader|spec_from_(?:loader|file_location)|\brun_path\(|addsitedir"
)
SUFFIXES = {".py", ".ipynb", ".toml", ".cfg"}


def tracked() -> list[Path]:
    """Files of Python and settings, and scripts without a suffix; in a checkout without git, what lies there."""
    done = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False)
    folders = (ROOT / name for name in ("memaudit", "benchmarks", "scripts", "tests", ".ci"))
    lying = (path for folder in folders for path in folder.rglob("*") if path.is_file())
    paths = [ROOT / line for line in done.stdout.splitlines()] if done.returncode == 0 else list(lying)
    return [path for path in paths if path.is_file() and (path.suffix in SUFFIXES or not path.suffix)]


def test_no_file_imports_by_path() -> None:
    """Neither by a search path that it changes, nor by a loader of files."""
    paths = [path for path in tracked() if path != Path(__file__)]
    assert {"runner.py", "fetch_faces.py", "demo"} <= {path.name for path in paths}
    found = [path for path in paths if BY_PATH.search(path.read_text(encoding="utf-8", errors="replace"))]
    assert found == []


def test_the_ways_of_importing_by_path_are_known() -> None:
    """A line of each is seen, and reading the search path, or naming modules, is no offence."""
    lines = (
        "sys.path.insert(0, x)",
        "sys.path += [x]",
        "sys.path[0:0] = [x]",
        "SourceFileLoader(x)",
        "runpy.run_path(x)",
    )
    assert all(map(BY_PATH.search, lines))
    assert not any(map(BY_PATH.search, ("os.pathsep.join(sys.path)", 'import_module("a.b")', "find_spec(name)")))
