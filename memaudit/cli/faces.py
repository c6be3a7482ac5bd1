"""memaudit faces."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from memaudit.cli.console import Console, JsonFlag, QuietFlag, VerboseFlag, table
from memaudit.cli.options import Device, MaxUnreadable, ShardRows, Unverified, Workers
from memaudit.errors import UsageError

if TYPE_CHECKING:
    from memaudit.api.facing import FaceStore, FaceSummary, Forgotten

Sources = Annotated[
    list[str] | None, typer.Argument(metavar="SOURCE...", help="What memaudit embed takes: folders, manifests, tars …")
]
StoreOut = Annotated[Path, typer.Option("--out", help="The store of faces: made, continued, summed up or cut down.")]
FaceEncoderName = Annotated[
    str,
    typer.Option(
        "--encoder",
        help="sface, sface-mirrored, sface-dlib, or face-onnx:PATH?side=112&scale=-1..1&order=rgb&threshold=0.6.",
    ),
]
Append = Annotated[
    bool, typer.Option("--append", help="Add the sources' new images to a finished store made from others.")
]
ReplaceChanged = Annotated[
    bool, typer.Option("--replace-changed", help="Write the store anew from the first image on that has changed.")
]
Summary = Annotated[bool, typer.Option("--summary", help="Show the identities that the store repeats most.")]
Forget = Annotated[
    list[str] | None,
    typer.Option("--forget", metavar="IMAGE_ID", help="Remove an image's faces, or one, IMAGE_ID#face-2; repeatable."),
]
Threshold = Annotated[
    float | None,
    typer.Option("--threshold", help="For --summary: who counts as one person.", show_default="the encoder's own"),
]


def faces(
    out: StoreOut,
    sources: Sources = None,
    encoder: FaceEncoderName = "sface",
    device: Device = "auto",
    workers: Workers = 0,
    shard_rows: ShardRows = 1024,
    append: Append = False,
    replace_changed: ReplaceChanged = False,
    summary: Summary = False,
    forget: Forget = None,
    threshold: Threshold = None,
    max_unreadable: MaxUnreadable = 0.01,
    allow_unverified_weights: Unverified = False,
    as_json: JsonFlag = False,
    quiet: QuietFlag = False,
    verbose: VerboseFlag = False,
) -> None:
    """Find, align and embed the faces of images. The store holds biometric templates: a person's data."""
    from memaudit.api.facing import find_faces, forget_faces, summarise_faces

    console = Console(as_json, quiet)
    _require_possible(sources, forget, summary=summary)
    if forget:
        _tell_forgotten(console, out, forget_faces(out, forget))
        return
    with console.progress(("embedding",)) as progress:
        if sources:
            found = find_faces(
                sources,
                out,
                encoder=encoder,
                device=device,
                workers=workers,
                shard_rows=shard_rows,
                append=append,
                replace_changed=replace_changed,
                max_unreadable=max_unreadable,
                allow_unverified_weights=allow_unverified_weights,
                summary=summary,
                threshold=threshold,
                progress=progress,
            )
            _tell_made(console, found)
        else:
            _tell_summary(console, out, summarise_faces(out, threshold=threshold, progress=progress))


def _require_possible(sources: list[str] | None, forget: list[str] | None, *, summary: bool) -> None:
    if forget and (sources or summary):
        raise UsageError("--forget only removes: leave out sources and --summary")
    if not (forget or sources or summary):
        raise UsageError("no source given: name images to find faces in, or --summary or --forget for a store that is")


def _tell_made(console: Console, found: FaceStore) -> None:
    counts, store = found.counts, found.store
    text = (
        f"{counts.faces:,} faces on {counts.with_face:,} of {counts.images:,} images, {counts.comparable:,} of them "
        f"embedded with {store.encoder.name} into {store.folder}; {counts.without_face:,} images show no face"
    )
    if not counts.faces:
        text = (
            f"No face was found on {counts.images:,} images ({counts.unreadable:,} of them unreadable): {store.folder}"
        )
    text += f"; {counts.small:,} faces are too small to be compared" if counts.small else ""
    text += f"; {counts.no_human:,} are no human's, drawn or too unclear, and not compared" if counts.no_human else ""
    text += f"; {found.skipped:,} images were passed over, as they were forgotten" if found.skipped else ""
    lines = [text, *found.not_read]
    if counts.faces:
        lines.append("The store holds biometric templates: keep it as you keep personal data, and delete it when done.")
    value: dict[str, Any] = {
        "store": str(store.folder),
        "faces": asdict(counts),
        "forgotten_skipped": found.skipped,
        "not_read": list(found.not_read),
        "biometric_templates": True,
        "encoder": store.encoder.as_dict(),
        "digest": store.digest,
    }
    if found.summary:
        value["summary"] = _values(found.summary)
        lines.append(_as_text(value["summary"]))
    console.result(value, "\n".join(lines))


def _tell_summary(console: Console, out: Path, found: FaceSummary) -> None:
    repeated = _values(found)
    console.result({"store": str(out), "summary": repeated}, _as_text(repeated))


def _tell_forgotten(console: Console, out: Path, done: Forgotten) -> None:
    text = [f"{len(done.removed):,} rows removed from {out}: {', '.join(done.removed) or 'none'}"]
    if done.already:
        text.append(f"Forgotten before: {', '.join(done.already)}")
    if done.alike:
        text.append(
            f"Still there, and alike as one person's faces are: {', '.join(done.alike)} (forget them too, if they show "
            "the same person)"
        )
    if done.pictures:
        text.append(f"{len(done.pictures):,} of their pictures deleted: {', '.join(done.pictures)}")
    if done.elsewhere:
        text.append(f"Still named or held in: {', '.join(done.elsewhere)} (make these anew, or delete them)")
    text.append(
        "Not known here: what --summary printed, copies of the store, and what was made of it elsewhere or moved since."
    )
    console.result({"store": str(out), **asdict(done)}, "\n".join(text))


def _values(found: FaceSummary) -> dict[str, Any]:
    """For --json."""
    value = asdict(found)
    recall = value.pop("recall_by_pair")
    if not found.faces:
        return {name: value[name] for name in ("threshold", "faces", "repeated", "persons")} | {"repeated": []}
    return {**value, "recall_by_pair": recall, "repeated": list(value["repeated"])}


def _as_text(summary: dict[str, Any]) -> str:
    if not summary["repeated"]:
        return f"No identity repeats among {summary['faces']:,} faces (similarity {summary['threshold']:g} or more)."
    rows = [("faces", "images", "quality", "the best face", "weakest link")]
    rows += [
        (str(i["faces"]), str(i["images"]), f"{i['quality']:.2f}", i["example"], f"{i['weakest']:.3f}")
        for i in summary["repeated"]
    ]
    head = (
        f"{summary['repeated_persons']:,} of {summary['persons']:,} identities are there more than once (similarity "
        f"{summary['threshold']:g} or more links two faces). The most repeated, which a model is likeliest to learn:"
    )
    return f"{head}\n{table(rows)}"
