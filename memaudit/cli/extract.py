"""memaudit extract."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from memaudit.cli.console import Console, JsonFlag, QuietFlag, VerboseFlag, table
from memaudit.cli.options import MaxUnreadable, OutPath
from memaudit.errors import UsageError

if TYPE_CHECKING:
    from memaudit.api.searching import SearchRun

Generations = Annotated[
    str,
    typer.Argument(
        metavar="GENERATIONS", help="What the model made, many images of each prompt; or pictures, with --pipeline."
    ),
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
Pipeline = Annotated[
    Path | None,
    typer.Option("--pipeline", help="Folder of a diffusers pipeline that is searched for the pictures."),
]
HeldOut = Annotated[
    str | None, typer.Option("--held-out", help="With --pipeline: pictures like these that the model never saw.")
]
Steps = Annotated[int | None, typer.Option("--steps", help="With --pipeline: steps of a search.", show_default="100")]
Vectors = Annotated[int | None, typer.Option("--vectors", help="With --pipeline: vectors fitted.", show_default="8")]
Draws = Annotated[int | None, typer.Option("--draws", help="With --pipeline: drawings of each.", show_default="4")]
Seed = Annotated[int | None, typer.Option("--seed", help="With --pipeline: of all noises.", show_default="0")]
SearchDevice = Annotated[
    str | None, typer.Option("--device", help="With --pipeline: auto, cpu, cuda or cuda:N.", show_default="auto")
]
_LISTED = 20


def extract(
    generations: Generations,
    out: OutPath,
    prompt_pattern: PromptPattern = None,
    pairing: PairingFile = None,
    threshold: Distance = 0.15,
    clique: Clique = 10,
    pipeline: Pipeline = None,
    held_out: HeldOut = None,
    steps: Steps = None,
    vectors: Vectors = None,
    draws: Draws = None,
    seed: Seed = None,
    device: SearchDevice = None,
    max_unreadable: MaxUnreadable = 0.01,
    as_json: JsonFlag = False,
    quiet: QuietFlag = False,
    verbose: VerboseFlag = False,
) -> None:
    """Find prompts that give one picture again and again, without a training set; or, with --pipeline, whether a model
    holds pictures, whatever the prompt. Exit code 3: it could not be measured."""
    from memaudit.api.extracting import run_extract

    console = Console(as_json, quiet)
    told = {"steps": steps, "vectors": vectors, "draws": draws, "seed": seed, "device": device}
    searched = {name: value for name, value in told.items() if value is not None}
    if pipeline is not None:
        if held_out is None:
            raise UsageError("--pipeline needs --held-out, pictures like these that the model never saw")
        if prompt_pattern or pairing:
            raise UsageError("--prompt-pattern and --pairing are of generations: leave them out with --pipeline")
        _search(console, generations, pipeline, held_out, out, searched, max_unreadable)
        return
    if searched or held_out is not None:
        raise UsageError("--held-out, --steps, --vectors, --draws, --seed and --device need --pipeline")
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


def _search(
    console: Console,
    pictures: str,
    pipeline: Path,
    held_out: str,
    out: Path,
    budget: Mapping[str, int | str],
    max_unreadable: float,
) -> None:
    from memaudit.api.searching import run_search

    with console.progress(("searching",)) as progress:
        run = run_search(
            pictures,
            pipeline,
            held_out,
            out,
            steps=int(budget.get("steps", 100)),
            vectors=int(budget.get("vectors", 8)),
            draws=int(budget.get("draws", 4)),
            seed=int(budget.get("seed", 0)),
            device=str(budget.get("device", "auto")),
            max_unreadable=max_unreadable,
            progress=progress,
        )
    console.result(run.as_dict(), "\n".join(_lines(run)), conclusive=run.conclusive)


def _lines(run: SearchRun) -> Iterator[str]:
    rows = [("picture", "rank", "p", "q", "loss", "drawn at")]
    for each in run.pictures[:_LISTED]:
        distance = "" if each.picture.distance is None else f"{each.picture.distance:.3f}"
        figures = (f"{each.rank:,}", f"{each.p:.3g}", f"{each.q:.3g}", f"{each.picture.loss:.4g}", distance)
        rows.append((each.picture.image_id, *figures))
    yield f"{run.headline}, by rank among {len(run.held_out):,} held-out ones."
    yield table(rows)
    if run.repeats:
        yield f"{run.repeats}."
    yield from (f"Inconclusive: {line}" for line in run.warnings)
    yield f"Page: {run.page}"
