"""Stores of synthetic unit vectors, and the brute force that everything is held against."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray

from memaudit.store import Row, Store, writing_store
from memaudit.types import EncoderSpec, Status

Vectors = NDArray[np.float32]


def unit(rows: Any) -> Vectors:
    """Rows of any numbers, scaled to length 1."""
    wide = np.asarray(rows, dtype=np.float64)
    return np.asarray(wide / np.linalg.norm(wide, axis=1, keepdims=True), dtype=np.float32)


def random_vectors(seed: int, rows: int, dim: int = 32) -> Vectors:
    """Directions without any structure: in 32 dimensions two of them hardly ever reach 0.8."""
    return unit(np.random.default_rng(seed).standard_normal((rows, dim)))


def near(seed: int, vectors: Vectors, noise: float = 0.3) -> Vectors:
    """Another vector close to each of the given ones: similarity about 1 / sqrt(1 + noise^2)."""
    return unit(vectors + noise * random_vectors(seed, *vectors.shape))


def families(seed: int, sizes: Sequence[int], dim: int = 32, noise: float = 0.3) -> Vectors:
    """Clumps of the given sizes around random centres; members of a clump reach about 1 / (1 + noise^2)."""
    centres = random_vectors(seed, len(sizes), dim)
    return near(seed + 1, np.repeat(centres, sizes, axis=0), noise)


def cosines(left: Vectors, right: Vectors) -> Vectors:
    """All similarities in float64, rounded to float32 at the end: the truth that blocked products must reproduce."""
    a, b = left.astype(np.float64), right.astype(np.float64)
    return np.float32((a @ b.T) / np.sqrt((a * a).sum(axis=1)[:, None] * (b * b).sum(axis=1)))


def true_pairs(vectors: Vectors, threshold: float) -> set[tuple[int, int]]:
    """All i < j at or above the threshold, by brute force."""
    left, right = np.nonzero(np.triu(cosines(vectors, vectors) >= np.float32(threshold), 1))
    return set(zip(left.tolist(), right.tolist(), strict=True))


@st.composite
def small_vectors(draw: st.DrawFn, dim: int = 4) -> Vectors:
    """Few whole-number directions: ties, repeated rows and opposite rows are common."""
    row = st.lists(st.integers(-2, 2), min_size=dim, max_size=dim).filter(any)
    return unit(draw(st.lists(row, min_size=1, max_size=14)))


def threshold_among(draw_index: int, similarities: Vectors) -> float:
    """One of the similarities that occur, so that it is an exact tie; 1.0 where none is above 0."""
    positive = np.unique(similarities[similarities > 0])
    return float(positive[draw_index % len(positive)]) if len(positive) else 1.0


def file_hash(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def vector_store(
    folder: Path,
    vectors: Any,
    *,
    prefix: str = "image",
    ids: Sequence[str] | None = None,
    files: Sequence[str] | None = None,
    hashes: Sequence[str] | None = None,
    statuses: Sequence[Status] | None = None,
    sizes: Sequence[tuple[int, int]] | None = None,
    uris: Sequence[str] | None = None,
    captions: Sequence[str] | None = None,
    metadata: Sequence[str] | None = None,
    simplicity: Sequence[float] | None = None,
    threshold: float = 0.8,
    shard_rows: int = 64,
    weights: str = "",
) -> Store:
    """Write a store whose i-th row is called ids[i] or `prefix`-0000i; equal `files` are the same file, or `hashes`."""
    vectors = np.asarray(vectors, dtype=np.float32)
    count = len(vectors)
    names = list(ids) if ids is not None else [f"{prefix}-{i:05d}" for i in range(count)]
    digests = hashes if hashes is not None else [file_hash(name) for name in (files if files is not None else names)]
    states = list(statuses) if statuses is not None else [Status.OK] * count
    rows = [
        Row(
            image_id=names[i],
            uri=uris[i] if uris else "",
            caption=captions[i] if captions else "",
            sha256=digests[i],
            width=(sizes[i] if sizes else (100, 100))[0],
            height=(sizes[i] if sizes else (100, 100))[1],
            status=states[i],
            error="" if states[i] is not Status.UNREADABLE else "cut off",
            embedding=vectors[i] if states[i] is Status.OK else None,
            metadata=metadata[i] if metadata else "",
            simplicity=simplicity[i] if simplicity else math.nan,
        )
        for i in range(count)
    ]
    spec = EncoderSpec("test", weights, "unit vectors", vectors.shape[1], threshold)
    with writing_store(folder, spec, shard_rows, ["test"]) as writer:
        for low in range(0, count, shard_rows):
            writer.write_shard(rows[low : low + shard_rows])
        writer.finish()
    return Store.open(folder)
