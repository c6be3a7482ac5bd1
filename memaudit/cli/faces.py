"""memaudit faces."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from memaudit.cli.console import Console, JsonFlag, QuietFlag, VerboseFlag, table
from memaudit.cli.options import Device, MaxUnreadable, ShardRows, Unverified, Workers

Sources = Annotated[
    list[str] | None, typer.Argument(metavar="SOURCE...", help="What memaudit embed takes: folders, manifests, tars …")
]
StoreOut = Annotated[Path, typer.Option("--out", help="The store of faces: made, continued, summed up or cut down.")]
FaceEncoderName = Annotated[
    str, typer.Option("--encoder", help="sface, or face-onnx:PATH?side=112&scale=-1..1&order=rgb&threshold=0.6.")
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
_SHOWN = 20


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
    from memaudit.encoders.sface import resolve
    from memaudit.errors import UsageError
    from memaudit.faces.embed import FaceOptions, embed_faces

    console = Console(as_json, quiet)
    if forget:
        if sources or summary:
            raise UsageError("--forget only removes: leave out sources and --summary")
        _forget(console, out, forget)
        return
    if not sources and not summary:
        raise UsageError("no source given: name images to find faces in, or --summary or --forget for a store that is")
    value: dict[str, Any] = {"store": str(out)}
    text: list[str] = []
    if sources:
        model = resolve(encoder, device, allow_unverified_weights=allow_unverified_weights)
        options = FaceOptions(workers, shard_rows, append=append, replace_changed=replace_changed)
        with console.progress() as progress:
            store = embed_faces(sources, out, model, options, progress)
        _require_looked_at(store, max_unreadable)
        value, text = _made(store)
    if summary:
        repeated = _repeated(console, out, threshold)
        value, text = {**value, "summary": repeated}, [*text, _as_text(repeated)]
    console.result(value, "\n".join(text))


def _require_looked_at(store: Any, allowed: float) -> None:
    """As `require_readable`, by image and not by row."""
    from memaudit.cli.options import require_readable
    from memaudit.errors import InconclusiveError
    from memaudit.faces.embed import count_faces
    from memaudit.types import Coverage

    require_readable(store, 1.0)  # archives that end early
    counts = count_faces(store)
    if Coverage(counts.images - counts.unreadable, counts.images).falls_short(allowed):
        raise InconclusiveError(
            f"{counts.unreadable:,} of {counts.images:,} images could not be read, more than --max-unreadable "
            f"{allowed:g}; the store is complete: memaudit info {store.folder} lists the causes"
        )


def _made(store: Any) -> tuple[dict[str, Any], list[str]]:
    from memaudit.faces.embed import count_faces

    counts = count_faces(store)
    text = (
        f"{counts.faces:,} faces on {counts.with_face:,} of {counts.images:,} images, {counts.comparable:,} of them "
        f"embedded with {store.encoder.name} into {store.folder}; {counts.without_face:,} images show no face"
    )
    if not counts.faces:
        text = (
            f"No face was found on {counts.images:,} images ({counts.unreadable:,} of them unreadable): {store.folder}"
        )
    text += f"; {counts.small:,} faces are too small to be compared" if counts.small else ""
    lines = [text]
    if counts.faces:
        lines.append("The store holds biometric templates: keep it as you keep personal data, and delete it when done.")
    value = {
        "store": str(store.folder),
        "faces": asdict(counts),
        "biometric_templates": True,
        "encoder": store.encoder.as_dict(),
        "digest": store.digest,
    }
    return value, lines


def _forget(console: Console, out: Path, image_ids: list[str]) -> None:
    from memaudit.faces.forget import forget

    done = forget(out, image_ids)
    text = [f"{len(done.removed):,} rows removed from {out}: {', '.join(done.removed) or 'none'}"]
    if done.already:
        text.append(f"Forgotten before: {', '.join(done.already)}")
    if done.alike:
        text.append(
            f"Still there, and alike as one person's faces are: {', '.join(done.alike)} (forget them too, if they show "
            "the same person)"
        )
    text.append("Indexes, reports and copies made of the store before hold what was removed: make them anew.")
    console.result({"store": str(out), **asdict(done)}, "\n".join(text))


def _repeated(console: Console, out: Path, threshold: float | None) -> dict[str, Any]:
    """The largest groups of a dedup run over faces: the identities that a model is likeliest to learn."""
    from memaudit.dedup.run import DedupOptions, dedup
    from memaudit.errors import InputError
    from memaudit.faces.summary import repeated_identities
    from memaudit.store import FACES, Store

    store = Store.open(out)
    if store.manifest.kind != FACES:
        raise InputError(f"store {out} holds images, not faces: memaudit dedup finds what it repeats")
    if not store.comparable:
        return {"threshold": threshold or store.encoder.threshold, "faces": 0, "repeated": [], "persons": 0}
    with console.progress() as progress:
        result = dedup(store, DedupOptions(threshold=threshold, groups="components"), progress=progress)
    found = repeated_identities(store, result.decisions, _SHOWN)
    recall = result.recall.by_pair.value
    return {
        "threshold": result.threshold,
        "faces": store.comparable,
        "recall_by_pair": recall,
        "persons": found.persons,
        "repeated_persons": found.repeated,
        "repeated": [asdict(identity) for identity in found.largest],
    }


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
