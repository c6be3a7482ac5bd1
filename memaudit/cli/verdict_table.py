"""The gate's result as a table in colour."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from memaudit.api.gating import GateRun, Verdict, plain

WIDE = 100  # columns at most: lines of a table that is wider are hard to follow
_STYLES = {Verdict.PASS: "green", Verdict.FAIL: "bold red", Verdict.INCONCLUSIVE: "yellow"}


def print_table(result: GateRun, first: str, particulars: Sequence[str]) -> None:
    """Print the first line, a table for each report, what there is to say besides, and the verdict.

    No word of a report is markup.
    """
    console = Console(highlight=False)
    console.width = min(console.width, WIDE)
    console.print(Text(first, style=_STYLES[result.verdict]))
    for report in dict.fromkeys(rule.report for rule in result.rules):
        console.print(_table(report, result))
    for line in particulars:
        console.print(Text("\n".join(plain(part) for part in line.split("\n"))))
    console.print(Text(f"\nVerdict: {result.verdict}", style=_STYLES[result.verdict]))


def _table(report: str, result: GateRun) -> Table:
    table = Table(title=Text(plain(report)), title_justify="left", expand=False)
    for heading in ("", "rule", "figure", "limit", ""):
        table.add_column(heading, overflow="fold")
    for rule in result.rules:
        if rule.report == report:
            cells = [Text(plain(cell)) for cell in (rule.rule, rule.figure, rule.limit, rule.sentence)]
            table.add_row(Text(str(rule.outcome), style=_STYLES[rule.outcome]), *cells)
    return table
