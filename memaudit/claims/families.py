"""The near-duplicates of training images, as a dedup run grouped them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from memaudit.errors import InputError

_COLUMNS = ("image_id", "decision", "group")


class Member(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An image of a group, and what the dedup run decided about it."""

    image_id: str
    decision: str


class Families(NamedTuple):
    """Groups of a dedup run. group: of each image that was asked for, where it is in one; members: of each group."""

    group: Mapping[str, int]
    members: Mapping[int, list[Member]]

    @property
    def images(self) -> set[str]:
        """Of all groups."""
        return {member.image_id for members in self.members.values() for member in members}

    def others(self, image_id: str) -> list[Member]:
        """The other images of its group."""
        members = self.members[self.group[image_id]] if image_id in self.group else []
        return [member for member in members if member.image_id != image_id]


def families_in(decisions: Path, wanted: set[str]) -> Families:
    """The groups of the wanted images. decisions: the run's decisions.parquet.

    Memory: a part of the file at a time, and the families. Raises InputError for a file that is no such table.
    """
    import pyarrow as pa

    ids = pa.array(sorted(wanted), pa.string())
    groups = {row["image_id"]: row["group"] for row in _rows(decisions, "image_id", ids) if row["group"] >= 0}
    named = pa.array(sorted(set(groups.values())), pa.int64())
    members: dict[int, list[Member]] = {group: [] for group in groups.values()}
    for row in _rows(decisions, "group", named):
        members[row["group"]].append(Member(str(row["image_id"]), str(row["decision"])))
    return Families(groups, members)


def _rows(path: Path, column: str, wanted: Any) -> Iterator[dict[str, Any]]:
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    if not len(wanted):
        return
    try:
        for batch in pq.ParquetFile(path).iter_batches(columns=list(_COLUMNS)):
            yield from batch.filter(pc.is_in(batch[column].cast(wanted.type), wanted)).to_pylist()
    except KeyError:
        raise InputError(f"{path} has not the columns of a dedup run: {', '.join(_COLUMNS)}") from None
    except (OSError, ValueError, TypeError, pa.ArrowException) as error:
        raise InputError(f"{path} cannot be read: {' '.join(str(error).split())}") from None
