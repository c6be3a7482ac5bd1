"""Reviews at the gate: who clears a finding, who does not, and that both counts are told."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime
from pathlib import Path

import pytest
from gated import Gate
from hypothesis import given
from hypothesis import strategies as st
from reports import Report, audit, finding, held
from reviewed import said, write_lines

from memaudit.gate import GatePolicy, Policy, Verdict
from memaudit.reviews import Merged, Review, Standing, merged, opinion_of, pair_of, read_reviews
from memaudit.reviews import Verdict as Said

Q, R, OTHER = "a" * 64, "b" * 64, "c" * 64
NOW = datetime(2026, 12, 1, tzinfo=UTC)
FOUND = finding("g", "r", query_sha256=Q, reference_sha256=R)
RELEASE = {"audit": {"max_rate": 1.0}}


def review(verdict: Said, who: str = "A", why: str = "looked", until: date | None = date(2027, 1, 31)) -> Review:
    until = until if verdict is Said.ACCEPTED else None
    return Review(pair_of(Q, R), verdict, who, None, why, until)


@pytest.mark.parametrize(
    ("reviews", "needed", "standing"),
    [
        ([review(Said.NO_COPY)], 1, Standing.NO_COPY),
        ([review(Said.ACCEPTED)], 1, Standing.ACCEPTED),
        ([review(Said.COPY)], 1, Standing.COPY),
        ([review(Said.UNSURE)], 1, Standing.UNSURE),
        ([review(Said.NO_COPY), review(Said.COPY, "B")], 1, Standing.DISAGREEMENT),
        ([review(Said.NO_COPY), review(Said.ACCEPTED, "B")], 1, Standing.DISAGREEMENT),
        ([review(Said.ACCEPTED), review(Said.COPY, "B")], 1, Standing.COPY),
        ([review(Said.NO_COPY), review(Said.COPY, "B"), review(Said.UNSURE, "C")], 1, Standing.DISAGREEMENT),
        ([review(Said.NO_COPY), review(Said.UNSURE, "B")], 1, Standing.UNSURE),
        ([review(Said.COPY), review(Said.UNSURE, "B")], 1, Standing.COPY),
        ([review(Said.NO_COPY)], 2, Standing.TOO_FEW),
        ([review(Said.NO_COPY), review(Said.NO_COPY, "B")], 2, Standing.NO_COPY),
        ([review(Said.NO_COPY), review(Said.NO_COPY, "a")], 2, Standing.TOO_FEW),
        ([review(Said.NO_COPY, "")], 1, Standing.INCOMPLETE),
        ([review(Said.ACCEPTED, why="")], 1, Standing.INCOMPLETE),
        ([review(Said.ACCEPTED, until=None)], 1, Standing.INCOMPLETE),
        ([review(Said.ACCEPTED, until=date(2026, 11, 30))], 1, Standing.EXPIRED),
        ([review(Said.ACCEPTED, until=date(2026, 11, 30)), review(Said.ACCEPTED, "B")], 1, Standing.ACCEPTED),
        ([review(Said.ACCEPTED, until=date(2026, 11, 30)), review(Said.ACCEPTED, "B")], 2, Standing.EXPIRED),
        ([review(Said.NO_COPY)._replace(until=date(2026, 11, 30))], 1, Standing.EXPIRED),
    ],
)
def test_what_the_reviews_of_a_pair_come_to(reviews: list[Review], needed: int, standing: Standing) -> None:
    opinion = opinion_of(reviews, NOW.date(), needed)
    assert opinion.standing is standing
    assert opinion.clears == (standing in (Standing.NO_COPY, Standing.ACCEPTED))
    assert all(each.who in opinion.sentence for each in reviews)


def test_until_is_the_day_on_which_too_few_are_left() -> None:
    """Of three acceptances two are needed: the second to last to end decides."""
    ends = [date(2027, 1, 1), date(2027, 3, 1), date(2027, 2, 1)]
    reviews = [review(Said.ACCEPTED, who, until=end) for who, end in zip("ABC", ends, strict=True)]
    assert opinion_of(reviews, NOW.date(), 2).until == date(2027, 2, 1)
    assert opinion_of([review(Said.NO_COPY)], NOW.date()).until is None


@given(st.lists(st.tuples(st.sampled_from([*Said]), st.sampled_from("ABCD"), st.booleans()), max_size=5))
def test_a_word_against_it_never_clears(lines: list[tuple[Said, str, bool]]) -> None:
    """And nobody clears with fewer than are needed."""
    reviews = [review(verdict, who, until=date(2027 if holds else 2020, 1, 1)) for verdict, who, holds in lines]
    found = merged(reviews)
    if not found.said:
        return
    (last,) = found.said.values()
    for needed in (1, 2, 3):
        opinion = opinion_of(last, NOW.date(), needed)
        assert not (opinion.clears and {each.verdict for each in last} & {Said.COPY, Said.UNSURE})
        assert not opinion.clears or len({each.who for each in last}) >= needed


def outcome(reviews: Merged, reviewers: int = 1) -> tuple[Verdict, str]:
    result = held([("a", audit(5000, [FOUND]))], Policy(gate=GatePolicy(reviewers=reviewers)), reviews=reviews, now=NOW)
    return result.verdict, result.both_counts


@pytest.mark.parametrize(
    ("reviews", "reviewers", "expected"),
    [
        ([review(Said.NO_COPY)], 1, (Verdict.PASS, "0 findings count, and 1 with the 1 that people have cleared.")),
        ([review(Said.NO_COPY)], 2, (Verdict.FAIL, "1 finding counts, and 1 with the 0 that people have cleared.")),
        ([review(Said.UNSURE)], 1, (Verdict.FAIL, "1 finding counts, and 1 with the 0 that people have cleared.")),
        ([review(Said.NO_COPY)._replace(pair=pair_of(Q, OTHER))], 1, (Verdict.FAIL, "")),
        ([review(Said.NO_COPY)._replace(face=True)], 1, (Verdict.FAIL, "")),
    ],
)
def test_the_verdict_follows(reviews: list[Review], reviewers: int, expected: tuple[Verdict, str]) -> None:
    assert outcome(merged(reviews), reviewers) == expected


def test_a_word_against_it_outweighs_an_entry_of_accepted_matches(tmp_path: Path, gate: Gate) -> None:
    entry = '[[accepted]]\nquery_id = "g"\nreference_id = "r"\nwho = "A"\nwhy = "b"\nuntil = 2999-01-31\n'
    report = audit(5000, [FOUND])
    reviews = write_lines(tmp_path / "reviews.jsonl", said(Q, R, "copy", "B"))
    assert gate(report, accepted=entry).code == 0
    both = gate(report, "--reviews", str(reviews), accepted=entry)
    assert both.code == 1
    assert "reviewed, counts: copy (B: looked at)" in both.out


def test_both_counts_and_all_words_are_in_every_output(tmp_path: Path, gate: Gate) -> None:
    """Cleared findings are told of, with the bound of all."""
    found = [finding(n, query_sha256=f"{n:064x}", reference_sha256=R) for n in (1, 2, 3)]
    lines = [said(f"{n:064x}", R, "not a copy", who) for n in (1, 2) for who in ("Ann", "Bob")]
    reviews = write_lines(tmp_path / "reviews.jsonl", *lines, said(f"{3:064x}", R, "not a copy", "Ann"))
    files = {name: tmp_path / name for name in ("junit", "sarif", "markdown")}
    options = [part for name, path in files.items() for part in (f"--{name}", str(path))]
    report, policy = audit(5000, found), "[gate]\nreviewers = 2\n"
    gated = gate(report, "--reviews", str(reviews), *options, policy=policy)
    assert gated.code == 1
    counts = "1 finding counts, and 3 with the 2 that people have cleared."
    assert gated.out.startswith(
        "Gate: fail: max_findings: 1 generation is a near-duplicate of a training image (2 more"
    )
    assert counts in gated.out.splitlines()[0]
    assert counts in files["markdown"].read_text()
    assert (
        "at most 0.095% of prompts give a training image back that nobody cleared, and at most 0.16% any" in gated.out
    )
    for text in (gated.out, *(path.read_text() for path in files.values())):
        assert all(name in text for name in ("Ann", "Bob")), text
        assert "cleared by 1 of 2 people" in text
    values = gate(report, "--reviews", str(reviews), "--json", policy=policy).json
    assert values["counts"] == {"findings": 1, "with_cleared": 3}
    assert [each["standing"] for each in values["reviewed"]] == ["not a copy", "not a copy", "too few reviewers"]
    assert values["reviewed"][0]["said"][0] == {
        "who": "Ann",
        "verdict": "not a copy",
        "why": "looked at",
        "until": None,
    }


def test_reviews_hold_on_both_sides_of_a_baseline(tmp_path: Path, gate: Gate) -> None:
    """A finding that is no copy has not risen, and was none before."""
    reviews = str(write_lines(tmp_path / "reviews.jsonl", said(Q, R, "not a copy")))
    report, clean = audit(5000, [FOUND]), audit(5000, days_old=1)
    gated = gate(report, "--reviews", reviews, "--json", baseline=clean).json
    assert gated["verdict"] == "pass"
    (rise,) = [rule for rule in gated["rules"] if rule["rule"] == "max_rise"]
    assert "Without the 1 matches that people cleared, and 0 of the baseline." in rise["sentence"]


def test_what_no_finding_is_about_and_what_no_review_can_be_about_is_said(tmp_path: Path, gate: Gate) -> None:
    reviews = str(write_lines(tmp_path / "reviews.jsonl", said(Q, OTHER, "not a copy")))
    gated = gate(audit(5000, [finding("g", "r")]), "--reviews", reviews)
    assert "Note: 1 reviewed pairs are among no report's findings." in gated.out
    assert "does not say of which files 1 of its findings are" in gated.out
    assert gated.code == 1


NO_COPY = review(Said.NO_COPY)


def of_other(verdict: Said, digest: str = OTHER, **more: date | None) -> Review:
    return review(verdict)._replace(pair=pair_of(Q, digest), **more)


def several(matches: int, *further: str | None, more: bool = False) -> Report:
    """An audit with a generation that so many training images match, and the files of the others that it names."""
    named = [{"reference_id": f"r{n}", "similarity": 0.8, "kind": "partial"} for n in range(len(further))]
    named = [each | ({"reference_sha256": of} if of else {}) for each, of in zip(named, further, strict=True)]
    found = {**FOUND, "matches": matches, **({"further": named} if further else {}), **({"more": True} if more else {})}
    return audit(5000, [found])


@pytest.mark.parametrize(
    ("report", "reviews", "expected", "words"),
    [
        (several(1), [NO_COPY], Verdict.PASS, "reviewed: not a copy"),
        (several(2), [NO_COPY], Verdict.FAIL, "1 other that it matches is not cleared, and the report does not name 1"),
        (several(2, OTHER), [NO_COPY], Verdict.FAIL, "counts: 1 other that it matches is not cleared: not a copy (A"),
        (several(2, None), [NO_COPY], Verdict.FAIL, "the report does not name 1"),
        (several(2, OTHER), [NO_COPY, of_other(Said.NO_COPY)], Verdict.PASS, "reviewed: not a copy"),
        (several(2, OTHER), [NO_COPY, of_other(Said.ACCEPTED)], Verdict.PASS, "reviewed: not a copy"),
        (
            several(2, OTHER),
            [NO_COPY, of_other(Said.UNSURE)],
            Verdict.FAIL,
            "of another training image that it matches",
        ),
        (several(3, OTHER), [NO_COPY, of_other(Said.NO_COPY)], Verdict.FAIL, "1 other that it matches is not cleared"),
        (several(3, OTHER, "d" * 64), [NO_COPY], Verdict.FAIL, "2 others that it matches are not cleared"),
        (several(3, R, R), [NO_COPY], Verdict.PASS, "reviewed: not a copy"),  # three images of one file
        (several(3, OTHER), [review(Said.ACCEPTED)], Verdict.PASS, "reviewed: accepted"),
        (several(1, more=True), [NO_COPY], Verdict.FAIL, "counts: as many match as were compared, and others may"),
        (
            several(2, OTHER, more=True),
            [NO_COPY],
            Verdict.FAIL,
            "1 other that it matches is not cleared, and as many match as were compared",
        ),
        (several(3, OTHER), [review(Said.ACCEPTED), of_other(Said.COPY)], Verdict.FAIL, "counts: copy (A"),
    ],
)
def test_a_generation_is_cleared_with_all_that_it_matches(
    report: Report, reviews: list[Review], expected: Verdict, words: str
) -> None:
    """The report lists one training image of each; "not a copy" is about that one alone."""
    result = held([("a", report)], Policy(), reviews=merged(reviews), now=NOW)
    assert result.verdict is expected
    assert words in result.findings[0].decision
    assert not any("among no report's findings" in note for note in result.notes)


def test_a_generation_is_cleared_until_the_first_of_its_days() -> None:
    """In a ledger it counts again from then on."""
    end = date(2027, 1, 31)
    reviews = merged([NO_COPY, of_other(Said.ACCEPTED, until=end)])
    (found,) = held([("a", several(2, OTHER))], Policy(), reviews=reviews, now=NOW).findings
    assert found.review is not None
    assert (found.review.standing, found.review.until) == (Standing.NO_COPY, end)


@pytest.mark.parametrize(("baseline", "cleared"), [(several(3, OTHER), 1), (several(1, more=True), 0)])
def test_a_baseline_is_cleared_by_what_it_lists(baseline: Report, cleared: int) -> None:
    """Less that was found before is more of a rise: what nobody said of the others makes none smaller."""
    result = held([("a", audit(5000))], Policy(), baseline, reviews=merged([NO_COPY]), now=NOW)
    (rise,) = [rule for rule in result.rules if rule.rule == "max_rise"]
    assert ("and 1 of the baseline" in rise.sentence) == bool(cleared)


@pytest.mark.parametrize("report", [several(2, OTHER), several(1, more=True), several(2, OTHER, more=True)])
def test_against_itself_an_audit_is_no_rise(report: Report) -> None:
    """Where it names all that a generation matches, the same words clear as much on both sides."""
    for reviews in ([NO_COPY], [NO_COPY, of_other(Said.NO_COPY)]):
        before = report | {"digest": "1" * 64}
        result = held([("a", report)], Policy(), before, reviews=merged(reviews), now=NOW)
        assert {rule.rule: rule.outcome for rule in result.rules}["max_rise"] is Verdict.PASS


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (said(Q, R, "perhaps"), "line 1: verdict 'perhaps' is none of copy, not a copy, accepted, unsure"),
        (said(Q, R, "accepted", until="soon"), "line 1: until 'soon' is no day: write it as 2027-01-31"),
        (said(Q, Q, "not a copy"), "line 1: a file is paired with itself, byte by byte: that cannot be not a copy"),
        (said(Q, "short", "copy"), "right_sha256 'short' is no sha256"),
        ({"left_sha256": Q, "verdict": "copy"}, "there is no column 'right_sha256'"),
    ],
)
def test_reviews_that_cannot_be_meant(tmp_path: Path, gate: Gate, line: dict[str, str | None], words: str) -> None:
    gated = gate(audit(), "--reviews", str(write_lines(tmp_path / "reviews.jsonl", line)))
    assert (gated.code, words in gated.err) == (2, True), gated.err


def test_a_training_images_very_file_can_be_reviewed(tmp_path: Path, gate: Gate) -> None:
    same = finding("g", "r", query_sha256=Q, reference_sha256=Q, kind="verbatim", verified=True)
    reviews = str(write_lines(tmp_path / "reviews.jsonl", said(Q, Q, "accepted")))
    assert gate(audit(5000, [same]), "--reviews", reviews).code == 0


def test_a_review_file_is_not_written_over(tmp_path: Path, gate: Gate) -> None:
    reviews = str(write_lines(tmp_path / "reviews.jsonl", said(Q, R, "copy")))
    gated = gate(audit(), "--reviews", reviews, "--junit", reviews)
    assert gated.code == 2
    assert "is read or written by this very call" in gated.err
    assert read_reviews([Path(reviews)]).counts.copies == 1


def test_nobody_cannot_clear_a_finding(gate: Gate) -> None:
    gated = gate(audit(), policy="[gate]\nreviewers = 0\n")
    assert gated.code == 2
    assert "reviewers = 0 must be 1 or more: nobody cannot clear a finding" in gated.err


def test_the_format_of_lines_is_json(tmp_path: Path) -> None:
    path = write_lines(tmp_path / "reviews.jsonl", said(Q, R, "not_a_copy"))
    assert json.loads(path.read_text())["verdict"] == "not_a_copy"
    assert read_reviews([path]).counts.others == 1
