"""Ready embeddings → store: .npy with ids or clip-retrieval's folder, with the encoder that the user names."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from memaudit.embedding.reconcile import require_distinct
from memaudit.errors import InputError
from memaudit.images.manifests import CAPTION_COLUMNS, ID_COLUMNS, PATH_COLUMNS, as_metadata, first_of
from memaudit.store import NO_FILE, Columns, Manifest, Store, writing_store
from memaudit.types import EncoderSpec, Progress, Status, silent

_IMAGE_PATH = ("image_path", *PATH_COLUMNS)  # clip-retrieval's name first
_NO_VECTOR = "the imported embedding is NaN, infinite or zero"


class Part(NamedTuple):
    """One .npy of embeddings (rows, dim) and the file with the rows' names, in the same order."""

    embeddings: Path
    ids: Path


def clip_retrieval_parts(folder: Path) -> list[Part]:
    """The parts of clip-retrieval's layout: img_emb/img_emb_N.npy beside metadata/metadata_N.parquet, by number.

    Raises InputError if there are none, or if one of a pair is missing.
    """
    vectors = {_number(path): path for path in (folder / "img_emb").glob("*.npy")}
    names = {_number(path): path for path in (folder / "metadata").glob("*.parquet")}
    if not vectors:
        raise InputError(f"{folder} holds no img_emb/*.npy: give a .npy file with --ids, or clip-retrieval's folder")
    if vectors.keys() != names.keys():
        odd = min(vectors.keys() ^ names.keys())
        raise InputError(f"{folder}: part {odd} has embeddings or metadata, but not both: restore what is missing")
    return [Part(vectors[number], names[number]) for number in sorted(vectors)]


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
    try:
        matrix: NDArray[Any] = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError) as error:
        raise InputError(f"{path} cannot be read as a .npy array: {error}") from None
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
    require_distinct(lambda: (first_of(row, ID_COLUMNS) for part in parts for row in _names(part.ids)))
    with writing_store(folder, encoder, shard_rows, [str(part.embeddings) for part in parts]) as writer:
        writer.keep_shards(0)
        for part in parts:
            names = _names(part.ids)
            for low in range(0, len(_open(part.embeddings)), shard_rows):
                # Opened anew for each shard: pages that a mapping has read count as this process's memory.
                vectors = np.array(_open(part.embeddings)[low : low + shard_rows], dtype=np.float32)
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


def _names(path: Path) -> Iterator[dict[str, Any]]:
    """One mapping for each row with at least its image_id. Lines of text, or a Parquet table."""
    if path.suffix.lower() == ".parquet":
        return _names_in_table(path)
    return _names_in_lines(path)


def _names_in_lines(path: Path) -> Iterator[dict[str, Any]]:
    try:
        with path.open(encoding="utf-8-sig") as handle:
            for number, line in enumerate(handle, start=1):
                if not line.strip():
                    raise InputError(f"ids {path}, line {number} is empty: every embedding needs an id")
                yield {"image_id": line.rstrip("\r\n")}
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"ids {path} cannot be read: {error}") from None


def _names_in_table(path: Path) -> Iterator[dict[str, Any]]:
    try:
        for batch in pq.ParquetFile(path).iter_batches(batch_size=4096):
            for row in batch.to_pylist():
                image_id = first_of(row, (*ID_COLUMNS, *_IMAGE_PATH))
                if not image_id:
                    raise InputError(f"ids {path}: a row has none of {', '.join((*ID_COLUMNS, *_IMAGE_PATH))}")
                yield {**row, "image_id": image_id}
    except (OSError, pa.ArrowException) as error:
        raise InputError(f"ids {path} cannot be read: {error}") from None


def _shard(vectors: NDArray[np.float32], names: list[dict[str, Any]]) -> tuple[Columns, NDArray[np.float16]]:
    lengths = np.linalg.norm(vectors, axis=1)
    sound = np.isfinite(lengths) & (lengths > 0)
    unit = np.where(sound[:, None], vectors / np.where(sound, lengths, 1)[:, None], 0).astype(np.float16)
    rows = len(names)
    columns = Columns(
        image_id=np.array([row["image_id"] for row in names], dtype=object),
        uri=np.array([first_of(row, _IMAGE_PATH) for row in names], dtype=object),
        caption=np.array([first_of(row, CAPTION_COLUMNS) for row in names], dtype=object),
        sha256=np.full(rows, NO_FILE, dtype=object),
        width=np.zeros(rows, np.int64),
        height=np.zeros(rows, np.int64),
        status=np.where(sound, Status.OK, Status.UNREADABLE).astype(object),
        error=np.where(sound, "", _NO_VECTOR).astype(object),
        metadata=np.array([as_metadata(row) for row in names], dtype=object),
        simplicity=np.full(rows, math.nan, np.float32),
        cut=np.zeros(rows, dtype=bool),
    )
    return columns, unit
