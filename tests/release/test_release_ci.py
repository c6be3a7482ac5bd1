"""The workflow of docs/ci for a whole release, word for word."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from generator_lines import command

CI = Path(__file__).parents[2] / "docs/ci"
WORKFLOW: dict[str, Any] = yaml.safe_load((CI / "memaudit-release.yml").read_text())["jobs"]["release"]


def step(name: str, folder: Path) -> subprocess.CompletedProcess[str]:
    (script,) = [each["run"] for each in WORKFLOW["steps"] if each.get("name") == name]
    given = {key: str(value) for key, value in WORKFLOW["env"].items()}
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    shell = ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", script]
    environment = {**os.environ, **given, "PATH": path}
    return subprocess.run(shell, cwd=folder, env=environment, capture_output=True, text=True, check=False)


def test_a_release_is_checked_and_its_result_kept(release, tmp_path):
    release(command("--jobs {jobs} --out {out}"))
    planned = step("Plan", tmp_path)
    assert planned.returncode == 0, planned.stderr
    assert "audit" in planned.stdout
    done = step("Check", tmp_path)
    assert done.returncode == 0, done.stdout + done.stderr
    kept = next(each["with"]["path"] for each in WORKFLOW["steps"] if each.get("name") == "Keep the result")
    assert all((tmp_path / name).is_file() for name in kept.split())


@pytest.mark.parametrize("name", ["Install", "Weights"])
def test_what_is_installed_is_what_env_says(name):
    (script,) = [each["run"] for each in WORKFLOW["steps"] if each.get("name") == name]
    words = [word for word in WORKFLOW["env"] if f"${word}" in script]
    assert words == {"Install": ["MEMAUDIT_SOURCE", "MEMAUDIT_EXTRAS"], "Weights": ["MEMAUDIT_ENCODER"]}[name]
