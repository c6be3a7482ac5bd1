"""memaudit filter train, memaudit filter review, memaudit filter apply."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from memaudit.cli.console import Console, JsonFlag, QuietFlag, VerboseFlag
from memaudit.cli.options import BlurFaces, OutPath, PagePictures, TrainingSetName, Who

if TYPE_CHECKING:
    from memaudit.api.filtering import FilterRound

app = typer.Typer(help="Tell a class of images apart by a few labels, and drop it from a training set.")
StorePaths = Annotated[
    list[Path], typer.Argument(metavar="STORE...", help="The training set; several: the same images by other encoders.")
]
FilterFolder = Annotated[Path, typer.Argument(metavar="FILTER", help="Folder that filter train made.")]
NewFilter = Annotated[Path, typer.Option("--out", help="Folder of the filter, which gives the class its name.")]
Labels = Annotated[
    list[Path] | None,
    typer.Option("--labels", metavar="FILE", help="Table of image_id and label (1, 0, unsure); again for several."),
]
Text = Annotated[str | None, typer.Option("--text", help="A prompt for the class, where a store is by open_clip.")]
TextWeights = Annotated[Path | None, typer.Option("--text-weights", help="The weights that this store was made with.")]
Recall = Annotated[
    float, typer.Option("--recall", help="Share of the class that the cut must find, by its lower bound.")
]
Precision = Annotated[
    float, typer.Option("--precision", help="Share of what is found that must be of the class, by its estimate.")
]
Next = Annotated[int, typer.Option("--next", help="Images to label next that teach the probe the most.")]
Sample = Annotated[
    int, typer.Option("--sample", help="Images to label that are drawn at random, to measure the probe.")
]
Measure = Annotated[bool, typer.Option("--measure", help="Keep the probe: measure it, and draw more for its sample.")]
Again = Annotated[bool, typer.Option("--again", help="Train on, though a cut is found or the sample lacks labels.")]
Seed = Annotated[int, typer.Option("--seed", min=0, help="Seed of what is drawn.")]
Cut = Annotated[
    float | None,
    typer.Option("--cut", help="Probability from which on an image is dropped.", show_default="the filter's own"),
]
Unscored = Annotated[
    str | None,
    typer.Option("--unscored", help="keep or drop what could not be scored.", show_default="neither, exit code 3"),
]
PageFile = Annotated[Path | None, typer.Option("--out", help="The page.", show_default="FILTER/label.html")]


@app.command("train")
def train(
    stores: StorePaths,
    out: NewFilter,
    labels: Labels = None,
    text: Text = None,
    text_weights: TextWeights = None,
    recall: Recall = 0.95,
    precision: Precision = 0.0,
    count: Next = 60,
    sample: Sample = 200,
    measure: Measure = False,
    again: Again = False,
    seed: Seed = 0,
    as_json: JsonFlag = False,
    quiet: QuietFlag = False,
    verbose: VerboseFlag = False,
) -> None:
    """Train a filter by labels, measure it, and say whom to label next. Exit code 3: it has no cut yet that is shown to
    find enough."""
    from memaudit.api.filtering import train_filter

    console = Console(as_json, quiet)
    with console.progress(("looking for labelled images", "scoring")) as progress:
        made = train_filter(
            list[str | Path](stores),
            list[str | Path](labels or ()),
            out,
            text=text,
            text_weights=text_weights,
            recall=recall,
            precision=precision,
            count=count,
            sample=sample,
            measure=measure,
            again=again,
            seed=seed,
            progress=progress,
        )
    console.result(dict(made.as_dict()), "\n".join(_lines(made)))
    console.end(conclusive=made.conclusive)


def _lines(made: FilterRound) -> Iterator[str]:
    learned, waiting = made.filter.trained, made.to_label
    presumed = f", {learned.presumed:,} random images taken for such" if learned.presumed else ""
    yield f"Round {made.round:,}: {learned.positive:,} images of the class, {learned.negative:,} not{presumed}."
    if made.result.unknown:
        yield f"{made.result.unknown:,} labels are of images that the stores do not have, or without an embedding."
    yield made.headline
    if waiting:
        yield f"Label {waiting:,} images: memaudit filter review {made.folder}, or the column label of next.csv."
    if made.conclusive:
        yield f"Next: memaudit filter apply {made.folder} STORE --out DIR"


@app.command("review")
def review(
    folder: FilterFolder,
    out: PageFile = None,
    as_json: JsonFlag = False,
    quiet: QuietFlag = False,
    verbose: VerboseFlag = False,
) -> None:
    """Write a page that shows the images of next.csv, and saves the labels that are given there by key."""
    from memaudit.api.filtering import review_filter

    path = review_filter(folder, out)
    Console(as_json, quiet).result(
        {"page": str(path)}, f"{path}: open it, label by key, save, and give the file to filter train --labels."
    )


@app.command("apply")
def apply(
    context: typer.Context,
    folder: FilterFolder,
    stores: StorePaths,
    out: OutPath,
    cut: Cut = None,
    unscored: Unscored = None,
    blur_faces: BlurFaces = False,
    pictures: PagePictures = "embedded",
    training_set: TrainingSetName = "",
    who: Who = "",
    as_json: JsonFlag = False,
    quiet: QuietFlag = False,
    verbose: VerboseFlag = False,
) -> None:
    """Decide by a filter what of a store is kept and dropped. Exit code 3: it has no cut, or images could not be scored
    and nobody said what becomes of them."""
    from memaudit.api.filtering import apply_filter
    from memaudit.api.page_choices import PageChoices

    console = Console(as_json, quiet)
    page = PageChoices(pictures, training_set, who, context.obj or (), blur_faces=blur_faces)
    with console.progress(("scoring",)) as progress:
        run = apply_filter(
            folder, list[str | Path](stores), out, cut=cut, unscored=unscored, page=page, progress=progress
        )
    console.result(run.report.content, f"{run.headline}\nReport: {run.page}")
    console.end(conclusive=run.conclusive)
