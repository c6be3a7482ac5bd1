"""Images + encoder → store: what is there stays, what is new becomes new shards. Memory is bounded by one shard."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import chain, islice, takewhile
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

import numpy as np

from memaudit.embedding.growth import states_of
from memaudit.embedding.options import EmbedOptions
from memaudit.embedding.parts import WithParts
from memaudit.embedding.pictures import Prepared, PreparedImage, prepare
from memaudit.embedding.reconcile import (
    ComparedImage,
    ImageState,
    KnownFiles,
    KnownRows,
    Reconciliation,
    compare,
    embedded_files,
    known_files,
    known_rows,
    reconcile,
    require_distinct,
)
from memaudit.embedding.rows import ShardRows, ahead, batched, counting
from memaudit.embedding.said import is_otherwise
from memaudit.embedding.views import ViewStore, ViewsWriter, add_views, depth, embed_kinds, make_missing, writing_views
from memaudit.encoders import Encoder
from memaudit.errors import EmptyInputError, InputError, UsageError
from memaudit.files import real
from memaudit.images.addresses import unsigned
from memaudit.images.image_ref import ImageRef
from memaudit.images.opt_outs import COLUMNS, read_of
from memaudit.images.passed_over import PassedOver
from memaudit.images.remote import is_url
from memaudit.images.sources import iter_images, read_image
from memaudit.images.views import View
from memaudit.store import NotRead, SetOf, Store, StoreWriter, Tally, is_same_file, writing_store
from memaudit.types import Int64, Progress, silent

__all__ = ["EmbedOptions", "Embedded", "embed", "embed_with_views", "require_outside"]

_DEFAULTS = EmbedOptions()
_NAMED = 3
_AT_ONCE = 1024  # rows of a store whose columns are read
_SAID_AT_ONCE = 128  # rows of which captions and metadata are, which may be long


class _Images(NamedTuple):
    """The images of sources, from the beginning each time; with those within their files, where these are wanted."""

    sources: Sequence[str | Path]
    with_parts: WithParts | None
    options: EmbedOptions

    def __call__(self) -> Iterator[ImageRef]:
        return self._taken(self._all(contents=True, passed=None))

    def listed(self) -> _Listed:
        """What there is, by names alone; what is none is counted. Raises InputError for a repeated image_id."""
        of = SetOf(str(self.options.part or ""), states=states_of(self.sources), opt_outs=read_of(self.options.c2pa))
        every, passed = Tally(), self.options.passed or PassedOver()

        def names() -> Iterator[str]:
            nonlocal every
            every = Tally()
            refs = self._all(contents=False, passed=passed)
            return (ref.image_id for ref in self._taken(_tallied(refs, every) if self.options.part else refs))

        total = require_distinct(names)
        unread = NotRead(tuple(unsigned(str(each)) for each in self.sources), passed.pictures, passed.unread_line)
        listing = every.listing if self.options.part else None
        return _Listed(total, of._replace(listing=listing, not_read=(unread,) if unread.pictures else ()))

    def _taken(self, refs: Iterator[ImageRef]) -> Iterator[ImageRef]:
        part = self.options.part
        return refs if part is None else part.taken(refs, self.options.shard_rows)

    def _all(self, *, contents: bool, passed: PassedOver | None) -> Iterator[ImageRef]:
        if self.with_parts is None:
            return iter_images(self.sources, contents=contents, passed=passed)
        # Which pictures are within a cell of a table its bytes tell, in passing
        return self.with_parts(iter_images(self.sources, passed=passed), contents=contents)


def _tallied(refs: Iterable[ImageRef], tally: Tally) -> Iterator[ImageRef]:
    for ref in refs:
        tally.add(ref.image_id)
        yield ref


class _Listed(NamedTuple):
    """How many images are to be embedded, and of which set they are."""

    total: int
    of: SetOf


class Embedded(NamedTuple):
    """A store of images, and the views of each kind that was asked for, in that order."""

    store: Store
    views: tuple[ViewStore, ...]


def embed_with_views(
    sources: Sequence[str | Path],
    folder: str | Path,
    encoder: Encoder,
    views: Mapping[Path, Sequence[View]],
    options: EmbedOptions = _DEFAULTS,
    *,
    append: bool = False,
    replace_changed: bool = False,
    progress: Progress = silent,
) -> Embedded:
    """Embed every image of `sources` and, of the same reading of its file, its `views`: each kind into its own folder.

    The stores are those that `embed` and then `embed_kinds` would make. Unfinished stores of the views are there before
    the first image is read, so that no kill leaves a finished store that seems to need none. Memory: one shard of each
    store. Raises as `embed` does.
    """
    store = embed(
        sources,
        folder,
        encoder,
        options,
        views=views,
        append=append,
        replace_changed=replace_changed,
        progress=progress,
    )
    return Embedded(store, tuple(embed_kinds(store, views, encoder, options, progress)))


def embed(
    sources: Sequence[str | Path],
    folder: str | Path,
    encoder: Encoder,
    options: EmbedOptions = _DEFAULTS,
    *,
    append: bool = False,
    replace_changed: bool = False,
    views: Mapping[Path, Sequence[View]] = MappingProxyType({}),
    progress: Progress = silent,
) -> Store:
    """Embed every image of `sources` into the store at `folder`, continuing what is there already.

    Images that the store has are held against the sources (image_id and sha256) and skipped; new ones become new
    shards. Where a file is another one or an image is gone, the store is refused. With `append` images that are not
    among the sources stay. With `replace_changed` the store is written anew from the first shard that differs, so
    that it becomes the one that the sources would make from nothing; where only captions, columns or opt-outs are
    others, these are written and nothing is encoded. Without it they stay as they are, and `options.passed` says so. Of
    an unfinished store, and of a part of a set, images are tried again whose files could not be read; files that cannot
    be read any more are no reason to refuse it, and their images stay as they are. `views` are made of each new image
    in passing, into stores that `embed_kinds` finishes: see `embed_with_views`.
    Raises EmptyInputError for no image at all; InputError for unusable sources, repeated image_ids, another store;
    UsageError for a `folder` inside a source, where its files would be taken for images; InconclusiveError for a
    store with a missing shard.
    """
    if append and replace_changed:
        raise UsageError("--append keeps what is there, --replace-changed does not: choose one")
    require_outside(Path(folder), sources)
    if append and options.part:
        raise UsageError("--append adds to a whole store, --part makes a part of one: choose one, and merge")
    images = _Images(sources, WithParts(options) if options.parts else None, options)
    total, of_set = images.listed()
    if total == 0:
        of = f"part {options.part} of " if options.part else ""
        raise EmptyInputError(
            f"no image in {of}{', '.join(map(str, sources))}: nothing to embed{_but(options.passed)}"
            + (f"; a part has at least --shard-rows {options.shard_rows} images: take fewer parts" if of else "")
        )
    names = [str(source) for source in sources]
    with (
        writing_store(Path(folder), encoder.spec, options.shard_rows, names, append=append, of=of_set) as writer,
        ThreadPoolExecutor(options.threads) as pool,
        writing_views(views, encoder, options, pool) as windows,
    ):
        if replace_changed:
            writer.keep_shards(writer.whole_shards())
        writer.require_whole()
        run = _Run(writer, windows, encoder, options, pool, progress)
        known = known_rows(writer.written())
        found = _reconciled(known, writer.written(), images, options, pool, progress, in_order=replace_changed)
        again = otherwise = np.empty(0, np.int64)
        if replace_changed:
            writer.keep_shards(_current_shards(writer, found, total))
            otherwise = found.otherwise[found.otherwise < writer.rows]
        else:
            if options.part or not writer.manifest.complete:
                found, again = found.so_far(), found.readable
                _say_stayed(writer, found, options.passed)
            _require_same(writer, found, append=append)
            _require_in_place(writer.written(), found.moved, options, pool)
            _say_otherwise(writer, found, options.passed)
        kept = writer.rows
        done = int(found.current[:kept].sum())
        if done < total or len(again) or len(otherwise):
            writer.unfinish()
            run.embed_again(images(), known, again)
            run.say_anew(images(), known, otherwise)
            run.catch_up(replaced=kept < len(found.current) or bool(len(again)))
            new = (ref for ref in images() if not 0 <= known.row_of(ref) < kept)
            run.write(new, counting(progress, "embedding", done, total))
        writer.finish()
    return Store.open(folder)


def _but(passed: PassedOver | None) -> str:
    return f" ({passed.unread_line})" if passed and passed.unread_line else ""


def require_outside(folder: Path, sources: Sequence[str | Path]) -> None:
    """Raise UsageError for what is made of sources inside one of them: its files would be taken for images."""
    for source in (Path(source) for source in sources if not is_url(str(source))):
        if source.is_dir() and real(folder).is_relative_to(real(source)):
            raise UsageError(f"{folder} lies inside the source {source}: choose an --out outside of it")


def _reconciled(
    known: KnownRows,
    store: Store,
    images: _Images,
    options: EmbedOptions,
    pool: ThreadPoolExecutor,
    progress: Progress,
    *,
    in_order: bool,
) -> Reconciliation:
    rows = len(known.files)
    tick = counting(progress, "checking what is there", 0, rows)
    compared = ahead(pool, lambda ref: compare(known, ref), images(), options.window)
    return reconcile(rows, _beside_what_is_said(store, compared), in_order=in_order, tick=tick)


def _beside_what_is_said(store: Store, compared: Iterable[ComparedImage]) -> Iterator[ComparedImage]:
    """The same, with whether the sources say otherwise of an image than the store. Memory: a block of both."""
    looked_for = COLUMNS in store.manifest.opt_outs
    for block in batched(compared, _SAID_AT_ONCE):
        there = [image for image in block if image.said is not None]
        columns = store.columns(np.array([image.row for image in there], np.int64), ("caption", "metadata"))
        told = {
            image.row: is_otherwise(image.said, caption, metadata, opt_outs=looked_for)
            for image, caption, metadata in zip(there, columns.caption, columns.metadata, strict=True)
            if image.said is not None
        }
        yield from (image._replace(said=None, otherwise=told.get(image.row, False)) for image in block)


def _say_otherwise(writer: StoreWriter, found: Reconciliation, passed: PassedOver | None) -> None:
    if passed is not None and len(found.otherwise):
        first = writer.written().columns(found.otherwise[:_NAMED], ("image_id",)).image_id
        passed.said_otherwise(len(found.otherwise), first.tolist())


def _say_stayed(writer: StoreWriter, found: Reconciliation, passed: PassedOver | None) -> None:
    if passed is not None and len(found.unreadable):
        first = writer.written().columns(found.unreadable[:_NAMED], ("image_id",)).image_id
        passed.stayed(len(found.unreadable), first.tolist())


def _current_shards(writer: StoreWriter, found: Reconciliation, total: int) -> int:
    """How many of the first shards are those that the sources would make from nothing."""
    shards = writer.manifest.shards
    stale = np.flatnonzero(~found.current)
    if not len(stale) and len(found.current) == total:
        return len(shards)
    rows = int(stale[0]) if len(stale) else len(found.current)
    full = list(takewhile(lambda shard: shard.rows == writer.manifest.shard_rows, shards))
    return min(len(full), rows // writer.manifest.shard_rows)


def _require_same(writer: StoreWriter, found: Reconciliation, *, append: bool) -> None:
    """Raise InputError if the sources say otherwise of an image, or, unless appending, lack one."""
    if found.odd is not None and (append or found.odd.state is not ImageState.OTHER_NAME):
        raise InputError(_difference(writer.written(), found.odd, append=append))
    absent = np.flatnonzero(~found.current)
    if len(absent) and not append:
        first = writer.written().columns(absent[:1]).image_id[0]
        raise InputError(
            f"store {writer.folder} holds {len(absent):,} images that are not in the sources (the first is {first!r}): "
            "choose another --out, or add new images to it with --append"
        )


def _require_in_place(store: Store, moved: Int64, options: EmbedOptions, pool: ThreadPoolExecutor) -> None:
    """Raise InputError if an image that the sources have elsewhere is gone from where the store says it is: whatever
    compares pixels would not find it."""
    rows = (row for low in range(0, len(moved), _AT_ONCE) for row in _places(store, moved[low : low + _AT_ONCE]))
    for image_id, uri, is_there in ahead(pool, _looked_at, rows, options.window):
        if not is_there:
            raise InputError(
                f"store {store.folder} says that {image_id!r} is at {unsigned(uri)}, and it is not there any more, but "
                f"where the sources say ({len(moved):,} images moved): --replace-changed writes the store anew; or "
                "move them back"
            )


def _places(store: Store, rows: Int64) -> Iterator[tuple[str, str, str]]:
    columns = store.columns(rows)
    return zip(columns.image_id, columns.uri, columns.sha256, strict=True)


def _looked_at(row: tuple[str, str, str]) -> tuple[str, str, bool]:
    image_id, uri, sha256 = row
    try:
        return image_id, uri, is_same_file(read_image(uri), sha256)
    except (OSError, InputError):
        return image_id, uri, False


def _difference(store: Store, odd: ComparedImage, *, append: bool) -> str:
    """What differs, and what to do about it."""
    name, where = store.columns(np.array([odd.row])).image_id[0], f"store {store.folder}"
    ways = (
        "choose another --out, or give the new image an image_id of its own, in a manifest"
        if append
        else "--replace-changed writes the store anew from there on; or choose another --out"
    )
    return {
        ImageState.OTHER_FILE: f"{where} was made from another file than {name!r} now is: {ways}",
        ImageState.READABLE_NOW: f"{name!r} could not be read when {where} was made, and now can: {ways}",
        ImageState.UNREADABLE_NOW: f"{name!r} of {where} cannot be read any more: restore the file and run again; or "
        f"{ways}",
        ImageState.OTHER_NAME: f"{odd.image_id!r} is {name!r} of {where} again: name the new sources alone, as several "
        "at once get their names before their image_ids",
    }[odd.state]


class _Run(NamedTuple):
    """What writes new images: the store's writer, and those of its views."""

    writer: StoreWriter
    windows: list[ViewsWriter]
    encoder: Encoder
    options: EmbedOptions
    pool: ThreadPoolExecutor
    progress: Progress

    def catch_up(self, *, replaced: bool) -> None:
        """Make the views that the images there lack. Views of images to come stay, unless some were `replaced`."""
        for window in self.windows:
            window.keep(self.writer.written(), all_written=replaced)
        if self.windows:
            images = self.writer.written()
            make_missing(self.windows, images, self.encoder, self.options, self.pool, self.progress)

    def embed_again(self, refs: Iterator[ImageRef], known: KnownRows, rows: Int64) -> None:
        """Embed images anew whose files could not be read, and write the shards that they are in. Memory: as for one
        shard; of as many images at a time."""
        if len(rows):
            self._write_again(refs, known, rows, self._known_files(), "embedding what could not be read")

    def say_anew(self, refs: Iterator[ImageRef], known: KnownRows, rows: Int64) -> None:
        """Write what the sources say by now of images whose files are the same. Memory: as above."""
        if len(rows):
            self._write_again(refs, known, rows, known_files(self.writer.written()), "writing what is said of images")

    def _write_again(
        self, refs: Iterator[ImageRef], known: KnownRows, rows: Int64, files: KnownFiles, stage: str
    ) -> None:
        """files: that need not be encoded for it."""
        options, wanted = self.options, np.zeros(len(known.files) + 1, bool)  # the last one: of what is new, row -1
        wanted[rows] = True
        tick = counting(self.progress, stage, 0, len(rows))
        those = (ref for ref in refs if wanted[known.row_of(ref)])
        prepared = ahead(self.pool, lambda ref: self._prepare(ref, files, {}).whole, those, options.window)
        for first in prepared:
            shard = ShardRows(self.encoder, self.pool, files, reuse=options.reuse)
            for batch in batched(chain([first], islice(prepared, options.shard_rows - 1)), options.batch_size):
                shard.add(batch)
                tick(len(batch))
            made = shard.finished(self.writer.written())
            self.writer.replace_rows({known.row_of_id(row.image_id): row for row in made})

    def write(self, refs: Iterator[ImageRef], tick: Callable[[int], None]) -> None:
        options = self.options
        known = self._known_files()
        prepared = self._prepared(refs, known)
        for first in prepared:
            shard = ShardRows(self.encoder, self.pool, known, reuse=options.reuse)
            # Batches never cross a shard, so that a resumed store equals an uninterrupted one bit by bit.
            for batch in batched(chain([first], islice(prepared, options.shard_rows - 1)), options.batch_size):
                shard.add(batch)
                tick(len(batch))
            rows, start = shard.finished(self.writer.written()), self.writer.rows
            self.writer.write_shard(rows)
            if options.reuse:
                known.add(embedded_files(((row.status, row.sha256) for row in rows), start))
        for window in self.windows:
            window.flush()

    def _known_files(self) -> KnownFiles:
        return known_files(self.writer.written()) if self.options.reuse else KnownFiles()

    def _prepare(self, ref: ImageRef, known: KnownFiles, kinds: Mapping[int, Sequence[View]]) -> PreparedImage:
        options = self.options
        return prepare(ref, self.encoder, options.max_pixels, known, kinds, parts=options.parts, c2pa=options.c2pa)

    def _prepared(self, refs: Iterator[ImageRef], known: KnownFiles) -> Iterator[Prepared]:
        """Images in order; their views go to the writers in passing, so that no more pixels wait than for views alone.

        Whether an image has views is decided before it is encoded. Should the encoder then fail on one, `embed_kinds`
        finds views of an image that has no embedding, and makes what follows again.
        """

        def prepared(ref: ImageRef) -> PreparedImage:
            kinds = {kind: w.views for kind, w in enumerate(self.windows) if ref.image_id not in w.ahead}
            return self._prepare(ref, known, kinds)

        for image in ahead(self.pool, prepared, refs, depth(self.windows, self.options)):
            add_views(self.windows, image.views)
            yield image.whole
