"""memaudit audit."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple, NoReturn, TypedDict

import typer

from memaudit.api.defaults import DEFAULT_VIEWS
from memaudit.cli.console import Console, JsonFlag, QuietFlag, VerboseFlag
from memaudit.cli.options import (
    BatchSize,
    BlurFaces,
    Calibration,
    Device,
    EncoderName,
    Kinds,
    Match,
    MatchFrom,
    MaxUnreadable,
    OutPath,
    PagePictures,
    ShardRows,
    Threshold,
    TrainingSetName,
    Unverified,
    Who,
    Workers,
    matching,
)
from memaudit.cli.planned import DryRun, tell
from memaudit.cli.stages import audit_stages, faces_stages

if TYPE_CHECKING:
    from memaudit.api.runs import AuditRun

Generations = Annotated[
    str, typer.Argument(metavar="GENERATIONS", help="What the model made: folder, manifest or store.")
]
Against = Annotated[
    list[Path],
    typer.Option(
        "--against", help="The training set: a store, or an index; again for several stores, joined as OUT-store."
    ),
]
PairingFile = Annotated[
    Path | None,
    typer.Option("--pairing", help="CSV, TSV, JSON or Parquet: generation, image_id (of its prompt), prompt, seed."),
]
PairingPattern = Annotated[
    str | None,
    typer.Option("--pairing-pattern", help="How generations are named: {image_id}_{seed}.png, or an expression."),
]
PairingMetadata = Annotated[
    bool, typer.Option("--pairing-metadata", help="The generations' own metadata say training_id, prompt and seed.")
]
Reviews = Annotated[
    list[Path] | None,
    typer.Option("--reviews", metavar="FILE", help="What people said of findings before; again for several files."),
]
WithMetrics = Annotated[bool, typer.Option("--metrics", help="Also C_T, AuthPct and the FLD gap; needs --control.")]
ControlSource = Annotated[
    str | None, typer.Option("--control", help="Held-out real images, never trained on: folder, manifest or store.")
]
ViewsChoice = Annotated[
    str | None,
    typer.Option(
        "--views",
        help="Also search with parts or turns of each generation: none, flips, tiles or all.",
        show_default=DEFAULT_VIEWS,
    ),
]
Planted = Annotated[
    int | None,
    typer.Option(
        "--planted",
        help="Altered training images, searched like generations: how much is detected? 0: none.",
        show_default="100 to 300, by the number of generations",
    ),
]
Neighbours = Annotated[int, typer.Option("--neighbours", min=1, help="Matches kept for each generation.")]
DedupRun = Annotated[
    Path | None,
    typer.Option("--dedup", help="A memaudit dedup run of the training set: its groups are families in the tests."),
]
Model = Annotated[str | None, typer.Option("--model", help="What made the generations: name and version.")]
ModelDigest = Annotated[
    str | None,
    typer.Option("--model-digest", help="SHA-256 of its weights: gate --ledger pools the audits of one model."),
]
Faces = Annotated[bool, typer.Option("--faces", help="Compare the faces, too: does the model give people back?")]
FaceStore = Annotated[
    Path | None,
    typer.Option("--face-store", help="The training set's store of faces, or an index of it; else it is made."),
]
ControlFaces = Annotated[
    str | None,
    typer.Option("--control-faces", help="Pictures, or a store of faces, of people who are not in the training set."),
]
FaceEncoder = Annotated[
    str | None, typer.Option("--face-encoder", help="As memaudit faces --encoder.", show_default="the face store's")
]
FalseMatches = Annotated[
    float, typer.Option("--face-false-matches", help="How many people may be expected to match by chance.")
]
Identity = Annotated[str, typer.Option("--identity", help="The metadata column that names the person on a picture.")]
FacesBy = Annotated[
    list[str] | None,
    typer.Option(
        "--faces-by",
        metavar="COLUMN",
        help="Compare people of one value of this metadata column, and split rates by it.",
    ),
]
SaveCrops = Annotated[bool, typer.Option("--save-crops", help="Write the matched faces as pictures of their own.")]


class _Pairing(TypedDict):
    pairing: Path | None
    pairing_pattern: str | None
    pairing_metadata: bool


class _Counted(NamedTuple):
    """What of an audit costs something beside its images."""

    views: str | None
    planted: int | None
    faces: bool


class _Of(TypedDict):
    planted: int | None
    model: str | None
    model_digest: str | None
    dedup: Path | None


def audit(
    context: typer.Context,
    generations: Generations,
    against: Against,
    out: OutPath,
    pairing: PairingFile = None,
    pairing_pattern: PairingPattern = None,
    pairing_metadata: PairingMetadata = False,
    control: ControlSource = None,
    threshold: Threshold = None,
    neighbours: Neighbours = 10,
    views: ViewsChoice = None,
    match: Match = "auto",
    match_from: MatchFrom = None,
    calibration: Calibration = None,
    kinds: Kinds = None,
    reviews: Reviews = None,
    metrics: WithMetrics = False,
    planted: Planted = None,
    model: Model = None,
    model_digest: ModelDigest = None,
    dedup: DedupRun = None,
    faces: Faces = False,
    face_store: FaceStore = None,
    control_faces: ControlFaces = None,
    face_encoder: FaceEncoder = None,
    face_false_matches: FalseMatches = 1.0,
    identity: Identity = "",
    faces_by: FacesBy = None,
    save_crops: SaveCrops = False,
    blur_faces: BlurFaces = False,
    pictures: PagePictures = "embedded",
    training_set: TrainingSetName = "",
    who: Who = "",
    encoder: EncoderName = None,
    device: Device = "auto",
    workers: Workers = 0,
    batch_size: BatchSize = 16,
    shard_rows: ShardRows = 1024,
    max_unreadable: MaxUnreadable = 0.01,
    allow_unverified_weights: Unverified = False,
    dry_run: DryRun = False,
    as_json: JsonFlag = False,
    quiet: QuietFlag = False,
    verbose: VerboseFlag = False,
) -> None:
    """Test whether generations are near-duplicates of training images. Exit code 3: it could not be measured."""
    from memaudit.api.auditing import Encoding, FaceChoices, PageChoices, run_audit

    if dry_run:
        _tell_plan(generations, against, control, _Counted(views, planted, faces), Console(as_json, quiet))
    people = face_store, control_faces, face_encoder, face_false_matches, identity, tuple(faces_by or ()), save_crops
    sets = faces * (1 + (face_store is None) + bool(control or control_faces))
    plan = audit_stages(control, planted != 0, views != "none", match != "none", sets)
    named: _Pairing = {"pairing": pairing, "pairing_pattern": pairing_pattern, "pairing_metadata": pairing_metadata}
    of: _Of = {"model": model, "model_digest": model_digest, "dedup": dedup, "planted": planted}
    with (console := Console(as_json, quiet)).progress(plan, faces_stages(control or control_faces)) as progress:
        run = run_audit(
            generations,
            against,
            out,
            **named,
            control=control,
            threshold=threshold,
            neighbours=neighbours,
            views=views,
            **matching(match, match_from, calibration, kinds),
            reviews=reviews or (),
            metrics=metrics,
            **of,
            faces=FaceChoices(*people, wanted=faces),
            page=PageChoices(pictures, training_set, who, context.obj or (), blur_faces=blur_faces),
            max_unreadable=max_unreadable,
            encoding=Encoding(encoder, device, workers, batch_size, shard_rows, allow_unverified_weights),
            progress=progress,
        )
    console.result(run.report.content, _text(run), conclusive=run.conclusive)


def _tell_plan(
    generations: str, against: Sequence[Path], control: str | None, counted: _Counted, console: Console
) -> NoReturn:
    from memaudit.api.costing import images_in, images_of_all, plan_audit

    rows, queries, held_out = images_of_all(against), images_in(generations), control and images_in(control)
    windows = None if rows is None else 0  # of several stores as one they are not searched
    found = plan_audit(
        *(queries, rows),
        store=against[0],
        views=counted.views or DEFAULT_VIEWS,
        control=held_out or None,
        planted=counted.planted,
        windows=windows,
        faces=counted.faces,
    )
    tell(found, console)
    raise typer.Exit


def _text(run: AuditRun) -> str:
    redrawn = [run.redrawn.headline] if run.redrawn else []
    lines = [run.headline, *redrawn, *([] if run.of_faces_alone else [run.searched_in]), f"Report: {run.page}"]
    if run.compared_faces and run.templates:
        kept = ", ".join(map(str, run.templates))
        lines.append(f"Biometric templates of people, to be deleted when done: {kept}")
    return "\n".join(lines)
