"""The audit: every generation against its prompt's image, and against the whole training set."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from memaudit.audit.control import measure_control
from memaudit.audit.eidetic import near_duplicates
from memaudit.audit.pairing import Prompted, paired_rows
from memaudit.errors import InconclusiveError, UsageError
from memaudit.index import Searcher
from memaudit.records import (
    AuditResult,
    Coverage,
    Float32,
    Int64,
    Matches,
    Progress,
    Rate,
    Scores,
    Status,
    silent,
)
from memaudit.similarity import exact
from memaudit.similarity.exact import require_threshold
from memaudit.statistics import rate_of
from memaudit.store import NO_FILE, Columns, Store, require_same_encoder

QUERY_ROWS = 4096


@dataclass(frozen=True)
class AuditOptions:
    """threshold None: the encoder's own. neighbours: matches kept for each generation. max_unmeasured: the share of
    generations, or of training images, above which the audit calls itself inconclusive."""

    threshold: float | None = None
    neighbours: int = 10
    max_unmeasured: float = 0.01


class _Found(NamedTuple):
    best: Int64
    best_similarity: Float32
    above: Int64
    matches: Matches


class _Paired(NamedTuple):
    """For each generation the training image of its prompt: its row (-1: none), its status (UNREADABLE: none), and its
    similarity (NaN: not measured)."""

    rows: Int64
    status: NDArray[np.object_]
    similarity: Float32


def audit(
    generations: Store,
    references: Searcher,
    *,
    pairing: Mapping[str, Prompted] | None = None,
    control: Store | None = None,
    options: AuditOptions = AuditOptions(),
    progress: Progress = silent,
) -> AuditResult:
    """Measure how often generations are near-duplicates of training images.

    Memory: blocks, the names of the generations, some 50 bytes of scores for each, and the matches.
    Raises InconclusiveError for stores of different encoders or a training set without images, UsageError for
    impossible options.
    """
    threshold = references.store.encoder.threshold if options.threshold is None else options.threshold
    _require_possible(options, threshold)
    _require_comparable(generations, references.store, control)
    pairing = pairing or {}
    columns = generations.all_columns()
    found = _search(generations, references, threshold, options.neighbours, progress)
    paired = _compare_pairs(generations, references.store, pairing)
    found = _with_missed_pairs(found, paired, references, threshold)
    scores = Scores(columns.status, found.best, found.best_similarity, found.above, paired.rows, paired.similarity)
    missing = tuple(sorted(set(pairing) - set(columns.image_id)))
    counted = _distinct(columns)
    searched = _searched_rate(scores, counted, len(missing))
    paired_rate = _paired_rate(columns.status, paired, len(pairing), threshold) if pairing else None
    held_out = None
    if control is not None:
        held_out = measure_control(control, references, generations, scores, found.matches, searched, threshold)
    stores = {"generations": generations, "training set": references.store, "control": control}
    return AuditResult(
        encoder=references.store.encoder,
        threshold=threshold,
        method=references.method,
        digests=_digests(generations, references.store, control),
        references=references.store.coverage,
        scores=scores,
        matches=found.matches,
        prompts=tuple(pairing[i].prompt if i in pairing else "" for i in columns.image_id),
        missing=missing,
        counted=counted,
        duplicates=int((columns.status == Status.OK).sum() - counted.sum()),
        searched=searched,
        paired=paired_rate,
        control=held_out,
        inconclusive=(
            *_cut_archives(stores),
            *_shortfalls(searched, paired_rate, references.store.coverage, options.max_unmeasured),
            *_contentless(scores),
            *_absent(missing, options.max_unmeasured * len(pairing)),
        ),
    )


def _require_possible(options: AuditOptions, threshold: float) -> None:
    require_threshold(threshold)
    if options.neighbours < 1:
        raise UsageError(f"--neighbours {options.neighbours} is out of range: expected at least 1")
    if not 0 <= options.max_unmeasured <= 1:
        raise UsageError(f"--max-unreadable {options.max_unmeasured:g} is out of range: expected a share, 0 to 1")


def _require_comparable(generations: Store, references: Store, control: Store | None) -> None:
    require_same_encoder(generations, references)
    if control is not None:
        require_same_encoder(control, references)
    if not references.comparable:
        raise InconclusiveError(f"training store {references.folder} has no readable image to compare with")


def _search(generations: Store, references: Searcher, threshold: float, k: int, progress: Progress) -> _Found:
    best = np.full(len(generations), -1, np.int64)
    similarity = np.full(len(generations), np.nan, np.float32)
    above = np.zeros(len(generations), np.int64)
    parts = []
    done = 0
    for block in generations.blocks(QUERY_ROWS):
        near = references.search(block.embeddings, k, threshold)
        best[block.rows] = near.rows[:, 0]
        similarity[block.rows] = np.where(near.rows[:, 0] >= 0, near.similarity[:, 0], np.nan)
        above[block.rows] = near.above
        query, rank = np.nonzero(near.similarity >= np.float32(threshold))
        parts.append((block.rows[query], near.rows[query, rank], near.similarity[query, rank], rank + 1))
        done += len(block.rows)
        progress("searching the training set", done, generations.comparable)
    return _Found(best, similarity, above, _matches(parts, references, threshold))


def _matches(parts: list[tuple[Int64, Int64, Float32, Int64]], references: Searcher, threshold: float) -> Matches:
    if not parts:
        none = np.empty(0, np.int64)
        return Matches(none, none, np.empty(0, np.float32), none, none)
    query, reference, similarity, rank = (np.concatenate(column) for column in zip(*parts, strict=True))
    return Matches(query, reference, similarity, rank, near_duplicates(reference, references, threshold))


def _compare_pairs(generations: Store, references: Store, pairing: Mapping[str, Prompted]) -> _Paired:
    count = len(generations)
    rows = np.full(count, -1, np.int64)
    status = np.full(count, Status.UNREADABLE, dtype=object)
    similarity = np.full(count, np.nan, np.float32)
    if not pairing:  # the ids of the whole training set need not be read
        return _Paired(rows, status, similarity)
    rows = paired_rows(generations, references, pairing)
    status[rows >= 0] = references.columns(rows[rows >= 0]).status
    for block in generations.blocks(QUERY_ROWS):
        wanted = status[block.rows] == Status.OK
        partner = references.embeddings(rows[block.rows[wanted]])
        similarity[block.rows[wanted]] = exact(block.embeddings[wanted], partner)
    return _Paired(rows, status, similarity)


def _with_missed_pairs(found: _Found, paired: _Paired, references: Searcher, threshold: float) -> _Found:
    """Add the copies of the prompt's own image that an approximate index did not return: they are certain."""
    best = np.nan_to_num(found.best_similarity, nan=-np.inf)
    missed = np.flatnonzero((paired.similarity >= np.float32(threshold)) & (paired.similarity > best))
    if not len(missed):
        return found
    rows, similarity = paired.rows[missed], paired.similarity[missed]
    found.best[missed], found.best_similarity[missed] = rows, similarity
    found.above[missed] += 1
    old = found.matches
    count = near_duplicates(rows, references, threshold)
    first = np.ones(len(missed), np.int64)
    added = Matches(missed, rows, similarity, first, np.maximum(count, 1))
    old = old._replace(rank=old.rank + np.isin(old.query, missed))
    matches = Matches._make(np.concatenate([old[i], added[i]]) for i in range(len(old)))
    order = np.lexsort((matches.rank, matches.query))
    return found._replace(matches=Matches._make(column[order] for column in matches))


