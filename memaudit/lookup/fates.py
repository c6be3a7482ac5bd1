"""What a dedup run decided about the training images that match."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

from memaudit.errors import InconclusiveError, InputError
from memaudit.lookup.results import DedupFate, LookupMatch, LookupResult

_DECISIONS = ("keep", "drop", "unreadable")
_ROUNDING = 1e-3


def with_fates(result: LookupResult, decisions: Path) -> LookupResult:
    """Add what a dedup run decided about every match. decisions: its decisions.parquet.

    Memory: one part of the file at a time. Raises InputError for a file that is no such table.
    """
    wanted = {match.image_id for answer in result.answers for match in (*answer.matches, *answer.redrawn)}
    fates = dict(_fates(decisions, wanted))
    answers = (
        replace(
            answer,
            matches=tuple(_with_fate(match, fates) for match in answer.matches),
            redrawn=tuple(_with_fate(match, fates) for match in answer.redrawn),
        )
        for answer in result.answers
    )
    return replace(result, answers=tuple(answers))


def _with_fate(match: LookupMatch, fates: dict[str, DedupFate]) -> LookupMatch:
    if match.image_id not in fates:
        raise InconclusiveError(f"the dedup run says nothing about {match.image_id!r}: it was made of another set")
    return replace(match, dedup=fates[match.image_id])


def _fates(path: Path, wanted: set[str]) -> Iterator[tuple[str, DedupFate]]:
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    names = ["image_id", "decision", "reason", "witness_id", "witness_similarity"]
    ids = pa.array(sorted(wanted), pa.string())
    try:
        for batch in pq.ParquetFile(path).iter_batches(columns=names):
            for row in batch.filter(pc.is_in(batch["image_id"].cast(pa.string()), ids)).to_pylist():
                yield row["image_id"], _fate(row)
    except KeyError:
        raise InputError(f"{path} has not the columns of a dedup run: {', '.join(names)}") from None
    except (OSError, ValueError, TypeError, pa.ArrowException) as error:  # ValueError: bytes that are no text, too
        raise InputError(f"{path} cannot be read: {' '.join(str(error).split())}") from None


def _fate(row: dict[str, Any]) -> DedupFate:
    """Raises ValueError or TypeError for what no dedup run decides."""
    decision, reason, witness, value = (
        row[name] for name in ("decision", "reason", "witness_id", "witness_similarity")
    )
    similarity = None if value is None or math.isnan(value) else float(value)
    if decision not in _DECISIONS or not isinstance(reason, str) or not isinstance(witness, str | None):
        raise ValueError(f"a decision {str(decision)[:40]!r} on {str(row['image_id'])[:80]!r}")
    if similarity is not None and abs(similarity) > 1 + _ROUNDING:
        raise ValueError(f"a similarity of {similarity:g}")
    return DedupFate(decision, reason, witness or "", similarity)
