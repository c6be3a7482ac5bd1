"""Start-up to verdict of `memaudit gate`: `scripts/bench_gate.py [--rounds N]`.

A report of a clean audit, and one with 12 findings against a baseline, are gated by the command line, each process in
turn with `python -c "import typer, rich"`: what any command line of this make costs before it does anything. Seconds of
wall time, and the ratio within each round.

Results are added to results/bench_gate-MACHINE.csv.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from subprocess import DEVNULL, run
from typing import Any

from bench_record import BenchmarkError, Figure, of_rounds, show, versions, write_figures

from memaudit.records import Coverage, EncoderSpec
from memaudit.report.document import make_report
from memaudit.statistics import rate_of

RESULTS = Path(__file__).resolve().parents[1] / "results"
ENCODER = EncoderSpec("sscd", "0" * 64, "288", 512, 0.75)
N = 5000
ASKED = "<= 0.5"


def report_of(findings: int) -> dict[str, Any]:
    """An audit of 5,000 generations as memaudit writes it, without having run one."""
    searched = rate_of(findings, Coverage(N, N))
    names = [f"gen-{number:05d}.png" for number in range(findings)]
    results = {
        "conclusive": True,
        "reasons": [],
        "headline": "",
        "searched": searched.as_dict(),
        "paired": None,
        "references": Coverage(N, N).as_dict(),
        "control": {
            "matched": rate_of(0, Coverage(500, 500)).as_dict(),
            "relabelling_p": None,
            "greater_rate_p": None,
            "why_no_p": "",
            "excluded_controls": 0,
        },
        "outcomes": {"digest": "same", "total": N, "found": names, "left_out": []},
    }
    match = {"similarity": 0.9, "kind": "near-duplicate", "paired": True, "near_duplicates": 1}
    return make_report(
        "audit",
        inputs={"references": "s"},
        encoder=ENCODER,
        threshold=0.75,
        coverage=searched.coverage,
        results=results,
        findings=[{"query_id": name, "reference_id": f"train-{name}", **match} for name in names],
    )


def seconds_of(command: Sequence[str | Path], expected: int) -> float:
    start = time.perf_counter()
    code = run(command, stdout=DEVNULL, stderr=DEVNULL, check=False).returncode
    seconds = time.perf_counter() - start
    if code != expected:
        raise BenchmarkError(f"{' '.join(map(str, command))} ended with exit code {code}, expected {expected}")
    return seconds


def figures(rounds: int, scratch: Path) -> Iterator[Figure]:
    for name, findings in (("clean", 0), ("copies", 12)):
        (scratch / f"{name}.json").write_text(json.dumps(report_of(findings)), encoding="utf-8")
    gate: list[str | Path] = [sys.executable, "-m", "memaudit", "gate", scratch / "clean.json"]
    against = [*gate[:-1], scratch / "copies.json", "--baseline", scratch / "clean.json"]
    bare = [sys.executable, "-c", "import typer, rich"]
    seconds_of(gate, 0)  # the first writes bytecode
    seconds_of(against, 1)
    taken = [(seconds_of(bare, 0), seconds_of(gate, 0), seconds_of(against, 1)) for _ in range(rounds)]
    yield of_rounds("import typer, rich", 1, "seconds", [each[0] for each in taken])
    for place, data in ((1, "clean audit"), (2, "12 findings, baseline")):
        yield of_rounds(data, N, "start-up to verdict, s", [each[place] for each in taken], ASKED)
        yield of_rounds(data, N, "ratio to import typer, rich", [each[place] / each[0] for each in taken])


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--results", type=Path, default=RESULTS)
    given = parser.parse_args(arguments)
    try:
        with tempfile.TemporaryDirectory() as scratch:
            found = list(figures(given.rounds, Path(scratch)))
    except BenchmarkError as error:
        print(f"bench_gate: {error}", file=sys.stderr)
        return 2
    for figure in found:
        show(figure)
    print(write_figures(found, "bench_gate", given.results, versions("typer", "rich", "numpy", "jsonschema", "scipy")))
    return 0


if __name__ == "__main__":
    sys.exit(main())
