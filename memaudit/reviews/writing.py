"""Reviews as lines of JSON: the form in which pages, commands and people exchange them."""

from __future__ import annotations

import json
from collections.abc import Iterable

from memaudit.reviews.reading import FACE
from memaudit.reviews.verdicts import FRAME, LEFT, RIGHT, STRATUM, STRATUM_PAIRS, Review


def json_lines(reviews: Iterable[Review]) -> str:
    """A line for each, which `read_reviews` reads back."""
    return "".join(json.dumps(row_of(review), ensure_ascii=False) + "\n" for review in reviews)


def row_of(review: Review) -> dict[str, object]:
    """What a line says; of a proposal, and of faces, only where it is one."""
    drawn = review.drawn
    return {
        LEFT: review.pair.left,
        RIGHT: review.pair.right,
        "verdict": str(review.verdict) if review.verdict else "",
        "who": review.who,
        "when": review.when.isoformat(timespec="seconds") if review.when else "",
        "why": review.why,
        "until": review.until.isoformat() if review.until else None,
        **({"kind": FACE} if review.face else {}),
        **({FRAME: drawn.frame, STRATUM: drawn.stratum, STRATUM_PAIRS: drawn.pairs} if drawn else {}),
    }
