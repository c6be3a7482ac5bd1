"""Reports that lie in bundles, as the gate takes them; and whether a report is one that somebody signed."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from memaudit.bundling.checking import check, open_bundle, reports_in
from memaudit.bundling.signing import trusted_id
from memaudit.errors import InconclusiveError, InputError, MemauditError, UsageError
from memaudit.gate import RuleResult, Verdict
from memaudit.report.model import Report

SIGNATURE = "signature"  # the rule that --require-signature adds


class BundledReport(NamedTuple):
    """A report in a bundle. folder: the bundle's path, and the run's folder in it."""

    report: Report
    folder: Path


class Signed(NamedTuple):
    """A bundle that was checked: its reports, and the ids of the keys that signed it."""

    path: Path
    reports: tuple[BundledReport, ...]
    signers: tuple[str, ...]


def opened(path: Path) -> Signed:
    """Raises InputError for what is no bundle, or a public edition, InconclusiveError for one that was changed, or that
    cannot be checked whole here."""
    bundle = open_bundle(path)
    found = check(bundle)
    for line in (*found.faults, *found.unchecked):
        raise InconclusiveError(f"{path}: {line}")
    if not bundle.full:
        raise InputError(f"{path} is a public edition, without the reports: gate the full one")
    reports = (BundledReport(report, path / folder) for folder, report in reports_in(bundle).items())
    return Signed(path, tuple(reports), tuple(found.signers))


def beside(folder: Path) -> list[Signed]:
    """The bundles in the folder of a run, or of a release run. What is no sound bundle vouches for nothing."""
    found = list[Signed]()
    for path in sorted(folder.glob("*.zip")):
        with suppress(MemauditError):
            found.append(opened(path))
    return found


def trusted(keys: Sequence[str | Path], *, required: bool) -> frozenset[str]:
    """Ids of the keys that must have signed. Raises UsageError where a signature is required and nobody says whose."""
    if required and not keys:
        raise UsageError("--require-signature without --key: anybody can sign; name the public key that must have")
    if keys and not required:
        raise UsageError("--key without --require-signature: say both")
    return frozenset(map(trusted_id, keys))


def signature_rules(
    reports: Iterable[tuple[str, Report]], bundles: Sequence[Signed], keys: Collection[str]
) -> list[RuleResult]:
    """A rule for each report: that all of these keys signed a bundle that holds it."""
    rules = list[RuleResult]()
    limit = f"{len(keys):,} {'key' if len(keys) == 1 else 'keys'}"
    for name, report in reports:
        holding = [each for each in bundles if report.digest in {one.report.digest for one in each.reports}]
        passed = any(set(keys) <= set(each.signers) for each in holding)
        count = max((len(set(keys) & set(each.signers)) for each in holding), default=0)
        said = _said(passed, bool(holding), any(each.signers for each in holding))
        outcome = Verdict.PASS if passed else Verdict.INCONCLUSIVE
        rules.append(RuleResult(name, SIGNATURE, outcome, f"{count:,}", limit, said))
    return rules


def _said(passed: bool, held: bool, signed: bool) -> str:
    if passed:
        return "It lies in a bundle that is signed by the keys that were named."
    if not held:
        return "No bundle that was given, or lies in its folder, holds this report: nobody vouches for it."
    return (
        f"The bundle that holds it is {'signed by other keys' if signed else 'not signed'}: anybody may have made it."
    )
