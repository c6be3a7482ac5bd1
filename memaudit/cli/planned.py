"""What work will take, as `memaudit plan` and `--dry-run` print it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from memaudit.cli.console import Console, table

if TYPE_CHECKING:
    from memaudit.api.costing import WorkPlan

DryRun = Annotated[
    bool, typer.Option("--dry-run", help="Say what it takes, as memaudit plan does, by these inputs; do nothing.")
]


def tell(found: WorkPlan, console: Console) -> None:
    """The stages, the command lines, and what is assumed."""
    commands = [f"$ {line}" for line in found.commands]
    console.result(found.as_dict(), "\n".join([table(found.lines()), "", *commands, "", *found.planned.notes]))
