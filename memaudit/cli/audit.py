"""memaudit audit."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from memaudit.cli.console import Console, JsonFlag, QuietFlag, VerboseFlag
from memaudit.cli.face_audit import (
    BlurFaces,
    ControlFaces,
    FaceChoices,
    FaceEncoder,
    Faces,
    FacesBy,
    FaceStore,
    FalseMatches,
    Identity,
    SaveCrops,
    blurring,
    kept_templates,
    own_stores,
)
from memaudit.cli.options import (
    DEFAULT_VIEWS,
    BatchSize,
    Device,
    Embedder,
    EncoderName,
    MaxUnreadable,
    OutPath,
    ShardRows,
    Threshold,
    Unverified,
    Workers,
)

if TYPE_CHECKING:
    from memaudit.faces.audit import FaceAuditOptions
    from memaudit.index import Searcher

Generations = Annotated[
    str, typer.Argument(metavar="GENERATIONS", help="What the model made: folder, manifest or store.")
]
Against = Annotated[Path, typer.Option("--against", help="The training set: a store, or an index of one.")]
PairingFile = Annotated[
    Path | None,
    typer.Option("--pairing", help="CSV or JSON lines: generation, image_id (of its prompt), prompt, seed."),
]
PairingPattern = Annotated[
    str | None,
    typer.Option("--pairing-pattern", help="How generations are named: {image_id}_{seed}.png, or an expression."),
]
PairingMetadata = Annotated[
    bool, typer.Option("--pairing-metadata", help="The generations' own metadata say training_id, prompt and seed.")
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
Verify = Annotated[
    str, typer.Option("--verify", help="Decide candidates below the threshold on pixels: auto, pixels or none.")
]
VerifyFrom = Annotated[
    float | None,
    typer.Option("--verify-from", help="Similarity from which candidates are looked at.", show_default="encoder's own"),
]
Neighbours = Annotated[int, typer.Option("--neighbours", min=1, help="Matches kept for each generation.")]


def audit(
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
    verify: Verify = "auto",
    verify_from: VerifyFrom = None,
    metrics: WithMetrics = False,
    faces: Faces = False,
    face_store: FaceStore = None,
    control_faces: ControlFaces = None,
    face_encoder: FaceEncoder = None,
    face_false_matches: FalseMatches = 1.0,
    identity: Identity = "",
    faces_by: FacesBy = None,
    save_crops: SaveCrops = False,
    blur_faces: BlurFaces = False,
    encoder: EncoderName = None,
    device: Device = "auto",
    workers: Workers = 0,
    batch_size: BatchSize = 16,
    shard_rows: ShardRows = 1024,
    max_unreadable: MaxUnreadable = 0.01,
    allow_unverified_weights: Unverified = False,
    as_json: JsonFlag = False,
    quiet: QuietFlag = False,
    verbose: VerboseFlag = False,
) -> None:
    """Test whether generations are near-duplicates of training images. Exit code 3: it could not be measured."""
    from memaudit.audit.pairing import pairer
    from memaudit.audit.run import AuditOptions, Views
    from memaudit.audit.run import audit as run
    from memaudit.embedding.windows import DETAILS, details_of, has_windows, tiles_of
    from memaudit.errors import EmptyInputError, InconclusiveError, UsageError
    from memaudit.faces.audit import AuditedImages, audit_faces_beside
    from memaudit.images.views import views_of
    from memaudit.index import open_searcher
    from memaudit.matching.plan import plan_matching
    from memaudit.report.audit import searched_in, write_audit
    from memaudit.report.document import remove_earlier_pictures, start_run
    from memaudit.report.faces import FacePart
    from memaudit.report.inconclusive import write_inconclusive
    from memaudit.similarity.exact import require_threshold
    from memaudit.store import FACES

    console = Console(as_json, quiet)
    embedder = Embedder(encoder, device, workers, batch_size, shard_rows, allow_unverified_weights)
    options = AuditOptions(threshold, neighbours, max_unreadable, metrics=metrics, match=verify, match_from=verify_from)
    people = FaceChoices(
        wanted=faces,
        store=face_store,
        control=control_faces,
        encoder=face_encoder,
        false_matches=face_false_matches,
        identity=identity,
        by=tuple(faces_by or ()),
        save_crops=save_crops,
        blur=blur_faces,
        picture_threshold=threshold,
        device=device,
        workers=workers,
        max_unreadable=max_unreadable,
        allow_unverified_weights=allow_unverified_weights,
    )
    about_faces = people.options()
    start_run(out, "audit")
    if blur_faces:
        remove_earlier_pictures(out)
    views_of(views or DEFAULT_VIEWS)  # before hours of embedding, like what follows
    on_pixels = plan_matching(verify, verify_from, "", 1.0).on_pixels
    if threshold is not None:
        require_threshold(threshold)
    if metrics and control is None:
        raise UsageError("--metrics compare with images the model never saw: give them with --control")
    pair = pairer(pairing, pairing_pattern, pairing_metadata)
    try:
        references = open_searcher(against)
        _require_apart(references.store.folder, out)
        alter = blurring(wanted=blur_faces)
        if references.store.manifest.kind == FACES:
            if pair is not None or threshold is not None:
                raise UsageError("--pairing and --threshold are for images: a search of faces calibrates its threshold")
            _of_faces(console, people, about_faces, generations, references, control, out)
            return
        people.require_wanted()
        with console.progress() as progress:
            queries, of_queries = embedder.with_views(
                generations, views, out / "generations", references.store, progress
            )
            held_out, of_held_out = (
                embedder.with_views(control, views, out / "control", references.store, progress)
                if control
                else (None, None)
            )
            seen = Views(
                of_queries,
                of_held_out,
                tiles_of(references.store),
                details_of(references.store) if on_pixels else None,
                () if on_pixels or not has_windows(references.store, DETAILS) else (DETAILS,),
            )
            pairs = pair(queries, references.store) if pair else None
            result = run(
                queries, references, pairing=pairs, control=held_out, views=seen, options=options, progress=progress
            )
            images = AuditedImages(result, queries, references.store, held_out)
            of_faces = audit_faces_beside(images, out, about_faces, progress) if faces else None
    except (InconclusiveError, EmptyInputError) as error:
        write_inconclusive("audit", str(error), out)
        raise InconclusiveError(f"inconclusive: {error}") from None
    report = write_audit(
        result, queries, references.store, out, FacePart(of_faces, save_crops) if of_faces else None, alter
    )
    lines = (report.results.headline, searched_in(report), f"Report: {out / 'report.html'}")
    console.result(report.content, "\n".join(lines) + (kept_templates(out) if faces else ""))
    if not report.results.conclusive:
        raise typer.Exit(InconclusiveError.exit_code)


def _of_faces(
    console: Console,
    people: FaceChoices,
    options: FaceAuditOptions,
    generations: str,
    gallery: Searcher,
    control: str | None,
    out: Path,
) -> None:
    """An audit against a store of faces knows no images: only faces are compared."""
    from memaudit.errors import InconclusiveError
    from memaudit.faces.audit import audit_faces_alone
    from memaudit.report.faces import FacePart, write_face_audit

    with console.progress() as progress:
        audit = audit_faces_alone(generations, gallery, control, out, options, progress)
    report = write_face_audit(FacePart(audit, people.save_crops), out, blurring(wanted=people.blur))
    text = f"{report.results.headline}\nReport: {out / 'report.html'}"
    console.result(report.content, text + kept_templates(out))
    if audit.result.inconclusive:
        raise typer.Exit(InconclusiveError.exit_code)


def _require_apart(references: Path, out: Path) -> None:
    """The generations are embedded into `out`: not over the training set's own store."""
    from memaudit.errors import UsageError

    if references.resolve() in ((out / name).resolve() for name in own_stores()):
        raise UsageError(f"--against {references} lies where --out {out} keeps its own stores: choose another --out")
