"""What stages were made of, and what came of them: by which a stage knows that it need not be done again."""

from __future__ import annotations

import os
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from secrets import token_hex

from memaudit import __version__
from memaudit.errors import InputError, MemauditError
from memaudit.files import digest_of, read_json, sealed, unsealed, write_json
from memaudit.images.folders import walk
from memaudit.images.manifests import MANIFESTS
from memaudit.images.remote import is_url, local_path
from memaudit.images.sources import TABLES, iter_images

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


def listing_digest(source: Path) -> str:
    """Of the names, sizes and times of the images below a folder, wherever links lead, or of a file and of those that a
    list names. A list with a URL has another one each time: nobody knows what lies there by now.

    Memory: one state. Raises InputError where there is nothing, or a list that cannot be read.
    """
    if not source.exists():
        raise InputError(f"[generator] path = {str(source)!r}: there is no such folder")
    made = sha256()
    for name, location in _files_of(source):
        made.update(digest_of([name, *_state_at(location)]).encode())
    return made.hexdigest()


def _files_of(source: Path) -> Iterator[tuple[str, str]]:
    """What an audit of the source reads, by name and place."""
    if source.is_dir():
        yield from ((file.relative, file.location) for file in walk(str(source), hidden=True))
        return
    yield source.name, str(source)
    if source.suffix.lower() in (*MANIFESTS, *TABLES):
        yield from ((ref.image_id, ref.uri) for ref in iter_images([source], contents=False))


def _state_at(location: str) -> list[int | str]:
    path = local_path(location)
    if is_url(path):
        return [token_hex()]
    try:
        state = os.stat(path)
    except OSError:  # gone; or a row of a table, whose own state is there
        return []
    return [state.st_size, state.st_mtime_ns]
