"""Start-up to verdict of `memaudit gate`.

A report of a clean audit, and one with 12 findings against a baseline, are gated by the command line, each process in
turn with `python -c "import typer, rich"`: what any command line of this make costs before it does anything. Seconds of
wall and of processor time, and the ratios within each round: those of processor time hold on a busy machine as well.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator
from pathlib import Path

from benchmarks.measure import cost_of, memaudit
from benchmarks.record import Figure, of_rounds
from benchmarks.runner import Benchmark
from memaudit.encoders.encoder import spec_of
from memaudit.encoders.specs import families
from memaudit.images.view_names import DEFAULT_VIEWS, view_names
from memaudit.report import model
from memaudit.report.document import make_report
from memaudit.statistics import rate_of
from memaudit.types import Coverage

ENCODER = spec_of(families()["sscd"])
N = 5000
ASKED = "<= 0.5"


def report_of(findings: int) -> model.Json:
    """An audit of 5,000 generations as memaudit writes it, without having run one."""
    searched = rate_of(findings, Coverage(N, N))
    names = [f"gen-{number:05d}.png" for number in range(findings)]
    matched = model.rate_of(rate_of(0, Coverage(500, 500)))
    results = model.AuditResults(
        conclusive=True,
        reasons=[],
        headline="",
        searched=model.rate_of(searched),
        by_prompt=model.ByPrompt(returned=model.rate_of(searched), seeds=[model.Seeds(seeds=1, prompts=N)]),
        paired=None,
        references=model.coverage_of(Coverage(N, N)),
        control=model.Control(matched=matched, relabelling_p=None, greater_rate_p=None, why_no_p=""),
        outcomes=model.Outcomes(
            digest="same",
            total=N,
            found=names,
            left_out=[],
            by_prompt=model.OutcomesByPrompt(
                asked=[model.Seeds(seeds=1, prompts=N)], found=[*range(findings)], left_out=[]
            ),
        ),
        made=N,
        blank=0,
        verified=model.coverage_of(Coverage(findings, findings)),
        views=list(view_names(DEFAULT_VIEWS)),
        effort=model.Effort(
            match_from=0.3,
            generation_views=model.coverage_of(Coverage(9 * N, 9 * N)),
            control_views=model.coverage_of(Coverage(4500, 4500)),
            reference_windows=None,
        ),
    )
    report = make_report(
        "audit",
        inputs={"references": "s"},
        encoder=ENCODER,
        threshold=0.75,
        coverage=searched.coverage,
        results=results,
        findings=[
            model.ImageMatch(
                query_id=name,
                reference_id=f"train-{name}",
                similarity=0.9,
                kind="near-duplicate",
                paired=True,
                near_duplicates=1,
            )
            for name in names
        ],
    )
    return report.content


def figures(options: argparse.Namespace, scratch: Path) -> Iterator[Figure]:
    for name, findings in (("clean", 0), ("copies", 12)):
        (scratch / f"{name}.json").write_text(json.dumps(report_of(findings)), encoding="utf-8")
    policy = "[audit]\nmax_redrawn_rate = 1\nplanted = []\n"  # the report says nothing of these
    (scratch / "clean.toml").write_text(policy, encoding="utf-8")
    (scratch / "memaudit.toml").write_text(
        policy + "max_findings = 99\nmax_verbatim = 99\nmax_template = 99\n[baseline]\nmax_redrawn_rise = 1\n",
        encoding="utf-8",
    )
    clean, copies = scratch / "clean.json", scratch / "copies.json"
    bare: list[str | Path] = [sys.executable, "-c", "import typer, rich"]
    gate = memaudit("gate", clean, "--policy", scratch / "clean.toml")
    against = memaudit("gate", copies, "--policy", scratch / "memaudit.toml", "--baseline", clean)
    cost_of(gate)  # the first writes bytecode
    taken = [(cost_of(bare), cost_of(gate), cost_of(against)) for _ in range(options.rounds)]
    yield of_rounds("import typer, rich", 1, "seconds", [each[0].seconds for each in taken])
    for place, data in ((1, "clean audit"), (2, "12 findings, baseline")):
        yield of_rounds(data, N, "start-up to verdict, s", [each[place].seconds for each in taken], ASKED)
        yield of_rounds(data, N, "processor time, s", [each[place].cpu_seconds for each in taken])
        ratios = [each[place].seconds / each[0].seconds for each in taken]
        yield of_rounds(data, N, "ratio to import typer, rich", ratios)
        ratios = [each[place].cpu_seconds / each[0].cpu_seconds for each in taken]
        yield of_rounds(data, N, "ratio of processor time", ratios)


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--rounds", metavar="N", type=int, default=15)


BENCHMARK = Benchmark(__doc__ or "", ("typer", "rich", "numpy", "msgspec", "scipy"), add_options, figures)
