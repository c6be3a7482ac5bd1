"""The real commands, each in a process of its own."""

from __future__ import annotations

import csv
from collections.abc import Mapping
from pathlib import Path

from benchmarks.measure import Cost, cost_of, embed_command, memaudit

ENCODER = "sscd"


def write_manifest(path: Path, files: Mapping[str, Path]) -> Path:
    """image_ids and files, for `memaudit embed`."""
    with path.open("w", encoding="utf-8", newline="") as handle:
        writer = csv.writer(handle, lineterminator="\n")
        writer.writerow(["path", "image_id"])
        writer.writerows((str(file.resolve()), image_id) for image_id, file in files.items())
    return path


def embedded(files: Mapping[str, Path], store: Path, encoder: str) -> Path:
    embedding(files, store, encoder)
    return store


def embedding(files: Mapping[str, Path], store: Path, encoder: str, *options: str) -> Cost:
    """Embed the files, by their image_ids, with the real command."""
    return cost_of([*embed_command(write_manifest(store.with_suffix(".csv"), files), store, encoder), *options])


def audited(queries: Path, references: Path, out: Path, *options: str) -> Cost:
    """The real command, in a process of its own."""
    return cost_of(memaudit("audit", queries, "--against", references, "--out", out, *options))
