"""The images that labelled pairs are of, and what similarity and pixels say of such pairs."""

from __future__ import annotations

from collections.abc import Collection
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from memaudit.errors import InputError, MissingDependencyError, UsageError
from memaudit.matching.compare import check_pairs, files_of
from memaudit.similarity import exact
from memaudit.store import FACES, NO_FILE, Store, require_same_encoder
from memaudit.types import Float32, Int64, Progress, Status


class RowPairs(NamedTuple):
    """Rows of the queries and of the references, both (n,)."""

    query: Int64
    reference: Int64

    def at(self, places: Int64) -> RowPairs:
        return RowPairs(self.query[places], self.reference[places])


class Compared(NamedTuple):
    """similarity, and probability of a copy, NaN where pixels could not be compared; `why` says for what reasons."""

    similarity: Float32
    probability: Float32
    why: tuple[str, ...]


class Sides:
    """Two stores, generations and training images, or one that is compared with itself (references None).

    Raises UsageError for stores of faces, InconclusiveError for stores of different encoders.
    """

    def __init__(self, queries: Store, references: Store | None = None) -> None:
        self.queries, self.references = queries, references or queries
        self.one_set = references is None
        for store in (self.queries, self.references):
            if store.manifest.kind == FACES:
                raise UsageError(f"{store.folder} is a store of faces: a search of faces calibrates its own threshold")
            if store.manifest.views is not None:
                raise UsageError(f"{store.folder} holds views of images: give the store of the images themselves")
        require_same_encoder(self.queries, self.references)

    @property
    def digests(self) -> dict[str, str]:
        """Of the stores, by what they are to a report."""
        if self.one_set:
            return {"store": self.queries.digest}
        return {"generations": self.queries.digest, "references": self.references.digest}

    def require_current(self) -> None:
        for store in (self.queries, self.references):
            store.require_current()

    def compare(self, pairs: RowPairs, progress: Progress) -> Compared:
        """Similarity and pixels of these pairs. Memory: as `check_pairs`, and the embeddings of the pairs."""
        one, other = (np.unique(rows, return_inverse=True) for rows in pairs)
        vectors = self.queries.embeddings(one[0]), self.references.embeddings(other[0])
        similarity = exact(vectors[0][one[1]], vectors[1][other[1]])
        try:
            queries, references = files_of(self.queries, one[0]), files_of(self.references, other[0])
            checks = check_pairs(queries, references, one[1], other[1], progress)
        except MissingDependencyError as error:
            return Compared(similarity, np.full(len(similarity), np.nan, np.float32), (str(error),))
        why = sorted({str(reason) for reason in checks.why[~checks.read]})
        return Compared(similarity, checks.probability, tuple(why))

    def in_order(self, pairs: RowPairs) -> RowPairs:
        """Within one set the image whose image_id comes first is the query, as in a dedup run."""
        if not self.one_set:
            return pairs
        rows, place = np.unique(np.concatenate(pairs), return_inverse=True)
        names = self.queries.columns(rows, only=("image_id",)).image_id
        rank = np.argsort(np.argsort(names.astype(str), kind="stable"))
        left, right = rank[place].reshape(2, -1)
        return RowPairs(*(np.where(left <= right, *ends) for ends in (pairs, pairs[::-1])))

    def numbers(self, pairs: RowPairs) -> tuple[NDArray[np.object_], NDArray[np.object_]]:
        """The sha256 of both files: what an image is known by."""
        sides = (self.queries, pairs.query), (self.references, pairs.reference)
        own, others = (store.columns(rows, only=("sha256",)).sha256 for store, rows in sides)
        return own, others


def first_rows(store: Store, among: Collection[str]) -> dict[str, int]:
    """The first comparable row of each of these files, by its sha256.

    Raises InputError where a store knows of no file at all.
    """
    found: dict[str, int] = {}
    start, files = 0, 0
    for columns in store.iter_columns(only=("status", "sha256")):
        for row, (status, sha256) in enumerate(zip(columns.status, columns.sha256, strict=True), start):
            files += sha256 != NO_FILE
            if status == Status.OK and sha256 != NO_FILE and sha256 in among:
                found.setdefault(str(sha256), row)
        start += len(columns.status)
    if start and not files:
        raise without_files(store)
    return found


def without_files(store: Store) -> InputError:
    return InputError(f"store {store.folder} was imported without files: its pairs have no digests to be named by")
