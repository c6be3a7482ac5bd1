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
    planted = planted_in(out / name / "truth.csv")
    scores = pq.read_table(out / f"audit-{name}" / "scores.parquet").to_pydict()
    flagged = {i for i, matches in zip(scores["query_id"], scores["matches"], strict=True) if matches}
    rate = json.loads((out / f"audit-{name}" / "report.json").read_text())["results"]["searched"]
    interval = f"{rate['value']:.2%}  ({rate['low']:.2%} to {rate['high']:.2%})"
    verdict = json.loads((out / f"gate-{name}.json").read_text())["verdict"]
    counts = (rate["n"], len(planted), len(planted & flagged), len(flagged - planted))
    return [*map(str, counts), interval, verdict]


def planted_in(truth: Path) -> set[str]:
    with truth.open(newline="") as handle:
        return {row["generation"] for row in csv.DictReader(handle) if row["planted"] == "1"}


if __name__ == "__main__":
    main(Path(sys.argv[1]))
