"""What people decided on pairs, for a dedup run: which two images are none, and which two are, whatever is measured."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from memaudit.dedup.exact_duplicates import NO_PAIRS
from memaudit.dedup.ignored import ruled_out_positions
from memaudit.files import digest_of
from memaudit.reviews import Merged, Pair, Verdict, read_reviews
from memaudit.similarity import Pairs, exact
from memaudit.store import Store
from memaudit.types import Int64


class Reviewed(NamedTuple):
    """Pairs by the digests of their files. apart: none, or copies that may stay; together: copies. left: said to be
    either, by people who disagree, are unsure, or whose day has passed: the run decides."""

    digest: str
    apart: tuple[Pair, ...]
    together: tuple[Pair, ...]
    left: int


class ReviewedRows(NamedTuple):
    """The same as rows of a store, (n, 2) each; unknown: pairs of which a file is not in the store."""

    apart: Int64
    together: Int64
    unknown: int


def read_reviewed(paths: list[Path], day: date) -> Reviewed:
    """Read files of reviews. Raises InputError as `read_reviews` does."""
    merged = read_reviews(paths)
    words = {pair: _word(merged, pair, day) for pair in merged.verdicts if not pair.of_one_file}
    apart = tuple(pair for pair, word in words.items() if word in (Verdict.NO_COPY, Verdict.ACCEPTED))
    together = tuple(pair for pair, word in words.items() if word is Verdict.COPY)
    digest = digest_of([*merged.digests, day.isoformat()] if _has_days(merged) else list(merged.digests))
    return Reviewed(digest, apart, together, len(words) - len(apart) - len(together))


def _word(merged: Merged, pair: Pair, day: date) -> Verdict | None:
    """What all who are sure say; None where they disagree, nobody is sure, or their day has passed."""
    said = [each for each in merged.said[pair] if each.verdict is not Verdict.UNSURE]
    words = {each.verdict for each in said if each.until is None or day <= each.until}
    return words.pop() if len({each.verdict for each in said}) == len(words) == 1 else None


def _has_days(merged: Merged) -> bool:
    return any(each.until for said in merged.said.values() for each in said)


def rows_of(reviewed: Reviewed, store: Store) -> ReviewedRows:
    """The first row of each file: of exact duplicates one stands for all."""
    wanted = {digest for pair in (*reviewed.apart, *reviewed.together) for digest in pair}
    row_of: dict[str, int] = {}
    for part in store.iter_files():
        for row, digest in enumerate(part.sha256, part.first):
            if (text := digest.tobytes().hex()) in wanted:
                row_of.setdefault(text, row)
    found = [
        np.array([[row_of[a], row_of[b]] for a, b in pairs if a in row_of and b in row_of], np.int64).reshape(-1, 2)
        for pairs in (reviewed.apart, reviewed.together)
    ]
    given = len(reviewed.apart) + len(reviewed.together)
    return ReviewedRows(found[0], found[1], given - sum(map(len, found)))


def together_positions(together: Int64, apart: Int64, stands_for: Int64, rows: Int64) -> Int64:
    """The pairs (n, 2) as positions in `rows`, left < right, each once; without those that are ruled out for an exact
    duplicate, and those of which one stands for both. apart (m, 2): positions."""
    positions = ruled_out_positions(together, stands_for, rows) if len(together) else NO_PAIRS
    positions = positions[positions[:, 0] != positions[:, 1]]
    known = set(map(tuple, apart.tolist()))
    free = np.array([tuple(pair) not in known for pair in positions.tolist()], bool)
    return np.asarray(positions[free], np.int64)


def with_named(store: Store, rows: Int64, pairs: Pairs, together: Int64) -> tuple[Pairs, Int64]:
    """The pairs of positions in `rows`, sorted, with those that people named; and which of these, (n, 2), are new."""
    if not len(together):
        return pairs, NO_PAIRS
    named = together[~pairs.has(together[:, 0], together[:, 1])[1]]
    if not len(named):
        return pairs, NO_PAIRS
    left, right = rows[named[:, 0]], rows[named[:, 1]]
    similarity = exact(store.embeddings(left), store.embeddings(right))
    joined = Pairs.joined([pairs, Pairs(named[:, 0], named[:, 1], similarity)])
    return joined.where(np.lexsort((joined.right, joined.left))), named


def are_among(pairs: Pairs, named: Int64) -> NDArray[np.bool_]:
    """Which of the pairs, (n,), sorted, left < right, are named (m, 2), left < right. Memory: a byte a pair."""
    found = np.zeros(len(pairs.left), bool)
    place, there = pairs.has(named[:, 0], named[:, 1])
    found[place[there]] = True
    return found
