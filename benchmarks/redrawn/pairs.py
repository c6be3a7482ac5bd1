"""Pairs of a part with their signals: `python -m benchmarks.redrawn.pairs FOLDER FIT WEIGHTS [SOURCES]`.

FOLDER is a part that `benchmarks.copies.pairs` wrote, FIT the one of that name, WEIGHTS those of the auto-encoder.
Two thirds of the sources are `RICH`, as far as they reach. Each is drawn anew `EACH` times; what is drawn is held
against its source, and where the source is no square, its middle as well; and against the `NULLS` most similar other
references. So are the part's clean pictures, those with the most similar reference first. What shows one thing
(`shared`, or a copy) is no null. Written to FOLDER/redrawn: pictures, and pairs.parquet, a row for each pair.
"""

from __future__ import annotations

import hashlib
import sys
from collections import defaultdict
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from benchmarks.copies.made import Made, made_in
from benchmarks.copies.pairs import PAIRS, Shared
from benchmarks.copies.split import CLEAN, REFERENCE, SOURCE
from benchmarks.redrawn.drawing import Studio, save
from benchmarks.redrawn.signals import DRAWN, Row
from memaudit.encoders.catalog import load_encoder
from memaudit.encoders.encoder import Encoder
from memaudit.matching.layout import FRAMED, signals_of_layouts
from memaudit.matching.pictures import read_pixels
from memaudit.matching.redrawn import Composition, Pixels, frames_of
from memaudit.store import Store
from memaudit.types import Float32
from scripts.alterations import read_rgb, stream

FLOOR = 0.1
SOURCES, EACH, NULLS = 200, 3, 5
CLOSEST_WHOLE = 3
RICH = frozenset({"photograph", "painting", "building", "object", "face", "wallpaper"})
_LEFT_OUT = frozenset({"gradient", "shape", "texture", "text"})  # of which nobody tells one drawn anew from another one


class Seen:
    """Pictures as they are compared, each made once."""

    def __init__(self, encoder: Encoder) -> None:
        self._encoder, self._seen = encoder, dict[Path, Composition]()

    def embedded(self, file: Path) -> Float32:
        """Of the whole picture, as `embed` makes it."""
        vector: Float32 = self._encoder.encode(self._encoder.preprocess(read_rgb(file))[None])[0]
        return vector

    def signals(self, query: Path, reference: Path) -> list[list[float]]:
        """Of each frame."""
        own = self._composition(query)
        return [
            [*sketched, *signals_of_layouts(own.layout, part.layout)]
            for part, sketched in frames_of(own, self._composition(reference))
        ]

    def _composition(self, file: Path) -> Composition:
        if file not in self._seen:
            assert self._encoder.regions is not None
            self._seen[file] = Composition(pixels_of(file), self._encoder.regions)
        return self._seen[file]


def pixels_of(file: Path) -> Pixels:
    """As they are compared."""
    read = read_pixels(str(file), hashlib.sha256(file.read_bytes()).hexdigest())
    if isinstance(read, str):
        raise ValueError(f"{file}: {read}")
    return read


class References:
    """Those of a part: their embeddings, and what shows the same as each."""

    def __init__(self, folder: Path, made: Sequence[Made]) -> None:
        store = Store.open(folder / "references")
        self.ids: list[str] = list(store.all_columns().image_id)
        self.files = {one.image_id: one.file for one in made}
        self.kinds = {one.image_id: one.kind for one in made}
        self.vectors = np.zeros((len(self.ids), store.encoder.dim), np.float32)
        for block in store.blocks():
            self.vectors[block.rows] = block.embeddings
        self._shared, self._same = Shared(), defaultdict[str, set[str]](set)
        columns = pq.read_table(folder / PAIRS, columns=["source", "reference", "label"]).to_pydict()
        for source, reference, label in zip(*columns.values(), strict=True):
            if label != "none":
                self._same[source].add(reference)
                self._same[reference].add(source)

    def nulls(self, source: str, vector: Float32) -> Iterator[tuple[str, float]]:
        """The most similar references that show another thing than the source, and how similar they are."""
        similarity = self.vectors @ vector
        left = NULLS
        for place in np.argsort(-similarity, kind="stable"):
            name = self.ids[place]
            if left and similarity[place] >= FLOOR and name != source and not self._show_one(source, name):
                left -= 1
                yield name, float(similarity[place])

    def similarity(self, name: str, vector: Float32) -> float:
        return float(self.vectors[self.ids.index(name)] @ vector)

    def _show_one(self, one: str, other: str) -> bool:
        return other in self._same[one] or self._shared(one, other)


