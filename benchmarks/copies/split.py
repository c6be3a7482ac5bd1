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
TEST_DIGEST = "24294064a6471b2f271f699ef5001eba691ae545ffb252de64d56a091e2b4e33"
SECOND_DIGEST = "9203d1820df8c1efa107a91d68be006f37ba598057816ddb4ea136892ba085f6"
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
