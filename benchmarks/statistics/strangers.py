"""What chance is said to give in a search of faces: by similarities alone, drawn in worlds where all are strangers."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from benchmarks.record import Figure
from benchmarks.statistics.measured import alarmed, covered, powered
from memaudit.faces.calibrate import Groups, calibrate, excess_p
from memaudit.faces.null import Null
from memaudit.statistics import greater_rate_p
from memaudit.types import Float32, Int64

FLOOR, SAME_PERSON, MEAN, SPREAD = 0.363, 0.6, 0.42, 0.05
OF_ONE_PERSON = 0.5  # of the spread is that between faces of one person
SHIFT = 0.08  # by which people of the second group are nearer to the training set
RETURNED = 0.7  # similarity of who is given back

Rng = np.random.Generator


class World(NamedTuple):
    """Similarities to the nearest training face. made, held_out: people; allowed: false matches; most: faces that a
    generated and a held-out person may have, by Zipf's law; beyond: of strangers at the same person's similarity;
    second: of which share of the generated and of the held-out people is the second group; matched: whether groups are
    told.
    """

    name: str
    made: int = 200
    held_out: int = 300
    allowed: float = 6.0
    most: tuple[int, int] = (1, 1)
    beyond: float = 0.0
    second: tuple[float, float] = (0.0, 0.0)
    matched: bool = True


WORLDS = (
    World("one face a person"),
    World("one face a person, 2,000 generated", 2000, 1000, 10.0),
    World("1 to 40 faces a generated person", most=(40, 1)),
    World("1 to 40 faces a held-out person", most=(1, 40)),
    World("1 in 200 strangers at 0.6", 1000, 1000, 1.0, beyond=0.005),
    World("1 in 50 strangers at 0.6", 600, 300, 2.0, beyond=0.02),
    World("1 in 1,000 strangers at 0.6, 10,000 generated", 10_000, 1000, 10.0, beyond=0.001),
    World("1 in 100 strangers at 0.6, 1 to 40 faces on both sides", 400, 300, 2.0, (40, 40), 0.01),
    World("5 and 1 in 10 of a nearer group", second=(0.5, 0.1)),
    World("1 and 5 in 10 of a nearer group", second=(0.1, 0.5)),
    World("5 and 1 in 10 of a nearer group, 1 in 200 at 0.6", 400, 600, 6.0, beyond=0.005, second=(0.5, 0.1)),
)
UNMATCHED = World("5 and 1 in 10 of a nearer group, not matched", second=(0.5, 0.1), matched=False)


class Side(NamedTuple):
    """People: what the face drawn of each reaches, and all faces; of whom these are; whose group."""

    drawn: Float32
    faces: Float32
    person: Int64
    group: Int64


class Said(NamedTuple):
    p: float
    held: bool
    p_before: float
    held_before: bool


def figures(draws: int) -> Iterator[Figure]:
    for place, world in enumerate(WORLDS):
        found = [audit(world, [11, place, draw]) for draw in range(4 * draws)]
        yield alarmed(world.name, [each.p <= 0.05 for each in found], "strangers")
        yield alarmed(world.name, [each.p_before <= 0.05 for each in found], "strangers, before", before=True)
        yield covered(world.name, [each.held for each in found], "false matches, interval")
        before = [each.held_before for each in found]
        yield covered(world.name, before, "false matches, interval, before", before=True)
        returned = [audit(world, [12, place, draw], 0.1) for draw in range(draws)]
        yield powered(f"{world.name}, 10 % given back", [each.p <= 0.05 for each in returned], "power among strangers")
    found = [audit(UNMATCHED, [13, draw]) for draw in range(draws)]
    yield alarmed(UNMATCHED.name, [each.p <= 0.05 for each in found], "strangers, before", before=True)


def audit(world: World, seed: list[int], returned: float = 0.0) -> Said:
    rng = np.random.default_rng(seed)
    made = _people(rng, world, world.made, world.most[0], world.second[0])
    given_back = rng.random(world.made) < returned
    made.drawn[given_back], made.faces[given_back[made.person]] = RETURNED, RETURNED
    held_out = _people(rng, world, world.held_out, world.most[1], world.second[1])
    nearest = np.full(world.held_out, -1, np.float32)
    np.maximum.at(nearest, held_out.person, held_out.faces)
    stranger = nearest < np.float32(SAME_PERSON)
    null = Null(held_out.drawn[stranger], excluded=held_out.drawn[~stranger])
    groups = Groups(made.group, held_out.group[stranger], held_out.group[~stranger])
    if not world.matched:
        groups = Groups.one(world.made, null)
    said = calibrate(null, world.made, world.allowed, FLOOR, SAME_PERSON, groups)
    matched = made.drawn >= np.float32(said.threshold)
    return Said(
        excess_p(groups, matched, null, said.threshold),
        said.low <= int(matched.sum()) <= said.high,
        *_before(world, made, nearest[stranger]),
    )


def _before(world: World, made: Side, strangers: Float32) -> tuple[float, bool]:
    """Each generated face counted, and the nearest of each held-out person who has none at the same person's."""
    said = calibrate(Null(strangers), len(made.faces), world.allowed, FLOOR, SAME_PERSON)
    count = int((made.faces >= np.float32(said.threshold)).sum())
    p = greater_rate_p(count, len(made.faces), said.above, said.samples)
    return p, said.low <= count <= said.high


def _people(rng: Rng, world: World, count: int, most: int, second: float) -> Side:
    group = (rng.random(count) < second).astype(np.int64)
    person = np.repeat(np.arange(count), np.minimum(rng.zipf(2, count), most))
    own = rng.standard_normal(count) * np.sqrt(1 - OF_ONE_PERSON**2)
    spread = own[person] + OF_ONE_PERSON * rng.standard_normal(len(person))
    faces = (MEAN + SHIFT * group[person] + SPREAD * spread).clip(max=SAME_PERSON - 1e-3).astype(np.float32)
    alike = rng.random(count) < world.beyond
    faces[alike[person]] = rng.uniform(SAME_PERSON, 0.65, int(alike[person].sum()))
    first = np.unique(person, return_index=True)[1]
    return Side(faces[first], faces, person, group)
