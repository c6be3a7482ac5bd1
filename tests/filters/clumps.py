"""A store in which a class is a clump, and a person who knows it."""

from __future__ import annotations

import csv
from collections.abc import Collection
from pathlib import Path

import numpy as np
from vectors import near, random_vectors, vector_store

from memaudit.filters.labels import Answer
from memaudit.store import Store

ROWS, POSITIVE = 400, 40


def clump_store(folder: Path, seed: int = 0, weights: str = "", dim: int = 32, noise: float = 0.7) -> Store:
    """Of ROWS images the first POSITIVE are of the class: about one centre, the others anywhere."""
    centre = random_vectors(seed + 1, 1, dim)
    inside = near(seed + 2, np.repeat(centre, POSITIVE, axis=0), noise)
    return vector_store(
        folder, np.concatenate([inside, random_vectors(seed + 3, ROWS - POSITIVE, dim)]), weights=weights
    )


def is_positive(image_id: str) -> bool:
    return int(image_id.rpartition("-")[2]) < POSITIVE


def answer(image_id: str) -> Answer:
    return Answer.YES if is_positive(image_id) else Answer.NO


SEEDS = {f"image-{number:05d}": answer(f"image-{number:05d}") for number in (0, 1, 2, 100, 200, 300)}


def write_answers(path: Path, ids: Collection[str]) -> Path:
    """What the person says of these."""
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("image_id", "label"))
        writer.writerows((each, int(is_positive(each))) for each in ids)
    return path


def asked(folder: Path, why: Collection[str] = ("uncertain", "missed", "sample")) -> list[str]:
    """Who is to be labelled."""
    with (folder / "next.csv").open(newline="") as file:
        return [row["image_id"] for row in csv.DictReader(file) if row["why"] in why]
