"""Images + encoder → store. Decoding in threads overlaps the encoder; memory is bounded by one shard."""

from __future__ import annotations

import hashlib
import math
import os
from array import array
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import chain, islice
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from memaudit.encoders import Encoder
from memaudit.errors import EmptyInputError, InputError, UsageError
from memaudit.images.decode import MAX_PIXELS, UnreadableImageError, decode, is_blank
from memaudit.images.measures import simplicity
from memaudit.images.reading import is_url, read_bytes
from memaudit.images.sources import iter_images
from memaudit.records import Float32, ImageRef, Progress, Status, silent
from memaudit.store import NO_FILE, Row, Shard, Store, StoreWriter, content_digest, writing_store

T = TypeVar("T")
R = TypeVar("R")


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
    simplicity: float = math.nan
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
    Raises EmptyInputError for no image at all; InputError for unusable sources, repeated image_ids, another store;
    UsageError for a `folder` inside a source, where its files would be taken for images.
    """
    _require_outside(Path(folder), sources)
    total = require_distinct(lambda: (ref.image_id for ref in iter_images(sources, contents=False)))
    if total == 0:
        raise EmptyInputError(f"no image in {', '.join(map(str, sources))}: nothing to embed")
    with writing_store(Path(folder), encoder.spec, options.shard_rows, [str(s) for s in sources]) as writer:
        standing = _standing(writer, sources, progress, total)
        _drop_changed(writer, standing, total, replace_changed=replace_changed)
        tick = _counting(progress, writer.rows, total)
        with ThreadPoolExecutor(options.threads) as pool:
            refs = islice(iter_images(sources), writer.rows, None)
            _write_remaining(writer, refs, encoder, options, pool, tick)
        writer.finish()
    return Store.open(folder)


def _require_outside(folder: Path, sources: Sequence[str | Path]) -> None:
    for source in (Path(source) for source in sources if not is_url(str(source))):
        if source.is_dir() and folder.resolve().is_relative_to(source.resolve()):
            raise UsageError(f"{folder} lies inside the source {source}: choose an --out outside of it")


def require_distinct(image_ids: Callable[[], Iterable[str]]) -> int:
    """Count image_ids; raise InputError for a repeated one. Called twice if need be. Memory: 8 bytes an id."""
    keys = array("Q", map(_key, image_ids()))
    values, counts = np.unique(np.asarray(keys), return_counts=True)
    suspects = set(values[counts > 1].tolist())
    if suspects:
        seen: set[str] = set()
        for image_id in image_ids():
            if _key(image_id) in suspects:
                if image_id in seen:
                    raise InputError(f"image_id {image_id!r} occurs twice in the sources: give each image its own id")
                seen.add(image_id)
    return len(keys)


def _key(image_id: str) -> int:
    return int.from_bytes(hashlib.blake2b(image_id.encode(), digest_size=8).digest(), "big")


def _standing(writer: StoreWriter, sources: Sequence[str | Path], progress: Progress, total: int) -> int:
    """How many of the store's first shards hold the images of the sources, unchanged."""
    refs = iter_images(sources)
    done = 0
    for number, shard in enumerate(writer.manifest.shards):
        if not _is_current(writer.folder / shard.name, shard, islice(refs, writer.manifest.shard_rows)):
            return number
        done += shard.rows
        progress("checking what is there", done, total)
    return len(writer.manifest.shards)


def _drop_changed(writer: StoreWriter, current: int, total: int, *, replace_changed: bool) -> None:
    """Forget the shards after the `current` ones; the store is unfinished from here on, unless nothing is to do."""
    shards = writer.manifest.shards
    if current < len(shards) and not replace_changed:
        raise InputError(
            f"store {writer.folder} was made from other images than the sources now hold (first difference in "
            f"{shards[current].name}): choose another --out, or remove it"
        )
    if current < len(shards) or writer.rows < total:
        writer.keep_shards(current)


def _is_current(path: Path, shard: Shard, refs: Iterable[ImageRef]) -> bool:
    """Memory: one image at a time. Content of a table is in the refs, so they are not kept."""
    if not path.is_file() or path.stat().st_size != shard.bytes:
        return False
    return content_digest((ref.image_id, _sha256_of(ref)) for ref in refs) == shard.content_sha256


def _sha256_of(ref: ImageRef) -> str:
    try:
        return hashlib.sha256(_bytes_of(ref)).hexdigest()
    except OSError:
        return NO_FILE


def _bytes_of(ref: ImageRef) -> bytes:
    return read_bytes(ref.uri) if ref.data is None else ref.data


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
        data = _bytes_of(ref)
    except OSError as error:
        return _Prepared(ref, NO_FILE, error=f"cannot read file: {error.strerror or error}")
    sha256 = hashlib.sha256(data).hexdigest()
    try:
        image, width, height = decode(data, max_pixels, encoder.side)
    except UnreadableImageError as error:
        return _Prepared(ref, sha256, error=str(error))
    found = _Prepared(ref, sha256, width, height, Status.BLANK, simplicity=simplicity(image))
    return found if is_blank(image) else replace(found, status=Status.OK, pixels=encoder.preprocess(image))


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
    return Row(
        image_id=ref.image_id,
        uri=ref.uri,
        caption=ref.caption,
        sha256=item.sha256,
        width=item.width,
        height=item.height,
        status=status,
        error=error,
        embedding=vector,
        metadata=ref.metadata,
        simplicity=item.simplicity,
    )


def _counting(progress: Progress, done: int, total: int) -> Callable[[int], None]:
    def tick(count: int) -> None:
        nonlocal done
        done += count
        progress("embedding", done, total)

    return tick
