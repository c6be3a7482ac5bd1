"""pytest --memaudit-report report.json: a test for each rule of the policy; and the fixture `memaudit_report`.

pytest loads this wherever memaudit is installed, so nothing is imported, read or collected until the option is given.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from memaudit.gate import Finding, GateResult, RuleResult


_OPTIONS = {
    "policy": "Limits in TOML (default: memaudit's own).",
    "baseline": "An earlier audit's report: its rate may not be exceeded by much.",
    "accepted": "Matches that a person has accepted, in TOML: who, why, until when.",
    "reviews": "What people decided on findings, by the digests of both files.",
}


def pytest_addoption(parser: pytest.Parser) -> None:
    group = parser.getgroup("memaudit")
    group.addoption(
        "--memaudit-report",
        action="append",
        default=[],
        metavar="REPORT.json",
        help="Hold this report of memaudit audit or dedup against the policy: a test for each rule. May be repeated.",
    )
    for name, text in _OPTIONS.items():
        group.addoption(f"--memaudit-{name}", metavar="FILE", help=text)


def pytest_configure(config: pytest.Config) -> None:
    """A policy that no report is held against would be a run without a single failure."""
    given = [f"--memaudit-{name}" for name in _OPTIONS if config.getoption(f"memaudit_{name}")]
    if given and not config.getoption("memaudit_report"):
        raise pytest.UsageError(f"memaudit: {given[0]} needs --memaudit-report REPORT.json: nothing would be judged")
    distributed = getattr(config.option, "dist", "no") != "no" and not hasattr(config, "workerinput")
    if distributed and config.getoption("memaudit_report"):
        _held(config)  # what cannot be read stops the workers of pytest-xdist, which cannot say why


@pytest.hookimpl(tryfirst=True)  # so that -k and -m choose among these as well
def pytest_collection_modifyitems(session: pytest.Session, config: pytest.Config, items: list[pytest.Item]) -> None:
    if config.getoption("memaudit_report"):
        items.extend(_rules(session, config))


def _rules(session: pytest.Session, config: pytest.Config) -> Iterator[RuleItem]:
    from memaudit.gate import blamed, numbered

    result = _held(config)
    # coverage of generations, of prompt pairs … are rules of one name
    names = numbered(f"memaudit::{rule.report}::{rule.rule}" for rule in result.rules)
    for rule, name in zip(result.rules, names, strict=True):
        yield RuleItem.from_parent(
            session, name=name.rpartition("::")[2], nodeid=name, rule=rule, findings=blamed(rule, result.findings)
        )


def _held(config: pytest.Config) -> GateResult:
    """Read and judge once a session. Raises pytest.UsageError, in one line, for what cannot be read."""
    from memaudit.errors import MemauditError
    from memaudit.gate import Policy, hold, read_accepted, read_policy
    from memaudit.report.document import read_report
    from memaudit.reviews import read_reviews

    policy, baseline, accepted, reviews = (config.getoption(f"memaudit_{name}") for name in _OPTIONS)
    try:
        return hold(
            [(path, read_report(path)) for path in config.getoption("memaudit_report")],
            read_policy(policy) if policy else Policy(),
            baseline=read_report(baseline) if baseline else None,
            accepted=read_accepted(accepted) if accepted else (),
            reviews=read_reviews([Path(reviews)]) if reviews else None,
        )
    except MemauditError as error:
        raise pytest.UsageError(f"memaudit: {error}") from None


class RuleNotPassedError(Exception):
    """A rule that failed, or could not be judged: neither is a pass."""


class RuleItem(pytest.Item):
    """One rule of the policy, held against one report."""

    def __init__(self, *, rule: RuleResult, findings: list[Finding], **others: Any) -> None:
        super().__init__(**others)
        self._rule, self._findings = rule, findings

    def runtest(self) -> None:
        if str(self._rule.outcome) != "pass":
            raise RuleNotPassedError(self._rule.outcome)

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> str:
        """What the rule says, and the findings if that is what it counts; of anything else pytest's own words."""
        if not isinstance(excinfo.value, RuleNotPassedError):
            return str(super().repr_failure(excinfo, style))
        from memaudit.gate.outputs import plain

        rule = self._rule
        lines = [f"{rule.outcome}: {plain(rule.sentence)} (figure {plain(rule.figure)}, limit {plain(rule.limit)})"]
        return "\n".join([*lines, *(f"  {plain(each.label)}" for each in self._findings[:20])])

    def reportinfo(self) -> tuple[Any, int | None, str]:
        return self.path, None, self.name


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """A test that asks for `memaudit_report` runs once for each report given."""
    paths = metafunc.config.getoption("memaudit_report", [])
    if "memaudit_report" in metafunc.fixturenames and paths:
        metafunc.parametrize("memaudit_report", paths, indirect=True)


@pytest.fixture(scope="session")
def memaudit_report(request: pytest.FixtureRequest) -> dict[str, Any]:
    """The report given by --memaudit-report, held against its schema and digest."""
    from memaudit.errors import MemauditError
    from memaudit.report.document import read_report

    path = getattr(request, "param", None)
    if path is None:
        raise pytest.UsageError("the fixture memaudit_report needs --memaudit-report REPORT.json")
    try:
        return read_report(path).content
    except MemauditError as error:
        raise pytest.UsageError(f"memaudit: {error}") from None
