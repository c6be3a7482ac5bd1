"""What becomes of every image of a store by a filter: a stream of decisions, and their counts."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from memaudit.errors import InconclusiveError, InputError, UsageError
from memaudit.filters.filter_file import Filter
from memaudit.filters.joined import ABSENT, BLANK, UNREADABLE, Joined
from memaudit.types import Float64, Progress, silent

UNSCORED = ("keep", "drop")


class Fate(StrEnum):
    """What becomes of an image; UNDECIDED ones could not be scored, and are neither kept nor dropped."""

    KEEP = "keep"
    DROP = "drop"
    UNDECIDED = "undecided"


REASONS = ("below the cut", "at or above the cut", "blank", "unreadable", "not in every store")
_OF_STATE = np.zeros(4, np.int8)
_OF_STATE[[BLANK, UNREADABLE, ABSENT]] = (2, 3, 4)


class Decided(NamedTuple):
    """A run of images, from the row `first` on: ids (n,), their number in `FATES`, probabilities (n,), NaN where not
    scored, and numbers of `REASONS`."""

    image_id: NDArray[np.object_]
    fate: NDArray[np.int8]
    score: Float64
    reason: NDArray[np.int8]
    first: int = 0


FATES = tuple(Fate)


@dataclass
class Counts:
    """How many images there are of each fate and each reason, once they have gone by."""

    fates: NDArray[np.int64]
    reasons: NDArray[np.int64]

    def of(self, fate: Fate) -> int:
        return int(self.fates[FATES.index(fate)])

    @property
    def unscored(self) -> dict[str, int]:
        return {name: int(count) for name, count in zip(REASONS[2:], self.reasons[2:], strict=True) if count}

    @property
    def images(self) -> int:
        return int(self.fates.sum())

    @property
    def scored(self) -> int:
        return int(self.reasons[:2].sum())


def no_counts() -> Counts:
    return Counts(np.zeros(len(FATES), np.int64), np.zeros(len(REASONS), np.int64))


def require_encoders(found: Filter, joined: Joined) -> None:
    """Raise InputError unless the stores are of the encoders that the filter was trained with, in their order."""
    fit = len(found.encoders) == len(joined.encoders)
    if not fit or not all(own.same_as(other) for own, other in zip(found.encoders, joined.encoders, strict=True)):
        wanted, given = (
            ", ".join(each.identity for each in encoders) for encoders in (found.encoders, joined.encoders)
        )
        raise InputError(
            f"the filter was trained on embeddings of {wanted}, the store has those of {given}: their numbers mean "
            "nothing to it; embed with the same encoder and weights, or train on this store"
        )


def require_unscored(unscored: str | None) -> None:
    """Raise UsageError for what is no fate of images that could not be scored."""
    if unscored is not None and unscored not in UNSCORED:
        raise UsageError(f"--unscored {unscored!r} is unknown: expected keep or drop")


def logit_at(found: Filter, cut: float | None) -> float:
    """The logit from which on an image is dropped. cut: a probability, None: the filter's own.

    Raises UsageError for what is no probability, InconclusiveError where the filter has no cut of its own.
    """
    if cut is not None:
        if not 0 < cut < 1:
            raise UsageError(f"--cut {cut:g} is out of range: expected a probability above 0 and below 1")
        return found.probe.logit_of(cut)
    if found.cut_logit is None:
        raise InconclusiveError(
            f"the filter has no cut that was shown to find {found.recall:.0%} of its class: label its sample and run "
            "memaudit filter train --measure, or choose a --cut of which nothing is known"
        )
    return found.cut_logit


def decide(
    found: Filter, joined: Joined, cut: float, unscored: str | None, counts: Counts, progress: Progress = silent
) -> Iterator[Decided]:
    """Score the rows in order, a block at a time, and count what becomes of them. cut: a logit.

    Memory: a block.
    """
    require_encoders(found, joined)
    probe = found.probe
    otherwise = FATES.index(Fate(unscored) if unscored else Fate.UNDECIDED)
    for block in joined.blocks():
        scored = block.scored
        logits = probe.logits(block.embeddings, scored)
        above = np.where(scored, logits >= cut, False)
        fate = np.where(scored, above, otherwise).astype(np.int8)
        reason = np.where(scored, above, _OF_STATE[block.state]).astype(np.int8)
        score = probe.probabilities(logits)
        counts.fates += np.bincount(fate, minlength=len(FATES))
        counts.reasons += np.bincount(reason, minlength=len(REASONS))
        yield Decided(block.image_id, fate, score, reason, block.first)
        progress("scoring", block.first + len(scored), len(joined))
