"""memaudit index."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from memaudit.cli.console import Console, JsonFlag, QuietFlag, VerboseFlag
from memaudit.cli.options import OutPath
from memaudit.cli.planned import DryRun, tell

StorePaths = Annotated[
    list[Path],
    typer.Argument(metavar="STORE...", help="A store made by memaudit embed; several are joined, in OUT-store."),
]
RecipeName = Annotated[
    str | None,
    typer.Option(
        "--recipe",
        help="auto, a recipe (indexes/README.md), your own NAME.toml, or a FAISS factory string.",
        show_default="auto",
    ),
]
Update = Annotated[bool, typer.Option("--update", help="Add what the store has got since, without building anew.")]


def index(
    stores: StorePaths,
    out: OutPath,
    recipe: RecipeName = None,
    update: Update = False,
    dry_run: DryRun = False,
    as_json: JsonFlag = False,
    quiet: QuietFlag = False,
    verbose: VerboseFlag = False,
) -> None:
    """Build a FAISS index of a store, and measure its recall. Exit code 3: it is below the recipe's floor."""
    from memaudit.api.indexes import build_index

    console = Console(as_json, quiet)
    if dry_run:
        from memaudit.api.costing import images_of_all, plan_index

        tell(plan_index(images_of_all(stores), store=stores[0], recipe=recipe or "auto"), console)
        return
    with console.progress(("training", "indexing", "measuring recall")) as progress:
        built = build_index(stores, out, recipe=recipe, update=update, progress=progress)
    console.result({"index": str(out), **built.manifest}, _text(out, built.manifest))


def _text(out: Path, manifest: dict[str, Any]) -> str:
    recall = manifest["index_recall"]
    near, search = recall["near"], manifest["search"]
    tuned = f", {search['parameter']} {search['value']}" if search["parameter"] else ""
    size = sum(file["bytes"] for file in manifest["files"])
    how = "made queries" if near["made"] else "images that have one"
    return (
        f"{manifest['rows']:,} images indexed into {out} ({manifest['chosen']})\n"
        f"recipe {manifest['recipe']} ({manifest['factory']}{tuned}), {size / 1e9:.2f} GB\n"
        f"index recall@1 of near-duplicates {near['at_1']:.4f} ({near['rows']:,} {how}, similarity >= "
        f"{near['threshold']:g}); of any nearest image recall@1 {recall['at_1']:.4f}, recall@10 {recall['at_10']:.4f} "
        f"({recall['rows']:,} images, {recall['held_out']:,} held out)"
    )
