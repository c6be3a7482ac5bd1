"""Pairs that were proposed to be labelled, a sheet each: what `memaudit calibrate propose` writes."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import NamedTuple

import numpy as np

from memaudit.errors import InputError
from memaudit.files import open_regular, reason_of
from memaudit.images.cells import Row, columns_called, first_of
from memaudit.images.text_rows import text_rows
from memaudit.matching.model import copy_model
from memaudit.reviewing.queue import Member, Queue, Roles, Sheet, Shown, keys_of
from memaudit.reviews import LEFT, RIGHT, Review, review_of
from memaudit.types import Int64

ROLES = Roles("one image", "other image")
_URIS = ("left_uri", "right_uri")
FIRST = 2
_MOST = 100_000  # pairs: nobody looks at more


class _Line(NamedTuple):
    review: Review
    digests: tuple[str, str]
    uris: tuple[str, str]
    similarity: float
    probability: float


def proposals_queue(path: Path) -> tuple[Queue, list[Review]]:
    """The pairs of the file, and what it says of them already. Memory: a few hundred bytes a pair.

    Raises InputError for a file that cannot be meant, or does not say where the images are.
    """
    every = _lines(path)
    lines = list({line.review.pair: line for line in every}.values())
    ordered = [lines[place] for place in _by_doubt(lines).tolist()]

    def sheet(at: int) -> Sheet:
        line = ordered[at]
        one, other = (Shown(_short(uri), digest, uri) for uri, digest in zip(line.uris, line.digests, strict=True))
        probability = None if np.isnan(line.probability) else line.probability
        return Sheet("", other, (Member(one, line.similarity, probability, (), _facts(line)),))

    keys = keys_of((line.review.pair, line.review.face) for line in ordered)
    queue = Queue("Pairs to be labelled", ROLES, sheet, keys, np.arange(len(ordered) + 1))
    return queue, [line.review for line in every]


def _by_doubt(lines: list[_Line]) -> Int64:
    """`FIRST` pairs of every stratum, then whole strata, the most doubtful one first; within a stratum as they were
    drawn. So whatever part is labelled is a random one of its stratum, which rates are estimated from."""
    cut = copy_model().cut
    doubt = np.abs(np.nan_to_num([line.probability for line in lines], nan=cut) - cut)
    strata = [line.review.drawn.stratum if line.review.drawn else "" for line in lines]
    _, stratum = np.unique(strata, return_inverse=True)
    mean = np.bincount(stratum, doubt) / np.bincount(stratum)
    seen = Counter[int]()
    later = np.zeros(len(lines), bool)
    for place, each in enumerate(stratum.tolist()):
        seen[each] += 1
        later[place] = seen[each] > FIRST
    return np.lexsort((np.arange(len(lines)), stratum, mean[stratum], later)).astype(np.int64)


def _lines(path: Path) -> list[_Line]:
    found = list[_Line]()
    try:
        with open_regular(path) as handle:
            for number, row in text_rows("pairs", str(path), handle):
                found.append(_line(f"pairs {path}, line {number}", row))
                if len(found) > _MOST:
                    raise InputError(f"pairs {path} has more than {_MOST:,} lines: propose fewer")
    except OSError as error:
        raise InputError(f"pairs {path} cannot be read: {reason_of(error)}") from None
    if not found:
        raise InputError(f"pairs {path} has no line: there is nothing to review")
    return found


def _line(place: str, row: Row) -> _Line:
    review = review_of(place, row)
    uris = [first_of(row, (name,)).text.strip() if columns_called(tuple(row), (name,)) else "" for name in _URIS]
    if not all(uris):
        raise InputError(
            f"{place}: no {' and '.join(_URIS)}, so nobody knows where the pictures are: give what memaudit calibrate "
            "propose wrote; for a sample of findings give the report, and the sample as --out"
        )
    digests = [first_of(row, (name,)).text.strip().lower() for name in (LEFT, RIGHT)]
    return _Line(
        review,
        (digests[0], digests[1]),
        (uris[0], uris[1]),
        *(_number(row, name) for name in ("similarity", "probability")),
    )


def _number(row: Row, name: str) -> float:
    try:
        return float(first_of(row, (name,)).text)
    except ValueError:
        return float("nan")


def _facts(line: _Line) -> str:
    return "" if np.isnan(line.probability) else f"probability of a copy {line.probability:.2f}"


def _short(uri: str) -> str:
    """Its last two names: where it lies is for this machine to know."""
    return "/".join(uri.replace("\\", "/").rstrip("/").split("/")[-2:])
