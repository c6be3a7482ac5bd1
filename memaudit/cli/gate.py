"""memaudit gate."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from memaudit.cli.console import Console, JsonFlag, QuietFlag, VerboseFlag, table

Reports = Annotated[list[Path] | None, typer.Argument(metavar="REPORT.json...", help="Reports of audit or dedup.")]
PolicyFile = Annotated[
    Path | None, typer.Option("--policy", help="Limits in TOML.", show_default="the limits that --init writes")
]
Init = Annotated[Path | None, typer.Option("--init", help="Write the default policy, with comments, to this file.")]


def gate(
    reports: Reports = None,
    policy: PolicyFile = None,
    init: Init = None,
    as_json: JsonFlag = False,
    quiet: QuietFlag = False,
    verbose: VerboseFlag = False,
) -> None:
    """Hold reports against a policy: exit code 0 pass, 1 fail, 3 inconclusive."""
    from memaudit.errors import UsageError
    from memaudit.gate import Policy, judge_all, read_policy, verdict_of
    from memaudit.report.document import read_report

    console = Console(as_json, quiet)
    if init:
        _write_policy(init, console)
        return
    if not reports:
        raise UsageError("no report given: name at least one report.json of memaudit audit or dedup")
    limits = read_policy(policy) if policy else Policy()
    results = judge_all([(str(path), read_report(path)) for path in reports], limits)
    verdict = verdict_of(results)
    rows = [("", "rule", "figure", "limit", "")]
    rows += [(str(r.outcome), r.rule, r.figure, r.limit, r.sentence) for r in results]
    console.result(
        {"verdict": str(verdict), "exit_code": verdict.exit_code, "rules": [asdict(result) for result in results]},
        f"{table(rows)}\n\nVerdict: {verdict}",
    )
    raise typer.Exit(verdict.exit_code)


def _write_policy(path: Path, console: Console) -> None:
    from memaudit.errors import UsageError
    from memaudit.files import write_text
    from memaudit.gate import DEFAULT_POLICY

    if path.exists():
        raise UsageError(f"{path} exists already: name another file, or remove it")
    write_text(path, DEFAULT_POLICY)
    console.result({"policy": str(path)}, f"Default policy written to {path}")
