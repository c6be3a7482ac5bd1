"""Synthetic embeddings with the structure of an image set, in a real store: topics, families, singletons."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from memaudit.store import MANIFEST, Columns, Store, writing_store
from memaudit.types import EncoderSpec, Float32, Int64, Status

DIM = 512
THRESHOLD = 0.75
TOPICS, TOPIC_SHARE = 300, 0.35  # cosine of two strangers of one topic
IN_FAMILIES, EXPONENT, LARGEST = 0.4, 2.3, 1000  # share of the rows; sizes are drawn from size^-EXPONENT
SHARD_ROWS = 65_536
VOCABULARY, WORDS = 50_000, 10  # of captions: words by Zipf's law, and how many an image has
_BLOCK = 8192


class Shape(NamedTuple):
    """similarity: of members of a family, one value for each family, between these. zipf: topics are drawn from
    rank^-zipf."""

    similarity: tuple[float, float]
    zipf: float


EVEN = Shape((0.86, 0.995), 0.0)
SKEWED = Shape((0.78, 0.999), 1.4)  # a third of all is of one topic, and families lie down to the threshold


class _Families(NamedTuple):
    """of: the family of each row; topic and similarity of each family."""

    of: Int64
    topic: Int64
    similarity: NDArray[np.float64]


def make_store(
    folder: Path, rows: int, spec: EncoderSpec | None = None, *, captions: bool = False, shape: Shape = EVEN
) -> Store:
    """Write the store, unless it is there. The same rows for the same size, whatever the machine. spec: of DIM
    dimensions, whose store it is to be taken for. captions: of WORDS words each, some 60 characters."""
    if not (folder / MANIFEST).is_file():
        families = _draw_families(rows, shape)
        spec = spec or EncoderSpec("synthetic", "", "unit vectors", DIM, THRESHOLD)
        with writing_store(folder, spec, SHARD_ROWS, ["bench"]) as writer:
            for low in range(0, rows, SHARD_ROWS):
                part = np.arange(low, min(low + SHARD_ROWS, rows))
                columns = _columns(part)
                columns = columns._replace(caption=_captions(part)) if captions else columns
                writer.write_columns(columns, _vectors(families, part).astype(np.float16))
            writer.finish()
    return Store.open(folder)


def _draw_families(rows: int, shape: Shape) -> _Families:
    rng = np.random.default_rng(0)
    sizes = np.arange(2, LARGEST + 1)
    chances = sizes**-EXPONENT / (sizes**-EXPONENT).sum()
    drawn = rng.choice(sizes, rows, p=chances)
    drawn = drawn[np.cumsum(drawn) <= IN_FAMILIES * rows]
    of = np.concatenate(
        [np.repeat(np.arange(len(drawn)), drawn), np.arange(len(drawn), len(drawn) + rows - drawn.sum())]
    )
    count = int(of[-1]) + 1
    of, ranks = rng.permutation(of), np.arange(1, TOPICS + 1) ** -shape.zipf
    topics = rng.choice(TOPICS, count, p=ranks / ranks.sum()) if shape.zipf else rng.integers(0, TOPICS, count)
    return _Families(of, topics, rng.uniform(*shape.similarity, count))


def _vectors(families: _Families, rows: Int64) -> Float32:
    topics = _directions(np.random.default_rng(1).standard_normal((TOPICS, DIM)))
    parts = []
    for low in range(0, len(rows), _BLOCK):
        part = rows[low : low + _BLOCK]
        family = families.of[part]
        own = np.stack([np.random.default_rng((2, number)).standard_normal(DIM) for number in family])
        centre = np.sqrt(TOPIC_SHARE) * topics[families.topic[family]] + np.sqrt(1 - TOPIC_SHARE) * _directions(own)
        share = families.similarity[family][:, None]
        noise = _directions(np.random.default_rng((3, int(part[0]))).standard_normal(own.shape))
        parts.append(_directions(np.sqrt(share) * _directions(centre) + np.sqrt(1 - share) * noise))
    return np.concatenate(parts).astype(np.float32)


def _directions(rows: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True))


def _captions(rows: Int64) -> NDArray[np.object_]:
    rng = np.random.default_rng((4, int(rows[0])))
    drawn = np.minimum(rng.zipf(1.2, (len(rows), WORDS)), VOCABULARY)
    return np.array([" ".join(f"w{word:x}rd" for word in words) for words in drawn.tolist()], dtype=object)


def _columns(rows: Int64) -> Columns:
    def text(values: list[str]) -> NDArray[np.object_]:
        return np.array(values, dtype=object)

    names = [f"{row:09d}" for row in rows]
    empty, side = text([""] * len(rows)), np.full(len(rows), 256, np.int64)
    return Columns(
        image_id=text(names),
        uri=empty,
        caption=empty,
        sha256=text([hashlib.sha256(name.encode()).hexdigest() for name in names]),
        width=side,
        height=side,
        status=np.array([Status.OK] * len(rows), dtype=object),
        error=empty,
        metadata=empty,
        simplicity=np.zeros(len(rows), np.float32),
        cut=np.zeros(len(rows), dtype=bool),
    )
