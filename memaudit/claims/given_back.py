"""What models gave back of training images, by the audits that are known."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec

from memaudit.errors import InputError
from memaudit.matching.kinds import ALL, COPIES, Kind

LISTED = 10  # matches of a generation that an audit lists, unless it is told otherwise
_COLUMNS = ("query_id", "reference_id", "similarity", "kind", "verified")


class AuditSeen(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, omit_defaults=True):
    """An audit that was asked: the digest of its report, the model as it is called there, how many generations it
    searched, whether it calls itself conclusive, and of how many generations it may list some of the matches alone."""

    digest: str
    model: str
    generations: int
    conclusive: bool
    cut: int = 0


class GivenBack(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A generation of an audit that shows a training image. audit: digest of the report; kind: re-drawn is no copy."""

    audit: str
    model: str
    generation: str
    image_id: str
    kind: str
    similarity: float
    verified: bool


def given_back_in(matches: Path, seen: AuditSeen, wanted: set[str]) -> Iterator[GivenBack]:
    """The matches of an audit (its matches.parquet) with these training images. Memory: a part of the file at a time.

    Raises InputError for a file that is no such table.
    """
    import pyarrow as pa
    import pyarrow.compute as pc

    ids = pa.array(sorted(wanted), pa.string())
    with _reading(matches, _COLUMNS) as batches:
        for batch in batches:
            for row in batch.filter(pc.is_in(batch["reference_id"].cast(pa.string()), ids)).to_pylist():
                yield GivenBack(
                    audit=seen.digest,
                    model=seen.model,
                    generation=str(row["query_id"]),
                    image_id=str(row["reference_id"]),
                    kind=str(row["kind"]),
                    similarity=round(float(row["similarity"]), 6),
                    verified=bool(row["verified"]),
                )


@contextmanager
def _reading(table: Path, columns: Sequence[str]) -> Iterator[Iterator[Any]]:
    """The columns of a table, a part at a time. Raises InputError for one that is none, or holds something else."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        yield pq.ParquetFile(table).iter_batches(columns=list(columns))
    except KeyError:
        raise InputError(f"{table} has not the columns of an audit: {', '.join(columns)}") from None
    except (OSError, ValueError, TypeError, pa.ArrowException) as error:
        raise InputError(f"{table} cannot be read: {' '.join(str(error).split())}") from None


def cut_in(matches: Path, scores: Path, counted: Collection[str] = ALL) -> int:
    """How many generations may have more matches than an audit lists (its matches.parquet and scores.parquet): those
    with as many as it lists of any, where that is no less than `LISTED`; else those that more training images match
    than it lists of any. counted: kinds of matches that count there; where some copies do not, it lists one of them at
    most, and any generation with a match may have more. Memory: a part of a file at a time."""
    import pyarrow.compute as pc

    if not set(COPIES) <= set(counted):
        return _with_a_copy(matches)
    most = 0
    with _reading(matches, ("rank", "is_prompts_image")) as batches:  # which is listed wherever it stands
        for batch in batches:
            most = max(most, pc.max(batch["rank"].filter(pc.invert(batch["is_prompts_image"]))).as_py() or 0)
    if most >= LISTED:
        with _reading(matches, ("rank",)) as batches:
            return sum(pc.sum(pc.equal(batch["rank"], most)).as_py() or 0 for batch in batches)
    with _reading(scores, ("matches",)) as batches:
        return sum(pc.sum(pc.greater(batch["matches"], most)).as_py() or 0 for batch in batches) if most else 0


def _with_a_copy(matches: Path) -> int:
    """Generations of which an audit lists a match that is not re-drawn: the first of each is among them."""
    import pyarrow.compute as pc

    with _reading(matches, ("rank", "kind")) as batches:
        first = (batch.filter(pc.equal(batch["rank"], 1)) for batch in batches)
        return sum(pc.sum(pc.not_equal(batch["kind"], str(Kind.REDRAWN))).as_py() or 0 for batch in first)


def by_image(found: Iterator[GivenBack]) -> Mapping[str, list[GivenBack]]:
    """By image_id."""
    images: dict[str, list[GivenBack]] = {}
    for each in found:
        images.setdefault(each.image_id, []).append(each)
    return images
