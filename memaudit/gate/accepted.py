"""Matches that a person has accepted: who, why, and until when. After that day they count again."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any, Protocol

from memaudit.errors import UsageError
from memaudit.files import read_toml
from memaudit.gate.policy import require_known
from memaudit.matching.kinds import COPIES, FINDINGS, Kind

_KEYS = ("query_id", "prompt", "reference_id", "who", "why", "until", "kind", "training_set")
# What an entry of a kind covers beside that kind itself
_COVERED: dict[str | None, tuple[str, ...]] = {
    None: tuple(kind for kind in COPIES if kind is not Kind.VERBATIM),
    Kind.VERBATIM: COPIES,
}


class Match(Protocol):
    """A finding: what an entry may say of it."""

    @property
    def query_id(self) -> str: ...
    @property
    def reference_id(self) -> str: ...
    @property
    def prompt(self) -> str: ...
    @property
    def kind(self) -> str: ...


@dataclass(frozen=True)
class Accepted:
    """One entry of an accepted.toml: a generation, by its query_id or its prompt, and a training image.

    kind: of the match that was looked at. Without one an entry covers near-duplicates, partial copies and templates,
    but neither verbatim copies nor faces nor what is re-drawn. training_set: the digest of the only training set that
    it is about.
    """

    reference_id: str
    query_id: str | None
    prompt: str | None
    who: str
    why: str
    until: date
    kind: str | None = None
    training_set: str | None = None

    def covers(self, finding: Match, training_set: str | None = None) -> bool:
        """Whether the entry covers this finding of an audit of that training set, whatever the day."""
        same_set = self.training_set is None or self.training_set == training_set
        return same_set and self.names(finding) and self._covers_kind(finding.kind)

    def _covers_kind(self, kind: str) -> bool:
        return kind == self.kind or kind in _COVERED.get(self.kind, ())

    def names(self, finding: Match) -> bool:
        """Whether the entry is about this pair, whatever its kind. Every name that it gives must be the same."""
        same_query = self.query_id is None or finding.query_id == self.query_id
        same_prompt = self.prompt is None or finding.prompt == self.prompt
        return same_query and same_prompt and finding.reference_id == self.reference_id

    def holds_on(self, day: date) -> bool:
        return day <= self.until

    @property
    def pair(self) -> str:
        query = self.query_id if self.query_id is not None else f"prompt {self.prompt!r}"
        return f"{query} -> {self.reference_id}"


def read_accepted(path: str | Path) -> tuple[Accepted, ...]:
    """Read the entries [[accepted]] of a TOML file.

    Raises InputError for an unreadable file, UsageError that names the entry for an unknown, absent or empty key, for
    an `until` that is no day, and for a pair that stands there twice.
    """
    path = Path(path)
    raw = read_toml(path, "file of accepted matches")
    require_known(str(path), raw, ("accepted",), "section")
    entries = raw.get("accepted", [])
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise UsageError(f"{path}: expected entries [[accepted]]")
    accepted = tuple(_entry(f"{path}, entry {number}", entry) for number, entry in enumerate(entries, 1))
    _require_once(path, accepted)
    return accepted


def _entry(place: str, entry: Mapping[str, Any]) -> Accepted:
    require_known(place, entry, _KEYS, "key")
    for key in ("reference_id", "who", "why"):
        _require_text(place, entry, key)
    named = [key for key in ("query_id", "prompt") if key in entry]
    if not named:
        raise UsageError(f"{place}: name the generation by query_id or by prompt")
    for key in named:
        _require_text(place, entry, key)
    until = entry.get("until")
    if not isinstance(until, date) or isinstance(until, datetime):
        raise UsageError(f"{place}: until = {until!r} must be a day, for example 2027-06-30, without quotes")
    if "training_set" in entry:
        _require_text(place, entry, "training_set")
    if "kind" in entry and entry["kind"] not in FINDINGS:
        raise UsageError(f"{place}: kind = {entry['kind']!r} must be one of {', '.join(FINDINGS)}")
    query_id, prompt, kind = entry.get("query_id"), entry.get("prompt"), entry.get("kind")
    named_set = entry.get("training_set")
    return Accepted(entry["reference_id"], query_id, prompt, entry["who"], entry["why"], until, kind, named_set)


def _require_text(place: str, entry: Mapping[str, Any], key: str) -> None:
    value = entry.get(key)
    if not isinstance(value, str) or not value.strip():
        raise UsageError(f"{place}: {key} = {value!r} must be a text that is not empty")


def _require_once(path: Path, accepted: Sequence[Accepted]) -> None:
    seen: set[tuple[str | None, ...]] = set()
    for entry in accepted:
        key = (entry.reference_id, entry.query_id, entry.prompt, entry.kind, entry.training_set)
        if key in seen:
            raise UsageError(f"{path}: the pair {entry.pair} is accepted twice: leave one entry")
        seen.add(key)


def entry_for(
    finding: Match, accepted: Iterable[Accepted], day: date, training_set: str | None = None
) -> Accepted | None:
    """The entry about this finding: one that holds on this day before one that has expired; None if there is none."""
    about = [entry for entry in accepted if entry.covers(finding, training_set)]
    return max(about, key=lambda entry: (entry.holds_on(day), entry.until), default=None)
