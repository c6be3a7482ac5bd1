"""memaudit reviews merge, sample, convert."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from memaudit.cli.console import Console, JsonFlag, QuietFlag, VerboseFlag

if TYPE_CHECKING:
    from memaudit.api.reviewing import MergedReviews

SHOWN = 20
app = typer.Typer(help="What people decided on pairs: put together, drawn, taken over from earlier forms.")
Files = Annotated[list[Path], typer.Argument(metavar="FILE...", help="Files of reviews: .jsonl, .json, .csv or .tsv.")]
MergedFile = Annotated[Path | None, typer.Option("--out", help="A new .jsonl: what each person says in the end.")]
ReportFile = Annotated[Path, typer.Argument(metavar="REPORT.json", help="The report of an audit.")]
OutFile = Annotated[Path, typer.Option("--out", help="A new .jsonl file.")]
Count = Annotated[int, typer.Option("--count", help="Findings to be drawn.")]
Seed = Annotated[int, typer.Option("--seed", min=0, help="Seed of what is drawn.")]
Earlier = Annotated[Path, typer.Argument(metavar="FILE", help="accepted.toml, or a CSV of left_id, right_id.")]
WithReport = Annotated[
    Path | None, typer.Option("--report", help="An audit's report that has the accepted matches, for their files.")
]
WithStore = Annotated[Path | None, typer.Option("--store", help="The store that the ignored pairs are about.")]
Who = Annotated[str, typer.Option("--who", help="Who ruled the ignored pairs out.")]


@app.command("merge")
def merge(
    files: Files,
    out: MergedFile = None,
    as_json: JsonFlag = False,
    quiet: QuietFlag = False,
    verbose: VerboseFlag = False,
) -> None:
    """Put together what several people say: counts, disagreements, agreement (kappa), precision of a random sample."""
    from memaudit.api.reviewing import merge_reviews

    found = merge_reviews(files, out)
    Console(as_json, quiet).result(found.as_dict(), "\n".join(_lines(found)))


def _counted(counts: Mapping[str, int]) -> str:
    from memaudit.words import plural

    pairs = plural(sum(counts[name] for name in ("copies", "others", "unsure", "disagreeing")), "pair")
    people, copies = plural(counts["people"], "person", "people"), plural(counts["copies"], "copy", "copies")
    return (
        f"{pairs} looked at by {people}: {copies}, {counts['others']:,} not, {counts['unsure']:,} unsure, "
        f"{counts['disagreeing']:,} on which people disagree; {counts['unlabelled']:,} not looked at yet."
    )


def _lines(found: MergedReviews) -> Iterator[str]:
    from memaudit.api.gating import plain

    yield _counted(found.counts)
    for each in found.agreements:
        kappa = (
            "kappa is not defined: one word was used for all"
            if each.kappa is None
            else f"kappa {each.kappa:.2f}, 95 % interval {each.low:.2f} to {each.high:.2f}"
        )
        names = plain(f"{each.one or 'nobody named'} and {each.other or 'nobody named'}")
        unsure = f"; {each.unsure:,} more on which one is unsure" if each.unsure else ""
        yield f"{names} agree on {each.same:,} of {each.pairs:,} pairs ({kappa}){unsure}."
    precision = found.precision
    if precision:
        yield (
            f"Of all that the sample was drawn from, {precision.value:.1%} are copies (95 % interval "
            f"{precision.low:.1%} to {precision.high:.1%}, {precision.pairs:,} looked at; doubtful ones count as none)."
        )
    elif found.strata_open:
        yield f"No precision yet: in {found.strata_open:,} strata of the sample nobody has looked at a pair."
    yield from _disagreements(found)
    if found.path:
        yield f"Written: {found.path}"


def _disagreements(found: MergedReviews) -> Iterator[str]:
    from memaudit.api.gating import plain

    if found.disagreements:
        yield f"People disagree on {len(found.disagreements):,} pairs:"
    for pair, said in list(found.disagreements.items())[:SHOWN]:
        words = ", ".join(f"{each.who or 'nobody named'}: {each.verdict}" for each in said)
        yield f"  {plain(f'{pair.left[:12]}… {pair.right[:12]}… {words}')}"
    if len(found.disagreements) > SHOWN:
        yield f"  and {len(found.disagreements) - SHOWN:,} more"


@app.command("sample")
def sample(
    report: ReportFile,
    out: OutFile,
    count: Count = 100,
    seed: Seed = 0,
    as_json: JsonFlag = False,
    quiet: QuietFlag = False,
    verbose: VerboseFlag = False,
) -> None:
    """Draw findings of an audit at random: what is said of them gives the precision of all, with its interval."""
    from memaudit.api.reviewing import sample_findings

    made = sample_findings(report, out, count, seed)
    text = f"{made.lines:,} of {made.of:,} pairs, to be filled in: {made.path}"
    Console(as_json, quiet).result(made.as_dict(), text)


@app.command("convert")
def convert(
    file: Earlier,
    out: OutFile,
    report: WithReport = None,
    store: WithStore = None,
    who: Who = "",
    as_json: JsonFlag = False,
    quiet: QuietFlag = False,
    verbose: VerboseFlag = False,
) -> None:
    """Write an accepted.toml, or a CSV of ignored pairs, as reviews."""
    from memaudit.api.gating import plain
    from memaudit.api.reviewing import convert_reviews
    from memaudit.words import plural

    made = convert_reviews(file, out, report=report, store=store, who=who)
    notes = [f"Note: {plain(warning)}" for warning in made.warnings]
    text = "\n".join([f"{plural(made.lines, 'review')} of {plural(made.of, 'entry', 'entries')}: {made.path}", *notes])
    Console(as_json, quiet).result(made.as_dict(), text)
