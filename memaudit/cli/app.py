"""The commands' table, and the one place where errors become exit codes."""

from __future__ import annotations

import io
import sys
import traceback
from typing import Annotated, Any

import typer

from memaudit import __version__
from memaudit.cli import audit, compare, dedup, embed, encoders, extract, faces, gate, index, inspect, lookup, prompts
from memaudit.cli import import_embeddings as ready
from memaudit.cli.console import harmless, print_error
from memaudit.errors import MemauditError, explaining_imports

INTERRUPTED = 130
INTERNAL = 3  # nothing was decided: a crash must look neither like a pass nor like a finding
# Newer typers carry a click of their own, older ones import it: their own error leads to the right class
_WRONG_USAGE: type[Exception] = next(kind for kind in typer.BadParameter.__mro__ if kind.__name__ == "ClickException")

app = typer.Typer(
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    help="Memorization and regurgitation audit for image generators: dedup a training set, audit and gate a model",
)
app.command("embed")(embed.embed)
app.command("import")(ready.import_)
app.command("index")(index.index)
app.command("dedup")(dedup.dedup)
app.command("prompts")(prompts.prompts)
app.command("audit")(audit.audit)
app.command("extract")(extract.extract)
app.command("faces")(faces.faces)
app.command("lookup")(lookup.lookup)
app.command("gate")(gate.gate)
app.command("compare")(compare.compare)
app.command("info")(inspect.info)
app.command("verify")(inspect.verify)
app.command("doctor")(inspect.doctor)
app.add_typer(encoders.app, name="encoders")


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


def main() -> None:
    """Entry point of the `memaudit` command."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # a path may hold what the terminal's encoding does not
    sys.exit(run(sys.argv[1:]))


def run(arguments: list[str]) -> int:
    """Run one command and return its exit code; no exception of ours or of the interpreter's gets out."""
    as_json = "--json" in arguments
    try:
        with explaining_imports():
            result = app(arguments or ["--help"], standalone_mode=False, prog_name="memaudit")
        if result == INTERRUPTED:  # what typer makes of a KeyboardInterrupt
            raise KeyboardInterrupt
        return result if isinstance(result, int) else 0
    except MemauditError as error:
        print_error(str(error), kind=type(error).__name__, exit_code=error.exit_code, as_json=as_json)
        return error.exit_code
    except (typer.Abort, KeyboardInterrupt):
        message = "interrupted; run the same command again to continue"
        print_error(message, kind="Interrupted", exit_code=INTERRUPTED, as_json=as_json)
        return INTERRUPTED
    except _WRONG_USAGE as error:
        print_error(_advice(error), kind="UsageError", exit_code=2, as_json=as_json)
        return 2
    except OSError as error:
        message = ": ".join(str(part) for part in (error.filename, error.strerror or error) if part)
        print_error(message, kind="InputError", exit_code=2, as_json=as_json)
        return 2
    except Exception as error:  # noqa: BLE001 - the last line of defence: exit 1 would read as a finding
        if {"--verbose", "-v"} & set(arguments):
            print(harmless(traceback.format_exc()), file=sys.stderr)
        message = f"internal error, nothing was decided: {type(error).__name__}: {error} (--verbose shows where)"
        print_error(message, kind="InternalError", exit_code=INTERNAL, as_json=as_json)
        return INTERNAL


def _advice(error: Any) -> str:
    """One line of what was wrong and where help is."""
    context = getattr(error, "ctx", None)
    command = context.command_path if context else "memaudit"
    return f"{error.format_message().rstrip('.')} ({command} --help shows what it takes)"
