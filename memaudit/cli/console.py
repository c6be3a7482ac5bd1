"""What a command shows: results on stdout, progress and errors on stderr."""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Annotated, Any

import typer

from memaudit.records import Progress, silent

JsonFlag = Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout and nothing else there.")]
QuietFlag = Annotated[bool, typer.Option("--quiet", "-q", help="Print no result text and no progress.")]
VerboseFlag = Annotated[bool, typer.Option("--verbose", "-v", help="Show the traceback of an internal error.")]
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]")


@dataclass(frozen=True)
class Console:
    """How this call wants its output."""

    as_json: bool = False
    quiet: bool = False

    def result(self, value: dict[str, Any], text: str) -> None:
        """Print the JSON object, or the text for people."""
        if self.as_json:
            print(json.dumps(value, ensure_ascii=False, allow_nan=False))
        elif not self.quiet:
            print(harmless(text))

    @contextmanager
    def progress(self) -> Iterator[Progress]:
        """A progress bar on stderr with rate and time left; silent when stderr is no terminal."""
        if self.quiet or not sys.stderr.isatty():
            yield silent
            return
        from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
        from rich.progress import Progress as Bar

        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
        rate = TextColumn("{task.fields[rate]}")
        with Bar(*columns, rate, TimeRemainingColumn(), console=_stderr(), transient=True) as bar:
            tasks: dict[str, Any] = {}

            def show(stage: str, done: int, total: int) -> None:
                if stage not in tasks:
                    tasks[stage] = bar.add_task(stage, total=total or None, rate="")
                speed = bar.tasks[bar.task_ids.index(tasks[stage])].speed
                bar.update(tasks[stage], completed=done, total=total or None, rate=f"{speed:,.0f}/s" if speed else "")

            yield show


def _stderr() -> Any:
    from rich.console import Console as RichConsole

    return RichConsole(stderr=True)


def harmless(text: str) -> str:
    """Remove control characters: an id or a caption must not steer the terminal. Newlines and tabs stay."""
    return _CONTROL.sub("�", text)


def print_error(message: str, *, kind: str, exit_code: int, as_json: bool) -> None:
    """One line on stderr; with --json also one object on stdout."""
    if as_json:
        print(json.dumps({"error": {"kind": kind, "message": message}, "exit_code": exit_code}, ensure_ascii=False))
    print(harmless(f"memaudit: {' '.join(message.split())}"), file=sys.stderr)


def table(rows: Sequence[tuple[str, ...]]) -> str:
    """Left-aligned columns, two spaces apart, without borders: readable in a log as well."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))] if rows else []
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    )
