"""JUnit XML: a suite for each report, a test case for each rule and each finding.

GitLab and others know a case by its class and name alone, and show the last of those that share them: so the name of
the report is a part of the class, and what is still the same is numbered.
"""

from __future__ import annotations

from collections.abc import Iterable
from xml.etree import ElementTree
from xml.etree.ElementTree import Element, SubElement

from memaudit.gate.findings import Finding
from memaudit.gate.judging import GateResult
from memaudit.gate.outputs.plain import plain
from memaudit.gate.verdict import RuleResult, Verdict, numbered


def junit(result: GateResult) -> str:
    """The document as text. A failed rule is a failure, an inconclusive one an error, an accepted finding skipped."""
    root = Element("testsuites", name="memaudit gate")
    reports = list(dict.fromkeys(rule.report for rule in result.rules))
    for report, name in zip(reports, numbered(map(plain, reports)), strict=True):
        suite = SubElement(root, "testsuite", name=name)
        rules = [rule for rule in result.rules if rule.report == report]
        for rule, case in zip(rules, numbered(rule.rule for rule in rules), strict=True):
            _add_rule(suite, rule, case)
        found = [finding for finding in result.findings if finding.report == report]
        pairs = numbered(plain(f"{each.query_id} -> {each.reference_id}") for each in found)
        for finding, case in zip(found, pairs, strict=True):
            _add_finding(suite, finding, case)
        _count(suite, [suite])
    _count(root, list(root))
    ElementTree.indent(root)
    text: str = ElementTree.tostring(root, encoding="unicode")
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{text}\n'


def _add_rule(suite: Element, rule: RuleResult, name: str) -> None:
    case = _case(suite, name, "rules")
    sentence = plain(rule.sentence)
    if rule.outcome is Verdict.PASS:
        SubElement(case, "system-out").text = sentence
        return
    kind = "failure" if rule.outcome is Verdict.FAIL else "error"
    shown = SubElement(case, kind, type=str(rule.outcome), message=sentence)
    shown.text = f"figure {plain(rule.figure)}, limit {plain(rule.limit)}"


def _add_finding(suite: Element, finding: Finding, name: str) -> None:
    case = _case(suite, name, "findings")
    label = plain("; ".join(filter(None, (finding.label, finding.decision))))
    if finding.waived:
        SubElement(case, "skipped", type="accepted", message=label)
    elif finding.outcome is Verdict.FAIL:
        shown = SubElement(case, "failure", type=plain(finding.kind), message=label)
        shown.text = f"prompt: {plain(finding.prompt)}"
    else:
        SubElement(case, "system-out").text = f"allowed by the policy: {label}"


def _case(suite: Element, name: str, group: str) -> Element:
    return SubElement(suite, "testcase", name=name, classname=f"memaudit.{group}: {suite.get('name')}", time="0")


def _count(element: Element, suites: Iterable[Element]) -> None:
    """Set the counts that readers of JUnit files expect. `suites` hold the cases."""
    cases = [case for suite in suites for case in suite]
    counts = {"failures": "failure", "errors": "error", "skipped": "skipped"}
    element.set("tests", str(len(cases)))
    for attribute, tag in counts.items():
        if attribute != "skipped" or element.tag == "testsuite":
            element.set(attribute, str(sum(case.find(tag) is not None for case in cases)))
    element.set("time", "0")
