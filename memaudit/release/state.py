"""What stages were made of, and what came of them: by which a stage knows that it need not be done again."""

from __future__ import annotations

from pathlib import Path

from memaudit import __version__
from memaudit.errors import InputError, MemauditError
from memaudit.files import digest_of, read_json, sealed, unsealed, write_json

SCHEMA = "urn:memaudit:release:1"


class State:
    """What stages were made of, and what came of them: run.json."""

    def __init__(self, path: Path) -> None:
        self._path, self._stages = path, dict[str, dict[str, str]]()
        if path.is_file():
            try:
                told = unsealed(path, read_json(path))
            except MemauditError:
                return  # all is made anew
            if told.get("schema") == SCHEMA and told.get("memaudit") == __version__:
                self._stages = dict(told["stages"])

    def holds(self, stage: str, key: str, result: str) -> bool:
        return self._stages.get(stage) == _entry(key, result)

    def note(self, stage: str, key: str, result: str) -> None:
        self._stages[stage] = _entry(key, result)
        write_json(self._path, sealed({"schema": SCHEMA, "memaudit": __version__, "stages": self._stages}))


def _entry(key: str, result: str) -> dict[str, str]:
    return {"inputs": key, "digest": result}


def listing_digest(folder: Path) -> str:
    """Of the names, sizes and times of the files below a folder, or of a file."""
    if not folder.exists():
        raise InputError(f"[generator] path = {str(folder)!r}: there is no such folder")
    files = sorted(path for path in folder.rglob("*") if path.is_file()) if folder.is_dir() else [folder]
    states = [(str(path.relative_to(folder)), path.stat().st_size, path.stat().st_mtime_ns) for path in files]
    return digest_of([list(state) for state in states])
