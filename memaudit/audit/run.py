"""The audit: every generation against its prompt's image, and against the whole training set."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from memaudit.audit.control import HeldOut, measure_control
from memaudit.audit.covariates import measure_covariates
from memaudit.audit.eidetic import near_duplicates
from memaudit.audit.metrics import measure_metrics
from memaudit.audit.neighbour_ratio import neighbour_ratios
from memaudit.audit.pairing import Prompted, paired_rows, unknown_images
from memaudit.audit.repeats import draws_of, files_of, one_of_each, one_of_each_file, picture_digests
from memaudit.audit.results import AuditResult, Made, Scores
from memaudit.audit.shortfalls import NO_VIEWS, Views, shortfalls
from memaudit.errors import InconclusiveError, UsageError
from memaudit.images.parts import file_of, is_frame
from memaudit.images.view_names import WHOLE
from memaudit.index import Searcher
from memaudit.matching.candidates import Candidates
from memaudit.matching.decide import decide
from memaudit.matching.plan import MatchPlan, plan_matching
from memaudit.matching.results import Matches
from memaudit.matching.search import LEAST_CANDIDATES, Scope, Searched, StoredQueries, search
from memaudit.matching.shortfalls import cut_archives
from memaudit.similarity import exact
from memaudit.similarity.exact import require_threshold
from memaudit.statistics import rate_of
from memaudit.store import Columns, Store, require_same_encoder
from memaudit.types import Coverage, Float32, Int64, Progress, Rate, Status, silent

QUERY_ROWS = 4096
_UNASKED = Prompted("")


@dataclass(frozen=True)
class AuditOptions:
    """threshold None: the encoder's own. neighbours: matches kept for each generation. max_unmeasured: the share of
    generations, or of training images, above which the audit calls itself inconclusive. metrics: whether to compute
    those of the literature, which needs a control. match: whether candidates are decided on pixels: auto, pixels or
    none; match_from: their least similarity, None: the encoder's own."""

    threshold: float | None = None
    neighbours: int = 10
    max_unmeasured: float = 0.01
    metrics: bool = False
    match: str = "auto"
    match_from: float | None = None


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
    views: Views = NO_VIEWS,
    options: AuditOptions = AuditOptions(),
    hidden: int = 0,
    progress: Progress = silent,
) -> AuditResult:
    """Measure how often generations are near-duplicates of training images, or copies of parts of them.

    hidden: files of generations that hold pictures which have no rows: at least as many were not measured.
    Memory: blocks, the names of the generations, some 50 bytes of scores for each, and the matches.
    Raises InconclusiveError for stores of different encoders or a training set without images, UsageError for
    impossible options.
    """
    threshold = references.store.encoder.threshold if options.threshold is None else options.threshold
    _require_possible(options, threshold)
    _require_comparable(generations, references.store, control)
    pairing = pairing or {}
    columns = generations.all_columns()
    paired = _compare_pairs(generations, references.store, pairing)
    plan = plan_matching(options.match, options.match_from, references.store.encoder.name, threshold)
    searched_with = views if plan.on_pixels else views._replace(windows=views.windows.without_details())
    scope = Scope(references, threshold, plan.floor, max(options.neighbours, LEAST_CANDIDATES), searched_with.windows)
    queries = StoredQueries(generations, views.generations)
    searched = search(queries, scope, _of_prompts(paired, plan), progress)
    decided = decide(searched, queries, references.store, threshold, plan, progress)
    found = decided.matches()
    scores = _scores(columns, searched, paired, found, threshold)
    pictures = picture_digests(generations, columns)
    files = files_of(columns.image_id)
    draws = one_of_each_file(pictures, scores.regurgitated, files)
    counted = draws_of(draws, scores.regurgitated)
    asked = [pairing.get(name) or pairing.get(file_of(name), _UNASKED) for name in columns.image_id]
    matches = _with_counts(_kept(found, paired, options.neighbours), references, threshold)
    missing = tuple(sorted(set(pairing) - set(columns.image_id)))
    rate = _searched_rate(scores, counted, len(missing) + hidden)
    paired_rate = _paired_rate(scores, paired, len(pairing)) if pairing else None
    held_out = None
    if control is not None:
        controls = StoredQueries(control, views.control)
        seen = search(controls, scope, None, progress)
        alike = decide(seen, controls, references.store, threshold, plan, progress).matched()
        distinct = one_of_each(draws, scores.regurgitated)
        of_distinct = _searched_rate(scores, distinct, len(missing) + hidden)
        held_out = measure_control(
            control, references, generations, scores, distinct, of_distinct, threshold, HeldOut(seen, alike)
        )
    result = AuditResult(
        encoder=references.store.encoder,
        threshold=threshold,
        method=references.method,
        digests=_digests(generations, references.store, control),
        references=references.store.coverage,
        scores=scores,
        matches=matches,
        prompts=tuple(each.prompt for each in asked),
        missing=missing,
        made=_made(columns, files, pairing)._replace(hidden=hidden),
        counted=counted,
        pictures=pictures,
        duplicates=int(np.count_nonzero(draws != "") - counted.sum()),
        searched=rate,
        paired=paired_rate,
        control=held_out,
        inconclusive=(
            *cut_archives("generations", generations),
            *cut_archives("training set", references.store),
            *(cut_archives("control", control) if control is not None else ()),
            *unknown_images(references.store, pairing, options.max_unmeasured),
        ),
        neighbour_ratio=neighbour_ratios(generations, references, matches),
        why=measure_covariates(scores, matches, counted, references, threshold),
        metrics=measure_metrics(generations, references, control, scores) if options.metrics and control else None,
        seeds=tuple(each.seed for each in asked),
        compared=decided.coverage,
        no_pixels=plan.why_not,
        views=(WHOLE, *(views.generations.names if views.generations else ())),
        misses=decided.misses(),
        reference_views=scope.windows.searched_with(references.store),
        stores=(generations, references.store, *([control] if control else []), *searched_with.stores),
        effort=searched_with.effort(plan.floor if plan.on_pixels else None),
    )
    reasons = shortfalls(result, searched_with, decided.below, len(pairing), options.max_unmeasured)
    return replace(result, inconclusive=(*result.inconclusive, *reasons))


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


