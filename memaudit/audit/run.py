"""The audit: every generation against its prompt's image, and against the whole training set."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from memaudit.audit.by_prompt import Asked, asked, by_prompt
from memaudit.audit.control import Generated, HeldOut, measure_control
from memaudit.audit.covariates import measure_covariates
from memaudit.audit.eidetic import near_duplicates
from memaudit.audit.matched import matched
from memaudit.audit.metrics import measure_metrics
from memaudit.audit.neighbour_ratio import neighbour_ratios
from memaudit.audit.own_images import Given, measure_own_images
from memaudit.audit.paired import Paired, Pairs, compare_pairs, paired_rate
from memaudit.audit.pairing import Prompted, unknown_images
from memaudit.audit.planted import PlantedPairs, PlantedQueries, of_all_copies, planted_found
from memaudit.audit.prompts import GroupSizes
from memaudit.audit.redrawn import Drawn, measure_redrawn, nearest_held_out
from memaudit.audit.repeats import (
    Digests,
    draws_of,
    files_of,
    one_of_each,
    one_of_each_file,
    picture_digests,
    undecided_draws,
)
from memaudit.audit.results import AuditedModel, AuditResult, Control, Made, Matched, Redrawn, Scores
from memaudit.audit.shortfalls import (
    ALL_SEEN,
    NO_VIEWS,
    Unseen,
    Views,
    held_out_generations,
    shortfalls,
    unread,
    unread_files,
)
from memaudit.errors import InconclusiveError, UsageError
from memaudit.images.parts import is_of_one_draw
from memaudit.images.view_names import WHOLE
from memaudit.index import Searcher
from memaudit.matching.calibrated import Calibrated, cut_of
from memaudit.matching.decide import Decided, decide, decide_redrawn
from memaudit.matching.kinds import ALL, Kind
from memaudit.matching.plan import MatchPlan, RedrawnPlan, plan_matching, plan_redrawn
from memaudit.matching.results import Matches, RedrawnPairs
from memaudit.matching.search import LEAST_CANDIDATES, Scope, Searched, StoredQueries, search
from memaudit.matching.shortfalls import cut_archives, lost_images
from memaudit.matching.windows import Windows
from memaudit.similarity.exact import require_threshold
from memaudit.statistics import rate_by_unit
from memaudit.store import Columns, Store, require_same_encoder
from memaudit.types import Coverage, Int64, Progress, Rate, Status, silent

_UNEQUAL = "prompts stand for unequal numbers of captions: generations are no equal draws, as Fisher's test takes them"


@dataclass(frozen=True)
class AuditOptions:
    """threshold None: the encoder's own. neighbours: matches kept for each generation. max_unmeasured: the share of
    generations, or of training images, above which the audit calls itself inconclusive. metrics: whether to compute
    those of the literature, which needs a control. match: whether candidates are decided on pixels: auto, pixels or
    none; match_from: their least similarity, None: the encoder's own. calibrated: the calibration that threshold and
    match_from are by, and the cut. model: what made the generations, if somebody says so.
    kinds: that count. groups: of a dedup run of the training set: images of one are a family."""

    threshold: float | None = None
    neighbours: int = 10
    max_unmeasured: float = 0.01
    metrics: bool = False
    match: str = "auto"
    match_from: float | None = None
    calibrated: Calibrated | None = None
    model: AuditedModel | None = None
    groups: GroupSizes | None = None
    kinds: tuple[Kind, ...] = ALL


@dataclass(frozen=True)
class _Way:
    """From a picture to its matches: for generations and held-out images the same."""

    scope: Scope
    plan: MatchPlan
    redrawn: RedrawnPlan
    progress: Progress
    kinds: tuple[Kind, ...]

    @classmethod
    def of(
        cls, references: Searcher, windows: Windows, threshold: float, options: AuditOptions, show: Progress
    ) -> _Way:
        match, cut = (options.match, options.match_from), cut_of(options.calibrated)
        plan = plan_matching(*match, references.store.encoder.name, threshold, cut=cut)
        plan = replace(plan, labelled=options.calibrated is not None)
        searched_in = windows if plan.on_pixels else windows.without_details()
        most = max(options.neighbours, LEAST_CANDIDATES)
        redrawn = plan_redrawn(plan, references.store.encoder.name)
        scope = Scope(references, threshold, plan.floor, most, searched_in, redrawn.floor, plan.nearest_from)
        return cls(scope, plan, redrawn, show, options.kinds)

    def decide(self, searched: Searched, queries: StoredQueries) -> Decided:
        scope = self.scope
        found = decide(searched, queries, scope.references.store, scope.threshold, self.plan, self.progress)
        return replace(found, kinds=self.kinds)

    def decide_redrawn(self, searched: Searched, decided: Decided, queries: StoredQueries) -> RedrawnPairs | None:
        """None where that is not looked for."""
        if self.redrawn.floor is None:
            return None
        references, regions = self.scope.references.store, self.redrawn.regions
        return decide_redrawn(searched, decided, queries, references, regions, self.progress)


class _Found(NamedTuple):
    """The generations after their search. counted: rows that are draws of their own; undecided: that would be, were
    anything known of them; distinct: one of each picture; missing: generations that the pairing names and that are not
    there."""

    columns: Columns
    paired: Paired
    decided: Decided
    scores: Scores
    matches: Matches
    files: Int64
    pictures: Digests
    asked: Asked
    missing: tuple[str, ...]
    counted: NDArray[np.bool_]
    undecided: NDArray[np.bool_]
    distinct: NDArray[np.bool_]
    duplicates: int
    redrawn: RedrawnPairs | None
    matched: Matched


def audit(
    generations: Store,
    references: Searcher,
    *,
    pairing: Mapping[str, Prompted] | None = None,
    control: Store | None = None,
    views: Views = NO_VIEWS,
    options: AuditOptions = AuditOptions(),
    unseen: Unseen = ALL_SEEN,
    progress: Progress = silent,
) -> AuditResult:
    """Measure how often generations are near-duplicates of training images, or copies of parts of them.

    unseen: what of the generations has no rows: at least as many were not measured.
    Memory: blocks, the names of the generations, some 50 bytes of scores for each, and the matches; with a control the
    embeddings of its images, and of up to 10,000 training images and 50,000 generations.
    Raises InconclusiveError for stores of different encoders or a training set without images, UsageError for
    impossible options.
    """
    threshold = references.store.encoder.threshold if options.threshold is None else options.threshold
    _require_possible(options, threshold)
    _require_comparable(generations, references.store, control)
    if options.calibrated is not None:
        options.calibrated.require_fits(references.store.encoder)
    pairing = pairing or {}
    of_training = {name: each for name, each in pairing.items() if not each.held_out}
    if control is None and len(of_training) < len(pairing):
        raise UsageError("the pairing has prompts of held-out images: give these with --control")
    way = _Way.of(references, views.windows, threshold, options, progress)
    views = views._replace(windows=way.scope.windows)
    found = _found(StoredQueries(generations, views.generations), pairing, way, options.neighbours)
    result = _measured(generations, pairing, found, way, unseen)
    held_out = None
    if control is not None:
        held_out, result = _held_out(
            StoredQueries(control, views.control), generations, pairing, found, result, way, options.groups
        )
    result = replace(
        result,
        digests=_digests(generations, references.store, control),
        control=held_out,
        metrics=measure_metrics(generations, references, control, found.scores)
        if options.metrics and control
        else None,
        views=(WHOLE, *(views.generations.names if views.generations else ())),
        stores=(generations, references.store, *([control] if control else []), *views.stores),
        effort=views.effort(way.plan),
        calibrated=options.calibrated,
        beyond_labels=found.decided.beyond_labels if options.calibrated else None,
        model=options.model,
    )
    allowed = options.max_unmeasured
    reasons = (
        *cut_archives("generations", generations.cut),
        *cut_archives("training set", references.store.cut),
        *(cut_archives("control", control.cut) if control is not None else ()),
        *unknown_images(references.store, of_training, allowed),
        *_unknown_held_out(control, pairing, allowed),
        *(_own_control(found, control, allowed) if control is not None else ()),
        *shortfalls(result, views, found.decided.below, len(pairing), allowed),
        *(lost_images(references.store, generations) if unread(result, found.decided.below, allowed) else ()),
        *unread_files(unseen, result.made.total, allowed),
    )
    return replace(result, inconclusive=reasons)


def with_planted(
    result: AuditResult,
    planted: PlantedQueries,
    references: Searcher,
    windows: Windows,
    options: AuditOptions,
    progress: Progress = silent,
) -> AuditResult:
    """What the audit detects of altered training images, which go the way of generations and count nowhere; no prompt
    names an image for them. windows, options: those of the audit. Memory: as of an audit of so many generations."""
    way, found = _Way.of(references, windows, result.threshold, options, progress), None
    if planted.queries is not None:
        decided = way.decide(search(planted.queries, way.scope, None, progress), planted.queries)
        kinds = np.where(decided.compared | decided.verified, decided.kind, "")[decided.counts]
        matches, unread = map(decided.candidates.picked, (decided.counts, decided.unread))
        found = PlantedPairs(matches, unread, kinds)
    detected = planted_found(planted, found, references.store, result.threshold)
    stores = (*result.stores, *planted.stores)
    return replace(result, planted=detected, all_copies=of_all_copies(result, detected), stores=stores)


def _found(queries: StoredQueries, pairing: Mapping[str, Prompted], way: _Way, neighbours: int) -> _Found:
    generations, scope = queries.store, way.scope
    columns = generations.all_columns()
    of_training = {name: each for name, each in pairing.items() if not each.held_out}
    paired = compare_pairs(generations, scope.references.store, of_training)
    searched = search(queries, scope, paired.candidates(way.plan.prompts_floor), way.progress)
    decided = way.decide(searched, queries)
    matches = decided.matches()
    scores = _scores(columns, searched, paired, decided, matches)
    pictures, files = picture_digests(generations, columns), files_of(columns.image_id)
    draws = one_of_each_file(pictures, scores.regurgitated, files)
    drawn = draws_of(draws, scores.regurgitated)
    undecided = undecided_draws(draws, _rows(len(files), decided.undecided()), scores.regurgitated, files)
    missing = tuple(sorted(set(pairing) - set(columns.image_id)))
    return _Found(
        columns,
        paired,
        decided,
        scores,
        _with_counts(_kept(matches, paired, neighbours), scope.references, scope.threshold),
        files,
        pictures,
        asked(columns.image_id, files, pairing, missing),
        missing,
        drawn & ~undecided,
        drawn & undecided,
        one_of_each(draws, scores.regurgitated),
        int(np.count_nonzero(draws != "") - drawn.sum()),
        way.decide_redrawn(searched, decided, queries),
        matched(searched, decided, scope.threshold, scope.most),
    )


def _held_out(
    controls: StoredQueries,
    generations: Store,
    pairing: Mapping[str, Prompted],
    found: _Found,
    result: AuditResult,
    way: _Way,
    groups: GroupSizes | None,
) -> tuple[Control, AuditResult]:
    """What the images that the model never saw say about chance, searched as the generations were; and the result with
    what they say of pictures drawn anew."""
    references, threshold = way.scope.references, way.scope.threshold
    searched = search(controls, way.scope, None, way.progress)
    decided, redrawn = way.decide(searched, controls), result.redrawn
    group = groups.rows(references.store) if groups else None
    anew = way.decide_redrawn(searched, decided, controls)
    seen = HeldOut(searched, decided.counted(), decided.matched(), decided.undecided(), group, anew, redrawn)
    drawn = Generated(generations, found.scores, found.distinct, found.undecided, found.asked.prompt)
    measured, of_redrawn = measure_control(controls.store, references, drawn, threshold, seen)
    if result.by_prompt is not None and result.by_prompt.unequal:
        measured = replace(measured, greater_rate_p=None, why_no_rate_p=measured.why_no_p or _UNEQUAL)
        if of_redrawn is not None:
            of_redrawn = replace(of_redrawn, greater_rate_p=None, why_no_p=of_redrawn.why_no_p or _UNEQUAL)
    if any(each.held_out for each in pairing.values()):
        given = Given(generations, found.asked.prompt, pairing)
        own = measure_own_images(given, references.store, controls.store, threshold, way.plan)
        measured = replace(measured, own_images=own)
    if redrawn is not None:
        nearest = nearest_held_out(redrawn, generations, controls.store)
        redrawn = replace(redrawn, control=of_redrawn, nearest=nearest)
    return measured, replace(result, redrawn=redrawn)


def _unknown_held_out(control: Store | None, pairing: Mapping[str, Prompted], allowed: float) -> tuple[str, ...]:
    held_out = {name: each for name, each in pairing.items() if each.held_out}
    return unknown_images(control, held_out, allowed, "held-out") if control is not None and held_out else ()


def _own_control(found: _Found, control: Store, allowed: float) -> Iterator[str]:
    """A training image that is held out, too, and that came back as it was, is no generation in the wrong folder."""
    made = found.pictures[~found.scores.regurgitated]
    return held_out_generations(made, picture_digests(control, control.all_columns()), allowed)


def _measured(
    generations: Store, pairing: Mapping[str, Prompted], found: _Found, way: _Way, unseen: Unseen
) -> AuditResult:
    """What goes without held-out images, and without the reasons why it must not be read as a clean bill."""
    references, threshold = way.scope.references, way.scope.threshold
    columns, scores, matches, missing = found.columns, found.scores, found.matches, found.missing
    known = columns._replace(status=np.where(found.undecided, Status.UNREADABLE, columns.status))
    pairs = Pairs.of(scores, found.paired)
    return AuditResult(
        encoder=references.store.encoder,
        threshold=threshold,
        method=references.method,
        digests={},
        references=references.store.coverage,
        scores=scores,
        matches=matches,
        prompts=tuple(each.prompt for each in found.asked.by_row),
        missing=missing,
        made=_made(columns, found.files, pairing)._replace(hidden=unseen.hidden, unread=unseen.unread),
        counted=found.counted,
        undecided=found.undecided,
        pictures=found.pictures,
        duplicates=found.duplicates,
        searched=_searched_rate(found, len(missing) + sum(unseen[:2])),
        paired=paired_rate(pairs, found.asked.prompt) if pairing else None,
        pairs_unread=int(pairs.unread.sum()),
        control=None,
        inconclusive=(),
        neighbour_ratio=neighbour_ratios(generations, references, matches),
        why=measure_covariates(pairs, scores, matches, found.counted, found.asked.prompt, references, threshold),
        seeds=tuple(each.seed for each in found.asked.by_row),
        compared=found.decided.coverage,
        no_pixels=way.plan.why_not,
        misses=found.decided.misses(() if found.redrawn is None else found.redrawn.matches().query),
        likeliest_misses=found.decided.likeliest_misses() if way.plan.on_pixels else None,
        by_prompt=by_prompt(found.asked, known, found.counted, scores.regurgitated),
        reference_views=way.scope.windows.searched_with(references.store),
        redrawn=_redrawn(found, len(missing) + sum(unseen[:2]), way),
        kinds=way.kinds,
        kinds_of=found.decided.kinds_by_query(),
        matched=found.matched,
        not_counted=_with_counts(_first(found.decided.not_counted()), references, threshold),
        no_redrawn=way.redrawn.why_not,
    )


def _redrawn(found: _Found, lost: int, way: _Way) -> Redrawn | None:
    if found.redrawn is None or way.redrawn.floor is None:
        return None
    copies = np.isin(np.arange(len(found.files)), found.decided.matched())
    drawn = Drawn(found.columns, found.files, found.pictures, copies, lost)
    result = measure_redrawn(found.redrawn, way.redrawn.floor, drawn, found.asked)
    return replace(result, findings=_with_counts(result.findings, way.scope.references, way.scope.threshold))


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


def _kept(matches: Matches, paired: Paired, neighbours: int) -> Matches:
    """The first matches of each generation, and the image of its prompt wherever it stands."""
    chosen = (matches.rank <= neighbours) | (paired.rows[matches.query] == matches.reference)
    return matches.picked(chosen)


def _first(matches: Matches) -> Matches:
    return matches.picked(matches.rank == 1)


def _with_counts(matches: Matches, references: Searcher, threshold: float) -> Matches:
    return matches._replace(near_duplicates=near_duplicates(matches.reference, references, threshold))


def _rows(size: int, rows: Int64) -> NDArray[np.bool_]:
    """These rows of so many, as a mask."""
    mask = np.zeros(size, bool)
    mask[rows] = True
    return mask


def _scores(columns: Columns, searched: Searched, paired: Paired, decided: Decided, matches: Matches) -> Scores:
    """matches: all that count, so that a prompt's own image is judged as any other is."""
    size, unread = len(columns.status), decided.candidates.picked(decided.unread)
    return Scores(
        columns.status,
        searched.best,
        searched.best_similarity,
        searched.above,
        paired.rows,
        paired.similarity,
        _rows(size, matches.query),
        _rows(size, matches.query[paired.rows[matches.query] == matches.reference]),
        _rows(size, unread.query[paired.rows[unread.query] == unread.reference]),
    )


def _searched_rate(found: _Found, unseen: int) -> Rate:
    """Blank generations are out of scope: they could not have been found, so they must not make n look large."""
    scores, counted = found.scores, found.counted
    measured = int(counted.sum())
    unknown = int((scores.status == Status.UNREADABLE).sum() + found.undecided.sum())
    coverage = Coverage(measured, measured + unknown + unseen)
    return rate_by_unit(scores.regurgitated[counted], found.asked.prompt[counted], coverage)


def _made(columns: Columns, files: Int64, pairing: Mapping[str, Prompted]) -> Made:
    parts = files != np.arange(len(files))
    frames = parts & np.array([is_of_one_draw(name) for name in columns.image_id], bool)
    unpaired = sum(name not in pairing for name in columns.image_id[~parts]) if pairing else None
    blank = np.count_nonzero((columns.status == Status.BLANK) & ~frames)
    return Made(int(np.count_nonzero(~frames)), int(blank), unpaired, int(np.count_nonzero(parts)))


def _digests(generations: Store, references: Store, control: Store | None) -> dict[str, str]:
    digests = {"generations": generations.digest, "references": references.digest}
    return digests if control is None else {**digests, "control": control.digest}
