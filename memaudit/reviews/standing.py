"""What the reviews of a pair come to on a day: whether so many people have cleared it, or why it counts."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import date
from enum import StrEnum

from memaudit.reviews.verdicts import Review, Verdict
from memaudit.words import plural


class Standing(StrEnum):
    """Of a reviewed pair. The first two clear it."""

    NO_COPY = "not a copy"
    ACCEPTED = "accepted"
    COPY = "copy"
    UNSURE = "unsure"
    DISAGREEMENT = "disagreement"
    EXPIRED = "expired"
    TOO_FEW = "too few reviewers"
    INCOMPLETE = "incomplete"  # an acceptance without a reason or a day
    FURTHER = "further matches"  # this pair is no copy, and other training images match, too


CLEARS = (Standing.NO_COPY, Standing.ACCEPTED)
AGAINST = (Standing.COPY, Standing.UNSURE, Standing.DISAGREEMENT)


@dataclass(frozen=True)
class Opinion:
    """What people come to about a pair. holding: how many of them count as having cleared it. until: the last day on
    which it is cleared, None: for good. elsewhere: of a finding, it is said of another training image that its
    generation matches. further: how many others of these nobody has cleared. unnamed: how many are not named;
    more: there may be others, which were not compared.
    """

    standing: Standing
    said: tuple[Review, ...]
    holding: int
    needed: int
    until: date | None = None
    elsewhere: bool = False
    further: int = 0
    unnamed: int = 0
    more: bool = False

    @property
    def clears(self) -> bool:
        """It no longer counts as a finding."""
        return self.standing in CLEARS

    @property
    def against(self) -> bool:
        """Somebody does not clear it: then no other word does."""
        return self.standing in AGAINST

    @property
    def sentence(self) -> str:
        """As it is shown beside a finding."""
        people = "; ".join(f"{each.verdict} ({_by(each)})" for each in self.said)
        told = self._of_pair(people)
        return f"of another training image that it matches: {told}" if self.elsewhere else told

    def _of_pair(self, people: str) -> str:
        return {
            Standing.DISAGREEMENT: f"people disagree, counts: {people}",
            Standing.EXPIRED: f"no longer cleared, counts again: {people}",
            Standing.TOO_FEW: f"cleared by {self.holding} of {self.needed} people, counts: {people}",
            Standing.INCOMPLETE: f"accepted without a name, a reason or a day, counts: {people}",
            Standing.FURTHER: f"no copy of this training image, counts: {self._others}: {people}",
        }.get(self.standing, f"reviewed: {people}" if self.clears else f"reviewed, counts: {people}")

    @property
    def _others(self) -> str:
        others = plural(self.further, "other that it matches is", "others that it matches are")
        unnamed = f", and the report does not name {self.unnamed:,} (matches.parquet)" if self.unnamed else ""
        told = f"{others} not cleared{unnamed}" if self.further else ""
        beyond = "as many match as were compared, and others may (more --neighbours)" if self.more else ""
        return ", and ".join(filter(None, (told, beyond)))


def opinion_of(said: Collection[Review], day: date, needed: int = 1) -> Opinion:
    """What is said of a pair, on this day. needed: how many people must clear it, while nobody says otherwise or is
    unsure.

    A verdict without a name, or after its day, clears nothing, and neither does an acceptance without reason and day.
    """
    words = {each.verdict for each in said} - {None}
    if not words <= {Verdict.NO_COPY} and not words <= {Verdict.ACCEPTED}:
        return Opinion(_uncleared(words), tuple(said), 0, needed)
    standing = Standing(str(next(iter(words))))
    complete = [each for each in said if _complete(each)]
    holding = [each for each in complete if each.until is None or day <= each.until]
    people = {each.who.casefold() for each in holding}
    if len(people) >= needed:
        ends = sorted((each.until or date.max for each in holding), reverse=True)
        until = ends[needed - 1]
        return Opinion(standing, tuple(said), len(people), needed, None if until == date.max else until)
    if len({each.who.casefold() for each in complete}) >= needed:
        return Opinion(Standing.EXPIRED, tuple(said), len(people), needed)
    why = Standing.TOO_FEW if len(complete) == len(said) else Standing.INCOMPLETE
    return Opinion(why, tuple(said), len(people), needed)


def opinion_of_all(
    listed: Opinion | None, others: Sequence[Opinion | None], unnamed: int = 0, *, more: bool = False
) -> Opinion | None:
    """What is said of a generation that matches several training images: of the one that a report lists, of the others,
    and of so many that it does not name. more: there may be others, which were not compared.

    A word against any of them stands. "Not a copy" is about one pair, so all must be cleared; who accepts the listed
    one accepts the generation.
    """
    if listed is not None and listed.against:
        return listed
    against = next((each for each in others if each is not None and each.against), None)
    if against is not None:
        return replace(against, elsewhere=True)
    if listed is None or listed.standing is not Standing.NO_COPY:
        return listed
    cleared = [each for each in others if each is not None and each.clears]
    further = len(others) - len(cleared) + unnamed
    if further or more:
        return replace(listed, standing=Standing.FURTHER, further=further, unnamed=unnamed, more=more)
    return replace(listed, until=min((each.until for each in (listed, *cleared) if each.until), default=None))


def _uncleared(words: set[Verdict | None]) -> Standing:
    """Who accepts a pair calls it a copy, as who calls it one does: that it may stay only the first says."""
    if Verdict.NO_COPY in words and words & {Verdict.COPY, Verdict.ACCEPTED}:
        return Standing.DISAGREEMENT
    return Standing.COPY if Verdict.COPY in words else Standing.UNSURE


def _complete(review: Review) -> bool:
    return bool(review.who) and (review.verdict is not Verdict.ACCEPTED or bool(review.why and review.until))


def _by(review: Review) -> str:
    until = f" until {review.until}" if review.until else ""
    return f"{review.who or 'nobody named'}{until}{': ' if review.why else ''}{review.why}"
