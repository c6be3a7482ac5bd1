"""What the page asks for, and gets: sheets, pictures, and decisions, which are in the file when it is said so."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, date, datetime
from typing import NamedTuple

import msgspec
import numpy as np
from numpy.typing import NDArray

from memaudit.reviewing.access import Names
from memaudit.reviewing.book import Book
from memaudit.reviewing.pictures import Pictures
from memaudit.reviewing.queue import UNKNOWN, Keys, Queue, Sheet, Shown
from memaudit.reviews import Review, Verdict, row_of

MOST_WHO, MOST_WHY = 200, 2000
_PICTURE, _PAIR, ANCHOR = "p", "d", 0xFFFFFF  # kinds of names; the anchor's number among the members


class RefusedError(Exception):
    """A request that cannot be meant, in a sentence."""


class Decision(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What the page sends. pairs: their names."""

    pairs: list[str]
    verdict: str
    who: str
    why: str = ""
    until: str = ""


class Progress(NamedTuple):
    """Pairs of the queue; of them decided by one person, by each, and with different words."""

    pairs: int
    own: int
    people: Mapping[str, int]
    differ: int


class Desk:
    """A queue, and the book that decisions on it go into. who: whose name the page begins with."""

    def __init__(self, queue: Queue, book: Book, who: str = "") -> None:
        self.queue = queue
        self.book = book
        self.who = who
        self.decisions = 0
        self._names = Names()
        self._pictures = Pictures()

    def next(self, place: int, step: int, which: str, who: str) -> dict[str, object]:
        """The first sheet from `place` on, by steps of 1 or -1, of which a pair is wanted; none: `sheet` is None."""
        self.book.refresh()
        wanted = self._wanted(which, who)
        count = len(self.queue)
        places = np.arange(max(0, place), count) if step > 0 else np.arange(min(place, count - 1), -1, -1)
        found = places[wanted[places]]
        at = int(found[0]) if len(found) else None
        return {
            "at": at,
            "sheets": len(self.queue),
            "sheet": None if at is None else self._told(at),
            "left": int(wanted.sum()),
            "progress": self.progress(who)._asdict(),
        }

    def _wanted(self, which: str, who: str) -> NDArray[np.bool_]:
        """Of each sheet, whether it has a pair of which this is so."""
        if which == "open":
            return self.queue.having(self.book.decided_by(who), without=True)
        if which == "differ":
            return self.queue.having(self.book.disagreeing)
        if which == "drawn":
            return self.queue.having(self.book.drawn)
        if which in tuple(Verdict):
            return self.queue.having(self.book.with_verdict(Verdict(which)))
        return np.ones(len(self.queue), bool)

    def progress(self, who: str) -> Progress:
        """Pairs decided, by this person and by anybody."""
        return Progress(
            self.queue.pairs,
            self._among(self.book.decided_by(who)) if who.strip() else 0,
            {name: self._among(self.book.decided_by(name)) for name in self.book.people},
            self._among(self.book.disagreeing),
        )

    def _among(self, keys: Keys) -> int:
        return int(np.isin(self.queue.known, keys).sum())

    def _told(self, at: int) -> dict[str, object]:
        sheet = self.queue.sheet(at)
        return {
            "title": sheet.title,
            "anchor": self._shown(sheet.anchor, at, ANCHOR),
            "members": [self._member(sheet, at, number) for number in range(len(sheet.members))],
        }

    def _member(self, sheet: Sheet, at: int, number: int) -> dict[str, object]:
        member, pair = sheet.members[number], sheet.pair(number)
        key = self._key(at, number)
        said = self.book.said(key) if key != UNKNOWN else []
        return {
            **self._shown(member.picture, at, number),
            "pair": self._names.of(_PAIR, at, number) if pair is not None else "",
            "same_file": pair is not None and pair.of_one_file,
            "similarity": None if np.isnan(member.similarity) else member.similarity,
            "tags": member.tags,
            "facts": member.facts,
            "lies": member.lies._asdict() if member.lies else None,
            "said": [row_of(each) for each in said],
            "differ": key != UNKNOWN and self.book.differ(key),
        }

    def _key(self, at: int, number: int) -> np.uint64:
        return np.uint64(self.queue.keys[self.queue.starts[at] + number])

    def _shown(self, shown: Shown, at: int, number: int) -> dict[str, object]:
        return {"image_id": shown.image_id, "caption": shown.caption, "picture": self._names.of(_PICTURE, at, number)}

    def picture(self, name: str, size: str) -> bytes:
        """A JPEG. Raises RefusedError for a name that was not given out, NotShownError for a picture that is gone."""
        named = self._names.read(name)
        if named is None or named[0] != _PICTURE or size not in ("small", "large"):
            raise RefusedError("there is no such picture")
        sheet = self.queue.sheet(named[1])
        return self._pictures.jpeg(sheet.anchor if named[2] == ANCHOR else sheet.members[named[2]].picture, size)

    def decide(self, data: bytes) -> dict[str, object]:
        """Put a decision into the book, and say how far that is. Raises RefusedError for one that cannot be meant."""
        try:
            said = msgspec.json.decode(data, type=Decision)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise RefusedError(f"not understood: {error}") from None
        if not 0 < len(said.pairs) <= 100:
            raise RefusedError("name one pair at least, and not more than 100")
        reviews = [self._review(name, said) for name in said.pairs]
        self.book.add(reviews)
        self.decisions += len(reviews)
        return {"progress": self.progress(said.who)._asdict(), "said": {name: self._said(name) for name in said.pairs}}

    def _review(self, name: str, said: Decision) -> Review:
        sheet, _, number = self._pair(name)
        pair, verdict, who = sheet.pair(number), _verdict(said.verdict), _line(said.who, MOST_WHO)
        if pair is None:
            raise RefusedError("the digests of these files are not known: this pair cannot be reviewed")
        if not who:
            raise RefusedError("whose verdict is it? enter your name")
        if pair.of_one_file and verdict is Verdict.NO_COPY:
            raise RefusedError("both are the same file, byte by byte: that is a copy")
        why, until = said.why.strip()[:MOST_WHY], _until(said.until) if verdict is Verdict.ACCEPTED else None
        if verdict is Verdict.ACCEPTED and not (why and until):
            raise RefusedError("accepted needs a reason, and a day until which it holds")
        now = datetime.now(UTC).replace(microsecond=0)
        return Review(pair, verdict, who, now, why, until, sheet.members[number].face)

    def _pair(self, name: str) -> tuple[Sheet, int, int]:
        named = self._names.read(name)
        if named is None or named[0] != _PAIR:
            raise RefusedError("there is no such pair")
        return self.queue.sheet(named[1]), named[1], named[2]

    def _said(self, name: str) -> dict[str, object]:
        _, at, number = self._pair(name)
        key = self._key(at, number)
        return {"said": [row_of(each) for each in self.book.said(key)], "differ": self.book.differ(key)}


def _verdict(said: str) -> Verdict:
    if said not in tuple(Verdict):
        raise RefusedError(f"{said[:40]!r} is no verdict")
    return Verdict(said)


def _until(said: str) -> date | None:
    try:
        return date.fromisoformat(said) if said else None
    except ValueError:
        raise RefusedError(f"{said[:40]!r} is no day: write it as 2027-01-31") from None


def _line(text: str, most: int) -> str:
    """On one line, for it is a name."""
    return " ".join(text.split())[:most]
