"""A pilot: sampled images, their pairs, and which probe of a clustering would find each of these."""

from __future__ import annotations

import numpy as np

from memaudit.dedup.joining import Clustering
from memaudit.dedup.results import Outlook
from memaudit.similarity import Pairs
from memaudit.types import Int64

_AT_ONCE = 2**18  # pairs whose clusters are compared
_NEVER = 2**31 - 1


class Pilot:
    """Images `rows`, sampled at random, and how many of their pairs a way of comparing finds, without trying it.

    A probe compares an image with one more of its nearest clusters: it meets a pair if one's own cluster is that of the
    other. So of clusterings that are assigned all is known. Memory: some 30 bytes a pair, and a block.
    """

    def __init__(self, rows: Int64, pairs: Pairs) -> None:
        """pairs: all those of `rows` with any others, each once."""
        ends = np.concatenate([pairs.left, pairs.right]), np.concatenate([pairs.right, pairs.left])
        sampled = np.isin(ends[0], rows)  # a pair counts from each of its images that was sampled
        image, other = ends[0][sampled], ends[1][sampled]
        order = np.argsort(image, kind="stable")
        self.rows, self._image, self._other = rows, image[order], other[order]
        self._first = np.flatnonzero(np.diff(self._image, prepend=-1))  # of each image with a near-duplicate
        self._met = list[Int64]()

    @property
    def with_duplicates(self) -> int:
        return len(self._first)

    def place(self, clustering: Clustering) -> None:
        """Note by which probe of one more clustering each pair is met, of as many as are assigned."""
        met = np.full(len(self._image), _NEVER, np.int64)
        for low in range(0, len(met), _AT_ONCE):
            part = slice(low, low + _AT_ONCE)
            one, other = clustering.nearest[self._image[part]], clustering.nearest[self._other[part]]
            for probe in range(one.shape[1], 0, -1):
                there = (one[:, probe - 1] == other[:, 0]) | (other[:, probe - 1] == one[:, 0])
                met[part][there] = probe
        self._met.append(met if not self._met else np.minimum(met, self._met[-1]))

    def outlook(self, method: str, clusterings: int, probes: int) -> Outlook:
        """What so many probes of the first so many clusterings find."""
        if not self.with_duplicates:
            return Outlook(method, None, None)
        met = self._met[clusterings - 1]
        nearest = np.minimum.reduceat(met, self._first)
        return Outlook(method, float((met <= probes).mean()), float((nearest <= probes).mean()))
