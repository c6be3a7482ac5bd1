"""What a person says of a pair of images, and how a pair is named: by the sha256 of its two files, in either order."""

from __future__ import annotations

from datetime import date, datetime
from enum import StrEnum
from typing import NamedTuple

LEFT, RIGHT = "left_sha256", "right_sha256"
PERSON = ("verdict", "who", "when", "why", "until")
FRAME, STRATUM, STRATUM_PAIRS = "frame", "stratum", "stratum_pairs"


class Verdict(StrEnum):
    """What a person says of a pair."""

    COPY = "copy"
    NO_COPY = "not a copy"
    ACCEPTED = "accepted"  # a copy that may stay
    UNSURE = "unsure"
    TAKEN_BACK = "taken back"  # what the same person said before: files are only ever added to


class Pair(NamedTuple):
    """The digests of two files, the lower one first."""

    left: str
    right: str

    @property
    def of_one_file(self) -> bool:
        """The two have the same bytes: a copy, whatever anybody says."""
        return self.left == self.right


def pair_of(one: str, other: str) -> Pair:
    return Pair(min(one, other), max(one, other))


class Drawn(NamedTuple):
    """How a pair came into a proposal: its stratum, and how many pairs of the set `frame` that one has."""

    frame: str
    stratum: str
    pairs: float


class Review(NamedTuple):
    """A line. verdict: None where nobody has looked at the pair yet. until: the last day on which it holds, None: for
    good. face: of the persons that two faces show, and not of the pictures."""

    pair: Pair
    verdict: Verdict | None
    who: str
    when: datetime | None = None
    why: str = ""
    until: date | None = None
    face: bool = False
    drawn: Drawn | None = None
