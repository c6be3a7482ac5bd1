"""Reviews for tests, as tables and as lines."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping, Sequence
from pathlib import Path


def write_rows(path: Path, rows: Sequence[Mapping[str, str]]) -> Path:
    with path.open("w", newline="") as handle:
        writer = csv.DictWriter(handle, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return path


def said(left: str, right: str, verdict: str, who: str = "A. Person", **more: str | None) -> dict[str, str | None]:
    """A line as the page of a report writes it."""
    line = {"left_sha256": left, "right_sha256": right, "verdict": verdict, "who": who, "when": "2026-11-20T10:00:00Z"}
    return {**line, "why": "looked at", "until": "2999-01-31" if verdict == "accepted" else None, **more}


def write_lines(path: Path, *lines: Mapping[str, str | None]) -> Path:
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))
    return path
