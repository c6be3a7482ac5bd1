"""How well people are told apart on a user's own pictures: `python -m benchmarks faces --folder DIR`.

Sub-folders are people. Of each picture the largest face counts; what shows none is left out and counted, and so are
files that are there again. True pairs are two pictures of one person, impostor pairs two of different ones. The cut is
the lowest that no more than `IMPOSTORS` impostor pairs reach: their number over all of them is the lowest false-match
rate that so many resolve. Its true-match rate has a 95 % interval with people as the unit; beside it stand other rates
that the pairs resolve. --groups CSV (columns person, group) tells both rates of each group by the same cut: encoders
err more often with some than with others.
"""

from __future__ import annotations

import csv
import hashlib
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from benchmarks.measure import BenchmarkError, timed
from benchmarks.record import Figure, rate
from memaudit.encoders.sface import resolve
from memaudit.faces.embed import FaceOptions, embed_faces
from memaudit.faces.rows import face_rows
from memaudit.images.sources import iter_images
from memaudit.statistics import clopper_pearson_upper
from memaudit.types import Float32, Int64

IMPOSTORS = 3
_COARSER = (1e-2, 1e-3, 1e-4, 1e-5)  # other false-match rates, where they are resolved


class Seen(NamedTuple):
    """Faces: vectors (n, dim), and the number of each one's person. people: their names; without: pictures that show no
    comparable face; again: files that are there again; seconds: of processor time a picture."""

    vectors: Float32
    person: Int64
    people: tuple[str, ...]
    without: int
    again: int
    seconds: float


class Compared(NamedTuple):
    """All pairs of faces on different pictures: similarity, and both people (n,)."""

    similarity: Float32
    left: Int64
    right: Int64

    @property
    def same(self) -> NDArray[np.bool_]:
        return np.asarray(self.left == self.right)


def seen_in(folder: Path, encoder: str) -> Seen:
    """Raises BenchmarkError for fewer than two people, or none with two pictures."""
    refs = list(iter_images([folder]))
    known = {ref.image_id: ref.image_id.partition("/")[0] for ref in refs if "/" in ref.image_id}
    again = _again(folder, sorted(known))
    with tempfile.TemporaryDirectory() as out:
        run = timed(partial(embed_faces, [folder], Path(out, "faces"), resolve(encoder, "cpu"), FaceOptions()))
        store = run.result
        rows = store.comparable_rows()
        largest: dict[str, tuple[float, int]] = {}
        for row, face in zip(rows.tolist(), face_rows(store.columns(rows)), strict=True):
            if face.details and face.parent in known and face.parent not in again:
                largest[face.parent] = max(largest.get(face.parent, (0.0, -1)), (face.details.size, row))
        chosen = sorted(largest)
        vectors = store.embeddings(np.array([largest[name][1] for name in chosen], np.int64))
    people = tuple(sorted({known[name] for name in chosen}))
    person = np.array([people.index(known[name]) for name in chosen], np.int64)
    if len(people) < 2 or np.bincount(person, minlength=1).max(initial=0) < 2:
        raise BenchmarkError(
            f"{folder} needs sub-folders of two people or more, and of one of them two pictures with a face; "
            f"{len(chosen)} pictures of {len(people)} people have one"
        )
    without = len(known) - len(again) - len(chosen)
    return Seen(vectors, person, people, without, len(again), run.cpu_seconds / max(1, len(refs)))


def _again(folder: Path, names: Sequence[str]) -> set[str]:
    """Those of which the same file stands before them."""
    first: dict[str, str] = {}
    for name in names:
        first.setdefault(hashlib.sha256((folder / name).read_bytes()).hexdigest(), name)
    return {name for name in names if name not in first.values()}


def compared(vectors: Float32, person: Int64) -> Compared:
    left, right = np.triu_indices(len(vectors), 1)
    return Compared((vectors @ vectors.T)[left, right], person[left], person[right])


