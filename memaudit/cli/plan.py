"""memaudit plan sample."""

from __future__ import annotations

from typing import Annotated

import typer

from memaudit.cli.console import Console, JsonFlag, QuietFlag, VerboseFlag, table

app = typer.Typer(help="Say what it takes, before anything is generated.")


def share(given: str | float) -> float:
    """`0.1%` or `0.001`, or a default."""
    text = str(given)
    try:
        return float(text[:-1]) / 100 if text.endswith("%") else float(text)
    except ValueError:
        raise typer.BadParameter(f"{text!r} is no share: expected 0.1% or 0.001") from None


Rate = Annotated[
    float, typer.Option("--rate", parser=share, metavar="SHARE", help="Share of prompts to be shown: 0.1% or 0.001.")
]
Seeds = Annotated[int, typer.Option("--seeds", help="Generations of each prompt.")]
Recall = Annotated[
    float,
    typer.Option("--recall", parser=share, metavar="SHARE", help="Share of the hardest copies that is found."),
]
Planted = Annotated[
    int | None,
    typer.Option(
        "--planted",
        help="Altered copies that the audit plants; 0: the recall is taken for known.",
        show_default="as many as audit plants",
    ),
]
Confidence = Annotated[
    float, typer.Option("--confidence", parser=share, metavar="SHARE", help="Of the one-sided upper bound.")
]


@app.callback()
def plan() -> None:
    """Say what it takes, before anything is generated."""


@app.command("sample")
def sample(
    rate: Rate,
    seeds: Seeds = 1,
    recall: Recall = 1.0,
    confidence: Confidence = 0.95,
    planted: Planted = None,
    as_json: JsonFlag = False,
    quiet: QuietFlag = False,
    verbose: VerboseFlag = False,
) -> None:
    """Say how many prompts, generations, held-out images and altered copies show a rate."""
    from memaudit.api.planning import plan_sample

    found = plan_sample(rate, seeds=seeds, recall=recall, confidence=confidence, planted=planted)
    rows = [
        ("prompts, if none gives an image back", f"{found.prompts:,}"),
        ("prompts, if one does, or two", f"{found.with_one:,}, {found.with_two:,}"),
        (f"generations, {seeds:,} of each prompt", f"{found.generations:,}"),
        ("held-out images, of as many families", f"{found.controls:,}"),
        ("held-out images, for one generation alone to stand out", f"{found.controls_for_one:,}"),
        ("altered copies that the audit plants", f"{found.copies:,}"),
    ]
    Console(as_json, quiet).result(found.as_dict(), table(rows))
