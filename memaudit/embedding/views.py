"""Views of a store's images, embedded into a store of their own."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path

import numpy as np

from memaudit.embedding.reconcile import KnownFiles
from memaudit.embedding.rows import Prepared, ShardRows, ahead, batched
from memaudit.embedding.run import EmbedOptions
from memaudit.encoders import Encoder
from memaudit.errors import InconclusiveError, InputError
from memaudit.images.decode import UnreadableImageError, decoding, is_blank
from memaudit.images.sources import read_image
from memaudit.images.views import View
from memaudit.store import (
    ANOTHER_FILE,
    MANIFEST,
    Columns,
    Manifest,
    Row,
    Store,
    StoreWriter,
    ViewsOf,
    content_digest,
    is_same_file,
    writing_store,
)
from memaudit.types import Int64, Progress, Status, silent

_BLOCK = 4096
_LEAST_PART = 1 / 2  # that an image is decoded for, whatever its views
_MOST_PART = 8  # times the encoder's side: what is larger is reduced, before every view makes a copy
_FEW_VIEWS = 10  # as many images are decoded ahead as without views; of more views fewer


@dataclass(frozen=True)
class ViewStore:
    """`store` holds `names` views of each comparable row of another store, one after the other, in its order.

    parents (images,) int64: these rows.
    """

    store: Store
    names: tuple[str, ...]
    parents: Int64

    def parent_of(self, rows: Int64) -> Int64:
        """The other store's row that each of these rows is a view of."""
        return np.asarray(self.parents[rows // len(self.names)], dtype=np.int64)

    def name_of(self, rows: Int64) -> np.ndarray:
        """The name of each of these rows' views, an object array of str."""
        return np.array(self.names, dtype=object)[rows % len(self.names)]


def embed_views(
    images: Store,
    folder: str | Path,
    encoder: Encoder,
    views: Sequence[View],
    options: EmbedOptions,
    progress: Progress = silent,
) -> ViewStore:
    """Embed `views` of every comparable image of a store, from its files, into the store at `folder`.

    A view without content is a blank row; one whose file is gone, or is another than was embedded, is unreadable.
    What is there of the same views of the same files, in the same order, is kept: a run that was stopped goes on, and
    images that were appended get views of their own. Views that could not be made are made again once their files can
    be read. Memory: one shard, and the images that are decoded ahead.
    """
    parents = images.comparable_rows()
    made_of = ViewsOf(images.digest, _names(views))
    total = len(parents) * len(views)
    shard_images = _images_a_shard(views, options)
    shard_rows = shard_images * len(views)
    with (
        _writing_views(Path(folder), encoder, made_of, shard_rows) as writer,
        ThreadPoolExecutor(options.threads) as pool,
    ):
        writer.keep_shards(writer.whole_shards())
        writer.keep_shards(_still_right(writer, images, parents, views))
        refs = _files(images, parents[writer.rows // len(views) :])
        ready = ahead(pool, lambda row: _prepared(row, encoder, views, options), refs, _depth(len(views), options))
        while writer.rows < total:
            shard = ShardRows(encoder, pool, KnownFiles(), reuse=False)
            for done, seen in enumerate(islice(ready, shard_images), start=1):
                for batch in batched(seen, max(_FEW_VIEWS, options.batch_size)):
                    shard.add(batch)
                progress("embedding views", writer.rows + done * len(views), total)
            writer.write_shard(shard.finished(writer.written()))
        writer.finish()
    return ViewStore(Store.open(folder), made_of.names, parents)


def _depth(views: int, options: EmbedOptions) -> int:
    """Images that are prepared ahead, all their views: what waits takes about as much whatever the views."""
    return max(options.threads + 1, options.window * _FEW_VIEWS // max(_FEW_VIEWS, views))


def open_views(images: Store, folder: str | Path) -> ViewStore:
    """Open a store of views that was made of `images`. Raises InconclusiveError if it was made of another state."""
    store = Store.open(folder)
    if store.manifest.views is None or not are_views_of(images, store.manifest):
        raise InconclusiveError(f"{folder} holds views of another state of {images.folder}: embed them again")
    return ViewStore(store, store.manifest.views.names, images.comparable_rows())


def are_views_of(images: Store, views: Manifest) -> bool:
    """Whether a store of views was made of this very state of the images."""
    return views.views is not None and views.views.parent == images.digest


def promise_views(folder: Path, encoder: Encoder, views: Sequence[View], options: EmbedOptions) -> None:
    """Leave an unfinished store of views where there is none, before their images are embedded: should the run be
    killed before `embed_views`, they are known to be missing."""
    if not (folder / MANIFEST).exists():
        shard_rows = _images_a_shard(views, options) * len(views)
        with writing_store(folder, encoder.spec, shard_rows, (), views=ViewsOf("", _names(views))):
            pass


def _images_a_shard(views: Sequence[View], options: EmbedOptions) -> int:
    """A shard holds whole images: a run that goes on where another stopped begins with an image."""
    return max(1, options.shard_rows // len(views))


def _names(views: Sequence[View]) -> tuple[str, ...]:
    return tuple(view.name for view in views)


def _still_right(writer: StoreWriter, images: Store, parents: Int64, views: Sequence[View]) -> int:
    """How many of the first shards hold what would be written: views of these files, none missing that can be made."""
    first = 0
    for count, shard in enumerate(writer.manifest.shards):
        own = parents[first : first + shard.rows // len(views)]
        columns = images.columns(own)
        names = (
            (f"{i}#{view.name}", sha) for i, sha in zip(columns.image_id, columns.sha256, strict=True) for view in views
        )
        if len(own) * len(views) != shard.rows or content_digest(names) != shard.content_sha256:
            return count
        if shard.ok < shard.rows and _can_be_made_now(writer.written(), first * len(views), shard.rows):
            return count
        first += len(own)
    return len(writer.manifest.shards)


def _can_be_made_now(views: Store, start: int, rows: int) -> bool:
    """Whether the file of the first view that could not be made can be read by now."""
    columns = views.columns(np.arange(start, start + rows))
    lost = np.flatnonzero(columns.status == Status.UNREADABLE)
    if not len(lost):
        return False
    try:
        return bool(hashlib.sha256(read_image(columns.uri[lost[0]])).hexdigest() == columns.sha256[lost[0]])
    except (OSError, InputError):
        return False


def _writing_views(
    folder: Path, encoder: Encoder, made_of: ViewsOf, shard_rows: int
) -> AbstractContextManager[StoreWriter]:
    """Open a store of views. The manifest of other views goes: their shards are overwritten, or removed at the end."""
    with suppress(InputError):
        there = Manifest.read(folder)
        if there.views is None or there.views.names != made_of.names or there.shard_rows != shard_rows:
            (folder / MANIFEST).unlink()
    return writing_store(folder, encoder.spec, shard_rows, (), views=made_of)


def _files(images: Store, rows: Int64) -> Iterator[Row]:
    """The rows of the images, without embeddings."""
    for low in range(0, len(rows), _BLOCK):
        columns = images.columns(rows[low : low + _BLOCK])
        for i in range(len(columns.image_id)):
            yield _row(columns, i)


def _row(columns: Columns, i: int) -> Row:
    return Row(
        columns.image_id[i],
        columns.uri[i],
        columns.caption[i],
        columns.sha256[i],
        int(columns.width[i]),
        int(columns.height[i]),
        Status.UNREADABLE,
        "",
        None,
        columns.metadata[i],
    )


def _prepared(row: Row, encoder: Encoder, views: Sequence[View], options: EmbedOptions) -> list[Prepared]:
    """All views of an image, decoded once, as large as the smallest of them needs to have the encoder's side."""
    rows = [replace(row, image_id=f"{row.image_id}#{view.name}") for view in views]
    try:
        data = read_image(row.uri)
        if not is_same_file(data, row.sha256):
            return [Prepared(replace(r, error=ANOTHER_FILE)) for r in rows]
        part = min(_LEAST_PART, *(view.part for view in views))
        with decoding(data, options.max_pixels, round(encoder.side / part)) as decoded:
            image = decoded.image
            image.thumbnail((_MOST_PART * encoder.side, _MOST_PART * encoder.side))
            seen = (view.apply(image) for view in views)
            return [
                Prepared(replace(r, status=Status.BLANK))
                if is_blank(picture)
                else Prepared(replace(r, status=Status.OK), encoder.preprocess(picture))
                for r, picture in zip(rows, seen, strict=True)
            ]
    except (OSError, InputError) as error:
        why = f"cannot read file: {getattr(error, 'strerror', None) or error}"
    except UnreadableImageError as error:
        why = str(error)
    return [Prepared(replace(r, error=why)) for r in rows]