def cut_at(impostors: Float32, most: int) -> float:
    """The lowest cut that no more than so many of these similarities reach."""
    if len(impostors) <= most:
        return -1.0
    beyond = float(np.partition(impostors, len(impostors) - most - 1)[len(impostors) - most - 1])
    return float(np.nextafter(np.float32(beyond), np.float32(2)))


def true_matches(pairs: Compared, cut: float, people: int) -> Figure:
    """With people as what is drawn."""
    same = pairs.same
    true = np.bincount(pairs.left[same], minlength=people)
    found = np.bincount(pairs.left[same & (pairs.similarity >= np.float32(cut))], minlength=people)
    told = rate(found, true)
    value, low, high = told if told else (None, None, None)
    return Figure("", int(true.sum()), "true-match rate", value, low, high)


def rates_of(
    pairs: Compared, people: int, data: str, groups: Mapping[str, Sequence[int]] | None = None
) -> Iterator[Figure]:
    """groups: numbers of the people of each."""
    impostors = pairs.similarity[~pairs.same]
    count = len(impostors)
    cut = cut_at(impostors, IMPOSTORS)
    lowest = f"at the lowest false-match rate that {count:,} impostor pairs resolve, {IMPOSTORS / max(1, count):.1e}"
    yield _named(true_matches(pairs, cut, people), data, f"true-match rate {lowest}")
    yield Figure(data, count, f"similarity that is the cut {lowest}", cut)
    for wanted in _COARSER:
        if wanted * count > IMPOSTORS:
            at = cut_at(impostors, int(wanted * count))
            yield _named(true_matches(pairs, at, people), data, f"true-match rate at a false-match rate of {wanted:g}")
    for name, members in sorted((groups or {}).items()):
        inside = np.isin(pairs.left, members) & np.isin(pairs.right, members)
        own = Compared(pairs.similarity[inside], pairs.left[inside], pairs.right[inside])
        yield _named(true_matches(own, cut, people), data, f"true-match rate of group {name}, by the same cut")
        among = int((~own.same).sum())
        wrong = int((~own.same & (own.similarity >= np.float32(cut))).sum())
        most = clopper_pearson_upper(wrong, among, 0.05) if among else None
        note = "" if among else "no impostor pair within it"
        measure = f"false-match rate within group {name}, by the same cut; most: 95 % bound, were pairs independent"
        yield Figure(data, among, measure, wrong / among if among else None, 0.0 if among else None, most, note=note)


def _named(figure: Figure, data: str, measure: str) -> Figure:
    note = "" if figure.median is not None else "no pair of one person"
    return Figure(data, figure.count, measure, figure.median, figure.least, figure.most, note=note)


def read_groups(file: Path, people: Sequence[str]) -> dict[str, list[int]]:
    """Raises BenchmarkError for a file without the two columns, or of other people."""
    with file.open(encoding="utf-8", newline="") as handle:
        lines = list(csv.DictReader(handle))
    if not lines or not {"person", "group"} <= set(lines[0]):
        raise BenchmarkError(f"{file}: expected the columns person and group")
    named = {line["person"]: line["group"] for line in lines}
    missing = [person for person in people if person not in named]
    if missing:
        raise BenchmarkError(f"{file} has no group for {missing[0]!r}, and {len(missing) - 1} more people")
    groups: dict[str, list[int]] = {}
    for number, person in enumerate(people):
        groups.setdefault(named[person], []).append(number)
    return groups


def figures_of(folder: Path, encoders: Sequence[str], groups: Path | None) -> Iterator[Figure]:
    for encoder in encoders:
        seen = seen_in(folder, encoder)
        named = read_groups(groups, seen.people) if groups else None
        data = (
            f"{encoder}: {len(seen.people)} people, {len(seen.person)} pictures ({seen.without} without a face, "
            f"{seen.again} there again)"
        )
        yield from rates_of(compared(seen.vectors, seen.person), len(seen.people), data, named)
        yield Figure(data, len(seen.person), "ms of processor time a picture", 1000 * seen.seconds)
