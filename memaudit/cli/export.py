"""memaudit export."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from memaudit.cli.console import Console, JsonFlag, QuietFlag, VerboseFlag
from memaudit.cli.options import OutPath

Source = Annotated[Path, typer.Argument(metavar="DEDUP|STORE", help="A dedup run, or a store.")]
To = Annotated[str, typer.Option("--to", help="webdataset, parquet, hf, folder or manifest.")]
Which = Annotated[str, typer.Option("--which", help="kept, dropped or all: whatever can be read.")]
Fold = Annotated[str | None, typer.Option("--fold", metavar="I/N", help="2/5: the second of five; groups stay whole.")]
Keep = Annotated[Path | None, typer.Option("--keep", help="With a store: a list of what is kept, an image_id a line.")]
Drop = Annotated[
    Path | None, typer.Option("--drop", help="A list of what must not be there, an image_id a line, as claims exclude.")
]
StorePath = Annotated[Path | None, typer.Option("--store", help="The dedup run's store, if it was moved.")]
ShardSamples = Annotated[
    int, typer.Option("--shard-samples", min=0, help="Samples in a shard; 0: a shard for each archive or table.")
]
Links = Annotated[
    str | None, typer.Option("--in-place-links", help="In a folder hard or symbolic links, instead of copies.")
]
Embeddings = Annotated[bool, typer.Option("--embeddings", help="In a manifest a column with the embeddings.")]


Weights = Annotated[
    Path | None,
    typer.Option("--weights", help="Beside each sample its weight: a run of memaudit reweight, or weights.parquet."),
]

OptOuts = Annotated[
    bool, typer.Option("--respect-opt-outs", help="Leave out what reserves rights against its use for training.")
]


def export(
    source: Source,
    to: To,
    out: OutPath,
    which: Which = "kept",
    fold: Fold = None,
    keep: Keep = None,
    drop: Drop = None,
    store: StorePath = None,
    shard_samples: ShardSamples = 10_000,
    in_place_links: Links = None,
    embeddings: Embeddings = False,
    weights: Weights = None,
    respect_opt_outs: OptOuts = False,
    as_json: JsonFlag = False,
    quiet: QuietFlag = False,
    verbose: VerboseFlag = False,
) -> None:
    """Write what a dedup run keeps, whole samples, byte for byte. Run again after a kill, it continues."""
    from memaudit.api.exporting import export as run

    console = Console(as_json, quiet)
    with console.progress(("exporting",)) as progress:
        made = run(
            source,
            out,
            to=to,
            which=which,
            fold=fold,
            keep=keep,
            drop=drop,
            store=store,
            shard_samples=shard_samples,
            in_place_links=in_place_links,
            embeddings=embeddings,
            weights=weights,
            respect_opt_outs=respect_opt_outs,
            progress=progress,
        )
    samples = made.samples
    console.result(
        {**made.as_dict(), "warnings": list(made.warnings)},
        f"{samples.exported:,} samples in {out}; of {samples.all:,} there were {samples.kept:,} kept, "
        f"{samples.dropped:,} dropped, {samples.unreadable:,} unreadable"
        + (f"; {made.opted_out:,} images reserve rights and were left out" if respect_opt_outs else "")
        + "".join(f"\n{w}" for w in made.warnings),
    )
