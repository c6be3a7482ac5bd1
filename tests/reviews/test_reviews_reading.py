"""Verdicts of people: every line is read for what it says, counted, or refused with its place."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from reviewed import write_rows

from memaudit.errors import InputError
from memaudit.reviews import Drawn, Merged, Pair, Verdict
from memaudit.reviews import read_reviews as read_any

A, B, C = ("a" * 64, "b" * 64, "c" * 64)
AB = Pair(A, B)


def read_labels(paths: list[Path]) -> Merged:
    return read_any(paths, "labels")


def line(left: str = A, right: str = B, verdict: str = "copy", who: str = "A", **more: str) -> dict[str, str]:
    row = {"left_sha256": left, "right_sha256": right, "verdict": verdict, "who": who, "when": "", "why": ""}
    return {**row, "frame": "", "stratum": "", "stratum_pairs": "", **more}


def labels(tmp_path: Path, *rows: dict[str, str]) -> Path:
    return write_rows(tmp_path / "labels.csv", rows)


@pytest.mark.parametrize("suffix", ["csv", "tsv", "jsonl", "ndjson", "json"])
def test_one_format_in_many_clothes(tmp_path: Path, suffix: str) -> None:
    rows = [line(), line(A, C, "not a copy"), line(B, C, "")]
    path = tmp_path / f"labels.{suffix}"
    if suffix == "json":
        path.write_text(json.dumps(rows))
    elif suffix.endswith("jsonl") or suffix == "ndjson":
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    else:
        text = io.StringIO()
        writer = csv.DictWriter(text, list(rows[0]), delimiter="\t" if suffix == "tsv" else ",")
        writer.writeheader()
        writer.writerows(rows)
        path.write_text(text.getvalue())
    merged = read_labels([path])
    assert merged.verdicts == {AB: Verdict.COPY, Pair(A, C): Verdict.NO_COPY}
    assert (merged.counts.lines, merged.counts.unlabelled, merged.counts.people) == (3, 1, 1)


def test_a_pair_has_no_order(tmp_path: Path) -> None:
    merged = read_labels([labels(tmp_path, line(), line(B, A, "copy", "C"), line(B.upper(), A, "COPY ", "D"))])
    assert merged.verdicts == {AB: Verdict.COPY}
    assert merged.counts.people == 3


def test_a_blank_too_many_makes_nobody_another_person(tmp_path: Path) -> None:
    merged = read_labels([labels(tmp_path, line(A, B, "copy", "Ann  Lee"), line(A, B, "not a copy", " Ann Lee"))])
    assert (merged.counts.superseded, merged.counts.disagreeing) == (1, 0)
    assert [each.who for said in merged.said.values() for each in said] == ["Ann Lee"]


def test_who_says_it_again_and_who_thinks_again(tmp_path: Path) -> None:
    """The same verdict again is counted; another one takes its place by `when`, else by the order of the lines."""
    merged = read_labels([labels(tmp_path, line(), line(), line(verdict="not a copy"))])
    assert merged.verdicts == {AB: Verdict.NO_COPY}
    assert (merged.counts.repeated, merged.counts.superseded) == (1, 1)
    early, late = line(verdict="copy", when="2027-01-02"), line(verdict="not a copy", when="2027-01-01T23:00Z")
    assert read_labels([labels(tmp_path, early, late)]).verdicts == {AB: Verdict.COPY}
    early["when"] = "2027-01-01T23:30+01:00"  # half an hour before the other
    assert read_labels([labels(tmp_path, early, late)]).verdicts == {AB: Verdict.NO_COPY}


@pytest.mark.parametrize(
    ("said", "verdict"),
    [
        (["copy", "copy"], Verdict.COPY),
        (["copy", "not a copy"], None),
        (["copy", "not a copy", "copy"], None),
        (["copy", "accepted"], Verdict.COPY),
        (["accepted"], Verdict.COPY),
        (["unsure"], Verdict.UNSURE),
        (["unsure", "unsure"], Verdict.UNSURE),
        (["unsure", "not a copy"], Verdict.NO_COPY),
        (["accepted", "not a copy"], None),
    ],
)
def test_several_people(tmp_path: Path, said: list[str], verdict: Verdict | None) -> None:
    """No majority outvotes anybody; whoever is unsure abstains."""
    merged = read_labels([labels(tmp_path, *(line(verdict=each, who=str(n)) for n, each in enumerate(said)))])
    assert merged.verdicts == {AB: verdict}
    counts = merged.counts
    assert counts.copies + counts.others + counts.unsure + counts.disagreeing == 1
    assert counts.disagreeing == (verdict is None)


@given(
    st.lists(
        st.tuples(
            st.sampled_from([A, B, C]),
            st.sampled_from([A, B, C]),
            st.sampled_from(["", *(each for each in Verdict if each is not Verdict.TAKEN_BACK)]),
            st.sampled_from("xyz"),
        ).filter(lambda row: row[0] != row[1]),
        min_size=1,
        max_size=12,
    )
)
def test_nothing_is_lost(tmp_path_factory: pytest.TempPathFactory, rows: list[tuple[str, str, str, str]]) -> None:
    """Each line is somebody's verdict, said again, superseded, or of nobody; each pair in one of the counts."""
    path = tmp_path_factory.mktemp("labels")
    merged = read_labels([labels(path, *(line(*row) for row in rows))])
    said = [(frozenset(row[:2]), row[3]) for row in rows if row[2]]
    counts = merged.counts
    assert len(said) == len(set(said)) + counts.repeated + counts.superseded
    assert len({pair for pair, _ in said}) == len(merged.verdicts)
    assert len(merged.verdicts) == counts.copies + counts.others + counts.unsure + counts.disagreeing
    assert counts.unlabelled + len(merged.verdicts) == len({frozenset(row[:2]) for row in rows})


