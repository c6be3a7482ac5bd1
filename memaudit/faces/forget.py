"""Take people out of a store of faces."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from memaudit.errors import InputError
from memaudit.faces.names import file_tombstone, tombstone
from memaudit.faces.rows import face_rows, parents, without_own
from memaudit.similarity import top_k
from memaudit.store import FACES, NO_FILE, Columns, Manifest, Store, StoreWriter, writing_store
from memaudit.types import Float32

_NAMED = 10
_QUERIES = 2048


@dataclass(frozen=True)
class Forgotten:
    """What was removed: image_ids of rows. already: ids asked for that had been forgotten before. alike: faces left
    that resemble a removed one as one person's do (the nearest first), and how many of the removed have such a face.
    pictures: files that were deleted from runs, earlier ones too; elsewhere: folders of runs and indexes, as far as the
    store knows of them, that still name or hold what was removed, further pages and PDFs in them, and pictures that
    could not be deleted."""

    removed: tuple[str, ...]
    already: tuple[str, ...]
    alike: tuple[str, ...]
    with_alike: int
    pictures: tuple[str, ...] = ()
    elsewhere: tuple[str, ...] = ()


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
        _require_known(folder, wanted, found, already)
        vectors = _vectors(writer.written(), wanted)
        stones = {
            *writer.manifest.forgotten,
            *map(tombstone, wanted | found.emptied),
            *map(file_tombstone, found.files),
        }
        writer.remove_rows(lambda c: _doomed(c, wanted), sorted(stones), lambda c: _redacted(c, found.images))
        alike, with_alike = _alike(writer, vectors)
    return Forgotten(tuple(found.removed), already, alike, with_alike)


def _doomed(columns: Columns, wanted: Collection[str]) -> NDArray[np.bool_]:
    return np.array(
        [i in wanted or parent in wanted for i, parent in zip(columns.image_id, parents(columns), strict=True)],
        dtype=bool,
    )


class _Found(NamedTuple):
    """The ids of the rows to remove, in order; the images that they are of; those of them that keep no row; the hashes
    by which all these are known under another name: of the images' files, and of single faces."""

    removed: list[str]
    images: frozenset[str]
    emptied: frozenset[str]
    files: frozenset[str]


def _split(store: Store, wanted: Collection[str]) -> _Found:
    removed: list[str] = []
    hashes, files = set[str](), dict[str, str]()
    for columns in store.iter_columns():
        gone = columns.at(np.flatnonzero(_doomed(columns, wanted)))
        removed += gone.image_id.tolist()
        hashes.update(gone.sha256)
        files.update((face.parent, face.file) for face in face_rows(gone))
    emptied = frozenset(files.keys() - _kept_parents(store, wanted, files.keys()))
    hashes.update(files[image] for image in emptied)
    return _Found(removed, frozenset(files), emptied, frozenset(hashes - {NO_FILE}))


def _kept_parents(store: Store, wanted: Collection[str], images: Collection[str]) -> set[str]:
    """Those of the images that keep a row."""
    kept = set[str]()
    for columns in store.iter_columns():
        kept.update(set(parents(columns.at(np.flatnonzero(~_doomed(columns, wanted))))).intersection(images))
    return kept


def _redacted(columns: Columns, images: Collection[str]) -> Columns:
    """The columns without what these images say of whoever is on them; the very same ones if they say nothing."""
    of_them = [parent in images for parent in parents(columns)]
    bare = [without_own(text) if there else text for text, there in zip(columns.metadata, of_them, strict=True)]
    captions = [("" if there else text) for text, there in zip(columns.caption, of_them, strict=True)]
    if bare == columns.metadata.tolist() and captions == columns.caption.tolist():
        return columns
    return columns._replace(caption=np.array(captions, dtype=object), metadata=np.array(bare, dtype=object))


def _require_known(folder: Path, wanted: Collection[str], found: _Found, already: Sequence[str]) -> None:
    there = {*found.removed, *found.images, *already}
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
