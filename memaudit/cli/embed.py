"""memaudit embed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, NoReturn, TypedDict

import typer

from memaudit.api.defaults import DEFAULT_ENCODER
from memaudit.cli.console import Console, JsonFlag, QuietFlag, VerboseFlag
from memaudit.cli.made_store import store_values
from memaudit.cli.options import (
    BatchSize,
    Device,
    EncoderName,
    ExecutorName,
    MaxUnreadable,
    OutPath,
    ShardRows,
    Unverified,
    Workers,
)
from memaudit.cli.planned import DryRun, tell

if TYPE_CHECKING:
    from memaudit.api.stores import MadeStore

Sources = Annotated[
    list[str], typer.Argument(metavar="SOURCE...", help="Folders, images, manifests, tars, tables; or URLs of them.")
]  # str, because a Path would make memory:/x of memory://x
Part = Annotated[
    str | None,
    typer.Option("--part", metavar="I/N", help="2/5: the second of five parts; memaudit merge makes one of them."),
]
Append = Annotated[
    bool, typer.Option("--append", help="Add the sources' new images to a finished store made from others.")
]
ReplaceChanged = Annotated[
    bool,
    typer.Option(
        "--replace-changed",
        help="Write the store anew from the first changed image on; take over other captions and columns.",
    ),
]
NoReuse = Annotated[
    bool, typer.Option("--no-reuse", help="Embed every image, even if the store has one with the same file hash.")
]
Tiles = Annotated[
    bool, typer.Option("--tiles", help="Embed parts of each image as well, so that an audit finds copies of details.")
]
FineTiles = Annotated[
    bool,
    typer.Option("--fine-tiles", help="Tiles, and 100 small parts of each image: audits find details by them."),
]
Features = Annotated[
    bool,
    typer.Option("--features", help="Keep what pixels are compared by (some 0.1 MB an image): no file is read again."),
]

Devices = Annotated[
    str | None,
    typer.Option(
        "--devices",
        metavar="LIST",
        help="all cards of this machine, or cuda:0,cuda:1: a process for each embeds its part of a new store.",
        show_default="one, --device",
    ),
]


class _MadeToo(TypedDict):
    tiles: bool
    fine_tiles: bool
    features: bool


def embed(
    sources: Sources,
    out: OutPath,
    encoder: EncoderName = None,
    device: Device = "auto",
    workers: Workers = 0,
    batch_size: BatchSize = 16,
    shard_rows: ShardRows = 8192,
    part: Part = None,
    append: Append = False,
    replace_changed: ReplaceChanged = False,
    no_reuse: NoReuse = False,
    tiles: Tiles = False,
    fine_tiles: FineTiles = False,
    features: Features = False,
    max_unreadable: MaxUnreadable = 0.01,
    allow_unverified_weights: Unverified = False,
    executor: ExecutorName = None,
    devices: Devices = None,
    dry_run: DryRun = False,
    as_json: JsonFlag = False,
    quiet: QuietFlag = False,
    verbose: VerboseFlag = False,
) -> None:
    """Embed images into a store. Run again after a kill, it continues."""
    from memaudit.api.stores import embed as run

    console = Console(as_json, quiet)
    made_too: _MadeToo = {"tiles": tiles, "fine_tiles": fine_tiles, "features": features}
    if dry_run:
        _tell_plan(sources, part, encoder or DEFAULT_ENCODER, made_too, console)
    with console.progress(("embedding",)) as progress:
        made = run(
            *(sources, out),
            encoder=encoder or DEFAULT_ENCODER,
            device=device,
            workers=workers,
            batch_size=batch_size,
            shard_rows=shard_rows,
            part=part,
            append=append,
            replace_changed=replace_changed,
            reuse=not no_reuse,
            **made_too,
            max_unreadable=max_unreadable,
            allow_unverified_weights=allow_unverified_weights,
            executor=executor,
            devices=devices,
            progress=progress,
        )
    counts = {name: count._asdict() for name, count in made.windows.items()}
    console.result({**store_values(made), **counts, "not_read": list(made.not_read)}, _said(made))


def _tell_plan(sources: list[str], part: str | None, encoder: str, made_too: _MadeToo, console: Console) -> NoReturn:
    from memaudit.api.costing import images_in, plan_embed

    tell(plan_embed(images_in(sources, part), encoder=encoder, **made_too), console)
    raise typer.Exit


def _said(made: MadeStore) -> str:
    return (
        f"{made.coverage.measured:,} of {made.coverage.total:,} images embedded with {made.encoder.name} into "
        + str(made.folder)
        + (f"; {made.blank:,} more are blank, of one colour: they are compared with nothing" if made.blank else "")
        + "".join(f"\n{name}: {count}" for name, count in made.windows.items())
        + "".join(f"\n{line}" for line in made.not_read)
    )
