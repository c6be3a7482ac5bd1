"""How hard an audit looks by default: what the gate's limits and the first line of a report go by."""

from __future__ import annotations

from collections.abc import Collection

from memaudit.encoders.specs import family_of
from memaudit.images.view_names import view_names

UNMEASURED = 0.01  # share of anything that may be without a measure


def unsearched(views: Collection[str], choice: str) -> list[str]:
    """Names of the views of a `--views` choice that are not among these."""
    return [name for name in view_names(choice) if name not in views]


def own_match_from(encoder: str, threshold: float) -> float:
    """The similarity from which an audit by this encoder compares candidates on pixels, unless it is told another."""
    family = family_of(encoder)
    floor = family.search_floor if family else None
    return threshold if floor is None else min(floor, threshold)
