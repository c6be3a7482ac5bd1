"""memaudit prompts."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from memaudit.cli.console import Console, JsonFlag, QuietFlag, VerboseFlag

StorePath = Annotated[Path, typer.Argument(metavar="STORE", help="The training set: a store with captions.")]
OutFile = Annotated[Path, typer.Option("--out", help="JSON lines to write: what to generate, and what it belongs to.")]
Count = Annotated[int, typer.Option("--n", help="Prompts to choose.")]
Strategy = Annotated[str, typer.Option("--strategy", help="random, most-duplicated or mixed.")]
By = Annotated[str, typer.Option("--by", help="What is drawn by --strategy random: caption or image.")]
DedupRun = Annotated[Path | None, typer.Option("--dedup", help="Folder of a memaudit dedup run: its group sizes.")]
HeldOut = Annotated[
    Path | None,
    typer.Option("--held-out", help="A store of held-out images with captions: half of the prompts are theirs."),
]
Weights = Annotated[
    Path | None, typer.Option("--weights", help="Folder of a memaudit reweight run: images are drawn by its weights.")
]
Seed = Annotated[int, typer.Option("--seed", help="Seed of the choice.")]


def prompts(
    store: StorePath,
    out: OutFile,
    n: Count = 50_000,
    strategy: Strategy = "random",
    by: By = "caption",
    dedup: DedupRun = None,
    held_out: HeldOut = None,
    weights: Weights = None,
    seed: Seed = 0,
    as_json: JsonFlag = False,
    quiet: QuietFlag = False,
    verbose: VerboseFlag = False,
) -> None:
    """Choose captions of the training set to generate from, in a file that audit --pairing reads."""
    from memaudit.api.prompting import make_prompts

    choices = {"strategy": strategy, "by": by}
    chosen = make_prompts(store, out, n=n, dedup=dedup, held_out=held_out, weights=weights, seed=seed, **choices).chosen
    about = "about " if chosen.estimated else ""
    few = "" if len(chosen.prompts) == n else f" ({n:,} were asked for)"
    held = f"; {chosen.held_out:,} of them are held-out captions" if chosen.held_out else ""
    value = {
        "out": str(out),
        "prompts": len(chosen.prompts),
        **({"held_out": chosen.held_out} if held_out else {}),
        "captions": chosen.distinct,
        "captions_estimated": chosen.estimated,
        "images_with_caption": chosen.captioned,
        "images": chosen.images,
    }
    text = (
        f"{len(chosen.prompts):,} prompts{few} in {out}, from {about}{chosen.distinct:,} distinct captions of "
        f"{chosen.captioned:,} captioned images of {chosen.images:,}{held}.\n"
        "Name each image after its line's generation (000017.png), and audit with --pairing; with several seeds for "
        "each prompt, 000017_3.png, add --pairing-pattern '{generation}_{seed}.png'."
    )
    Console(as_json, quiet).result(value, text)
