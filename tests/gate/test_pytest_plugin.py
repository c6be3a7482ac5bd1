"""The gate inside pytest: a test for each rule, a fixture, and nothing at all where nobody asks for it."""

import os
import subprocess
import sys
import tomllib
from pathlib import Path

import junitparser
import pytest
from reports import audit, finding, write

ROOT = Path(__file__).parents[2]


def pytest_in(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """pytest as a program, in a folder of its own, with this plugin and no other of the machine's."""
    environment = {**os.environ, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTHONPATH": str(ROOT)}
    environment.pop("PYTEST_ADDOPTS", None)
    command = [sys.executable, "-m", "pytest", "-p", "memaudit.pytest_plugin", "-p", "no:cacheprovider", *arguments]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


def test_a_test_for_each_rule(tmp_path: Path) -> None:
    """A clean report: all pass, without a single test file."""
    write(tmp_path / "report.json", audit())
    done = pytest_in(tmp_path, "--memaudit-report", "report.json", "-v")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "memaudit::report.json::max_findings PASSED" in done.stdout
    assert "20 passed" in done.stdout


def test_a_rule_that_fails_says_why(tmp_path: Path) -> None:
    """With its sentence and the findings, and without a traceback; inconclusive is a failure too."""
    hostile = finding(2, reference="\x1b[31m::error::x")
    write(tmp_path / "report.json", audit(100, [1, hostile], controls=None))
    done = pytest_in(tmp_path, "--memaudit-report", "report.json", "--junitxml", "out.xml")
    assert done.returncode == 1
    assert "fail: 2 generations are near-duplicates of training images" in done.stdout
    assert "gen-0001.png -> train-gen-0001.png" in done.stdout
    assert "inconclusive: 0 held-out images were scored" in done.stdout
    assert "Traceback" not in done.stdout
    assert "\x1b[31m" not in done.stdout
    suites = junitparser.JUnitXml.fromfile(str(tmp_path / "out.xml"))
    assert (suites.tests, suites.failures) == (20, 4)


def test_a_policy_is_heeded(tmp_path: Path) -> None:
    """And -k chooses among the rules."""
    write(tmp_path / "report.json", audit(5000, [1]))
    (tmp_path / "memaudit.toml").write_text("[audit]\nmax_findings = 1\n")
    given = ["--memaudit-report", "report.json", "--memaudit-policy", "memaudit.toml"]
    assert pytest_in(tmp_path, *given).returncode == 0
    assert "1 passed, 19 deselected" in pytest_in(tmp_path, *given, "-k", "max_findings").stdout


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--memaudit-report", "no.json"], "memaudit: no.json does not exist"),
        (["--memaudit-report", "report.json", "--memaudit-policy", "no.toml"], "memaudit: policy no.toml cannot be"),
        (["--memaudit-report", "bad.json"], "bad.json is not valid JSON"),
    ],
)
def test_what_cannot_be_read_is_wrong_usage(tmp_path: Path, arguments: list[str], message: str) -> None:
    """One line and pytest's exit code 4: a report that is not there does not pass."""
    write(tmp_path / "report.json", audit())
    (tmp_path / "bad.json").write_text("{")
    done = pytest_in(tmp_path, *arguments)
    assert done.returncode == 4
    assert f"ERROR: {message}" in done.stderr or message in done.stdout + done.stderr
    assert "Traceback" not in done.stdout + done.stderr


@pytest.mark.parametrize("option", ["policy", "baseline", "accepted"])
def test_a_policy_without_a_report_is_wrong_usage(tmp_path: Path, option: str) -> None:
    """Nothing would be judged, and nothing fail."""
    (tmp_path / "test_own.py").write_text("def test_it():\n    pass\n")
    done = pytest_in(tmp_path, f"--memaudit-{option}", "file")
    assert done.returncode == 4
    assert f"--memaudit-{option} needs --memaudit-report" in done.stderr


def test_a_baseline_and_accepted_matches_are_heeded(tmp_path: Path) -> None:
    """As `memaudit gate` takes them."""
    write(tmp_path / "new.json", audit(5000, [1]))
    write(tmp_path / "old.json", audit(5000, days_old=1))
    write(tmp_path / "other.json", audit(5000, store="s0"))
    (tmp_path / "accepted.toml").write_text(
        '[[accepted]]\nquery_id = "gen-0001.png"\nreference_id = "train-gen-0001.png"\n'
        'who = "A"\nwhy = "b"\nuntil = 2999-01-01\n'
    )
    given = ["--memaudit-report", "new.json", "--memaudit-accepted", "accepted.toml", "--memaudit-baseline"]
    good = pytest_in(tmp_path, *given, "old.json")
    assert good.returncode == 0, good.stdout
    assert "22 passed" in good.stdout
    bad = pytest_in(tmp_path, *given, "other.json")
    assert bad.returncode == 1
    assert "different training sets" in bad.stdout


TEST_WITH_FIXTURE = """
def test_threshold(memaudit_report):
    assert memaudit_report["threshold"] <= 0.75
"""


def test_the_fixture_is_the_report(tmp_path: Path) -> None:
    """Once for each report given; without one it is an error and no pass."""
    (tmp_path / "test_release.py").write_text(TEST_WITH_FIXTURE)
    for name in ("a.json", "b.json"):
        write(tmp_path / name, audit())
    both = pytest_in(tmp_path, "--memaudit-report", "a.json", "--memaudit-report", "b.json", "-k", "threshold", "-v")
    assert both.returncode == 0, both.stdout
    assert "test_threshold[a.json] PASSED" in both.stdout
    assert "test_threshold[b.json] PASSED" in both.stdout
    without = pytest_in(tmp_path)
    assert without.returncode == 1
    assert "memaudit_report needs --memaudit-report" in without.stdout


def test_unused_it_does_nothing(tmp_path: Path) -> None:
    """Neither a test nor an import: pytest is as quick as without."""
    (tmp_path / "test_own.py").write_text(
        "import sys\n\ndef test_it():\n    loaded = [name for name in sys.modules if name.startswith('memaudit.')]\n"
        "    assert loaded == ['memaudit.pytest_plugin']\n    assert 'numpy' not in sys.modules\n"
    )
    done = pytest_in(tmp_path)
    assert done.returncode == 0, done.stdout
    assert "1 passed" in done.stdout


def test_it_runs_distributed(tmp_path: Path) -> None:
    """With pytest-xdist every worker collects the same rules."""
    write(tmp_path / "report.json", audit())
    done = pytest_in(tmp_path, "--memaudit-report", "report.json", "-p", "xdist", "-n", "2")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "20 passed" in done.stdout


def test_distributed_it_says_why_nothing_is_judged(tmp_path: Path) -> None:
    """Workers of pytest-xdist that stop at collection leave an internal error and no reason."""
    (tmp_path / "report.json").write_text("{}")
    done = pytest_in(tmp_path, "--memaudit-report", "report.json", "-p", "xdist", "-n", "2")
    assert done.returncode == 4
    assert "memaudit: report.json has schema" in done.stderr
    assert "INTERNALERROR" not in done.stdout + done.stderr


def test_it_is_declared() -> None:
    """pytest finds it by the entry point of the installed package."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert project["entry-points"]["pytest11"] == {"memaudit": "memaudit.pytest_plugin"}
