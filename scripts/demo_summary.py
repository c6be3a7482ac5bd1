"""The last step of scripts/demo: hold what the audits found against what was planted."""

from __future__ import annotations

import csv
import json
import sys
from pathlib import Path

import pyarrow.parquet as pq
from rich.console import Console
from rich.table import Table

MODELS = (("model-a", "gives images back"), ("model-b", "deduplicated set"))


def main(out: Path) -> None:
    table = Table("model", "generations", "planted", "found", "false", "rate, 95 % interval", "verdict")
    for name, what in MODELS:
        table.add_row(f"{name}: {what}", *figures(out, name))
    Console(width=None if sys.stdout.isatty() else 110).print(table)


def figures(out: Path, name: str) -> list[str]:
    """Generations, planted, planted and found, found but not planted, rate, verdict."""
    planted, found = planted_in(out, name), found_in(out, name)
    rate = json.loads((out / name / "audit/report.json").read_text())["results"]["searched"]
    interval = f"{rate['value']:.2%}  ({rate['low']:.2%} to {rate['high']:.2%})"
    verdict = json.loads((out / name / "verdict.json").read_text())["verdict"]
    counts = (rate["n"], len(planted), len(planted & found), len(found - planted))
    return [*map(str, counts), interval, verdict]


def planted_in(out: Path, name: str) -> set[str]:
    """Generations of prompts that the model knows by heart."""
    with (out / f"{name}-truth.csv").open(newline="") as handle:
        by_heart = {row["prompt"] for row in csv.DictReader(handle)}
    lines = (json.loads(line) for line in (out / name / "pairing.jsonl").read_text("utf-8").splitlines())
    return {line["generation"] for line in lines if line["prompt"] in by_heart}


def found_in(out: Path, name: str) -> set[str]:
    """Generations in which the audit found a training image."""
    scores = pq.read_table(out / name / "audit/scores.parquet", columns=["query_id", "matches"]).to_pydict()
    return {Path(i).stem for i, matches in zip(scores["query_id"], scores["matches"], strict=True) if matches}


if __name__ == "__main__":
    main(Path(sys.argv[1]))
