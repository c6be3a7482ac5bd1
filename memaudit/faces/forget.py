"""Take people out of a store of faces."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from memaudit.errors import InputError
from memaudit.faces.names import parent_of, tombstone
from memaudit.records import Float32
from memaudit.similarity import top_k
from memaudit.store import FACES, Columns, Manifest, Store, StoreWriter, writing_store

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

    Shards are written anew, whole; the manifest, last, keeps a digest of each id, by which a later `embed_faces` passes
    the image over. Killed at any moment, the same call finishes it. Raises InputError, before anything is removed, for
    an id that the store does not have, or a store that holds no faces; InconclusiveError for a damaged store.
    """
    folder, wanted = Path(folder), frozenset(image_ids)
    manifest = Manifest.read(folder)
    if manifest.kind != FACES:
        raise InputError(f"store {folder} holds {manifest.kind}, not faces: remove the images and embed again")
    with writing_store(folder, manifest.encoder, manifest.shard_rows, manifest.sources, kind=FACES) as writer:
        writer.require_whole()
        removed, left = _split(writer.written(), wanted)
        already = tuple(sorted(i for i in wanted if tombstone(i) in writer.manifest.forgotten))
        _require_known(folder, wanted, removed, already)
        vectors = _vectors(writer.written(), wanted)
        emptied = {parent_of(i) for i in removed} - left
        stones = {*writer.manifest.forgotten, *map(tombstone, wanted), *map(tombstone, emptied)}
        writer.remove_rows(lambda columns: _doomed(columns, wanted), sorted(stones))
        alike, with_alike = _alike(writer, vectors)
    return Forgotten(tuple(removed), already, alike, with_alike)


def _doomed(columns: Columns, wanted: Collection[str]) -> NDArray[np.bool_]:
    return np.array([i in wanted or parent_of(i) in wanted for i in columns.image_id], dtype=bool)


def _split(store: Store, wanted: Collection[str]) -> tuple[list[str], set[str]]:
    """The ids of the rows to remove, in order, and the images that keep a row though another one goes."""
    removed: list[str] = []
    left: set[str] = set()
    parents = {parent_of(image_id) for image_id in wanted}
    for columns in store.iter_columns():
        doomed = _doomed(columns, wanted)
        removed += columns.image_id[doomed].tolist()
        left |= parents.intersection(map(parent_of, columns.image_id[~doomed]))
    return removed, left


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
