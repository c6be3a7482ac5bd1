"""memaudit gate."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from memaudit.cli.console import Console, JsonFlag, QuietFlag, VerboseFlag, table
from memaudit.cli.options import Kinds
from memaudit.errors import UsageError

if TYPE_CHECKING:
    from memaudit.api.gating import Finding, GateRun

FIRST_LINE = 2_000  # characters
WIDE, CELL = 100, 32  # columns of the table, and of a figure or a limit in it
SHOWN = 20  # findings of a list in the text; the files have all
Reports = Annotated[
    list[Path] | None,
    typer.Argument(metavar="REPORT.json...", help="Of audit, dedup, filter or reweight; folders or bundles of them."),
]
PolicyFile = Annotated[
    Path | None, typer.Option("--policy", help="Limits in TOML.", show_default="the limits that --init writes")
]
Baseline = Annotated[
    Path | None, typer.Option("--baseline", help="An earlier audit's report: its rate may not be exceeded by much.")
]
AcceptedFile = Annotated[
    Path | None, typer.Option("--accepted", help="Matches that a person has accepted, in TOML: who, why, until when.")
]
LedgerFile = Annotated[
    Path | None,
    typer.Option("--ledger", help="Every look is added to it: error is shared, audits of one model are pooled."),
]
Reviews = Annotated[
    list[Path] | None,
    typer.Option("--reviews", metavar="FILE", help="What people decided on findings; again for several files."),
]
Junit = Annotated[Path | None, typer.Option("--junit", help="Write the result as JUnit XML.")]
Sarif = Annotated[Path | None, typer.Option("--sarif", help="Write the result as SARIF 2.1.0.")]
Markdown = Annotated[Path | None, typer.Option("--markdown", help="Write a summary in Markdown.")]
Page = Annotated[
    Path | None, typer.Option("--page", help="Write the audit's page anew, with the verdict; its report stays.")
]
Pdf = Annotated[Path | None, typer.Option("--pdf", help="Write that page as a PDF, by a Chromium that is there.")]
Append = Annotated[
    bool, typer.Option("--append", help="Add the Markdown to the end of its file, as to a job's summary.")
]
Annotations = Annotated[bool, typer.Option("--annotations", help="Print annotations for GitHub Actions as well.")]
RequireSignature = Annotated[
    bool,
    typer.Option(
        "--require-signature", help="Each report must lie in a bundle that --key signed: named, or beside it."
    ),
]
Keys = Annotated[
    list[str] | None, typer.Option("--key", metavar="PUB", help="Public key, or its id; again for several.")
]
Init = Annotated[Path | None, typer.Option("--init", help="Write the default policy, with comments, to this file.")]


def gate(
    reports: Reports = None,
    policy: PolicyFile = None,
    baseline: Baseline = None,
    accepted: AcceptedFile = None,
    reviews: Reviews = None,
    kinds: Kinds = None,
    ledger: LedgerFile = None,
    junit: Junit = None,
    sarif: Sarif = None,
    markdown: Markdown = None,
    page: Page = None,
    pdf: Pdf = None,
    append: Append = False,
    require_signature: RequireSignature = False,
    key: Keys = None,
    annotations: Annotations = False,
    init: Init = None,
    as_json: JsonFlag = False,
    quiet: QuietFlag = False,
    verbose: VerboseFlag = False,
) -> None:
    """Hold reports against a policy: exit code 0 pass, 1 fail, 3 inconclusive."""
    from memaudit.api.gating import run_gate, write_policy

    console = Console(as_json, quiet)
    files = {"junit": junit, "sarif": sarif, "markdown": markdown, "page": page, "pdf": pdf}
    others = (reports, policy, baseline, accepted, reviews, kinds, ledger, annotations, require_signature, key)
    if init:
        if any((*others, *files.values())):
            raise UsageError("--init writes a policy and judges nothing: give it alone, then gate with --policy")
        console.result({"policy": str(write_policy(init))}, f"Default policy written to {init}")
        return
    if annotations and as_json and reports:
        raise UsageError("--annotations prints lines, and --json one object and nothing else: choose one")
    result = run_gate(
        reports or [],
        policy,
        baseline=baseline,
        accepted=accepted,
        reviews=reviews or (),
        kinds=kinds or "",
        ledger=ledger,
        append=append,
        require_signature=require_signature,
        keys=key or (),
        **files,
    )
    if not _on_terminal(result, console):
        console.result(result.as_dict(), "\n".join(_lines(result)))
    if annotations:
        console.commands(result.annotations())
    raise typer.Exit(result.verdict.exit_code)


def _lines(result: GateRun) -> Iterator[str]:
    """What is printed where no terminal is: a table of `WIDE` columns, and a line for each rule, so that a log can be
    searched."""
    yield f"{_first_line(result)}\n"
    rows = [("", "rule", "figure", "limit", "of" if _several(result) else "")]
    rows += [
        (str(r.outcome), r.rule, _cut(r.figure, CELL), _cut(r.limit, CELL), _number(r.report, result))
        for r in result.rules
    ]
    yield table(rows)
    yield "\nWhy:"
    yield from (f"  {r.outcome} {r.rule}: {_of(r.report, result)}{r.sentence}" for r in result.rules)
    yield from _particulars(result)
    yield f"\nVerdict: {result.verdict}"


def _cut(text: str, most: int) -> str:
    """A cell that keeps the table narrow; the sentence below it has it whole, and so have the files."""
    from memaudit.api.gating import plain

    return plain(text, most)


def _number(report: str, result: GateRun) -> str:
    """Which of several reports a rule is about, by its number in the list below."""
    if not _several(result):
        return ""
    return str(result.reports.index(report) + 1) if report in result.reports else "all"


def _several(result: GateRun) -> bool:
    """Whether rules are about more than one report, and all of them together."""
    return len({rule.report for rule in result.rules}) > 2


def _first_line(result: GateRun) -> str:
    """What a reader must not miss: it stands before the table."""
    from memaudit.api.gating import plain

    return f"Gate: {plain(result.headline, FIRST_LINE)}"


def _of(report: str, result: GateRun) -> str:
    """The report's name where there are several."""
    return f"{report}: " if _several(result) else ""


