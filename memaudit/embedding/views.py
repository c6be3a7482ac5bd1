"""Views of a store's images, embedded into a store of their own."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from memaudit.embedding.options import EmbedOptions
from memaudit.embedding.passes import scheme_of
from memaudit.embedding.pictures import PreparedViews, prepare_views, was_not_read
from memaudit.embedding.reconcile import KnownFiles
from memaudit.embedding.rows import ShardRows, ahead, counting
from memaudit.encoders import Encoder
from memaudit.errors import InconclusiveError, InputError
from memaudit.images.sources import read_image
from memaudit.images.views import View
from memaudit.store import (
    MANIFEST,
    Columns,
    Manifest,
    Row,
    Store,
    StoreWriter,
    ViewsOf,
    content_digest,
    writing_store,
)
from memaudit.types import Int64, Progress, Status, silent

_BLOCK = 4096
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


class ViewsWriter:
    """Writes the views of images, given in order, into a store of their own. A shard holds whole images: a run that
    goes on where another stopped begins with an image, and makes windows as that made them. Memory: one shard."""

    def __init__(
        self, writer: StoreWriter, encoder: Encoder, views: Sequence[View], batch: int, pool: Executor
    ) -> None:
        self.writer = writer
        made_of = writer.manifest.views
        self.views = views if made_of and made_of.scheme else [view._replace(window=None) for view in views]
        self.ahead = frozenset[str]()  # images after those of `keep` that have their views
        self._encoder, self._batch, self._pool = encoder, max(_FEW_VIEWS, batch), pool
        self._shard: ShardRows | None = None
        self._in_shard = 0

    @property
    def images(self) -> int:
        """Images whose views are on the disk."""
        return self.writer.rows // len(self.views)

    def keep(self, images: Store, *, all_written: bool) -> None:
        """Keep what is there of the views of the comparable `images`: up to the first shard that is missing or wrong.

        Unless all images are written, what follows them is taken for the views of those that are to come: another call
        of `keep` tells, once these are there.
        """
        self.writer.keep_shards(self.writer.whole_shards())
        parents = images.comparable_rows()
        right = _right_shards(self.writer, images, parents, self.views)
        next_rows = sum(shard.rows for shard in self.writer.manifest.shards[right.shards : right.shards + 1])
        if all_written or right.images + next_rows // len(self.views) <= len(parents):
            self.writer.keep_shards(right.shards)
        self.ahead = self._images_from(len(parents))

    def _images_from(self, first: int) -> frozenset[str]:
        each, rows = len(self.views), np.arange(first * len(self.views), self.writer.rows)
        ids = self.writer.written().columns(rows[::each]).image_id
        return frozenset(image_id.removesuffix(f"#{self.views[0].name}") for image_id in ids)

    def add(self, views: PreparedViews) -> None:
        """Take all views of the next image; the shard is written when it is full."""
        self._shard = self._shard or ShardRows(self._encoder, self._pool, KnownFiles(), reuse=False)
        self._shard.add_views(views, self._batch)
        self._in_shard += 1
        if self._in_shard * len(self.views) >= self.writer.manifest.shard_rows:
            self.flush()

    def flush(self) -> None:
        """Write what there is of a shard."""
        if self._shard is not None:
            self.writer.write_shard(self._shard.finished(self.writer.written()))
        self._shard, self._in_shard = None, 0


@contextmanager
def writing_views(
    kinds: Mapping[Path, Sequence[View]], encoder: Encoder, options: EmbedOptions, pool: Executor, parent: str = ""
) -> Iterator[list[ViewsWriter]]:
    """Open a store for each kind of views, at its folder. From here on they are known to be missing, whatever happens.

    parent: the digest of the store of their images, empty as long as that is being written.
    """
    with ExitStack() as stack:
        writers = []
        for folder, views in kinds.items():
            shard_rows = max(1, options.shard_rows // len(views)) * len(views)
            made_of = ViewsOf(parent, tuple(view.name for view in views), scheme_of(encoder, views))
            writer = stack.enter_context(_writing(folder, encoder, made_of, shard_rows))
            writers.append(ViewsWriter(writer, encoder, views, options.batch_size, pool))
        yield writers


def embed_views(
    images: Store,
    folder: str | Path,
    encoder: Encoder,
    views: Sequence[View],
    options: EmbedOptions,
    progress: Progress = silent,
) -> ViewStore:
    """Embed `views` of every comparable image of a store into the store at `folder`: see `embed_kinds`."""
    return embed_kinds(images, {Path(folder): views}, encoder, options, progress)[0]


def embed_kinds(
    images: Store,
    kinds: Mapping[Path, Sequence[View]],
    encoder: Encoder,
    options: EmbedOptions,
    progress: Progress = silent,
) -> list[ViewStore]:
    """Embed views of every comparable image of a store, from its files, each kind into the store at its folder.

    A view without content is a blank row; one whose file is gone, or is another than was embedded, is unreadable.
    What is there of the same views of the same files, in the same order, is kept: a run that was stopped goes on, and
    images that were appended get views of their own. Views that could not be made are made again once their files can
    be read. Memory: one shard of each kind, and the images that are decoded ahead.
    """
    with (
        ThreadPoolExecutor(options.threads) as pool,
        writing_views(kinds, encoder, options, pool, images.digest) as writers,
    ):
        for writer in writers:
            writer.keep(images, all_written=True)
        make_missing(writers, images, encoder, options, pool, progress)
        for writer in writers:
            writer.flush()
            writer.writer.finish()
    parents = images.comparable_rows()
    return [ViewStore(Store.open(folder), tuple(v.name for v in views), parents) for folder, views in kinds.items()]


def make_missing(
    writers: Sequence[ViewsWriter],
    images: Store,
    encoder: Encoder,
    options: EmbedOptions,
    pool: Executor,
    progress: Progress,
) -> None:
    """Make the views that the comparable `images` lack, reading each file once. The last shards are left open."""
    parents, starts = images.comparable_rows(), [writer.images for writer in writers]
    first = min(starts, default=len(parents))

    def views_of(item: tuple[int, Row]) -> dict[int, PreparedViews]:
        kinds = {kind: writer.views for kind, writer in enumerate(writers) if starts[kind] <= item[0]}
        return prepare_views(item[1], encoder, options.max_pixels, kinds)

    done = sum(min(start, len(parents)) * len(w.views) for start, w in zip(starts, writers, strict=True))
    tick = counting(progress, "embedding views", done, len(parents) * sum(len(w.views) for w in writers))
    for views in ahead(pool, views_of, enumerate(_files(images, parents[first:]), first), depth(writers, options)):
        add_views(writers, views)
        tick(sum(len(each.items) for each in views.values()))


def add_views(writers: Sequence[ViewsWriter], views: Mapping[int, PreparedViews]) -> None:
    """Hand the views of the next image to the writers of their kinds."""
    for kind, prepared in views.items():
        writers[kind].add(prepared)


def depth(writers: Sequence[ViewsWriter], options: EmbedOptions) -> int:
    """Images that are prepared ahead, all their views: what waits takes about as much whatever the views."""
    views = sum(len(writer.views) for writer in writers)
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


class _Right(NamedTuple):
    """The first shards of a store of views that hold what would be written, and how many images these are of."""

    shards: int
    images: int


def _right_shards(writer: StoreWriter, images: Store, parents: Int64, views: Sequence[View]) -> _Right:
    """Which of the first shards hold what would be written: views of these files, none missing that can be made."""
    first = 0
    for count, shard in enumerate(writer.manifest.shards):
        own = parents[first : first + shard.rows // len(views)]
        columns = images.columns(own)
        names = (
            (f"{i}#{view.name}", sha) for i, sha in zip(columns.image_id, columns.sha256, strict=True) for view in views
        )
        if len(own) * len(views) != shard.rows or content_digest(names) != shard.content_sha256:
            return _Right(count, first)
        if shard.ok < shard.rows and _can_be_made_now(writer.written(), first * len(views), shard.rows):
            return _Right(count, first)
        first += len(own)
    return _Right(len(writer.manifest.shards), first)


def _can_be_made_now(views: Store, start: int, rows: int) -> bool:
    """Whether a file can be read by now that could not be when its views were to be made. Views that could not be made
    of what was read are none of these: they would not be made now either."""
    columns = views.columns(np.arange(start, start + rows), ("uri", "sha256", "status", "error"))
    texts = zip(columns.uri, columns.sha256, columns.status, columns.error, strict=True)
    lost = {(uri, sha) for uri, sha, status, error in texts if status == Status.UNREADABLE and was_not_read(error)}
    return any(_is_there(uri, sha256) for uri, sha256 in sorted(lost))


def _is_there(uri: str, sha256: str) -> bool:
    try:
        return hashlib.sha256(read_image(uri)).hexdigest() == sha256
    except (OSError, InputError):
        return False


def _writing(folder: Path, encoder: Encoder, made_of: ViewsOf, shard_rows: int) -> AbstractContextManager[StoreWriter]:
    """Open a store of views. The manifest of other views goes: their shards are overwritten, or removed at the end.

    What is there of windows goes on as it was begun, one by one too: all rows of a store are made in one way.
    """
    with suppress(InputError):
        there = Manifest.read(folder)
        if there.views is None or there.views.names != made_of.names or there.shard_rows != shard_rows:
            (folder / MANIFEST).unlink()
        elif there.shards and there.views.scheme in ("", made_of.scheme):
            made_of = made_of._replace(scheme=there.views.scheme)
        elif there.views.scheme != made_of.scheme:
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
