"""What a fork and a contributor find: the workflow, the hooks, the Makefile."""

import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]


def test_the_workflow_runs_what_is_there() -> None:
    """Every step that runs something runs a script of this checkout, and CI's own command is one of them."""
    jobs = yaml.safe_load((ROOT / ".github/workflows/ci.yml").read_text())["jobs"]
    commands = [step["run"] for job in jobs.values() for step in job["steps"] if "run" in step]
    assert commands == ["./scripts/test", "./scripts/test --all"]
    assert commands[-1] in (ROOT / ".ci/run").read_text()


def test_hooks_are_what_the_test_command_checks() -> None:
    """No hook fetches anything, and none checks what scripts/test does not."""
    (repo,) = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"]
    assert {hook["language"] for hook in repo["hooks"]} == {"system"}
    tested = (ROOT / "scripts/test").read_text()
    assert all(Path(hook["entry"].split()[0]).name in tested for hook in repo["hooks"])


@pytest.mark.skipif(shutil.which("make") is None, reason="no make: install it, then ./scripts/test")
@pytest.mark.parametrize("target", ["venv", "lint", "test", "test-all", "demo"])
def test_make_knows_the_five_things(target: str) -> None:
    """Each calls something that exists."""
    done = subprocess.run(["make", "-n", target], cwd=ROOT, capture_output=True, text=True, check=True)
    commands = [line.split()[0] for line in done.stdout.splitlines()]
    assert commands
    assert all((ROOT / command).is_file() for command in commands if command.startswith("./"))
