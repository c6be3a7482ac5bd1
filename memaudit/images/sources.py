"""Sources: folders, single images and CSV/TSV/JSONL manifests become one stream of `ImageRef`.

Order is stable (path order in folders, line order in manifests), so that a killed run can be continued.
Everything in a folder that is not a known companion file counts as an image: a file this build cannot decode
becomes an unreadable row and lowers the coverage, instead of vanishing.
"""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from memaudit.errors import InputError, UsageError
from memaudit.records import ImageRef

COMPANIONS = frozenset(
    f".{suffix}"
    for suffix in (
        *("csv", "tsv", "json", "jsonl", "txt", "md", "html", "xml", "yaml", "yml", "toml", "lock", "log", "py"),
        *("parquet", "arrow", "npy", "npz", "pt"),
    )
)
PATH_COLUMNS = ("path", "uri", "file", "filename", "image", "url")
ID_COLUMNS = ("image_id", "id", "key")
CAPTION_COLUMNS = ("caption", "text", "prompt")
_JSON_LINES = (".jsonl", ".ndjson")
_TABLES: dict[str, str] = {".csv": ",", ".tsv": "\t"}


def iter_images(sources: Sequence[str | Path]) -> Iterator[ImageRef]:
    """Yield every image of `sources`, in order. Memory is bounded by the folders on the way to the current one.

    image_ids are paths relative to the folder given, or the manifest's id column. With several sources they are
    prefixed by the source's name, so that `a/1.jpg` and `b/1.jpg` stay two images.
    Raises InputError for a source that does not exist or a manifest that cannot be understood.
    """
    paths = [Path(source) for source in sources]
    if not paths:
        raise UsageError("no source given: name at least one folder, image or manifest (.csv, .tsv, .jsonl)")
    names = [os.path.basename(os.path.abspath(path)) for path in paths]  # of "." as well
    prefixes = [f"{name}/" if len(paths) > 1 else "" for name in names]
    if len(set(prefixes)) < len(paths) > 1:
        raise UsageError(
            f"two sources are both called {_first_repeated(prefixes)!r}, so their image_ids would clash: "
            "rename one, or list the images in a manifest with an id column"
        )
    for path, prefix in zip(paths, prefixes, strict=True):
        for ref in _iter_one(path):
            yield ImageRef(_storable(prefix + ref.image_id), ref.uri, _storable(ref.caption))


def _storable(text: str) -> str:
    """Escape what UTF-8 columns cannot hold: bytes of odd file names, and NUL."""
    return text.encode("utf-8", "backslashreplace").decode().replace("\0", "\\0")


def _first_repeated(prefixes: Sequence[str]) -> str:
    return next(p for i, p in enumerate(prefixes) if p in prefixes[:i]).rstrip("/")


def _iter_one(path: Path) -> Iterator[ImageRef]:
    if path.is_dir():
        return _iter_folder(path)
    if not path.exists():
        raise InputError(f"source {path} does not exist: give a folder, an image or a manifest")
    suffix = path.suffix.lower()
    if suffix in _TABLES:
        return _iter_manifest(path, _read_table)
    if suffix in _JSON_LINES:
        return _iter_manifest(path, _read_json_lines)
    if suffix in COMPANIONS:
        raise InputError(f"source {path} is not an image; manifests end in .csv, .tsv or .jsonl")
    return iter([ImageRef(path.name, os.path.realpath(path))])


def _iter_folder(root: Path) -> Iterator[ImageRef]:
    absolute = os.path.realpath(root)
    for relative in _walk(absolute):
        yield ImageRef(relative, os.path.join(absolute, relative))


def _walk(root: str) -> Iterator[str]:
    """Paths below `root`, relative to it. A link to a folder above it is not followed: its images are listed there."""
    above, pending = [_identity(os.stat(root))], [_entries(root)]
    while pending:
        entry = next(pending[-1], None)
        if entry is None:
            above.pop()
            pending.pop()
        elif not _is_folder(entry):
            if os.path.splitext(entry.name)[1].lower() not in COMPANIONS:
                yield entry.path.removeprefix(root).lstrip(os.sep)
        elif (identity := _identity(entry.stat())) not in above:
            above.append(identity)
            pending.append(_entries(entry.path))


def _identity(status: os.stat_result) -> tuple[int, int]:
    return status.st_dev, status.st_ino


def _entries(folder: str) -> Iterator[os.DirEntry[str]]:
    """What is in a folder, by name, without hidden files."""
    try:
        with os.scandir(folder) as found:
            entries = [entry for entry in found if not entry.name.startswith(".")]
    except OSError as error:
        raise InputError(f"folder {folder} cannot be listed: {error.strerror}") from None
    return iter(sorted(entries, key=lambda entry: entry.name))


def _is_folder(entry: os.DirEntry[str]) -> bool:
    """False for a link that leads nowhere: it is listed as an image, and becomes an unreadable row."""
    try:
        return entry.is_dir()
    except OSError:
        return False


def _iter_manifest(path: Path, read: Callable[[Path], Iterator[Mapping[str, Any]]]) -> Iterator[ImageRef]:
    for number, row in enumerate(read(path), start=1):
        location = _first(row, PATH_COLUMNS)
        if not location:
            raise InputError(
                f"manifest {path}, entry {number}: no image path; expected one of the columns "
                f"{', '.join(PATH_COLUMNS)}, found {', '.join(map(str, row)) or 'none'}"
            )
        try:
            uri = os.path.realpath(path.parent / location)
        except ValueError:  # NUL, or half a surrogate pair
            raise InputError(f"manifest {path}, entry {number}: {location!r} cannot be a path") from None
        yield ImageRef(_first(row, ID_COLUMNS) or location, uri, _first(row, CAPTION_COLUMNS))


def _first(row: Mapping[str, Any], names: Sequence[str]) -> str:
    return next((str(row[name]) for name in names if row.get(name) not in (None, "")), "")


def _read_table(path: Path) -> Iterator[Mapping[str, Any]]:
    try:
        with path.open(newline="", encoding="utf-8-sig") as handle:
            # strict, because a quote that is never closed would swallow the lines after it
            reader = csv.DictReader(handle, delimiter=_TABLES[path.suffix.lower()], strict=True)
            for row in reader:
                if None in row:  # where DictReader puts what is too much
                    raise InputError(f"manifest {path}, line {reader.line_num}: more fields than the header has names")
                yield row
    except (UnicodeDecodeError, csv.Error) as error:
        raise InputError(f"manifest {path} cannot be read as UTF-8 text with quoted fields: {error}") from None


def _read_json_lines(path: Path) -> Iterator[Mapping[str, Any]]:
    try:
        with path.open(encoding="utf-8-sig") as handle:
            for number, line in enumerate(handle, start=1):
                if line.strip():
                    yield _json_object(path, number, line)
    except UnicodeDecodeError as error:
        raise InputError(f"manifest {path} cannot be read as UTF-8 text: {error}") from None


def _json_object(path: Path, number: int, line: str) -> Mapping[str, Any]:
    try:
        row = json.loads(line)
    except (ValueError, RecursionError) as error:  # a number of 5,000 digits is a plain ValueError
        raise InputError(f"manifest {path}, line {number}: not valid JSON: {error}") from None
    if not isinstance(row, dict):
        raise InputError(f"manifest {path}, line {number}: expected an object, found {type(row).__name__}")
    return row
