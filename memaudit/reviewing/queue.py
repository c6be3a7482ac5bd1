"""What is looked at, in which order: sheets of a picture and those that are held against it."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from memaudit.reviews import Pair, pair_of
from memaudit.types import NO_FILE, Float64, Int64

Keys = NDArray[np.uint64]
MEMBERS = 24  # of a sheet: larger groups have several
UNKNOWN = np.uint64(0)  # the key of what cannot be reviewed


class Shown(NamedTuple):
    """One picture. sha256: of its file, empty where it is not known. uri: where its file is, empty where only the
    `thumbnail` may be shown."""

    image_id: str
    sha256: str
    uri: str = ""
    caption: str = ""
    thumbnail: Path | None = None


class Lies(NamedTuple):
    """Where both show the same, as `Alignment` has it."""

    matrix: Sequence[float]
    query_box: Sequence[float]
    reference_box: Sequence[float]


class Member(NamedTuple):
    """A picture that is held against the one of its sheet. tags, facts: what is known of the two, in words."""

    picture: Shown
    similarity: float
    probability: float | None = None
    tags: tuple[str, ...] = ()
    facts: str = ""
    lies: Lies | None = None
    face: bool = False


class Sheet(NamedTuple):
    """What is looked at together. anchor: the training image, or the one that is kept."""

    title: str
    anchor: Shown
    members: tuple[Member, ...]

    def pair(self, member: int) -> Pair | None:
        """By which reviews know the two; None where their files are not known."""
        one, other = self.members[member].picture.sha256, self.anchor.sha256
        return None if {one, other} & {"", NO_FILE} else pair_of(one, other)


class Roles(NamedTuple):
    """What the two pictures of a pair are called."""

    member: str
    anchor: str


@dataclass(frozen=True)
class Queue:
    """All sheets, the most doubtful first. sheet: reads one of them when it is asked for; keys: of the pairs of all
    sheets in their order, `UNKNOWN` for those that cannot be reviewed; starts (sheets + 1,): where those of each begin.
    veiled: pictures are blurred until somebody asks. notes: what whoever looks should know.

    Memory: 16 bytes a pair, and what `sheet` holds.
    """

    title: str
    roles: Roles
    sheet: Callable[[int], Sheet]
    keys: Keys
    starts: Int64
    veiled: bool = False
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.starts) - 1

    @property
    def pairs(self) -> int:
        """How many can be reviewed, each once."""
        return len(self.known)

    @property
    def known(self) -> Keys:
        return np.unique(self.keys[self.keys != UNKNOWN])

    def having(self, wanted: Keys, *, without: bool = False) -> NDArray[np.bool_]:
        """Of each sheet, whether one of its pairs has one of these keys; without: has one that is none of these."""
        hits = np.isin(self.keys, wanted, invert=without) & (self.keys != UNKNOWN)
        return np.asarray(np.add.reduceat(np.r_[hits, False], self.starts[:-1]) > 0) if len(self) else hits


def key_of(pair: Pair | None, *, face: bool = False) -> np.uint64:
    """64 bits by which a pair is known; those of faces are others than those of pictures."""
    if pair is None:
        return UNKNOWN
    digest = hashlib.sha256(f"{pair.left} {pair.right} {'face' if face else ''}".encode()).digest()
    return np.uint64(int.from_bytes(digest[:8]) or 1)


def keys_of(pairs: Iterable[tuple[Pair | None, bool]]) -> Keys:
    """The same of many, each with whether it is about faces."""
    return np.fromiter((key_of(pair, face=face) for pair, face in pairs), np.uint64)


def doubt_of(similarity: Float64, probability: Float64, threshold: float, cut: float) -> Float64:
    """How far each pair is from where it would be judged otherwise, 0 for the most doubtful: its probability from the
    cut, 0 to 1; where that is not known (NaN) its similarity from the threshold, by half the way from there to 1."""
    by_similarity = np.abs(similarity - threshold) / max(1 - threshold, 1e-6) / 2
    return np.where(np.isnan(probability), by_similarity, np.abs(probability - cut))
