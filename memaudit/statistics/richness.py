"""How many there are that a sample did not show, from how often it showed those that it did."""

from __future__ import annotations

from memaudit.types import Int64


def chao2(found: Int64, draws: int) -> float:
    """An estimate of how many of the units would be found with ever more draws, at or below the truth in expectation.

    found (units,): in how many of its `draws`, 2 or more and as many for each, a unit was found. Chao 1987, in the form
    that also holds where none was found twice.
    """
    once, twice = int((found == 1).sum()), int((found == 2).sum())
    return float((found > 0).sum() + (draws - 1) / draws * once * (once - 1) / (2 * (twice + 1)))


def new_with_one_more(found: Int64, draws: int) -> float:
    """About how many units not yet found one more draw of each would find, rather fewer (Good 1953)."""
    return float((found == 1).sum() / draws)
