"""The real commands, each in a process of its own."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from benchmarks.audit.pictures import write_manifest
from benchmarks.measure import Cost, cost_of, embed_command, memaudit


def embedded(files: Mapping[str, Path], store: Path, encoder: str) -> Path:
    embedding(files, store, encoder)
    return store


def embedding(files: Mapping[str, Path], store: Path, encoder: str, *options: str) -> Cost:
    """Embed the files, by their image_ids, with the real command."""
    return cost_of([*embed_command(write_manifest(store.with_suffix(".csv"), files), store, encoder), *options])


def audited(queries: Path, references: Path, out: Path, *options: str) -> Cost:
    """The real command, in a process of its own."""
    return cost_of(memaudit("audit", queries, "--against", references, "--out", out, *options))
