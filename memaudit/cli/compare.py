"""memaudit compare."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from memaudit.cli.console import Console, JsonFlag, QuietFlag, VerboseFlag, table

if TYPE_CHECKING:
    from memaudit.api.comparing import Changed, Compared, Comparison, Pair, RedrawnRise

SHOWN = 20
First = Annotated[Path, typer.Argument(metavar="A", help="report.json of an audit, for example of the earlier model.")]
Second = Annotated[Path, typer.Argument(metavar="B", help="report.json of another audit.")]


def compare(
    a: First, b: Second, as_json: JsonFlag = False, quiet: QuietFlag = False, verbose: VerboseFlag = False
) -> None:
    """Hold two audits side by side: rates, the difference, matches lost and gained. Exit code 3: not comparable."""
    from memaudit.api.comparing import compare as run

    found = run(a, b)
    text = "\n".join(_lines(found))
    console = Console(as_json, quiet)
    console.result(found.as_dict(), text)
    console.end(conclusive=not found.warnings)


def _lines(compared: Compared) -> Iterator[str]:
    a, b, found, unsure = compared.a, compared.b, compared.comparison, compared.warnings
    rates = (found.old, found.new)
    yield table(
        [
            ("", f"A: {a}", f"B: {b}"),
            (f"{found.unit} measured", *(f"{rate.coverage.measured:,} of {rate.coverage.total:,}" for rate in rates)),
            ("that gave a training image back", *(f"{rate.count:,}" for rate in rates)),
            ("rate", *("not measured" if rate.value is None else f"{rate.value:.4%}" for rate in rates)),
            ("95 % interval, of detectable copies", *(f"{rate.low:.4%} to {rate.high:.4%}" for rate in rates)),
        ]
    )
    rise = found.rise
    told = f"{rise.value:+.4%}, 95 % interval {rise.low:+.4%} to {rise.high:+.4%} (conservative)"
    yield f"\nDifference B - A: {told if found.measured else 'not measured'}"
    yield _test(found)
    if found.unit != "prompts":
        yield "Taken for independent: not both reports say which generations are of one prompt, with as many seeds."
    if compared.caveat:
        yield f"\nCaveat: {compared.caveat}."
    if compared.sets:
        yield compared.sets.sentence
    yield from _matches("Matches only in B", found.gained_matches)
    yield from _matches("Matches only in A", found.lost_matches)
    yield from _redrawn(found.redrawn)
    yield from _changes(found.changed_matches)
    from memaudit.api.gating import plain

    yield from (f"\nInconclusive: {plain(reason)}" for reason in unsure)


def _redrawn(found: RedrawnRise | str) -> Iterator[str]:
    """Beside the copies: a kind of its own."""
    if isinstance(found, str):
        yield f"\nRe-drawn generations: not compared ({found})"
        return
    rates = [f"{rate.count:,} of {rate.coverage.measured:,}" for rate in (found.old, found.new)]
    yield (
        f"\nRe-drawn generations, which are no copies: {rates[0]} in A, {rates[1]} in B; difference "
        f"{found.rise.value:+.4%}, {found.rise.low:+.4%} to {found.rise.high:+.4%}, two-sided p = {found.p:.3g}"
    )


def _test(found: Comparison) -> str:
    if found.n is None:
        return f"Fisher's exact test, two-sided: p = {found.p:.3g} (not paired: {found.why})"
    return (
        f"McNemar's exact test on {found.n:,} {found.unit} of the same seeds, {found.gained:,} gained and "
        f"{found.lost:,} lost, two-sided: p = {found.p:.3g}"
    )


def _changes(pairs: Sequence[Changed]) -> Iterator[str]:
    from memaudit.api.gating import plain

    if pairs:
        yield f"\nMatches of another kind: {len(pairs):,}"
        for each in pairs[:SHOWN]:
            yield f"  {plain(f'{each.query_id} -> {each.reference_id}: {each.before}, now {each.after}')}"
        if len(pairs) > SHOWN:
            yield f"  and {len(pairs) - SHOWN:,} more"


def _matches(title: str, pairs: Sequence[Pair]) -> Iterator[str]:
    from memaudit.api.gating import plain

    yield f"\n{title}: {len(pairs):,}"
    for pair in pairs[:SHOWN]:
        yield f"  {plain(f'{pair.query_id} -> {pair.reference_id}')}"
    if len(pairs) > SHOWN:
        yield f"  and {len(pairs) - SHOWN:,} more"