def chosen_sources(made: Sequence[Made], ids: Sequence[str], most: int) -> list[Made]:
    """References of which some are drawn anew, two thirds of them `RICH`; as a hash has it."""
    listed = {one.image_id: one for one in made if one.role in (SOURCE, REFERENCE) and one.kind not in _LEFT_OUT}
    ordered = sorted((listed[name] for name in set(ids) & set(listed)), key=lambda one: _hashed(one.image_id))
    rich = [one for one in ordered if one.kind in RICH][: most * 2 // 3]
    return [*rich, *(one for one in ordered if one.kind not in RICH)][:most]


def _hashed(name: str) -> bytes:
    return hashlib.sha256(f"drawn anew: {name}".encode()).digest()


def rows_of_drawn(one: Made, studio: Studio, references: References, seen: Seen, out: Path) -> Iterator[Row]:
    """A source drawn anew, beside itself and beside others."""
    for number in range(EACH):
        drawn = studio.drawn(read_rgb(one.file))
        for part, image in _parts(drawn.image):
            file = out / f"{hashlib.sha256(one.image_id.encode()).hexdigest()[:16]}-{number}{part}.jpg"
            save(image, file)
            told = {"way": drawn.way + part, "strength": drawn.strength}
            vector = seen.embedded(file)
            pairs = [(one.image_id, references.similarity(one.image_id, vector))]
            if not part:
                pairs += references.nulls(one.image_id, vector)
            for name, similarity in pairs:
                yield _row(one, file, name, similarity, references, seen) | told


def _parts(image: Image.Image) -> Iterator[tuple[str, Image.Image]]:
    """The picture, and where it is no square its middle, as training cuts it."""
    yield "", image
    if max(image.size) >= FRAMED * min(image.size):
        side = min(image.size)
        left, top = ((length - side) // 2 for length in image.size)
        yield ", middle", image.crop((left, top, left + side, top + side))


def rows_of_clean(made: Sequence[Made], references: References, seen: Seen) -> Iterator[Row]:
    """The clean pictures, each with the references that an audit looks at."""
    for one in (one for one in made if one.role == CLEAN):
        for name, similarity in islice(references.nulls(one.image_id, seen.embedded(one.file)), CLOSEST_WHOLE):
            yield _row(one, one.file, name, similarity, references, seen) | {"way": "", "strength": -1}


def _row(one: Made, file: Path, name: str, similarity: float, references: References, seen: Seen) -> Row:
    return {
        "source": one.image_id,
        "kind": one.kind,
        "query": str(file),
        "reference": name,
        "reference_kind": references.kinds[name],
        "redrawn": name == one.image_id,
        "similarity": similarity,
        "signals": seen.signals(file, references.files[name]),
    }


def write_pairs(folder: Path, fit: Path, weights: Path, sources: int = SOURCES) -> Path:
    """All of a part."""
    made, out = made_in(folder, ()), folder / DRAWN
    (out / "images").mkdir(parents=True, exist_ok=True)
    beside = sorted(one.file for one in made_in(fit, ()) if one.role == CLEAN)
    studio, seen = Studio(weights, beside, stream(0, folder.name, "drawn anew", 0)), Seen(load_encoder("sscd"))
    references = References(folder, made)
    rows = [
        row
        for one in chosen_sources(made, references.ids, sources)
        for row in rows_of_drawn(one, studio, references, seen, out / "images")
    ]
    rows += rows_of_clean(made, references, seen)
    pq.write_table(pa.Table.from_pylist(rows), out / PAIRS)
    return out / PAIRS


if __name__ == "__main__":
    write_pairs(Path(sys.argv[1]), Path(sys.argv[2]), Path(sys.argv[3]), int(sys.argv[4]) if sys.argv[4:] else SOURCES)
