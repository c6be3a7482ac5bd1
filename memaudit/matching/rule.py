"""Whether one picture is a copy of another, and what kind of copy."""

from __future__ import annotations

import math
from itertools import takewhile
from typing import NamedTuple

import numpy as np

from memaudit.matching.agreement import COMMON, NONE, Agreement, agreement, lay
from memaudit.matching.align import Alignment, alignments
from memaudit.matching.differences import NOTHING_SHOWN, differences
from memaudit.matching.kinds import Kind
from memaudit.matching.model import agreeing, copy_model, signals_of
from memaudit.matching.overlap import Overlap, overlap_of
from memaudit.matching.pictures import Picture
from memaudit.types import Float64

SURE = 4.0  # closeness from which no further alignment is looked at
SIMPLE = 150  # features: fewer have drawings such as the cards of a deck, which embeddings call near-duplicates
# What the model's parts have few of (docs/protocols/pixel-matching.md)
RICH = 290  # features: pictures with much to see
LEFT = 100  # beside others that show so many still, as under a mask,
MANY_FEATURES = 20  # of which so many agree at distinct places,
MANY_ALIKE = 0.6  # and so many patches,
SEEN = 0.9  # have no lower one
# Where the pixels were asked how one lies on the other
SOUGHT_PATCHES = 12
SOUGHT_COLOURED = 0.8  # share of the patches with the same mean colour
SOUGHT_CROSSING = 0.1
# Of parts, which the model does not know: features must agree, and nearly all patches, for a part is the best of many
ENOUGH_PATCHES = 8
FEATURES = 8
PART_ALIKE = 0.75  # share of the patches within the pictures that agree
FEW_PART_ALIKE = 0.8  # the same where fewer than `FEATURES` agree; and of all patches, where there are few within
FEW_ALIKE_WITH_FEATURES = 0.5  # of all, outlines included, where there are few within and enough features agree
# Of the kind of a copy
WHOLE = 0.85  # share of either picture from which the common part is all of it
ALL_ALIKE = 0.9  # share of the patches, within and in all: with less a part was exchanged
SAME_PIXELS = 0.15  # patched l2 distance (Carlini et al. 2023)
LEAST_KEPT = 0.5  # share of such patches that makes a template


class Check(NamedTuple):
    """What the pixels say of a pair, by the closest alignment, or of a part by the first that agrees. probability: of a
    copy, NaN where a part was compared; overlap: where a copy lies, None for what is none. apart: no copy, for they
    were seen to differ, and in one of them there is so little to see that the similarity of their embeddings says
    nothing."""

    kind: Kind
    inliers: int
    agreement: Agreement
    probability: float
    overlap: Overlap | None = None
    apart: bool = False

    @property
    def is_copy(self) -> bool:
        return self.kind is not Kind.SIMILAR


_WHOLE = np.array([0.0, 0.0, 1.0, 1.0])  # a box: all of an image
ONE_FILE = Check(Kind.VERBATIM, 0, Agreement(1, 0, 1, 0, 1, 1, 0, 1, 1, 1), 1.0, Overlap(np.eye(2, 3), _WHOLE, _WHOLE))
"""Of two images that are one file, byte by byte: no pixels need be asked, whatever these could tell."""


class Seen(NamedTuple):
    """An alignment, what it shows, and how much that speaks for a copy."""

    alignment: Alignment
    agreement: Agreement
    closeness: float

    @property
    def rank(self) -> tuple[bool, float]:
        """The closest alignment has the highest: what does not fit, such as a small part that agrees well, shows no
        copy, and must not stand before one that does."""
        return self.agreement.fits, self.closeness


