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
    from memaudit.api.canaries import Canaries, CanaryCheck
    from memaudit.api.canary_keys import CanaryKeys, KeyCheck
    from memaudit.types import Rate

app = typer.Typer(no_args_is_help=True, help="Pictures of our own that are put into training, to be asked for later.")
Folder = Annotated[Path, typer.Argument(metavar="CANARIES", help="Folder of memaudit canary make.")]
Generations = Annotated[
    str,
    typer.Argument(metavar="GENERATIONS", help="Images of its prompts.jsonl."),
]
OutFolder = Annotated[Path, typer.Option("--out", help="Folder to write.")]
Each = Annotated[int, typer.Option("--each", help="Canaries for every number of copies.")]
Copies = Annotated[str, typer.Option("--copies", help="Numbers of copies, with commas.")]
HeldBack = Annotated[
    int | None, typer.Option("--held-back", help="Canaries that are not planted.", show_default="as many as are")
]
Kinds = Annotated[str, typer.Option("--kinds", help="vector, photo and text, with commas; or key.")]
Around = Annotated[
    str | None, typer.Option("--around", help="Of keys: training images, or a store, to draw pictures from.")
]
Side = Annotated[int | None, typer.Option("--side", help="Of keys: pixels with the border.", show_default="512")]
Asks = Annotated[int | None, typer.Option("--asks", help="Of keys: how often each is asked for.", show_default="4")]
Seed = Annotated[
    int | None,
    typer.Option(
        "--seed", min=0, help="Of drawings, captions, keys and groups: to repeat them.", show_default="secret"
    ),
]
PairingFile = Annotated[Path | None, typer.Option("--pairing", help="Which prompt each generation was made from.")]
PairingPattern = Annotated[str | None, typer.Option("--pairing-pattern", help="How generations are named.")]
_HEAD = ("copies", "came back", "of", "rate", "95 % interval")


@app.command("make")
def make(
    out: OutFolder,
    each: Each = 10,
    copies: Copies = "1,4,16",
    held_back: HeldBack = None,
    kinds: Kinds = "vector,photo,text",
    around: Around = None,
    side: Side = None,
    asks: Asks = None,
    seed: Seed = None,
    as_json: JsonFlag = False,
    quiet: QuietFlag = False,
    verbose: VerboseFlag = False,
) -> None:
    """Draw canaries, or keys around training images, and note in a register which are to go into training how often."""
    from memaudit.api.canaries import make_canaries
    from memaudit.api.canary_keys import make_canary_keys

    made: Canaries | CanaryKeys
    numbers = _numbers(copies)
    if _words(kinds) == ("key",):
        if around is None:
            raise UsageError("--kinds key needs --around, the training images to draw pictures from")
        made = make_canary_keys(
            around,
            out,
            each=each,
            copies=numbers,
            held_back=held_back,
            side=512 if side is None else side,
            asks=4 if asks is None else asks,
            seed=seed,
        )
    elif (around, side, asks) != (None, None, None):
        raise UsageError("--around, --side and --asks are of --kinds key, which goes with no other kind")
    else:
        made = make_canaries(out, each=each, copies=numbers, held_back=held_back, kinds=_words(kinds), seed=seed)
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
    from memaudit.api.canary_keys import holds_keys, open_canary_keys, plant_canary_keys

    if holds_keys(folder):
        keys = open_canary_keys(folder)
        manifest, copies = plant_canary_keys(keys, out), [key.copies for key in keys.planted]
    else:
        canaries = open_canaries(folder)
        manifest, copies = plant_canaries(canaries, out), [canary.copies for canary in canaries.planted]
    value = {"manifest": str(manifest), "images": sum(copies), "canaries": len(copies)}
    Console(as_json, quiet).result(value, f"{sum(copies):,} copies of {len(copies):,} canaries: {manifest}")


@app.command("check")
def check(
    folder: Folder,
    generations: Generations,
    out: OutFolder,
    pairing: PairingFile = None,
    pairing_pattern: PairingPattern = None,
    encoder: EncoderName = None,
    threshold: Threshold = None,
    max_unreadable: MaxUnreadable = 0.01,
    as_json: JsonFlag = False,
    quiet: QuietFlag = False,
    verbose: VerboseFlag = False,
) -> None:
    """Say which canaries came back in generations, or which keys are known, by how often they were planted. Exit code
    3: not measured."""
    from memaudit.api.canaries import check_canaries
    from memaudit.api.canary_keys import check_canary_keys, holds_keys

    console = Console(as_json, quiet)
    if holds_keys(folder):
        if (pairing_pattern, encoder, threshold) != (None, None, None):
            raise UsageError("--pairing-pattern, --encoder and --threshold are of drawings: this register has keys")
        with console.progress() as progress:
            known = check_canary_keys(
                folder, generations, out, pairing=pairing, max_unreadable=max_unreadable, progress=progress
            )
        console.result(known.as_dict(), "\n".join(_lines_of_keys(known)), conclusive=known.conclusive)
        return
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
    console.result(found.as_dict(), "\n".join(_lines(found)), conclusive=found.conclusive)


def _lines(found: CanaryCheck) -> Iterator[str]:
    yield table([_HEAD, *((_planted(each.copies), *_shares(each.rate)) for each in found.tally.by_copies)])
    if found.p is not None:
        yield f"\nThat planted ones come back no more often than held-back ones: p = {found.p:.3g} (Fisher, one-sided)"
    if not found.conclusive:
        yield f"Inconclusive: {'; '.join(found.warnings)}"
    yield f"Page: {found.audit.page}"


def _lines_of_keys(found: KeyCheck) -> Iterator[str]:
    rows = [
        (_planted(each.copies), *_shares(each.rate), "" if each.p is None else f"{each.p:.3g}")
        for each in found.tally.by_copies
    ]
    yield table([("copies", "known", *_HEAD[2:], "p, together"), *rows])
    if found.p is not None:
        yield f"\nThat the answers have nothing to do with the planted keys: p = {found.p:.3g}"
    yield from (f"{'Note' if found.conclusive else 'Inconclusive'}: {line}" for line in found.warnings)
    yield f"Page: {found.page}"


def _planted(copies: int) -> str:
    return str(copies or "held back")


def _shares(rate: Rate) -> tuple[str, ...]:
    """As `_HEAD` has them from the second on."""
    share = "none" if rate.value is None else f"{rate.value:.1%}"
    return f"{rate.count:,}", f"{rate.coverage.measured:,}", share, f"{rate.low:.1%} to {rate.high:.1%}"


def _numbers(text: str) -> tuple[int, ...]:
    try:
        return tuple(int(part) for part in text.split(","))
    except ValueError:
        raise UsageError(f"--copies {text!r}: expected whole numbers with commas, such as 1,4,16") from None


def _words(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip())
