"""A report is never too large for its own readers."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from msgspec import structs

from memaudit.audit.results import Matched
from memaudit.report import bounds
from memaudit.report.audit_tables import matches_of
from memaudit.report.bounds import SHORTENED, bounded, shortened
from memaudit.report.document import make_report, read_report, write_report
from memaudit.report.model import FurtherMatch, Group, ImageMatch, Member, Unmeasured
from memaudit.types import Coverage as Measured


def match(number: int, caption: str = "", query: str = "") -> ImageMatch:
    return ImageMatch(
        query_id=query or f"gen-{number}",
        reference_id=f"training-{number}",
        similarity=0.9,
        kind="verbatim",
        paired=False,
        near_duplicates=1,
        prompt=caption,
        caption=caption,
    )


RESULTS = Unmeasured(conclusive=False, reasons=[], headline="Found.")


@pytest.mark.parametrize("caption", ["word " * 1600, "é" * 8000, "\x01" * 8000], ids=["plain", "accents", "controls"])
def test_long_captions_are_shortened_in_the_report(
    tmp_path: Path, caption: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An audit of 8 kB captions wrote a report that its own gate refused; each finding is still there."""
    monkeypatch.setattr(bounds, "MOST_BYTES", 3 * 2**20)
    monkeypatch.setattr(bounds, "_SPARE", 2**18)
    findings = [match(number, caption) for number in range(500)]
    report = make_report(
        "audit",
        inputs={},
        encoder=None,
        threshold=None,
        coverage=Measured(500, 500),
        results=RESULTS,
        findings=findings,
    )
    write_report(tmp_path / "report.json", report)
    assert (tmp_path / "report.json").stat().st_size < 3 * 2**20
    read = read_report(tmp_path / "report.json")
    assert [finding.query_id for finding in report.findings if isinstance(finding, ImageMatch)] == [
        finding.query_id for finding in findings
    ]
    first = report.findings[0]
    assert isinstance(first, ImageMatch)
    assert first.caption.endswith(SHORTENED)
    assert caption.startswith(first.caption.removesuffix(SHORTENED))
    assert read.content == report.content


def test_findings_that_have_no_room_make_it_inconclusive(monkeypatch: pytest.MonkeyPatch) -> None:
    """ids cannot be shortened: the most similar stay, and nobody may take the rest for absent."""
    monkeypatch.setattr(bounds, "MOST_BYTES", 2**20)
    monkeypatch.setattr(bounds, "_SPARE", 2**10)
    results, findings = bounded(RESULTS, [match(number, query=f"{number}-{'x' * 4000}") for number in range(500)])
    assert 100 < len(findings) < 500
    assert results.reasons == [
        f"only {len(findings)} of 500 findings have room in report.json; the tables beside it hold all"
    ]
    assert results.headline == f"Inconclusive: {results.reasons[0]}. Found."


def test_what_else_a_generation_matches_goes_first(monkeypatch: pytest.MonkeyPatch) -> None:
    """All findings stay; that there are further ones is still said."""
    monkeypatch.setattr(bounds, "MOST_BYTES", 2**20)
    monkeypatch.setattr(bounds, "_SPARE", 2**10)
    further = [FurtherMatch(reference_id="x" * 100, similarity=0.9, kind="partial") for _ in range(20)]
    given = [structs.replace(match(number), matches=21, further=further) for number in range(500)]
    results, findings = bounded(RESULTS, given)
    assert results == RESULTS
    assert findings == [structs.replace(match(number), matches=21) for number in range(500)]
    assert bounded(RESULTS, given[:9])[1] == given[:9]


def test_matches_beyond_those_that_are_kept_are_counted() -> None:
    """By any view and on pixels, too: whoever clears a generation must know that there are more."""
    listed = SimpleNamespace(query=np.array([0, 1, 1]))
    scores = SimpleNamespace(best=np.zeros(3))
    counts = Matched(np.array([4, 5, 0]), np.array([False, True, False]))
    result: Any = SimpleNamespace(scores=scores, matches=listed, matched=counts)
    assert matches_of(result).tolist() == [4, 5, 0]
    result.matched = None
    assert matches_of(result).tolist() == [1, 2, 0]


def test_short_texts_stay_as_they_are() -> None:
    """Also within the groups of a dedup run; of a long one a whole number of characters stays."""
    member = Member(image_id="a", caption="x" * 9000, decision="keep", reason="", similarity=1.0, chain_similarity=1.0)
    group = Group(group=0, size=1, smallest_similarity=1.0, chain_similarity=1.0, members=[member])
    _, (short,) = bounded(RESULTS, [group])
    assert isinstance(short, Group)
    assert short.members[0].caption == "x" * 2000 + SHORTENED
    assert bounded(RESULTS, [match(1, "x" * 2000)]) == (RESULTS, [match(1, "x" * 2000)])
    assert shortened("aéé", 4) == f"aé{SHORTENED}"
