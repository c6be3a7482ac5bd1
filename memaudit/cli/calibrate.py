"""memaudit calibrate propose, memaudit calibrate fit."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from memaudit.cli.console import Console, JsonFlag, QuietFlag, VerboseFlag
from memaudit.cli.options import MatchFrom

if TYPE_CHECKING:
    from memaudit.api.calibrating import CalibrationRun

app = typer.Typer(help="A threshold of one's own, by pairs that people have labelled.")
StorePath = Annotated[Path, typer.Argument(metavar="STORE", help="The set that is to be deduplicated, or generations.")]
StoreOption = Annotated[Path, typer.Option("--store", help="The store that the pairs were proposed from.")]
Against = Annotated[
    Path | None, typer.Option("--against", help="The training set that the generations are held against.")
]
Labels = Annotated[list[Path], typer.Argument(metavar="LABELS...", help="Files of verdicts, and the proposal.")]
Before = Annotated[
    list[Path] | None, typer.Option("--labels", metavar="LABELS", help="Verdicts given before; again for several.")
]
Count = Annotated[int, typer.Option("--count", help="Pairs to be proposed, half of them nearest to the cut.")]
ProposalFile = Annotated[Path, typer.Option("--out", help="A new .csv or .jsonl file, to be filled in.")]
CalibrationFile = Annotated[Path, typer.Option("--out", help="The calibration to be written, a .toml file.")]
Precision = Annotated[float | None, typer.Option("--precision", help="Share of copies among what is found, say 0.99.")]
Recall = Annotated[float | None, typer.Option("--recall", help="Share of the copies that is found, say 0.95.")]
Seed = Annotated[int, typer.Option("--seed", min=0, help="Seed of what is drawn.")]


@app.command("propose")
def propose(
    store: StorePath,
    out: ProposalFile,
    against: Against = None,
    labels: Before = None,
    count: Count = 200,
    match_from: MatchFrom = None,
    seed: Seed = 0,
    as_json: JsonFlag = False,
    quiet: QuietFlag = False,
    verbose: VerboseFlag = False,
) -> None:
    """Write pairs for a person to label: the most doubtful ones, and a random part of the rest."""
    from memaudit.api.calibrating import propose_labels

    console = Console(as_json, quiet)
    with console.progress(("looking for pairs", "comparing pixels")) as progress:
        made = propose_labels(
            store,
            out,
            against=against,
            labels=labels or (),
            count=count,
            match_from=match_from,
            seed=seed,
            progress=progress,
        )
    lines = [
        f"{made.pairs:,} of {made.frame:,} pairs, {made.near:,} of them nearest to the cut: {made.path}",
        f"{made.before:,} were labelled before." if made.before else "",
        *(f"Not compared on pixels: {line}." for line in made.warnings),
        "Write copy, not a copy or unsure into the column verdict, then run memaudit calibrate fit.",
    ]
    console.result(dict(made.as_dict()), "\n".join(filter(None, lines)))


@app.command("fit")
def fit(
    labels: Labels,
    store: StoreOption,
    out: CalibrationFile,
    against: Against = None,
    precision: Precision = None,
    recall: Recall = None,
    as_json: JsonFlag = False,
    quiet: QuietFlag = False,
    verbose: VerboseFlag = False,
) -> None:
    """Choose a threshold and a cut by labelled pairs. Exit code 3: they do not show what was asked for."""
    from memaudit.api.calibrating import calibrate

    console = Console(as_json, quiet)
    with console.progress(("comparing pixels",)) as progress:
        run = calibrate(labels, store, out, against=against, precision=precision, recall=recall, progress=progress)
    console.result(dict(run.as_dict()), "\n".join(_lines(run)))
    console.end(conclusive=run.conclusive)


def _lines(run: CalibrationRun) -> Iterator[str]:
    counts, used = run.fitted.merged.counts, run.fitted.used
    yield run.headline
    yield (
        f"Labels: {counts.copies:,} copies, {counts.others:,} not; {counts.unsure:,} unsure and {counts.disagreeing:,} "
        f"on which people disagree count against; {counts.unlabelled:,} not labelled."
    )
    left = {
        "with a file that is in no store": used.unknown,
        "outside the proposal": used.outside,
        "not compared on pixels": used.without_pixels,
        "said again by the same person": counts.repeated,
        "said otherwise later by the same person": counts.superseded,
    }
    if any(left.values()):
        yield "Of these: " + ", ".join(f"{count:,} {what}" for what, count in left.items() if count) + "."
    if run.fitted.recalibrated.why_not:
        yield f"The probability stays the model's own: {run.fitted.recalibrated.why_not}."
    if run.path is not None and run.settled is not None:
        yield f"Calibration {run.settled.digest}: {run.path}"
    else:
        yield "Nothing was written."
