"""`gate --page`: the page of a report with the verdict on it, and the report as it was."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from reports import audit, dedup, finding, write
from reviewed import said, write_lines

import memaudit as ma
from memaudit.errors import UsageError
from memaudit.report import printing
from memaudit.report.page import digest_of_page

ACCEPTED = """
[[accepted]]
query_id = "gen-0001.png"
reference_id = "train-gen-0001.png"
who = "A. Auditor <b>"
why = "a flag"
until = 2999-12-31
"""


def test_a_page_with_the_verdict_and_what_people_accepted(tmp_path: Path) -> None:
    """Each rule that did not pass stands at its head; the report is not touched; a hostile name is text."""
    report = write(tmp_path / "audit" / "report.json", audit(found=[1, 2]))
    before, page = report.read_bytes(), tmp_path / "page.html"
    (tmp_path / "accepted.toml").write_text(ACCEPTED)
    run = ma.run_gate(report, accepted=tmp_path / "accepted.toml", page=page)
    text = page.read_text()
    assert report.read_bytes() == before
    assert f"Verdict of the gate: <b>{run.verdict}</b>" in text
    assert "max_findings: " in text
    assert "accepted until 2999-12-31 (by A. Auditor &lt;b&gt;: a flag)" in text
    assert "1 finding is accepted" in text
    assert json.loads(before)["digest"] in text
    assert digest_of_page(page)[0] == digest_of_page(page)[1]


def test_a_passing_page_says_so(tmp_path: Path) -> None:
    report = write(tmp_path / "report.json", audit())
    ma.run_gate(report, page=tmp_path / "page.html")
    text = (tmp_path / "page.html").read_text()
    assert "Verdict of the gate: <b>pass</b>" in text
    assert "None of 1,000 prompts gave a training image back" in text


def test_a_page_says_what_the_policy_asked_for(tmp_path: Path) -> None:
    """A green verdict stood above ten verbatim copies, and nothing said that the policy allowed a thousand, or did not
    count them."""
    found = [finding(number, kind="verbatim", verified=True) for number in range(10)]
    report, policy = write(tmp_path / "report.json", audit(found=found)), tmp_path / "policy.toml"
    policy.write_text(
        "[audit]\nmax_findings = 1000\nmax_verbatim = 1000\nmax_rate = 1.0\nmin_controls = 100\nplanted = []\n"
    )
    run = ma.run_gate(report, policy, page=tmp_path / "page.html", markdown=tmp_path / "summary.md")
    assert run.verdict == "pass"
    wanted = (
        "max_findings of [audit] 1,000, by default 0",
        "max_rate of [audit] 1, by default 0.01",
        "planted of [audit] none, by default re-encoded, recoloured, mirrored, cropped, captioned",
        "max_verbatim of [audit] 1,000, by default 0",
    )
    assert run.result.own_limits == wanted
    assert run.as_dict()["own_limits"] == [*wanted]
    assert f"By limits of its own: {'; '.join(wanted)}." in (tmp_path / "page.html").read_text()
    assert "by default 0" in (tmp_path / "summary.md").read_text()
    ma.run_gate(report, kinds="partial", page=tmp_path / "page.html", markdown=tmp_path / "summary.md")
    text = (tmp_path / "page.html").read_text()
    assert "Not counted: verbatim 10." in text
    assert "kinds of [audit] partial, by default verbatim" in text
    assert "Not counted" in (tmp_path / "summary.md").read_text()
    assert not ma.run_gate(report).result.own_limits


def test_a_rate_that_passes_by_an_assumption_says_so(tmp_path: Path) -> None:
    """A thousand seeds of one prompt, and no pairing: "pass" alone would be taken for a thousand prompts."""
    report = write(tmp_path / "report.json", audit(by_prompt=None))
    run = ma.run_gate(report)
    assert run.verdict == "pass"
    (note,) = run.warnings
    assert note == (
        f"max_rate of {report} holds if its generations are independent, which nobody knows: seeds of one prompt are "
        "not. Audit with --pairing."
    )
    assert not ma.run_gate(write(tmp_path / "other.json", audit())).warnings


def test_every_finding_accepted_is_said_in_the_boards_words(tmp_path: Path) -> None:
    report = write(tmp_path / "report.json", audit(found=[finding(1)]))
    (tmp_path / "accepted.toml").write_text(ACCEPTED)
    ma.run_gate(report, accepted=tmp_path / "accepted.toml", page=tmp_path / "page.html")
    assert "A person has accepted every one of them" in (tmp_path / "page.html").read_text()


def test_what_people_call_no_copy_is_not_called_accepted(tmp_path: Path) -> None:
    """Cleared is one thing, accepted another."""
    found = [finding(n, query_sha256=f"{n}" * 64, reference_sha256="a" * 64) for n in (1, 2)]
    report = write(tmp_path / "report.json", audit(found=found))
    reviews = tmp_path / "reviews.jsonl"
    write_lines(reviews, *(said(f"{n}" * 64, "a" * 64, word) for n, word in ((1, "not a copy"), (2, "accepted"))))
    ma.run_gate(report, reviews=reviews, page=tmp_path / "page.html")
    text = (tmp_path / "page.html").read_text()
    assert "People have cleared all 2 findings: 1 as no copy, 1 accepted, with a reason and until a day." in text
    assert "2 findings are cleared by people, 1 as no copy" in text
    write_lines(reviews, *(said(f"{n}" * 64, "a" * 64, "not a copy") for n in (1, 2)))
    ma.run_gate(report, reviews=reviews, page=tmp_path / "page.html")
    assert "call every one of these findings no copy" in (tmp_path / "page.html").read_text()


def test_the_page_is_the_audits(tmp_path: Path) -> None:
    """Beside a dedup it is plain which report is meant; of two audits, or two dedups, it is not."""
    one = write(tmp_path / "a" / "report.json", audit())
    two = write(tmp_path / "b" / "report.json", audit())
    other = write(tmp_path / "d" / "report.json", dedup())
    ma.run_gate([one, other], page=tmp_path / "page.html")
    assert "Regurgitation audit" in (tmp_path / "page.html").read_text()
    with pytest.raises(UsageError, match="of one report, and 2 are judged"):
        ma.run_gate([one, two], page=tmp_path / "page.html")
    with pytest.raises(UsageError, match="is read or written by this very call"):
        ma.run_gate(one, page=one)


def test_without_a_chromium_a_line_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The verdict is what it was."""
    monkeypatch.setattr(printing, "find_chromium", lambda: None)
    report = write(tmp_path / "report.json", audit())
    run = ma.run_gate(report, pdf=tmp_path / "page.pdf")
    assert str(run.verdict) == "pass"
    assert any("no Chromium was found" in line for line in run.warnings)
    assert not (tmp_path / "page.pdf").exists()
