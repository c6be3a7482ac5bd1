"""memaudit gate."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from memaudit.cli.console import Console, JsonFlag, QuietFlag, VerboseFlag, table

if TYPE_CHECKING:
    from memaudit.gate import Finding, GateResult

SHOWN = 20  # findings of a list in the text; the files have all
Reports = Annotated[list[Path] | None, typer.Argument(metavar="REPORT.json...", help="Reports of audit or dedup.")]
PolicyFile = Annotated[
    Path | None, typer.Option("--policy", help="Limits in TOML.", show_default="the limits that --init writes")
]
Baseline = Annotated[
    Path | None, typer.Option("--baseline", help="An earlier audit's report: its rate may not be exceeded by much.")
]
AcceptedFile = Annotated[
    Path | None, typer.Option("--accepted", help="Matches that a person has accepted, in TOML: who, why, until when.")
]
Junit = Annotated[Path | None, typer.Option("--junit", help="Write the result as JUnit XML.")]
Sarif = Annotated[Path | None, typer.Option("--sarif", help="Write the result as SARIF 2.1.0.")]
Markdown = Annotated[Path | None, typer.Option("--markdown", help="Write a summary in Markdown.")]
Annotations = Annotated[bool, typer.Option("--annotations", help="Print annotations for GitHub Actions as well.")]
Init = Annotated[Path | None, typer.Option("--init", help="Write the default policy, with comments, to this file.")]


def gate(
    reports: Reports = None,
    policy: PolicyFile = None,
    baseline: Baseline = None,
    accepted: AcceptedFile = None,
    junit: Junit = None,
    sarif: Sarif = None,
    markdown: Markdown = None,
    annotations: Annotations = False,
    init: Init = None,
    as_json: JsonFlag = False,
    quiet: QuietFlag = False,
    verbose: VerboseFlag = False,
) -> None:
    """Hold reports against a policy: exit code 0 pass, 1 fail, 3 inconclusive."""
    from memaudit.errors import UsageError
    from memaudit.gate import Policy, hold, read_accepted, read_policy
    from memaudit.gate.outputs import annotation_lines, values
    from memaudit.report.document import read_report

    console = Console(as_json, quiet)
    if init:
        others = (reports, policy, baseline, accepted, junit, sarif, markdown, annotations)
        if any(others):
            raise UsageError("--init writes a policy and judges nothing: give it alone, then gate with --policy")
        _write_policy(init, console)
        return
    if not reports:
        raise UsageError("no report given: name at least one report.json of memaudit audit or dedup")
    if annotations and as_json:
        raise UsageError("--annotations prints lines, and --json one object and nothing else: choose one")
    files = {name: path for name, path in (("junit", junit), ("sarif", sarif), ("markdown", markdown)) if path}
    _clear(files, [*reports, *(path for path in (policy, baseline, accepted) if path)])
    result = hold(
        [(str(path), read_report(path)) for path in reports],
        read_policy(policy) if policy else Policy(),
        baseline=read_report(baseline) if baseline else None,
        accepted=read_accepted(accepted) if accepted else (),
    )
    _write(files, result)
    if not _on_terminal(result, console):
        console.result(values(result), "\n".join(_lines(result)))
    if annotations:
        console.commands(annotation_lines(result))
    raise typer.Exit(result.verdict.exit_code)


def _clear(files: Mapping[str, Path], inputs: Sequence[Path]) -> None:
    """Remove what an earlier call wrote: it must not pass for the result of one that ends with an error."""
    from memaudit.errors import UsageError
    from memaudit.files import is_passage

    taken = {path.resolve() for path in inputs}
    for name, path in files.items():
        if path.resolve() in taken:
            raise UsageError(f"--{name} {path} is read or written by this very call: name another file")
        taken.add(path.resolve())
    for path in files.values():
        if path.is_file() and not is_passage(path):
            path.resolve().unlink()  # what a link leads to, and not the link


def _write(files: Mapping[str, Path], result: GateResult) -> None:
    from memaudit.files import write_text
    from memaudit.gate import outputs

    writers = {"junit": outputs.junit, "sarif": outputs.sarif, "markdown": outputs.markdown}
    for name, path in files.items():
        write_text(path, writers[name](result))


def _lines(result: GateResult) -> Iterator[str]:
    """What is printed where no terminal is: a line for each rule, so that a log can be searched."""
    rows = [("", "rule", "figure", "limit", "")]
    rows += [(str(r.outcome), r.rule, r.figure, r.limit, f"{_of(r.report, result)}{r.sentence}") for r in result.rules]
    yield table(rows)
    yield from _particulars(result)
    yield f"\nVerdict: {result.verdict}"


def _of(report: str, result: GateResult) -> str:
    """The report's name where there are several."""
    return f"{report}: " if len({rule.report for rule in result.rules}) > 2 else ""


def _particulars(result: GateResult) -> Iterator[str]:
    yield from _listed("New since the baseline", result.new)
    yield from _listed("Accepted by a person", result.accepted)
    yield from _listed("Findings", [finding for finding in result.findings if not finding.accepted])
    yield from (f"\nNote: {note}" for note in result.notes)


def _listed(title: str, findings: Sequence[Finding]) -> Iterator[str]:
    from memaudit.gate.outputs import plain

    if findings:
        yield f"\n{title}: {len(findings):,}"
        for each in findings[:SHOWN]:
            yield f"  {plain('; '.join(filter(None, (each.label, each.decision))))}"
        if len(findings) > SHOWN:
            yield f"  and {len(findings) - SHOWN:,} more"


def _on_terminal(result: GateResult, console: Console) -> bool:
    """Print a table in colour and say so, where a person is looking."""
    import sys

    if console.as_json or console.quiet or sys.stdout is None or not sys.stdout.isatty():
        return False
    from memaudit.cli.verdict_table import print_table

    print_table(result, [*_particulars(result)])
    return True


def _write_policy(path: Path, console: Console) -> None:
    from memaudit.errors import UsageError
    from memaudit.files import write_text
    from memaudit.gate import DEFAULT_POLICY

    if path.exists():
        raise UsageError(f"{path} exists already: name another file, or remove it")
    write_text(path, DEFAULT_POLICY)
    console.result({"policy": str(path)}, f"Default policy written to {path}")
