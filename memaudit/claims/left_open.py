"""Pictures of which a training set may hold more than the answer to a claim lists: whoever excludes what was found must
know of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from msgspec import UNSET, UnsetType

from memaudit.claims.answer import NOT_DECIDED, ClaimAnswer, PictureAnswer
from memaudit.claims.intake import is_unsettled
from memaudit.claims.searched import SearchedBy
from memaudit.store import NO_FILE


class Moment(NamedTuple):
    """When an answer was made; within one second by the number of its claim."""

    created: str
    claim: int

    @classmethod
    def of(cls, answer: ClaimAnswer) -> Moment:
        return cls(answer.created, answer.claim)


class Open(NamedTuple):
    """A picture of a claim, by the digests of its file and of the training set's store, how that set is called, the
    images listed of it, whether with their near-duplicates, when it was answered, and how closely it was searched."""

    claim: int
    sha256: str
    store: str
    training_set: str
    listed: frozenset[str]
    with_families: bool
    answered: Moment
    encoder: str
    threshold: float
    searched: SearchedBy | UnsetType


def open_pictures(answer: ClaimAnswer) -> Iterator[Open]:
    """Those with more matches than are listed, and those of which another search may say more: files of the training
    set were gone. Of a claimed file that could not be read nobody knows which picture it is."""
    for picture in answer.pictures:
        if picture.sha256 != NO_FILE and _is_open(picture, answer):
            yield Open(
                claim=answer.claim,
                sha256=picture.sha256,
                store=answer.store,
                training_set=answer.training_set,
                listed=frozenset(each.image_id for each in picture.found),
                with_families=bool(answer.dedup),
                answered=Moment.of(answer),
                encoder=answer.encoder,
                threshold=answer.threshold,
                searched=answer.searched,
            )


def still_open(pictures: Sequence[Open], answers: Iterable[ClaimAnswer]) -> list[Open]:
    """Those of which no other answer lists all: one of the same file, from the same training set, which was searched as
    closely, with all that is listed; or a later one from another state of it, where images may have gone. Memory:
    these, and an answer."""
    named: dict[str, set[Open]] = {}
    for each in pictures:
        named.setdefault(each.sha256, set()).add(each)
    closed = set[Open]()
    for answer in answers:
        for picture in answer.pictures:
            same = named.get(picture.sha256, set())
            if same and not _is_open(picture, answer):
                listed = picture.images
                closed |= {each for each in same if _lists_all(answer, listed, each) and _may_settle(answer, each)}
    return [each for each in pictures if each not in closed]


def _lists_all(answer: ClaimAnswer, listed: set[str], left: Open) -> bool:
    """Another store may be of another set, in which the same pictures have other names: whoever answers says that it is
    the same one, by its name. Of two states of it the later one counts, whichever claim came in first."""
    if answer.store == left.store:
        return left.listed <= listed
    same = bool(left.training_set) and answer.training_set == left.training_set
    return same and Moment.of(answer) > left.answered


def _may_settle(answer: ClaimAnswer, left: Open) -> bool:
    """Whether it looked for all that was looked for then. By another encoder a similarity means something else."""
    by = answer.searched
    if by is UNSET or answer.encoder != left.encoder:
        return False
    closely = by.is_full if left.searched is UNSET else by.is_as_close_as(left.searched)
    return closely and answer.threshold <= left.threshold and bool(answer.dedup) >= left.with_families


def _is_open(picture: PictureAnswer, answer: ClaimAnswer) -> bool:
    """0.3.0 took for settled what it found with candidates that could not be compared."""
    in_part = picture.is_found and bool(picture.why)
    unsettled = (in_part or picture.outcome == NOT_DECIDED) and is_unsettled(answer)
    return picture.more or unsettled or (in_part and answer.searched is UNSET)
