"""Verdicts of people on pairs of images: one format, as CSV, TSV, JSON or JSON lines, read and merged.

A pair is named by the sha256 of its two files, in either order; `verdict`, `who`, `when`, `why` and `until` are a
person's. Further columns are passed over, but for those that a proposal has, and for `kind`, where "face" tells a line
about faces from one about pictures.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime
from pathlib import Path
from typing import IO

from memaudit.errors import InputError
from memaudit.files import open_regular, reason_of, sha256_of
from memaudit.images.cells import Row, columns_called, first_of
from memaudit.images.text_rows import text_rows
from memaudit.reviews.merging import Merged, merged
from memaudit.reviews.verdicts import FRAME, LEFT, RIGHT, STRATUM, STRATUM_PAIRS, Drawn, Pair, Review, Verdict, pair_of
from memaudit.types import NO_FILE

FACE = "face"
_DIGEST = re.compile(r"[0-9a-f]{64}")


def read_reviews(paths: Sequence[Path], what: str = "reviews") -> Merged:
    """Read the files, and merge what they say; see `merged`. what: how messages call a file.

    A file may be paired with itself: in an audit a training image's very file may have come back.

    Raises InputError for a file that cannot be read, and for a line that cannot be meant.
    """
    reviews = [review for path in paths for review in reviews_in(path, what)]
    if not reviews:
        raise InputError(f"{', '.join(map(str, paths))}: no line names a pair")
    return merged(reviews, tuple(sha256_of(path) for path in paths))


def reviews_in(path: Path, what: str = "reviews") -> Iterator[Review]:
    """The lines of a file, one by one. Raises InputError as `read_reviews` does."""
    try:
        with open_regular(path) as handle:
            yield from reviews_of(path, handle, what)
    except OSError as error:
        raise InputError(f"{what} {path} cannot be read: {reason_of(error)}") from None


def reviews_of(path: Path, handle: IO[bytes], what: str = "reviews") -> Iterator[Review]:
    """The lines from where the handle of an open file stands. Raises InputError as `read_reviews` does."""
    for number, row in text_rows(what, str(path), handle):
        yield review_of(f"{what} {path}, line {number}", row)


def review_of(place: str, row: Row) -> Review:
    """What a line says. Raises InputError, which names the place, for one that cannot be meant."""
    pair, verdict = _pair_of(place, row), _verdict_of(place, row)
    if pair.of_one_file and verdict is Verdict.NO_COPY:
        raise InputError(f"{place}: a file is paired with itself, byte by byte: that cannot be {verdict}")
    return Review(
        pair,
        verdict,
        " ".join(_text(row, "who").split()),  # a blank too many makes nobody another person
        _when_of(place, row),
        _text(row, "why"),
        _until_of(place, row),
        _text(row, "kind").lower() == FACE,
        _drawn_of(place, row),
    )


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
    return pair_of(*digests)


def _verdict_of(place: str, row: Row) -> Verdict | None:
    said = _text(row, "verdict").lower().replace("_", " ")
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


def _until_of(place: str, row: Row) -> date | None:
    said = _text(row, "until")
    if not said:
        return None
    try:
        return date.fromisoformat(said)
    except ValueError:
        raise InputError(f"{place}: until {said[:80]!r} is no day: write it as 2027-01-31") from None


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
