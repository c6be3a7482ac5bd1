"""Recall of a dedup run from sampled rows, where pairs come in families."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from benchmarks.record import Figure
from benchmarks.statistics.measured import covered
from memaudit.statistics import clopper_pearson_lower, clopper_pearson_upper, ratio_interval
from memaudit.types import Int64


class World(NamedTuple):
    """Families of images, and how often all pairs of one are lost, or single images with all of theirs."""

    name: str
    sizes: Int64
    family_lost: float
    image_lost: float


def worlds() -> Iterator[World]:
    rng = np.random.default_rng(4)
    zipf = np.minimum(rng.zipf(2, 20_000) + 1, 400)
    for lost in (0.002, 0.01, 0.03):
        yield World(f"families by Zipf's law, {lost:.1%} of families lost", zipf, lost, 0.0)
        yield World(f"families by Zipf's law, {lost:.1%} of images lost", zipf, 0.0, lost)
        yield World(f"pairs, {lost:.1%} of families lost", np.full(20_000, 2), lost, 0.0)
        large = np.r_[np.full(20_000, 2), np.full(10, 300)]
        yield World(f"pairs and ten families of 300, {lost:.1%} of images lost", large, 0.0, lost)


def figures(draws: int) -> Iterator[Figure]:
    for place, world in enumerate(worlds()):
        rng = np.random.default_rng([5, place])
        size = np.repeat(world.sizes, world.sizes)
        family = np.repeat(rng.random(len(world.sizes)) < world.family_lost, world.sizes)
        true = size - 1
        found = np.where(family | (rng.random(len(size)) < world.image_lost), 0, true)
        complete, pairs = float((found == true).mean()), float(found.sum() / true.sum())
        rows = [rng.choice(len(size), 500, replace=False) for _ in range(draws)]
        counts = [int((found[each] == true[each]).sum()) for each in rows]
        ends = [(clopper_pearson_lower(k, 500, 0.025), clopper_pearson_upper(k, 500, 0.025)) for k in counts]
        yield covered(world.name, [low <= complete <= high for low, high in ends], "images with all found")
        by_pair = [ratio_interval(found[each], true[each], 0.95) for each in rows]
        yield covered(
            world.name, [low <= pairs <= high for low, high in by_pair], "pairs, nothing promised", before=True
        )
