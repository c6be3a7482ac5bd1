"""Which picture is for what: fitted on, tuned on, tested on; the test part frozen before anything was tuned.

`split.csv` has a line for each picture. part: `fit`, `tune` or `test` of the main corpus, or `second`, the corpus that
took no part in anything. role: a `source` is a reference of which copies are made, a `reference` another one, `clean`
is queried and is no copy. Whoever fits or tunes may read the parts `fit` and `tune`, and nothing of the others.

How it was made, once, stands in splitting.py. `TEST_DIGEST` and `SECOND_DIGEST` are those of the parts that are
measured: they were committed before anything was tuned, and must never change again.
"""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

SPLIT = Path(__file__).with_name("split.csv")
TEST_DIGEST = "d5d801da7f6b144e30bbb43010ed0c235aa956034b60fdb13eacafb24589bd81"
SECOND_DIGEST = "0d482e77fa59cec049f44fc11a982b698d2c2cbe1921b0879117a7dc71903279"
FIT, TUNE, TEST, SECOND = "fit", "tune", "test", "second"
SOURCE, REFERENCE, CLEAN = "source", "reference", "clean"


class Line(NamedTuple):
    """sha256: of the decoded picture (`digest_of`), the first 16 digits; kind: of corpora.py; name: in the cache."""

    sha256: str
    part: str
    role: str
    kind: str
    name: str


def read_split(path: Path = SPLIT) -> list[Line]:
    with path.open(encoding="utf-8", newline="") as handle:
        return [Line(**row) for row in csv.DictReader(handle)]


def write_split(lines: Iterable[Line], path: Path = SPLIT) -> None:
    with path.open("w", encoding="utf-8", newline="") as handle:
        writer = csv.writer(handle, lineterminator="\n")
        writer.writerow(Line._fields)
        ordered: list[Line] = sorted(lines, key=lambda line: (line.part, line.role, line.kind, line.name))
        writer.writerows(ordered)


def part_digest(lines: Sequence[Line], part: str) -> str:
    """SHA-256 of a part: which pictures it has, and for what; whatever they are called."""
    told = sorted(f"{line.sha256} {line.role} {line.kind}\n" for line in lines if line.part == part)
    return hashlib.sha256("".join(told).encode()).hexdigest()
