"""How far a run is: numbered stages, one share of all, and about how long it still takes."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from memaudit.types import PLANTED_COPIES

_WEIGHTS = {
    "embedding": 8.0,
    "finding faces": 8.0,
    "comparing pixels": 8.0,
    "searching with views": 4.0,
    "looking for pictures drawn anew": 4.0,
}  # others: 1
_OF_PLANTED = 0.2  # times the weight of the same stage of generations: they are few beside so many that take long
_SEARCHING_FACES = "searching the training faces"
_SURE_FROM = 0.02  # of all: before that nothing is said of the time left
_SURE_AFTER = 2.0  # seconds


def audit_stages(
    control: object, planted: bool = True, views: bool = True, pixels: bool = True, faces: int = 0
) -> tuple[str, ...]:
    """Those of an audit of images: the held-out ones go through all that the generations go through, and planted
    copies through what makes copies of them. faces: in how many sets these are looked for."""
    search = (
        "searching the training set",
        *(("searching with views",) if views else ()),
        *(("comparing pixels",) if pixels else ()),
    )
    anew = ("looking for pictures drawn anew",) if pixels else ()
    sides = 2 if control else 1
    copies = tuple(f"{PLANTED_COPIES}{stage}" for stage in ("embedding", *search)) if planted else ()
    people = (*faces * ("finding faces",), _SEARCHING_FACES) if faces else ()
    return (*sides * ("embedding",), *sides * (*search, *anew), *copies, *people)


def faces_stages(control: object) -> tuple[str, ...]:
    """Those of an audit of faces alone."""
    return (*(2 if control else 1) * ("finding faces",), _SEARCHING_FACES)


def dedup_stages(against: object, exhaustive: object, kinds: str = "") -> tuple[str, ...]:
    """Those of a dedup run, as far as they follow from its options."""
    first = ("comparing with the other set",) if against else ()
    clusters = (
        () if exhaustive else ("assigning clusters", "comparing a pilot", "comparing clusters", "measuring recall")
    )
    redrawn = {"re-drawn", "all"}.intersection(name.strip() for name in kinds.split(","))
    last = ("looking for the most similar images", "looking for pictures drawn anew") if redrawn else ()
    return (*first, "comparing", *clusters, "comparing pixels", "looking for the cleanest", *last)


class Standing(NamedTuple):
    """number of the stage, of so many; done of total in it (0: unknown); share of all; seconds left, None: unknown;
    rate a second, 0: unknown."""

    number: int
    stages: int
    stage: str
    done: int
    total: int
    share: float
    left: float | None
    rate: float

    @property
    def title(self) -> str:
        return f"{self.number}/{self.stages} {self.stage}"

    @property
    def counted(self) -> str:
        of = f" of {self.total:,}" if self.total else ""
        return f"{self.done:,}{of}"

    @property
    def remaining(self) -> str:
        """The share of all that is done, and the time left."""
        left = "" if self.left is None else f", about {spoken(self.left)} left"
        return f"{self.share:.0%} of all{left}"

    @property
    def line(self) -> str:
        return f"stage {self.number} of {self.stages}, {self.stage}: {self.counted}; {self.remaining}"


def spoken(seconds: float) -> str:
    """A time as people say it: no more exact than it is known."""
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    if seconds < 5400:
        return f"{round(seconds / 60)} min"
    return f"{seconds / 3600:.1f} h"


@dataclass
class Stages:
    """A run that is looked at. plan: the stages it is expected to go through, in order and some of them again; those
    that it leaves out are taken out, and others are put in when they come. otherwise: the plan of a run that begins
    with the first stage of this one: of what is to be done nobody knows before something is opened."""

    plan: Sequence[str] = ()
    otherwise: Sequence[str] = ()
    clock: Callable[[], float] = time.monotonic
    _ahead: list[str] = field(init=False)
    _past: list[str] = field(default_factory=list, init=False)
    _done: int = field(default=0, init=False)

    def __post_init__(self) -> None:
        self._ahead, self._began = list(self.plan), self.clock()
        self._entered = self._began

    def at(self, stage: str, done: int, total: int) -> Standing:
        """Told of progress: a stage of another name, or that begins anew, is the next one."""
        now = self.clock()
        if not self._past or stage != self._past[-1] or done < self._done:
            self._enter(stage, now)
        self._done = done
        weights = [_weight(each) for each in self._past]
        behind, own = sum(weights[:-1]), weights[-1]
        inside = min(1.0, done / total) if total else 0.0
        share = (behind + own * inside) / (behind + own + sum(map(_weight, self._ahead)))
        spent = now - self._began
        sure = share >= _SURE_FROM and spent >= _SURE_AFTER
        left = spent * (1 - share) / share if sure else None
        rate = done / (now - self._entered) if now > self._entered else 0.0
        number, stages = len(self._past), len(self._past) + len(self._ahead)
        return Standing(number, stages, stage, done, total, share, left, rate)

    def _enter(self, stage: str, now: float) -> None:
        if not self._past and stage in self.otherwise[:1]:
            self._ahead = list(self.otherwise)
        planned = stage if stage in self._ahead else _stands_for(stage)
        if planned in self._ahead:
            self._ahead = self._ahead[self._ahead.index(planned) + 1 :]
        self._past.append(stage)
        self._entered = now


def _stands_for(stage: str) -> str:
    """What is planned where this comes in its place: what is embedded already is looked at alone."""
    return stage.replace("checking what is there", "embedding")


def _weight(stage: str) -> float:
    same = stage.removeprefix(PLANTED_COPIES)
    return _WEIGHTS.get(same, 1.0) * (1.0 if same == stage else _OF_PLANTED)
