"""Whose faces are these? Ten pictures of one person are one stranger, not ten."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from memaudit.audit.families import keys_of_rows, one_of_each
from memaudit.faces.rows import face_rows
from memaudit.similarity.join import join
from memaudit.similarity.nominate import Side
from memaudit.store import Store
from memaudit.types import Int64

_BLOCK_ROWS = 8192


class People(NamedTuple):
    """Faces, whose they are, and one of each person's that was drawn at random, whatever it reaches.

    rows (n,): of a store; person (n,): the number of each one's person, from 0 on; drawn (people,): positions among the
    rows, by person. One face of each, for people with many faces have many chances that one is near to somebody.
    """

    rows: Int64
    person: Int64
    drawn: Int64

    @classmethod
    def of(cls, store: Store, rows: Int64, same_person: float, column: str = "") -> People:
        """Memory: as `people_of`."""
        person = people_of(store, rows, same_person, column)
        drawn = one_of_each(person, keys_of_rows(store, rows))
        return cls(rows, person, drawn[np.argsort(person[drawn])])


def people_of(store: Store, rows: Int64, same_person: float, column: str = "") -> Int64:
    """The number of the person (len(rows),) on each of the given rows, from 0 on.

    Two faces are one person's if they have `same_person` with each other or one name in `column`, and so are all that
    chains of such pairs link. Memory: two blocks, a tile of similarities, and some 30 bytes a row.
    """
    label = _by_name(store, rows, column) if column else np.arange(len(rows))
    for low in range(0, len(rows), _BLOCK_ROWS):
        left = Side.of(store.embeddings(rows[low : low + _BLOCK_ROWS]))
        for start in range(low, len(rows), _BLOCK_ROWS):
            right = None if start == low else Side.of(store.embeddings(rows[start : start + _BLOCK_ROWS]))
            for pairs in join(left, right, same_person):
                label = _linked(label, pairs.left + low, pairs.right + start)
    return np.unique(label, return_inverse=True)[1].astype(np.int64)


def _by_name(store: Store, rows: Int64, column: str) -> Int64:
    """The first place of each name; a face without a name has one of its own."""
    first: dict[str, int] = {}
    names = (face.told(column) for face in face_rows(store.columns(rows)))
    places = (first.setdefault(name, place) if name else place for place, name in enumerate(names))
    return np.fromiter(places, np.int64, len(rows))


def _linked(label: Int64, left: Int64, right: Int64) -> Int64:
    """The labels once those of each pair are one."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    if not len(left):
        return label
    ends = np.concatenate([left, np.arange(len(label))]), np.concatenate([right, label])
    graph = coo_array((np.ones(len(ends[0]), np.int8), ends), shape=(len(label), len(label)))
    joined = connected_components(graph, directed=False)[1]
    return np.asarray(np.unique(joined, return_index=True)[1][joined], dtype=np.int64)
