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
    back no more often than held-back ones; None where none of either was answered. names: those that came back.
    coverage: canaries that were answered, of all."""

    by_copies: tuple[Returned, ...]
    by_kind: tuple[tuple[str, Rate], ...]
    planted: Rate
    p: float | None
    names: tuple[str, ...]
    coverage: Coverage


def tallied(canaries: Sequence[Canary], found: Iterable[str], answered: Iterable[str]) -> Tally:
    """found: image_ids of canaries that some generation repeats; answered: those with a generation of their own prompt
    that can be read. Of what was neither nothing is known: it is not measured."""
    back = set(found) & {canary.image_id for canary in canaries}
    known = back | set(answered)
    planted = [canary for canary in canaries if canary.copies]
    held = [canary for canary in canaries if not canary.copies]
    of_planted, of_held = _rate(planted, back, known), _rate(held, back, known)
    told = of_planted.coverage.measured, of_held.coverage.measured
    return Tally(
        tuple(Returned(copies, _rate(each, back, known)) for copies, each in _grouped(canaries)),
        tuple((kind, _rate([one for one in planted if one.kind == kind], back, known)) for kind in _kinds(planted)),
        of_planted,
        greater_rate_p(of_planted.count, told[0], of_held.count, told[1]) if all(told) else None,
        tuple(sorted(back)),
        _covered(canaries, known),
    )


def _rate(canaries: Sequence[Canary], back: set[str], known: set[str]) -> Rate:
    return rate_of(sum(canary.image_id in back for canary in canaries), _covered(canaries, known))


def _covered(canaries: Sequence[Canary], known: set[str]) -> Coverage:
    return Coverage(sum(canary.image_id in known for canary in canaries), len(canaries))


def _grouped(canaries: Sequence[Canary]) -> list[tuple[int, list[Canary]]]:
    numbers = sorted({canary.copies for canary in canaries})
    return [(number, [canary for canary in canaries if canary.copies == number]) for number in numbers]


def _kinds(canaries: Sequence[Canary]) -> list[str]:
    return sorted({canary.kind for canary in canaries})
