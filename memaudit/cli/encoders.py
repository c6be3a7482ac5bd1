"""memaudit encoders list, memaudit encoders fetch."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated

import typer

from memaudit.cli.console import Console, JsonFlag, QuietFlag, VerboseFlag, table

app = typer.Typer(help="List the encoders; fetch the weights of one.")


@app.command("list")
def list_(as_json: JsonFlag = False, quiet: QuietFlag = False, verbose: VerboseFlag = False) -> None:
    """List the encoders and whether their weights are here."""
    from memaudit.api.encoders import list_encoders

    rows = list_encoders()
    cells = [(r.name, r.purpose, str(r.dim or ""), f"{r.threshold:g}", r.licence, r.weights, r.where) for r in rows]
    header = ("encoder", "for", "dim", "threshold", "licence", "weights", "")
    Console(as_json, quiet).result({"encoders": [asdict(row) for row in rows]}, table([header, *cells]))


@app.command("fetch")
def fetch(
    name: Annotated[str, typer.Argument(metavar="NAME", help="An encoder of memaudit encoders list.")],
    as_json: JsonFlag = False,
    quiet: QuietFlag = False,
    verbose: VerboseFlag = False,
) -> None:
    """Fetch the weights of an encoder into the cache and verify them."""
    from memaudit.api.encoders import fetch_encoder

    path = fetch_encoder(name)
    Console(as_json, quiet).result({"encoder": name, "weights": str(path)}, f"Weights of {name}: {path}")
