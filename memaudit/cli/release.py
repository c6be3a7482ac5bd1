"""memaudit run, memaudit init."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from memaudit.cli.console import Console, JsonFlag, QuietFlag, VerboseFlag, table

if TYPE_CHECKING:
    from memaudit.api.releasing import ReleaseRun

RunFile = Annotated[
    Path, typer.Argument(metavar="RELEASE.toml", help="What is trained on, what generates, what must hold.")
]
Out = Annotated[Path | None, typer.Option("--out", help="Folder of everything.", show_default="as the file says")]
DryRun = Annotated[bool, typer.Option("--dry-run", help="Print the stages and what is to be done in each; do nothing.")]
Folder = Annotated[Path, typer.Argument(metavar="DIR", help="Folder that gets release.toml and the policy.")]
Training = Annotated[str, typer.Option("--training", help="Images of the training set, or a store of them.")]
Control = Annotated[
    str, typer.Option("--control", help="Held-out images that were never trained on; none: no control.")
]
Generations = Annotated[str, typer.Option("--generations", help="Images that were generated already.")]
Command = Annotated[str, typer.Option("--command", help="Or what generates: a command with {jobs} and {out}.")]
ModelName = Annotated[str, typer.Option("--model", help="Name and version of the model.")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Ask nothing: what no option says is the default.")]


def run(
    file: RunFile,
    out: Out = None,
    dry_run: DryRun = False,
    as_json: JsonFlag = False,
    quiet: QuietFlag = False,
    verbose: VerboseFlag = False,
) -> None:
    """Do a whole pre-release check: embed, dedup, prompts, generate, audit, gate. Exit codes are those of the gate."""
    from memaudit.api.releasing import plan_release, run_release

    console = Console(as_json, quiet)
    if dry_run:
        stages = plan_release(file, out)
        value = {"stages": [{"stage": stage, "what": what} for stage, what in stages]}
        console.result(value, table([("stage", "what is to be done"), *stages]))
        return
    with console.progress() as progress:
        done = run_release(file, out, progress=progress, tell=console.tell)
    console.result(done.as_dict(), "\n".join(_lines(done)))
    raise typer.Exit(done.verdict.exit_code)


def _lines(done: ReleaseRun) -> Iterator[str]:
    from memaudit.api.gating import Verdict, plain

    for rule in done.gate.rules:
        if rule.outcome != Verdict.PASS:
            yield f"{rule.outcome} {rule.rule}: {plain(rule.sentence)}"
    yield from (f"Inconclusive: {plain(reason)}." for reason in done.reasons)
    yield f"\nPage: {done.page}"
    if done.evidence:
        yield f"Bundle: {done.evidence.path}, {'signed' if done.evidence.signers else 'not signed'}"
    yield f"Verdict: {done.verdict}"


def init(
    folder: Folder,
    training: Training = "",
    generations: Generations = "",
    command: Command = "",
    control: Control = "",
    model: ModelName = "",
    yes: Yes = False,
    as_json: JsonFlag = False,
    quiet: QuietFlag = False,
    verbose: VerboseFlag = False,
) -> None:
    """Write release.toml, and the default policy beside it, by five questions or the options."""
    from memaudit.api.starting import start_release

    def asked(given: str, question: str, default: str) -> str:
        return (
            given
            if given or yes
            else str(typer.prompt(question, default=default, show_default=bool(default), err=True))
        )

    training = asked(training, "Images of the training set, or a store", "training")
    if not command:
        generations = asked(
            generations, "Generations that are there already (empty: a command makes them)", "generations"
        )
    if not generations:
        command = asked(command, "The command, with {jobs} and {out}", "")
    control = asked(control, "Held-out images (empty: none)", "")
    model = asked(model, "Name and version of the model", "")
    path = start_release(
        folder, training=training, generations=generations, command=command, control=control, model=model
    )
    console = Console(as_json, quiet)
    console.result(
        {"file": str(path)},
        f"{path} is written, and {path.parent / 'memaudit.toml'} with all limits: memaudit run {path}",
    )
