"""Are two faces on the same picture? A person who comes back on a new one is another finding than a copy."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from memaudit.audit.pairing import rows_of
from memaudit.encoders.thumbnail import SPEC, ThumbnailEncoder
from memaudit.errors import InputError
from memaudit.faces.results import FaceAudit, FaceMatches, FacePair
from memaudit.faces.rows import parents
from memaudit.images.decode import UnreadableImageError, decoding
from memaudit.images.sources import read_image
from memaudit.matching.results import Matches
from memaudit.similarity import exact
from memaudit.store import Columns, Store
from memaudit.types import Float32, Int64, Status

Pair = tuple[str, str]
"""The image_ids of a generation and of a training image, or of two training images."""


class SamePicture(NamedTuple):
    """similarity: of the images that paired faces are on, as an image encoder sees it; NaN where it is not known.
    threshold: from which on they are the same picture."""

    similarity: Callable[[Columns, Columns], Float32]
    threshold: float


def by_image_stores(generations: Store, references: Store, threshold: float) -> SamePicture:
    """By the embeddings of an image audit's own stores."""

    def similarity(queries: Columns, targets: Columns) -> Float32:
        return _similarity(generations, _image_rows(generations, queries), references, _image_rows(references, targets))

    return SamePicture(similarity, threshold)


def by_thumbnails() -> SamePicture:
    """By the images, read again and held against each other as thumbnails; NaN where one cannot be read."""

    def similarity(queries: Columns, targets: Columns) -> Float32:
        encoder = ThumbnailEncoder()
        sides = [[_thumbnail(encoder, uri) for uri in columns.uri] for columns in (queries, targets)]
        result = np.full(len(queries.uri), np.nan, np.float32)
        for place, (left, right) in enumerate(zip(*sides, strict=True)):
            if left is not None and right is not None:
                result[place] = exact(left, right)[0]
        return result

    return SamePicture(similarity, SPEC.threshold)


def _thumbnail(encoder: ThumbnailEncoder, uri: str) -> Float32 | None:
    try:
        with decoding(read_image(uri), side=encoder.side) as (image, _, _):
            vector = encoder.encode(encoder.preprocess(image)[None])
    except (OSError, InputError, UnreadableImageError):
        return None
    return vector if vector.any() else None


def _similarity(left: Store, left_rows: Int64, right: Store, right_rows: Int64) -> Float32:
    """Of rows of two stores; NaN where one of the two is -1."""
    known = (left_rows >= 0) & (right_rows >= 0)
    result = np.full(len(left_rows), np.nan, np.float32)
    result[known] = exact(left.embeddings(left_rows[known]), right.embeddings(right_rows[known]))
    return result


def _image_rows(store: Store, faces: Columns) -> Int64:
    """The comparable rows, in a store of images, of the images that faces are on; -1 for those that it lacks."""
    return _rows_of_images(store, parents(faces))


def _rows_of_images(store: Store, image_ids: Sequence[str]) -> Int64:
    known = rows_of(store, set(image_ids))
    rows = np.array([known.get(image_id, -1) for image_id in image_ids], dtype=np.int64)
    there = np.flatnonzero(rows >= 0)
    rows[there[store.columns(rows[there]).status != Status.OK]] = -1
    return rows


def copies_among(images: Store, pairs: Sequence[Pair], threshold: float) -> NDArray[np.bool_]:
    """Whether the two of each pair are near-duplicates in this store of images; of unknown ones they are not."""
    left, right = (_rows_of_images(images, [pair[side] for pair in pairs]) for side in (0, 1))
    return np.asarray(_similarity(images, left, images, right) >= np.float32(threshold))


def face_pairs(matches: FaceMatches, generations: Store, gallery: Store) -> tuple[FacePair, ...]:
    """The generations and training images that share a face, by the most similar of their faces."""
    found: dict[Pair, FacePair] = {}
    for place, pair in enumerate(_image_pairs(matches, generations, gallery)):
        first = found.get(pair)
        found[pair] = FacePair(*pair, place, 1) if first is None else first._replace(faces=first.faces + 1)
    return tuple(found.values())


def _image_pairs(matches: FaceMatches, generations: Store, gallery: Store) -> list[Pair]:
    """The generation and the training image of each match of faces."""
    queries, targets = generations.columns(matches.query), gallery.columns(matches.reference)
    return list(zip(parents(queries), parents(targets), strict=True))


class MatchedImages(NamedTuple):
    """What an audit of images matched: all pairs, and for each generation its first training image."""

    pairs: frozenset[Pair]
    first: Mapping[str, str]

    @classmethod
    def of(cls, matches: Matches, generations: Store, references: Store) -> MatchedImages:
        queries = generations.columns(matches.query).image_id
        targets = references.columns(matches.reference).image_id
        pairs = list(zip(queries, targets, strict=True))
        return cls(frozenset(pairs), dict(pair for pair, rank in zip(pairs, matches.rank, strict=True) if rank == 1))


def beside_matched(
    audit: FaceAudit, images: MatchedImages, are_copies: Callable[[Sequence[Pair]], NDArray[np.bool_]]
) -> FaceAudit:
    """The audit of faces, once it is known what an audit of images matched.

    A face on a matched pair, or on a near-duplicate (by `are_copies`) of the generation's first training image, is on
    the same picture, whatever the similarity of the whole images: pixels may have confirmed it. And of a pair that is
    the first, or a near-duplicate of it, the images tell already: of several copies of a picture the two may name
    different ones.
    """
    matches, first = audit.result.matches, images.first
    pairs = _image_pairs(matches, audit.generations, audit.gallery)
    asked = sorted({(first[query], target) for query, target in pairs if first.get(query, target) != target})
    copies = {pair for pair, is_copy in zip(asked, are_copies(asked), strict=True) if is_copy} if asked else set()
    of_copies = {(query, target) for query, target in pairs if (first.get(query, ""), target) in copies}
    is_same = np.array([pair in images.pairs or pair in of_copies for pair in pairs], dtype=bool)
    same = np.where(is_same, 1, matches.same_picture)
    told = {*of_copies, *first.items()}
    return replace(
        audit,
        result=replace(audit.result, matches=matches._replace(same_picture=same)),
        pairs=tuple(pair._replace(told=(pair.query_id, pair.reference_id) in told) for pair in audit.pairs),
    )
