"""A random sample of pairs, to be looked at: what people say of it stands for all of them."""

from __future__ import annotations

import random
from collections.abc import Sequence

from memaudit.errors import UsageError
from memaudit.reviews.verdicts import Drawn, Pair, Review

FINDINGS = "findings"  # of what pairs are drawn, in the frame's name


def sample_of(pairs: Sequence[Pair], count: int, frame: str, seed: int) -> list[Review]:
    """`count` of the pairs, or all, in random order, as lines that nobody has filled in.

    Raises UsageError for a count that is none.
    """
    if count < 1:
        raise UsageError(f"--count {count} is out of range: expected at least 1")
    distinct = list(dict.fromkeys(pairs))
    chosen = random.Random(seed).sample(distinct, min(count, len(distinct)))
    return [Review(pair, None, "", drawn=Drawn(frame, FINDINGS, float(len(distinct)))) for pair in chosen]
