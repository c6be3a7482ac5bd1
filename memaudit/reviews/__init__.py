"""What people decided on pairs of images: one format, read, merged, held to a day, written; and how far they agree."""

from memaudit.reviews.agreement import Agreement, agreements, kappa_of
from memaudit.reviews.appending import append_reviews, is_whole, mend
from memaudit.reviews.merging import Counts, Merged, as_seen, later, merged, word_of
from memaudit.reviews.reading import read_reviews, review_of, reviews_in, reviews_of
from memaudit.reviews.standing import Opinion, Standing, opinion_of, opinion_of_all
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
    "append_reviews",
    "as_seen",
    "is_whole",
    "json_lines",
    "kappa_of",
    "later",
    "mend",
    "merged",
    "opinion_of",
    "opinion_of_all",
    "pair_of",
    "read_reviews",
    "review_of",
    "reviews_in",
    "reviews_of",
    "row_of",
    "word_of",
]
