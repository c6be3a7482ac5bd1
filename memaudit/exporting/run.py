"""An export: its plan, its shards one by one, and what is said of all when the last one is there."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from memaudit.audit.prompt_weights import ImageWeights
from memaudit.embedding.run import require_outside
from memaudit.errors import InputError
from memaudit.exporting.choosing import Fates
from memaudit.exporting.croissant import Described, card, croissant
from memaudit.exporting.folder import write_files
from memaudit.exporting.layout import Layout, SampleCounts
from memaudit.exporting.listing import escaped, signed, write_manifest
from memaudit.exporting.options import FOLDER, HF, MANIFEST, PARQUET, WEBDATASET, ExportOptions
from memaudit.exporting.plan import PLAN, Lineage, plan_of, settle
from memaudit.exporting.records import Entry, Record, entries_of, read_record, record_path, write_record
from memaudit.exporting.samples import Sample, read_samples
from memaudit.exporting.tables import COLUMNS, for_hugging_face, schema_of_tables, with_weight, write_rows
from memaudit.exporting.webdataset import write_tar
from memaudit.exporting.weighing import weighed
from memaudit.files import DIGEST, sealed, sha256_of, whole_file, write_json, write_text
from memaudit.folders import sole_writer
from memaudit.store import FACES, Store
from memaudit.types import Progress, silent

EXPORT, CROISSANT, SUMS, CARD = "export.json", "croissant.json", "SHA256SUMS", "README.md"
STAGE = "exporting"


@dataclass(frozen=True)
class Exported:
    """A finished export. samples, images: what came in, and what became of it; mixed: samples of which one image is
    kept and another one is not; files, bytes: of all samples; shards: files, or none of a folder; unsigned: rows of a
    manifest of which a URL, of the image or in its caption or metadata, lost its password or signature; escaped: rows
    of which the path is no UTF-8."""

    out: Path
    samples: SampleCounts
    images: SampleCounts
    mixed: int
    files: int
    bytes: int
    shards: tuple[str, ...]
    digest: str
    unsigned: int = 0
    escaped: int = 0


class _Job(NamedTuple):
    store: Store
    fates: Fates
    options: ExportOptions
    layout: Layout
    out: Path
    schema: pa.Schema | None  # of rows that are copied as they are
    weights: ImageWeights | None


def export(
    store: Store,
    fates: Fates,
    options: ExportOptions,
    out: Path,
    lineage: Lineage,
    progress: Progress = silent,
    weights: ImageWeights | None = None,
) -> Exported:
    """Write what was chosen of a store's images into `out`; what a killed run wrote of it stays. weights: of the
    images, to be written beside them.

    Raises UsageError for what cannot be exported so, or an `out` that was begun otherwise or lies in a source;
    InputError for sources that are gone or were changed, and where a count does not add up.
    """
    _require_images(store)
    require_outside(out, store.sources)
    layout = Layout(store, fates, options)
    plan = plan_of(options, layout, lineage)
    job = _Job(store, fates, options, layout, out, _schema(layout, options, weights), weights)
    with sole_writer(out):
        settle(out, plan)
        done, records = 0, list[tuple[str, Record]]()
        for number, shard in enumerate(plan["shards"]):
            progress(STAGE, done, layout.samples.exported)
            if shard["exported"]:
                records.append((shard["name"], _shard(job, number, shard)))
                done += records[-1][1].samples
        progress(STAGE, done, layout.samples.exported)
        store.require_current()
        return _finished(job, plan, lineage, records)


def _require_images(store: Store) -> None:
    if store.manifest.kind == FACES:
        raise InputError(f"store {store.folder} holds faces, which are parts of images: export the images' store")
    if store.manifest.views is not None:
        raise InputError(f"store {store.folder} holds views of images: export the store that they are views of")


def _schema(layout: Layout, options: ExportOptions, weights: ImageWeights | None) -> pa.Schema | None:
    found = schema_of_tables(layout.tables) if options.to in (PARQUET, HF) and layout.tables else None
    return found if found is None or weights is None else with_weight(found)


def _shard(job: _Job, number: int, shard: dict[str, Any]) -> Record:
    """Write a shard, unless it is there already and whole."""
    path = record_path(job.out, shard["name"])
    found = read_record(path)
    is_of_this = found and found.file == shard["file"] and found.samples == shard["exported"]
    if found and is_of_this and found.is_sound(job.out, entries_of(path)):
        return found
    if job.options.to == FOLDER:
        entries, size, digest = write_files(job.out, _samples(job, number), job.options.links), 0, ""
    else:
        place = job.out / shard["file"]
        with whole_file(place) as file:
            entries = _write(job, number, file)
        size, digest = place.stat().st_size, sha256_of(place)
    samples = shard["exported"] if job.options.to == MANIFEST else len({entry.sample for entry in entries})
    record = Record(shard["file"], size, digest, samples, len(entries))
    _require_complete(job, number, shard, samples)
    write_record(path, record, entries)
    return record


def _require_complete(job: _Job, number: int, shard: dict[str, Any], samples: int) -> None:
    if samples != shard["exported"]:
        raise InputError(
            f"shard {shard['name']} of {job.out} has {samples:,} samples, expected {shard['exported']:,} of "
            f"{shard['in']:,}: two samples of its sources have one name"
        )


def _write(job: _Job, number: int, file: IO[bytes]) -> list[Entry]:
    if job.options.to == MANIFEST:
        rows, _ = job.layout.rows_of(number)
        write_manifest(file, job.store, rows, job.fates, embeddings=job.options.embeddings, weights=job.weights)
        return []
    samples = _samples(job, number)
    if job.options.to == WEBDATASET:
        return write_tar(file, samples)
    own = COLUMNS if job.weights is None else with_weight(COLUMNS)
    plain = for_hugging_face(own) if job.options.to == HF else own
    return write_rows(file, samples, job.schema or plain, as_they_are=job.schema is not None)


def _samples(job: _Job, number: int) -> Iterator[Sample]:
    try:
        yield from _read(job, number)
    except InputError as error:
        lost = job.store.lost_images(job.layout.rows_of(number)[0])
        raise InputError(f"{error}; {lost}" if lost else str(error)) from None


def _read(job: _Job, number: int) -> Iterator[Sample]:
    rows, sample = job.layout.rows_of(number)
    samples = read_samples(job.store.columns(rows), sample.tolist(), as_they_are=job.schema is not None)
    return samples if job.weights is None else weighed(samples, job.weights)


def _finished(job: _Job, plan: dict[str, Any], lineage: Lineage, records: list[tuple[str, Record]]) -> Exported:
    """What describes the whole: a Croissant file, the digests, and export.json last."""
    out, layout = job.out, job.layout
    written = sum(record.samples for _, record in records)
    if written != layout.samples.exported or sum(shard["in"] for shard in plan["shards"]) != layout.samples.all:
        raise InputError(f"{out} has {written:,} samples, expected {layout.samples.exported:,}: export anew")
    shards = [Described(record.file, record.bytes, record.sha256) for _, record in records if record.file]
    lists = [_described(out, record_path(out, name)) for name, _ in records]
    is_table = shards and job.options.to != WEBDATASET
    schema = pq.read_schema(out / shards[0].file) if is_table else pa.schema([])
    columns = {field.name: pa.types.is_struct(field.type) for field in schema}
    write_json(out / CROISSANT, croissant(plan, lineage, shards, lists, columns))
    if job.options.to == HF:
        write_text(out / CARD, card(plan))
    _write_sums(out, [name for name, _ in records], [*shards, *lists], job.options)
    files = sum(record.files for _, record in records)
    total = sum(each.bytes for each in shards) or sum(_bytes_of(out, name) for name, _ in records)
    value = sealed({**plan, "files": files, "bytes": total, "written": [each._asdict() for each in shards]})
    write_json(out / EXPORT, value)
    names = tuple(each.file for each in shards)
    lost = [count(job.store, layout.rows_of(0)[0]) for count in (signed, escaped) if job.options.to == MANIFEST]
    return Exported(out, layout.samples, layout.images, layout.mixed, files, total, names, value[DIGEST], *lost)


def _described(out: Path, path: Path) -> Described:
    return Described(path.relative_to(out).as_posix(), path.stat().st_size, sha256_of(path))


def _bytes_of(out: Path, name: str) -> int:
    return sum(entry.size for entry in entries_of(record_path(out, name)))


def _write_sums(out: Path, names: list[str], described: list[Described], options: ExportOptions) -> None:
    """As sha256sum writes them, and checks them with -c."""
    others = [PLAN, CROISSANT, *([CARD] if options.to == HF else [])]
    with whole_file(out / SUMS) as file:
        for each in (*(_described(out, out / name) for name in others), *described):
            file.write(f"{each.sha256}  {each.file}\n".encode())
        for name in names if options.to == FOLDER else []:
            for entry in entries_of(record_path(out, name)):
                file.write(f"{entry.sha256}  {entry.file}\n".encode("utf-8", "backslashreplace"))
