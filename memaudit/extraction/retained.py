"""Whether listed pictures are in a model: what a search reaches for them, by rank among held-out pictures."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image

from memaudit.extraction.patches import distance_of, patched_squares, tiles_of
from memaudit.statistics import benjamini_hochberg
from memaudit.types import Float64

RETAINED_FROM = 0.05  # q at or below which a listed picture counts as retained
LEAST_HELD_OUT = 19  # with fewer no rank is rare enough: 1 / (1 + 19)
_ROUNDING = 1e-12
GIVEN_BACK = 0.15  # patched l2 at or below which a drawing is the picture (Carlini et al. 2023)


@dataclass(frozen=True)
class Searched:
    """A picture and what its search reached (`Reached`). sha256: of its file; simplicity: share of its pixels in its
    five commonest colours. distance: of the nearest drawing, patched l2; drawing: its file; of listed ones alone."""

    image_id: str
    uri: str
    sha256: str
    simplicity: float
    loss_before: float
    loss: float
    distance: float | None = None
    drawing: str = ""


@dataclass(frozen=True)
class Retained:
    """A listed picture among the held-out ones. rank: 1 where the model predicts none of these as well; p: rank / (1 +
    held out); q: Benjamini-Hochberg over the listed ones."""

    picture: Searched
    rank: int
    p: float
    q: float

    @property
    def retained(self) -> bool:
        return self.q <= RETAINED_FROM + _ROUNDING

    @property
    def given_back(self) -> bool:
        """Whether a drawing by what was found is the picture itself."""
        return self.picture.distance is not None and self.picture.distance <= GIVEN_BACK


def least_together(listed: int, held_out: int) -> int:
    """How many listed pictures must be predicted better than all held-out ones for any of them to be retained."""
    return math.ceil(listed / (RETAINED_FROM * (1 + held_out)) - _ROUNDING)


def held_out_for(listed: int) -> int:
    """Held-out pictures with which a single one of so many listed ones can be retained."""
    return round(listed / RETAINED_FROM) - 1


def ranked(listed: Sequence[Searched], held_out: Sequence[Searched]) -> tuple[Retained, ...]:
    """The listed pictures, the best predicted first.

    Simple pictures are predicted well by any model, so the logarithm of the loss is ranked beside that of equally
    simple ones: less the line through it and simplicity, fitted to the listed picture and all held-out ones, none apart
    from the others, so that any rank is as likely for a picture that was drawn as the held-out ones and never seen.
    Raises ValueError for a loss that is no positive number.
    """
    if not all(is_loss(each.loss) for each in (*listed, *held_out)):
        raise ValueError("a picture without a loss has no rank")
    ranks = [_rank(each, held_out) for each in listed]
    p = np.array(ranks, dtype=float) / (1 + len(held_out))
    q = benjamini_hochberg(p)
    found = [Retained(*each) for each in zip(listed, ranks, p.tolist(), q.tolist(), strict=True)]
    return tuple(sorted(found, key=lambda each: (each.rank, each.picture.loss, each.picture.image_id)))


def is_loss(value: float) -> bool:
    """Whether a search came to a loss: one that overflows comes to none."""
    return math.isfinite(value) and value > 0


def _rank(listed: Searched, held_out: Sequence[Searched]) -> int:
    loss = np.log([each.loss for each in (listed, *held_out)])
    left = _without_line(np.array([each.simplicity for each in (listed, *held_out)]), loss)
    return int((left <= left[0] + 1e-12).sum())


def _without_line(x: Float64, y: Float64) -> Float64:
    centred = x - x.mean()
    spread = float(centred @ centred)
    slope = float(centred @ y) / spread if spread > 1e-9 else 0.0
    return np.asarray(y - slope * centred)


def nearest_drawing(picture: Image.Image, drawings: Sequence[Image.Image]) -> tuple[int, float]:
    """Which of them is the nearest, and its patched l2."""
    squares = patched_squares([tiles_of(each) for each in (picture, *drawings)])[0, 1:]
    return int(squares.argmin()), float(distance_of(squares).min())
