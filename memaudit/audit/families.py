"""Families of near-duplicates over both sides: who is linked to whom is one observation, on whichever side it lies."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from memaudit.audit.eidetic import near_duplicates
from memaudit.index import Searcher, sample_rows
from memaudit.similarity.join import join
from memaudit.similarity.nominate import Side, fastest_lossless
from memaudit.store import Store
from memaudit.types import Float32, Int64

WHOLE = 10_000  # training images up to which all are joined with each other
SAMPLE = 2000  # of more, as many tell how many families the others form
MOST_RELATIVES = 200  # training images that are looked at around one that came back
JOINED = 50_000  # generations up to which all are joined with each other
_SPREADS = 1.645  # above the sampled number of families: too many make p larger
_AT_ONCE = 4096
_HARDLY_JOINED = 0.95  # families per draw from which on what is drawn twice by chance does not matter
_ORDER = 0  # seed of who stands for a family
_SIDE = np.uint64(0x9E3779B97F4A7C15)  # makes another number of a key (the increment of SplitMix64)


UInt64 = NDArray[np.uint64]


class Families(NamedTuple):
    """Families of the images on both sides, and who stands for each: a member drawn at random from both.

    label (n,): the family of each image. weights, is_reference (families,): how many generations lie nearest to it, and
    whether a training image stands for it. others: families of training images that are not among the n.
    """

    label: Int64
    weights: Int64
    is_reference: NDArray[np.bool_]
    others: int

    @property
    def sides(self) -> tuple[int, int]:
        """How many families a training image stands for, and how many a held-out one."""
        training = int(self.is_reference.sum())
        return training + self.others, len(self.is_reference) - training

    @property
    def returned(self) -> tuple[Int64, NDArray[np.bool_]]:
        """Weights and sides of the families that a generation lies nearest to."""
        hit = self.weights > 0
        return self.weights[hit], self.is_reference[hit]


def families_of(
    vectors: Float32,
    is_reference: NDArray[np.bool_],
    weights: Int64,
    threshold: float,
    others: int = 0,
    group: Int64 | None = None,
    copies: Int64 | None = None,
) -> Families:
    """Join images of both sides that near-duplicates link, in chains.

    weights: how many generations lie nearest to each image. group (n,): of a dedup run, which joins as well, -1 for
    none. copies (n,): how many files of one picture each image stands for; None: one. Who stands for a family does not
    depend on any label: under the null the labels of the representatives are exchangeable, whether images or whole
    families were held out.
    """
    label = components(vectors, threshold)
    label = label if group is None else joined_by(label, group)
    first = one_of_both(label, keys_of(vectors), is_reference, copies)
    first = first[np.argsort(label[first])]
    return Families(label, np.bincount(label, weights).astype(np.int64), is_reference[first], others)


def one_of_each(label: Int64, key: UInt64) -> Int64:
    """A random position of each label: that of the least key; the labels that are met first, by key, come first."""
    order = np.argsort(key, kind="stable")
    _, first = np.unique(label[order], return_index=True)
    return np.asarray(order[np.sort(first)], dtype=np.int64)


def one_of_both(label: Int64, key: UInt64, is_reference: NDArray[np.bool_], copies: Int64 | None = None) -> Int64:
    """As `one_of_each`, of images of two sides. Equal pictures have one key: which side stands for these is drawn as
    well, by as many copies as either has, or the one that comes first would always be it."""
    _, place = np.unique(key, return_inverse=True)
    count = np.ones(len(key)) if copies is None else copies
    share = np.bincount(place, count * is_reference) / np.bincount(place, count)
    lot = _mixed(key + _SIDE) / 2.0**64
    behind = (lot < share[place]) != is_reference
    order = np.lexsort((behind, key))
    return np.asarray(order[one_of_each(label[order], key[order])], dtype=np.int64)


def keys_of(vectors: Float32) -> UInt64:
    """A random number for each row that follows from its embedding alone: not from its place, nor its side."""
    odd = np.random.default_rng(_ORDER).integers(1, 2**63, vectors.shape[1], dtype=np.uint64) * np.uint64(
        2
    ) + np.uint64(1)
    key = np.empty(len(vectors), np.uint64)
    for low in range(0, len(vectors), _AT_ONCE):
        bits = np.ascontiguousarray(vectors[low : low + _AT_ONCE], np.float32).view(np.uint32).astype(np.uint64)
        key[low : low + _AT_ONCE] = _mixed((bits * odd).sum(axis=1, dtype=np.uint64))
    return key


def keys_of_rows(store: Store, rows: Int64) -> UInt64:
    """As `keys_of`, of rows of a store. Memory: a block."""
    blocks = [keys_of(store.embeddings(rows[low : low + _AT_ONCE])) for low in range(0, len(rows), _AT_ONCE)]
    return np.concatenate([np.empty(0, np.uint64), *blocks])


def _mixed(key: UInt64) -> UInt64:
    """Each bit depends on all (the finaliser of SplitMix64; Steele, Lea & Flood 2014)."""
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        key = (key ^ (key >> np.uint64(shift))) * np.uint64(factor)
    return key ^ (key >> np.uint64(31))


class Thinned(NamedTuple):
    """One of each unit, of generations and of held-out draws: positions, in an order drawn at random. rated: how many
    of the generations, the first ones, have a rate that can be held against that of the held-out ones."""

    generations: Int64
    controls: Int64
    rated: int


def thinned(generations: Int64, key: UInt64, controls: Int64, control_key: UInt64) -> Thinned:
    """One of each unit of generations, and one of each family of held-out images.

    Of motifs that come back by chance a smaller sample holds the commoner ones, once each is taken once. So where the
    larger side repeats its motifs, no more families of it are taken than the other has: those that are met first. Ranks
    among the held-out ones take all generations: rarer motifs are less similar to the training set.
    """
    made, held_out = one_of_each(generations, key), one_of_each(controls, control_key)
    rated = len(made)
    if rated > len(held_out) and rated < _HARDLY_JOINED * len(generations):
        rated = len(held_out)
    elif len(held_out) > rated and len(held_out) < _HARDLY_JOINED * len(controls):
        held_out = held_out[:rated]
    return Thinned(made, held_out, rated)


def components(vectors: Float32, threshold: float) -> Int64:
    """For each row the number of its family, from 0. Memory: a tile of pairs; never all of them."""
    label = np.arange(len(vectors))
    if not len(vectors):
        return label
    for pairs in join(Side.of(vectors), None, threshold, fastest_lossless(len(vectors) ** 2 / 2, threshold)):
        if len(pairs.left):
            label = linked(label, label[pairs.left], label[pairs.right])
    return label


def linked(label: Int64, left: Int64, right: Int64) -> Int64:
    """The labels after those of `left` and `right` are made one, pair by pair; numbered from 0."""
    size = int(label.max(initial=-1)) + 1
    graph = coo_array((np.ones(len(left), np.int8), (left, right)), shape=(size, size))
    return np.asarray(connected_components(graph, directed=False)[1][label], dtype=np.int64)


def known_references(
    references: Searcher, hits: Int64, across: Int64, threshold: float, group: Int64 | None = None
) -> Int64:
    """Rows of the training images whose families matter: all of them, or those that came back, with their relatives,
    and those that are near held-out ones. group: of each training image in a dedup run, -1 for none: who is in one with
    them is a relative."""
    if references.store.comparable <= WHOLE:
        return np.concatenate([block.rows for block in references.store.blocks()])
    near = [hits, across]
    for low in range(0, len(hits), _AT_ONCE):
        found = references.search(references.store.embeddings(hits[low : low + _AT_ONCE]), MOST_RELATIVES, threshold)
        near.append(np.unique(found.rows[found.similarity >= np.float32(threshold)]))
    if group is not None:
        wanted = np.unique(group[np.concatenate(near)])
        near.append(np.flatnonzero(np.isin(group, wanted[wanted >= 0])))
    return np.unique(np.concatenate(near))


def families_among_others(references: Searcher, known: Int64, threshold: float, group: Int64 | None = None) -> int:
    """How many families the training images that are not `known` form: their number times the mean of 1 ÷ relatives.

    From a sample, and not fewer than it tells: too many families on the training side can only make p larger, and
    so does counting a chain as more than one. group: of a dedup run: no more than it has groups and single images.
    """
    count = references.store.comparable - len(known)
    if count <= 0:
        return 0
    rows = np.setdiff1d(sample_rows(references.store, SAMPLE, _ORDER), known)
    if not len(rows):
        return count
    share = 1 / near_duplicates(rows, references, threshold)
    upper = float(share.mean() + _SPREADS * share.std() / np.sqrt(len(share)))
    estimate = round(count * min(1.0, upper))
    return estimate if group is None else min(estimate, _groups_among_others(group, known, count))


def _groups_among_others(group: Int64, known: Int64, count: int) -> int:
    """Of `count` others: each that is in no group, and each group, once."""
    other = np.ones(len(group), bool)
    other[known] = False
    of_groups = group[other & (group >= 0)]
    return count - len(of_groups) + len(np.unique(of_groups))


def components_of_rows(store: Store, rows: Int64, threshold: float) -> Int64:
    """As `components`, of rows of a store; beyond JOINED of them each is a family of its own. Memory: the embeddings of
    JOINED rows at most."""
    return components(store.embeddings(rows), threshold) if len(rows) <= JOINED else np.arange(len(rows))


def units_of(alike: Int64, prompt: Int64, family: Int64) -> Int64:
    """For each generation the number of its unit: those of one prompt, nearest to one family (-1: to none), or that are
    `alike` are linked, in chains. alike: the number of each one's family of near-duplicates, from 0 on."""
    label = alike
    for key in (prompt, family):
        label = joined_by(label, key)
    return label


def joined_by(label: Int64, key: Int64) -> Int64:
    """The labels after those of rows with one key, from 0 on, are made one."""
    known = np.flatnonzero(key >= 0)
    order = known[np.argsort(key[known], kind="stable")]
    same = np.flatnonzero(np.diff(key[order]) == 0)
    return linked(label, label[order[same]], label[order[same + 1]])
