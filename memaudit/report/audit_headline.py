"""What an audit found, in a few sentences: prompts first, for they are what was drawn."""

from __future__ import annotations

import numpy as np

from memaudit.audit.results import AllCopies, AuditResult, ByPrompt, OfAllCopies, Planted
from memaudit.report.audit_weaknesses import weaknesses
from memaudit.report.detected import hidden_and_found
from memaudit.report.page import percent, percent_up
from memaudit.statistics import Detected, WeightedRate
from memaudit.types import Rate
from memaudit.words import plural


def headline_of(result: AuditResult) -> str:
    """What was left out comes first: whoever reads one line must not take a weak audit for a clean model."""
    weak = weaknesses(result)
    less = f"Weaker than a default audit: {'; '.join(weak)}. " if weak else ""
    if result.inconclusive:
        count = result.searched.count
        found = f" Found all the same: {plural(count, 'near-duplicate')}." if count else ""
        return f"Inconclusive: {'; '.join(result.inconclusive)}. {less}".rstrip() + found
    return less + _found(result)


def _found(result: AuditResult) -> str:
    if result.by_prompt is None:
        found = _of_independent(result, result.searched)
    elif result.by_prompt.weighted or result.by_prompt.most_duplicated:
        found = _of_chosen(result, result.by_prompt)
    else:
        found = _of_prompts(result, result.by_prompt) + _of_seeds(result, result.by_prompt)
    return found + _repeated(result) + _detected(result)


def _detected(result: AuditResult) -> str:
    """Whether bounds are of all copies, or of those that the audit can detect; nothing where no rate follows."""
    if result.by_prompt and result.by_prompt.most_duplicated:
        return ""
    planted, all_copies = result.planted or Planted(0, why_none="none were planted"), _all_copies(result)
    if all_copies is None:
        unmeasured = " or ".join(planted.unmeasured)
        lacking = f"no planted copy that is {unmeasured}" if unmeasured else "nothing of what was planted"
        why = planted.why_none or f"{lacking} could be measured"
        return f" These are rates of detectable copies: how many of all are detected was not measured ({why})."
    kinds = {each.kind: _counts(each.found) for each in planted.kinds if each.found and each.found.coverage.measured}
    return " " + hidden_and_found(kinds, all_copies.kind, "the generations", ", which these bounds count", "%")


def _counts(rate: Rate) -> Detected:
    return Detected(rate.count, rate.coverage.measured)


def _all_copies(result: AuditResult) -> AllCopies | None:
    """What is first said of all copies."""
    of_all = result.all_copies or OfAllCopies()
    return of_all.weighted or of_all.returned or of_all.searched


def _of_chosen(result: AuditResult, prompts: ByPrompt) -> str:
    """Prompts that stand for unequal numbers of captions, or for none: their own share is no rate of the model."""
    rate = prompts.returned
    count = f"{rate.count:,}" if rate.count else "None"
    first = (
        f"{count} of {plural(rate.coverage.measured, 'prompt')} gave a training image back, with {_seeds(prompts)} "
        f"({_likeness(result)})"
    )
    if prompts.most_duplicated or prompts.weighted is None:
        return f"{first}: of the most duplicated images; no rate of the model follows."
    found = prompts.weighted
    bound = _at_most(found, result.all_copies and result.all_copies.weighted)
    return f"{first}. By the captions that each stands for {percent(found.value)} of all do, {bound}."


def _of_prompts(result: AuditResult, prompts: ByPrompt) -> str:
    rate, each = prompts.returned, _seeds(prompts)
    bound = _at_most(rate, result.all_copies and result.all_copies.returned)
    if not rate.count:
        return (
            f"None of {plural(rate.coverage.measured, 'prompt')} gave a training image back, with {each} "
            f"({_likeness(result)}); {bound} of such prompts do."
        )
    return (
        f"{rate.count:,} of {plural(rate.coverage.measured, 'prompt')} gave a training image back at least once, with "
        f"{each} ({_likeness(result)}): {percent(rate.value)}, {bound}."
    )


def _seeds(prompts: ByPrompt) -> str:
    counts = [seeds for seeds, _ in prompts.seeds]
    if counts in ([], [1]):
        return "one generation each"
    return f"{counts[0]:,} seeds each" if len(counts) == 1 else f"{counts[0]:,} to {counts[-1]:,} seeds each"


def _of_seeds(result: AuditResult, prompts: ByPrompt) -> str:
    """Generations come second: where each prompt has one, they are the same figures."""
    rate = result.searched
    if rate.coverage.measured == prompts.returned.coverage.measured:
        return ""
    found = f"{rate.count:,} do: {percent(rate.value)}" if rate.count else "none does"
    bound = _at_most(rate, result.all_copies and result.all_copies.searched)
    return f" Of their {rate.coverage.measured:,} generations {found}, {bound}{_as_independent(rate)}."


def _as_independent(rate: Rate) -> str:
    return "" if rate.effective is None else f"; they count as {rate.effective:,.4g} independent ones"


def _of_independent(result: AuditResult, rate: Rate) -> str:
    """Nobody says which generations are of one prompt."""
    bound = _at_most(rate, result.all_copies and result.all_copies.searched)
    bound += ", if the generations are independent: no pairing names their prompts"
    if not rate.count:
        return (
            f"None of {plural(rate.coverage.measured, 'generation')} is a near-duplicate of a training image "
            f"({_likeness(result)}); {bound}."
        )
    are = "is a near-duplicate of a training image" if rate.count == 1 else "are near-duplicates of training images"
    return (
        f"{rate.count:,} of {plural(rate.coverage.measured, 'generation')} {are} ({_likeness(result)}): "
        f"{percent(rate.value)}, {bound}."
    )


def _at_most(rate: Rate | WeightedRate, all_copies: AllCopies | None) -> str:
    return f"with {rate.confidence:.0%} confidence at most {percent_up((all_copies or rate).upper)}"


def _repeated(result: AuditResult) -> str:
    """How many pictures stand behind what was found, where they are fewer."""
    found, returned = result.scores.regurgitated, result.matches.reference[result.matches.rank == 1]
    count, pictures, images = int(found.sum()), len(np.unique(result.pictures[found])), len(np.unique(returned))
    if pictures == count == images:
        return ""
    one = "1 distinct picture" if pictures == 1 else f"{pictures:,} distinct pictures"
    return f" The {count:,} found are {one}, of {images:,} training image{'s' if images > 1 else ''}."


def _likeness(result: AuditResult) -> str:
    pixels = "" if result.compared is None else ", or confirmed on pixels"
    return f"similarity {result.threshold:g} or more{pixels}"
