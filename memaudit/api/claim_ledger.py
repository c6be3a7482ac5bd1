"""The ledger of claims: what is due, what is kept of whom, deleted, verified, and excluded from training."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

import msgspec

from memaudit.claims.answer import HOWS, ClaimAnswer
from memaudit.claims.intake import Term, delete_all, known, numbers_of
from memaudit.claims.ledger import HEAD, LEDGER, Claim, Ledger
from memaudit.claims.ledger import today as this_day
from memaudit.claims.left_open import Open, open_pictures, still_open
from memaudit.claims.places import answer_without_places, kept_without_places
from memaudit.claims.vault import LETTER, VAULT, answer_of, faults_of, kept_of, place_of, places_in
from memaudit.errors import InputError, UsageError
from memaudit.files import real, reason_of, text_lines, write_text
from memaudit.folders import sole_writer_of
from memaudit.images.cells import lines_of
from memaudit.images.text_rows import TEXT_TABLES
from memaudit.report.run_folder import BOUND, REPORT
from memaudit.words import plural


@dataclass(frozen=True)
class ClaimState:
    """What is known of a claim. state: open, overdue, answered or deleted; counts: pictures by outcome; claimant: empty
    where that was deleted.

    >>> _ = ma.receive_claim("generations/copy.png", "claims", claimant="R. Holder")
    >>> [(each.number, each.state, each.pictures) for each in ma.list_claims("claims")]
    [(1, 'open', 1)]
    """

    number: int
    state: str
    received: str
    due: str
    pictures: int
    claimant: str = ""
    counts: Mapping[str, int] = field(default_factory=dict)

    def as_dict(self) -> dict[str, object]:
        return {**vars(self), "counts": dict(self.counts)}


def list_claims(ledger: str | Path, *, today: str | None = None) -> list[ClaimState]:
    """All claims, those that are open first, by the day when they are due. today: a day; None: today.

    Raises InputError where there is no ledger, or it is not as it was written.

    >>> _ = ma.receive_claim("generations/copy.png", "claims", claimant="R. Holder", received="2026-01-01", days=14)
    >>> [(each.state, each.due) for each in ma.list_claims("claims")]
    [('overdue', '2026-01-15')]
    """
    day = Term.of(today, 1, date.max).received if today else this_day()
    read = known(Path(ledger))
    states = [_state(read.folder, claim, day) for claim in read.claims.values()]
    return sorted(states, key=lambda each: (each.state not in ("open", "overdue"), each.due, each.number))


def _state(folder: Path, claim: Claim, today: date) -> ClaimState:
    state = "overdue" if claim.is_overdue(today) else "open" if claim.is_open else "answered"
    return ClaimState(
        number=claim.number,
        state="deleted" if claim.deleted else state,
        received=claim.received.received,
        due=claim.received.due,
        pictures=claim.received.pictures,
        claimant="" if claim.deleted else kept_of(folder, claim).claimant,
        counts=claim.answered.counts if claim.answered else {},
    )


def show_claims(
    ledger: str | Path, claims: Sequence[int] = (), *, claimant: str | None = None
) -> list[dict[str, object]]:
    """Everything that is kept of claims, for who asked: what the vault holds, and the ledger's lines. Of files their
    names alone: where they lie here is nobody's business. claims: their numbers; claimant: or all of a person, by the
    name as it was given.

    Raises UsageError where neither is given, and for a number that no claim has.

    >>> _ = ma.receive_claim("generations/copy.png", "claims", claimant="R. Holder")
    >>> ma.show_claims("claims", claimant="R. Holder")[0]["kept"]["claimant"]
    'R. Holder'
    """
    read = known(Path(ledger))
    return [_shown(read, number) for number in _named(read, claims, claimant)]


def _shown(ledger: Ledger, number: int) -> dict[str, object]:
    claim, letter = ledger.claims[number], place_of(ledger.folder, number) / LETTER
    kept = None if claim.deleted else kept_of(ledger.folder, claim)
    answer = None if claim.deleted else answer_of(ledger.folder, claim)
    return {
        "claim": number,
        "kept": msgspec.to_builtins(kept and kept_without_places(kept)),
        "answer": msgspec.to_builtins(answer and answer_without_places(answer)),
        "letter": str(letter.relative_to(ledger.folder)) if letter.exists() else None,
        "lines": ledger.lines_of(number),
    }


def _named(ledger: Ledger, claims: Sequence[int], claimant: str | None) -> list[int]:
    if bool(claims) == (claimant is not None):
        raise UsageError("name claims by their numbers, or a person with --claimant: one of both")
    numbers = list(dict.fromkeys(claims)) or numbers_of(ledger.folder, claimant or "")
    if not numbers:
        raise UsageError(f"there is no claim of {claimant!r}: it must be the name that memaudit claims list has")
    for number in numbers:
        if number not in ledger.claims:
            raise UsageError(f"there is no claim {number}: memaudit claims list names them")
    return numbers


def delete_claims(ledger: str | Path, claims: Sequence[int] = (), *, claimant: str | None = None) -> list[int]:
    """Delete what is kept of claims: names, digests of pictures, answer, letter, and the salt, so that what the ledger
    has of them is of nobody. The ledger says that it was deleted, and still verifies. Returns their numbers.

    claims, claimant: as of `show_claims`, and raises as it does.

    >>> _ = ma.receive_claim("generations/copy.png", "claims", claimant="R. Holder")
    >>> ma.delete_claims("claims", [1]), ma.verify_claims("claims").faults
    ([1], ())
    """
    numbers = _named(known(Path(ledger)), claims, claimant)
    delete_all(Path(ledger), numbers)
    return numbers


@dataclass(frozen=True)
class VerifiedClaims:
    """A ledger that was checked. faults: what is not as it was written, a line each; lines: of the ledger; head: digest
    of the last; unfinished: bytes of a line that a killed process did not finish, which the next one overwrites.

    >>> _ = ma.receive_claim("generations/copy.png", "claims", claimant="R. Holder")
    >>> ma.verify_claims("claims").lines
    2
    """

    faults: tuple[str, ...]
    lines: int
    claims: int
    head: str
    unfinished: int = 0

    def as_dict(self) -> dict[str, object]:
        return {**vars(self), "faults": list(self.faults)}


def verify_claims(ledger: str | Path, *, line: str | None = None) -> VerifiedClaims:
    """Check that the ledger is as it was written, and what is kept as the ledger says. line: the digest that a letter
    has: whether that line is still there.

    Raises InputError where there is no ledger.

    >>> claim = ma.answer_claim("generations/copy.png", ma.embed("training", out="store", encoder="thumbnail"),
    ...     "claims", claimant="R. Holder")
    >>> ma.verify_claims("claims", line=claim.line).faults
    ()
    """
    try:
        read = known(Path(ledger))
        claims = read.claims
    except InputError as error:
        if not (Path(ledger) / LEDGER).exists() and not (Path(ledger) / HEAD).exists():
            raise
        return VerifiedClaims((str(error),), 0, 0, "")
    faults = [fault for claim in claims.values() for fault in faults_of(read.folder, claim)]
    known_places = {place_of(read.folder, number) for number in claims}
    faults += [
        f"{place} is of no claim of the ledger: run the command that was killed again, or delete it"
        for place in places_in(read.folder)
        if place not in known_places
    ]
    if line is not None and line not in read.chain.digests:
        faults.append(f"no line of the ledger has the digest {line[:80]!r}: it was taken out, or is of another ledger")
    return VerifiedClaims(tuple(faults), len(read.chain.lines), len(claims), read.chain.head, read.chain.cut)


@dataclass(frozen=True)
class Excluded:
    """A list of images that must not be trained on. path: where it is; images: how many it names by now; added: of
    them, by this call. warnings: claims without an answer, and those whose answers list less than the training set may
    hold, a sentence each: what is not listed is not excluded.

    >>> store = ma.embed("training", out="store", encoder="thumbnail")
    >>> _ = ma.answer_claim("generations/copy.png", store, "claims", claimant="R. Holder")
    >>> ma.exclude_claimed("claims", "excluded.txt").images
    1
    """

    path: Path
    images: int
    added: int
    warnings: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, object]:
        return {**vars(self), "path": str(self.path), "warnings": list(self.warnings)}


def exclude_claimed(ledger: str | Path, out: str | Path, *, hows: str | Sequence[str] = HOWS[:-1]) -> Excluded:
    """Add the training images that claims found, with their near-duplicates, to a list of image_ids, one a line, for
    `export(drop=...)`. What the list names already stays: also what claims found whose data were deleted since.

    hows: exact, altered, part, re-drawn: how an image must show what was asked for; by default the first three.

    Where an answer lists less than the training set may hold, or a claim has none, `warnings` of the result say so.
    Raises InputError where there is no ledger, or `out` cannot be read, UsageError for an `out` that is a part of it, a
    manifest, or a run's own list.

    >>> store = ma.embed("training", out="store", encoder="thumbnail")
    >>> _ = ma.answer_claim("generations", store, "claims", claimant="R. Holder")
    >>> excluded = ma.exclude_claimed("claims", "excluded.txt")
    >>> ma.export(store, "kept", to="folder", drop=excluded.path).samples.dropped
    1
    """
    wanted = _hows(hows)
    read, path = known(Path(ledger)), Path(out)
    if any(real(path).is_relative_to(read.folder / name) for name in (LEDGER, HEAD, VAULT)):
        raise UsageError(f"--out {path} is a part of the ledger: name another file")
    _require_list(path)
    with sole_writer_of(path):
        before = set(_ids_in(path))
        found, unsure = set[str](), list[Open]()
        for answer in _answers(read):
            found.update(_claimed(answer, wanted))
            unsure += open_pictures(answer)
        unsure = still_open(unsure, _answers(read)) if unsure else []
        write_text(path, lines_of(sorted(before | found)))
        warnings = (*_unanswered(read), *_warnings(unsure))
        return Excluded(path, len(before | found), len(found - before), warnings)


def _require_list(path: Path) -> None:
    """Raise UsageError for a manifest, or a list of a run: added to and sorted, the one were none any more, and what is
    excluded would be among what the other keeps."""
    is_of_run = path.name in BOUND and (path.parent / REPORT).exists()
    if path.exists() and (is_of_run or path.suffix.lower() in TEXT_TABLES):
        raise UsageError(
            f"--out {path} is no list of what is excluded: name a new file, or one that was written so before"
        )


def _hows(given: str | Sequence[str]) -> tuple[str, ...]:
    named = [one.strip() for each in ([given] if isinstance(given, str) else given) for one in each.split(",")]
    for name in named:
        if name not in HOWS:
            raise UsageError(f"--how: {name!r} is none: expected some of {', '.join(HOWS)}")
    return tuple(named)


def _ids_in(path: Path) -> Iterator[str]:
    if not path.exists():
        return
    try:
        yield from (line for text in text_lines(path, newline="\n") if (line := text.rstrip("\r\n")))
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"list {path} cannot be read: {reason_of(error)}") from None


def _answers(ledger: Ledger) -> Iterator[ClaimAnswer]:
    for claim in ledger.claims.values():
        if not claim.deleted and (answer := answer_of(ledger.folder, claim)):
            yield answer


def _unanswered(ledger: Ledger) -> Iterator[str]:
    for claim in ledger.claims.values():
        if claim.is_open:
            yield f"claim {claim.number} has no answer yet, and nothing of it is excluded: memaudit claims answer it"


def _warnings(pictures: Sequence[Open]) -> Iterator[str]:
    for claim, count in Counter(each.claim for each in pictures).items():
        yield (
            f"claim {claim}: of {plural(count, 'picture')} the training set may hold more than the answer lists: "
            "answer it again, where the set has changed under the same --training-set, or drop what resembles them "
            "with memaudit dedup --against"
        )


def _claimed(answer: ClaimAnswer, hows: Sequence[str]) -> Iterator[str]:
    """What was found in these ways, and the families of it: an answer names a family with the first image of it that it
    lists, which may have been found in another way."""
    for picture in answer.pictures:
        wanted = {image.image_id for image in picture.found if image.how in hows}
        for image in picture.found:
            family = {image.image_id, *(member.image_id for member in image.family)}
            if not wanted.isdisjoint(family):
                yield from family
