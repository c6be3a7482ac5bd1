"""Take people out of a store of faces."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from memaudit.errors import InputError
from memaudit.faces.names import file_of, file_tombstone, number_of, parent_of, tombstone, without_given
from memaudit.similarity import top_k
from memaudit.store import FACES, NO_FILE, Columns, Manifest, Store, StoreWriter, writing_store
from memaudit.types import Float32

_NAMED = 10
_QUERIES = 2048


@dataclass(frozen=True)
class Forgotten:
    """What was removed: image_ids of rows. already: ids asked for that had been forgotten before. alike: faces left
    that resemble a removed one as one person's do (the nearest first), and how many of the removed have such a face."""

    removed: tuple[str, ...]
    already: tuple[str, ...]
    alike: tuple[str, ...]
    with_alike: int


def forget(folder: str | Path, image_ids: Sequence[str]) -> Forgotten:
    """Remove the rows of images, or of single faces (`IMAGE_ID#face-2`), and see to it that they do not come back.

    Shards are written anew, whole; the manifest, last, keeps a digest of each id and of each file (or of the face's
    place in it), by which a later `embed_faces` passes the image over, under another name as well. The other faces of
    an image lose its caption and metadata, which may name whoever was forgotten. Killed at any moment, the same call
    finishes it. Raises InputError, before anything is removed, for an id that the store does not have, or a store that
    holds no faces; InconclusiveError for a damaged store.
    """
    folder, wanted = Path(folder), frozenset(image_ids)
    manifest = Manifest.read(folder)
    if manifest.kind != FACES:
        raise InputError(f"store {folder} holds {manifest.kind}, not faces: remove the images and embed again")
    with writing_store(folder, manifest.encoder, manifest.shard_rows, manifest.sources, kind=FACES) as writer:
        writer.require_whole()
        found = _split(writer.written(), wanted)
        already = tuple(sorted(i for i in wanted if tombstone(i) in writer.manifest.forgotten))
        _require_known(folder, wanted, found.removed, already)
        vectors = _vectors(writer.written(), wanted)
        stones = {
            *writer.manifest.forgotten,
            *map(tombstone, wanted | found.emptied),
            *map(file_tombstone, found.files),
        }
        named = frozenset(parent_of(image_id) for image_id in wanted if number_of(image_id))
        writer.remove_rows(lambda c: _doomed(c, wanted), sorted(stones), lambda c: _redacted(c, named))
        alike, with_alike = _alike(writer, vectors)
    return Forgotten(tuple(found.removed), already, alike, with_alike)


def _doomed(columns: Columns, wanted: Collection[str]) -> NDArray[np.bool_]:
    return np.array([i in wanted or parent_of(i) in wanted for i in columns.image_id], dtype=bool)


class _Found(NamedTuple):
    """The ids of the rows to remove, in order; the images that keep no row; the hashes by which all these are known
    under another name: of the images' files, and of single faces."""

    removed: list[str]
    emptied: frozenset[str]
    files: frozenset[str]


def _split(store: Store, wanted: Collection[str]) -> _Found:
    removed: list[str] = []
    left, hashes, files = set[str](), set[str](), dict[str, str]()
    parents = {parent_of(image_id) for image_id in wanted}
    for columns in store.iter_columns():
        doomed = _doomed(columns, wanted)
        gone = columns.at(np.flatnonzero(doomed))
        removed += gone.image_id.tolist()
        hashes.update(gone.sha256)
        for image_id, sha256, metadata in zip(gone.image_id, gone.sha256, gone.metadata, strict=True):
            files[parent_of(image_id)] = file_of(image_id, sha256, metadata)
        left |= parents.intersection(map(parent_of, columns.image_id[~doomed]))
    emptied = frozenset(files.keys() - left)
    hashes.update(files[image] for image in emptied)
    return _Found(removed, emptied, frozenset(hashes - {NO_FILE}))


def _redacted(columns: Columns, images: Collection[str]) -> Columns:
    """The columns without what these images say of whoever is on them; the very same ones if they say nothing."""
    of_them = np.array([parent_of(image_id) in images for image_id in columns.image_id], dtype=bool)
    bare = [without_given(text) if there else text for text, there in zip(columns.metadata, of_them, strict=True)]
    captions = [("" if there else text) for text, there in zip(columns.caption, of_them, strict=True)]
    if bare == columns.metadata.tolist() and captions == columns.caption.tolist():
        return columns
    return columns._replace(caption=np.array(captions, dtype=object), metadata=np.array(bare, dtype=object))


def _require_known(folder: Path, wanted: Collection[str], removed: Sequence[str], already: Sequence[str]) -> None:
    there = {*removed, *map(parent_of, removed), *already}
    if unknown := sorted(set(wanted) - there):
        raise InputError(
            f"store {folder} has no image or face {unknown[0]!r} ({len(unknown):,} of {len(wanted):,} ids are unknown)"
            ": nothing was removed; look the id up in the report or in the sources"
        )


def _vectors(store: Store, wanted: Collection[str]) -> Float32:
    """The embeddings of what goes."""
    start, rows = 0, [np.empty(0, np.int64)]
    for columns in store.iter_columns():
        ok = np.isin(columns.status.astype(str), "ok") & _doomed(columns, wanted)
        rows.append(np.flatnonzero(ok) + start)
        start += len(ok)
    return store.embeddings(np.concatenate(rows))


def _alike(writer: StoreWriter, vectors: Float32) -> tuple[tuple[str, ...], int]:
    store, threshold = writer.written(), writer.manifest.encoder.threshold
    best: dict[int, float] = {}
    count = 0
    for low in range(0, len(vectors), _QUERIES):
        near = top_k(vectors[low : low + _QUERIES], store.blocks(), _NAMED, threshold)
        count += int((near.above > 0).sum())
        for row, similarity in zip(near.rows.ravel().tolist(), near.similarity.ravel().tolist(), strict=True):
            if similarity >= threshold:
                best[row] = max(best.get(row, -1.0), similarity)
    nearest = sorted(best, key=lambda row: (-best[row], row))[:_NAMED]
    return tuple(store.columns(np.array(nearest, dtype=np.int64)).image_id), count
