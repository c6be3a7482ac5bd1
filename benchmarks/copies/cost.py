"""Processor time of the decision: once an image, and of each pair of two that are at hand."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq

from benchmarks.copies.pairs import PAIRS
from benchmarks.record import Figure
from memaudit.matching.compare import one_thread_each
from memaudit.matching.pictures import Picture, read_picture
from memaudit.matching.rule import check

KINDS = ("photograph", "painting", "clip-art", "emoji", "icon", "flag", "card", "text", "stamp", "wallpaper")
PAIRS_OF_KIND = 60


def cost_figures(folder: Path, data: str) -> Iterator[Figure]:
    """By the kind of the query: candidates at random, half of them copies as far as there are."""
    rows = pq.read_table(folder / PAIRS, columns=["query_path", "reference_path", "kind", "label", "candidate", "role"])
    pairs = sorted((row for row in rows.to_pylist() if row["candidate"]), key=_at_random)
    for kind in KINDS:
        of_kind = [row for row in pairs if row["kind"] == kind]
        halves = ([row for row in of_kind if (row["label"] == "copy") == copy] for copy in (True, False))
        chosen = [row for half in halves for row in half[: PAIRS_OF_KIND // 2]]
        if chosen:
            yield from _of_kind([(row["query_path"], row["reference_path"]) for row in chosen], f"{data}, {kind}")


def _at_random(row: dict[str, str]) -> bytes:
    return hashlib.sha256((row["query_path"] + row["reference_path"]).encode()).digest()


def _of_kind(pairs: list[tuple[str, str]], data: str) -> Iterator[Figure]:
    read, checked = list[float](), list[float]()
    with one_thread_each():
        for pair in pairs:
            pictures = []
            for path in pair:
                started = time.thread_time()
                picture = _read(path)
                read.append(1000 * (time.thread_time() - started))
                pictures.append(picture)
            started = time.thread_time()
            check(pictures[0], pictures[1])
            checked.append(1000 * (time.thread_time() - started))
    for measure, values in (("of an image, CPU ms", read), ("of a pair, CPU ms", checked)):
        yield Figure(data, len(values), f"median {measure}", float(np.median(values)))
        yield Figure(data, len(values), f"mean {measure}", float(np.mean(values)))


def _read(path: str) -> Picture:
    with open(path, "rb") as handle:
        digest = hashlib.file_digest(handle, "sha256").hexdigest()
    picture = read_picture(path, digest)
    if isinstance(picture, str):
        raise TypeError(picture)
    return picture
