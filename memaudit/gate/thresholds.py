"""The rules for what a run took for alike: by which encoder, and from which threshold on.

What memaudit knows of its encoders counts: a report or a store may say anything.
"""

from __future__ import annotations

from memaudit.encoders.specs import EncoderFamily, families, family_of
from memaudit.gate.verdict import RuleResult, Verdict, unmeasured
from memaudit.report.model import Encoder, Report


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


def copy_detection_rule(name: str, run: str, report: Report) -> RuleResult:
    """An encoder that is not made for copies takes a crop or a turned copy for another picture: a run by it finds
    little, however clean its figures are. Weights that nobody knows may be any. run: "audit" or "dedup run"."""
    rule, encoder = "copy_detection", report.encoder
    if encoder is None:
        raise ValueError(f"the {run} names no encoder")
    family = families().get(encoder.name)
    if family is not None and family.copy_detection and _is_of(encoder, family):
        sentence = f"The encoder {encoder.name} is made for copy detection, and its weights are those that are known."
        return RuleResult(name, rule, Verdict.PASS, encoder.name, "required", sentence)
    what = "one that memaudit knows to be made for copy detection"
    if family is not None and family.copy_detection:
        what = f"known to be that: neither its weights nor its preprocessing may be other than those of {family.name}"
    sentence = (
        f"The encoder {encoder.name} is not {what}: crops and turned copies would be missed; use sscd, or set "
        f"copy_detection = false in [{report.kind}] of the policy and say there why it will do."
    )
    return RuleResult(name, rule, Verdict.INCONCLUSIVE, encoder.name[:60], "required", sentence)


def _is_of(encoder: Encoder, family: EncoderFamily) -> bool:
    """Whether it is the very encoder of memaudit's table."""
    found = (encoder.weights_sha256, encoder.preprocessing, encoder.dim)
    return bool(family.weights_sha256) and found == (family.weights_sha256, family.preprocessing, family.dim)
