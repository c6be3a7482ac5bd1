"""Ready embeddings → store: .npy with ids or clip-retrieval's folder, with the encoder that the user names."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from tokenize import TokenError
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from memaudit.embedding.reconcile import require_distinct
from memaudit.errors import EmptyInputError, InputError
from memaudit.files import open_regular, reason_of, text_lines
from memaudit.images.arrow_rows import arrow_table
from memaudit.images.cells import (
    CAPTION_COLUMNS,
    ID_COLUMNS,
    PATH_COLUMNS,
    Row,
    as_metadata,
    first_of,
    storable,
    storable_id,
    storable_uri,
)
from memaudit.images.text_rows import TEXT_TABLES, text_rows
from memaudit.store import NO_FILE, Columns, Manifest, Store, writing_store
from memaudit.types import EncoderSpec, Float32, Progress, Status, silent

_IMAGE_PATH = ("image_path", *PATH_COLUMNS)  # clip-retrieval's name first
_NO_VECTOR = "the imported embedding is NaN, infinite or zero"
_ARROW = (".parquet", ".arrow")
_PARTS = {"img_emb": ".npy", "metadata": ".parquet"}  # folders of clip-retrieval's layout
_EXACT = (1e-15, 1e15)  # lengths whose squares float32 can hold


class Part(NamedTuple):
    """One .npy of embeddings (rows, dim) and the file with the rows' names, in the same order."""

    embeddings: Path
    ids: Path


def clip_retrieval_parts(folder: Path) -> list[Part]:
    """The parts of clip-retrieval's layout, img_emb/img_emb_N.npy beside metadata/metadata_N.parquet, by number.

    Where parts of several runs were put together, so that a number is there twice, parts belong together by their
    names. Raises InputError if there are none, if one of a pair is missing, or if names do not tell what belongs
    together.
    """
    vectors, names = (sorted((folder / kind).glob(f"*{suffix}")) for kind, suffix in _PARTS.items())
    if not vectors:
        raise InputError(f"{folder} holds no img_emb/*.npy: give a .npy file with --ids, or clip-retrieval's folder")
    by_name = [{_run_of(path): path for path in paths} for paths in (vectors, names)]
    if by_name[0].keys() == by_name[1].keys() and len(by_name[0]) == len(vectors) and len(by_name[1]) == len(names):
        order = sorted(by_name[0], key=lambda run: (int((re.findall(r"\d+$", run) or ["-1"])[0]), run))
        return [Part(by_name[0][run], by_name[1][run]) for run in order]
    return _parts_by_number(folder, vectors, names)


def _parts_by_number(folder: Path, vectors: list[Path], names: list[Path]) -> list[Part]:
    for paths in (vectors, names):
        number, count = Counter(map(_number, paths)).most_common(1)[0] if paths else (0, 0)
        if count > 1:
            twice = " and ".join(path.name for path in paths if _number(path) == number)
            raise InputError(
                f"{folder}: {twice} are all part {number}, and their names do not tell which metadata belong to which "
                "embeddings: give both files of a part the same name"
            )
    embeddings, tables = ({_number(path): path for path in paths} for paths in (vectors, names))
    if embeddings.keys() != tables.keys():
        odd = min(embeddings.keys() ^ tables.keys())
        raise InputError(f"{folder}: part {odd} has embeddings or metadata, but not both: restore what is missing")
    return [Part(embeddings[number], tables[number]) for number in sorted(embeddings)]


def _run_of(path: Path) -> str:
    """A part's name without the word for what it holds: the same for both of its files."""
    return path.stem.replace(path.parent.name, "")


def _number(path: Path) -> int:
    match = re.search(r"(\d+)$", path.stem)
    if match is None:
        raise InputError(f"{path} has no part number at the end of its name, such as img_emb_0.npy")
    return int(match[1])


def dimension_of(parts: list[Part]) -> int:
    """The dimension that all parts share. Raises InputError if they differ or are no matrices of floats."""
    shapes = {_open(part.embeddings).shape[1] for part in parts}
    if len(shapes) > 1:
        raise InputError(
            f"embeddings of different dimensions: {', '.join(map(str, sorted(shapes)))}; import them apart"
        )
    return int(shapes.pop())


def _open(path: Path) -> NDArray[Any]:
    """Map a .npy file. numpy.load would take archives, and unpickle, too."""
    if not path.is_file():
        raise InputError(f"{path} is no file: give a .npy file of embeddings")
    try:
        matrix: NDArray[Any] = np.lib.format.open_memmap(path, mode="r")
    except (OSError, ValueError, EOFError, SyntaxError, OverflowError, MemoryError, TokenError) as error:
        reason = " ".join(str(error).split())[:200]
        raise InputError(
            f"{path} cannot be read as a .npy array: {reason}; write the embeddings with numpy.save, one matrix "
            "(rows, dim)"
        ) from None
    if matrix.ndim != 2 or matrix.dtype.kind != "f" or matrix.shape[1] == 0:
        raise InputError(f"{path} holds {matrix.dtype} of shape {matrix.shape}, expected floats of shape (rows, dim)")
    return matrix


