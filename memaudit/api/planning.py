"""How large a sample must be before anything is generated."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass

from memaudit.api.notebook import card
from memaudit.errors import UsageError
from memaudit.images.copy_kinds import MOST_COPIES, PLANTED, copies_for
from memaudit.statistics import MOST_DRAWN, Detected, least_drawn, melded_upper
from memaudit.types import CONFIDENCE

CONTROLS = 100  # families of held-out images, with fewer an audit gives no p-value
LEVEL = 0.05  # false discovery rate of single generations


@dataclass(frozen=True, repr=False)
class SamplePlan:
    """What it takes to show that at most `rate` of prompts give a training image back, if none is found.

    prompts: without a finding; with_one, with_two: with one and with two prompts that do. generations: of all prompts,
    `seeds` each. controls: families of held-out images that an audit needs for any p-value; controls_for_one: for a
    single generation of its own to stand out. copies: altered training images that the audit plants, of all kinds; of
    the kind that is found least it finds `recall`.

    >>> ma.plan_sample(0.01).prompts, ma.plan_sample(0.01, planted=0).prompts
    (315, 299)
    """

    rate: float
    seeds: int
    recall: float
    confidence: float
    prompts: int
    with_one: int
    with_two: int
    generations: int
    controls: int
    controls_for_one: int
    copies: int

    def as_dict(self) -> dict[str, object]:
        """All of it as one JSON object."""
        return asdict(self)

    def __repr__(self) -> str:
        return f"<SamplePlan: {self.prompts:,} prompts of {self.seeds:,} seeds for {self.rate:g}>"

    def _repr_html_(self) -> str:
        cells = [(name, f"{value:,}") for name, value in asdict(self).items()]
        return card("memaudit plan sample", f"{self.prompts:,} prompts", cells)


def plan_sample(
    rate: float, *, seeds: int = 1, recall: float = 1.0, confidence: float = CONFIDENCE, planted: int | None = None
) -> SamplePlan:
    """Say how many prompts, generations, held-out images and altered copies it takes, before generating.

    rate: the share of prompts that is to be shown as an upper bound. seeds: generations of each prompt; they find more,
    and take no prompt away. recall: the share of copies that an audit finds, of the kind that it finds least. planted:
    altered training images, None: as many as an audit plants; 0: the recall is taken for known. Raises UsageError for
    what cannot be shown.

    >>> plan = ma.plan_sample(0.001, seeds=4, recall=0.95)
    >>> plan.prompts, plan.generations, plan.copies
    (3336, 13344, 260)
    """
    if not 0 < rate < 1:
        raise UsageError(f"--rate {rate:g} is out of range: expected a share above 0 and below 1, such as 0.1%")
    if not 0 < recall <= 1:
        raise UsageError(f"--recall {recall:g} is out of range: expected a share above 0, 1 at most")
    if seeds < 1:
        raise UsageError(f"--seeds {seeds} is out of range: expected at least 1")
    if not 0.5 <= confidence < 1:
        raise UsageError(f"--confidence {confidence:g} is out of range: expected 0.5 to below 1")
    if planted is not None and not 0 <= planted <= MOST_COPIES:
        raise UsageError(f"--planted {planted} is out of range: expected 0 to {MOST_COPIES:,} altered training images")
    if planted is None:
        prompts, copies = _prompts_and_copies(rate, seeds, recall, confidence)
    else:
        prompts, copies = _prompts(rate, 0, confidence, recall, planted), planted
    with_one, with_two = (_prompts(rate, count, confidence, recall, copies) for count in (1, 2))
    if with_two >= MOST_DRAWN:
        raise UsageError(
            f"--rate {rate:g}: {MOST_DRAWN:,} prompts do not show it: ask for a higher one, or more --recall"
        )
    alone = math.ceil(round(prompts / LEVEL, 6)) - 1
    return SamplePlan(
        rate,
        seeds,
        recall,
        confidence,
        prompts,
        with_one,
        with_two,
        prompts * seeds,
        CONTROLS,
        max(CONTROLS, alone),
        copies,
    )


def _prompts_and_copies(rate: float, seeds: int, recall: float, confidence: float) -> tuple[int, int]:
    """How many prompts show it with the copies that an audit of so many plants: few plant fewer, which takes more."""
    prompts = _prompts(rate, 0, confidence, recall, copies_for(0))
    while (fewer := _prompts(rate, 0, confidence, recall, copies_for(seeds * prompts))) < prompts:
        if _prompts(rate, 0, confidence, recall, copies_for(seeds * fewer)) > fewer:
            break
        prompts = fewer
    return prompts, copies_for(seeds * prompts)


def _prompts(rate: float, count: int, confidence: float, recall: float, copies: int) -> int:
    if not copies:
        return least_drawn(rate * recall, count, confidence)
    planted = copies // len(PLANTED)
    detected = Detected(math.floor(round(recall * planted, 6)), planted)
    if not detected.found:
        raise UsageError(
            f"{copies:,} altered copies, {planted:,} of a kind, show no --recall of {recall:g}: plant more (--planted)"
        )

    def upper(found: float, n: float, tail: float) -> float:
        return melded_upper(found, n, detected, tail)

    return least_drawn(rate, count, confidence, upper)
