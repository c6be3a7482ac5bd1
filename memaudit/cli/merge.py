"""memaudit merge."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from memaudit.cli.console import Console, JsonFlag, QuietFlag, VerboseFlag
from memaudit.cli.made_store import store_values
from memaudit.cli.options import OutPath

Stores = Annotated[list[Path], typer.Argument(metavar="STORE...", help="Stores by one encoder, or the parts of a set.")]


def merge(
    stores: Stores,
    out: OutPath,
    as_json: JsonFlag = False,
    quiet: QuietFlag = False,
    verbose: VerboseFlag = False,
) -> None:
    """Make one store of several; their shards become its own, and nothing is computed again."""
    from memaudit.api.stores import merge_stores

    console = Console(as_json, quiet)
    with console.progress(("joining shards",)) as progress:
        made = merge_stores(stores, out, progress=progress)
    console.result(
        {**store_values(made), "not_read": list(made.not_read)},
        f"{len(made):,} images of {len(stores):,} stores in {out}" + "".join(f"\n{line}" for line in made.not_read),
    )
