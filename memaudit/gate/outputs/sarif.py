"""SARIF 2.1.0 (OASIS): a result for each rule that did not pass and each finding, with thumbnails as their places.

Code scanning takes every result for an alert, and refuses the whole log for one without a location, a rule without
help, or more than 25,000 results: so a passing rule is none, and a rule about all reports lies in each of them.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any

from memaudit import __version__
from memaudit.gate.findings import Finding
from memaudit.gate.judging import GateResult
from memaudit.gate.outputs.plain import picture_beside, plain, uri_of
from memaudit.gate.provenance import ALL_REPORTS
from memaudit.gate.verdict import RuleResult, Verdict

SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
MOST_FINDINGS = 20_000  # GitHub refuses a run with more than 25,000 results
MOST_PLACES = 100  # of a result, out of the 1,000 that GitHub takes
_LEVELS = {Verdict.FAIL: "error", Verdict.INCONCLUSIVE: "warning"}


def sarif(result: GateResult) -> str:
    """The log as JSON text. Inconclusive is a warning; an accepted finding is there, and suppressed."""
    shown = result.findings[:MOST_FINDINGS]
    rules = [rule for rule in result.rules if rule.outcome is not Verdict.PASS]
    reports = [name for name in dict.fromkeys(rule.report for rule in result.rules) if name != ALL_REPORTS]
    identities = list(dict.fromkeys([*(rule.rule for rule in result.rules), *map(_identity, shown)]))
    run = {
        "tool": {"driver": {"name": "memaudit", "version": __version__, "rules": [_rule(each) for each in identities]}},
        "invocations": [_invocation(result, len(result.findings) - len(shown))],
        "results": [
            *(_of_rule(rule, identities, reports) for rule in rules),
            *(_of_finding(finding, identities) for finding in shown),
        ],
    }
    return json.dumps({"$schema": SCHEMA, "version": "2.1.0", "runs": [run]}, indent=2) + "\n"


def _rule(identity: str) -> dict[str, Any]:
    text = f"Rule {identity} of the gate's policy"
    more = f"What {identity} asks for, and when it is inconclusive: docs/protocols/gate.md of memaudit."
    if identity.startswith("finding/"):
        text = f"A generation that is a copy of a training image: {identity.removeprefix('finding/')}"
        more = "Look at both pictures; `memaudit gate --accepted` takes what a person lets pass, with who, why, until."
    return {
        "id": identity,
        "shortDescription": {"text": text},
        "fullDescription": {"text": f"{text}."},
        "help": {"text": more},
    }


def _identity(finding: Finding) -> str:
    return f"finding/{plain(finding.kind, 60).replace(',', '').replace(' ', '-')}"


def _invocation(result: GateResult, left_out: int) -> dict[str, Any]:
    notes = [plain(note) for note in result.notes]
    if left_out:
        notes.append(f"{left_out:,} more findings are not listed here: see report.json")
    value: dict[str, Any] = {"executionSuccessful": True, "exitCode": result.verdict.exit_code}
    if notes:
        value["toolExecutionNotifications"] = [{"level": "note", "message": {"text": note}} for note in notes]
    return value


def _of_rule(rule: RuleResult, identities: list[str], reports: list[str]) -> dict[str, Any]:
    places = (reports or [ALL_REPORTS])[:MOST_PLACES] if rule.report == ALL_REPORTS else [rule.report]
    return {
        "ruleId": rule.rule,
        "ruleIndex": identities.index(rule.rule),
        "level": _LEVELS[rule.outcome],
        "message": {"text": f"{rule.outcome}: {plain(rule.sentence)}"},
        "locations": [_place(uri_of(name)) for name in places],
        "partialFingerprints": _fingerprint("memauditRule/v1", rule.rule, rule.report),
        "properties": {"outcome": str(rule.outcome), "figure": plain(rule.figure), "limit": plain(rule.limit)},
    }


def _of_finding(finding: Finding, identities: list[str]) -> dict[str, Any]:
    identity = _identity(finding)
    generation = picture_beside(finding.report, finding.query_picture)
    training = picture_beside(finding.report, finding.reference_picture)
    value: dict[str, Any] = {
        "ruleId": identity,
        "ruleIndex": identities.index(identity),
        "level": "error" if finding.outcome is Verdict.FAIL else "note",
        "message": {"text": plain(finding.label)},
        "locations": [_place(generation or uri_of(finding.report))],
        "partialFingerprints": _fingerprint("memauditPair/v1", finding.query_id, finding.reference_id),
        "properties": _properties(finding),
    }
    if training:
        value["relatedLocations"] = [{"id": 1, **_place(training), "message": {"text": "the training image"}}]
    if finding.waived:
        accepted = {"kind": "external", "status": "accepted", "justification": plain(finding.decision)}
        value["suppressions"] = [accepted]
    return value


def _properties(finding: Finding) -> dict[str, Any]:
    """Ids as they are, for machines: JSON escapes whatever they hold."""
    value = {
        "query_id": finding.query_id,
        "reference_id": finding.reference_id,
        "similarity": finding.similarity,
        "verified": finding.verified,
        "prompt": plain(finding.prompt),
        "new": finding.new,
        "decision": plain(finding.decision),
    }
    return {key: item for key, item in value.items() if item not in (None, "")}


def _fingerprint(name: str, *parts: str) -> dict[str, str]:
    """The same thing has the same mark in every run, under our name and under the one that GitHub looks for."""
    mark = hashlib.sha256("\0".join(parts).encode(errors="backslashreplace")).hexdigest()
    return {name: mark, "primaryLocationLineHash": f"{mark[:16]}:1"}


def _place(uri: str) -> dict[str, Any]:
    return {"physicalLocation": {"artifactLocation": {"uri": uri}, "region": {"startLine": 1}}}
