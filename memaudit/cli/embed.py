"""memaudit embed."""

from __future__ import annotations

from typing import Annotated

import typer

from memaudit.cli.console import Console, JsonFlag, QuietFlag, VerboseFlag
from memaudit.cli.options import (
    DEFAULT_ENCODER,
    BatchSize,
    Device,
    EncoderName,
    MaxUnreadable,
    OutPath,
    ShardRows,
    Unverified,
    Workers,
    require_readable,
)

Sources = Annotated[
    list[str], typer.Argument(metavar="SOURCE...", help="Folders, images, manifests, tars, tables; or URLs of them.")
]  # str, because a Path would make memory:/x of memory://x
Append = Annotated[
    bool, typer.Option("--append", help="Add the sources' new images to a finished store made from others.")
]
ReplaceChanged = Annotated[
    bool, typer.Option("--replace-changed", help="Write the store anew from the first image on that has changed.")
]
NoReuse = Annotated[
    bool, typer.Option("--no-reuse", help="Embed every image, even if the store has one with the same file hash.")
]
Tiles = Annotated[
    bool, typer.Option("--tiles", help="Embed parts of each image as well, so that an audit finds copies of details.")
]
FineTiles = Annotated[
    bool,
    typer.Option("--fine-tiles", help="With --tiles, 100 small parts of each image too: audits find details by them."),
]


def embed(
    sources: Sources,
    out: OutPath,
    encoder: EncoderName = None,
    device: Device = "auto",
    workers: Workers = 0,
    batch_size: BatchSize = 16,
    shard_rows: ShardRows = 8192,
    append: Append = False,
    replace_changed: ReplaceChanged = False,
    no_reuse: NoReuse = False,
    tiles: Tiles = False,
    fine_tiles: FineTiles = False,
    max_unreadable: MaxUnreadable = 0.01,
    allow_unverified_weights: Unverified = False,
    as_json: JsonFlag = False,
    quiet: QuietFlag = False,
    verbose: VerboseFlag = False,
) -> None:
    """Embed images into a store. Run again after a kill, it continues."""
    from memaudit.embedding.run import EmbedOptions, embed_with_views
    from memaudit.embedding.windows import DETAILS, TILES, window_counts
    from memaudit.encoders import load_encoder
    from memaudit.images import views

    console = Console(as_json, quiet)
    loaded = load_encoder(encoder or DEFAULT_ENCODER, device=device, allow_unverified_weights=allow_unverified_weights)
    options = EmbedOptions(batch_size=batch_size, workers=workers, shard_rows=shard_rows, reuse=not no_reuse)
    every = {TILES: views.tiles() if tiles or fine_tiles else (), DETAILS: views.details() if fine_tiles else ()}
    kinds = {name: of_kind for name, of_kind in every.items() if of_kind}
    with console.progress() as progress:
        store, made = embed_with_views(
            sources,
            out,
            loaded,
            {out / name: of_kind for name, of_kind in kinds.items()},
            options,
            append=append,
            replace_changed=replace_changed,
            progress=progress,
        )
    windows = dict(zip(kinds, made, strict=True))
    for embedded in (store, *(each.store for each in windows.values())):
        require_readable(embedded, max_unreadable)
    coverage, counts = store.coverage, {name: window_counts(each) for name, each in windows.items()}
    console.result(
        {
            "store": str(out),
            "images": coverage.as_dict(),
            "encoder": store.encoder.as_dict(),
            "digest": store.digest,
            **{name: count._asdict() for name, count in counts.items()},
        },
        f"{coverage.measured:,} of {coverage.total:,} images embedded with {store.encoder.name} into {out}"
        + "".join(f"\n{name}: {count}" for name, count in counts.items()),
    )
