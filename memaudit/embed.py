"""Images + encoder → store. Decoding in threads overlaps the encoder; memory is bounded by one shard."""

from __future__ import annotations

import hashlib
import os
from array import array
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from memaudit.encoders import Encoder
from memaudit.errors import EmptyInputError, InputError
from memaudit.images.decode import MAX_PIXELS, UnreadableImageError, decode, is_blank
from memaudit.images.sources import iter_images
from memaudit.records import Float32, ImageRef, Progress, Status, silent
from memaudit.store import Row, Shard, Store, StoreWriter, content_digest, writing_store

T = TypeVar("T")
R = TypeVar("R")
NO_FILE = "0" * 64  # the sha256 column of a file that could not even be read


@dataclass(frozen=True)
class EmbedOptions:
    batch_size: int = 16
    workers: int = 0  # 0: one per core
    shard_rows: int = 8192
    max_pixels: int = MAX_PIXELS

    @property
    def threads(self) -> int:
        return self.workers or os.cpu_count() or 1


@dataclass(frozen=True)
class _Prepared:
    ref: ImageRef
    sha256: str
    width: int = 0
    height: int = 0
    status: Status = Status.UNREADABLE
    error: str = ""
    pixels: NDArray[Any] | None = None


def embed(
    sources: Sequence[str | Path],
    folder: str | Path,
    encoder: Encoder,
    options: EmbedOptions = EmbedOptions(),
    *,
    replace_changed: bool = False,
    progress: Progress = silent,
) -> Store:
    """Embed every image of `sources` into the store at `folder`, continuing what is there already.

    Shards that are there are checked against the files (image_id and sha256) and skipped. Where they differ,
    the store is refused, or with `replace_changed` written anew from that shard on.
    Raises EmptyInputError for no image at all; InputError for unusable sources, repeated image_ids, another store.
    """
    total = _count_distinct(sources)
    if total == 0:
        raise EmptyInputError(f"no image in {', '.join(map(str, sources))}: nothing to embed")
    with writing_store(Path(folder), encoder.spec, options.shard_rows, [str(s) for s in sources]) as writer:
        refs = iter_images(sources)
        done = _skip_finished(writer, refs, replace_changed=replace_changed, progress=progress, total=total)
        refs = islice(iter_images(sources), done, None)
        with ThreadPoolExecutor(options.threads) as pool:
            _write_remaining(writer, refs, encoder, options, pool, _counting(progress, done, total))
        writer.finish()
    return Store.open(folder)


def _count_distinct(sources: Sequence[str | Path]) -> int:
    """Count the images; raise InputError for a repeated image_id. Memory: 8 bytes an image."""
    keys = array("Q", (_key(ref.image_id) for ref in iter_images(sources)))
    values, counts = np.unique(np.asarray(keys), return_counts=True)
    suspects = set(values[counts > 1].tolist())
    if suspects:
        seen: set[str] = set()
        for ref in iter_images(sources):
            if _key(ref.image_id) in suspects:
                if ref.image_id in seen:
                    raise InputError(
                        f"image_id {ref.image_id!r} occurs twice in the sources: give each image its own id"
                    )
                seen.add(ref.image_id)
    return len(keys)


def _key(image_id: str) -> int:
    return int.from_bytes(hashlib.blake2b(image_id.encode(), digest_size=8).digest(), "big")


def _skip_finished(
    writer: StoreWriter, refs: Iterator[ImageRef], *, replace_changed: bool, progress: Progress, total: int
) -> int:
    """Return how many images the store holds already, unchanged, in whole shards."""
    done = 0
    for number, shard in enumerate(writer.manifest.shards):
        expected = list(islice(refs, writer.manifest.shard_rows))
        if not _is_current(writer.folder, shard, expected):
            if not replace_changed:
                raise InputError(
                    f"store {writer.folder} was made from other images than the sources now hold (first difference in "
                    f"{shard.name}): choose another --out, or remove it"
                )
            writer.keep_shards(number)
            break
        done += shard.rows
        progress("checking what is there", done, total)
    return done


def _is_current(folder: Path, shard: Shard, refs: Sequence[ImageRef]) -> bool:
    path = folder / shard.name
    if len(refs) != shard.rows or not path.is_file() or path.stat().st_size != shard.bytes:
        return False
    return content_digest((ref.image_id, _file_sha256(ref.uri)) for ref in refs) == shard.content_sha256


def _file_sha256(uri: str) -> str:
    try:
        with open(uri, "rb") as handle:
            return hashlib.file_digest(handle, "sha256").hexdigest()
    except OSError:
        return NO_FILE


def _write_remaining(
    writer: StoreWriter,
    refs: Iterator[ImageRef],
    encoder: Encoder,
    options: EmbedOptions,
    pool: ThreadPoolExecutor,
    tick: Callable[[int], None],
) -> None:
    def prepare(ref: ImageRef) -> _Prepared:
        return _prepare(ref, encoder, options.max_pixels)

    prepared = _ahead(pool, prepare, refs, depth=4 * options.threads + options.batch_size)
    # Batches never cross a shard, so that a resumed store equals an uninterrupted one bit by bit.
    for first in prepared:
        shard = chain([first], islice(prepared, options.shard_rows - 1))
        rows: list[Row] = []
        while batch := list(islice(shard, options.batch_size)):
            rows += _encoded(batch, encoder)
            tick(len(batch))
        writer.write_shard(rows)


def _ahead(pool: ThreadPoolExecutor, function: Callable[[T], R], items: Iterable[T], depth: int) -> Iterator[R]:
    """Like pool.map, in order, but with at most `depth` results waiting."""
    waiting: deque[Future[R]] = deque()
    for item in items:
        waiting.append(pool.submit(function, item))
        if len(waiting) >= depth:
            yield waiting.popleft().result()
    while waiting:
        yield waiting.popleft().result()


def _prepare(ref: ImageRef, encoder: Encoder, max_pixels: int) -> _Prepared:
    try:
        data = Path(ref.uri).read_bytes()
    except OSError as error:
        return _Prepared(ref, NO_FILE, error=f"cannot read file: {error.strerror}")
    sha256 = hashlib.sha256(data).hexdigest()
    try:
        image, width, height = decode(data, max_pixels)
    except UnreadableImageError as error:
        return _Prepared(ref, sha256, error=str(error))
    if is_blank(image):
        return _Prepared(ref, sha256, width, height, Status.BLANK)
    return _Prepared(ref, sha256, width, height, Status.OK, pixels=encoder.preprocess(image))


def _encoded(batch: Sequence[_Prepared], encoder: Encoder) -> Iterator[Row]:
    pixels = [item.pixels for item in batch if item.pixels is not None]
    vectors = iter(encoder.encode(np.stack(pixels)) if pixels else ())
    for item in batch:
        yield _row(item, next(vectors) if item.pixels is not None else None)


def _row(item: _Prepared, vector: Float32 | None) -> Row:
    status, error = item.status, item.error
    if vector is not None and not np.isclose(np.linalg.norm(vector), 1, atol=1e-3):
        vector, status, error = None, Status.UNREADABLE, "the encoder gave no unit vector for this image"
    ref = item.ref
    return Row(ref.image_id, ref.uri, ref.caption, item.sha256, item.width, item.height, status, error, vector)


def _counting(progress: Progress, done: int, total: int) -> Callable[[int], None]:
    def tick(count: int) -> None:
        nonlocal done
        done += count
        progress("embedding", done, total)

    return tick
