"""Verdicts of people on pairs of images: one format, as CSV, TSV, JSON or JSON lines, read, merged and counted.

A pair is named by the sha256 of its two files, in either order; `verdict`, `who` and `when` are a person's. Further
columns are passed over, but for those that a proposal has (proposing.py).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import NamedTuple

from memaudit.errors import InputError
from memaudit.files import open_regular, reason_of, sha256_of
from memaudit.images.cells import Row, columns_called, first_of
from memaudit.images.text_rows import text_rows
from memaudit.store import NO_FILE

LEFT, RIGHT = "left_sha256", "right_sha256"
FRAME, STRATUM, STRATUM_PAIRS = "frame", "stratum", "stratum_pairs"
_DIGEST = re.compile(r"[0-9a-f]{64}")


class Verdict(StrEnum):
    """What a person says of a pair."""

    COPY = "copy"
    NO_COPY = "not a copy"
    ACCEPTED = "accepted"  # a copy that may stay
    UNSURE = "unsure"


class Pair(NamedTuple):
    """The digests of two files, the lower one first."""

    left: str
    right: str


def pair_of(one: str, other: str) -> Pair:
    return Pair(min(one, other), max(one, other))


class Drawn(NamedTuple):
    """How a pair came into a proposal: its stratum, and how many pairs of the set `frame` that one has."""

    frame: str
    stratum: str
    pairs: float


class Label(NamedTuple):
    """A line. verdict: None where nobody has looked at the pair yet."""

    pair: Pair
    verdict: Verdict | None
    who: str
    when: datetime | None
    why: str
    drawn: Drawn | None


@dataclass(frozen=True)
class Counts:
    """What the lines come to. repeated: they say again what the same person has said; superseded: what that person
    said otherwise before. unlabelled: pairs that nobody has looked at; the others are copies, others, unsure or
    disagreeing."""

    lines: int = 0
    unlabelled: int = 0
    repeated: int = 0
    superseded: int = 0
    copies: int = 0
    others: int = 0
    unsure: int = 0
    disagreeing: int = 0
    people: int = 0


@dataclass(frozen=True)
class Merged:
    """One verdict for each pair that anybody has looked at: None where people disagree; said: what each of them says in
    the end. drawn: of the pairs of a proposal, labelled or not. digests: sha256 of the files that were read."""

    verdicts: dict[Pair, Verdict | None]
    said: dict[Pair, tuple[Label, ...]]
    drawn: dict[Pair, Drawn]
    counts: Counts
    digests: tuple[str, ...] = ()


def read_labels(paths: Sequence[Path]) -> Merged:
    """Read the files, and merge what they say.

    Of what one person says of a pair the latest counts, by `when`, else by the order of the lines. Whoever is unsure
    abstains where another is not; "accepted" is a copy. Raises InputError for a file that cannot be read, and for a
    line that cannot be meant.
    """
    labels = [label for path in paths for label in _labels_in(path)]
    if not labels:
        raise InputError(f"{', '.join(map(str, paths))}: no line names a pair")
    return _merged(labels, tuple(sha256_of(path) for path in paths))


def _labels_in(path: Path) -> Iterator[Label]:
    try:
        with open_regular(path) as handle:
            for number, row in text_rows("labels", str(path), handle):
                yield _label_of(f"labels {path}, line {number}", row)
    except OSError as error:
        raise InputError(f"labels {path} cannot be read: {reason_of(error)}") from None


def _label_of(place: str, row: Row) -> Label:
    pair = _pair_of(place, row)
    verdict, when = _verdict_of(place, row), _when_of(place, row)
    return Label(pair, verdict, _text(row, "who"), when, _text(row, "why"), _drawn_of(place, row))


def _text(row: Row, name: str) -> str:
    return first_of(row, (name,)).text.strip()


def _pair_of(place: str, row: Row) -> Pair:
    digests = []
    for name in (LEFT, RIGHT):
        if not columns_called(tuple(row), (name,)):
            raise InputError(f"{place}: there is no column {name!r}, found {', '.join(row)[:200]}")
        digest = _text(row, name).lower()
        if not _DIGEST.fullmatch(digest):
            raise InputError(f"{place}: {name} {digest[:80]!r} is no sha256, 64 hexadecimal digits")
        if digest == NO_FILE:
            raise InputError(f"{place}: {name} is that of no file: imported embeddings cannot be labelled by digest")
        digests.append(digest)
    if digests[0] == digests[1]:
        raise InputError(f"{place}: a file is paired with itself: label pairs of two files")
    return pair_of(*digests)


def _verdict_of(place: str, row: Row) -> Verdict | None:
    said = _text(row, "verdict").lower()
    if not said:
        return None
    if said not in tuple(Verdict):
        raise InputError(f"{place}: verdict {said[:80]!r} is none of {', '.join(Verdict)}")
    return Verdict(said)


def _when_of(place: str, row: Row) -> datetime | None:
    said = _text(row, "when")
    if not said:
        return None
    try:
        when = datetime.fromisoformat(said)
        return when.astimezone(UTC) if when.tzinfo else when.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        raise InputError(
            f"{place}: when {said[:80]!r} is no time: write it as 2027-01-31 or 2027-01-31T12:00Z"
        ) from None


def _drawn_of(place: str, row: Row) -> Drawn | None:
    frame, stratum, pairs = (_text(row, name) for name in (FRAME, STRATUM, STRATUM_PAIRS))
    if not (frame or stratum or pairs):
        return None
    try:
        count = float(pairs)
    except ValueError:
        count = float("nan")
    if not (frame and stratum and 1 <= count < 1e15):
        raise InputError(
            f"{place}: {FRAME} {frame[:40]!r}, {STRATUM} {stratum[:40]!r} and {STRATUM_PAIRS} {pairs[:40]!r} do not "
            "say how the pair was drawn: leave these columns as memaudit calibrate propose wrote them, or leave out all"
        )
    return Drawn(frame, stratum, count)


def _merged(labels: list[Label], digests: tuple[str, ...]) -> Merged:
    said: dict[Pair, dict[str, Label]] = {}
    repeated = superseded = 0
    for label in labels:
        if label.verdict is None:
            continue
        of_pair = said.setdefault(label.pair, {})
        earlier = of_pair.get(label.who)
        if earlier is not None:
            repeated += earlier.verdict == label.verdict
            superseded += earlier.verdict != label.verdict
        of_pair[label.who] = label if earlier is None else _later(earlier, label)
    verdicts = {pair: _agreed([each.verdict for each in of_pair.values()]) for pair, of_pair in said.items()}
    found = list(verdicts.values())
    counts = Counts(
        lines=len(labels),
        unlabelled=len({label.pair for label in labels} - verdicts.keys()),
        repeated=repeated,
        superseded=superseded,
        copies=found.count(Verdict.COPY),
        others=found.count(Verdict.NO_COPY),
        unsure=found.count(Verdict.UNSURE),
        disagreeing=found.count(None),
        people=len({who for of_pair in said.values() for who in of_pair}),
    )
    last = {pair: tuple(of_pair.values()) for pair, of_pair in said.items()}
    return Merged(verdicts, last, _drawn(labels), counts, digests)


def _later(one: Label, other: Label) -> Label:
    """The later of two by one person; where either does not say when, the one that stands below."""
    if one.when is not None and other.when is not None and one.when > other.when:
        return one
    return other


def _agreed(verdicts: Iterable[Verdict | None]) -> Verdict | None:
    sure = {Verdict.COPY if each is Verdict.ACCEPTED else each for each in verdicts} - {Verdict.UNSURE}
    if not sure:
        return Verdict.UNSURE
    return sure.pop() if len(sure) == 1 else None


def _drawn(labels: Iterable[Label]) -> dict[Pair, Drawn]:
    """Raises InputError where lines differ in how a pair was drawn, or how large a stratum is."""
    drawn, sizes = dict[Pair, Drawn](), dict[str, float]()
    for label in labels:
        if label.drawn is None:
            continue
        _, stratum, pairs = label.drawn
        if drawn.setdefault(label.pair, label.drawn) != label.drawn or sizes.setdefault(stratum, pairs) != pairs:
            raise InputError(
                f"the labels come of two proposals (stratum {stratum[:40]!r}): give the last one, which holds what was "
                "labelled before, and the files of verdicts"
            )
    if len({each.frame for each in drawn.values()}) > 1:
        raise InputError("the labels come of proposals of two sets: calibrate by one of them")
    return drawn
