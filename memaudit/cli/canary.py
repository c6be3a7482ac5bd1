"""memaudit canary."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from memaudit.cli.console import Console, JsonFlag, QuietFlag, VerboseFlag, table
from memaudit.cli.options import EncoderName, MaxUnreadable, Threshold
from memaudit.errors import UsageError

if TYPE_CHECKING:
    from memaudit.api.canaries import CanaryCheck

app = typer.Typer(no_args_is_help=True, help="Pictures of our own that are put into training, to be asked for later.")
Folder = Annotated[Path, typer.Argument(metavar="CANARIES", help="Folder of memaudit canary make.")]
Generations = Annotated[str, typer.Argument(metavar="GENERATIONS", help="Images of the prompts in its prompts.jsonl.")]
OutFolder = Annotated[Path, typer.Option("--out", help="Folder to write.")]
Each = Annotated[int, typer.Option("--each", help="Canaries for every number of copies.")]
Copies = Annotated[str, typer.Option("--copies", help="Numbers of copies, with commas.")]
HeldBack = Annotated[
    int | None, typer.Option("--held-back", help="Canaries that are not planted.", show_default="as many as are")
]
Kinds = Annotated[str, typer.Option("--kinds", help="vector, photo and text, with commas.")]
Seed = Annotated[int, typer.Option("--seed", help="Of drawings, captions and groups.")]
PairingFile = Annotated[Path | None, typer.Option("--pairing", help="Which prompt each generation was made from.")]
PairingPattern = Annotated[str | None, typer.Option("--pairing-pattern", help="How generations are named.")]


@app.command("make")
def make(
    out: OutFolder,
    each: Each = 10,
    copies: Copies = "1,4,16",
    held_back: HeldBack = None,
    kinds: Kinds = "vector,photo,text",
    seed: Seed = 0,
    as_json: JsonFlag = False,
    quiet: QuietFlag = False,
    verbose: VerboseFlag = False,
) -> None:
    """Draw canaries, and note in a register which are to go into training how often."""
    from memaudit.api.canaries import make_canaries

    made = make_canaries(out, each=each, copies=_numbers(copies), held_back=held_back, kinds=_words(kinds), seed=seed)
    planted, held = len(made.planted), len(made) - len(made.planted)
    value = {"out": str(out), "canaries": len(made), "planted": planted, "held_back": held, "digest": made.digest}
    text = (
        f"{len(made):,} canaries in {out}, {planted:,} to be planted and {held:,} held back. Keep the folder apart "
        f"from the training set.\nRegister: {made.digest}"
    )
    Console(as_json, quiet).result(value, text)


@app.command("plant")
def plant(
    folder: Folder,
    out: OutFolder,
    as_json: JsonFlag = False,
    quiet: QuietFlag = False,
    verbose: VerboseFlag = False,
) -> None:
    """Write the copies that go into training, with a manifest of their captions."""
    from memaudit.api.canaries import open_canaries, plant_canaries

    canaries = open_canaries(folder)
    manifest = plant_canaries(canaries, out)
    count = sum(canary.copies for canary in canaries.planted)
    value = {"manifest": str(manifest), "images": count, "canaries": len(canaries.planted)}
    Console(as_json, quiet).result(value, f"{count:,} copies of {len(canaries.planted):,} canaries: {manifest}")


@app.command("check")
def check(
    folder: Folder,
    generations: Generations,
    out: OutFolder,
    pairing: PairingFile = None,
    pairing_pattern: PairingPattern = None,
    encoder: EncoderName = "sscd",
    threshold: Threshold = None,
    max_unreadable: MaxUnreadable = 0.01,
    as_json: JsonFlag = False,
    quiet: QuietFlag = False,
    verbose: VerboseFlag = False,
) -> None:
    """Say which canaries came back in generations, by how often they were planted. Exit code 3: not measured."""
    from memaudit.api.canaries import check_canaries

    console = Console(as_json, quiet)
    with console.progress() as progress:
        found = check_canaries(
            folder,
            generations,
            out,
            pairing=pairing,
            pairing_pattern=pairing_pattern,
            encoder=encoder or "sscd",
            threshold=threshold,
            max_unreadable=max_unreadable,
            progress=progress,
        )
    console.result(found.as_dict(), "\n".join(_lines(found)))
    console.end(conclusive=found.audit.conclusive)


def _lines(found: CanaryCheck) -> Iterator[str]:
    rows = [("copies", "came back", "of", "rate", "95 % interval")]
    for each in found.tally.by_copies:
        rate = each.rate
        share = "none" if rate.value is None else f"{rate.value:.1%}"
        rows.append(
            (
                str(each.copies or "held back"),
                f"{rate.count:,}",
                f"{rate.coverage.measured:,}",
                share,
                f"{rate.low:.1%} to {rate.high:.1%}",
            )
        )
    yield table(rows)
    if found.p is not None:
        yield f"\nThat planted ones come back no more often than held-back ones: p = {found.p:.3g} (Fisher, one-sided)"
    if not found.audit.conclusive:
        yield f"Inconclusive: {'; '.join(found.audit.warnings)}"
    yield f"Page: {found.audit.page}"


def _numbers(text: str) -> tuple[int, ...]:
    try:
        return tuple(int(part) for part in text.split(","))
    except ValueError:
        raise UsageError(f"--copies {text!r}: expected whole numbers with commas, such as 1,4,16") from None


def _words(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip())
