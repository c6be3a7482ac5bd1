"""Images as rows of a manifest: where they are and what is known of them, and their embeddings if they are asked for.

It is read by whatever reads Parquet, and by `memaudit embed`. Nothing is copied, and no image is read. Others may be
handed it: URLs are without passwords and signatures, in whatever column they stand.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import IO

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from memaudit.audit.prompt_weights import ImageWeights
from memaudit.exporting.choosing import KEEP, Fates
from memaudit.exporting.weighing import WEIGHT, weight_of
from memaudit.images.addresses import unsigned
from memaudit.images.cells import storable
from memaudit.store import BLOCK_ROWS, Store
from memaudit.types import Int64, Status

_TEXTS = ("image_id", "caption", "sha256", "metadata")
_TEXT = re.compile(r'("(?:[^"\\]|\\.)*")(\s*:)?', re.DOTALL)  # in JSON; before a colon it is a name


def write_manifest(
    file: IO[bytes], store: Store, rows: Int64, fates: Fates, *, embeddings: bool, weights: ImageWeights | None = None
) -> int:
    """Write the rows of a store as they come, and return their number. embeddings: a column of float32, of unit
    length; null for images that have none. weights: a column of these. Memory: a block."""
    schema = _schema(store.encoder.dim if embeddings else 0, is_weighed=weights is not None)
    with pq.ParquetWriter(file, schema) as writer:
        for block in _blocks(rows):
            writer.write_table(_table(store, block, fates, weights, schema))
    return len(rows)


def signed(store: Store, rows: Int64) -> int:
    """Of how many rows a URL is not written as it is. Memory: a block."""
    return sum(map(_is_signed, _told(store, rows)))


def escaped(store: Store, rows: Int64) -> int:
    """Of how many rows the path is no UTF-8, so that as it is written it leads nowhere. Memory: a block."""
    return sum(_escaped(uri) != uri for uri, _, _ in _told(store, rows))


def _escaped(uri: str) -> str:
    return uri.encode("utf-8", "backslashreplace").decode()


def _told(store: Store, rows: Int64) -> Iterator[tuple[str, str, str]]:
    """Where each image is, its caption and its metadata."""
    for block in _blocks(rows):
        columns = store.columns(block)
        yield from zip(columns.uri, columns.caption, columns.metadata, strict=True)


def _is_signed(told: tuple[str, str, str]) -> bool:
    uri, caption, metadata = told
    return unsigned(uri) != uri or _plain(caption) != caption or _plain_metadata(metadata) != metadata


def _plain(text: str) -> str:
    """A text that is a URL without its secrets; words with a URL among them are left as they are."""
    return unsigned(text) if "://" in text and len(text.split()) == 1 else text


def _plain_metadata(metadata: str) -> str:
    """The same of every text in an object of JSON, whose other bytes stay as they are: numbers keep their digits."""
    if "://" not in metadata and "\\" not in metadata:  # a slash may be escaped
        return metadata
    try:
        json.loads(metadata, parse_int=str)  # a number of any length
    except RecursionError:
        pass
    except ValueError:  # of embeddings that were imported
        return _plain(metadata)
    return _TEXT.sub(_plain_literal, metadata)


def _plain_literal(found: re.Match[str]) -> str:
    try:
        text = "" if found[2] else str(json.loads(found[1], strict=False))
    except ValueError:  # nested so deeply that nobody knows whether it is JSON
        return found[0]
    plain = _plain(text)
    return found[0] if plain == text else storable(json.dumps(plain, ensure_ascii=False))


def _schema(dim: int, *, is_weighed: bool) -> pa.Schema:
    texts = [(name, pa.string()) for name in ("path", *_TEXTS)]
    sizes = [("width", pa.int32()), ("height", pa.int32())]
    vectors = [("embedding", pa.list_(pa.float32(), dim))] if dim else []
    weight = [(WEIGHT, pa.float64())] if is_weighed else []
    return pa.schema([*texts, *sizes, ("decision", pa.string()), *weight, *vectors])


def _blocks(rows: Int64) -> Iterator[Int64]:
    return (rows[low : low + BLOCK_ROWS] for low in range(0, len(rows), BLOCK_ROWS))


def _table(store: Store, rows: Int64, fates: Fates, weights: ImageWeights | None, schema: pa.Schema) -> pa.Table:
    columns = store.columns(rows)
    paths = [_escaped(unsigned(uri)) for uri in columns.uri]
    captions, metadata = map(_plain, columns.caption), map(_plain_metadata, columns.metadata)
    texts = [paths, columns.image_id, list(captions), columns.sha256, list(metadata)]
    decisions = ["keep" if code == KEEP else "drop" for code in fates.code[rows]]
    values = [*texts, columns.width, columns.height, decisions]
    if weights is not None:
        values.append([weight_of(weights, [image_id]) for image_id in columns.image_id])
    arrays = [pa.array(column, field.type) for column, field in zip(values, schema, strict=False)]
    if "embedding" in schema.names:
        arrays.append(
            _embeddings(store, rows, np.asarray(columns.status == Status.OK, bool), schema.field("embedding").type)
        )
    return pa.table(arrays, schema)


def _embeddings(store: Store, rows: Int64, there: NDArray[np.bool_], kind: pa.DataType) -> pa.Array:
    values = np.zeros((len(rows), store.encoder.dim), np.float32)
    if there.any():
        values[there] = store.embeddings(rows[there])
    return pa.FixedSizeListArray.from_arrays(pa.array(values.reshape(-1)), type=kind, mask=pa.array(~there))
