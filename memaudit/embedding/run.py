"""Images + encoder → store: what is there stays, what is new becomes new shards. Memory is bounded by one shard."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import chain, islice, takewhile
from pathlib import Path

import numpy as np

from memaudit.embedding.reconcile import (
    KnownFiles,
    Seen,
    Sighting,
    Standing,
    Survey,
    embedded_files,
    known_files,
    require_distinct,
    sight,
    standing_of,
    survey,
)
from memaudit.embedding.rows import ShardRows, ahead, batched, prepare
from memaudit.encoders import Encoder
from memaudit.errors import EmptyInputError, InputError, UsageError
from memaudit.images.decode import MAX_PIXELS
from memaudit.images.image_ref import ImageRef
from memaudit.images.reading import is_url
from memaudit.images.sources import iter_images
from memaudit.store import Store, StoreWriter, writing_store
from memaudit.types import Progress, silent


@dataclass(frozen=True)
class EmbedOptions:
    """reuse: a file whose hash the store has is not embedded again; its embedding is copied."""

    batch_size: int = 16
    workers: int = 0  # 0: one per core
    shard_rows: int = 8192
    max_pixels: int = MAX_PIXELS
    reuse: bool = True

    @property
    def threads(self) -> int:
        return self.workers or os.cpu_count() or 1

    @property
    def window(self) -> int:
        """Images that may be decoded before the encoder asks for them."""
        return 4 * self.threads + self.batch_size


def embed(
    sources: Sequence[str | Path],
    folder: str | Path,
    encoder: Encoder,
    options: EmbedOptions = EmbedOptions(),
    *,
    append: bool = False,
    replace_changed: bool = False,
    begun: Callable[[], None] = lambda: None,
    progress: Progress = silent,
) -> Store:
    """Embed every image of `sources` into the store at `folder`, continuing what is there already.

    Images that the store has are held against the sources (image_id and sha256) and skipped; new ones become new
    shards. Where a file is another one or an image is gone, the store is refused. With `append` images that are not
    among the sources stay. With `replace_changed` the store is written anew from the first shard that differs, so
    that it becomes the one that the sources would make from nothing. `begun` is called once the store is there for
    writing, before any image is read: what it leaves behind is there before the store is finished.
    Raises EmptyInputError for no image at all; InputError for unusable sources, repeated image_ids, another store;
    UsageError for a `folder` inside a source, where its files would be taken for images; InconclusiveError for a
    store with a missing shard.
    """
    if append and replace_changed:
        raise UsageError("--append keeps what is there, --replace-changed does not: choose one")
    require_outside(Path(folder), sources)
    total = require_distinct(lambda: (ref.image_id for ref in iter_images(sources, contents=False)))
    if total == 0:
        raise EmptyInputError(f"no image in {', '.join(map(str, sources))}: nothing to embed")
    names = [str(source) for source in sources]
    with (
        writing_store(Path(folder), encoder.spec, options.shard_rows, names, append=append) as writer,
        ThreadPoolExecutor(options.threads) as pool,
    ):
        if replace_changed:
            writer.keep_shards(writer.whole_shards())
        writer.require_whole()
        begun()
        standing = standing_of(writer.written())
        found = _survey(standing, sources, options, pool, progress, in_order=replace_changed)
        if replace_changed:
            writer.keep_shards(_current_shards(writer, found, total))
        else:
            _require_same(writer, found, append=append)
        kept = writer.rows
        done = int(found.current[:kept].sum())
        if done < total:
            writer.unfinish()
            new = (ref for ref in iter_images(sources) if not 0 <= standing.row_of(ref) < kept)
            _write_new(writer, new, encoder, options, pool, counting(progress, "embedding", done, total))
        writer.finish()
    return Store.open(folder)


def require_outside(folder: Path, sources: Sequence[str | Path]) -> None:
    """Raise UsageError for a store inside one of its sources, where its files would be taken for images."""
    for source in (Path(source) for source in sources if not is_url(str(source))):
        if source.is_dir() and folder.resolve().is_relative_to(source.resolve()):
            raise UsageError(f"{folder} lies inside the source {source}: choose an --out outside of it")


def _survey(
    standing: Standing,
    sources: Sequence[str | Path],
    options: EmbedOptions,
    pool: ThreadPoolExecutor,
    progress: Progress,
    *,
    in_order: bool,
) -> Survey:
    rows = len(standing.files)
    tick = counting(progress, "checking what is there", 0, rows)
    sightings = ahead(pool, lambda ref: sight(standing, ref), iter_images(sources), options.window)
    return survey(rows, sightings, in_order=in_order, tick=tick)


def _current_shards(writer: StoreWriter, found: Survey, total: int) -> int:
    """How many of the first shards are those that the sources would make from nothing."""
    shards = writer.manifest.shards
    stale = np.flatnonzero(~found.current)
    if not len(stale) and len(found.current) == total:
        return len(shards)
    rows = int(stale[0]) if len(stale) else len(found.current)
    full = list(takewhile(lambda shard: shard.rows == writer.manifest.shard_rows, shards))
    return min(len(full), rows // writer.manifest.shard_rows)


def _require_same(writer: StoreWriter, found: Survey, *, append: bool) -> None:
    """Raise InputError if the sources say otherwise of an image, or, unless appending, lack one."""
    if found.odd is not None and (append or found.odd.seen is not Seen.OTHER_NAME):
        raise InputError(_difference(writer.written(), found.odd, append=append))
    absent = np.flatnonzero(~found.current)
    if len(absent) and not append:
        first = writer.written().columns(absent[:1]).image_id[0]
        raise InputError(
            f"store {writer.folder} holds {len(absent):,} images that are not in the sources (the first is {first!r}): "
            "choose another --out, or add new images to it with --append"
        )


def _difference(store: Store, odd: Sighting, *, append: bool) -> str:
    """What differs, and what to do about it."""
    name, where = store.columns(np.array([odd.row])).image_id[0], f"store {store.folder}"
    ways = (
        "choose another --out, or give the new image an image_id of its own, in a manifest"
        if append
        else "--replace-changed writes the store anew from there on; or choose another --out"
    )
    return {
        Seen.OTHER_FILE: f"{where} was made from another file than {name!r} now is: {ways}",
        Seen.READABLE_NOW: f"{name!r} could not be read when {where} was made, and now can: {ways}",
        Seen.UNREADABLE_NOW: f"{name!r} of {where} cannot be read any more: restore the file and run again; or {ways}",
        Seen.OTHER_NAME: f"{odd.image_id!r} is {name!r} of {where} again: name the new sources alone, as several at "
        "once get their names before their image_ids",
    }[odd.seen]


def _write_new(
    writer: StoreWriter,
    refs: Iterator[ImageRef],
    encoder: Encoder,
    options: EmbedOptions,
    pool: ThreadPoolExecutor,
    tick: Callable[[int], None],
) -> None:
    known = known_files(writer.written()) if options.reuse else KnownFiles()
    prepared = ahead(pool, lambda ref: prepare(ref, encoder, options.max_pixels, known), refs, options.window)
    for first in prepared:
        shard = ShardRows(encoder, pool, known, reuse=options.reuse)
        # Batches never cross a shard, so that a resumed store equals an uninterrupted one bit by bit.
        for batch in batched(chain([first], islice(prepared, options.shard_rows - 1)), options.batch_size):
            shard.add(batch)
            tick(len(batch))
        rows, start = shard.finished(writer.written()), writer.rows
        writer.write_shard(rows)
        if options.reuse:
            known.add(embedded_files(((row.status, row.sha256) for row in rows), start))


def counting(progress: Progress, stage: str, done: int, total: int) -> Callable[[int], None]:
    """A function that adds to the count of a stage and reports it."""

    def tick(count: int) -> None:
        nonlocal done
        done += count
        progress(stage, done, total)

    return tick
