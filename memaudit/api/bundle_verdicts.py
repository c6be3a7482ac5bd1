"""The verdict of a bundle: what the gate says of its runs on a day, and whether it still says so of what is in it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, time
from pathlib import Path
from typing import Any, NamedTuple

from memaudit import __version__
from memaudit.api.gating import GateRun, Verdict
from memaudit.bundling.checking import POLICY, WHOLE_VERDICT, Opened, reports_in, told_by
from memaudit.bundling.contents import RunFolder
from memaudit.bundling.manifest import json_bytes
from memaudit.bundling.redaction import public_policy
from memaudit.errors import InconclusiveError, InputError, MemauditError, UsageError
from memaudit.files import json_object_in, read_json
from memaudit.folders import TemporaryFolder
from memaudit.gate import Policy, hold, read_accepted, read_policy
from memaudit.gate.judging import without_rules
from memaudit.gate.policy import KINDS
from memaudit.report.document import read_report
from memaudit.report.model import Report
from memaudit.report.run_folder import REPORT
from memaudit.reviews import read_reviews

RELEASE, STATE = "verdict.json", "run.json"  # what a release run came to, in its folder; and where it is
BASELINE, ACCEPTED, REVIEWS = "baseline/report.json", "accepted.toml", "reviews/"
_WORST = (Verdict.FAIL, Verdict.INCONCLUSIVE, Verdict.PASS)
_SAME = ("report", "rule", "outcome", "figure", "limit")  # of a rule that is judged again


class Judged(NamedTuple):
    """What a verdict goes by, beside the reports: files by their place in the bundle, and the day on which acceptances,
    reviews and ages are held against."""

    inputs: Mapping[str, Path]
    day: date

    @property
    def policy(self) -> Policy:
        path = self.inputs.get("policy.toml")
        return read_policy(path) if path else Policy()


def day_of(given: str | None) -> date:
    """The day that somebody named, or today. Raises UsageError for what is none, or is to come."""
    today = datetime.now(UTC).date()
    try:
        day = date.fromisoformat(given) if given is not None else today
    except ValueError:
        raise UsageError(f"--judged {given!r} is no day: expected one such as 2026-11-28") from None
    if day > today:
        raise UsageError(f"--judged {day} is to come: today is {today}, UTC")
    return day


def verdict_of(runs: Sequence[RunFolder], folders: Sequence[Path], by: Judged) -> dict[str, Any]:
    """What the gate says of the runs, at their places in the bundle, of which kinds it says nothing, and what release
    runs came to."""
    value = _of_gate([(run.name, run.report) for run in runs], by)
    others = [_of_release(folder, runs) for folder in folders if (folder / RELEASE).is_file()]
    others += [_unfinished() for folder in folders if (folder / STATE).is_file() and not (folder / RELEASE).exists()]
    created = max(run.report.created for run in runs)
    rules = [*value["rules"], *others]
    worst = _worst(rules, value["verdict"])
    day = by.day.isoformat()
    return {**value, "verdict": worst, "exit_code": Verdict(worst).exit_code, "rules": rules} | {
        "created": created,
        "judged": day,
    }


def faults_of_verdict(bundle: Opened) -> tuple[list[str], list[str]]:
    """What the verdict of a full edition, and the policy that everybody sees, say otherwise than its reports and its
    policy: faults, and what only another version of memaudit can tell."""
    try:
        told = json_object_in(bundle.data(WHOLE_VERDICT), bundle.path / WHOLE_VERDICT)
        with TemporaryFolder(None, "memaudit-verdict-") as folder:
            by = Judged(_written(bundle, folder), date.fromisoformat(str(told.get("judged", told["created"]))[:10]))
            again = _of_gate(list(reports_in(bundle).items()), by)
            shown = public_policy(by.policy)
        wrong = [*_differences(told, again), *_of_policy(json_object_in(bundle.data(POLICY), Path(POLICY)), shown)]
    except (MemauditError, KeyError, TypeError, ValueError) as error:
        wrong = [f"{WHOLE_VERDICT} cannot be judged again: {' '.join(str(error).split())}"]
    if told_by(bundle) == __version__:
        return wrong, []
    return [], [f"{each}; memaudit {told_by(bundle)[:20]} wrote it: verify it by that version" for each in wrong]


def _of_gate(reports: Sequence[tuple[str, Report]], by: Judged) -> dict[str, Any]:
    judged = [(str(Path(name) / REPORT), report) for name, report in reports if report.kind in KINDS]
    baseline, accepted = by.inputs.get(BASELINE), by.inputs.get(ACCEPTED)
    reviews = [path for name, path in by.inputs.items() if name.startswith(REVIEWS)]
    result = hold(
        judged,
        by.policy,
        baseline=read_report(baseline) if baseline else None,
        accepted=read_accepted(accepted) if accepted else (),
        reviews=read_reviews(reviews) if reviews else None,
        now=datetime.combine(by.day, time(23, 59, 59), UTC),
    )
    others = [without_rules(str(Path(name) / REPORT), report) for name, report in reports if report.kind not in KINDS]
    value: dict[str, Any] = GateRun(replace(result, rules=(*result.rules, *others))).as_dict()
    rules = value["rules"]
    return {**value, "verdict": _worst(rules, value["verdict"]), "rules": rules}


def _worst(rules: Iterable[Mapping[str, str]], verdict: str) -> str:
    outcomes = {verdict, *(rule["outcome"] for rule in rules)}
    return str(next(each for each in _WORST if each in outcomes))


def _differences(told: Mapping[str, Any], again: Mapping[str, Any]) -> list[str]:
    """A release run's own rule is told by whoever bundled: what it came to cannot be judged again."""
    own = [rule for rule in told["rules"] if rule["report"] != "release"]
    ours, theirs = (Counter(tuple(rule[name] for name in _SAME) for rule in rules) for rules in (again["rules"], own))
    wrong = [f"{report}: {rule}" for report, rule, *_ in dict.fromkeys([*(ours - theirs), *(theirs - ours)])]
    if told["verdict"] != _worst([*again["rules"], *told["rules"]], again["verdict"]):
        wrong.append("verdict")
    return [f"{WHOLE_VERDICT} says otherwise of {each} than its reports and its policy" for each in wrong[:5]]


