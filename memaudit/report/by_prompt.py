"""What prompts gave back, in a report."""

from __future__ import annotations

from msgspec import convert

from memaudit.audit import results as measured
from memaudit.report.model import ByPrompt, Extrapolated, Seeds, WeightedRate, rate_of


def by_prompt_of(prompts: measured.ByPrompt) -> ByPrompt:
    """The figures."""
    return ByPrompt(
        returned=rate_of(prompts.returned),
        seeds=[Seeds(seeds=seeds, prompts=count) for seeds, count in prompts.seeds],
        strategies=list(prompts.strategies),
        weighted=convert(prompts.weighted, WeightedRate | None, from_attributes=True),
        extrapolated=convert(prompts.extrapolated, Extrapolated | None, from_attributes=True),
    )
