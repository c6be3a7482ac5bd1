"""Which identities does a set repeat most?"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from memaudit.dedup.results import Decision, Decisions
from memaudit.faces.rows import face_rows
from memaudit.store import Store
from memaudit.types import Int64


@dataclass(frozen=True)
class Identity:
    """Faces that chains of pairs link: how many, on how many images; the face of best quality; the weakest link."""

    faces: int
    images: int
    example: str
    quality: float
    weakest: float


@dataclass(frozen=True)
class Identities:
    """How many there are, how many of them more than once, and the largest."""

    persons: int
    repeated: int
    largest: tuple[Identity, ...]


def repeated_identities(store: Store, decisions: Decisions, shown: int) -> Identities:
    """The groups of a dedup run over faces, the largest first. Rows without an embedding do not count."""
    compared = np.zeros(len(store), bool)
    compared[store.comparable_rows()] = True
    rows = np.flatnonzero(compared & (decisions.decision != Decision.UNREADABLE))
    groups, sizes = np.unique(decisions.group[rows], return_counts=True)
    repeated = int((sizes > 1).sum())
    order = np.lexsort((groups, -sizes))[: min(shown, repeated)]
    largest = tuple(_identity(store, decisions, rows[decisions.group[rows] == groups[i]]) for i in order)
    return Identities(len(groups), repeated, largest)


def _identity(store: Store, decisions: Decisions, rows: Int64) -> Identity:
    columns = store.columns(rows)
    faces = face_rows(columns)
    quality = np.array([face.details.quality if face.details else 0.0 for face in faces])
    best = int(quality.argmax())
    return Identity(
        faces=len(rows),
        images=len({face.parent for face in faces}),
        example=str(columns.image_id[best]),
        quality=float(quality[best]),
        weakest=float(decisions.chain[rows].min()),
    )
