"""memaudit plan dedup, embed, index and audit: what work takes, before it is begun."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from memaudit.api.defaults import DEFAULT_ENCODER, DEFAULT_VIEWS
from memaudit.cli.audit import Planted
from memaudit.cli.console import Console, JsonFlag, QuietFlag, VerboseFlag
from memaudit.cli.dedup import Keep
from memaudit.cli.embed import Features, FineTiles, Tiles
from memaudit.cli.options import EncoderName, Match
from memaudit.cli.plan import app as app
from memaudit.cli.planned import tell

if TYPE_CHECKING:
    from memaudit.api.costing import Machines

StorePath = Annotated[
    Path | None,
    typer.Argument(metavar="[STORE]", help="The store, or one of a random sample of the --rows.", show_default=False),
]
Rows = Annotated[str | None, typer.Option("--rows", metavar="N", help="Images: 400k, 40M.", show_default="the store's")]
GivenRows = Annotated[str, typer.Option("--rows", metavar="N", help="Images: 400k, 40M.")]
Dim = Annotated[int | None, typer.Option("--dim", help="Numbers of an embedding.", show_default="the store's, or 512")]
Cores = Annotated[int | None, typer.Option("--cores", help="Of a machine.", show_default="as here")]
Memory = Annotated[
    str | None, typer.Option("--memory", metavar="SIZE", help="Of a machine: 64G.", show_default="as here")
]
Count = Annotated[int, typer.Option("--machines", help="How many there are.")]
Gpus = Annotated[int, typer.Option("--gpus", help="Of a machine.")]
Gpu = Annotated[str, typer.Option("--gpu", metavar="NAME", help="Which: h100, h200 or a100.")]
Price = Annotated[float | None, typer.Option("--price", help="Of a machine and hour.", show_default="none")]
Within = Annotated[
    str | None, typer.Option("--within", metavar="TIME", help="That it may take: 90m, 6h.", show_default="any")
]
Exhaustive = Annotated[bool, typer.Option("--exhaustive", help="Every image with every other.")]
Pairs = Annotated[
    float | None, typer.Option("--pairs", help="Near-duplicate pairs for each image.", show_default="the store's, or 2")
]
Recipe = Annotated[str, typer.Option("--recipe", help="As of memaudit index.")]
HeldOut = Annotated[
    str | None, typer.Option("--control", metavar="N", help="Held-out images: how many.", show_default="none")
]
Generations = Annotated[str, typer.Option("--generations", metavar="N", help="How many: 50k.")]
Views = Annotated[str, typer.Option("--views", help="Of training images, as of memaudit audit.")]


@app.command("dedup")
def dedup(
    store: StorePath = None,
    rows: Rows = None,
    dim: Dim = None,
    exhaustive: Exhaustive = False,
    pairs: Pairs = None,
    keep: Keep = "cleanest",
    match: Match = "auto",
    cores: Cores = None,
    memory: Memory = None,
    machines: Count = 1,
    gpus: Gpus = 0,
    gpu: Gpu = "h100",
    price: Price = None,
    within: Within = None,
    as_json: JsonFlag = False,
    quiet: QuietFlag = False,
    verbose: VerboseFlag = False,
) -> None:
    """Say what a dedup run takes: time, memory, disk, money; computed, not run."""
    from memaudit.api.costing import plan_dedup

    there = _machines(cores, memory, machines, gpus, gpu, price, within)
    how = {"keep": keep, "match": match}
    found = plan_dedup(rows, dim=dim, store=store, exhaustive=exhaustive, pairs=pairs, **how, machines=there)
    tell(found, Console(as_json, quiet))


@app.command("embed")
def embed(
    rows: GivenRows,
    dim: Annotated[int, typer.Option("--dim", help="Numbers of an embedding.")] = 512,
    encoder: EncoderName = None,
    tiles: Tiles = False,
    fine_tiles: FineTiles = False,
    features: Features = False,
    cores: Cores = None,
    memory: Memory = None,
    machines: Count = 1,
    gpus: Gpus = 0,
    gpu: Gpu = "h100",
    price: Price = None,
    within: Within = None,
    as_json: JsonFlag = False,
    quiet: QuietFlag = False,
    verbose: VerboseFlag = False,
) -> None:
    """Say what embedding takes, on one machine or in parts on several; computed, not run."""
    from memaudit.api.costing import plan_embed

    there = _machines(cores, memory, machines, gpus, gpu, price, within)
    made_too = {"tiles": tiles, "fine_tiles": fine_tiles, "features": features}
    found = plan_embed(rows, dim=dim, encoder=encoder or DEFAULT_ENCODER, **made_too, machines=there)
    tell(found, Console(as_json, quiet))


@app.command("index")
def index(
    store: StorePath = None,
    rows: Rows = None,
    dim: Dim = None,
    recipe: Recipe = "auto",
    cores: Cores = None,
    memory: Memory = None,
    machines: Count = 1,
    gpus: Gpus = 0,
    gpu: Gpu = "h100",
    price: Price = None,
    within: Within = None,
    as_json: JsonFlag = False,
    quiet: QuietFlag = False,
    verbose: VerboseFlag = False,
) -> None:
    """Say what building an index takes; computed, not run."""
    from memaudit.api.costing import plan_index

    there = _machines(cores, memory, machines, gpus, gpu, price, within)
    tell(plan_index(rows, dim=dim, store=store, recipe=recipe, machines=there), Console(as_json, quiet))


@app.command("audit")
def audit(
    generations: Generations,
    store: StorePath = None,
    rows: Rows = None,
    dim: Dim = None,
    views: Views = DEFAULT_VIEWS,
    control: HeldOut = None,
    planted: Planted = None,
    cores: Cores = None,
    memory: Memory = None,
    machines: Count = 1,
    gpus: Gpus = 0,
    gpu: Gpu = "h100",
    price: Price = None,
    within: Within = None,
    as_json: JsonFlag = False,
    quiet: QuietFlag = False,
    verbose: VerboseFlag = False,
) -> None:
    """Say what an audit takes of so many generations; computed, not run."""
    from memaudit.api.costing import plan_audit

    there = _machines(cores, memory, machines, gpus, gpu, price, within)
    found = plan_audit(
        generations, rows, dim=dim, store=store, views=views, control=control, planted=planted, machines=there
    )
    tell(found, Console(as_json, quiet))


def _machines(
    cores: int | None,
    memory: str | None,
    count: int,
    gpus: int,
    gpu: str,
    price: float | None,
    within: str | None,
) -> Machines:
    from memaudit.api.costing import Machines

    return Machines(cores, memory, count, gpus, gpu, price, within)
