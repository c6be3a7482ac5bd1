"""Matches that a person has accepted: read strictly, valid until a day, always shown."""

from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest
from gated import Gate
from hypothesis import given, settings
from hypothesis import strategies as st
from reports import audit, finding, held

from memaudit.errors import InputError, UsageError
from memaudit.gate import Accepted, AuditPolicy, Policy, Verdict, read_accepted

GOOD = '[[accepted]]\nquery_id = "g"\nreference_id = "r"\nwho = "A"\nwhy = "b"\nuntil = 2027-01-31\n'
LAST_DAY = datetime(2027, 1, 31, 23, 59, tzinfo=UTC)


def read(folder: Path, text: str | bytes) -> tuple[Accepted, ...]:
    path = folder / "accepted.toml"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return read_accepted(path)


def test_an_entry_is_read(tmp_path: Path) -> None:
    """Pair, who, why, until; no entries are no error."""
    assert read(tmp_path, GOOD) == (Accepted("r", "g", None, "A", "b", date(2027, 1, 31)),)
    assert read(tmp_path, "") == ()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (GOOD.replace("until", "untill"), "entry 1: unknown key 'untill': did you mean 'until'?"),
        (GOOD + "note = 1\n", "unknown key 'note'"),
        (GOOD.replace("[[accepted]]", "[[accept]]"), "unknown section 'accept': did you mean 'accepted'?"),
        (GOOD.replace("[[accepted]]", "[accepted]"), "expected entries [[accepted]]"),
        ("accepted = 3\n", "expected entries [[accepted]]"),
        ("accepted = [1]\n", "expected entries [[accepted]]"),
        (GOOD.replace('who = "A"\n', ""), "who = None must be a text"),
        (GOOD.replace('who = "A"', 'who = "  "'), "who = '  ' must be a text that is not empty"),
        (GOOD.replace('why = "b"', "why = 1"), "why = 1 must be a text"),
        (GOOD.replace('query_id = "g"\n', ""), "name the generation by query_id or by prompt"),
        (GOOD.replace('query_id = "g"', 'prompt = ""'), "prompt = '' must be a text"),
        (GOOD.replace('reference_id = "r"\n', ""), "reference_id = None must be a text"),
        (GOOD.replace("until = 2027-01-31\n", ""), "until = None must be a day"),
        (GOOD.replace("2027-01-31", '"2027-01-31"'), "must be a day, for example 2027-06-30, without quotes"),
        (GOOD.replace("2027-01-31", "2027-01-31T10:00:00"), "must be a day"),
        (
            GOOD + 'kind = "copy"\n',
            "kind = 'copy' must be one of near-duplicate, partial, template, verbatim, re-drawn, face",
        ),
        (GOOD + "training_set = 3\n", "training_set = 3 must be a text"),
        (GOOD + GOOD, "the pair g -> r is accepted twice"),
        (GOOD + GOOD.replace('who = "A"', "who = 1"), "entry 2: who = 1"),
    ],
)
def test_a_wrong_entry_is_one_line(tmp_path: Path, text: str, message: str) -> None:
    """An entry that is misspelt would accept nothing, or accept for ever."""
    with pytest.raises(UsageError) as caught:
        read(tmp_path, text)
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("text", [b"\xff", "[[accepted", GOOD.replace("2027-01-31", "2027-13-01"), "a = " + "9" * 5000])
def test_what_is_no_toml_is_one_line(tmp_path: Path, text: str | bytes) -> None:
    """Other encodings, cut files, months that there are not."""
    with pytest.raises(InputError, match="file of accepted matches") as caught:
        read(tmp_path, text)
    assert "\n" not in str(caught.value)


def test_an_absent_file_is_one_line(tmp_path: Path) -> None:
    """A file that is named and not there accepts nothing."""
    with pytest.raises(InputError, match="cannot be read"):
        read_accepted(tmp_path / "no.toml")


@pytest.mark.parametrize(
    ("now", "verdict"),
    [(LAST_DAY, Verdict.PASS), (datetime(2027, 2, 1, tzinfo=UTC), Verdict.FAIL)],
)
def test_the_last_day_counts_in(tmp_path: Path, now: datetime, verdict: Verdict) -> None:
    """`until` is the last day on which the match does not count, by the clock of UTC."""
    report = audit(found=[finding("g", "r")])
    result = held([("a", report)], Policy(), accepted=read(tmp_path, GOOD), now=now)
    assert result.verdict is verdict
    assert [each.expired for each in result.accepted] == [verdict is Verdict.FAIL]


def test_both_names_must_fit(tmp_path: Path) -> None:
    """An entry with query_id and prompt is about that generation of that prompt only."""
    text = GOOD.replace('query_id = "g"', 'query_id = "g"\nprompt = "p"')
    for prompt, verdict in (("p", Verdict.PASS), ("q", Verdict.FAIL)):
        report = audit(found=[finding("g", "r", prompt=prompt)])
        assert held([("a", report)], Policy(), accepted=read(tmp_path, text), now=LAST_DAY).verdict is verdict


