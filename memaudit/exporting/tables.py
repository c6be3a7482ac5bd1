"""A shard of samples as a Parquet file: rows of tables as they were, others with the columns of `COLUMNS`."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from typing import IO, Any

import pyarrow as pa
import pyarrow.parquet as pq

from memaudit.errors import InputError
from memaudit.exporting.records import Entry
from memaudit.exporting.samples import Sample
from memaudit.exporting.weighing import WEIGHT
from memaudit.images.arrow_rows import schema_as_written
from memaudit.images.image_ref import MOST_TEXT

_AT_ONCE = 32 << 20  # bytes of files in a row group
_MOST_ROWS = 1000
_FILE = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
COLUMNS = pa.schema(
    [
        ("image_id", pa.string()),
        ("image", _FILE),
        ("caption", pa.string()),
        ("metadata", pa.string()),
        ("sha256", pa.string()),
        ("width", pa.int32()),
        ("height", pa.int32()),
        ("files", pa.list_(_FILE)),
    ]
)


def schema_of_tables(locations: Iterable[str]) -> pa.Schema | None:
    """The columns that all of these tables have; None where they differ, or there is none."""
    schemas = [schema_as_written(location) for location in locations]
    return schemas[0] if schemas and all(schema.equals(schemas[0]) for schema in schemas) else None


def for_hugging_face(schema: pa.Schema) -> pa.Schema:
    """With what tells the library `datasets` that `image` holds pictures."""
    texts = {name: _value("string") for name in ("image_id", "caption", "metadata", "sha256")}
    numbers = {**{name: _value("int32") for name in ("width", "height")}, WEIGHT: _value("float64")}
    file = {"bytes": _value("binary"), "path": _value("string")}
    features = {**texts, **numbers, "image": {"_type": "Image"}, "files": {"feature": file, "_type": "List"}}
    ordered = {name: features[name] for name in schema.names}
    return schema.with_metadata({"huggingface": json.dumps({"info": {"features": ordered}})})


def with_weight(schema: pa.Schema) -> pa.Schema:
    """With a column of weights, the last one. Raises InputError where there is a column of that name."""
    if WEIGHT in schema.names:
        raise InputError(f"the tables have a column {WEIGHT!r} already: export without --weights, or rename it")
    return schema.append(pa.field(WEIGHT, pa.float64()))


def _value(kind: str) -> dict[str, str]:
    return {"dtype": kind, "_type": "Value"}


def write_rows(file: IO[bytes], samples: Iterable[Sample], schema: pa.Schema, *, as_they_are: bool) -> list[Entry]:
    """Write samples as they come. as_they_are: the rows of tables, which have this schema."""
    entries: list[Entry] = []
    with pq.ParquetWriter(file, schema) as writer:
        for group in _groups(samples, entries):
            writer.write_table(_as_rows(group, schema) if as_they_are else _as_columns(group, schema))
    return entries


def _groups(samples: Iterable[Sample], entries: list[Entry]) -> Iterator[list[Sample]]:
    """Samples of a row group; what is in them is entered in passing."""
    group, size = list[Sample](), 0
    for sample in samples:
        name = sample.images[0].image_id
        entries += [
            Entry.of(
                name, sample.images[each.image].image_id if each.image >= 0 else "", _name(sample, each), each.data
            )
            for each in sample.files
        ]
        group.append(sample)
        size += sum(len(each.data) for each in sample.files)
        if size >= _AT_ONCE or len(group) >= _MOST_ROWS:
            yield group
            group, size = [], 0
    if group:
        yield group


def _name(sample: Sample, file: Any) -> str:
    return f"{sample.stem.rpartition('/')[2]}{file.ending}"


def _as_rows(group: list[Sample], schema: pa.Schema) -> pa.Table:
    rows = [_as_written(sample.row, sample.weight, schema) for sample in group if sample.row is not None]
    if len(rows) < len(group):
        raise InputError("a sample that is no row of a table came among those that are")
    return pa.Table.from_batches(rows, schema).combine_chunks()


def _as_written(row: pa.RecordBatch, weight: float | None, schema: pa.Schema) -> pa.RecordBatch:
    """Text, which is read as a dictionary, as it was."""
    weights = [] if weight is None else [pa.array([weight])]
    columns = [c if c.type == f.type else c.cast(f.type) for c, f in zip([*row.columns, *weights], schema, strict=True)]
    return pa.RecordBatch.from_arrays(columns, schema=schema)


def _as_columns(group: list[Sample], schema: pa.Schema) -> pa.Table:
    return pa.Table.from_pylist([_cells(sample) for sample in group], schema)


def _cells(sample: Sample) -> dict[str, Any]:
    image = sample.images[0]
    files = [{"bytes": each.data, "path": _name(sample, each)} for each in sample.files]
    place = next(number for number, each in enumerate(sample.files) if each.image == 0)
    return {
        "image_id": image.image_id,
        "image": files[place],
        "caption": image.caption or _caption_beside(sample, sample.files[place].ending),
        "metadata": image.metadata,
        "sha256": image.sha256,
        "width": image.width,
        "height": image.height,
        "files": files[:place] + files[place + 1 :],
        WEIGHT: sample.weight,
    }


def _caption_beside(sample: Sample, suffix: str) -> str:
    """Of an image of a folder: stores hold of these only what stands in a .caption. What is too long stays a file."""
    texts = {each.ending: each.data for each in sample.files if len(each.data) <= MOST_TEXT}
    found = (texts.get(ending) for ending in (".txt", f"{suffix}.caption", f"{suffix}.txt"))
    return next((text for data in found if data and (text := data.decode("utf-8", "replace").strip())), "")
