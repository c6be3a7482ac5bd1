"""What a guard does not look at, whatever the picture: what leaves all undecided, and what is said beside."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from memaudit.lookup.evidence import doubts_of_set
from memaudit.lookup.run import Lookup
from memaudit.matching.kinds import ALL, Kind
from memaudit.matching.shortfalls import Shortfall


class Unsearched(NamedTuple):
    """doubts: why nothing can pass; notes: what a verdict does not speak of, chosen so or known beforehand."""

    doubts: tuple[Shortfall, ...]
    notes: tuple[Shortfall, ...]

    @classmethod
    def of(cls, lookup: Lookup, allowed: float, beside: Sequence[Shortfall] = ()) -> Unsearched:
        """allowed: share of the training images that may be unmeasured. beside: further notes."""
        doubts, notes = [*doubts_of_set(lookup.result(()), allowed)], list[Shortfall]()
        for line in _not_compared(lookup):
            (notes if lookup.options.match == "none" else doubts).append(line)
        for line in _not_anew(lookup):
            (notes if lookup.kinds == ALL else doubts).append(line)
        return cls(tuple(doubts), (*notes, *beside))


def _not_compared(lookup: Lookup) -> Iterator[Shortfall]:
    """Unless that was chosen, nothing passes. An audit without pixels is conclusive, if weaker by its headline: whether
    that is enough is for the gate's policy, which a guard does not have."""
    if not lookup.plan.on_pixels:
        yield Shortfall("pixels are not compared", lookup.plan.why_not)


def _not_anew(lookup: Lookup) -> Iterator[Shortfall]:
    """Whoever names the kind wants it; with many encoders it cannot be told, and by default they are none the worse."""
    if Kind.REDRAWN in lookup.kinds and lookup.redrawn.floor is None:
        yield Shortfall("re-drawn pictures are not looked for", lookup.redrawn.why_not)
