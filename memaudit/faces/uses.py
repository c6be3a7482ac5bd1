"""Which runs and indexes were made of a store of faces: whoever is forgotten there is known to these as well."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from memaudit.store import FACES, Store

_USES = ".used-by"  # a path a line


def note_use(store: Store, place: Path) -> None:
    """Remember that what is at `place` was made of a store, if it is one of faces. Where the store may not be written
    to nothing is remembered."""
    found = os.path.realpath(place)
    if store.manifest.kind != FACES or "\n" in found or Path(found) in uses_of(store.folder):
        return
    with suppress(OSError):
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | getattr(os, "O_NOFOLLOW", 0)
        descriptor = os.open(store.folder / _USES, flags, 0o600)
        with os.fdopen(descriptor, "ab") as file:
            file.write(os.fsencode(found) + b"\n")


def uses_of(folder: Path) -> list[Path]:
    """The folders of what was made of the store at `folder` and is there; the audit that it lies in is among them."""
    found = {Path(os.path.realpath(folder.parent)): None} if (folder.parent / ".memaudit-run").is_file() else {}
    with suppress(OSError):
        lines = (folder / _USES).read_bytes().splitlines()
        found.update(dict.fromkeys(Path(os.fsdecode(line)) for line in lines))
    return [path for path in found if path.is_dir()]