def _distinct(columns: Columns) -> NDArray[np.bool_]:
    """True for comparable generations, once for each file: a file that was copied is still a single draw."""
    counted = columns.status == Status.OK
    rows = np.flatnonzero(counted)
    keys = np.where(columns.sha256 == NO_FILE, columns.image_id, columns.sha256)[rows]
    _, first = np.unique(keys, return_index=True)
    counted[:] = False
    counted[rows[first]] = True
    return np.asarray(counted, dtype=bool)


def _searched_rate(scores: Scores, counted: NDArray[np.bool_], missing: int) -> Rate:
    """Blank generations are out of scope: they could not have been found, so they must not make n look large."""
    measured = int(counted.sum())
    unreadable = int((scores.status == Status.UNREADABLE).sum())
    return rate_of(int((counted & (scores.above > 0)).sum()), Coverage(measured, measured + unreadable + missing))


def _paired_rate(status: NDArray[np.object_], paired: _Paired, pairs: int, threshold: float) -> Rate:
    """A pair is measured if both images could be compared; one with a blank image is out of scope."""
    measured = int(((status == Status.OK) & (paired.status == Status.OK)).sum())
    blank = int(((paired.rows >= 0) & ((status == Status.BLANK) | (paired.status == Status.BLANK))).sum())
    count = int((paired.similarity >= np.float32(threshold)).sum())
    return rate_of(count, Coverage(measured, pairs - blank))


def _shortfalls(searched: Rate, paired: Rate | None, references: Coverage, allowed: float) -> list[str]:
    parts = [("generations", searched.coverage), ("training images", references)]
    if paired is not None:
        parts.append(("prompt pairs", paired.coverage))
    return [
        f"only {part.measured:,} of {part.total:,} {name} could be measured ({part.share:.2%})"
        for name, part in parts
        if part.measured == 0 or part.falls_short(allowed)
    ]


def _contentless(scores: Scores) -> list[str]:
    """Black images of a safety filter, for example: none of them could have been found to be a copy."""
    readable = int((scores.status != Status.UNREADABLE).sum())
    if not readable or (scores.status == Status.OK).any():
        return []
    return [f"all {readable:,} generations that could be read are blank: nothing was compared"]


def _cut_archives(stores: Mapping[str, Store | None]) -> list[str]:
    """An archive that ends early lost an unknown number of images: no share of what is there makes up for it."""
    return [
        f"archives of the {name} end early ({store.cut} rows say so): an unknown number of images is missing"
        for name, store in stores.items()
        if store is not None and store.cut
    ]


def _absent(missing: tuple[str, ...], allowed: float) -> list[str]:
    if len(missing) <= allowed:
        return []
    return [f"{len(missing):,} generations named in the pairing were not found, the first is {missing[0]!r}"]


def _digests(generations: Store, references: Store, control: Store | None) -> dict[str, str]:
    digests = {"generations": generations.digest, "references": references.digest}
    return digests if control is None else {**digests, "control": control.digest}
