"""The groups of a dedup: the kept image, and those that are removed because of it. Read block by block.

Groups beyond `MEMBERS` have several sheets. Exact duplicates are left out, for there is nothing to decide. Pairs just
below the threshold that pixels refuse, as far as the report has them, are sheets of their own.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from msgspec import UNSET
from numpy.typing import NDArray

from memaudit.dedup.results import Decision, Reason
from memaudit.errors import InconclusiveError, InputError
from memaudit.report.bindings import require_bound
from memaudit.report.model import DedupResults, Report, ShownPair
from memaudit.report.pictures import files_of
from memaudit.reviewing.findings import cut_of
from memaudit.reviewing.queue import MEMBERS, Keys, Member, Queue, Roles, Sheet, Shown, doubt_of, keys_of
from memaudit.reviewing.stores import BLOCK, store_of, thumbnail_of
from memaudit.reviews import Pair, pair_of
from memaudit.store import Store
from memaudit.types import NO_FILE, Float64, Int64

if TYPE_CHECKING:
    import pyarrow as pa

ROLES = Roles("removed image", "kept image")
_BATCH = 1 << 16  # rows of a table that are held at once
_SAME = (str(Reason.COPY), str(Reason.ELSEWHERE))  # nothing to decide, or about another set


class _Rows(NamedTuple):
    """Images of groups, columns of (n,): rows of the store, of one group after the other, the kept one first.
    probability: NaN where pixels were not asked; reason: as `Reason` has it."""

    row: Int64
    group: Int64
    kept: NDArray[np.bool_]
    similarity: Float64
    probability: Float64
    reason: NDArray[np.object_]

    def at(self, places: NDArray[np.generic]) -> _Rows:
        return _Rows._make(column[places] for column in self)


@dataclass(frozen=True)
class _Sheets:
    """Where each sheet of groups is: its kept image, and the places [low, high) of its members in `rows`; part, parts:
    which of a group's sheets it is."""

    rows: _Rows
    kept: Int64
    low: Int64
    high: Int64
    part: Int64
    parts: Int64
    doubt: Float64

    def __len__(self) -> int:
        return len(self.kept)


def groups_queue(report: Report, folder: Path) -> Queue:
    """folder: of the report. Raises InputError for a report without groups, InconclusiveError where its tables or its
    store are not those that it was written with.

    Memory: some 60 bytes for each image of a group, and a block of the tables and of the store.
    """
    store, why = store_of(report, folder, "store")
    if store is None:
        raise InconclusiveError(f"the pictures of {folder} cannot be shown: {why}")
    if not isinstance(results := report.results, DedupResults):
        raise InputError("the report is no dedup that measured something: there is nothing to review")
    threshold, cut = report.threshold or 0.0, cut_of(report)
    sheets = _sheets(_grouped(report, folder), threshold, cut)
    refused = [] if results.refused_shown is UNSET else list(results.refused_shown or [])
    if not len(sheets) and not refused:
        raise InputError("the dedup has no groups but of exact duplicates: there is nothing to review")
    below = doubt_of(np.array([each.similarity for each in refused]), np.full(len(refused), np.nan), threshold, cut)
    order = np.argsort(np.r_[sheets.doubt, below], kind="stable")

    def sheet(at: int) -> Sheet:
        place = int(order[at])
        return _sheet(sheets, place, store) if place < len(sheets) else _refused(refused[place - len(sheets)], folder)

    keys, starts = _keys(sheets, refused, order, store)
    notes = (lost,) if (lost := store.lost_images(np.unique(sheets.rows.row))) else ()
    return Queue("Groups of a dedup", ROLES, sheet, keys, starts, notes=notes)


