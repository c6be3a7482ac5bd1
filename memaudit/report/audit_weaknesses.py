"""What an audit did less of than it does by default, in words: they stand before whatever it found."""

from __future__ import annotations

from collections.abc import Iterator

from memaudit.audit.results import AuditResult
from memaudit.encoders.specs import family_of
from memaudit.images.view_names import DEFAULT_VIEWS
from memaudit.matching.kinds import left_out_of
from memaudit.report.effort import UNMEASURED, own_match_from, unsearched
from memaudit.report.left_out import not_counted, said_of
from memaudit.types import Coverage


def weaknesses(result: AuditResult) -> list[str]:
    """What was searched less, and, unless the audit calls itself inconclusive because of it, what was not measured."""
    return [*_of_search(result), *([] if result.inconclusive else _of_coverage(result))]


def _of_search(result: AuditResult) -> Iterator[str]:
    threshold, compared_from = result.threshold, result.effort.match_from
    own, family = own_match_from(result.encoder.name, threshold), family_of(result.encoder.name)
    if unsearched(result.views, DEFAULT_VIEWS):
        alone = len(result.views) <= 1
        yield "whole generations alone were searched, no parts of them" if alone else "not all tiles were searched"
    if compared_from is None:
        yield f"no candidate was compared on pixels ({result.no_pixels})"
    elif compared_from > own:
        yield f"candidates were compared on pixels from similarity {compared_from:g} on, not from {own:g}"
    if family and threshold > family.threshold:
        yield f"similarity {threshold:g} was asked for, not {family.threshold:g}"
    if left_out := left_out_of(result.kinds):
        yield said_of(left_out, not_counted(result))
    by = result.calibrated
    if by is not None and by.cut is not None and by.cut > by.own_cut:
        yield f"a probability of {by.cut:g} was asked for, not {by.own_cut:g}"


def _of_coverage(result: AuditResult) -> Iterator[str]:
    effort, made = result.effort, result.made
    without = {"are blank": made.blank, "have no line in the pairing": made.unpaired or 0}
    for what, count in without.items():
        if Coverage(made.total - count, made.total).falls_short(UNMEASURED):
            yield f"{count:,} of {made.total:,} generations {what}"
    parts = {
        "generations": result.searched.coverage,
        "training images": result.references,
        "candidates (on pixels)": result.compared,
        "views of the generations": effort.generation_views,
        "views of the held-out images": effort.control_views,
        "tiles and details of the training images": effort.reference_windows,
    }
    for name, part in parts.items():
        if part is not None and part.falls_short(UNMEASURED):
            yield f"only {part.measured:,} of {part.total:,} {name} were measured"
