"""Which canaries came back, by how often they were put into training."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from memaudit.canaries.register import Canary
from memaudit.statistics import rate_of
from memaudit.statistics.differences import greater_rate_p
from memaudit.types import Coverage, Rate


class Returned(NamedTuple):
    """Canaries with so many copies, 0: held back: how many of them a generation repeats."""

    copies: int
    rate: Rate


@dataclass(frozen=True)
class Tally:
    """by_copies: from none on. by_kind: of the planted ones. p: Fisher's exact, one-sided, that planted canaries come
    back no more often than held-back ones; None where none was held back. names: those that came back."""

    by_copies: tuple[Returned, ...]
    by_kind: tuple[tuple[str, Rate], ...]
    planted: Rate
    p: float | None
    names: tuple[str, ...]


def tallied(canaries: Sequence[Canary], found: Iterable[str]) -> Tally:
    """found: image_ids of canaries that some generation repeats."""
    back = set(found) & {canary.image_id for canary in canaries}
    planted = [canary for canary in canaries if canary.copies]
    held = [canary for canary in canaries if not canary.copies]
    of_planted, of_held = _rate(planted, back), _rate(held, back)
    p = greater_rate_p(of_planted.count, len(planted), of_held.count, len(held)) if held and planted else None
    return Tally(
        tuple(Returned(copies, _rate(each, back)) for copies, each in _grouped(canaries)),
        tuple((kind, _rate([one for one in planted if one.kind == kind], back)) for kind in _kinds(planted)),
        of_planted,
        p,
        tuple(sorted(back)),
    )


def _rate(canaries: Sequence[Canary], back: set[str]) -> Rate:
    count = sum(canary.image_id in back for canary in canaries)
    return rate_of(count, Coverage(len(canaries), len(canaries)))


def _grouped(canaries: Sequence[Canary]) -> list[tuple[int, list[Canary]]]:
    numbers = sorted({canary.copies for canary in canaries})
    return [(number, [canary for canary in canaries if canary.copies == number]) for number in numbers]


def _kinds(canaries: Sequence[Canary]) -> list[str]:
    return sorted({canary.kind for canary in canaries})
