"""What a command shows: results on stdout, progress and errors on stderr."""

from __future__ import annotations

import json
import os
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Annotated, Any

import typer

from memaudit.cli.stages import Stages, Standing
from memaudit.errors import InconclusiveError
from memaudit.types import Progress, silent

JsonFlag = Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout and nothing else there.")]
QuietFlag = Annotated[bool, typer.Option("--quiet", "-q", help="Print no result text and no progress.")]
VerboseFlag = Annotated[bool, typer.Option("--verbose", "-v", help="Show the traceback of an internal error.")]
EACH = 30.0  # seconds from line to line where stderr is no terminal
# C0 and C1 controls, and what turns the direction of writing
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")
# Commands to a build server: `::error ...` at the start of a line, `##[error]` and `##vso[...]` anywhere
# (a runner trims what Unicode calls a blank, and a zero-width one, before it looks)
_COMMAND = re.compile(r"^((?:[^\S\n]|[\u180e\u200b\ufeff])*):(?=:)|#(?=#[\w.]*\[)", re.MULTILINE)


@dataclass(frozen=True)
class Console:
    """How this call wants its output."""

    as_json: bool = False
    quiet: bool = False

    def result(self, value: dict[str, Any], text: str, *, conclusive: bool = True) -> None:
        """Print the JSON object, or the text for people; then `end`."""
        if self.as_json:
            _print(json.dumps(value, allow_nan=False).replace("##", r"\u0023#"))  # ASCII: no control gets through
        elif not self.quiet:
            _print(harmless(text))
        self.end(conclusive=conclusive)

    def tell(self, line: str) -> None:
        """A line on stderr, at once: what whoever waits wants to know."""
        if not self.quiet:
            _say(line)

    def end(self, *, conclusive: bool) -> None:
        """End with exit code 3 where nothing may be read as clean."""
        if not conclusive:
            raise typer.Exit(InconclusiveError.exit_code)

    def commands(self, lines: Sequence[str]) -> None:
        """Print lines that a build server acts upon, as they are: who made them has made their words harmless."""
        if lines:
            _print("\n".join(lines))

    @contextmanager
    def progress(self, plan: Sequence[str] = (), otherwise: Sequence[str] = ()) -> Iterator[Progress]:
        """Numbered stages, the share of all and the time left, on stderr: a bar, or where that is no terminal a line
        each `EACH` seconds. plan, otherwise: the stages that the run is expected to go through."""
        if self.quiet or sys.stderr is None:
            yield silent
        elif not sys.stderr.isatty():
            yield _in_lines(Stages(plan, otherwise))
        else:
            with _bar() as show:
                stages = Stages(plan, otherwise)
                yield lambda stage, done, total: show(stages.at(stage, done, total))


def _in_lines(stages: Stages) -> Progress:
    """A line each `EACH` seconds; a run that is shorter says nothing."""
    last = stages.clock()

    def show(stage: str, done: int, total: int) -> None:
        nonlocal last
        standing, now = stages.at(stage, done, total), stages.clock()
        if now - last >= EACH:
            last = now
            _say(standing.line)

    return show


@contextmanager
def _bar() -> Iterator[Callable[[Standing], None]]:
    """One bar for all stages."""
    from rich.progress import BarColumn, TextColumn
    from rich.progress import Progress as Bar

    fields = ("title", "count", "rate", "remaining")
    texts = [TextColumn(f"{{task.fields[{name}]}}", markup=False) for name in fields]
    with Bar(texts[0], BarColumn(), *texts[1:], console=_stderr(), transient=True) as bar:
        task = bar.add_task("", total=1.0, title="", count="", rate="", remaining="")

        def show(now: Standing) -> None:
            rate = f"{now.rate:,.0f}/s" if now.rate >= 1 else ""
            bar.update(
                task, completed=now.share, title=now.title, count=now.counted, rate=rate, remaining=now.remaining
            )

        yield show


def _stderr() -> Any:
    from rich.console import Console as RichConsole

    return RichConsole(stderr=True)


def _print(text: str) -> None:
    """Print to stdout, now. Where nobody reads it the rest is dropped: the exit code still tells the outcome."""
    try:
        print(text, flush=True)
    except OSError as error:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        if not isinstance(error, BrokenPipeError):
            raise


def harmless(text: str) -> str:
    """Remove control characters and commands to a build server: an id or a caption must not steer who shows it.

    Newlines and tabs stay.
    """
    return _COMMAND.sub(r"\g<0> ", _CONTROL.sub("�", text))


def print_error(message: str, *, kind: str, exit_code: int, as_json: bool) -> None:
    """One line on stderr; with --json also one object on stdout. If neither can be written, the exit code is left."""
    with suppress(OSError):
        if as_json:
            _print(json.dumps({"error": {"kind": kind, "message": message}, "exit_code": exit_code}))
    _say(message)


def _say(message: str) -> None:
    with suppress(OSError):
        if sys.stderr is not None:
            print(harmless(f"memaudit: {' '.join(message.split())}"), file=sys.stderr)


def table(rows: Sequence[tuple[str, ...]]) -> str:
    """Left-aligned columns, two spaces apart, without borders: readable in a log as well. A row is one line."""
    rows = [tuple(" ".join(cell.splitlines()) for cell in row) for row in rows]
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))] if rows else []
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    )
