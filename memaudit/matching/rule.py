"""Whether one picture is a copy of another, and what kind of copy."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import takewhile
from typing import NamedTuple

import numpy as np

from memaudit.matching.agreement import NONE, Agreement, agreement
from memaudit.matching.align import Alignment, alignments
from memaudit.matching.kinds import Kind
from memaudit.matching.model import CopyModel, copy_model, signals_of
from memaudit.matching.overlap import Overlap, overlap_of
from memaudit.matching.pictures import Picture

SURE = 0.99  # probability from which no further alignment is looked for
WHOLE = 0.85  # share of either picture from which the common part is all of it
ALL_ALIKE = 0.9  # share of the patches, within and in all: with less a part was exchanged
ENOUGH_PATCHES = 8
SAME_PIXELS = 0.15  # patched l2 distance (Carlini et al. 2023)
LEAST_KEPT = 0.5  # share of such patches that makes a template


class Check(NamedTuple):
    """What the pixels say of a pair, by the alignment that says most for a copy. probability: of one, 0 to 1. overlap:
    where a copy lies, None for what is none."""

    kind: Kind
    inliers: int
    agreement: Agreement
    probability: float
    overlap: Overlap | None = None

    @property
    def is_copy(self) -> bool:
        return self.kind is not Kind.SIMILAR


class _Seen(NamedTuple):
    """An alignment, what it shows, and the model's word for that."""

    alignment: Alignment
    agreement: Agreement
    logit: float


def check(query: Picture, reference: Picture) -> Check:
    """Look for the alignment in which the pictures agree best."""
    model = copy_model()
    seen = _best(query, reference, alignments(query, reference), model)
    return _told(query, reference, seen, model, model.cut)


def check_part(query: Picture, reference: Picture) -> Check:
    """The same where one of them is a part of a picture: a copy is `partial`. Its frame means nothing, so features must
    tell how one lies on the other; and it is the best of very many, so that the cut is a higher one."""
    model = copy_model()
    by_features = takewhile(lambda alignment: alignment.inliers > 0, alignments(query, reference))
    found = _told(query, reference, _best(query, reference, by_features, model), model, model.part_cut)
    return found._replace(kind=Kind.PARTIAL) if found.is_copy else found


def _best(query: Picture, reference: Picture, hypotheses: Iterable[Alignment], model: CopyModel) -> _Seen | None:
    best, sure = None, model.logit_of(SURE)
    for alignment in hypotheses:
        found = agreement(query, reference, alignment.matrix)
        logit = model.logit(signals_of(alignment, found))
        if best is None or logit > best.logit:
            best = _Seen(alignment, found, logit)
        if logit >= sure:
            break
    return best


def _told(query: Picture, reference: Picture, seen: _Seen | None, model: CopyModel, cut: float) -> Check:
    if seen is None:
        return Check(Kind.SIMILAR, 0, NONE, 0.0)
    alignment, found, logit = seen
    probability = model.probability(logit)
    if probability < cut:
        return Check(Kind.SIMILAR, alignment.inliers, found, probability)
    where = overlap_of(query, reference, alignment.matrix)
    return Check(_kind(found, alignment), alignment.inliers, found, probability, where)


def _kind(found: Agreement, alignment: Alignment) -> Kind:
    if min(found.of_query, found.of_reference) < WHOLE:
        return Kind.PARTIAL
    in_place = bool(np.abs(alignment.matrix[:, :2] - np.eye(2)).max() < 0.05)
    same = found.all_alike >= ALL_ALIKE and (found.patches < ENOUGH_PATCHES or found.alike >= ALL_ALIKE)
    if in_place and found.worst <= SAME_PIXELS and same and not alignment.sought:
        return Kind.VERBATIM
    if in_place and found.kept >= LEAST_KEPT:
        return Kind.TEMPLATE
    return Kind.NEAR