def test_verdicts_and_proposal_may_lie_in_several_files(tmp_path: Path) -> None:
    """What the page of reviews writes says nothing of strata; the proposal does."""
    drawn = {"frame": "f@0.5", "stratum": "all", "stratum_pairs": "40.5"}
    proposal = labels(tmp_path, line(verdict="", who="", **drawn), line(A, C, "", "", **drawn))
    reviews = tmp_path / "reviews.jsonl"
    reviews.write_text(json.dumps({"left_sha256": B, "right_sha256": A, "verdict": "copy", "until": None, "who": "P"}))
    merged = read_labels([proposal, reviews])
    assert merged.verdicts == {AB: Verdict.COPY}
    assert merged.drawn == {AB: Drawn("f@0.5", "all", 40.5), Pair(A, C): Drawn("f@0.5", "all", 40.5)}
    assert len(set(merged.digests)) == 2


DRAWN = {"frame": "f@0.5", "stratum": "all", "stratum_pairs": "40"}


@pytest.mark.parametrize(
    ("rows", "words"),
    [
        ([line(left="abc")], ["line 2", "left_sha256 'abc' is no sha256"]),
        ([line(right="")], ["right_sha256 '' is no sha256"]),
        ([line(), line(A, A, "not a copy")], ["line 3", "paired with itself", "that cannot be not a copy"]),
        ([line(right="0" * 64)], ["that of no file"]),
        ([line(verdict="maybe")], ["verdict 'maybe' is none of copy, not a copy, accepted, unsure"]),
        ([line(when="yesterday")], ["when 'yesterday' is no time"]),
        ([line(stratum="all")], ["do not say how the pair was drawn"]),
        ([line(**{**DRAWN, "stratum_pairs": "-3"})], ["do not say how the pair was drawn"]),
        ([line(**{**DRAWN, "stratum_pairs": "nan"})], ["do not say how the pair was drawn"]),
        ([line(**DRAWN), line(A, C, **{**DRAWN, "stratum_pairs": "41"})], ["two proposals (stratum 'all')"]),
        ([line(**DRAWN), line(**{**DRAWN, "stratum": "other"})], ["two proposals"]),
        ([line(**DRAWN), line(A, C, **{**DRAWN, "frame": "g@0.5", "stratum": "b"})], ["proposals of two sets"]),
    ],
)
def test_lines_that_cannot_be_meant(tmp_path: Path, rows: list[dict[str, str]], words: list[str]) -> None:
    with pytest.raises(InputError) as raised:
        read_labels([labels(tmp_path, *rows)])
    assert all(word in str(raised.value) for word in words), raised.value


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", ["no line names a pair"]),
        ("left_sha256,right_sha256,verdict\n", ["no line names a pair"]),
        ("left,right,verdict\n1,2,copy\n", ["there is no column 'left_sha256', found left, right, verdict"]),
        (f"left_sha256,verdict\n{A},copy\n", ["there is no column 'right_sha256'"]),
        ("left_sha256,left_sha256\n1,2\n", ["2 times"]),
        (f"left_sha256,right_sha256,verdict\n{A},{B},copy,more\n", ["line 2", "more fields than the header"]),
    ],
)
def test_files_that_cannot_be_meant(tmp_path: Path, text: str, words: list[str]) -> None:
    path = tmp_path / "labels.csv"
    path.write_text(text)
    with pytest.raises(InputError) as raised:
        read_labels([path])
    assert all(word in str(raised.value) for word in words), raised.value
