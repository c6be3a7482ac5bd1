"""Intervals and tests. Formulas and their sources are in docs/protocols/statistics.md."""

from memaudit.statistics.anytime import anytime_upper, e_value, error_of_attempt, least_anytime, shows
from memaudit.statistics.differences import Rise, greater_rate_p, greater_rates_p, mcnemar_p, rise_between, rise_p
from memaudit.statistics.draws import effective_draws, kish, rate_by_unit, ratio_interval
from memaudit.statistics.melded import (
    Detected,
    MeldedRate,
    melded_rate,
    melded_upper,
    melded_weighted,
    missed_upper,
    weighted_upper,
)
from memaudit.statistics.odds import OddsRatio, odds_ratios
from memaudit.statistics.ranks import benjamini_hochberg, combined_p, normal_quantile, rank_p
from memaudit.statistics.relabelling import least_relabelling_p, relabelling_p
from memaudit.statistics.richness import chao2, new_with_one_more
from memaudit.statistics.shares import (
    MOST_DRAWN,
    clopper_pearson_lower,
    clopper_pearson_upper,
    least_drawn,
    rate_of,
)
from memaudit.statistics.weighted import WeightedRate, weighted_rate

__all__ = [
    "MOST_DRAWN",
    "Detected",
    "MeldedRate",
    "OddsRatio",
    "WeightedRate",
    "weighted_rate",
    "weighted_upper",
    "Rise",
    "anytime_upper",
    "benjamini_hochberg",
    "chao2",
    "clopper_pearson_lower",
    "clopper_pearson_upper",
    "combined_p",
    "e_value",
    "effective_draws",
    "error_of_attempt",
    "greater_rate_p",
    "greater_rates_p",
    "kish",
    "least_anytime",
    "least_drawn",
    "least_relabelling_p",
    "mcnemar_p",
    "melded_rate",
    "melded_upper",
    "melded_weighted",
    "missed_upper",
    "new_with_one_more",
    "normal_quantile",
    "odds_ratios",
    "rank_p",
    "rate_by_unit",
    "rate_of",
    "ratio_interval",
    "relabelling_p",
    "rise_between",
    "rise_p",
    "shows",
]
