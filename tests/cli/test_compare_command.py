"""memaudit compare, and memaudit gate where a person looks at it."""

import json
import os
import pty
import re
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from calls import Called, Memaudit
from pictures import write_pictures

from memaudit.cli.app import run
from memaudit.cli.console import harmless
from memaudit.embedding.run import embed
from memaudit.encoders import load_encoder


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a training set's store and the audits of two models with the same prompts; tests only read it."""
    folder = tmp_path_factory.mktemp("compared")
    train = write_pictures(folder / "train", range(12))
    store = embed([train], folder / "store", load_encoder("thumbnail")).folder
    copies, clean = (write_pictures(folder / name, range(500, 520)) for name in "ab")
    for generation, original in zip(sorted(copies.iterdir())[:3], sorted(train.iterdir()), strict=False):
        shutil.copy(original, generation)
    names = sorted(os.listdir(train))
    lines = [f"{path.name},{names[number % 12]},prompt {number}" for number, path in enumerate(sorted(clean.iterdir()))]
    (folder / "pairing.csv").write_text("generation,image_id,prompt\n" + "\n".join(lines) + "\n")
    for generations in (copies, clean):
        arguments = ["--out", folder / f"audit-{generations.name}", "--pairing", folder / "pairing.csv"]
        assert run(["audit", str(generations), "--against", str(store), *map(str, arguments)]) == 0
    return folder


@pytest.fixture
def audits(made: Path, tmp_path: Path) -> tuple[Path, Path]:
    """Reports of two models with the same prompts: the first gives three training images back."""
    first, second = (shutil.copytree(made / f"audit-{name}", tmp_path / f"audit-{name}") for name in "ab")
    return first / "report.json", second / "report.json"


def test_two_models_side_by_side(memaudit: Memaudit, audits: tuple[Path, Path]) -> None:
    """From images to the test of the difference and the matches lost, in text and as JSON."""
    called = memaudit("compare", *audits)
    assert (called.code, called.err) == (0, "")
    assert "prompts measured" in called.out
    assert "that gave a training image back" in called.out
    assert "McNemar's exact test on 20 prompts of the same seeds, 0 gained and 3 lost" in called.out
    assert "Matches only in A: 3\n" in called.out
    value = memaudit("compare", *audits, "--json").json
    assert (value["test"], value["n"], value["gained"], value["lost"]) == ("McNemar", 20, 0, 3)
    assert (value["a"]["count"], value["b"]["count"], len(value["lost_matches"])) == (3, 0, 3)
    assert value["p"] == pytest.approx(0.25)
    assert value["difference"]["value"] == pytest.approx(-0.15)
    assert value["inconclusive"] == []


def edited(path: Path, **changes: Any) -> Path:
    """The report with other parts, sealed again."""
    from memaudit.files import digest_of
    from memaudit.report.document import digests_of_parts

    report = {**json.loads(path.read_text()), **changes}
    content = {key: value for key, value in report.items() if key not in ("digest", "digests")}
    content["digests"] = digests_of_parts(content)
    path.write_text(json.dumps({**content, "digest": digest_of(content)}))
    return path


def test_an_inconclusive_audit_is_compared_and_said(memaudit: Memaudit, audits: tuple[Path, Path]) -> None:
    """The figures are shown, and the exit code is 3."""
    first, second = audits
    results = json.loads(second.read_text())["results"]
    edited(second, results={**results, "conclusive": False, "reasons": ["a shard was missing"]})
    called = memaudit("compare", first, second)
    assert called.code == 3
    assert "calls itself inconclusive: a shard was missing" in called.out


@pytest.mark.parametrize("blank", ["", "\u3000", "\u00a0", "\u2003 ", "\u200b", "\ufeff"])
def test_the_reasons_of_a_report_are_no_commands(memaudit: Memaudit, audits: tuple[Path, Path], blank: str) -> None:
    """A build server trims any blank before it looks for a command at the start of a line."""
    first, second = audits
    results = json.loads(second.read_text())["results"]
    edited(second, results={**results, "conclusive": False, "reasons": [f"x\n{blank}::error file=a::owned"]})
    called = memaudit("compare", first, second)
    assert called.code == 3
    assert "owned" in called.out
    assert "::error" not in called.out
    assert not any(
        line.lstrip(" \t\u3000\u00a0\u2003\u200b\ufeff").startswith("::") for line in called.out.splitlines()
    )


