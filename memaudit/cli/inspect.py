"""memaudit info, verify and doctor."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from memaudit.cli.console import Console, JsonFlag, QuietFlag, VerboseFlag, table
from memaudit.cli.options import is_store

if TYPE_CHECKING:
    from memaudit.store import Store

AnyPath = Annotated[Path, typer.Argument(metavar="PATH", help="A store, an index or a report.json.")]


def info(path: AnyPath, as_json: JsonFlag = False, quiet: QuietFlag = False, verbose: VerboseFlag = False) -> None:
    """Say what a store, an index or a report holds."""
    value = _described(path)
    rows = [(name, _shown(item)) for name, item in value.items()]
    Console(as_json, quiet).result(value, table(rows))


def verify(path: AnyPath, as_json: JsonFlag = False, quiet: QuietFlag = False, verbose: VerboseFlag = False) -> None:
    """Re-compute every digest of a store, an index or a report. Exit code 3: it is damaged."""
    faults = _faults(path)
    text = f"{path} is sound" if not faults else "\n".join(faults)
    Console(as_json, quiet).result({"path": str(path), "sound": not faults, "faults": faults}, text)
    raise typer.Exit(3 if faults else 0)


def doctor(as_json: JsonFlag = False, quiet: QuietFlag = False, verbose: VerboseFlag = False) -> None:
    """Show versions, devices, weights, the FAISS build and disk space: what a bug report needs."""
    from memaudit.cli.diagnosis import diagnose

    value = diagnose()
    Console(as_json, quiet).result(value, table([(name, _shown(item)) for name, item in value.items()]))


def _kind(path: Path) -> str:
    from memaudit.errors import InputError

    if is_store(path):
        return "store"
    if (path / "index.json").is_file():
        return "index"
    if path.is_file():
        return "report"
    raise InputError(f"{path} is neither a store, nor an index, nor a report.json")


def _described(path: Path) -> dict[str, Any]:
    kind = _kind(path)
    if kind == "store":
        return _describe_store(path)
    if kind == "index":
        from memaudit.index import read_manifest

        return {"kind": "index", **read_manifest(path)}
    from memaudit.report.document import read_report

    report = read_report(path)
    return {
        "kind": f"report of {report.kind}",
        "created": report.created,
        "headline": report.results.headline,
        "coverage": report.content["coverage"],
        "threshold": report.threshold,
        "findings": len(report.findings),
        "digest": report.digest,
    }


def _describe_store(path: Path) -> dict[str, Any]:
    from memaudit.store import Manifest, Store
    from memaudit.types import Status

    manifest = Manifest.read(path)
    value: dict[str, Any] = {
        "kind": "store",
        "complete": manifest.complete,
        **({"holds": "faces: biometric templates of people"} if manifest.kind == "faces" else {}),
        "encoder": manifest.encoder.identity,
        "sources": list(manifest.sources),
        "shards": len(manifest.shards),
        "rows": sum(shard.rows for shard in manifest.shards),
        "comparable": sum(shard.ok for shard in manifest.shards),
    }
    if not manifest.complete:
        return value
    store = Store.open(path)
    status: Counter[str] = Counter()
    causes: Counter[str] = Counter()
    others: Counter[str] = Counter()
    for columns in store.iter_columns():
        status.update(map(str, columns.status))
        for state, error in zip(columns.status, columns.error, strict=True):
            if error:
                (causes if state == Status.UNREADABLE else others)[error] += 1
    out_of_scope = {"not compared": dict(others.most_common())} if others else {}
    return {
        **value,
        "digest": store.digest,
        "status": dict(status),
        "unreadable": dict(causes.most_common()),
        **out_of_scope,
        **_windows(store),
    }


def _windows(store: Store) -> dict[str, Any]:
    """How many tiles and details the images have, or what is wrong with them; nothing of those that are not there."""
    from memaudit.embedding.windows import DETAILS, TILES, details_of, tiles_of, window_counts
    from memaudit.errors import InconclusiveError

    value: dict[str, Any] = {}
    for name, open_windows in ((TILES, tiles_of), (DETAILS, details_of)):
        try:
            windows = open_windows(store)
            if windows is not None:
                value[name] = window_counts(windows)._asdict()
        except InconclusiveError as error:
            value[name] = {"fault": str(error)}
    return value


def _faults(path: Path) -> list[str]:
    kind = _kind(path)
    if kind == "store":
        from memaudit.embedding.windows import window_faults
        from memaudit.store import verify_store

        return [*verify_store(path), *window_faults(path)]
    if kind == "index":
        from memaudit.index import verify_index

        return verify_index(path)
    from memaudit.report.document import read_report

    read_report(path)
    return []


def _shown(value: Any) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{key}: {_shown(item)}" for key, item in value.items()) or "none"
    if isinstance(value, list):
        return ", ".join(map(_shown, value)) or "none"
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)