def _grouped(report: Report, folder: Path) -> _Rows:
    """The images of groups of two and more, without exact duplicates."""
    path = require_bound(report, folder / "decisions.parquet")
    size = np.zeros(0, np.int64)
    for batch in _batches(path, ["group"]):
        numbers, counts = np.unique(_numbers(batch, "group", -1), return_counts=True)
        room = int(numbers.max(initial=-1)) + 1 - len(size)
        size = np.r_[size, np.zeros(max(0, room), np.int64)]
        size[numbers[numbers >= 0]] += counts[numbers >= 0]
    parts, asked = [], dict[tuple[str, str], int]()
    start = 0
    for batch in _batches(path, ["group", "decision", "witness_similarity", "reason"]):
        parts.append(_part(batch, size, start))
        start += batch.num_rows
    rows = _Rows._make(map(np.concatenate, zip(*parts, strict=True))) if parts else _empty()
    rows = rows.at(np.lexsort((rows.row, ~rows.kept, rows.group)))
    asked = _asked(path, rows)
    return _with_probability(rows, report, folder, asked) if asked else rows


def _part(batch: pa.RecordBatch, size: Int64, start: int) -> _Rows:
    group = _numbers(batch, "group", -1)
    reason = np.array(batch.column("reason").to_pylist(), dtype=object)
    wanted = np.flatnonzero((group >= 0) & (size[np.maximum(group, 0)] > 1) & ~np.isin(reason.astype(str), _SAME))
    kept = np.array(batch.column("decision").to_pylist(), dtype=object)[wanted] == str(Decision.KEEP)
    similarity = batch.column("witness_similarity").to_numpy(zero_copy_only=False).astype(float)[wanted]
    return _Rows(wanted + start, group[wanted], kept, similarity, np.full(len(wanted), np.nan), reason[wanted])


def _empty() -> _Rows:
    none = np.empty(0, np.int64)
    return _Rows(none, none, none.astype(bool), none.astype(float), none.astype(float), none.astype(object))


def _asked(path: Path, rows: _Rows) -> dict[tuple[str, str], int]:
    """The two image_ids of those that pixels decided, and their places in `rows`."""
    places = {
        int(row): place for place, row in enumerate(rows.row.tolist()) if rows.reason[place] == str(Reason.PIXELS)
    }
    found, start = dict[tuple[str, str], int](), 0
    for batch in _batches(path, ["image_id", "witness_id"]) if places else ():
        ids = zip(batch.column(0).to_pylist(), batch.column(1).to_pylist(), strict=True)
        found |= {
            (min(one, other), max(one, other)): places[start + n]
            for n, (one, other) in enumerate(ids)
            if start + n in places and other
        }
        start += batch.num_rows
    return found


def _with_probability(rows: _Rows, report: Report, folder: Path, asked: dict[tuple[str, str], int]) -> _Rows:
    probability = rows.probability.copy()
    path = require_bound(report, folder / "pairs.parquet")
    for batch in _batches(path, ["left_id", "right_id", "pixels", "probability"]):
        chosen = batch.filter(batch.column("pixels"))
        columns = (chosen.column(name).to_pylist() for name in ("left_id", "right_id", "probability"))
        for one, other, likely in zip(*columns, strict=True):
            place = asked.get((min(one, other), max(one, other)))
            if place is not None and likely is not None:
                probability[place] = likely
    return rows._replace(probability=probability)


def _batches(path: Path, names: list[str]) -> Iterator[pa.RecordBatch]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        with pq.ParquetFile(path) as file:
            yield from file.iter_batches(batch_size=_BATCH, columns=names)
    except (OSError, pa.ArrowException, KeyError) as error:
        raise InputError(f"{path} cannot be read: {error}") from None


def _numbers(batch: pa.RecordBatch, name: str, without: int) -> Int64:
    return np.asarray(batch.column(name).fill_null(without).to_numpy(zero_copy_only=False), np.int64)


