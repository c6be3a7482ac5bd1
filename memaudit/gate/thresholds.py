"""The rule for the threshold of a run. An encoder's own is memaudit's: a report or a store may say anything."""

from __future__ import annotations

from memaudit.encoders.specs import family_of
from memaudit.gate.verdict import RuleResult, Verdict, unmeasured
from memaudit.report.model import Report


def own_threshold(encoder: str) -> float | None:
    """The threshold of an encoder by its name; None for one that memaudit has not."""
    family = family_of(encoder)
    return family.threshold if family else None


def threshold_rule(name: str, run: str, report: Report, max_threshold: float) -> RuleResult:
    """A run that looked for exact copies alone shows nothing about near-duplicates. run: "audit" or "dedup run"."""
    found, encoder = report.threshold, report.encoder
    if found is None or encoder is None:
        raise ValueError(f"the {run} names no {'threshold' if encoder else 'encoder'}")
    limit = max_threshold or own_threshold(encoder.name)
    if limit is None:
        sentence = f"The encoder {encoder.name} is not one of memaudit's: write a max_threshold into the policy."
        return unmeasured(name, "threshold", "none known", sentence)
    outcome = Verdict.PASS if found <= limit else Verdict.INCONCLUSIVE
    ending = "." if outcome is Verdict.PASS else ": weaker copies would not have been found."
    sentence = f"The {run} looked for similarity >= {found}; at most {limit} is asked for{ending}"
    return RuleResult(name, "threshold", outcome, f"{found}", f"{limit}", sentence)
