"""What prompts gave back, in a report."""

from __future__ import annotations

from msgspec import convert
from msgspec.structs import replace

from memaudit.audit import results as measured
from memaudit.audit.results import OfAllCopies
from memaudit.report.model import ByPrompt, Extrapolated, Seeds, WeightedRate, all_copies_of, rate_of

_UNKNOWN = OfAllCopies()


def by_prompt_of(prompts: measured.ByPrompt, of_all: OfAllCopies = _UNKNOWN) -> ByPrompt:
    """The figures."""
    weighted = convert(prompts.weighted, WeightedRate | None, from_attributes=True)
    return ByPrompt(
        returned=rate_of(prompts.returned, of_all.returned),
        seeds=[Seeds(seeds=seeds, prompts=count) for seeds, count in prompts.seeds],
        strategies=list(prompts.strategies),
        weighted=replace(weighted, all_copies=all_copies_of(of_all.weighted)) if weighted else None,
        extrapolated=convert(prompts.extrapolated, Extrapolated | None, from_attributes=True),
    )
