"""The ledger of claims: what was asked and answered, and when, as salted digests; a chain of JSON lines.

`head.json` beside it says how far it went: so a line that is missing at the end is missed. It is written after the
line, and before the first one there is.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Annotated, Any

import msgspec

from memaudit.errors import InputError
from memaudit.files import Chain, add_to_chain, chained, read_chain, read_json, write_json
from memaudit.folders import sole_writer

SCHEMA = "urn:memaudit:claims:1"
LEDGER, HEAD = "ledger.jsonl", "head.json"
_NOTHING = Chain()
_PATIENCE = 60.0  # seconds that a line waits for others to be written
_STEP = 0.05
_Digest = Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{64}$")]
_Count = Annotated[int, msgspec.Meta(ge=0, le=10**12)]
_Number = Annotated[int, msgspec.Meta(ge=1, le=10**9)]
_Day = Annotated[str, msgspec.Meta(pattern=r"^\d{4}-\d\d-\d\d$")]


class Received(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, tag_field="event", tag="received"
):
    """A claim came in. received, due: days; pictures: how many; claimant_digest, asked_digest: salted ones of who
    asked, and of the names and digests of the pictures."""

    claim: _Number
    at: str
    received: _Day
    due: _Day
    pictures: _Count
    claimant_digest: _Digest
    asked_digest: _Digest


class Answered(
    msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, tag_field="event", tag="answered"
):
    """It was answered. counts: pictures by what was found; answer_digest: salted digest of the answer; store: digest
    of the training set that was searched."""

    claim: _Number
    at: str
    counts: dict[str, _Count]
    answer_digest: _Digest
    store: str
    memaudit: str


class Deleted(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, tag_field="event", tag="deleted"):
    """What was kept of it, the salt among that, is deleted."""

    claim: _Number
    at: str


Entry = Received | Answered | Deleted


@dataclass(frozen=True)
class Claim:
    """What the ledger says of one claim, and the digest of the line of its answer."""

    number: int
    received: Received
    answered: Answered | None = None
    line: str = ""
    deleted: Deleted | None = None

    @property
    def is_open(self) -> bool:
        return self.answered is None and self.deleted is None

    def is_overdue(self, today: date) -> bool:
        return self.is_open and date.fromisoformat(self.received.due) < today


@dataclass(frozen=True)
class Ledger:
    """A ledger as it was read. entries: of its lines but for the first, which says what it is."""

    folder: Path
    chain: Chain = _NOTHING
    entries: tuple[Entry, ...] = ()

    @property
    def claims(self) -> Mapping[int, Claim]:
        """By number, in their order. Raises InputError for a line about a claim that no line before it received."""
        found: dict[int, Claim] = {}
        for line, entry in enumerate(self.entries, 2):
            claim = found.get(entry.claim)
            if (claim is None) != isinstance(entry, Received):
                why = "is received twice" if claim else "was never received"
                raise InputError(f"ledger {self.folder / LEDGER}, line {line:,}: claim {entry.claim} {why}")
            if isinstance(entry, Received):
                found[entry.claim] = Claim(entry.claim, entry)
            elif claim is not None and isinstance(entry, Answered):
                found[entry.claim] = replace(claim, answered=entry, line=self.chain.digests[line - 1])
            elif claim is not None and isinstance(entry, Deleted):
                found[entry.claim] = replace(claim, deleted=entry)
        return found

    def lines_of(self, number: int) -> list[dict[str, Any]]:
        """The lines about a claim, as they stand."""
        return [line for line in self.chain.lines if line.get("claim") == number]


def read_ledger(folder: Path) -> Ledger:
    """The ledger in a folder; an empty one where none was begun.

    Raises InputError that names the line where it is not as it was written, or where lines are missing at its end.
    """
    path, head = folder / LEDGER, folder / HEAD
    if not _is_there(path) and not _is_there(head):
        return Ledger(folder)
    known = _known(head)
    if not _is_there(path) and known.lines == 0:
        return Ledger(folder)
    chain = read_chain(path, "ledger")
    _require_reaching(path, chain, known)
    first = chain.lines[0]
    if first.get("schema") != SCHEMA:
        raise InputError(f"{path} has schema {str(first.get('schema'))[:80]!r}, this version reads {SCHEMA!r}")
    entries = tuple(_entry(path, number, value) for number, value in enumerate(chain.lines[1:], 2))
    return Ledger(folder, chain, entries)


def _is_there(path: Path) -> bool:
    return path.exists() or path.is_symlink()


class _Known(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How many lines there were, and the digest of the last."""

    lines: _Count
    digest: str


def _known(path: Path) -> _Known:
    try:
        return msgspec.convert(read_json(path), _Known)
    except msgspec.ValidationError as error:
        raise InputError(f"{path} is not as it was written: {error}; restore it") from None


def _require_reaching(path: Path, chain: Chain, known: _Known) -> None:
    count = len(chain.lines)
    if count < known.lines:
        raise InputError(
            f"ledger {path}, line {count + 1:,}, is missing: {known.lines:,} lines were written, and {count:,} are "
            "there; restore it"
        )
    if known.lines and chain.digests[known.lines - 1] != known.digest:
        raise InputError(
            f"ledger {path}, line {known.lines:,}, is not the one that {HEAD} names: the lines up to it were written "
            "anew; restore them"
        )


def _entry(path: Path, number: int, value: Mapping[str, Any]) -> Entry:
    try:
        entry: Entry = msgspec.convert(value, Entry)
    except msgspec.ValidationError as error:
        raise InputError(f"ledger {path}, line {number:,}, is none of this version: {str(error)[:200]}") from None
    return entry


@contextmanager
def writing(folder: Path) -> Iterator[Ledger]:
    """The ledger, which nobody else adds to meanwhile. Raises InputError where others do so for a minute."""
    began = time.monotonic()
    while True:
        lock = sole_writer(folder)
        try:
            lock.__enter__()
            break
        except InputError as error:
            if "another process" not in str(error) or time.monotonic() - began > _PATIENCE:
                raise
        time.sleep(_STEP)
    try:
        ledger = read_ledger(folder)
        if ledger.chain.lines and _known(folder / HEAD).lines < len(ledger.chain.lines):
            _write_head(folder, ledger.chain)  # whoever wrote the last line was killed
        yield ledger
    finally:
        lock.__exit__(None, None, None)


def add(ledger: Ledger, entry: Entry) -> Ledger:
    """Add a line, on the disk when this returns, and return the ledger with it. Within `writing`."""
    path, begun = ledger.folder / LEDGER, bool(ledger.chain.lines)
    if not begun:
        _write_head(ledger.folder, Chain())
    first = [] if begun else [{"schema": SCHEMA, "began": now()}]
    new = [*first, msgspec.to_builtins(entry)]
    data, digests = chained(new, ledger.chain.head)
    add_to_chain(path, data, new=not begun, cut=ledger.chain.cut)
    chain = Chain((*ledger.chain.lines, *new), (*ledger.chain.digests, *digests))
    _write_head(ledger.folder, chain)
    return Ledger(ledger.folder, chain, (*ledger.entries, entry))


def _write_head(folder: Path, chain: Chain) -> None:
    write_json(folder / HEAD, {"lines": len(chain.lines), "digest": chain.head})


def now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


def today() -> date:
    return datetime.now(UTC).date()
