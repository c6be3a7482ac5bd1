"""memaudit import."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from memaudit.cli.console import Console, JsonFlag, QuietFlag, VerboseFlag
from memaudit.cli.options import MaxUnreadable, OutPath, ShardRows, require_readable

Embeddings = Annotated[
    Path, typer.Argument(metavar="EMBEDDINGS", help="A .npy file (rows, dim), or clip-retrieval's folder.")
]
Ids = Annotated[
    Path | None, typer.Option("--ids", help="image_ids of a .npy file, in its order: a text file or a Parquet table.")
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
    from memaudit.embedding.importing import Part, clip_retrieval_parts, dimension_of, import_embeddings
    from memaudit.errors import UsageError
    from memaudit.similarity.exact import require_threshold
    from memaudit.types import EncoderSpec

    console = Console(as_json, quiet)
    require_threshold(threshold)
    if embeddings.is_dir() == (ids is not None):
        raise UsageError("give --ids with a .npy file, and only then: clip-retrieval's folder holds its own")
    parts = [Part(embeddings, ids)] if ids else clip_retrieval_parts(embeddings)
    spec = EncoderSpec(
        encoder,
        weights_sha256,
        preprocessing,
        dimension_of(parts),
        threshold,
        "given when the embeddings were imported",
    )
    with console.progress() as progress:
        store = import_embeddings(parts, out, spec, shard_rows=shard_rows, progress=progress)
    require_readable(store, max_unreadable)
    coverage = store.coverage
    console.result(
        {"store": str(out), "images": coverage.as_dict(), "encoder": store.encoder.as_dict(), "digest": store.digest},
        f"{coverage.measured:,} of {coverage.total:,} embeddings of {encoder} imported into {out}",
    )
