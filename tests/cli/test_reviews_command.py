"""memaudit reviews: what several people say put together, a sample drawn, earlier forms taken over."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from calls import Memaudit
from msgspec.structs import replace
from pictures import altered, draw, write_pictures
from reviewed import said, write_lines

import memaudit as ma
from memaudit.report.document import read_report
from memaudit.reviews import Drawn, Verdict, pair_of, read_reviews

A, B, C = "a" * 64, "b" * 64, "c" * 64
FAR = "2999-01-31"


def lines_of(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_two_peoples_files_are_put_together(memaudit: Memaudit, tmp_path: Path) -> None:
    """Each person's last word stays, disagreements are told by name, and what is written is read back as the same."""
    ann = write_lines(
        tmp_path / "ann.jsonl",
        said(A, B, "copy", "Ann", when="2026-11-01"),
        said(A, B, "not a copy", "Ann", when="2026-11-02"),
        said(A, C, "copy", "Ann"),
    )
    bob = write_lines(tmp_path / "bob.jsonl", said(B, A, "copy", "Bob"), said(A, C, "accepted", "Bob"))
    done = memaudit("reviews", "merge", ann, bob, "--out", tmp_path / "both.jsonl")
    assert done.code == 0, done.err
    assert "2 pairs looked at by 2 people: 1 copy, 0 not, 0 unsure, 1 on which people disagree" in done.out
    assert "Ann and Bob agree on 1 of 2 pairs (kappa 0.00" in done.out
    assert f"  {A[:12]}… {B[:12]}… Ann: not a copy, Bob: copy" in done.out
    both, again = read_reviews([tmp_path / "both.jsonl"]), read_reviews([ann, bob])
    assert (both.said, both.verdicts) == (again.said, again.verdicts)
    assert both.said[pair_of(A, C)][1].until is not None
    values = memaudit("reviews", "merge", ann, bob, "--json").json
    assert (values["superseded"], values["disagreeing"], values["path"]) == (1, 1, None)
    assert values["disagreements"] == [
        {"left_sha256": A, "right_sha256": B, "said": {"Ann": "not a copy", "Bob": "copy"}}
    ]