def _of_policy(told: Mapping[str, Any], shown: Mapping[str, Any]) -> list[str]:
    """Limits that a later version has besides are none that somebody hid."""
    as_json = json_object_in(json_bytes(shown), Path(POLICY))
    other = [
        f"{section}.{name}"
        for section, limits in told.items()
        for name, limit in limits.items()
        if as_json.get(section, {}).get(name, ...) != limit
    ]
    return [f"{POLICY} says otherwise of {name} than policy.toml" for name in other[:5]]


def _written(bundle: Opened, folder: Path) -> dict[str, Path]:
    """What the verdict goes by, as files."""
    named = [name for name in bundle.entries if name in ("policy.toml", ACCEPTED, BASELINE) or name.startswith(REVIEWS)]
    for name in named:
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(bundle.data(name))
    return {name: folder / name for name in named}


def _of_release(folder: Path, runs: Sequence[RunFolder]) -> dict[str, str]:
    """The verdict of a release run as one more rule. Raises InputError for a file that holds none, InconclusiveError
    for one that is of other reports than these."""
    told = read_json(folder / RELEASE)
    outcome, reasons, digests = told.get("verdict"), told.get("reasons"), told.get("digests", [])
    if outcome not in [*Verdict] or not isinstance(reasons, list):
        raise InputError(f"{folder / RELEASE} holds no verdict of a release run: run memaudit run again")
    there = {run.report.digest for run in runs}
    if not isinstance(digests, list) or any(digest not in there for digest in digests):  # 0.2 named none
        raise InconclusiveError(
            f"{folder / RELEASE} is the verdict of other reports than lie there: run memaudit run again"
        )
    sentence = " ".join(f"{reason}." for reason in reasons) or f"memaudit run came to {outcome}."
    words = {"figure": str(outcome), "limit": "pass", "sentence": sentence}
    return {"report": "release", "rule": "release", "outcome": str(outcome), **words}


def _unfinished() -> dict[str, str]:
    words = {"figure": "none", "limit": "pass", "sentence": "A release run began there and came to no verdict."}
    return {"report": "release", "rule": "release", "outcome": str(Verdict.INCONCLUSIVE), **words}