def _sheets(rows: _Rows, threshold: float, cut: float) -> _Sheets:
    """Cut groups into sheets; members and sheets by doubt."""
    doubt = doubt_of(rows.similarity, rows.probability, threshold, cut)
    doubt[rows.kept] = -1
    order = np.lexsort((doubt, rows.group))
    rows, doubt = rows.at(order), doubt[order]
    first = np.flatnonzero(np.r_[True, rows.group[1:] != rows.group[:-1]]) if len(rows.row) else np.empty(0, np.int64)
    ends = np.r_[first[1:], len(rows.row)]
    whole = rows.kept[first] & (ends - first > 1) if len(first) else np.empty(0, bool)
    cuts = [
        (head, low, min(low + MEMBERS, end), number + 1, -(-(end - head - 1) // MEMBERS))
        for head, end in zip(first[whole].tolist(), ends[whole].tolist(), strict=True)
        for number, low in enumerate(range(head + 1, end, MEMBERS))
    ]
    kept, low, high, part, parts = np.array(cuts, np.int64).reshape(-1, 5).T
    return _Sheets(rows, kept, low, high, part, parts, doubt[low])


def _sheet(sheets: _Sheets, at: int, store: Store) -> Sheet:
    places = np.r_[sheets.kept[at], np.arange(sheets.low[at], sheets.high[at])]
    rows = sheets.rows.at(places)
    columns = store.columns(rows.row)
    shown = [
        Shown(*fields)
        for fields in zip(
            columns.image_id, map(_digest, files_of(store, columns)), columns.uri, columns.caption, strict=True
        )
    ]
    members = tuple(
        Member(
            shown[n],
            round(float(rows.similarity[n]), 4),
            None if np.isnan(rows.probability[n]) else round(float(rows.probability[n]), 4),
            (str(rows.reason[n]),),
        )
        for n in range(1, len(shown))
    )
    of = f", sheet {sheets.part[at]} of {sheets.parts[at]}" if sheets.parts[at] > 1 else ""
    return Sheet(f"group {rows.group[0]}{of}", shown[0], members)


def _refused(pair: ShownPair, folder: Path) -> Sheet:
    one, other = (
        Shown(side.image_id, side.sha256 or "", thumbnail=thumbnail_of(folder, side.picture)) for side in pair.sides
    )
    tag = "below the threshold, refused by pixels: both are kept"
    return Sheet("a pair that is none", other, (Member(one, pair.similarity, pair.probability, (tag,)),))


def _digest(sha256: str) -> str:
    return "" if sha256 == NO_FILE else sha256


def _keys(sheets: _Sheets, refused: list[ShownPair], order: Int64, store: Store) -> tuple[Keys, Int64]:
    """Of the pairs of all sheets in this order, and where those of each begin. The digests are read by blocks."""
    digests = np.empty((len(sheets.rows.row), 32), np.uint8)
    ascending = np.argsort(sheets.rows.row, kind="stable")
    for low in range(0, len(ascending), BLOCK):
        part = ascending[low : low + BLOCK]
        found = "".join(files_of(store, store.columns(sheets.rows.row[part])))
        digests[part] = np.frombuffer(bytes.fromhex(found), np.uint8).reshape(-1, 32)
    sizes = np.r_[sheets.high - sheets.low, np.ones(len(refused), np.int64)][order]
    keys = keys_of((pair, False) for place in order.tolist() for pair in _pairs(sheets, refused, place, digests))
    return keys, np.r_[0, np.cumsum(sizes)]


def _pairs(sheets: _Sheets, refused: list[ShownPair], place: int, digests: NDArray[np.uint8]) -> Iterator[Pair | None]:
    if place >= len(sheets):
        one, other = (side.sha256 or "" for side in refused[place - len(sheets)].sides)
        yield pair_of(one, other) if one and other else None
        return
    kept = digests[sheets.kept[place]].tobytes().hex()
    for member in range(int(sheets.low[place]), int(sheets.high[place])):
        own = digests[member].tobytes().hex()
        yield None if NO_FILE in (kept, own) else pair_of(kept, own)
