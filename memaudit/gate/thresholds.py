"""The rule for the threshold of a run. What an encoder's own is stands here: a report or a store may say anything."""

from __future__ import annotations

from memaudit.gate.verdict import RuleResult, Verdict, unmeasured
from memaudit.report.model import Report

# As the catalogue of encoders has them (a test holds the two together): importing it would load what a gate lacks
OWN = {"sscd": 0.75, "sscd-torchscript": 0.75, "open_clip": 0.94, "thumbnail": 0.95, "sface": 0.6, "face-onnx": 0.6}


def own_threshold(encoder: str) -> float | None:
    """The threshold of an encoder by its name, or by the part of it before the colon; None for an unknown one."""
    return OWN.get(encoder.partition(":")[0])


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
