"""A set of small real pictures whose copies are known, similarities by hand, and labels of its pairs."""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
from altered import saved
from pictures import photograph
from reviewed import write_rows as write_rows
from vectors import vector_store

from memaudit.store import Store

BLOCKS = 20  # of two pictures and a copy of each
COPY, OTHER, FLOOR = 0.7, 0.6, 0.5
Row = dict[str, str]
Call = Callable[[str, str], str]


class Known(NamedTuple):
    """family: which picture the file with this sha256 shows."""

    store: Store
    family: Mapping[str, int]

    def verdict(self, one: str, other: str) -> str:
        return "copy" if self.family[one] == self.family[other] else "not a copy"


def write_set(folder: Path, blocks: int = BLOCKS) -> Known:
    """In each block picture, copy, another picture, its copy: neighbours of similarity `COPY` or `OTHER`."""
    (folder / "images").mkdir(parents=True)
    paths, family = [], {}
    for number in range(2 * blocks):
        image = photograph(number, (120, 90))
        for name, made in (("same", image), ("copy", saved(image, 60))):
            paths.append(folder / "images" / f"{number:02d}-{name}.png")
            made.save(paths[-1], compress_level=1)
            family[hashlib.sha256(paths[-1].read_bytes()).hexdigest()] = number
    angles = np.cumsum([0, *np.arccos([COPY, OTHER, COPY])])
    vectors = np.zeros((4 * blocks, 2 * blocks))
    for block in range(blocks):
        vectors[4 * block : 4 * block + 4, 2 * block : 2 * block + 2] = np.c_[np.cos(angles), np.sin(angles)]
    store = vector_store(
        folder / "store",
        vectors,
        ids=[path.stem for path in paths],
        uris=[str(path) for path in paths],
        hashes=[hashlib.sha256(path.read_bytes()).hexdigest() for path in paths],
    )
    return Known(store, family)


def read_rows(path: Path) -> list[Row]:
    with path.open(newline="") as handle:
        return list(csv.DictReader(handle))


def filled_in(path: Path, verdict: Call, who: str = "A. Person") -> list[Row]:
    """A proposal as a person fills it in: saved again, for all who read it."""
    rows = [
        {**row, "verdict": verdict(row["left_sha256"], row["right_sha256"]), "who": who, "when": "2027-01-31"}
        for row in read_rows(path)
    ]
    write_rows(path, rows)
    return rows
