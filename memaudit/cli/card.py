"""memaudit card."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from memaudit.cli.console import Console, JsonFlag, QuietFlag, VerboseFlag

Sources = Annotated[
    list[Path], typer.Argument(metavar="RUN|REPORT.json|STORE|EXPORT...", help="What the card is made from.")
]
To = Annotated[str, typer.Option("--to", help="model-index, croissant, cyclonedx, art53 or ab2013.")]
CardFile = Annotated[Path, typer.Option("--out", help="The card: a file, which is replaced.")]
Model = Annotated[str, typer.Option("--model", help="Name of the model.", show_default="as the audits say it")]
TrainingSet = Annotated[
    str, typer.Option("--training-set", help="Name of the training set.", show_default="as the reports say it")
]


def card(
    sources: Sources,
    to: To,
    out: CardFile,
    model: Model = "",
    training_set: TrainingSet = "",
    as_json: JsonFlag = False,
    quiet: QuietFlag = False,
    verbose: VerboseFlag = False,
) -> None:
    """Write what others want to be told, in their form: figures with intervals, and what is left to the provider."""
    from memaudit.api.carding import write_card

    made = write_card(list[object](sources), out, to=to, model=model, training_set=training_set)  # type: ignore[arg-type]
    lines = [
        f"{made.path}: {made.to}",
        *made.warnings,
        *(f"To be filled in by the provider: {each}." for each in made.to_fill),
    ]
    Console(as_json, quiet).result(made.as_dict(), "\n".join(lines))
