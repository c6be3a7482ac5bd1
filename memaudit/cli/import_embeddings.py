"""memaudit import."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from memaudit.cli.console import Console, JsonFlag, QuietFlag, VerboseFlag
from memaudit.cli.made_store import store_values
from memaudit.cli.options import MaxUnreadable, OutPath, ShardRows

Embeddings = Annotated[
    Path, typer.Argument(metavar="EMBEDDINGS", help="A .npy file (rows, dim), or clip-retrieval's folder.")
]
Ids = Annotated[
    Path | None, typer.Option("--ids", help="image_ids of a .npy file, in its order: a text file or a table.")
]
Name = Annotated[str, typer.Option("--encoder", help="What made the embeddings, as it shall be recorded.")]
Weights = Annotated[str, typer.Option("--weights-sha256", help="sha256 of that encoder's weights.")]
Preprocessing = Annotated[str, typer.Option("--preprocessing", help="How that encoder prepared the images.")]
Threshold = Annotated[float, typer.Option("--threshold", help="The default threshold to record with the store.")]


def import_(
    embeddings: Embeddings,
    encoder: Name,
    out: OutPath,
    threshold: Threshold,
    ids: Ids = None,
    weights_sha256: Weights = "",
    preprocessing: Preprocessing = "as recorded by the user",
    shard_rows: ShardRows = 8192,
    max_unreadable: MaxUnreadable = 0.01,
    as_json: JsonFlag = False,
    quiet: QuietFlag = False,
    verbose: VerboseFlag = False,
) -> None:
    """Make a store of ready embeddings, with the encoder's identity as you give it."""
    from memaudit.api.stores import import_embeddings

    console = Console(as_json, quiet)
    with console.progress(("importing",)) as progress:
        made = import_embeddings(
            embeddings,
            out,
            encoder=encoder,
            threshold=threshold,
            ids=ids,
            weights_sha256=weights_sha256,
            preprocessing=preprocessing,
            shard_rows=shard_rows,
            max_unreadable=max_unreadable,
            progress=progress,
        )
    of_all = f"{made.coverage.measured:,} of {made.coverage.total:,}"
    console.result(store_values(made), f"{of_all} embeddings of {encoder} imported into {out}")
