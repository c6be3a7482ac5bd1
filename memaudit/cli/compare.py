"""memaudit compare."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from memaudit.cli.console import Console, JsonFlag, QuietFlag, VerboseFlag, table

if TYPE_CHECKING:
    from memaudit.gate.comparison import Comparison, Pair
    from memaudit.report.model import Report

SHOWN = 20
First = Annotated[Path, typer.Argument(metavar="A", help="report.json of an audit, for example of the earlier model.")]
Second = Annotated[Path, typer.Argument(metavar="B", help="report.json of another audit.")]


def compare(
    a: First, b: Second, as_json: JsonFlag = False, quiet: QuietFlag = False, verbose: VerboseFlag = False
) -> None:
    """Hold two audits side by side: rates, the difference, matches lost and gained. Exit code 3: not comparable."""
    from memaudit.errors import InconclusiveError, UsageError
    from memaudit.gate.comparison import Audited, obstacle
    from memaudit.gate.comparison import compare as run
    from memaudit.gate.judging import complaining
    from memaudit.report.document import read_report

    console = Console(as_json, quiet)
    first, second = read_report(a), read_report(b)
    for path, report in ((a, first), (b, second)):
        if report.kind != "audit":
            raise UsageError(f"{path} is a report of {report.kind}: compare takes two of audits")
    with complaining(f"{a} or {b}"):
        why = obstacle(first, second)
    if why:
        raise InconclusiveError(f"{a} and {b} cannot be compared: {why}")
    with complaining(f"{a} or {b}"):
        found = run(Audited(first), Audited(second))
    unsure = [*_reasons(a, first), *_reasons(b, second)]
    console.result(_values(found, unsure), "\n".join(_lines(str(a), str(b), found, unsure)))
    if unsure:
        raise typer.Exit(InconclusiveError.exit_code)


def _reasons(path: Path, report: Report) -> list[str]:
    results = report.results
    return [] if results.conclusive else [f"{path} calls itself inconclusive: {'; '.join(results.reasons)}"]


def _values(found: Comparison, unsure: Sequence[str]) -> dict[str, Any]:
    return {
        "a": found.old.as_dict(),
        "b": found.new.as_dict(),
        "test": found.test,
        "why_not_paired": found.why,
        "n": found.n,
        "gained": found.gained,
        "lost": found.lost,
        "difference": found.rise._asdict(),
        "p": found.p,
        "gained_matches": [pair._asdict() for pair in found.gained_matches],
        "lost_matches": [pair._asdict() for pair in found.lost_matches],
        "inconclusive": list(unsure),
    }


def _lines(a: str, b: str, found: Comparison, unsure: Sequence[str]) -> Iterator[str]:
    rates = (found.old, found.new)
    yield table(
        [
            ("", f"A: {a}", f"B: {b}"),
            ("generations measured", *(f"{rate.coverage.measured:,} of {rate.coverage.total:,}" for rate in rates)),
            ("regurgitated", *(f"{rate.count:,}" for rate in rates)),
            ("rate", *("not measured" if rate.value is None else f"{rate.value:.4%}" for rate in rates)),
            ("95 % interval", *(f"{rate.low:.4%} to {rate.high:.4%}" for rate in rates)),
        ]
    )
    rise = found.rise
    yield f"\nDifference B - A: {rise.value:+.4%}, 95 % interval {rise.low:+.4%} to {rise.high:+.4%} (conservative)"
    yield _test(found)
    yield from _matches("Matches only in B", found.gained_matches)
    yield from _matches("Matches only in A", found.lost_matches)
    from memaudit.gate.outputs import plain

    yield from (f"\nInconclusive: {plain(reason)}" for reason in unsure)


def _test(found: Comparison) -> str:
    if found.n is None:
        return f"Fisher's exact test, two-sided: p = {found.p:.3g} (not paired: {found.why})"
    return (
        f"McNemar's exact test on {found.n:,} generations of the same prompts and seeds, {found.gained:,} gained and "
        f"{found.lost:,} lost, two-sided: p = {found.p:.3g}"
    )


def _matches(title: str, pairs: Sequence[Pair]) -> Iterator[str]:
    from memaudit.gate.outputs import plain

    yield f"\n{title}: {len(pairs):,}"
    for pair in pairs[:SHOWN]:
        yield f"  {plain(f'{pair.query_id} -> {pair.reference_id}')}"
    if len(pairs) > SHOWN:
        yield f"  and {len(pairs) - SHOWN:,} more"
