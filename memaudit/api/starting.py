"""The first file of a pre-release check."""

from __future__ import annotations

import tomllib
from pathlib import Path

from memaudit.api.gating import write_policy
from memaudit.errors import UsageError
from memaudit.files import is_store, write_text
from memaudit.release.run_file import run_file_in
from memaudit.release.start_file import start_file

FILE, POLICY = "release.toml", "memaudit.toml"


def start_release(
    folder: str | Path,
    *,
    training: str = "",
    generations: str = "",
    command: str = "",
    control: str = "",
    model: str = "",
) -> Path:
    """Write DIR/release.toml for `run_release`, and the default policy beside it where there is none. Return its path.

    training: images or a store; generations: images that are there already; command: what generates, with {jobs} and
    {out}; control: held-out images. Paths are taken from the folder. Raises UsageError where the file is there already,
    or the command names neither, or a name is no UTF-8 text.

    >>> ma.start_release("check", training="../training", generations="../generations").name
    'release.toml'
    """
    folder = Path(folder)
    path = folder / FILE
    text = start_file(
        FILE, training, is_store(folder / training) if training else False, generations, command, control, model
    )
    _require_utf_8(text)
    run_file_in(tomllib.loads(text), path)
    if path.exists() and path.read_text("utf-8") != text:
        raise UsageError(f"{path} exists already: name another folder, or remove it")
    folder.mkdir(parents=True, exist_ok=True)
    if not (folder / POLICY).exists():
        write_policy(folder / POLICY)
    write_text(path, text)
    return path


def _require_utf_8(text: str) -> None:
    """File names may be any bytes, TOML may not."""
    try:
        text.encode()
    except UnicodeEncodeError as error:
        line = text[: error.start].rpartition("\n")[2] + text[error.start :].partition("\n")[0]
        raise UsageError(f"{FILE} cannot hold {line[:80]!r}, which is no UTF-8 text: rename what it names") from None
