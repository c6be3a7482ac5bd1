"""SARIF 2.1.0 (OASIS): a result for each rule and each finding; thumbnails are the places of findings."""

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
_KINDS = {Verdict.PASS: "pass", Verdict.FAIL: "fail", Verdict.INCONCLUSIVE: "open"}


def sarif(result: GateResult) -> str:
    """The log as JSON text. Inconclusive is kind `open`; an accepted finding is there, and suppressed."""
    shown = result.findings[:MOST_FINDINGS]
    identities = list(dict.fromkeys([*(rule.rule for rule in result.rules), *map(_identity, shown)]))
    run = {
        "tool": {"driver": {"name": "memaudit", "version": __version__, "rules": [_rule(each) for each in identities]}},
        "invocations": [_invocation(result, len(result.findings) - len(shown))],
        "results": [
            *(_of_rule(rule, identities) for rule in result.rules),
            *(_of_finding(finding, identities) for finding in shown),
        ],
    }
    return json.dumps({"$schema": SCHEMA, "version": "2.1.0", "runs": [run]}, indent=2) + "\n"


def _rule(identity: str) -> dict[str, Any]:
    text = f"Rule {identity} of the gate's policy"
    if identity.startswith("finding/"):
        text = f"A generation that is a copy of a training image: {identity.removeprefix('finding/')}"
    return {"id": identity, "shortDescription": {"text": text}}


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


def _of_rule(rule: RuleResult, identities: list[str]) -> dict[str, Any]:
    value = {
        "ruleId": rule.rule,
        "ruleIndex": identities.index(rule.rule),
        "kind": _KINDS[rule.outcome],
        "level": "error" if rule.outcome is Verdict.FAIL else "none",  # the standard wants none where nothing failed
        "message": {"text": plain(rule.sentence)},
        "properties": {"figure": plain(rule.figure), "limit": plain(rule.limit)},
    }
    return value if rule.report == ALL_REPORTS else {**value, "locations": [_place(uri_of(rule.report))]}


def _of_finding(finding: Finding, identities: list[str]) -> dict[str, Any]:
    identity = _identity(finding)
    generation = picture_beside(finding.report, finding.query_picture)
    training = picture_beside(finding.report, finding.reference_picture)
    pair = f"{finding.query_id}\0{finding.reference_id}".encode(errors="backslashreplace")
    value: dict[str, Any] = {
        "ruleId": identity,
        "ruleIndex": identities.index(identity),
        "level": "error" if finding.outcome is Verdict.FAIL else "note",
        "message": {"text": plain(finding.label)},
        "locations": [_place(generation or uri_of(finding.report))],
        "partialFingerprints": {"memauditPair/v1": hashlib.sha256(pair).hexdigest()},
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


def _place(uri: str) -> dict[str, Any]:
    return {"physicalLocation": {"artifactLocation": {"uri": uri}}}
