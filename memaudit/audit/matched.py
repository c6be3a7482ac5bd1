"""How many training images each generation matches, and where there may be more than were looked at."""

from __future__ import annotations

import numpy as np

from memaudit.audit.results import Matched
from memaudit.matching.decide import Decided
from memaudit.matching.search import Searched


def matched(searched: Searched, decided: Decided, threshold: float, most: int) -> Matched:
    """Those at the threshold as whole images, but for what was compared and does not count, or those that count by any
    view and on pixels, where these are more. most: candidates of each generation."""
    rows = len(searched.above)
    counts = np.bincount(decided.candidates.query[decided.counts], minlength=rows)
    whole = searched.as_whole.at_least(threshold)
    place = whole.places_in(decided.candidates)
    whole, place = whole.picked(place >= 0), place[place >= 0]
    apart = np.bincount(whole.query[(decided.compared & ~decided.counts)[place]], minlength=rows)
    return Matched(np.maximum(searched.above - apart, counts), counts >= most)
