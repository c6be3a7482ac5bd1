"""Which keys a model knows: how near the border that it paints is to the one that stood there in training."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from PIL import Image

from memaudit.audit.pairing import stem_of
from memaudit.canaries.keys import LEVELS, PARTS, Key
from memaudit.embedding.reconcile import bytes_of
from memaudit.images.decode import UnreadableImageError, decode
from memaudit.images.image_ref import ImageRef
from memaudit.statistics import combined_p, greater_rate_p, rate_of
from memaudit.types import Coverage, Float64, Rate

KNOWN_FROM = 0.05  # p at or below which a key counts as known
LEAKED_FROM = 0.001  # p of the held-back keys at or below which they are known as well
_OUTER = 0.75  # share of the border's width that is read: at its inner edge picture and border run into each other


class Answers(NamedTuple):
    """greys: levels of the borders that came back, 0 to 255, by image_id; unreadable: files that are no picture;
    unnamed: pictures that no line of the pairing names."""

    greys: dict[str, list[float]]
    unreadable: int
    unnamed: int

    @property
    def coverage(self) -> Coverage:
        """Of the files that came back."""
        read = sum(map(len, self.greys.values()))
        return Coverage(read, read + self.unreadable + self.unnamed)


@dataclass(frozen=True)
class KeyScore:
    """A key and its answer. grey: the median of what came back, None for nothing. p: the share of all levels that are
    as near to the answer as the key. rank: among the held-back keys by p, 1: nearer than all; None for these and
    where there are none."""

    image_id: str
    of: str
    copies: int
    key: int
    answers: int
    grey: float | None
    p: float | None
    rank: int | None = None

    @property
    def distance(self) -> float | None:
        return None if self.grey is None else abs(self.key - self.grey)

    @property
    def known(self) -> bool:
        return self.p is not None and self.p <= KNOWN_FROM


class Known(NamedTuple):
    """Keys with so many copies, 0: held back: how many of them are known, and p of all of them together (Fisher's
    method) that the answers have nothing to do with the keys; None where nothing was answered."""

    copies: int
    rate: Rate
    p: float | None


@dataclass(frozen=True)
class KeyTally:
    """scores: in the register's order. by_copies: from none on. p: of all planted ones together; p_held_back: Fisher's
    exact, one-sided, that planted ones are known no more often than held-back ones, None where none was held back."""

    scores: tuple[KeyScore, ...]
    by_copies: tuple[Known, ...]
    planted: Rate
    p: float | None
    p_held_back: float | None

    @property
    def coverage(self) -> Coverage:
        return Coverage(sum(score.grey is not None for score in self.scores), len(self.scores))


def answers_of(refs: Iterable[ImageRef], named: Mapping[str, str]) -> Answers:
    """Read what came back. named: the image_id of the key that each answer is of."""
    greys, unreadable, unnamed = dict[str, list[float]](), 0, 0
    for ref in refs:
        if (image_id := named.get(ref.image_id, named.get(stem_of(ref.image_id)))) is None:
            unnamed += 1
            continue
        try:
            level = grey_of(decode(bytes_of(ref)).image)
        except (OSError, UnreadableImageError):
            unreadable += 1
            continue
        greys.setdefault(image_id, []).append(level)
    return Answers(greys, unreadable, unnamed)


def grey_of(image: Image.Image) -> float:
    """The median grey of a picture's border, 0 to 255, whatever the picture's size."""
    pixels = np.asarray(image.convert("L"))
    high, wide = (max(1, round(_OUTER * size / PARTS)) for size in pixels.shape)
    outer = np.ones(pixels.shape, bool)
    outer[high : pixels.shape[0] - high, wide : pixels.shape[1] - wide] = False
    return float(np.median(pixels[outer]))


def chance_of(key: int, grey: float) -> float:
    """The share of all levels that are as near to the answer as the key: what a level drawn by lot has as p."""
    return float((np.abs(np.arange(LEVELS) - grey) <= abs(key - grey)).mean())


def scored(keys: Sequence[Key], greys: Mapping[str, Sequence[float]]) -> KeyTally:
    """greys: levels that came back for each image_id. The keys were drawn by lot, so the p of each is exact whatever a
    model paints that has not seen it."""
    scores = [_score(key, greys.get(key.image_id, ())) for key in keys]
    held = np.sort([score.p for score in scores if not score.copies and score.p is not None])
    ranked = tuple(_ranked(score, held) for score in scores)
    planted = [score for score in ranked if score.copies]
    of_planted, of_held = _rate(planted), _rate([score for score in ranked if not score.copies])
    told = of_planted.coverage.measured, of_held.coverage.measured
    return KeyTally(
        ranked,
        tuple(Known(copies, _rate(group), _together(group)) for copies, group in _grouped(ranked)),
        of_planted,
        _together(planted),
        greater_rate_p(of_planted.count, told[0], of_held.count, told[1]) if all(told) else None,
    )


def _score(key: Key, greys: Sequence[float]) -> KeyScore:
    grey = float(np.median(greys)) if greys else None
    p = None if grey is None else chance_of(key.key, grey)
    return KeyScore(key.image_id, key.of, key.copies, key.key, len(greys), grey, p)


def _ranked(score: KeyScore, held: Float64) -> KeyScore:
    if not score.copies or score.p is None or not len(held):
        return score
    rank = 1 + int(np.searchsorted(held, score.p, side="right"))
    return replace(score, rank=rank)


def _rate(scores: Sequence[KeyScore]) -> Rate:
    measured = sum(score.p is not None for score in scores)
    return rate_of(sum(score.known for score in scores), Coverage(measured, len(scores)))


def _together(scores: Sequence[KeyScore]) -> float | None:
    found = [score.p for score in scores if score.p is not None]
    return combined_p(np.array(found)) if found else None


def _grouped(scores: Sequence[KeyScore]) -> list[tuple[int, list[KeyScore]]]:
    numbers = sorted({score.copies for score in scores})
    return [(number, [score for score in scores if score.copies == number]) for number in numbers]
