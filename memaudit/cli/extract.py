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
    Path | None, typer.Option("--pairing", help="CSV or JSON lines that say which prompt a generation was made from.")
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
    from memaudit.audit.pairing import PROMPT_KEYS, compiled_pattern, read_pairing
    from memaudit.errors import EmptyInputError, InconclusiveError
    from memaudit.extraction.run import ExtractOptions, require_possible
    from memaudit.extraction.run import extract as run
    from memaudit.images.sources import iter_images
    from memaudit.report.document import start_run
    from memaudit.report.extraction import write_extraction
    from memaudit.report.inconclusive import write_inconclusive

    console = Console(as_json, quiet)
    options = ExtractOptions(threshold, clique, max_unreadable)
    require_possible(options)
    pattern = compiled_pattern(prompt_pattern, "--prompt-pattern", PROMPT_KEYS) if prompt_pattern else None
    named = read_pairing(pairing) if pairing else None
    start_run(out, "extraction")
    try:
        with console.progress() as progress:
            result = run(iter_images([generations], contents=False), pattern, named, options, progress)
    except (InconclusiveError, EmptyInputError) as error:
        write_inconclusive("extraction", str(error), out)
        raise InconclusiveError(f"inconclusive: {error}") from None
    report = write_extraction(result, out)
    console.result(report.content, f"{report.results.headline}\nReport: {out / 'report.html'}")
    if result.inconclusive:
        raise typer.Exit(InconclusiveError.exit_code)
