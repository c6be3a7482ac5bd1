"""The letter to who asked: one page, made of the answer, with the pictures that were found within it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import NamedTuple

from memaudit.claims.answer import (
    ALTERED,
    EXACT,
    NOT_DECIDED,
    NOT_FOUND,
    PART,
    REDRAWN,
    ClaimAnswer,
    FoundImage,
    PictureAnswer,
)
from memaudit.claims.given_back import GivenBack
from memaudit.claims.places import id_without_place, returned_without_place
from memaudit.claims.vault import Kept
from memaudit.images.remote import is_web
from memaudit.report.inline import Inline, inline
from memaudit.report.page import write_page
from memaudit.report.pages import plain_day
from memaudit.words import plural

SHOWN = 100  # pictures of the letter that are shown, with what was found
LISTED = 10  # training images, and generations, named of each
_ROOM = 12 << 20  # bytes of all pictures
_SIDE = 220
WORDS: Mapping[str, str] = {
    EXACT: "the same file",
    ALTERED: "an altered copy",
    PART: "a part of it, or it is a part",
    REDRAWN: "drawn anew",
    NOT_FOUND: "not found",
    NOT_DECIDED: "could not be decided",
}


class Card(NamedTuple):
    """A picture that was found, and the training image that shows it best, with its name."""

    picture: PictureAnswer
    best: FoundImage
    name: str
    words: str
    own: Inline
    other: Inline
    fate: str
    others: Sequence[str]
    more: int
    returned: Sequence[GivenBack]


class Row(NamedTuple):
    """A line of the table of all pictures."""

    picture: PictureAnswer
    words: str
    fate: str


def write_letter(path: Path, answer: ClaimAnswer, kept: Kept, line: str) -> None:
    """line: digest of the ledger's line of this answer. Memory: the page."""
    write_page(
        path,
        "claim.html",
        answer=answer,
        kept=kept,
        line=line,
        received=_day(kept.received),
        due=_day(kept.due),
        answered=_day(answer.created[:10]),
        summary=summary(answer),
        cards=list(_cards(answer)),
        shown=SHOWN,
        rows=[_row(picture, answer) for picture in answer.pictures],
        generations=sum(audit.generations for audit in answer.audits),
        doubtful=[audit for audit in answer.audits if not audit.conclusive],
        cut=sum(audit.cut for audit in answer.audits),
        whole=all(picture.is_whole for picture in answer.pictures),
    )


def summary(answer: ClaimAnswer) -> str:
    """What was found, in a sentence."""
    counts, total = answer.counts, len(answer.pictures)
    found = [f"{counts[name]:,} as {WORDS[name]}" for name in (EXACT, ALTERED)]
    found.append(f"{counts[PART]:,} in part")
    some = sum(counts[name] for name in (EXACT, ALTERED, PART))
    anew = f" {counts[REDRAWN]:,} more {_are(counts[REDRAWN])} there drawn anew." if counts[REDRAWN] else ""
    open_ = f", {counts[NOT_DECIDED]:,} could not be decided" if counts[NOT_DECIDED] else ""
    pictures = f"Of {total:,} pictures, {some:,}" if total > 1 else f"Of one picture, {some}"
    missing = f"{counts[NOT_FOUND]:,} {'was' if counts[NOT_FOUND] == 1 else 'were'} not found"
    return f"{pictures} {_are(some)} in the training set ({', '.join(found)}); {missing}{open_}.{anew}"


def _are(count: int) -> str:
    return "is" if count == 1 else "are"


def _day(day: str) -> str:
    return plain_day(date.fromisoformat(day))


def _cards(answer: ClaimAnswer) -> Iterator[Card]:
    room = _ROOM
    for picture in [each for each in answer.pictures if each.is_found][:SHOWN]:
        best = picture.found[0]
        own = inline(picture.name, picture.sha256, _SIDE, room)
        other = inline(best.uri, best.sha256, _SIDE, room - len(own.source))
        room -= len(own.source) + len(other.source)
        others = [_named(each) for each in picture.found[:LISTED]]
        yield Card(
            picture=picture,
            best=best,
            name=id_without_place(best.image_id),
            words=WORDS[best.how],
            own=own,
            other=other,
            fate=_fate(picture, answer),
            others=others,
            more=len(picture.found) - len(others),
            returned=[returned_without_place(each) for each in picture.given_back[:LISTED]],
        )


def _named(image: FoundImage) -> str:
    family = f", with {plural(len(image.family), 'near-duplicate')}" if image.family else ""
    return f"{image.uri if is_web(image.uri) else id_without_place(image.image_id)} ({WORDS[image.how]}{family})"


def _fate(picture: PictureAnswer, answer: ClaimAnswer) -> str:
    return picture.fate if answer.dedup else ""


def _row(picture: PictureAnswer, answer: ClaimAnswer) -> Row:
    words = WORDS[picture.outcome] + (f": {picture.why}" if picture.outcome == NOT_DECIDED and picture.why else "")
    return Row(picture, words, _fate(picture, answer))