def _particulars(result: GateRun) -> Iterator[str]:
    from memaudit.api.gating import plain

    if result.both_counts:
        yield f"\n{result.both_counts}"
    if result.result.own_limits:
        yield "\nLimits that are not the default ones:"
        yield from (f"  {plain(each)}" for each in result.result.own_limits)
    yield "\nJudged:"
    numbers = [f"{number}  " if _several(result) else "" for number in range(1, len(result.reports) + 1)]
    yield from (f"  {n}{plain(path, FIRST_LINE)}" for n, path in zip(numbers, result.reports, strict=True))
    yield from _listed("New since the baseline", result.result.new)
    yield from _listed("Accepted by a person", result.result.accepted)
    yield from _listed("Reviewed by people", [each for each in result.result.reviewed if not each.accepted])
    undecided = [each for each in result.findings if not each.accepted and not each.review]
    yield from _listed("Findings", undecided)
    if undecided:
        yield "  To decide on them: memaudit review REPORT, then --reviews; docs/how-to/review.md"
    yield from (f"\nNote: {note}" for note in result.warnings)


def _listed(title: str, findings: Sequence[Finding]) -> Iterator[str]:
    from memaudit.api.gating import plain

    if findings:
        yield f"\n{title}: {len(findings):,}"
        for each in findings[:SHOWN]:
            yield f"  {plain('; '.join(filter(None, (each.label, each.decision))))}"
        if len(findings) > SHOWN:
            yield f"  and {len(findings) - SHOWN:,} more"


def _on_terminal(result: GateRun, console: Console) -> bool:
    """Print a table in colour and say so, where a person is looking."""
    import sys

    if console.as_json or console.quiet or sys.stdout is None or not sys.stdout.isatty():
        return False
    from memaudit.cli.verdict_table import print_table

    print_table(result, _first_line(result), [*_particulars(result)])
    return True
