"""What held-out images say about a model that knows the subjects and memorised nothing, and about one that copies."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from benchmarks.record import Figure
from benchmarks.statistics.measured import alarmed, powered
from memaudit.audit.families import components, families_of, keys_of, thinned, units_of
from memaudit.statistics import benjamini_hochberg, greater_rate_p, rank_p, relabelling_p
from memaudit.types import Float32, Int64

THRESHOLD, DIM, NOISE = 0.8, 40, 0.35
TRAINING, HELD_OUT, MADE = 1000, 500, 600
MOTIFS = 3000
WORLDS = (
    "each its own",
    "Zipf's law",
    "a motif 250 times held out",
    "ten seeds a prompt",
    "families whole",
    "one of 300 whole",
)
DEAR = (WORLDS[0], WORLDS[4])  # of thousands of families
ALIKE = WORLDS[1:4]
"""Where held-out images resemble no training image by construction, only the relabelling test says anything."""


class Alarms(NamedTuple):
    relabelling: bool
    rate: bool
    single: bool
    rate_before: bool
    single_before: bool


def figures(draws: int) -> Iterator[Figure]:
    for place, world in enumerate(WORLDS):
        many = max(1, draws // 2) if world in DEAR else 4 * draws  # each is an audit
        found = [alarms(world, [6, place, seed], 0.0) for seed in range(many)]
        yield alarmed(world, [each.relabelling for each in found], "relabelling")
        if world in ALIKE:
            yield alarmed(world, [each.rate for each in found], "Fisher")
            yield alarmed(world, [each.single for each in found], "Benjamini-Hochberg")
            yield alarmed(world, [each.rate_before for each in found], "Fisher, before", before=True)
            yield alarmed(world, [each.single_before for each in found], "Benjamini-Hochberg, before", before=True)
        copying = [alarms(world, [7, place, seed], 0.05) for seed in range(max(1, draws // 8))]
        yield powered(f"{world}, 5 % copied", [each.relabelling for each in copying], "power of relabelling")


def motifs(world: str, rng: np.random.Generator) -> tuple[Int64, Int64, Int64]:
    """Of training images, of held-out ones, and of generations."""
    weight = 1 / np.arange(1, MOTIFS + 1)

    def drawn(count: int) -> Int64:
        return rng.choice(MOTIFS, count, p=weight / weight.sum())

    if world == WORLDS[0]:
        order = rng.permutation(TRAINING + HELD_OUT + 4000)
        return order[:TRAINING], order[TRAINING : TRAINING + HELD_OUT], rng.choice(order, MADE)
    if world == WORLDS[2]:
        return drawn(TRAINING), np.r_[np.repeat(drawn(1), 250), drawn(HELD_OUT - 250)], drawn(MADE)
    if world == WORLDS[3]:
        return drawn(TRAINING), drawn(HELD_OUT), np.repeat(drawn(MADE // 10), 10)
    if world == WORLDS[1]:
        return drawn(TRAINING), drawn(HELD_OUT), drawn(MADE)
    sizes = np.minimum(rng.zipf(2, TRAINING + HELD_OUT), 300)
    if world == WORLDS[5]:
        sizes = np.r_[300, np.ones(TRAINING + HELD_OUT - 300, np.int64)]
    held_out = rng.random(len(sizes)) < HELD_OUT / (TRAINING + HELD_OUT)
    if world == WORLDS[5]:
        held_out[0] = True
    whole = [np.repeat(np.flatnonzero(side), sizes[side]) for side in (~held_out, held_out)]
    return whole[0], whole[1], rng.choice(len(sizes), MADE)


def alarms(world: str, seed: list[int], copied: float) -> Alarms:
    """What an audit's three tests say at 5 %, and what they said when images were counted."""
    rng = np.random.default_rng(seed)
    of = motifs(world, rng)
    centres = _unit(rng.standard_normal((max(int(each.max(initial=0)) for each in of) + 1, DIM)))
    training, held_out, made = (_near(rng, centres[each]) for each in of)
    if copied:
        copies = np.flatnonzero(rng.random(len(made)) < copied)
        made[copies] = _near(rng, training[rng.integers(0, len(training), len(copies))], 0.25)
    a, b = made @ training.T, made @ held_out.T
    best, held = a.max(axis=1), b.max(axis=1)
    kept = (held >= THRESHOLD) & (held >= best)
    place = np.where(kept, len(training) + b.argmax(axis=1), np.where(best >= THRESHOLD, a.argmax(axis=1), -1))
    both = np.concatenate([training, held_out])
    weights = np.bincount(place[place >= 0], minlength=len(both))
    joined = families_of(both, np.arange(len(both)) < len(training), weights, THRESHOLD)
    family = np.where(place >= 0, joined.label[place], -1)
    unit = units_of(components(made, THRESHOLD), np.arange(len(made)), family)
    chosen = thinned(unit, keys_of(made), joined.label[len(training) :], keys_of(held_out))
    chance = (held_out @ training.T).max(axis=1)
    after = _tests(best[chosen.generations], chance[chosen.controls], chosen.rated)
    p = relabelling_p(*joined.returned, *joined.sides, permutations=199, seed=0)
    return Alarms(p <= 0.05, *after, *_tests(best, chance, len(best)))


def _tests(similar: Float32, chance: Float32, rated: int) -> tuple[bool, bool]:
    counts = int((similar[:rated] >= THRESHOLD).sum()), int((chance >= THRESHOLD).sum())
    rate = greater_rate_p(counts[0], rated, counts[1], len(chance)) <= 0.05
    return rate, bool((benjamini_hochberg(rank_p(similar, chance)) <= 0.05).any())


def _near(rng: np.random.Generator, vectors: Float32, noise: float = NOISE) -> Float32:
    return _unit(vectors + noise * _unit(rng.standard_normal(vectors.shape)))


def _unit(vectors: object) -> Float32:
    wide = np.asarray(vectors, dtype=np.float64)
    return np.asarray(wide / np.linalg.norm(wide, axis=1, keepdims=True), dtype=np.float32)
