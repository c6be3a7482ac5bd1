"""What people said of findings before, beside the findings of a new report."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

from msgspec import UNSET, UnsetType
from msgspec.structs import replace

from memaudit.files import digest_of
from memaudit.matching.kinds import FACE
from memaudit.report.model import AuditFinding, Said, Told
from memaudit.reviews import Merged, Review, pair_of, word_of

DISAGREEMENT = "disagreement"
F = TypeVar("F", bound=AuditFinding)


def with_reviews(findings: Sequence[F], reviews: Merged | None) -> list[F]:
    """The findings, each with what was said of its two files. What they count for does not change here."""
    return list(findings) if reviews is None else [_with_review(each, reviews) for each in findings]


def reviews_input(reviews: Merged | None) -> dict[str, str]:
    """By what the report knows them."""
    return {"reviews": digest_of(sorted(reviews.digests))} if reviews else {}


def _with_review(finding: F, reviews: Merged) -> F:
    told = _told(finding, reviews)
    return finding if told is UNSET else replace(finding, review=told)


def _told(finding: AuditFinding, reviews: Merged) -> Told | UnsetType:
    if not finding.query_sha256 or not finding.reference_sha256:
        return UNSET
    by_pair = reviews.faces if finding.kind == FACE else reviews.said
    said = by_pair.get(pair_of(finding.query_sha256, finding.reference_sha256))
    return Told(verdict=str(word_of(said) or DISAGREEMENT), said=[_said(each) for each in said]) if said else UNSET


def _said(review: Review) -> Said:
    return Said(
        who=review.who,
        verdict=str(review.verdict),
        when=review.when.isoformat(timespec="seconds") if review.when else "",
        why=review.why,
        until=review.until.isoformat() if review.until else None,
    )
