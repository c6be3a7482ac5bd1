"""What people who are not in the training set reach with it: held-out people, or faces drawn from the gallery."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from memaudit.faces.people import People
from memaudit.index import Searcher
from memaudit.similarity import pairs_across, pairs_within, top_k
from memaudit.store import Block, Store
from memaudit.types import Float32, Int64

SAMPLE = 10_000  # faces of the gallery that stand in for controls
_QUERY_ROWS = 2048
_BLOCK_ROWS = 8192
_NO_ROWS, _NOTHING = np.empty(0, np.int64), np.empty(0, np.float32)


class Null(NamedTuple):
    """What people who are not in the gallery reach with it: best (n,) of one face of each, drawn at random.

    factor: the gallery's faces ÷ those that they were compared with. left_out: faces of the gallery that were not
    compared, because they are drawn themselves or taken for the same person as one who is. Of controls: rows (n,), the
    faces that were drawn, and how many faces these people have; of those taken for people of the gallery, whether they
    are or not, excluded (m,): what the face drawn of each reaches, their rows, and how many faces they have.
    """

    best: Float32
    factor: float = 1.0
    left_out: int = 0
    rows: Int64 = _NO_ROWS
    faces: int = 0
    excluded: Float32 = _NOTHING
    excluded_rows: Int64 = _NO_ROWS
    excluded_faces: int = 0


def control_null(control: Store, gallery: Searcher, column: str = "") -> Null:
    """What each held-out person reaches with the gallery, by one of his or her distinct faces.

    Whoever has a face at the same person's similarity with the gallery is taken for a person of it, and told apart,
    with all other faces of that person. column: metadata that names the person. Memory: blocks, and some 50 bytes a
    face.
    """
    same_person = gallery.store.encoder.threshold
    people = People.of(control, distinct_rows(control), same_person, column)
    reached = _reached(control, people.rows, gallery)
    nearest = np.full(len(people.drawn), -np.inf, np.float32)
    np.maximum.at(nearest, people.person, reached)
    stranger = nearest < np.float32(same_person)
    kept, others = people.drawn[stranger], people.drawn[~stranger]
    faces = int(stranger[people.person].sum())
    return Null(
        reached[kept],
        rows=people.rows[kept],
        faces=faces,
        excluded=reached[others],
        excluded_rows=people.rows[others],
        excluded_faces=len(people.rows) - faces,
    )


def _reached(control: Store, rows: Int64, gallery: Searcher) -> Float32:
    best = [_NOTHING]
    for low in range(0, len(rows), _QUERY_ROWS):
        vectors = control.embeddings(rows[low : low + _QUERY_ROWS])
        best.append(gallery.search(vectors, 1, 1.0).similarity[:, 0])
    return np.concatenate(best)


def distinct_rows(store: Store) -> Int64:
    """The comparable rows, of each file once."""
    files: dict[str, int] = {}
    start = 0
    for columns in store.iter_columns():
        for row, (status, sha256) in enumerate(zip(columns.status, columns.sha256, strict=True), start):
            if status == "ok":
                files.setdefault(sha256, row)
        start += len(columns.status)
    return np.array(sorted(files.values()), dtype=np.int64)


def gallery_null(gallery: Store, same_person: float, *, sample: int = SAMPLE, seed: int = 0) -> Null:
    """What faces drawn from the gallery reach with the rest of it, as if they were not in it.

    At most half of it is drawn. Rest means: without those drawn, and without whoever has `same_person` with one of
    them, for they are no other people. Nothing above `same_person` is therefore ever seen, and the faces of one
    person that are less alike than that make the threshold higher, never lower. Memory: a block of similarities.
    """
    rows = gallery.comparable_rows()
    size = min(sample, len(rows) // 2)
    if not size:
        return Null(np.empty(0, np.float32))
    drawn = np.sort(np.random.default_rng(seed).choice(rows, size, replace=False))
    vectors = gallery.embeddings(drawn)
    vectors = np.delete(vectors, np.unique(pairs_within(vectors, same_person).right), axis=0)
    best = np.full(len(vectors), -np.inf, np.float32)
    compared = 0
    for block in gallery.blocks(_BLOCK_ROWS):
        others = ~np.isin(block.rows, drawn)
        others[pairs_across(vectors, block.embeddings, same_person).right] = False
        compared += int(others.sum())
        if others.any():
            _raise_best(best, vectors, Block(block.rows[others], block.embeddings[others]))
    if not compared:
        return Null(np.empty(0, np.float32), 1.0, len(rows))
    return Null(best, len(rows) / compared, len(rows) - compared, faces=len(best))


def _raise_best(best: Float32, vectors: Float32, block: Block) -> None:
    for low in range(0, len(vectors), _QUERY_ROWS):
        part = slice(low, low + _QUERY_ROWS)
        best[part] = np.maximum(best[part], top_k(vectors[part], [block], 1, 1.0).similarity[:, 0])
