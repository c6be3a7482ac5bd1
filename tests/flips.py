"""A small project with one of each artefact, and what comes of a flipped bit in any of them.

The artefacts are found in the folder, and so is what reads them: whatever a command adds is flipped as well.
"""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from face_stores import face_store
from pictures import altered, draw, write_pictures
from vectors import near, random_vectors

import memaudit as ma
from memaudit.errors import MemauditError
from memaudit.index import Index
from memaudit.store import Store

REFUSED, HARMLESS = "refused", "harmless"
Answer = str
Reader = Callable[[Path], Answer]


def write_project(root: Path) -> Path:
    """Stores of images with tiles and details, of generations, of faces; an index; runs of dedup, audit, audit of faces
    and extraction; evidence of a look-up."""
    training = write_pictures(root / "training", range(9))
    altered(draw(3)).save(training / "0003b.png")
    (training / "0004b.png").write_bytes((training / "0004.png").read_bytes())
    generations = write_pictures(root / "generations", range(500, 502))
    altered(draw(5)).save(generations / "copy.png")
    project = root / "project"
    store = ma.embed(training, project / "store", encoder="thumbnail", shard_rows=6, tiles=True, fine_tiles=True)
    ma.build_index(store, project / "index", recipe="flat")
    dedup = ma.run_dedup(store, project / "dedup", match="none", threshold=0.8)
    ma.run_audit(generations, project / "index", project / "audit", match="none", views="none")
    ma.run_extract(generations, project / "extraction", prompt_pattern="{prompt}.png", clique=2, max_unreadable=1)
    ma.run_lookup(
        generations / "copy.png", store, dedup=dedup, match="none", views="none", evidence=project / "evidence.json"
    )
    _write_faces(project)
    return project


def _write_faces(project: Path) -> None:
    faces = random_vectors(0, 60)
    gallery = face_store(project / "faces", faces, prefix="train", shard_rows=32)
    queries = face_store(project / "generated-faces", near(1, faces[:20], 0.1), prefix="gen")
    control = face_store(project / "held-out-faces", random_vectors(9, 60), prefix="held")
    choices = ma.FaceChoices(control=control.folder)
    ma.run_audit(queries.folder, gallery.folder, project / "face-audit", faces=choices)


def artefacts(project: Path) -> list[Path]:
    """Every file that a command wrote and that says something."""
    return sorted(path for path in project.rglob("*") if path.is_file() and path.stat().st_size)


def answer_of_store(folder: Path) -> Answer:
    store = Store.open(folder)
    columns = store.all_columns()
    vectors = [block.embeddings.sum(dtype=np.float64) for block in store.blocks()]
    return repr([store.encoder, store.manifest, store.coverage, [c.tolist() for c in columns], vectors])


def answer_of_index(folder: Path) -> Answer:
    index = Index.open(folder)
    found = index.search(index.store.embeddings(np.arange(3)), 3, 0.9)
    return repr([index.store.digest, index.manifest, found.rows.tolist(), found.similarity.tolist()])


def answer_of_run(folder: Path) -> Answer:
    run = ma.open_report(folder)
    tables = {path.stem: run.table(path.stem).to_arrow().to_pylist() for path in sorted(folder.glob("*.parquet"))}
    return repr([run.report.content, tables])


def answer_of_evidence(path: Path) -> Answer:
    if not ma.verify(path).sound:
        raise ma.errors.InconclusiveError("the evidence was changed")
    return repr(json.loads(path.read_text()))


READERS: dict[str, Reader] = {
    "store.json": answer_of_store,
    "index.json": answer_of_index,
    "report.json": answer_of_run,
    "evidence.json": answer_of_evidence,
}


def places(project: Path) -> Iterator[tuple[Path, Reader]]:
    """What can be read: a folder or a file, and what reads it."""
    for name, reader in READERS.items():
        for path in sorted(project.rglob(name)):
            yield (path if name == "evidence.json" else path.parent), reader


def readers_of(project: Path, path: Path) -> dict[Path, Reader]:
    """What answers by this file: whatever lies above it, and indexes, which answer by a store."""
    return {
        place: reader
        for place, reader in places(project)
        if path == place or place in path.parents or (reader is answer_of_index and "store" in path.parts)
    }


@dataclass(frozen=True)
class Flip:
    """What came of a flipped bit. outcome: refused, harmless, or what is wrong."""

    path: Path
    offset: int
    bit: int
    outcome: str

    def __str__(self) -> str:
        return f"{self.path}, byte {self.offset}, bit {self.bit}: {self.outcome}"


class Flipper:
    """Flips one bit after the other, and holds what every reader says against what it said before. verified: every
    so many flips `verify` has to find the flip as well."""

    def __init__(self, project: Path, verified: int = 1) -> None:
        self.project = project
        self._verified, self._done = verified, 0
        self.paths = artefacts(project)
        self._before = {place: reader(place) for place, reader in places(project)}

    def flips(self, count: int, seed: int) -> Iterator[Flip]:
        """Files in turn, so that a manifest of 2 kB is flipped as often as a shard; bytes and bits at random."""
        draw = random.Random(seed)
        for number in range(count):
            path = self.paths[number % len(self.paths)]
            yield self.flip(path, draw.randrange(path.stat().st_size), draw.randrange(8))

    def flip(self, path: Path, offset: int, bit: int) -> Flip:
        good = path.read_bytes()
        try:
            path.write_bytes(good[:offset] + bytes([good[offset] ^ 1 << bit]) + good[offset + 1 :])
            outcome = self._outcome(path)
        finally:
            path.write_bytes(good)
        return Flip(path.relative_to(self.project), offset, bit, outcome)

    def _outcome(self, path: Path) -> str:
        refused = False
        for place, reader in readers_of(self.project, path).items():
            try:
                if reader(place) != self._before[place]:
                    return f"{place.relative_to(self.project)} gives another answer"
            except MemauditError as error:
                refused = True
                if "\n" in str(error):
                    return f"an error of several lines: {error}"
            except Exception as error:  # noqa: BLE001 - whatever it is, it must not come to a user
                return f"an internal error at {place.relative_to(self.project)}: {error!r}"
        self._done += 1
        if refused and self._done % self._verified:
            return REFUSED
        found = self._is_found(path)
        if refused:
            return REFUSED if found else "refused, yet verify says sound"
        return REFUSED if found else HARMLESS if self._says_the_same(path) else "not found by verify"

    def _is_found(self, path: Path) -> bool:
        """Whether verify tells, of whatever holds the file: what lies nearest is asked first."""
        for place in sorted(readers_of(self.project, path), key=lambda place: -len(place.parts)):
            try:
                if not ma.verify(place).sound:
                    return True
            except MemauditError:
                return True
        return False

    def _says_the_same(self, path: Path) -> bool:
        """Whether what was flipped says nothing: a blank between the parts of a JSON file, or who claimed a folder."""
        return path.suffix == ".json" or path.name.startswith(".")


def tally(flips: Iterator[Flip]) -> tuple[Counter[str], list[Flip]]:
    """How many were refused, how many harmless, and all that were neither."""
    counts: Counter[str] = Counter()
    wrong = []
    for flip in flips:
        counts[flip.outcome if flip.outcome in (REFUSED, HARMLESS) else "wrong"] += 1
        if flip.outcome not in (REFUSED, HARMLESS):
            wrong.append(flip)
    return counts, wrong
