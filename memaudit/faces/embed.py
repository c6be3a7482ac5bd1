"""Images → a store of faces. What is there stays, what is new becomes new shards; memory is bounded by one shard."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from itertools import groupby
from pathlib import Path
from typing import NamedTuple

import numpy as np

from memaudit import machine
from memaudit.embedding.reconcile import (
    KEY,
    ImageState,
    KnownRows,
    Reconciliation,
    Table,
    compare,
    file_key,
    place_key,
    reconcile,
    require_distinct,
    text_key,
)
from memaudit.embedding.rows import ahead, batched, counting
from memaudit.embedding.run import require_outside
from memaudit.encoders.sface import FaceModel
from memaudit.errors import EmptyInputError, InputError, UsageError
from memaudit.faces.find import single_threaded_opencv
from memaudit.faces.names import require_plain, tombstone
from memaudit.faces.reading import NO_HUMAN, SMALL, FaceReader
from memaudit.faces.results import FaceCounts
from memaudit.faces.rows import FaceRow, face_rows
from memaudit.images.decode import MAX_PIXELS
from memaudit.images.image_ref import ImageRef, is_first_frame_alone
from memaudit.images.passed_over import PassedOver
from memaudit.images.sources import iter_images
from memaudit.store import FACES, Row, Store, StoreWriter, writing_store
from memaudit.types import Progress, Status, silent


@dataclass(frozen=True)
class FaceOptions:
    """shard_rows: images (not faces) whose faces make a shard: what a kill can cost. passed: counts what the sources
    hold beside images."""

    workers: int = 0  # 0: one per core
    shard_rows: int = 1024
    max_pixels: int = MAX_PIXELS
    append: bool = False
    replace_changed: bool = False
    passed: PassedOver | None = field(default=None, compare=False)

    @property
    def threads(self) -> int:
        return self.workers or machine.cores()


def embed_faces(
    sources: Sequence[str | Path],
    folder: str | Path,
    model: FaceModel,
    options: FaceOptions = FaceOptions(),
    progress: Progress = silent,
) -> Store:
    """Find, align and embed every face of `sources` into the store of faces at `folder`, continuing what is there.

    A shard holds whole images, in the order of the sources: a run that was killed and continued makes the same store.
    What was forgotten stays forgotten. Where a file is another one or an image is gone, the store is refused; with
    `append` images that are not among the sources stay; with `replace_changed` the store is written anew from the first
    shard that differs. Raises as `embedding.run.embed`.
    """
    if options.append and options.replace_changed:
        raise UsageError("--append keeps what is there, --replace-changed does not: choose one")
    require_outside(Path(folder), sources)
    refs = partial(iter_images, sources, contents=False)
    total = require_distinct(lambda: (require_plain(ref.image_id) for ref in refs(passed=options.passed)))
    if total == 0:
        raise EmptyInputError(f"no image in {', '.join(map(str, sources))}: no faces to find")
    names = [str(source) for source in sources]
    with (
        single_threaded_opencv(),
        writing_store(Path(folder), model.spec, options.shard_rows, names, append=options.append, kind=FACES) as writer,
        ThreadPoolExecutor(options.threads) as pool,
    ):
        if options.replace_changed:
            writer.keep_shards(writer.whole_shards())
        writer.require_whole()
        parents = parents_of(writer.written())
        found = _reconciled(parents.known, sources, options, pool, progress)
        kept = _kept(writer, parents, found, options)
        known, forgotten = parents.starts[kept], frozenset(writer.manifest.forgotten)

        def is_new(ref: ImageRef) -> bool:
            return not 0 <= parents.known.row_of(ref) < known and tombstone(ref.image_id) not in forgotten

        if any(is_new(ref) for ref in refs()):
            writer.unfinish()
            new = (ref for ref in iter_images(sources) if is_new(ref))
            tick = counting(progress, "finding faces", known, total)
            _write_new(writer, new, FaceReader(model), options, pool, tick)
        writer.finish()
    return Store.open(folder)


class Parents(NamedTuple):
    """The images that a store of faces has rows of, in order. starts: the first image of each shard, and their number.
    Memory: 64 bytes an image."""

    known: KnownRows
    starts: tuple[int, ...]


def parents_of(store: Store) -> Parents:
    ids, uris, files = bytearray(), bytearray(), bytearray()
    starts, last, rows_left = [0], None, [shard.rows for shard in store.manifest.shards]
    for columns in store.iter_columns():
        for face, uri in zip(face_rows(columns), columns.uri, strict=True):
            if face.parent != last:
                ids += text_key(face.parent)
                uris += place_key(uri)
                files += file_key(face.file)
                last = face.parent
        rows_left[len(starts) - 1] -= len(columns.image_id)
        if not rows_left[len(starts) - 1]:
            starts.append(len(ids) // KEY.itemsize)
    keys = [np.frombuffer(part, KEY) for part in (ids, uris, files)]
    rows = np.arange(len(keys[0]))
    return Parents(KnownRows(Table.of(keys[0], rows), Table.of(keys[1], rows), keys[2]), tuple(starts))


def _reconciled(
    known: KnownRows,
    sources: Sequence[str | Path],
    options: FaceOptions,
    pool: ThreadPoolExecutor,
    progress: Progress,
) -> Reconciliation:
    rows = len(known.files)
    compared = ahead(pool, lambda ref: compare(known, ref), iter_images(sources), 4 * options.threads)
    return reconcile(rows, compared, in_order=False, tick=counting(progress, "checking what is there", 0, rows))


def _kept(writer: StoreWriter, parents: Parents, found: Reconciliation, options: FaceOptions) -> int:
    """How many shards stay. Raises InputError where the sources say otherwise of an image and nothing is replaced."""
    stale = np.flatnonzero(~found.current)
    if not options.replace_changed:
        _require_same(writer, found, len(stale), append=options.append)
    elif len(stale):
        kept = int(np.searchsorted(parents.starts, stale[0], side="right")) - 1
        writer.keep_shards(kept)
    return len(writer.manifest.shards)


def _require_same(writer: StoreWriter, found: Reconciliation, stale: int, *, append: bool) -> None:
    odd = found.odd
    if odd is not None and (append or odd.state is not ImageState.OTHER_NAME):
        raise InputError(
            f"{odd.image_id!r} is not the image that store {writer.folder} was made from ({odd.state}): "
            "--replace-changed writes the store anew from there on; or choose another --out"
        )
    if stale and not append:
        raise InputError(
            f"store {writer.folder} holds faces of {stale:,} images that are not in the sources: choose another "
            "--out, add new images to it with --append, or remove them with --forget"
        )


def _write_new(
    writer: StoreWriter,
    refs: Iterator[ImageRef],
    reader: FaceReader,
    options: FaceOptions,
    pool: ThreadPoolExecutor,
    tick: Callable[[int], None],
) -> None:
    forgotten = frozenset(writer.manifest.forgotten)
    prepared = ahead(pool, lambda ref: reader.rows_of(ref, options.max_pixels, forgotten), refs, 4 * options.threads)
    for images in batched(_ticking(prepared, tick), options.shard_rows):
        rows = [row for faces in images for row in faces]
        if rows:
            writer.write_shard(rows)


def _ticking(images: Iterator[list[Row]], tick: Callable[[int], None]) -> Iterator[list[Row]]:
    for rows in images:
        tick(1)
        yield rows


def count_forgotten(store: Store, sources: Sequence[str]) -> int:
    """How many images of the sources the store passes over, by their names or by their files: all others have a row."""
    if not store.manifest.forgotten:
        return 0
    known = parents_of(store).known
    return sum(known.row_of(ref) < 0 for ref in iter_images(sources, contents=False))


def count_faces(store: Store) -> FaceCounts:
    """Count in one pass: the faces of an image stand together. Memory: a block."""
    counts: Counter[str] = Counter()
    most = 0
    for _, group in groupby(_read_rows(store), lambda row: row.face.parent):
        rows = list(group)
        counts["films"] += is_first_frame_alone(rows[0].metadata)
        if not rows[0].face.number:
            counts["without" if rows[0].status == Status.BLANK else "unreadable"] += len(rows)
            continue
        comparable, errors = sum(row.status == Status.OK for row in rows), Counter(row.error for row in rows)
        most = max(most, len(rows))
        counts["with"] += 1
        counts["faces"] += len(rows)
        counts["comparable"] += comparable
        counts["small"] += errors[SMALL]
        counts["no human"] += errors[NO_HUMAN]
        counts["uncompared"] += not comparable
        counts["all small"] += not comparable and bool(errors[SMALL])
    return FaceCounts(
        images=counts["with"] + counts["without"] + counts["unreadable"],
        with_face=counts["with"],
        without_face=counts["without"],
        unreadable=counts["unreadable"],
        faces=counts["faces"],
        comparable=counts["comparable"],
        small=counts["small"],
        most=most,
        films=counts["films"],
        no_human=counts["no human"],
        uncompared=counts["uncompared"],
        all_small=counts["all small"],
    )


class _ReadRow(NamedTuple):
    face: FaceRow
    status: str
    error: str
    metadata: str


def _read_rows(store: Store) -> Iterator[_ReadRow]:
    for columns in store.iter_columns():
        yield from map(_ReadRow, face_rows(columns), columns.status, columns.error, columns.metadata)
