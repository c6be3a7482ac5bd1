"""The commands' table, and the one place where errors become exit codes."""

from __future__ import annotations

import sys
import traceback

import click
import typer

from memaudit.cli import audit, dedup, embed, encoders, gate, index, inspect
from memaudit.cli.console import print_error
from memaudit.errors import MemauditError

INTERRUPTED = 130
INTERNAL = 3  # nothing was decided: a crash must look neither like a pass nor like a finding

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    help="Memorization and regurgitation audit for image generators: dedup a training set, audit a model, gate a release",
)
app.command("embed")(embed.embed)
app.command("index")(index.index)
app.command("dedup")(dedup.dedup)
app.command("audit")(audit.audit)
app.command("gate")(gate.gate)
app.command("info")(inspect.info)
app.command("verify")(inspect.verify)
app.command("doctor")(inspect.doctor)
app.add_typer(encoders.app, name="encoders")


@app.callback()
def _root() -> None:
    """Exit codes: 0 done or pass, 1 gate failed, 2 wrong usage or unreadable input, 3 inconclusive, 130 interrupted."""


def main() -> None:
    """Entry point of the `memaudit` command."""
    sys.exit(run(sys.argv[1:]))


def run(arguments: list[str]) -> int:
    """Run one command and return its exit code; no exception of ours or of the interpreter's gets out."""
    as_json = "--json" in arguments
    try:
        result = app(arguments, standalone_mode=False)
        return result if isinstance(result, int) else 0
    except MemauditError as error:
        print_error(str(error), kind=type(error).__name__, exit_code=error.exit_code, as_json=as_json)
        return error.exit_code
    except (typer.Abort, click.Abort, KeyboardInterrupt):
        print_error(
            "interrupted; run the same command again to continue",
            kind="Interrupted",
            exit_code=INTERRUPTED,
            as_json=as_json,
        )
        return INTERRUPTED
    except click.ClickException as error:
        print_error(error.format_message(), kind="UsageError", exit_code=2, as_json=as_json)
        return 2
    except OSError as error:
        print_error(
            f"{error.strerror or error}: {error.filename or ''}", kind="InputError", exit_code=2, as_json=as_json
        )
        return 2
    except Exception as error:  # noqa: BLE001 - the last line of defence: exit 1 would read as a finding
        if {"--verbose", "-v"} & set(arguments):
            traceback.print_exc()
        message = f"internal error, nothing was decided: {type(error).__name__}: {error} (--verbose shows where)"
        print_error(message, kind="InternalError", exit_code=INTERNAL, as_json=as_json)
        return INTERNAL
