"""memaudit extract."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from memaudit.cli.console import Console, JsonFlag, QuietFlag, VerboseFlag
from memaudit.cli.options import MaxUnreadable, OutPath

Generations = Annotated[
    str, typer.Argument(metavar="GENERATIONS", help="What the model made, many images of each prompt.")
]
PromptPattern = Annotated[
    str | None, typer.Option("--prompt-pattern", help="How generations are named, say {prompt}/{seed}.png.")
]
PairingFile = Annotated[
    Path | None, typer.Option("--pairing", help="A table that says which prompt a generation was made from.")
]
Distance = Annotated[
    float, typer.Option("--threshold", help="Patched l2 distance at or below which two generations are one picture.")
]
Clique = Annotated[int, typer.Option("--clique", help="Generations, all close to each other, that make a finding.")]


def extract(
    generations: Generations,
    out: OutPath,
    prompt_pattern: PromptPattern = None,
    pairing: PairingFile = None,
    threshold: Distance = 0.15,
    clique: Clique = 10,
    max_unreadable: MaxUnreadable = 0.01,
    as_json: JsonFlag = False,
    quiet: QuietFlag = False,
    verbose: VerboseFlag = False,
) -> None:
    """Find prompts that give one picture again and again, without a training set. Exit code 3: it could not be
    measured."""
    from memaudit.api.extracting import run_extract

    console = Console(as_json, quiet)
    with console.progress(("embedding", "comparing generations of a prompt")) as progress:
        run = run_extract(
            generations,
            out,
            prompt_pattern=prompt_pattern,
            pairing=pairing,
            threshold=threshold,
            clique=clique,
            max_unreadable=max_unreadable,
            progress=progress,
        )
    said = "".join(f"\nNot looked at: {line}." for line in (run.results.not_read if run.results else ()))
    console.result(run.report.content, f"{run.headline}{said}\nReport: {run.page}")
    console.end(conclusive=run.conclusive)