def test_accepted_matches_are_always_shown(gate: Gate, tmp_path: Path) -> None:
    """In text, JSON, Markdown, SARIF and JUnit: with who, why and until when, whatever the verdict."""
    files = {name: tmp_path / f"out.{name}" for name in ("junit", "sarif", "markdown")}
    options = [part for name, path in files.items() for part in (f"--{name}", path)]
    far = GOOD.replace("2027", "2999")
    report = audit(found=[finding("g", "r")])
    gated = gate(report, *options, accepted=far)
    assert gated.code == 0
    shown = [gated.out, *(path.read_text() for path in files.values()), gate(report, "--json", accepted=far).out]
    assert all("2999-01-31" in text for text in shown)
    assert all("accepted until" in text for text in shown[:-1])
    entry = {"report": str(tmp_path / "report-0.json"), "query_id": "g", "reference_id": "r", "who": "A", "why": "b"}
    assert gate(report, "--json", accepted=far).json["accepted"] == [{**entry, "until": "2999-01-31", "expired": False}]


def test_accepted_matches_leave_both_bounds(gate: Gate, tmp_path: Path) -> None:
    """13 of 1,000 came back, and a person accepted them: the bound that counts them stands beside the one judged."""
    text = "".join(
        f'[[accepted]]\nquery_id = "gen-{number:04d}.png"\nreference_id = "train-gen-{number:04d}.png"\n'
        f'who = "A"\nwhy = "b"\nuntil = 2999-01-01\n'
        for number in range(13)
    )
    report = audit(1000, range(13))
    accepted = gate(report, "--markdown", str(tmp_path / "s.md"), accepted=text, baseline=audit(1000, days_old=1))
    assert accepted.code == 0
    both = (
        "at most 0.30% of prompts give a training image back that nobody cleared, and at most 2.1% any, with the 13 "
        "prompts whose matches people cleared, with one generation each (n = 1,000), undetected copies included "
        "(10,000 of 10,000 planted ones that are re-encoded were found): the first is within the limit."
    )
    assert both in accepted.out
    assert "0.30% not cleared, 2.1% in all" in accepted.out
    assert "0.30% not cleared, 2.1% in all" in (tmp_path / "s.md").read_text()
    assert "Without the 13 matches that people cleared, and 0 of the baseline." in accepted.out
    rule = next(rule for rule in gate(report, "--json", accepted=text).json["rules"] if rule["rule"] == "max_rate")
    assert both in rule["sentence"]


def test_an_expired_entry_says_so(gate: Gate) -> None:
    """Who looks at the failure learns that it was accepted once."""
    gated = gate(audit(found=[finding("g", "r")]), accepted=GOOD.replace("2027", "2020"))
    assert gated.code == 1
    assert "acceptance expired on 2020-01-31, counts again (by A: b)" in gated.out


def test_an_entry_that_matches_nothing_is_said(gate: Gate) -> None:
    """The match is gone, or the entry misspelt: both worth knowing, neither a failure."""
    gated = gate(audit(), accepted=GOOD)
    assert gated.code == 0
    assert "Note: The accepted match g -> r (by A) is among no report's findings." in gated.out


def test_an_entry_of_another_kind_is_said(gate: Gate) -> None:
    """Who accepted a resemblance has not accepted the verbatim copy that it has become."""
    gated = gate(
        audit(found=[finding("g", "r", kind="verbatim", verified=True)]), accepted=GOOD.replace("2027", "2999")
    )
    assert gated.code == 1
    assert (
        "Note: The accepted match g -> r (by A) does not cover what was found: verbatim (its kind: none)." in gated.out
    )


def test_the_same_finding_listed_often_does_not_hide_others() -> None:
    """Accepting one generation takes away one, however often a report lists it."""
    report = audit(found=[1, 2, 3, 4, 5])
    report["findings"] = [finding(1)] * 5
    entry = Accepted("train-gen-0001.png", "gen-0001.png", None, "A", "b", date(2999, 1, 1))
    (rule,) = [rule for rule in held([("a", report)], Policy(), accepted=[entry]).rules if rule.rule == "max_findings"]
    assert (rule.figure, rule.outcome) == ("4", Verdict.FAIL)


ORDER = {Verdict.PASS: 0, Verdict.INCONCLUSIVE: 1, Verdict.FAIL: 2}


@settings(max_examples=150, deadline=None)
@given(st.sets(st.integers(0, 9)), st.sets(st.integers(0, 9)), st.integers(0, 3), st.sampled_from([100, 300, 5000]))
def test_accepting_never_does_worse_than_not_finding(found: set[int], accepted: set[int], allowed: int, n: int) -> None:
    """Accepting a match helps, and never more than not having it would."""
    entries = [_entry(number) for number in accepted]
    policy = Policy(AuditPolicy(max_findings=allowed))
    plain, waived, without = (
        ORDER[held([("a", report)], policy, accepted=given).verdict]
        for report, given in (
            (audit(n, sorted(found)), ()),
            (audit(n, sorted(found)), entries),
            (audit(n, sorted(found - accepted)), ()),
        )
    )
    assert without == waived <= plain


def _entry(number: int, **changes: Any) -> Accepted:
    name = f"gen-{number:04d}.png"
    return Accepted(f"train-{name}", name, None, "A", "b", date(2999, 1, 1))
