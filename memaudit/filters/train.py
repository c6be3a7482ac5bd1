"""A round of training: what is measured of the last probe, a new one, and whom to label next."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np

from memaudit.errors import InconclusiveError, InputError, UsageError
from memaudit.files import digest_of
from memaudit.filters.active import Chosen, Scored, choose, score_rows
from memaudit.filters.apply import require_encoders
from memaudit.filters.filter_file import Filter, NextImage, Trained
from memaudit.filters.joined import Joined
from memaudit.filters.labels import Answer, Labels
from memaudit.filters.learning import TextPlane, learned, rows_of
from memaudit.filters.measure import Measured, measured, recalibrated, unlabelled
from memaudit.filters.needed import Needed, labels_needed
from memaudit.filters.sampling import images_of, sampled, top_up, with_sample
from memaudit.filters.strata import Drawn, draw, stratum_of
from memaudit.statistics import error_of_attempt
from memaudit.types import CONFIDENCE, Float64, Int64, Progress, silent

_NONE = np.empty(0, np.int64)


@dataclass(frozen=True)
class TrainOptions:
    """recall: what the cut must find, by its lower bound; precision: what share of it must be of the class, by its
    estimate. count: images to label next, chosen for what they teach;
    sample: drawn at random for the estimate. measure: keep the probe; again: train on, whatever is known of it."""

    recall: float = 0.95
    count: int = 60
    sample: int = 200
    measure: bool = False
    again: bool = False
    seed: int = 0
    precision: float = 0.0

    @property
    def asked(self) -> tuple[float, float]:
        return self.recall, self.precision


@dataclass(frozen=True)
class Round:
    """What a round leaves. filter: the one to write; images: whom to label next, None: as before; measured: what was
    found of the probe before, or of the one that was kept; needed: labels that would do, should further ones be alike;
    unknown: labels of images that no store has, or that have no embedding; left: images of the sample without label."""

    filter: Filter
    images: list[NextImage] | None
    measured: Measured | None = None
    needed: Needed | None = None
    unknown: int = 0
    left: int = 0


@dataclass(frozen=True)
class _Given:
    """What a round begins with. rows: of images that have a label, or were drawn, or were settled by then."""

    joined: Joined
    labels: Labels
    rows: dict[str, int]
    options: TrainOptions
    progress: Progress

    @cached_property
    def known(self) -> dict[str, int]:
        """Rows of images that have a label."""
        return {image_id: row for image_id, row in self.rows.items() if image_id in self.labels}

    def rows_of(self, images: Iterable[str]) -> Int64:
        return np.array([self.rows[each] for each in images if each in self.rows], np.int64)

    @property
    def unknown(self) -> int:
        return len(self.labels) - len(self.known)


def require_possible(options: TrainOptions) -> None:
    """Raise UsageError for options that mean nothing."""
    if not 0 < options.recall < 1:
        raise UsageError(f"--recall {options.recall:g} is out of range: expected a share above 0 and below 1")
    if not 0 <= options.precision < 1:
        raise UsageError(f"--precision {options.precision:g} is out of range: expected a share from 0 to below 1")
    for name, count in (("--next", options.count), ("--sample", options.sample)):
        if not 0 <= count <= 1_000_000:
            raise UsageError(f"{name} {count} is out of range: expected 0 to 1,000,000")
    if options.measure and options.again:
        raise UsageError("--measure keeps the probe and --again trains another: leave one out")


def train(
    joined: Joined,
    labels: Labels,
    before: Filter | None,
    name: str,
    options: TrainOptions,
    text: TextPlane | None = None,
    progress: Progress = silent,
) -> Round:
    """Measure the probe of the round before by its sample, if that is labelled; unless its cut finds enough, train the
    next on all labels and choose whom to label. before: None for the first round.

    Memory: 8 bytes a row, and a block. Raises UsageError for impossible options, InputError where nothing can be
    learned, InconclusiveError where a sample is to be measured and the stores are others by now.
    """
    require_possible(options)
    seen = digest_of(sorted((image_id, str(answer)) for image_id, answer in labels.items()))
    earlier = (*before.sample, *before.settled) if before else ()
    given = _Given(joined, labels, _located(joined, {*labels, *earlier}, progress), options, progress)
    if before is None:
        if options.measure:
            raise UsageError("--measure keeps the probe that there is, and there is none: train one first")
        return _next_round(given, _empty(name, joined, options, seen), None, text)
    return _after(given, before, seen, text)


def _after(given: _Given, before: Filter, seen: str, text: TextPlane | None) -> Round:
    options = given.options
    same = list(before.stores) == given.joined.digests
    if options.measure and before.sample and not same:
        raise InconclusiveError(
            "the stores are not those that the sample was drawn from: train without --measure, which draws another"
        )
    left = unlabelled(before, given.labels) if same else []
    nothing_new = before.labels == seen and same and not options.measure and not options.again
    as_before, before = _is_asked(before, options), _asked(before, options)
    if nothing_new and (left or before.estimate is None or as_before):
        return Round(before, None, unknown=given.unknown, left=len(left))
    before = replace(before, labels=seen)
    if same and left and not options.again and (options.measure or 2 * len(left) < len(before.sample)):
        return _labelled_in_part(given, before, left)
    known = before.sample or not sum(before.rows)  # every image may have a label: that is no sample, and more
    result = _measured(given, before) if same and known and not left else None
    if result is not None and result.filter.cut is not None and not options.again:
        return Round(result.filter, [], result, unknown=given.unknown)
    if options.measure:
        return _more_of_sample(given, before, result)
    found = result.filter if result else before
    return replace(_next_round(given, found, result, text), left=len(left))


def _asked(before: Filter, options: TrainOptions) -> Filter:
    """The filter by what is asked of it now: a cut that was set by other figures says nothing of these."""
    cut = before.cut if _is_asked(before, options) else None
    return replace(before, recall=options.recall, precision=options.precision, cut=cut)


def _is_asked(before: Filter, options: TrainOptions) -> bool:
    """Whether the filter was asked the same, and its cut is by that: 0.3.0 wrote another recall beside the cut that it
    had."""
    if (before.recall, before.precision) != options.asked:
        return False
    if before.estimate is None or before.cut is None:
        return True
    found = before.estimate.cut_of(before.recall, before.precision)
    return found is not None and found.stratum == before.cut


def _empty(name: str, joined: Joined, options: TrainOptions, seen: str) -> Filter:
    planes = tuple((0.0,) * encoder.dim for encoder in joined.encoders)
    nothing = Trained(0, 0, 0, 0.0, None)
    like = Filter(name, joined.encoders, planes, 0.0, 1.0, 0.0, 0, "", nothing, (), (), (0,), {}, {}, options.recall)
    return replace(like, labels=seen, precision=options.precision)


def _next_round(given: _Given, before: Filter, result: Measured | None, text: TextPlane | None) -> Round:
    joined, labels, options = given.joined, given.labels, given.options
    like = replace(before, encoders=joined.encoders, rounds=before.rounds + 1)
    after = learned(joined, labels, given.known, like, text, options.seed)
    positives = rows_of(given.known, labels, Answer.YES)
    scored = score_rows(joined, after.probe, positives, options.seed, given.progress)
    after, drawn = with_sample(joined, after, scored, given.known, options.sample, options.seed)
    if not sum(after.rows):
        after = measured(after, labels).filter
    chosen = _choose(given, after, scored, drawn)
    images = images_of(joined, after, scored, chosen, drawn, labels)
    need = None if result is None else _needed(result)
    return Round(after, images, result, need, given.unknown)


def _located(joined: Joined, wanted: Collection[str], progress: Progress) -> dict[str, int]:
    """Rows of the wanted images that have an embedding in every store. Raises InputError for one that is there
    twice."""
    found: dict[str, int] = {}
    for block in joined.blocks():
        for place in np.flatnonzero(block.scored).tolist():
            image_id = block.image_id[place]
            if image_id in wanted:
                if image_id in found:
                    raise InputError(f"image_id {image_id[:80]!r} is there twice in {joined.stores[0].folder}")
                found[image_id] = block.first + place
        progress("looking for labelled images", block.first + len(block.state), len(joined))
    return found


def _measured(given: _Given, before: Filter) -> Measured:
    result = measured(before, given.labels)
    sample = [each for each in before.sample if each in given.rows]
    logits = dict(zip(sample, _logits_of(given.joined, before, given.rows_of(sample)).tolist(), strict=True))
    return Measured(recalibrated(result.filter, given.labels, logits), result.strata)


def _logits_of(joined: Joined, found: Filter, rows: Int64) -> Float64:
    plane = np.concatenate(found.probe.planes).astype(np.float64)
    return np.asarray(joined.features(rows) @ plane + found.intercept)


def _choose(given: _Given, after: Filter, scored: Scored, drawn: Drawn) -> Chosen:
    probability = np.full(len(scored.logits), np.nan, np.float32)
    probability[scored.rows] = after.probe.probabilities(scored.logits[scored.rows])
    taken = np.array([*given.known.values(), *drawn.row.tolist()], np.int64)
    return choose(given.joined, scored, probability, taken, given.options.count)


def _labelled_in_part(given: _Given, before: Filter, left: list[str]) -> Round:
    """All stays; what is left of the sample is asked for."""
    rows = given.rows_of(left)
    drawn = Drawn(rows, np.array([before.sample[each] for each in left], np.int64))
    images = images_of(
        given.joined, before, _scored_alone(given, before, rows), Chosen(_NONE, _NONE), drawn, given.labels
    )
    return Round(before, images, unknown=given.unknown, left=len(left))


def _scored_alone(given: _Given, found: Filter, rows: Int64) -> Scored:
    logits = np.full(len(given.joined), np.nan, np.float32)
    logits[rows] = _logits_of(given.joined, found, rows)
    return Scored(logits, np.empty(0, np.float32))


def _more_of_sample(given: _Given, before: Filter, result: Measured | None) -> Round:
    """The probe as it was; where its sample is labelled and says too little, or there is none, more is drawn."""
    joined, options = given.joined, given.options
    require_encoders(before, joined)
    found = result.filter if result else before
    need = _needed(result) if result else None
    scored = score_rows(joined, found.probe, _NONE, options.seed, given.progress)
    if result is None:
        found, drawn = with_sample(joined, found, scored, given.known, options.sample, options.seed)
    else:
        wanted = top_up(found, given.labels, need, options.sample)
        taken = given.rows_of((*found.sample, *found.settled))  # and no other label: those were asked for by score
        stratum = stratum_of(found.borders, scored.logits[scored.rows])
        unknown = ~np.isin(scored.rows, taken)
        drawn = draw(stratum[unknown], scored.rows[unknown], wanted, options.seed + found.rounds + 7919 * found.looks)
        found = sampled(joined, found, drawn)
    images = images_of(joined, found, scored, Chosen(_NONE, _NONE), drawn, given.labels)
    return Round(found, images, result, need, given.unknown)


def _needed(result: Measured) -> Needed | None:
    """By what the next look may err."""
    error = error_of_attempt(1 - CONFIDENCE, result.filter.looks + 1)
    return labels_needed(result.strata, result.filter.recall, error, result.filter.precision)
