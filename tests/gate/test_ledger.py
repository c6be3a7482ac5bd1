"""The ledger's file: only ever added to, safe when killed half-way, of one writer, and refused when it was edited."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from gated import Gate, Gated
from test_gate_over_time import A, night

from memaudit.files import digest_of
from memaudit.folders import sole_writer_of
from memaudit.gate import Policy, open_ledger
from memaudit.gate.ledger import add
from memaudit.images.copy_kinds import PLANTED

LAX = "[audit]\nmax_findings = 9\n"


@pytest.fixture
def ledger(gate: Gate, tmp_path: Path) -> Path:
    """Of two looks at one model."""
    path = tmp_path / "nights.jsonl"
    for start in (0, 300):
        assert gate(night(300, start=start), "--ledger", path, policy=LAX).code in (0, 3)
    return path


def test_a_look_is_a_line_that_can_be_read(ledger: Path) -> None:
    first, *looks = map(json.loads, ledger.read_text().splitlines())
    assert first["fixed"] == {
        "max_rate": 0.01,
        "confidence": 0.95,
        "max_threshold": 0.0,
        "max_rise": 0.01,
        "rise_confidence": 0.95,
        "release": None,
        "planted": sorted(PLANTED),
        "max_redrawn_rate": 0.02,
    }
    assert [(look["number"], look["model"], look["model_digest"]) for look in looks] == [
        (1, "painter 2", A),
        (2, "painter 2", A),
    ]
    assert [(look["pooled"], look["outcome"]) for look in looks] == [(300, "inconclusive"), (600, "pass")]
    assert [look["previous"] for look in looks] == [first["digest"], looks[0]["digest"]]


def test_the_gate_says_what_the_ledger_holds(ledger: Path, gate: Gate) -> None:
    """Its last digest, which tells whether lines were cut off, is printed."""
    called = gate(night(300, start=600), "--ledger", ledger, "--json", policy=LAX)
    last = json.loads(ledger.read_text().splitlines()[-1])["digest"]
    assert f"holds 3 judged reports, attempts: 1; digest of its last line: {last}" in called.json["notes"][-1]


def test_the_same_report_again_changes_nothing(gate: Gate, tmp_path: Path) -> None:
    report, path = night(500), tmp_path / "ledger"
    said = [gate(report, "--ledger", path, policy=LAX) for _ in range(2)]
    assert said[0] == said[1]
    assert len(path.read_text().splitlines()) == 2


@pytest.mark.parametrize(
    "spoil",
    [
        lambda lines: [lines[0], lines[1].replace('"outcome": "inconclusive"', '"outcome": "pass"'), lines[2]],
        lambda lines: [lines[0], lines[2]],
        lambda lines: [lines[0], lines[2], lines[1]],
        lambda lines: [*lines, lines[2]],
        lambda lines: lines[1:],
        lambda lines: [lines[0].replace("0.01", "0.02"), *lines[1:]],
        lambda lines: [lines[0], "", *lines[1:]],
        lambda lines: [lines[0], lines[1].replace("{", '{"attempt": 1, ', 1), lines[2]],
        lambda lines: [lines[0], "[]", lines[2]],
        lambda lines: [lines[0], "[" * 100_000, lines[2]],
    ],
    ids=[
        "edited",
        "one taken out",
        "in another order",
        "twice",
        "no first",
        "limit",
        "blank",
        "twice a key",
        "list",
        "deep",
    ],
)
def test_an_edited_ledger_is_refused_in_one_line(spoil: Any, ledger: Path, gate: Gate) -> None:
    ledger.write_text("".join(f"{line}\n" for line in spoil(ledger.read_text().splitlines())))
    before = ledger.read_bytes()
    _refused(gate(night(300, start=600), "--ledger", ledger, policy=LAX), "only ever added to")
    assert ledger.read_bytes() == before


def test_a_line_of_another_version_is_refused(ledger: Path, gate: Gate) -> None:
    known = open_ledger(ledger, Policy())
    look = known.looks[-1]
    add(ledger, known, [look])
    lines = ledger.read_text().splitlines()
    value = {**json.loads(lines[-1]), "mood": "good"}
    value["digest"] = digest_of({key: part for key, part in value.items() if key != "digest"})
    ledger.write_text("".join(f"{line}\n" for line in [*lines[:-1], json.dumps(value)]))
    _refused(gate(night(300, start=600), "--ledger", ledger, policy=LAX), "none of this version")


@pytest.mark.parametrize(
    ("content", "said"),
    [(b"", "no ledger"), (b"noise", "no ledger"), (b"noise\n", "not as it was written"), (b"\xff\n", "not as it was")],
)
def test_what_is_no_ledger_is_refused(content: bytes, said: str, gate: Gate, tmp_path: Path) -> None:
    path = tmp_path / "ledger"
    path.write_bytes(content)
    _refused(gate(night(300), "--ledger", path, policy=LAX), said)
    assert path.read_bytes() == content


@pytest.mark.parametrize(
    ("policy", "name"),
    [
        ("[audit]\nmax_rate = 0.02\n", "max_rate"),
        ("[audit]\nconfidence = 0.9\n", "confidence"),
        ("[audit]\nmax_threshold = 0.9\n", "max_threshold"),
        ("[baseline]\nmax_rise = 0.02\n", "max_rise"),
        (f'[baseline]\nrelease = "{"c" * 64}"\n', "release"),
        ("[audit]\nmax_redrawn_rate = 0.5\n", "max_redrawn_rate"),
        ('[audit]\nplanted = ["re-encoded"]\n', "planted"),
        ("[audit]\nplanted = []\n", "planted"),
    ],
)
def test_limits_are_fixed_before_the_first_look(policy: str, name: str, ledger: Path, gate: Gate) -> None:
    _refused(gate(night(300, start=600), "--ledger", ledger, policy=policy), f"was begun with {name} = ")


def test_other_limits_may_change(ledger: Path, gate: Gate) -> None:
    assert (
        gate(night(300, start=600), "--ledger", ledger, policy="[audit]\nmax_findings = 3\nmax_blank = 0.5\n").code == 0
    )


def test_kinds_of_planted_copies_are_fixed_in_whatever_order_they_stand(gate: Gate, tmp_path: Path) -> None:
    path, kinds = tmp_path / "ledger", '"mirrored", "re-encoded"'
    for start, written in ((0, kinds), (300, '"re-encoded", "mirrored", "mirrored"')):
        policy = f"{LAX}planted = [{written}]\n"
        assert gate(night(300, start=start), "--ledger", path, policy=policy).code in (0, 3)
    assert len(path.read_text().splitlines()) == 3


def test_a_ledger_from_before_there_were_planted_copies_goes_on_with_none(ledger: Path, gate: Gate) -> None:
    """Its bounds were of copies that can be detected: a policy that counts the others is another one."""
    head, lines = "", []
    for line in map(json.loads, ledger.read_text().splitlines()):
        value = {**{key: part for key, part in line.items() if key != "digest"}, "previous": head}
        for name in ("planted", "max_redrawn_rate"):
            value.get("fixed", {}).pop(name, None)
        head = digest_of(value)
        lines.append(json.dumps({**value, "digest": head}))
    ledger.write_text("".join(f"{line}\n" for line in lines))
    _refused(gate(night(300, start=600), "--ledger", ledger, policy=LAX), "was begun with planted = [], and")
    assert gate(night(300, start=600), "--ledger", ledger, policy=f"{LAX}planted = []\n").code == 0


@pytest.mark.parametrize("kept", [1, 40, -2])
def test_an_unfinished_line_goes_with_the_next_look(kept: int, ledger: Path, gate: Gate) -> None:
    """What was written when the machine stopped: nobody was told of that look."""
    data = ledger.read_bytes()
    *_, last = data.splitlines(keepends=True)
    whole = data[: -len(last)]
    ledger.write_bytes(whole + last[:kept])
    called = gate(night(300, start=600), "--ledger", ledger, "--json", policy=LAX)
    assert called.code == 0
    assert "What an unfinished write had left at its end was removed." in called.json["notes"][-1]
    assert ledger.read_bytes().startswith(whole)
    assert [json.loads(line)["pooled"] for line in ledger.read_text().splitlines()[1:]] == [300, 600]


def test_two_writers_lock_each_other_out(ledger: Path, gate: Gate) -> None:
    before = ledger.read_bytes()
    with sole_writer_of(ledger):
        _refused(gate(night(300, start=600), "--ledger", ledger, policy=LAX), "is being written by another process")
    assert ledger.read_bytes() == before
    assert gate(night(300, start=600), "--ledger", ledger, policy=LAX).code == 0


def test_a_link_leads_to_the_ledger_and_its_lock(ledger: Path, gate: Gate, tmp_path: Path) -> None:
    link = tmp_path / "elsewhere"
    link.symlink_to(ledger)
    with sole_writer_of(ledger):
        _refused(gate(night(300, start=600), "--ledger", link, policy=LAX), "is being written")
    assert gate(night(300, start=600), "--ledger", link, policy=LAX).code == 0
    assert link.is_symlink()
    assert len(ledger.read_text().splitlines()) == 4


def test_nothing_is_written_where_nothing_was_judged(gate: Gate, tmp_path: Path) -> None:
    path = tmp_path / "ledger"
    _refused(gate(night(300), tmp_path / "absent.json", "--ledger", path), "does not exist")
    assert not path.exists()


def test_results_are_not_written_over_the_ledger(ledger: Path, gate: Gate) -> None:
    _refused(gate(night(300, start=600), "--ledger", ledger, "--junit", ledger), "read or written by this very call")


def test_a_gate_that_is_killed_at_any_write_leaves_a_ledger(ledger: Path, tmp_path: Path) -> None:
    """A look is either whole there, or it is none."""
    report = tmp_path / "again.json"
    report.write_text(json.dumps(night(300, start=600)))
    before = ledger.read_text().splitlines()
    program = (
        "import os, signal, sys\n"
        "from memaudit.gate import ledger\n"
        "real = ledger.add_to_chain\n"
        "def half(path, data, *, new, cut):\n"
        "    real(path, data[: len(data) // 2], new=new, cut=cut)\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
        "ledger.add_to_chain = half\n"
        "from memaudit.cli.app import run\n"
        f"run(['gate', {str(report)!r}, '--ledger', {str(ledger)!r}])\n"
    )
    assert subprocess.run([sys.executable, "-c", program], env={**os.environ}, check=False).returncode == -9
    assert len(open_ledger(ledger, Policy()).looks) == 2
    assert ledger.read_text().splitlines()[:3] == before
    assert open_ledger(ledger, Policy()).cut > 0


def _refused(called: Gated, said: str) -> None:
    assert called.code == 2
    assert called.err.count("\n") == 1
    assert said in called.err


def test_the_page_has_the_bound_of_all_nights_with_the_verdict(ledger: Path, gate: Gate, tmp_path: Path) -> None:
    """The page's own figures are of one night: the verdict says of how many audits its bound is."""
    page = tmp_path / "page.html"
    assert gate(night(300, start=600), "--ledger", ledger, "--page", page, policy=LAX).code == 0
    text = page.read_text()
    assert "n = 900 drawn anew in 3 audits of painter 2" in text
    assert "painter 2, weights aaaaaaaaaaaa" in text
