"""memaudit index."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from memaudit.cli.console import Console, JsonFlag, QuietFlag, VerboseFlag
from memaudit.cli.options import OutPath

StorePath = Annotated[Path, typer.Argument(metavar="STORE", help="A store made by memaudit embed.")]
RecipeName = Annotated[str, typer.Option("--recipe", help="A recipe of indexes/recipes.")]


def index(
    store: StorePath,
    out: OutPath,
    recipe: RecipeName = "flat",
    as_json: JsonFlag = False,
    quiet: QuietFlag = False,
    verbose: VerboseFlag = False,
) -> None:
    """Build a FAISS index of a store, and measure its recall."""
    from memaudit.index import build_index
    from memaudit.store import Store

    console = Console(as_json, quiet)
    with console.progress() as progress:
        built = build_index(Store.open(store), out, recipe, progress)
    recall = built.manifest["index_recall"]
    console.result(
        {"index": str(out), **built.manifest},
        f"{built.manifest['rows']:,} images indexed into {out} (recipe {recipe}, index recall@1 {recall['at_1']:.4f}, "
        f"recall@10 {recall['at_10']:.4f}, measured on {recall['rows']:,} images)",
    )
