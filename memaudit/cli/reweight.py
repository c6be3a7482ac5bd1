"""memaudit reweight."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from memaudit.cli.console import Console, JsonFlag, QuietFlag, VerboseFlag
from memaudit.cli.options import BlurFaces, MaxUnreadable, OutPath, PagePictures, TrainingSetName, Who

StorePath = Annotated[Path, typer.Argument(metavar="STORE", help="The images before the filter, from memaudit embed.")]
KeptList = Annotated[
    Path, typer.Option("--kept", help="What the filter left: keep.txt, an image_id a line, or the folder that has it.")
]
BeforeList = Annotated[
    Path | None, typer.Option("--of", help="What the filter had before it, in the same way.", show_default="all images")
]
DedupFolder = Annotated[
    Path | None, typer.Option("--dedup", help="A run of memaudit dedup: each of its groups is one observation.")
]
MaxWeight = Annotated[
    float, typer.Option("--max-weight", help="The most that an image may count for, in multiples of the mean.")
]
Clusters = Annotated[
    int | None,
    typer.Option("--clusters", help="Clusters of what images show, balanced like words.", show_default="by the images"),
]
Seed = Annotated[int, typer.Option("--seed", help="Of folds, samples and clusters.")]
STAGES = ("clustering", "reading words and metadata", "scoring")


def reweight(
    context: typer.Context,
    store: StorePath,
    kept: KeptList,
    out: OutPath,
    of: BeforeList = None,
    dedup: DedupFolder = None,
    max_weight: MaxWeight = 10.0,
    clusters: Clusters = None,
    seed: Seed = 0,
    max_unreadable: MaxUnreadable = 0.01,
    blur_faces: BlurFaces = False,
    pictures: PagePictures = "embedded",
    training_set: TrainingSetName = "",
    who: Who = "",
    as_json: JsonFlag = False,
    quiet: QuietFlag = False,
    verbose: VerboseFlag = False,
) -> None:
    """Weigh what a filter left so that it has the shares that all images had. Exit code 3: that cannot be relied on."""
    from memaudit.api.page_choices import PageChoices
    from memaudit.api.reweighting import run_reweight

    console = Console(as_json, quiet)
    with console.progress(STAGES) as progress:
        run = run_reweight(
            store,
            kept,
            out,
            of=of,
            dedup=dedup,
            max_weight=max_weight,
            clusters=clusters,
            seed=seed,
            max_unreadable=max_unreadable,
            page=PageChoices(pictures, training_set, who, context.obj or (), blur_faces=blur_faces),
            progress=progress,
        )
    console.result(run.report.content, f"{run.headline}\nWeights: {run.weights.path}\nReport: {run.page}")
    console.end(conclusive=run.conclusive)
