"""Whether one picture is a copy of another, and what kind of copy."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from itertools import takewhile
from typing import NamedTuple

import numpy as np

from memaudit.matching.agreement import NONE, Agreement, agreement
from memaudit.matching.align import Alignment, alignments
from memaudit.matching.kinds import Kind
from memaudit.matching.model import copy_model, signals_of
from memaudit.matching.overlap import Overlap, overlap_of
from memaudit.matching.pictures import Picture
from memaudit.types import Float64

# Chosen on copies of known truth (benchmarks/families.py); docs/protocols/pixel-matching.md has figures on either side
ENOUGH_PATCHES = 8
ALIKE = 0.6  # share of the patches within the pictures, where there are enough of them
FEW_ALIKE = 0.8  # where few features agree; and share of all patches, outlines included, where there are few within
FEW_ALIKE_WITH_FEATURES = 0.5  # the same, where features agree too
FEATURES = 8
PART_ALIKE = 0.75  # share of the patches where a part was compared
MANY_FEATURES = 20  # from which a copy is one whatever its colours
COLOURED = 0.5  # share of the patches with the same mean colour: with less one is recoloured, or another picture, and
RECOLOURED_ALIKE = 0.75  # more patches must agree, in place of ALIKE and FEW_ALIKE_WITH_FEATURES;
FEW_RECOLOURED_ALIKE = 0.9  # and of all patches, where few features agree
OUTLINES_COLOURED = 0.8  # where outlines or parallel edges decide, and no feature: flags may differ in one band
SOUGHT_PATCHES = 12  # where the pixels were asked how one lies on the other, one must lie within the other,
SOUGHT_ALIKE = 0.9  # nearly all patches agree,
SOUGHT_COLOURED = 0.8  # in their colours too,
SOUGHT_CROSSING = 0.1  # and not along parallel edges alone
COMMON = 0.4  # share of the smaller picture that the common part takes
WHOLE = 0.85  # share of either picture from which the common part is all of it
ALL_ALIKE = 0.9  # share of the patches, within and in all: with less a part was exchanged
SAME_PIXELS = 0.15  # patched l2 distance (Carlini et al. 2023)
LEAST_KEPT = 0.5  # share of such patches that makes a template


class Check(NamedTuple):
    """What the pixels say of a pair. inliers and agreement are those of the best alignment; probability: of a copy, by
    the model (model.py), the highest of the alignments looked at, NaN where a part was compared; overlap: where a copy
    lies by the alignment that decided, None for what is none."""

    kind: Kind
    inliers: int
    agreement: Agreement
    probability: float
    overlap: Overlap | None = None

    @property
    def is_copy(self) -> bool:
        return self.kind is not Kind.SIMILAR


def check(query: Picture, reference: Picture, cut: float | None = None) -> Check:
    """Look for an alignment in which the pictures agree; the first that does decides, else the closest is told.

    cut: less probable than this is no copy; None: the rule alone decides. Both as float32, as probabilities are kept.
    """
    found = _first(query, reference, alignments(query, reference), is_copy)
    if cut is not None and np.float32(found.probability) < np.float32(cut):
        return found._replace(kind=Kind.SIMILAR, overlap=None)
    return found


def check_part(query: Picture, reference: Picture) -> Check:
    """The same where one of them is a part of a picture: a copy is `partial`. Its frame means nothing, so features must
    tell how one lies on the other; and it is the best of very many, so that more patches must agree."""
    by_features = takewhile(lambda alignment: alignment.inliers > 0, alignments(query, reference))
    found = _first(query, reference, by_features, is_copy_of_part)
    found = found._replace(probability=math.nan)  # the model knows whole pictures only
    return found._replace(kind=Kind.PARTIAL) if found.is_copy else found


def _first(
    query: Picture,
    reference: Picture,
    hypotheses: Iterable[Alignment],
    passes: Callable[[Agreement, int, bool], bool],
) -> Check:
    best, logit, model = Check(Kind.SIMILAR, 0, NONE, 0.0), -math.inf, copy_model()
    for alignment in hypotheses:
        matrix, inliers = alignment.matrix, alignment.inliers
        found = agreement(query, reference, matrix)
        logit = max(logit, model.logit(signals_of(alignment, found)))
        if passes(found, inliers, alignment.sought):
            kind, where = _kind(found, matrix, alignment.sought), overlap_of(query, reference, matrix)
            return Check(kind, inliers, found, model.probability(logit), where)
        if found.evidence > best.agreement.evidence:
            best = Check(Kind.SIMILAR, inliers, found, 0.0)
    return best._replace(probability=model.probability(logit))


def is_copy_of_part(found: Agreement, inliers: int, sought: bool = False) -> bool:
    """The rule where a part was compared, and features agree."""
    return is_copy(found, inliers, sought) and (found.patches < ENOUGH_PATCHES or found.alike >= PART_ALIKE)


def is_copy(found: Agreement, inliers: int, sought: bool = False) -> bool:
    """The rule, by what says how one picture lies on the other: features, few or none of them, or the pixels."""
    if max(found.of_query, found.of_reference) < COMMON:
        return False
    if sought:
        return _agree_where_sought(found)
    if inliers >= FEATURES:
        return _agree_with_features(found, inliers)
    return _agree_without(found, inliers)


def _agree_where_sought(found: Agreement) -> bool:
    alike = found.all_patches >= SOUGHT_PATCHES and found.all_alike >= SOUGHT_ALIKE
    held = found.coloured >= SOUGHT_COLOURED and found.crossing >= SOUGHT_CROSSING
    return alike and held and max(found.of_query, found.of_reference) >= WHOLE


def _agree_with_features(found: Agreement, inliers: int) -> bool:
    """Frames and outlines decide only where the pictures hold nothing else, as flat drawings do."""
    recoloured = found.coloured < COLOURED and inliers < MANY_FEATURES
    if found.patches >= ENOUGH_PATCHES:
        return found.alike >= (RECOLOURED_ALIKE if recoloured else ALIKE)
    enough = RECOLOURED_ALIKE if recoloured else FEW_ALIKE_WITH_FEATURES
    return found.all_patches > 0 and found.all_alike >= enough


def _agree_without(found: Agreement, inliers: int) -> bool:
    """Frames and outlines must agree in any case where there is no feature at all."""
    parallel = found.crossing < SOUGHT_CROSSING and found.coloured < OUTLINES_COLOURED
    if not inliers and (parallel or found.all_alike < FEW_ALIKE):
        return False
    if found.coloured < COLOURED and found.all_alike < FEW_RECOLOURED_ALIKE:
        return False
    if found.patches >= ENOUGH_PATCHES:
        return found.alike >= FEW_ALIKE
    plain = found.all_patches >= ENOUGH_PATCHES and found.all_alike >= FEW_ALIKE
    return plain and (inliers > 0 or found.coloured >= OUTLINES_COLOURED)


def _kind(found: Agreement, matrix: Float64, sought: bool) -> Kind:
    if min(found.of_query, found.of_reference) < WHOLE:
        return Kind.PARTIAL
    in_place = bool(np.abs(matrix[:, :2] - np.eye(2)).max() < 0.05)
    same = found.all_alike >= ALL_ALIKE and (found.patches < ENOUGH_PATCHES or found.alike >= ALL_ALIKE)
    if in_place and found.worst <= SAME_PIXELS and same and not sought:
        return Kind.VERBATIM
    if in_place and found.kept >= LEAST_KEPT:
        return Kind.TEMPLATE
    return Kind.NEAR
