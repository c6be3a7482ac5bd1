"""What models gave back of training images, by the audits that are known."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import msgspec

from memaudit.errors import InputError

_COLUMNS = ("query_id", "reference_id", "similarity", "kind", "verified")


class AuditSeen(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """An audit that was asked: the digest of its report, the model as it is called there, how many generations it
    searched, and whether it calls itself conclusive."""

    digest: str
    model: str
    generations: int
    conclusive: bool


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
    import pyarrow.parquet as pq

    ids = pa.array(sorted(wanted), pa.string())
    try:
        for batch in pq.ParquetFile(matches).iter_batches(columns=list(_COLUMNS)):
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
    except KeyError:
        raise InputError(f"{matches} has not the columns of an audit: {', '.join(_COLUMNS)}") from None
    except (OSError, ValueError, TypeError, pa.ArrowException) as error:
        raise InputError(f"{matches} cannot be read: {' '.join(str(error).split())}") from None


def by_image(found: Iterator[GivenBack]) -> Mapping[str, list[GivenBack]]:
    """By image_id."""
    images: dict[str, list[GivenBack]] = {}
    for each in found:
        images.setdefault(each.image_id, []).append(each)
    return images
