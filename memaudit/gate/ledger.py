"""The ledger: every look that a gate took, in their order. A file of JSON lines that is only ever added to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, NamedTuple, TypeVar

import msgspec

from memaudit.errors import InputError, UsageError
from memaudit.files import add_to_chain, chained, read_chain
from memaudit.gate.policy import Policy

SCHEMA = "urn:memaudit:ledger:1"
_Digest = Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{64}$")]
_Prompt = Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{12}$")]
_Count = Annotated[int, msgspec.Meta(ge=0, le=10**12)]
_Number = Annotated[int, msgspec.Meta(ge=1, le=10**9)]
_Day = Annotated[str, msgspec.Meta(pattern=r"^\d{4}-\d\d-\d\d$")]


class Fixed(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What a policy may not change once it has seen a result: the limits that error is spent on, the kinds of planted
    copies by which the bound goes, and the release that others are held against. A ledger that was begun before there
    were planted copies names none: its bounds are of copies that can be detected. One that was begun before the limit
    of re-drawn pictures was fixed has None: it is not."""

    max_rate: float
    confidence: float
    max_threshold: float
    max_rise: float
    rise_confidence: float
    release: str | None
    planted: list[str] = []
    max_redrawn_rate: float | None = None

    @classmethod
    def of(cls, policy: Policy) -> Fixed:
        audit, baseline = policy.audit, policy.baseline
        return cls(
            max_rate=audit.max_rate,
            confidence=audit.confidence,
            max_threshold=audit.max_threshold,
            max_rise=baseline.max_rise,
            rise_confidence=baseline.confidence,
            release=baseline.release,
            planted=sorted({*audit.planted}),
            max_redrawn_rate=audit.max_redrawn_rate,
        )


class Subject(NamedTuple):
    """What a look is at: a report, and the method that says what counts in it. With other kinds that count the same
    report is another subject: a look at it finds what the first did not count."""

    report: str
    method: str


class Look(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """One report that was judged. number: of the line. attempt: how many models, or reports that are of none, were
    judged up to this one. method: what counts as a match, as a digest. not_pooled: why its prompts are no part of a
    pool. seeds: the fewest that one of its prompts has. drawn: prompts that no earlier look of the same model and
    method had; found: those of them that gave a training image back; accepted: of these the ones of which a person
    accepted every match, and until when. repeated, repeated_found, unknown: prompts that were asked before, those of
    them that gave an image back, and those that nobody knows. pooled, found_in_all, upper: what the pool said then.

    A report that was judged before by the same method, and of which other matches are accepted by now, stands there
    again with nothing drawn.
    """

    number: _Number
    judged: str
    report: _Digest
    attempt: _Number
    model: str = ""
    model_digest: str = ""
    method: str = ""
    not_pooled: str = ""
    seeds: _Count = 0
    drawn: list[_Prompt] = []
    found: list[_Prompt] = []
    accepted: dict[_Prompt, _Day] = {}
    repeated: _Count = 0
    repeated_found: _Count = 0
    unknown: _Count = 0
    pooled: _Count = 0
    found_in_all: _Count = 0
    upper: Annotated[float, msgspec.Meta(ge=0, le=1)] = 1.0
    outcome: str = ""

    @property
    def subject(self) -> Subject:
        """What it is at."""
        return Subject(self.report, self.method)


T = TypeVar("T", Fixed, Look)


@dataclass(frozen=True)
class Ledger:
    """What was fixed, the looks, and the digest of the last line. cut: bytes of a line that somebody did not finish."""

    fixed: Fixed
    looks: tuple[Look, ...] = ()
    head: str = ""
    cut: int = 0

    @property
    def subjects(self) -> dict[Subject, int]:
        """Which look, counted from 1, was the first at each."""
        return {subject: place for place, subject in enumerate(dict.fromkeys(look.subject for look in self.looks), 1)}

    @property
    def attempts(self) -> int:
        return max((look.attempt for look in self.looks), default=0)


def open_ledger(path: Path, policy: Policy) -> Ledger:
    """The ledger at `path`, or a new one where there is no file.

    Raises InputError for a file that is no ledger, or was changed; UsageError for limits other than those that it was
    begun with.
    """
    fixed = Fixed.of(policy)
    if not path.exists() and not path.is_symlink():
        return Ledger(fixed)
    ledger = _read(path)
    for name in Fixed.__struct_fields__:
        began, now = getattr(ledger.fixed, name), getattr(fixed, name)
        if began != now and not (name == "max_redrawn_rate" and began is None):
            raise UsageError(
                f"--ledger {path} was begun with {name} = {began!r}, and the policy has {now!r}: limits are fixed "
                "before the first look; judge by the same ones, or begin another ledger"
            )
    return ledger


def add(path: Path, ledger: Ledger, looks: Sequence[Look]) -> str:
    """Add looks to the end of the ledger, on the disk when this returns; what an unfinished write left is overwritten.

    Returns the digest of the last line. Raises InputError when the disk refuses.
    """
    begins = [{"schema": SCHEMA, "fixed": msgspec.to_builtins(ledger.fixed)}] if not ledger.head else []
    data, digests = chained([*begins, *(msgspec.to_builtins(look) for look in looks)], ledger.head)
    add_to_chain(path, data, new=bool(begins), cut=ledger.cut)
    return digests[-1] if digests else ledger.head


def _read(path: Path) -> Ledger:
    chain = read_chain(path, "ledger")
    first = chain.lines[0]
    if first.get("schema") != SCHEMA:
        raise InputError(f"{path} has schema {str(first.get('schema'))[:80]!r}, this version reads {SCHEMA!r}")
    fixed = _as(path, 1, first.get("fixed"), Fixed)
    looks = tuple(_as(path, number, value, Look) for number, value in enumerate(chain.lines[1:], 2))
    return Ledger(fixed, looks, chain.head, chain.cut)


def _as(path: Path, number: int, value: object, kind: type[T]) -> T:
    try:
        return msgspec.convert(value, kind)
    except msgspec.ValidationError as error:
        raise InputError(f"ledger {path}, line {number:,}, is none of this version: {str(error)[:200]}") from None