@pytest.fixture
def audited(memaudit: Memaudit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The report of an audit with two findings."""
    monkeypatch.chdir(tmp_path)
    write_pictures(tmp_path / "training", range(6))
    for number in (1, 2):
        (tmp_path / "model").mkdir(exist_ok=True)
        altered(draw(number)).save(tmp_path / "model" / f"copy-{number}.png")
    write_pictures(tmp_path / "model", range(500, 504))
    for command in ("embed training --out store --encoder thumbnail", "audit model --against store --out audit"):
        assert memaudit(*command.split()).code in (0, 3)
    return tmp_path / "audit" / "report.json"


def test_from_an_audit_to_the_next_one(memaudit: Memaudit, audited: Path) -> None:
    """Drawn, filled in, put together, at the gate, and on the findings of the next audit."""
    made = memaudit("reviews", "sample", audited, "--count", "9", "--out", "sample.jsonl")
    assert "2 of 2 pairs, to be filled in: sample.jsonl" in made.out
    rows = lines_of(Path("sample.jsonl"))
    assert {row["stratum_pairs"] for row in rows} == {2.0}
    filled = [{**row, "verdict": word, "who": "Ann"} for row, word in zip(rows, ("copy", "not a copy"), strict=True)]
    write_lines(Path("ann.jsonl"), *filled)
    told = memaudit("reviews", "merge", "ann.jsonl")
    assert "Of all that the sample was drawn from, 50.0% are copies (95 % interval 0.4% to 99.6%, 2 looked" in told.out
    Path("policy.toml").write_text("[audit]\nmax_findings = 1\n")
    gated = memaudit("gate", audited, "--policy", "policy.toml", "--reviews", "ann.jsonl", "--json").json
    assert gated["counts"] == {"findings": 1, "with_cleared": 2}
    (rule,) = [rule for rule in gated["rules"] if rule["rule"] == "max_findings"]
    assert (rule["outcome"], rule["figure"]) == ("pass", "1")
    again = memaudit(*["audit", "model", "--against", "store", "--out", "again", "--reviews", "ann.jsonl"])
    assert again.code in (0, 3), again.err
    report = json.loads(Path("again/report.json").read_text())
    assert sorted(finding["review"]["verdict"] for finding in report["findings"]) == ["copy", "not a copy"]
    assert report["findings"][0]["review"]["said"][0]["who"] == "Ann"
    assert len(report["inputs"]["reviews"]) == 64
    assert report["results"]["searched"]["count"] == 2


@pytest.mark.parametrize("change", [{"kind": "re-drawn"}, {"counted": False}])
def test_what_counts_as_no_copy_is_not_drawn(audited: Path, change: dict[str, Any]) -> None:
    """Whoever looks at it rightly says "not a copy": that says nothing of how many of the copies found are some."""
    report = read_report(audited)
    first, second = report.findings
    findings = [replace(first, **change), second]
    changed = SimpleNamespace(report=replace(report, findings=findings), folder=audited)
    made = ma.sample_findings(changed, "sample.jsonl")
    assert (made.lines, made.of) == (1, 1)
    (drawn,) = lines_of(made.path)
    assert {drawn["left_sha256"], drawn["right_sha256"]} == {second.query_sha256, second.reference_sha256}


def test_accepted_matches_are_taken_over(memaudit: Memaudit, audited: Path) -> None:
    """The gate says of the lines what it says of the entries, for the pairs that they cover."""
    report = json.loads(audited.read_text())
    by_kind = "".join(
        f'[[accepted]]\nquery_id = "{each["query_id"]}"\nreference_id = "{each["reference_id"]}"\nwho = "Ann"\n'
        f'why = "our own"\nuntil = {FAR}\nkind = "{each["kind"]}"\n'
        for each in report["findings"]
    )
    gone = f'[[accepted]]\nquery_id = "gone"\nreference_id = "r"\nwho = "Ann"\nwhy = "b"\nuntil = {FAR}\n'
    Path("accepted.toml").write_text(by_kind + gone)
    done = memaudit("reviews", "convert", "accepted.toml", "--report", audited, "--out", "reviews.jsonl")
    assert "2 reviews of 3 entries: reviews.jsonl" in done.out
    assert "Note: gone -> r (by Ann) is not among the report's findings: it stays where it is" in done.out
    assert {(line["verdict"], line["until"], line["why"]) for line in lines_of(Path("reviews.jsonl"))} == {
        ("accepted", FAR, "our own")
    }
    entries = memaudit("gate", audited, "--accepted", "accepted.toml", "--json").json
    lines = memaudit("gate", audited, "--reviews", "reviews.jsonl", "--json").json
    assert entries["rules"] == lines["rules"]
    assert entries["counts"] == lines["counts"] == {"findings": 0, "with_cleared": 2}


def test_ignored_pairs_are_taken_over(memaudit: Memaudit, audited: Path) -> None:
    altered(draw(3)).save("training/0005.png")
    assert memaudit(*["embed", "training", "--out", "again", "--encoder", "thumbnail"]).code == 0
    Path("ignore.csv").write_text("left_id,right_id\n0003.png,0005.png\n0003.png,nobody.png\n")
    done = memaudit(*["reviews", "convert", "ignore.csv", "--store", "again", "--who", "Ann", "--out", "reviews.jsonl"])
    assert "1 review of 2 entries" in done.out
    assert "Note: 0003.png, nobody.png: not both are in the store, with a file of their own" in done.out
    Path("ignore.csv").write_text("left_id,right_id\n0003.png,0005.png\n")
    by_csv = memaudit(*["dedup", "again", "--out", "one", "--ignore", "ignore.csv", "--json"]).json
    by_lines = memaudit(*["dedup", "again", "--out", "two", "--reviews", "reviews.jsonl", "--json"]).json
    assert by_csv["results"]["dropped"] == by_lines["results"]["dropped"] == 0
    assert by_lines["results"]["reviews"] == {
        "apart": 1,
        "found": 1,
        "together": 0,
        "added": 0,
        "left": 0,
        "unknown": 0,
    }


def test_a_proposal_keeps_what_nobody_has_looked_at(memaudit: Memaudit, tmp_path: Path) -> None:
    drawn = {"frame": "f@0.5", "stratum": "all", "stratum_pairs": "40"}
    path = write_lines(tmp_path / "p.jsonl", said(A, B, "copy", **drawn), said(A, C, "", "", **drawn))
    done = memaudit("reviews", "merge", path, "--out", tmp_path / "out.jsonl")
    assert (
        "Of all that the sample was drawn from, 100.0% are copies (95 % interval 2.5% to 100.0%, 1 looked at"
        in done.out
    )
    other = {**drawn, "stratum": "other"}
    open_ = write_lines(tmp_path / "q.jsonl", said(A, B, "copy", **drawn), said(B, C, "", "", **other))
    told = memaudit("reviews", "merge", open_).out
    assert "No precision yet: in 1 strata of the sample nobody has looked at a pair." in told
    found = read_reviews([tmp_path / "out.jsonl"])
    assert found.drawn == {pair_of(A, B): Drawn("f@0.5", "all", 40), pair_of(A, C): Drawn("f@0.5", "all", 40)}
    assert found.verdicts == {pair_of(A, B): Verdict.COPY}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ("merge none.jsonl", "reviews none.jsonl cannot be read: No such file"),
        ("merge r.jsonl --out r.jsonl", "r.jsonl exists already, and may hold reviews: choose another --out"),
        ("merge r.jsonl --out r.csv", "--out r.csv: expected a file that ends in .jsonl"),
        ("sample audit/report.json --count 0 --out s.jsonl", "--count 0 is out of range: expected at least 1"),
        ("sample none.json --out s.jsonl", "none.json"),
        ("convert a.toml --out s.jsonl", "give the report of an audit that has them (--report)"),
        ("convert i.csv --out s.jsonl", "give the store (--store) and --who"),
        ("convert i.csv --store store --out s.jsonl", "give the store (--store) and --who"),
        (
            "convert a.toml --report audit/report.json --out s.jsonl",
            "none of its 1 entries could be written",
        ),
    ],
)
def test_what_cannot_be_is_one_line(memaudit: Memaudit, audited: Path, arguments: str, words: str) -> None:
    write_lines(Path("r.jsonl"), said(A, B, "copy"))
    Path("i.csv").write_text("left_id,right_id\na,b\n")
    Path("a.toml").write_text(
        f'[[accepted]]\nquery_id = "g"\nreference_id = "r"\nwho = "A"\nwhy = "b"\nuntil = {FAR}\n'
    )
    memaudit("reviews", *arguments.split()).failed(2, words)
    assert not Path("s.jsonl").exists()
