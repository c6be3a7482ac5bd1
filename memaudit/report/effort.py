"""How hard an audit looks by default: what the gate's limits and the first line of a report go by."""

from __future__ import annotations

from collections.abc import Collection
from typing import NamedTuple

from memaudit.encoders.specs import family_of
from memaudit.images.view_names import view_names
from memaudit.report.model import AuditResults

UNMEASURED = 0.01  # share of anything that may be without a measure


def unsearched(views: Collection[str], choice: str) -> list[str]:
    """Names of the views of a `--views` choice that are not among these."""
    return [name for name in view_names(choice) if name not in views]


def own_match_from(encoder: str, threshold: float) -> float:
    """The similarity from which an audit by this encoder compares candidates on pixels, unless it is told another."""
    family = family_of(encoder)
    floor = family.search_floor if family else None
    return threshold if floor is None else min(floor, threshold)


class Mark(NamedTuple):
    """How hard an audit looked, as a reader must not overlook it. why: what was done less than by default."""

    text: str
    weak: bool
    why: tuple[str, ...] = ()


def how_hard(results: AuditResults) -> Mark:
    """By what a report says of it; one by an earlier version does not say which parts were left out."""
    why = tuple(results.weaker) if results.weaker else ()
    if results.verified is None:
        return Mark("Embeddings only: weak", weak=True, why=why or ("no candidate was compared on pixels",))
    if why:
        return Mark("Looked less hard than by default: weak", weak=True, why=why)
    parts = ", parts of pictures," if len(results.views) > 1 else ""
    return Mark(f"Embeddings{parts} and pixels", weak=False)
