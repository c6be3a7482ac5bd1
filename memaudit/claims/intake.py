"""Claims as they come in and are answered: each step is in the vault before the ledger says so. Whoever is killed in
between finds the claim again, by who asked and which pictures, and goes on."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import date, timedelta
from pathlib import Path
from typing import NamedTuple

from memaudit import __version__
from memaudit.claims.answer import ClaimAnswer
from memaudit.claims.ledger import Answered, Claim, Deleted, Ledger, Received, add, now, read_ledger, writing
from memaudit.claims.letter import write_letter
from memaudit.claims.vault import (
    LETTER,
    Asked,
    Kept,
    all_kept,
    answer_digest,
    answer_of,
    delete,
    kept_of,
    new_salt,
    numbers_kept,
    open_vault,
    place_of,
    read_answer,
    write_answer,
    write_kept,
)
from memaudit.embedding.reconcile import bytes_of
from memaudit.errors import InputError, UsageError
from memaudit.files import real
from memaudit.folders import sole_writer
from memaudit.images.addresses import unsigned
from memaudit.images.image_ref import ImageRef
from memaudit.store import NO_FILE

_UNSETTLED = " unsettled"
DAYS = 28
"""The shortest month: GDPR Art. 12(3) gives one month from receipt to answer a person, and a claim may be one."""


class Claimant(NamedTuple):
    """Who asks: the name, and where an answer reaches him."""

    claimant: str
    contact: str = ""


class Term(NamedTuple):
    """When a claim came in, and on which day the answer is due."""

    received: date
    due: date

    @classmethod
    def of(cls, received: str | None, days: int, latest: date) -> Term:
        """received: a day, None for the latest. Raises UsageError for what is none, is to come, or was never."""
        try:
            day = date.fromisoformat(received) if received else latest
        except ValueError:
            raise UsageError(f"--received {received!r} is no day: expected one such as 2026-11-28") from None
        if day > latest:
            raise UsageError(f"--received {day} is to come: today is {latest}")
        if not 1 <= days <= 3650:
            raise UsageError(f"--days {days} is out of range: expected 1 to 3650")
        return cls(day, min(day, date.max - timedelta(days)) + timedelta(days))


def asked_of(refs: Iterable[ImageRef]) -> list[Asked]:
    """The pictures of a claim. Memory: their names, and one file."""
    return [Asked(unsigned(ref.uri or ref.image_id), _digest(ref)) for ref in refs]


def _digest(ref: ImageRef) -> str:
    try:
        return hashlib.sha256(bytes_of(ref)).hexdigest()
    except (OSError, InputError):
        return NO_FILE


class Taken(NamedTuple):
    """A claim that is being dealt with, and the answer that it has by now, if any."""

    kept: Kept
    claim: Claim
    answer: ClaimAnswer | None = None


@contextmanager
def taken_in(folder: Path, claimant: Claimant, pictures: list[Asked], term: Term, basis: str = "") -> Iterator[Taken]:
    """The claim of this person on these pictures: one that is open, or was answered on this basis, or a new one; alone,
    until the block ends.

    Raises UsageError without a name, InputError for a ledger that is not as it was written, and where another process
    answers this claim.
    """
    if not claimant.claimant.strip():
        raise UsageError("--claimant is empty: say who asks")
    folder = real(folder)
    number = _received(folder, claimant, pictures, term, basis)
    with sole_writer(place_of(folder, number)):
        claim = read_ledger(folder).claims[number]
        yield Taken(kept_of(folder, claim), claim, answer_of(folder, claim))


def _received(folder: Path, claimant: Claimant, pictures: list[Asked], term: Term, basis: str) -> int:
    """The number of the claim, which is in the ledger."""
    with writing(folder) as ledger:
        open_vault(folder)
        claims = ledger.claims
        same = [kept for kept in all_kept(folder) if kept.is_of(*claimant, pictures)]
        known = [kept for kept in same if _goes_on(folder, claims.get(kept.claim), basis)]
        if known:
            kept = known[0]
        else:
            number = max([*claims, *numbers_kept(folder)], default=0) + 1
            days = {"received": str(term.received), "due": str(term.due)}
            kept = Kept(claim=number, salt=new_salt(), **claimant._asdict(), **days, pictures=pictures)
            write_kept(folder, kept)
        if kept.claim not in claims:
            add(ledger, _line(kept))
        return kept.claim


def _goes_on(folder: Path, claim: Claim | None, basis: str) -> bool:
    """Whether a claim is open, or has the answer that is asked for."""
    if claim is None or claim.is_open:
        return True
    if claim.deleted is not None:
        return False
    given = read_answer(folder, claim.number).basis
    unfinished = not (place_of(folder, claim.number) / LETTER).exists()
    return given == basis or (given == unsettled(basis) and unfinished)


def unsettled(basis: str) -> str:
    """That of an answer which another search may better, though nothing that it follows from is another: it is never
    given again."""
    return basis + _UNSETTLED


def is_unsettled(answer: ClaimAnswer) -> bool:
    return answer.basis.endswith(_UNSETTLED)


def _line(kept: Kept) -> Received:
    return Received(
        claim=kept.claim,
        at=now(),
        received=kept.received,
        due=kept.due,
        pictures=len(kept.pictures),
        claimant_digest=kept.who,
        asked_digest=kept.asked,
    )


def give(folder: Path, taken: Taken, answer: ClaimAnswer) -> str:
    """Keep an answer, say so in the ledger, and write the letter; of one that was given before, what is missing of
    that. Returns the digest of the ledger's line. Within `taken_in`."""
    folder, kept, line = real(folder), taken.kept, taken.claim.line
    if taken.claim.answered is None:
        write_answer(folder, answer)
        entry = Answered(
            claim=kept.claim,
            at=now(),
            counts=answer.counts,
            answer_digest=answer_digest(kept, answer),
            store=answer.store,
            memaudit=__version__,
        )
        with writing(folder) as ledger:
            line = add(ledger, entry).chain.head
    letter = place_of(folder, kept.claim) / LETTER
    if not letter.exists():
        write_letter(letter, answer, kept, line)
    return line


def delete_all(folder: Path, numbers: Iterable[int]) -> list[int]:
    """Delete what is kept of these claims, and say so in the ledger; returns those that were not deleted before.

    numbers: of claims that the ledger has.
    """
    folder, gone = real(folder), list[int]()
    with writing(folder) as ledger:
        claims = ledger.claims
        for number in numbers:
            delete(folder, number)
            if claims[number].deleted is None:
                ledger = add(ledger, Deleted(claim=number, at=now()))
                gone.append(number)
        open_vault(folder)
    return gone


def numbers_of(folder: Path, claimant: str) -> list[int]:
    """The claims of a person whose data are there, by the name as it was given."""
    name = claimant.strip().casefold()
    return [kept.claim for kept in all_kept(real(folder)) if kept.claimant.strip().casefold() == name]


def known(folder: Path) -> Ledger:
    """The ledger, if one was begun. Raises InputError where there is none."""
    ledger = read_ledger(real(folder))
    if not ledger.chain.lines:
        raise InputError(f"{folder} holds no ledger of claims: name the --ledger that claims were answered with")
    return ledger
