"""What docs/ci/ offers for copying: it is read by the tools it is for, and its shell lines run."""

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import junitparser
import pytest
import yaml
from reports import audit, write

from memaudit.gate import DEFAULT_POLICY

CI = Path(__file__).parents[2] / "docs" / "ci"
WORKFLOW: dict[str, Any] = yaml.safe_load((CI / "memaudit-gate.yml").read_text())["jobs"]["gate"]
(HOOK,) = yaml.safe_load((CI / "pre-commit-config.yaml").read_text())["repos"][0]["hooks"]


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A repository with the report of an audit and a policy."""
    write(tmp_path / "audit" / "report.json", audit(5000, days_old=1))
    (tmp_path / "memaudit.toml").write_text(DEFAULT_POLICY)
    return tmp_path


def shell(script: str, folder: Path, **more: str) -> subprocess.CompletedProcess[str]:
    """As the runner calls it: bash -e -o pipefail, with this environment's memaudit."""
    given = {name: str(value) for name, value in WORKFLOW["env"].items()}
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    environment = {**os.environ, **given, "PATH": path, "GITHUB_STEP_SUMMARY": str(folder / "summary.md"), **more}
    command = ["bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", script]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


def step(name: str) -> str:
    (script,) = [each["run"] for each in WORKFLOW["steps"] if each.get("name") == name]
    return str(script)


def test_the_workflow_passes_a_clean_audit(checkout: Path) -> None:
    """Its gate step, word for word, with the files that its later steps take up."""
    done = shell(step("Gate"), checkout)
    assert done.returncode == 0, done.stderr
    assert junitparser.JUnitXml.fromfile(str(checkout / "memaudit-junit.xml")).failures == 0
    assert (checkout / "memaudit.sarif").is_file()
    assert "✅ pass" in (checkout / "summary.md").read_text()
    kept = next(each["with"]["path"] for each in WORKFLOW["steps"] if each.get("name") == "Keep the result")
    assert all((checkout / name).is_file() for name in kept.split())


def test_the_workflow_fails_on_a_finding(checkout: Path) -> None:
    """With annotations, and against the baseline and the accepted matches that `env` may name."""
    write(checkout / "audit" / "report.json", audit(5000, [1, 2]))
    write(checkout / "old.json", audit(5000, [1]))
    (checkout / "accepted.toml").write_text(
        '[[accepted]]\nquery_id = "gen-0001.png"\nreference_id = "train-gen-0001.png"\n'
        'who = "A"\nwhy = "b"\nuntil = 2999-01-01\n'
    )
    done = shell(step("Gate"), checkout, MEMAUDIT_BASELINE="old.json", MEMAUDIT_ACCEPTED="accepted.toml")
    assert done.returncode == 1
    assert "::error title=memaudit max_findings::" in done.stdout
    assert "New since the baseline: 1" in done.stdout
    assert "(1 more were cleared by people)" in done.stdout


def test_the_workflow_gates_several_reports(checkout: Path) -> None:
    """A list of them in one variable."""
    write(checkout / "b.json", audit(5000, [1]))
    assert shell(step("Gate"), checkout, MEMAUDIT_REPORTS="audit/report.json b.json").returncode == 1
    assert shell(step("Gate"), checkout, MEMAUDIT_REPORTS="no.json").returncode == 2


def test_the_workflow_installs_what_the_gate_needs() -> None:
    """The list of docs/ci/requirements-gate.txt, and memaudit without its own dependencies."""
    wanted = [line for line in (CI / "requirements-gate.txt").read_text().splitlines() if line and line[0] != "#"]
    assert re.findall(r'"([^"$]+)"', step("Install").splitlines()[0]) == wanted
    assert 'pip install --no-deps "$MEMAUDIT_SOURCE"' in step("Install")


def test_the_hook_gates_reports(checkout: Path) -> None:
    """A report or the policy starts it; it looks at every report that counts, whatever was changed."""
    names = ("audit/report.json", "report.json", "memaudit.toml", "x-report.json", "sub/memaudit.toml")
    assert [name for name in names if re.search(HOOK["files"], name)] == list(names[:3])
    assert HOOK["language"] == "system"
    assert HOOK["pass_filenames"] is False
    write(checkout / "audit" / "previous-run" / "report.json", audit(5000, [1]))
    assert shell(HOOK["entry"], checkout).returncode == 0
    write(checkout / "audit" / "report.json", audit(5000, [1]))
    assert shell(HOOK["entry"], checkout).returncode == 1


def test_pre_commit_itself_runs_the_hook(checkout: Path) -> None:
    """In a repository, where pre-commit is installed."""
    pytest.importorskip("pre_commit", reason="pre-commit is not installed: ./scripts/test")
    (checkout / ".pre-commit-config.yaml").write_text((CI / "pre-commit-config.yaml").read_text())
    run = f"git init -q . && git add -A && {sys.executable} -m pre_commit run --all-files"
    home = str(checkout / "home")
    assert "Passed" in shell(run, checkout, PRE_COMMIT_HOME=home, HOME=home).stdout
    (checkout / "memaudit.toml").write_text("[audit]\nmax_rate = 0.00001\n")
    only_policy = run.replace("--all-files", "--files memaudit.toml")
    assert shell(only_policy, checkout, PRE_COMMIT_HOME=home, HOME=home).returncode == 1
    (checkout / "memaudit.toml").write_text(DEFAULT_POLICY)
    write(checkout / "audit" / "report.json", audit(5000, [1]))
    assert shell(run, checkout, PRE_COMMIT_HOME=home, HOME=home).returncode == 1