def _of_prompts(paired: _Paired, plan: MatchPlan) -> Candidates:
    """The images of the prompts: candidates whatever the search says, however low their similarity to the whole."""
    query = np.flatnonzero(paired.similarity >= np.float32(plan.prompts_floor))
    return Candidates.whole(query, paired.rows[query], paired.similarity[query])


def _kept(matches: Matches, paired: _Paired, neighbours: int) -> Matches:
    """The first matches of each generation, and the image of its prompt wherever it stands."""
    chosen = (matches.rank <= neighbours) | (paired.rows[matches.query] == matches.reference)
    return matches.picked(chosen)


def _with_counts(matches: Matches, references: Searcher, threshold: float) -> Matches:
    """A reference is its own near-duplicate, whatever an approximate index finds."""
    counts = near_duplicates(matches.reference, references, threshold)
    return matches._replace(near_duplicates=np.maximum(counts, 1))


def _scores(columns: Columns, searched: Searched, paired: _Paired, matches: Matches, threshold: float) -> Scores:
    regurgitated = np.zeros(len(columns.status), bool)
    regurgitated[matches.query] = True
    own = paired.similarity >= np.float32(threshold)
    own[matches.query[paired.rows[matches.query] == matches.reference]] = True
    return Scores(
        columns.status,
        searched.best,
        searched.best_similarity,
        searched.above,
        paired.rows,
        paired.similarity,
        regurgitated,
        own,
    )


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


def _searched_rate(scores: Scores, counted: NDArray[np.bool_], unseen: int) -> Rate:
    """Blank generations are out of scope: they could not have been found, so they must not make n look large."""
    measured = int(counted.sum())
    unreadable = int((scores.status == Status.UNREADABLE).sum())
    return rate_of(int((counted & scores.regurgitated).sum()), Coverage(measured, measured + unreadable + unseen))


def _paired_rate(scores: Scores, paired: _Paired, pairs: int) -> Rate:
    """A pair is measured if both images could be compared; one with a blank image is out of scope."""
    status = scores.status
    measured = int(((status == Status.OK) & (paired.status == Status.OK)).sum())
    blank = int(((paired.rows >= 0) & ((status == Status.BLANK) | (paired.status == Status.BLANK))).sum())
    return rate_of(int(scores.paired_match.sum()), Coverage(measured, pairs - blank))


def _made(columns: Columns, files: Int64, pairing: Mapping[str, Prompted]) -> Made:
    parts = files != np.arange(len(files))
    frames = parts & np.array([is_frame(name) for name in columns.image_id], bool)
    unpaired = sum(name not in pairing for name in columns.image_id[~parts]) if pairing else None
    blank = np.count_nonzero((columns.status == Status.BLANK) & ~frames)
    return Made(int(np.count_nonzero(~frames)), int(blank), unpaired, int(np.count_nonzero(parts)))


def _digests(generations: Store, references: Store, control: Store | None) -> dict[str, str]:
    digests = {"generations": generations.digest, "references": references.digest}
    return digests if control is None else {**digests, "control": control.digest}
