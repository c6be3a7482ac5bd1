"""What an audit of faces says of a model that draws strangers, and of one that gives training people back."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from benchmarks.record import Figure
from benchmarks.statistics.measured import alarmed, covered, powered
from memaudit.encoders.specs import families
from memaudit.faces.calibrate import calibrate
from memaudit.faces.compare import CompareOptions, compare_faces
from memaudit.faces.names import face_id
from memaudit.faces.null import Null
from memaudit.faces.results import FacesResult
from memaudit.faces.rows import Details, face_metadata
from memaudit.index import ExactSearch
from memaudit.statistics import greater_rate_p
from memaudit.store import FACES, Row, Store, writing_store
from memaudit.types import EncoderSpec, Float32, Int64, Status

TRAINING, HELD_OUT, FRESH = 400, 300, 20_000
LIKENESS = 0.5  # with the one face that all of a group resemble
ONE_PERSONS, RETURNED = 0.4, 0.8  # noise of another face of a person, and of one that the model gives back
_DETAILS = Details((0.0, 0.0, 90.0, 90.0), ((0.0, 0.0),) * 5, 0.9, 90.0, 200.0, 0.0, 0.0, 0.8)

Rng = np.random.Generator


class World(NamedTuple):
    """dim: the fewer, the more strangers are at 0.6 and more with a training face. made: generated people; allowed:
    false matches. most: how many faces a generated and a held-out person may have, by Zipf's law. alike: of which share
    of the generated and of the held-out people the faces resemble each other; by: whether the audit is told of whom.
    """

    name: str
    dim: int = 64
    made: int = 200
    allowed: float = 6.0
    most: tuple[int, int] = (1, 1)
    alike: tuple[float, float] = (0.0, 0.0)
    by: bool = False


WORLDS = (
    World("one face a person"),
    World("1 in 100 strangers at 0.6", 38, made=600, allowed=1.0),
    World("1 to 40 faces a generated person", most=(40, 1)),
    World("1 to 40 faces a held-out person", most=(1, 40)),
    World("1 to 40 faces on both sides, strangers at 0.6", 38, allowed=2.0, most=(40, 40)),
    World("5 and 1 in 10 alike", alike=(0.5, 0.1), by=True),
)


class Said(NamedTuple):
    """Of one audit: p, whether the interval holds the number of false matches, and that of the rate the true one."""

    p: float
    false_matches: bool
    rate: bool
    p_before: float
    false_matches_before: bool


class Side(NamedTuple):
    """Faces: their embeddings, whose they are, and whether these people resemble each other."""

    vectors: Float32
    person: Int64
    alike: Int64


class Gallery(NamedTuple):
    """centre: what people who resemble each other resemble; nearest: what strangers reach."""

    searched: ExactSearch
    vectors: Float32
    centre: Float32
    nearest: Float32


def figures(draws: int) -> Iterator[Figure]:
    """Of all worlds together, for each draw is an audit: `strangers` has them one by one."""
    each = max(1, draws // 8)
    found = {world.name: audits(world, each, [8, place]) for place, world in enumerate(WORLDS)}
    alike, together = WORLDS[-1].name, [said for of in found.values() for said in of]
    name = f"audits of {len(WORLDS)} worlds"
    yield alarmed(name, [said.p <= 0.05 for said in together], "faces")
    yield covered(name, [said.false_matches for said in together], "false matches, interval")
    of_one = [said.rate for world, of in found.items() if world != alike for said in of]  # strangers are of one group
    yield covered(name, of_one, "people, interval")
    yield alarmed(name, [said.p_before <= 0.05 for said in together], "faces, before", before=True)
    before = [said.false_matches_before for said in together]
    yield covered(name, before, "false matches, interval, before", before=True)
    returned = [
        said for place, world in enumerate(WORLDS) for said in audits(world, max(1, each // 4), [9, place], 0.1)
    ]
    yield powered(f"{name}, 10 % given back", [said.p <= 0.05 for said in returned], "power of faces")


def audits(world: World, draws: int, seed: list[int], returned: float = 0.0) -> list[Said]:
    rng = np.random.default_rng([*seed, 0])
    centre = _unit(rng.standard_normal((1, world.dim)))
    training = _people(rng, world, TRAINING, 0.5 if any(world.alike) else 0.0, 1, centre)
    strangers = _unit(rng.standard_normal((FRESH, world.dim)))
    with tempfile.TemporaryDirectory() as folder:
        store = _store(Path(folder, "training"), training)
        vectors = store.embeddings(np.arange(TRAINING))
        gallery = Gallery(ExactSearch(store), vectors, centre, (strangers @ vectors.T).max(axis=1))
        rngs = [np.random.default_rng([*seed, 1, draw]) for draw in range(draws)]
        return [_audit(world, Path(folder, str(draw)), rng, gallery, returned) for draw, rng in enumerate(rngs)]


def _audit(world: World, folder: Path, rng: Rng, gallery: Gallery, returned: float) -> Said:
    made = _people(rng, world, world.made, world.alike[0], world.most[0], gallery.centre)
    copied = np.flatnonzero(rng.random(world.made) < returned)
    given_back = gallery.vectors[rng.integers(0, TRAINING, world.made)]
    faces = np.isin(made.person, copied)
    made.vectors[faces] = _near(rng, given_back[made.person[faces]], RETURNED)
    held_out = _people(rng, world, HELD_OUT, world.alike[1], world.most[1], gallery.centre)
    folder.mkdir()
    stores = _store(folder / "made", made), _store(folder / "held-out", held_out)
    options = CompareOptions(false_matches=world.allowed, by=("group",) if world.by else ())
    result = compare_faces(stores[0], gallery.searched, control=stores[1], options=options)
    calibration, rate = result.calibration, result.matched
    truth = float((gallery.nearest >= np.float32(calibration.threshold)).mean())
    return Said(
        1.0 if result.excess_p is None else result.excess_p,
        calibration.low <= rate.count <= calibration.high,
        rate.low <= truth <= rate.high,
        *_before(world, result, made, held_out, gallery.vectors),
    )


def _before(world: World, result: FacesResult, made: Side, held_out: Side, training: Float32) -> tuple[float, bool]:
    """Each generated face counted, the nearest of each held-out person, and none that has 0.6 with a training face."""
    reached = (made.vectors @ training.T).max(axis=1)
    best = np.full(HELD_OUT, -1, np.float32)
    np.maximum.at(best, held_out.person, (held_out.vectors @ training.T).max(axis=1))
    null = Null(best[best < np.float32(result.same_person)])
    calibration = calibrate(null, len(reached), world.allowed, result.one_to_one, result.same_person)
    count = int((reached >= np.float32(calibration.threshold)).sum())
    p = greater_rate_p(count, len(reached), calibration.above, calibration.samples)
    return p, calibration.low <= count <= calibration.high


def _people(rng: Rng, world: World, count: int, alike: float, most: int, centre: Float32) -> Side:
    """A number of people, each with one face or several."""
    resembling = rng.random(count) < alike
    others = _unit(rng.standard_normal((count, world.dim)))
    people = np.where(resembling[:, None], _unit(others + LIKENESS / (1 - LIKENESS) * centre), others)
    person = np.repeat(np.arange(count), np.minimum(rng.zipf(2, count), most))
    noise = ONE_PERSONS if most > 1 else 0.0
    return Side(_near(rng, people[person], noise), person, resembling[person].astype(np.int64))


def _store(folder: Path, side: Side) -> Store:
    """A store with one face on each image."""
    family = families()["sface"]
    spec = EncoderSpec("sface", "", "drawn", side.vectors.shape[1], family.threshold)
    rows = (
        _row(place, vector, alike) for place, (vector, alike) in enumerate(zip(side.vectors, side.alike, strict=True))
    )
    with writing_store(folder, spec, len(side.vectors), ["drawn"], kind=FACES) as writer:
        writer.write_shard(list(rows))
        writer.finish()
    return Store.open(folder)


def _row(place: int, vector: Float32, alike: int) -> Row:
    name, file = f"{place:06d}", f"{place:064x}"
    details = face_metadata(name, 1, file, _DETAILS, json.dumps({"group": str(alike)}))
    return Row(face_id(name, 1), name, "", file, 90, 90, Status.OK, "", vector, details)


def _near(rng: Rng, vectors: Float32, noise: float) -> Float32:
    return _unit(vectors + noise * _unit(rng.standard_normal(vectors.shape)))


def _unit(vectors: object) -> Float32:
    wide = np.asarray(vectors, dtype=np.float64)
    return np.asarray(wide / np.linalg.norm(wide, axis=1, keepdims=True), dtype=np.float32)
