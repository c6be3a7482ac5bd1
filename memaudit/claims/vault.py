"""What is kept of a claim besides its digests: who asked, which pictures, the answer, the letter, and the salt.

A folder for each claim, for its owner alone; without it the ledger's digests are of nobody.
"""

from __future__ import annotations

import hmac
import json
import secrets
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any, TypeVar

import msgspec

from memaudit.claims.answer import ClaimAnswer
from memaudit.claims.ledger import Claim
from memaudit.errors import InputError
from memaudit.files import MOST_JSON, json_text, keep_private, make_folder, read_json, write_json, write_text

VAULT, CLAIM, ANSWER, LETTER = "vault", "claim.json", "answer.json", "letter.html"
_SCHEMA = "memaudit-claim/1"
_GOING = ".deleted-"
T = TypeVar("T")


class Asked(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A picture of a claim: its name, and the digest of its file; empty where it could not be read."""

    name: str
    sha256: str


class Kept(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """Who asked, when, which pictures; and the salt (hexadecimal)."""

    schema: str = _SCHEMA
    claim: Annotated[int, msgspec.Meta(ge=1)]
    salt: Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{64}$")]
    claimant: str
    contact: str
    received: str
    due: str
    pictures: list[Asked]

    @property
    def who(self) -> str:
        """Salted digest of who asked."""
        return salted(self.salt, [self.claimant, self.contact])

    @property
    def asked(self) -> str:
        """Salted digest of what was asked."""
        return salted(self.salt, msgspec.to_builtins(self.pictures))

    def is_of(self, claimant: str, contact: str, pictures: list[Asked]) -> bool:
        return (self.claimant, self.contact, self.pictures) == (claimant, contact, pictures)


def new_salt() -> str:
    return secrets.token_hex(32)


def salted(salt: str, value: Any) -> str:
    """HMAC-SHA256 of the JSON of `value`: without the salt nobody can tell whether it is of something he guesses."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)
    return hmac.digest(bytes.fromhex(salt), text.encode(errors="backslashreplace"), "sha256").hex()


def open_vault(folder: Path) -> Path:
    """The vault of a ledger's folder, made, and for its owner alone; what a killed deletion left is deleted."""
    vault = folder / VAULT
    make_folder(folder)
    keep_private(vault)
    for left in vault.glob(f"{_GOING}*"):
        shutil.rmtree(left, ignore_errors=True)
    return vault


def place_of(folder: Path, number: int) -> Path:
    return folder / VAULT / f"{number:06d}"


def write_kept(folder: Path, kept: Kept) -> None:
    place = place_of(folder, kept.claim)
    keep_private(place)
    write_json(place / CLAIM, msgspec.to_builtins(kept))


def read_kept(folder: Path, number: int) -> Kept:
    """Raises InputError where it is gone, or is none."""
    return _read(place_of(folder, number) / CLAIM, Kept)


def places_in(folder: Path) -> list[Path]:
    """What the vault holds, but for hidden files."""
    return sorted((folder / VAULT).glob("[!.]*")) if (folder / VAULT).is_dir() else []


def all_kept(folder: Path) -> Iterable[Kept]:
    """Of all claims whose data are there, by number. Copies of a claim's folder beside it are passed over."""
    for place in places_in(folder):
        if (place / CLAIM).exists() and place == place_of(folder, (kept := _read(place / CLAIM, Kept)).claim):
            yield kept


def numbers_kept(folder: Path) -> list[int]:
    """Those under which something is kept."""
    places = [place for place in places_in(folder) if (place / CLAIM).exists()]
    return [int(place.name) for place in places if place.name.isdecimal()]


def write_answer(folder: Path, answer: ClaimAnswer) -> None:
    """Raises InputError for one that is too large to be read again."""
    place, text = place_of(folder, answer.claim), json_text(msgspec.to_builtins(answer))
    if len(text.encode("utf-8", "backslashreplace")) > MOST_JSON:
        raise InputError(
            f"the answer to claim {answer.claim} has more than {MOST_JSON >> 20:,} MiB, and could not be read again: "
            "answer its pictures in several claims, with fewer each, and delete this one"
        )
    keep_private(place)
    write_text(place / ANSWER, text)


def read_answer(folder: Path, number: int) -> ClaimAnswer:
    """Raises InputError where it is gone, or is none."""
    return _read(place_of(folder, number) / ANSWER, ClaimAnswer)


def answer_digest(kept: Kept, answer: ClaimAnswer) -> str:
    """Salted digest of an answer."""
    return salted(kept.salt, msgspec.to_builtins(answer))


def _read(path: Path, kind: type[T]) -> T:
    try:
        return msgspec.convert(read_json(path), kind)
    except msgspec.ValidationError as error:
        raise InputError(f"{path} is not as it was written: {str(error)[:200]}") from None


def delete(folder: Path, number: int) -> None:
    """Delete what is kept of a claim; under another name first, so that it is gone at once. Raises InputError."""
    place = place_of(folder, number)
    going = place.with_name(f"{_GOING}{place.name}")
    try:
        place.rename(going)
        shutil.rmtree(going)
    except FileNotFoundError:
        return
    except OSError as error:
        raise InputError(f"{going} cannot be deleted: {error.strerror or error}: delete it by hand") from None


def kept_of(folder: Path, claim: Claim) -> Kept:
    """What is kept of a claim that is not deleted. Raises InputError where that is not what the ledger says."""
    place = place_of(folder, claim.number) / CLAIM
    if not place.exists():
        raise InputError(f"claim {claim.number}: {place} is gone, and no line says so: restore it, or delete the claim")
    kept, line = read_kept(folder, claim.number), claim.received
    said = (line.claimant_digest, line.asked_digest, line.received, line.due)
    if (kept.who, kept.asked, kept.received, kept.due) != said:
        raise InputError(f"claim {claim.number}: {place} is not what was received; restore it")
    return kept


def answer_of(folder: Path, claim: Claim) -> ClaimAnswer | None:
    """The answer to a claim that is not deleted; None before it has one. Raises as `kept_of`."""
    kept = kept_of(folder, claim)
    if claim.answered is None:
        return None
    place = place_of(folder, claim.number) / ANSWER
    if not place.exists():
        raise InputError(f"claim {claim.number}: {place} is gone: restore it, or delete the claim")
    answer = read_answer(folder, claim.number)
    if answer_digest(kept, answer) != claim.answered.answer_digest:
        raise InputError(f"claim {claim.number}: {place} is not what was answered; restore it")
    return answer


def faults_of(folder: Path, claim: Claim) -> Iterable[str]:
    """Where what is kept of a claim does not fit what the ledger says of it."""
    place = place_of(folder, claim.number)
    if claim.deleted:
        if place.exists():
            yield f"claim {claim.number} is deleted by the ledger, and {place} is there: delete it"
        return
    try:
        answer_of(folder, claim)
    except InputError as error:
        yield str(error)
