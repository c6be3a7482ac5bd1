"""What people decided on pairs of images: one format, read, merged, held to a day, written; and how far they agree."""

from memaudit.reviews.agreement import Agreement, agreements, kappa_of
from memaudit.reviews.merging import Counts, Merged, merged, word_of
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
    "Agreement",
    "Counts",
    "Drawn",
    "Merged",
    "Opinion",
    "Pair",
    "Review",
    "Standing",
    "Verdict",
    "agreements",
    "json_lines",
    "kappa_of",
    "merged",
    "opinion_of",
    "pair_of",
    "read_reviews",
    "reviews_in",
    "row_of",
    "word_of",
]
