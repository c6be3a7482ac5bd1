"""What an audit found of the copies that it planted, in words and figures that a board can read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from memaudit.report.model import AuditResults, Planted, Rate, WeightedRate
from memaudit.report.page import two_digits_up
from memaudit.statistics import Detected, missed_upper
from memaudit.types import CONFIDENCE

_HOW = {
    "re-encoded": "saved as a JPEG file of low quality",
    "recoloured": "in other colours, brightness and contrast",
    "mirrored": "left and right exchanged",
    "cropped": "cut to 0.7 of each side",
    "captioned": "with a line of text across it",
}


class Kind(NamedTuple):
    """Copies that were altered in one way. missed: at most so many go undetected, in words."""

    kind: str
    how: str
    detected: Detected
    missed: str


def kinds_of(planted: Planted) -> Iterator[Kind]:
    """Those of which any could be measured, in the report's order."""
    for each in planted.kinds:
        if each.found is not None and each.found.n:
            detected = Detected(each.found.count, each.found.n)
            yield Kind(each.kind, _HOW.get(each.kind, ""), detected, two_digits_up(missed_upper([detected])))


def hidden_and_found(
    kinds: Mapping[str, Detected], hardest: str, among: str, ending: str = "", percent: str = " %"
) -> str:
    """A sentence. hardest: the kind by which the bounds go; among: what the copies were hidden among."""
    found, planted = (sum(counts) for counts in zip(*kinds.values(), strict=True))
    number = "none" if not found else f"all {found:,}" if found == planted else f"{found:,}"
    first = f"Of {planted:,} altered copies of training images that were hidden among {among} the audit found {number}"
    if hardest in kinds and len(kinds) > 1 and 0 < found < planted:
        first += f", and {kinds[hardest].found:,} of the {kinds[hardest].planted:,} {hardest} ones, the hardest"
    which, missed = ("this kind", "these kinds")[len(kinds) > 1], two_digits_up(missed_upper(kinds.values()))
    sure = f"with {100 * CONFIDENCE:.0f}{percent} confidence"
    return f"{first}: {sure} a copy of {which} is missed with a probability of at most {missed}{ending}."


def detected_of(results: AuditResults) -> dict[str, Detected]:
    """Counts by kind; empty where nothing is known."""
    return {each.kind: each.detected for each in kinds_of(results.planted)} if results.planted else {}


def stated_rate(results: AuditResults) -> Rate | WeightedRate:
    """The rate by which what was found is told first."""
    prompts = results.by_prompt or None
    return (prompts.weighted or prompts.returned) if prompts else results.searched


def hardest_of(results: AuditResults) -> str:
    """The kind by which the bound of that rate goes; empty where it is of detectable copies."""
    bound = stated_rate(results).all_copies
    return bound.kind if bound else ""
