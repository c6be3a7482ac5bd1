"""What people decided on pairs of images: one format, read, merged, held to a day, written; and how far they agree."""

from memaudit.reviews.merging import Counts, Merged, merged
from memaudit.reviews.reading import read_reviews, reviews_in
from memaudit.reviews.standing import Opinion, Standing, opinion_of
from memaudit.reviews.verdicts import (
    FRAME,
    LEFT,
    PERSON,
    RIGHT,
    STRATUM,
    STRATUM_PAIRS,
    Drawn,
    Pair,
    Review,
    Verdict,
    pair_of,
)
from memaudit.reviews.writing import json_lines, row_of

__all__ = [
    "FRAME",
    "LEFT",
    "PERSON",
    "RIGHT",
    "STRATUM",
    "STRATUM_PAIRS",
    "Counts",
    "Drawn",
    "Merged",
    "Opinion",
    "Pair",
    "Review",
    "Standing",
    "Verdict",
    "json_lines",
    "merged",
    "opinion_of",
    "pair_of",
    "read_reviews",
    "reviews_in",
    "row_of",
]
