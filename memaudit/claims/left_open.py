"""Pictures of which a training set may hold more than the answer to a claim lists: whoever excludes what was found must
know of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from memaudit.claims.answer import NOT_DECIDED, ClaimAnswer, PictureAnswer
from memaudit.claims.intake import is_unsettled
from memaudit.store import NO_FILE


class Open(NamedTuple):
    """A picture of a claim, by the digests of its file and of the training set's store, and the images listed of it."""

    claim: int
    sha256: str
    store: str
    listed: frozenset[str]


def open_pictures(answer: ClaimAnswer) -> Iterator[Open]:
    """Those with more matches than are listed, and those of which another search may say more: files of the training
    set were gone. Of a claimed file that could not be read nobody knows which picture it is."""
    for picture in answer.pictures:
        if picture.sha256 != NO_FILE and _is_open(picture, answer):
            yield Open(answer.claim, picture.sha256, answer.store, _listed(picture))


def still_open(pictures: Sequence[Open], answers: Iterable[ClaimAnswer]) -> list[Open]:
    """Those of which no answer lists all: one of the same file, from the same training set, with all that is listed.
    Memory: these, and an answer."""
    named: dict[tuple[str, str], set[Open]] = {}
    for each in pictures:
        named.setdefault((each.sha256, each.store), set()).add(each)
    closed = set[Open]()
    for answer in answers:
        for picture in answer.pictures:
            same = named.get((picture.sha256, answer.store), set())
            if same and not _is_open(picture, answer):
                closed |= {each for each in same if each.listed <= _listed(picture)}
    return [each for each in pictures if each not in closed]


def _is_open(picture: PictureAnswer, answer: ClaimAnswer) -> bool:
    in_part = picture.outcome == NOT_DECIDED or (picture.is_found and bool(picture.why))
    return picture.more or (in_part and is_unsettled(answer))


def _listed(picture: PictureAnswer) -> frozenset[str]:
    return frozenset(each.image_id for each in picture.found)
