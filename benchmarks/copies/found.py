"""What memaudit, or another tool, says of the pairs of a part: which are copies, and where they lie."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray

from benchmarks.copies.made import COPY, Made
from benchmarks.copies.pairs import PAIRS, THRESHOLD
from benchmarks.copies.split import CLEAN, REFERENCE, SOURCE
from benchmarks.measure import Cost
from benchmarks.peers import peers
from memaudit.matching.compare import Checks, Files, check_pairs
from memaudit.store import Store
from memaudit.types import Float64, Int64, silent

MEMAUDIT, ALONE = "memaudit audit", "similarity alone"


class Box(NamedTuple):
    """Boxes of the common part in the query and the reference: x0, y0, x1, y1 in shares of width and height."""

    query: Float64
    reference: Float64


class Found(NamedTuple):
    """What a tool pairs: names of queries and references, with the boxes that it names. cost: of its command, with a
    note; None: of a tool that could not be had or run, and the note says why."""

    name: str
    pairs: Mapping[tuple[str, str], Box | None]
    note: str = ""
    cost: Cost | None = None
    could_run: bool = True


class Candidates(NamedTuple):
    """Rows of pairs.parquet: what an audit looks at of copies' own sources and of clean images."""

    query: NDArray[np.object_]
    reference: NDArray[np.object_]
    label: NDArray[np.object_]
    source: NDArray[np.object_]
    similarity: NDArray[np.float32]
    whole: NDArray[np.float32]


def candidates_in(folder: Path) -> Candidates:
    """Copies beside other pictures than their own source are left out: they are counted by clean images."""
    table = pq.read_table(folder / PAIRS)
    role, label, candidate = (np.array(table[name].to_pylist()) for name in ("role", "label", "candidate"))
    asked = candidate & ((role == CLEAN) | ((role == COPY) & (label == "copy")))
    rows = table.filter(asked)
    names = (np.array(rows[name].to_pylist(), object) for name in ("query", "reference", "label", "source"))
    return Candidates(*names, *(np.array(rows[name].to_pylist(), np.float32) for name in ("similarity", "whole")))


def checked(folder: Path, pairs: Candidates) -> Checks:
    """What the pixels of these say."""
    queries, left = _files(folder / "queries", pairs.query)
    references, right = _files(folder / "references", pairs.reference)
    return check_pairs(queries, references, left, right, silent)


def by_memaudit(pairs: Candidates, checks: Checks) -> Found:
    """As an audit decides: on pixels, and at the threshold unless they tell simple drawings apart."""
    matched = np.flatnonzero((pairs.similarity >= np.float32(THRESHOLD)) & ~checks.apart | checks.copies)
    overlaps = checks.overlaps
    return Found(
        MEMAUDIT,
        {
            (pairs.query[i], pairs.reference[i]): Box(overlaps.query_box[i], overlaps.reference_box[i])
            if checks.copies[i]
            else None
            for i in matched
        },
    )


def by_similarity(pairs: Candidates) -> Found:
    """Of the whole pictures, at the threshold."""
    matched = np.flatnonzero(pairs.whole >= np.float32(THRESHOLD))
    return Found(ALONE, {(pairs.query[i], pairs.reference[i]): None for i in matched})


def _files(store: Path, names: NDArray[np.object_]) -> tuple[Files, Int64]:
    """The files of a store, and the rows of these names."""
    columns = Store.open(store).all_columns()
    row = {name: number for number, name in enumerate(columns.image_id)}
    return Files(columns.uri, columns.sha256), np.array([row[name] for name in names], np.int64)


def by_peers(made: Sequence[Made], work: Path) -> Iterator[Found]:
    """Other tools, on the same files."""
    references, queries = (
        {one.image_id: one.file for one in made if one.role in roles} for roles in ((SOURCE, REFERENCE), (COPY, CLEAN))
    )
    for peer in peers(references, queries, work):
        pairs = {(pair.query, pair.reference): None for pair in peer.pairs}
        yield Found(peer.name, pairs, peer.note, peer.cost, peer.cost is not None)