@pytest.mark.parametrize("blank", ["", "\u3000", "\u00a0\t", "\u2003 ", "\u200b", "\ufeff", "\u180e"])
def test_no_blank_hides_a_command(blank: str) -> None:
    """Wherever else a line of others may be printed."""
    assert "::" not in harmless(f"x\n{blank}::error::owned").replace("error::owned", "")


def test_many_empty_lines_are_harmless_at_once() -> None:
    """The search for blanks looks at each of them once."""
    start = time.perf_counter()
    harmless("\n" * 200_000 + " " * 200_000)
    assert time.perf_counter() - start < 2


def test_audits_of_other_training_sets_are_compared_with_a_caveat(
    memaudit: Memaudit, audits: tuple[Path, Path]
) -> None:
    """The model trained on less would look clean against what it was trained on: that is said."""
    first, second = audits
    report = json.loads(second.read_text())
    edited(second, inputs={**report["inputs"], "references": "f" * 64})
    called = memaudit("compare", first, second)
    assert called.code == 0
    assert "Caveat: they are about different training sets" in called.out
    assert "What differs between the training sets is not known" in called.out
    assert memaudit("compare", first, second, "--json").json["caveat"].startswith("they are about different")
    edited(second, inputs=report["inputs"], results={**report["results"], "views": [{}, []]})
    memaudit("compare", first, second).failed(2, "results.views[0]: expected a text, found an object of 0")


def test_what_cannot_be_compared(memaudit: Memaudit, made: Path, audits: tuple[Path, Path], tmp_path: Path) -> None:
    """Another threshold is exit 3; a report of dedup, or none at all, is wrong usage."""
    first, second = audits
    edited(second, threshold=0.5)
    memaudit("compare", first, second).failed(3, "the thresholds differ: 0.95 and 0.5")
    memaudit("compare", first, tmp_path / "no.json").failed(2, "does not exist")
    memaudit("compare", first).failed(2, "memaudit compare --help")
    assert memaudit("dedup", made / "store", "--out", tmp_path / "dedup").code == 0
    memaudit("compare", first, tmp_path / "dedup" / "report.json").failed(2, "is a report of dedup")


def on_a_terminal(*arguments: str | Path) -> Called:
    """Call the program with a terminal of 100 columns for its stdout."""
    mine, its = pty.openpty()
    environment = {**os.environ, "COLUMNS": "100", "TERM": "xterm-256color"}
    environment.pop("NO_COLOR", None)
    command = [sys.executable, "-m", "memaudit", *map(str, arguments)]
    with subprocess.Popen(command, stdout=its, stderr=subprocess.PIPE, stdin=its, env=environment) as process:
        os.close(its)
        parts = []
        while True:
            try:
                part = os.read(mine, 65536)
            except OSError:  # the other end is closed
                break
            if not part:
                break
            parts.append(part)
        assert process.stderr is not None
        error = process.stderr.read().decode()
        code = process.wait()
    os.close(mine)
    return Called(code, b"".join(parts).decode(), error)


def test_a_terminal_gets_a_table_in_colour(audits: tuple[Path, Path]) -> None:
    """With the verdict last; --json stays one line without any."""
    called = on_a_terminal("gate", audits[0])
    assert (called.code, called.err) == (1, "")
    assert "\x1b[1;31mfail" in called.out
    assert re.search(r"│\s+max_findings|max_findings\s+│", re.sub(r"\x1b\[[\d;]*m", "", called.out))
    assert "Verdict: fail" in called.out.splitlines()[-1]
    assert json.loads(on_a_terminal("gate", audits[0], "--json").out)["verdict"] == "fail"


def test_a_terminal_gets_no_escapes_of_a_report(audits: tuple[Path, Path]) -> None:
    """Nor markup: what an id says is text."""
    report = json.loads(audits[0].read_text())
    report["findings"][0]["query_id"] = "[red]x[/red] \x1b]0;owned\x07 [link=https://example.org]y[/link]"
    called = on_a_terminal("gate", edited(audits[0], findings=report["findings"]))
    assert "[red]x[/red]" in called.out
    assert "\x1b]" not in called.out
    assert "\x07" not in called.out
