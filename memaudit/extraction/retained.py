"""Whether listed pictures are in a model: what a search reaches for them, by rank among held-out pictures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from memaudit.statistics import benjamini_hochberg, rank_p

RETAINED_FROM = 0.05  # q at or below which a listed picture counts as retained
LEAST_HELD_OUT = 19  # with fewer no rank is rare enough: 1 / (1 + 19)


@dataclass(frozen=True)
class Searched:
    """A picture and what its search reached (`Reached`). sha256: of its file; drawing: the file of the nearest drawing,
    of listed pictures."""

    image_id: str
    uri: str
    sha256: str
    loss_before: float
    loss: float
    unexplained: float
    drawing: str = ""


@dataclass(frozen=True)
class Retained:
    """A listed picture among the held-out ones. rank: 1 where no held-out picture comes as near; p: (rank) / (1 + held
    out); q: Benjamini-Hochberg over the listed ones."""

    picture: Searched
    rank: int
    p: float
    q: float

    @property
    def retained(self) -> bool:
        return self.q <= RETAINED_FROM


def ranked(listed: Sequence[Searched], held_out: Sequence[Searched]) -> tuple[Retained, ...]:
    """The listed pictures, the nearest first. A picture that the model never saw is as likely at any rank, if it was
    drawn as the held-out ones were."""
    near = -np.array([each.unexplained for each in listed], dtype=float)
    p = rank_p(near, -np.array([each.unexplained for each in held_out], dtype=float))
    q = benjamini_hochberg(p)
    found = [
        Retained(each, round(chance * (1 + len(held_out))), chance, adjusted)
        for each, chance, adjusted in zip(listed, p.tolist(), q.tolist(), strict=True)
    ]
    return tuple(sorted(found, key=lambda each: (each.rank, each.picture.unexplained, each.picture.image_id)))