def import_embeddings(
    parts: list[Part], folder: Path, encoder: EncoderSpec, *, shard_rows: int = 8192, progress: Progress = silent
) -> Store:
    """Write a store of ready embeddings, rescaled to unit length. Memory: one shard, and 8 bytes a row.

    What is NaN, infinite or zero becomes an unreadable row. Imported rows have no file hash: exact duplicates among
    them are found by embedding alone. Raises InputError for parts that do not fit, repeated ids, or a finished store.
    """
    if (folder / "store.json").is_file() and Manifest.read(folder).complete:
        raise InputError(f"store {folder} is complete already: choose another --out, or remove it")
    total = sum(_checked_rows(part, encoder.dim) for part in parts)
    if not total:
        raise EmptyInputError(f"no embedding in {', '.join(str(part.embeddings) for part in parts)}: nothing to import")
    require_distinct(lambda: (name.image_id for part in parts for name in _names(part.ids)))
    with writing_store(folder, encoder, shard_rows, [str(part.embeddings) for part in parts]) as writer:
        writer.keep_shards(0)
        for part in parts:
            names = _names(part.ids)
            for low in range(0, len(_open(part.embeddings)), shard_rows):
                # Opened anew for each shard: pages that a mapping has read count as this process's memory.
                vectors = np.array(_open(part.embeddings)[low : low + shard_rows])
                writer.write_columns(*_shard(vectors, [next(names) for _ in range(len(vectors))]))
                progress("importing", writer.rows, total)
        writer.finish()
    return Store.open(folder)


def _checked_rows(part: Part, dim: int) -> int:
    matrix = _open(part.embeddings)
    named = sum(1 for _ in _names(part.ids))
    if len(matrix) != named:
        raise InputError(
            f"{part.embeddings} has {len(matrix):,} embeddings, {part.ids} names {named:,}: they must agree"
        )
    if matrix.shape[1] != dim:
        raise InputError(f"{part.embeddings} is {matrix.shape[1]}-d, expected {dim}")
    return named


class _Name(NamedTuple):
    """What is said of an embedding."""

    image_id: str
    row: Row


def _names(path: Path) -> Iterator[_Name]:
    """The names in a table, by the columns ID_COLUMNS or else the image's path; or in a text file, one a line."""
    suffix = path.suffix.lower()
    if suffix not in (*_ARROW, *TEXT_TABLES):
        yield from _names_in_lines(path)
        return
    for row in _table_rows(path):
        image_id = first_of(row, (*ID_COLUMNS, *_IMAGE_PATH)).text
        if not image_id:
            expected = ", ".join((*ID_COLUMNS, *_IMAGE_PATH))
            raise InputError(f"ids {path}: a row has none of {expected}; its columns are {', '.join(row)}")
        yield _Name(storable_id(image_id), row)


def _table_rows(path: Path) -> Iterator[Row]:
    if path.suffix.lower() in _ARROW:
        with arrow_table("ids", str(path)) as table:
            yield from table.rows(4096)
        return
    try:
        with open_regular(path) as handle:
            yield from (row for _, row in text_rows("ids", str(path), handle))
    except OSError as error:
        raise InputError(f"ids {path} cannot be read: {reason_of(error)}") from None


def _names_in_lines(path: Path) -> Iterator[_Name]:
    try:
        for number, line in enumerate(text_lines(path), start=1):
            if not line.strip():
                raise InputError(f"ids {path}, line {number} is empty: every embedding needs an id")
            yield _Name(storable_id(line.rstrip("\r\n")), {})
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"ids {path} cannot be read: {reason_of(error)}") from None


def _shard(vectors: NDArray[Any], names: list[_Name]) -> tuple[Columns, NDArray[np.float16]]:
    lengths, unit = _rescaled(vectors)
    sound = lengths > 0
    rows = len(names)
    said = [_said_of(name.row) for name in names]
    columns = Columns(
        image_id=np.array([name.image_id for name in names], dtype=object),
        uri=np.array([each.uri for each in said], dtype=object),
        caption=np.array([each.caption for each in said], dtype=object),
        sha256=np.full(rows, NO_FILE, dtype=object),
        width=np.zeros(rows, np.int64),
        height=np.zeros(rows, np.int64),
        status=np.where(sound, Status.OK, Status.UNREADABLE).astype(object),
        error=np.where(sound, "", _NO_VECTOR).astype(object),
        metadata=np.array([each.metadata for each in said], dtype=object),
        simplicity=np.full(rows, math.nan, np.float32),
        cut=np.zeros(rows, dtype=bool),
    )
    return columns, unit.astype(np.float16)


def _rescaled(vectors: NDArray[Any]) -> tuple[Float32, Float32]:
    """The lengths (rows,) and the unit vectors (rows, dim). Of what is NaN, infinite or zero the length is 0.

    Vectors whose squares float32 cannot hold are first divided by their largest number.
    """
    with np.errstate(over="ignore", under="ignore", invalid="ignore"):
        short = vectors.astype(np.float32)
        lengths = np.linalg.norm(short, axis=1)
        odd = np.flatnonzero(~((lengths > _EXACT[0]) & (lengths < _EXACT[1])))
        wide = vectors[odd].astype(np.float64)
        largest = np.abs(wide).max(axis=1, initial=0)
        finite = np.isfinite(largest) & (largest > 0)
        short[odd] = np.where(finite[:, None], wide / np.where(finite, largest, 1)[:, None], 0)
        lengths[odd] = np.linalg.norm(short[odd], axis=1)
        unit = short / np.where(lengths > 0, lengths, 1)[:, None]
        return np.asarray(lengths, np.float32), np.asarray(unit, np.float32)


class _Said(NamedTuple):
    """What a table says of an embedding beside its image_id."""

    uri: str
    caption: str
    metadata: str


def _said_of(row: Row) -> _Said:
    path, caption = first_of(row, _IMAGE_PATH), first_of(row, CAPTION_COLUMNS)
    image_id = first_of(row, (*ID_COLUMNS, *_IMAGE_PATH))
    used = {path.column, image_id.column, *([] if isinstance(row.get(caption.column), list) else [caption.column])}
    metadata = as_metadata(row, used)
    return _Said(storable_uri(path.text), storable(caption.text), storable(metadata))
