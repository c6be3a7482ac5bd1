"""Whether an export is what was written: every byte of it, by the digests that it carries itself."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from memaudit.errors import InconclusiveError, InputError
from memaudit.exporting.plan import PLAN
from memaudit.exporting.records import entries_of, read_record, record_path
from memaudit.exporting.run import CARD, CROISSANT, EXPORT, SUMS
from memaudit.files import read_json, reason_of, sha256_of, text_lines, unsealed


def contents(folder: Path) -> dict[str, Any]:
    """What export.json says, without the single shards. Raises InconclusiveError for one that was not finished."""
    path = folder / EXPORT
    if not path.is_file():
        raise InconclusiveError(f"export {folder} is unfinished: run the same memaudit export command again")
    content = unsealed(path, read_json(path))
    return {name: value for name, value in content.items() if name not in ("shards", "written")} | {
        "shards": len(content["written"]),
        "digest": read_json(path)["digest"],
    }


def description(folder: Path) -> dict[str, Any]:
    """What croissant.json says. Raises InconclusiveError for an export that was not finished, or where it was
    changed."""
    contents(folder)
    path = folder / CROISSANT
    for fault in _unless(path, dict(_sums(folder / SUMS)).get(CROISSANT)):
        raise InconclusiveError(fault)
    return read_json(path)


def faults_of(folder: Path) -> Iterator[str]:
    """What was changed, a line each; what is beside the plan in passing, then shard by shard. Raises InconclusiveError
    for an export that was not finished, or whose export.json was changed."""
    contents(folder)
    written = unsealed(folder / EXPORT, read_json(folder / EXPORT))
    try:
        sums = dict(_sums(folder / SUMS))
    except InputError as error:
        yield str(error)
        return
    for name in (PLAN, CROISSANT, *([CARD] if CARD in sums else [])):
        yield from _unless(folder / name, sums.get(name))
    for shard in written["shards"]:
        path = record_path(folder, shard["name"])
        record = read_record(path) if shard["exported"] else None
        if shard["exported"]:
            yield from _unless(path, sums.get(path.relative_to(folder).as_posix()))
        if record is not None and not record.file:
            for entry in entries_of(path):
                yield from _unless(folder / entry.file, entry.sha256)
    for shard in written["written"]:
        yield from _unless(folder / shard["file"], shard["sha256"])


def _sums(path: Path) -> Iterator[tuple[str, str]]:
    """Name and digest of each line of SHA256SUMS."""
    try:
        for line in text_lines(path):
            digest, _, name = line.rstrip("\n").partition("  ")
            yield name, digest
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path} cannot be read: {reason_of(error)}") from None


def _unless(path: Path, expected: str | None) -> Iterator[str]:
    try:
        found = sha256_of(path)
    except OSError as error:
        yield f"{path} cannot be read: {reason_of(error)}"
        return
    if found != expected:
        yield f"{path} was changed after it was written: its sha256 is {found[:12]}…; run the same export again"
