"""Folders that appear whole, with a stamp that says what they were made of; and errors in one line."""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

STAMP = "stamp.json"


class ScriptError(Exception):
    """Why the work cannot be done and what to do next, in one line."""


def is_complete(folder: Path, stamp: Mapping[str, object]) -> bool:
    """Whether `folder` was made, whole, and bears this stamp."""
    try:
        return bool(json.loads((folder / STAMP).read_text(encoding="utf-8")) == stamp)
    except (OSError, ValueError):
        return False


@contextmanager
def appearing_folder(folder: Path, stamp_of: Callable[[Path], Mapping[str, object]]) -> Iterator[Path]:
    """Yield a new folder that takes the name `folder`, with its stamp, when the block ends well.

    An older folder with a stamp is replaced. Raises ScriptError for one that holds something else.
    """
    if folder.exists() and any(folder.iterdir()) and not (folder / STAMP).is_file():
        raise ScriptError(f"{folder} is not empty and was not made by this script; name another folder")
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{folder.name}.", dir=folder.parent) as temporary:
        new = Path(temporary, "new")
        new.mkdir()
        yield new
        (new / STAMP).write_text(json.dumps(stamp_of(new), indent=2) + "\n", encoding="utf-8")
        if folder.exists():
            folder.rename(Path(temporary, "old"))
        new.rename(folder)


def ends_in_one_line(name: str, work: Callable[[], None], *errors: type[Exception]) -> int:
    """Run `work` and return the exit code: 0, or 2 with one line on stderr for what the user can mend."""
    caught: tuple[type[Exception], ...] = (ScriptError, OSError, *errors)
    try:
        work()
    except caught as error:
        print(f"{name}: {error}", file=sys.stderr)
        return 2
    return 0