def check(query: Picture, reference: Picture, cut: float | None = None) -> Check:
    """What the model says of the closest alignment.

    cut: less probable than this is no copy; None: the model's own. Both as float32, as probabilities are kept.
    """
    seen = closest(query, reference)
    alignment, found, _ = seen
    probability = _probability(query, reference, seen)
    if np.float32(probability) < np.float32(copy_model().cut if cut is None else cut):
        apart = found.compared and found.worst > SAME_PIXELS and _features(query, reference)[0] < SIMPLE
        return Check(Kind.SIMILAR, alignment.inliers, found, probability, apart=apart)
    where = overlap_of(query, reference, alignment.matrix)
    return Check(_kind(found, alignment), alignment.inliers, found, probability, where)


def closest(query: Picture, reference: Picture) -> Seen:
    """The alignment in which the pictures agree best."""
    model, best = copy_model(), None
    for alignment in alignments(query, reference):
        found = agreement(query, reference, alignment.matrix)
        if alignment.sought and not holds_where_sought(found):
            continue
        seen = Seen(alignment, found, model.closeness(agreeing(alignment, found)))
        if best is None or seen.rank > best.rank:
            best = seen
        if best.rank >= (True, SURE):
            break
    assert best is not None  # frame on frame there is always one
    return best


def holds_where_sought(found: Agreement) -> bool:
    """Where the pixels were asked how one picture lies on the other, their agreement says less: one lies within the
    other, in its colours, and not by parallel edges alone, which fit at any shift."""
    within = max(found.of_query, found.of_reference) >= WHOLE and found.all_patches >= SOUGHT_PATCHES
    return within and found.coloured >= SOUGHT_COLOURED and found.crossing >= SOUGHT_CROSSING


def _probability(query: Picture, reference: Picture, seen: Seen) -> float:
    """Where many features agree between pictures with much to see, and most patches, one is the other, if drawn anew or
    masked. Where no alignment fits trees have nothing to go by, and how the pictures differ is not asked: of candidates
    most are such."""
    model, found = copy_model(), seen.agreement
    if not found.fits:
        return model.probability_unfitting(seen.closeness)
    probability = model.probability(model.logit(signals_of_pair(query, reference, seen)))
    few, many = _features(query, reference)
    much = few >= LEFT and many >= RICH
    if much and seen.alignment.inliers >= MANY_FEATURES and found.alike >= MANY_ALIKE:
        return max(probability, SEEN)
    return probability


def signals_of_pair(query: Picture, reference: Picture, seen: Seen) -> Float64:
    """What the model goes by, in the order of its `SIGNALS`."""
    laid = lay(query, reference, seen.alignment.matrix)
    differing = NOTHING_SHOWN if laid is None else differences(laid)
    return signals_of(seen.alignment, seen.agreement, differing, _features(query, reference)[0])


def _features(query: Picture, reference: Picture) -> tuple[int, int]:
    """How many the poorer and the richer of them has."""
    few, many = sorted(len(picture.features.places) for picture in (query, reference))
    return few, many


def check_part(query: Picture, reference: Picture) -> Check:
    """The same where one of them is a part of a picture: a copy is `partial`. Its frame means nothing, so features must
    tell how one lies on the other; the first alignment that agrees decides, else the closest is told."""
    best = Check(Kind.SIMILAR, 0, NONE, math.nan)
    for alignment in takewhile(lambda each: each.inliers > 0, alignments(query, reference)):
        found = agreement(query, reference, alignment.matrix)
        if is_copy_of_part(found, alignment.inliers):
            where = overlap_of(query, reference, alignment.matrix)
            return Check(Kind.PARTIAL, alignment.inliers, found, math.nan, where)
        if found.evidence > best.agreement.evidence:
            best = Check(Kind.SIMILAR, alignment.inliers, found, math.nan)
    return best


def is_copy_of_part(found: Agreement, inliers: int) -> bool:
    """The rule where a part was compared, and features agree."""
    if max(found.of_query, found.of_reference) < COMMON:
        return False
    many = inliers >= FEATURES
    if found.patches >= ENOUGH_PATCHES:
        return found.alike >= (PART_ALIKE if many else FEW_PART_ALIKE)
    return found.all_patches > 0 and found.all_alike >= (FEW_ALIKE_WITH_FEATURES if many else FEW_PART_ALIKE)


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
