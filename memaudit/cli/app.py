"""The commands' table, and the one place where errors become exit codes."""

from __future__ import annotations

import io
import sys
import traceback
from collections.abc import Callable
from copy import copy
from functools import cache
from typing import Annotated, Any, NamedTuple

import typer

from memaudit import __version__, interrupts, memory
from memaudit.cli import (
    audit,
    bundle,
    calibrate,
    canary,
    card,
    claims,
    compare,
    dedup,
    embed,
    encoders,
    export,
    extract,
    faces,
    gate,
    history,
    index,
    inspect,
    lookup,
    merge,
    plan_work,
    prompts,
    release,
    review,
    reviews,
    reweight,
    serve,
)
from memaudit.cli import filter as filters
from memaudit.cli import import_embeddings as ready
from memaudit.cli.console import harmless, print_error
from memaudit.errors import MemauditError, explaining_imports

UNDECIDED = 3  # nothing was decided: a crash must look neither like a pass nor like a finding
# Newer typers carry a click of their own, older ones import it: their own error leads to the right class
_WRONG_USAGE: type[Exception] = next(kind for kind in typer.BadParameter.__mro__ if kind.__name__ == "ClickException")

app = typer.Typer(
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    help="Memorization and regurgitation audit for image generators: dedup a training set, audit and gate a model",
)
app.command("init")(release.init)
app.command("run")(release.run)
app.command("embed")(embed.embed)
app.command("import")(ready.import_)
app.command("merge")(merge.merge)
app.command("index")(index.index)
app.command("dedup")(dedup.dedup)
app.command("export")(export.export)
app.command("reweight")(reweight.reweight)
app.command("prompts")(prompts.prompts)
app.command("audit")(audit.audit)
app.command("extract")(extract.extract)
app.command("faces")(faces.faces)
app.command("lookup")(lookup.lookup)
app.command("serve")(serve.serve)
app.command("gate")(gate.gate)
app.command("card")(card.card)
app.command("compare")(compare.compare)
app.command("history")(history.history)
app.command("review")(review.review)
app.command("bundle")(bundle.bundle)
app.command("info")(inspect.info)
app.command("verify")(inspect.verify)
app.command("doctor")(inspect.doctor)
app.add_typer(calibrate.app, name="calibrate")
app.add_typer(canary.app, name="canary")
app.add_typer(claims.app, name="claims")
app.add_typer(encoders.app, name="encoders")
app.add_typer(filters.app, name="filter")
app.add_typer(plan_work.app, name="plan")
app.add_typer(reviews.app, name="reviews")


def _print_version(wanted: bool) -> None:
    if wanted:
        print(f"memaudit {__version__}")
        raise typer.Exit


Version = Annotated[
    bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version, and end.")
]


AllowHost = Annotated[
    list[str] | None,
    typer.Option(
        metavar="HOST",
        help="Read images from this host or network too, wherever it is; again for several. Those that manifests and "
        "stores name at loopback, private and link-local addresses are not asked otherwise.",
    ),
]


@app.callback()
def _root(version: Version = False, allow_host: AllowHost = None) -> None:
    """Exit codes: 0 done or pass, 1 gate failed, 2 wrong usage or unreadable input, 3 inconclusive, 130 interrupted."""
    if allow_host:
        from memaudit.api.hosts import allow_hosts

        allow_hosts(allow_host)


def main() -> int:
    """Run the command of the arguments, and return its exit code."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # a path may hold what the terminal's encoding does not
    return run(sys.argv[1:])


@cache
def _command(name: str) -> Callable[..., object]:
    """What runs the command of this name, or any where there is none of this name. To make all of them of their
    functions takes a tenth of the time of a small command, to make one next to none."""
    alone = copy(app)
    alone.registered_commands = [each for each in app.registered_commands if each.name == name]
    alone.registered_groups = [each for each in app.registered_groups if each.name == name]
    return typer.main.get_command(alone if alone.registered_commands or alone.registered_groups else app)


def run(arguments: list[str]) -> int:
    """Run one command and return its exit code; no exception of ours or of the interpreter's gets out."""
    try:
        with explaining_imports():
            result = _command(arguments[0] if arguments else "")(
                arguments or ["--help"], standalone_mode=False, prog_name="memaudit", obj=["memaudit", *arguments]
            )
        if result == interrupts.INTERRUPTED or interrupts.seen():  # what typer makes of a KeyboardInterrupt
            raise KeyboardInterrupt
        return result if isinstance(result, int) else 0
    except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001 - the last line of defence: exit 1 would read as a finding
        failure = _failure(error)
        if failure.kind == "InternalError" and {"--verbose", "-v"} & set(arguments):
            print(harmless(traceback.format_exc()), file=sys.stderr)
        as_json = "--json" in arguments
        print_error(failure.message, kind=failure.kind, exit_code=failure.exit_code, as_json=as_json)
        if failure.kind == "Interrupted":
            interrupts.said()
        return failure.exit_code


class _Failure(NamedTuple):
    message: str
    kind: str
    exit_code: int


def _failure(error: BaseException) -> _Failure:
    if interrupts.seen() or isinstance(error, typer.Abort | KeyboardInterrupt):
        return _Failure(interrupts.MESSAGE, "Interrupted", interrupts.INTERRUPTED)
    if isinstance(error, MemauditError):
        return _Failure(str(error), type(error).__name__, error.exit_code)
    if isinstance(error, _WRONG_USAGE):
        return _Failure(_advice(error), "UsageError", 2)
    if message := memory.refused(error):
        return _Failure(message, "OutOfMemory", UNDECIDED)
    if isinstance(error, OSError):
        message = ": ".join(str(part) for part in (error.filename, error.strerror or error) if part)
        return _Failure(message, "InputError", 2)
    if isinstance(error, RuntimeError) and "home directory" in str(error):  # pathlib's, for a path that begins with ~
        return _Failure(f"this user has no home folder ({error}): set HOME", "InputError", 2)
    message = f"internal error, nothing was decided: {type(error).__name__}: {error} (--verbose shows where)"
    return _Failure(message, "InternalError", UNDECIDED)


def _advice(error: Any) -> str:
    """One line of what was wrong and where help is."""
    context = getattr(error, "ctx", None)
    command = context.command_path if context else "memaudit"
    return f"{error.format_message().rstrip('.')} ({command} --help shows what it takes)"
