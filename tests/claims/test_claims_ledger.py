"""The ledger: only ever added to, by one at a time, and what was changed is named by its line."""

from __future__ import annotations

import json
import multiprocessing
import shutil
from collections.abc import Callable
from datetime import date
from pathlib import Path

import pytest

from memaudit.api.claim_ledger import verify_claims
from memaudit.claims.ledger import Deleted, Received, add, now, read_ledger, writing
from memaudit.errors import InputError

DIGEST = "0" * 64


def received(number: int, pictures: int = 1) -> Received:
    days = {"received": "2026-01-01", "due": "2026-01-29"}
    return Received(claim=number, at=now(), pictures=pictures, claimant_digest=DIGEST, asked_digest=DIGEST, **days)


def written(folder: Path, claims: int = 3, pictures: int = 1) -> Path:
    """A ledger of so many claims, whose data are deleted: 1 + 2 * claims lines."""
    for number in range(1, claims + 1):
        with writing(folder) as ledger:
            add(add(ledger, received(number, pictures)), Deleted(claim=number, at=now()))
    return folder / "ledger.jsonl"


def test_lines_are_chained_and_read_back(tmp_path: Path) -> None:
    written(tmp_path)
    ledger = read_ledger(tmp_path)
    assert [type(entry).__name__ for entry in ledger.entries] == ["Received", "Deleted"] * 3
    assert [line["previous"] for line in map(json.loads, (tmp_path / "ledger.jsonl").open())] == [
        "",
        *ledger.chain.digests[:-1],
    ]
    assert ledger.claims[2].is_overdue(date(2026, 3, 1)) is False  # deleted
    assert verify_claims(tmp_path).faults == ()


def edited(lines: list[str]) -> list[str]:
    return [line.replace('"pictures": 1', '"pictures": 2') if n == 3 else line for n, line in enumerate(lines)]


def edited_with_its_digest(lines: list[str]) -> list[str]:
    """By somebody who computes the digest of the line anew."""
    from memaudit.files import digest_of

    value = json.loads(lines[3])
    del value["digest"]
    value["pictures"] = 2
    lines[3] = json.dumps({**value, "digest": digest_of(value)})
    return lines


def removed(lines: list[str]) -> list[str]:
    return [*lines[:3], *lines[4:]]


def moved(lines: list[str]) -> list[str]:
    return [*lines[:3], lines[4], lines[3], *lines[5:]]


def repeated(lines: list[str]) -> list[str]:
    return [*lines[:4], *lines[3:]]


def truncated(lines: list[str]) -> list[str]:
    return [*lines[:3], lines[3][:40], *lines[4:]]


def without_its_end(lines: list[str]) -> list[str]:
    return lines[:-2]


def half_of_the_last(lines: list[str]) -> list[str]:
    return [*lines[:-1], lines[-1][:30]]


@pytest.mark.parametrize(
    ("change", "line"),
    [
        (edited, 4),
        (edited_with_its_digest, 5),  # the next one no longer follows
        (removed, 4),
        (moved, 4),
        (repeated, 5),
        (truncated, 4),
        (without_its_end, 6),
        (half_of_the_last, 7),
    ],
)
def test_what_was_changed_is_named_by_its_line(
    change: Callable[[list[str]], list[str]], line: int, tmp_path: Path
) -> None:
    """By verify, and by whoever would add to it: then nothing is added."""
    path = written(tmp_path)
    lines = change(path.read_text().splitlines())
    path.write_text("\n".join(lines) + ("" if change is half_of_the_last else "\n"))
    (fault,) = verify_claims(tmp_path).faults
    assert f"line {line}," in fault
    before = path.read_bytes()
    with pytest.raises(InputError, match=f"line {line},"), writing(tmp_path) as ledger:
        add(ledger, received(9))
    assert path.read_bytes() == before


def test_a_chain_that_was_written_anew_is_not_the_one_that_its_head_names(tmp_path: Path) -> None:
    """Nor one whose head is gone; a letter has the digest of its line besides."""
    path = written(tmp_path)
    line = read_ledger(tmp_path).chain.digests[3]
    assert verify_claims(tmp_path, line=line).faults == ()
    written(tmp_path / "other", pictures=2)
    path.write_bytes((tmp_path / "other" / "ledger.jsonl").read_bytes())
    assert "line 7, is not the one that head.json names" in verify_claims(tmp_path).faults[0]
    shutil.copy(tmp_path / "other" / "head.json", tmp_path)
    assert "no line of the ledger has the digest" in verify_claims(tmp_path, line=line).faults[0]
    (tmp_path / "head.json").unlink()
    assert "head.json does not exist" in verify_claims(tmp_path).faults[0]


def test_what_a_killed_process_left_is_known_and_overwritten(tmp_path: Path) -> None:
    """Half a line after the last; and a line that the head does not name yet."""
    path = written(tmp_path, claims=1)
    head = (tmp_path / "head.json").read_bytes()
    with path.open("ab") as file:
        file.write(b'{"event": "rece')
    found = verify_claims(tmp_path)
    assert (found.faults, found.lines, found.unfinished) == ((), 3, 15)
    with writing(tmp_path) as ledger:
        add(ledger, received(2))
    (tmp_path / "head.json").write_bytes(head)
    assert [claim.is_open for claim in read_ledger(tmp_path).claims.values()] == [False, True]
    with writing(tmp_path) as ledger:
        add(ledger, received(3))
    assert json.loads((tmp_path / "head.json").read_bytes())["lines"] == 5


def _add_some(folder: Path, first: int, barrier: multiprocessing.synchronize.Barrier) -> None:  # type: ignore[name-defined]
    barrier.wait()
    for number in range(first, first + 10):
        with writing(folder) as ledger:
            add(ledger, received(number))


def test_two_at_once_wait_for_each_other(tmp_path: Path) -> None:
    context = multiprocessing.get_context("fork")
    barrier = context.Barrier(2)
    both = [context.Process(target=_add_some, args=(tmp_path, first, barrier)) for first in (1, 101)]
    for process in both:
        process.start()
    for process in both:
        process.join()
    assert [process.exitcode for process in both] == [0, 0]
    assert sorted(read_ledger(tmp_path).claims) == [*range(1, 11), *range(101, 111)]


def test_a_line_about_a_claim_that_nobody_made_is_refused(tmp_path: Path) -> None:
    with writing(tmp_path) as ledger:
        add(ledger, Deleted(claim=4, at=now()))
    assert verify_claims(tmp_path).faults[0].endswith("line 2: claim 4 was never received")
