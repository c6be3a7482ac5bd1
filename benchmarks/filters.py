"""Labels that a filter takes, by active learning and at random; whether its intervals hold; the speed of `apply`.

Pictures are those of scripts/fetch_samples, and Google's emoji of scripts/fetch_pictures but for skin tones; classes
are clocks, flags, photographs and yellow faces, known by the files' names. How rounds ask was settled on these four;
part `held-out` is of three classes that nothing was settled on, food, animals and map symbols, among Openclipart's
pictures, known by their folders: the figures to go by. A probe is trained on embeddings of two encoders side by side,
from SEEDS labelled images of the class and none other. Then labels are given in rounds, for the images that `memaudit
filter train` asks for (`active`), or for random ones in steps of a half more, with the same seeds and without them,
until a cut finds 0.95 of the class with a precision of 0.8, by the truth. Intervals: of the last probe of active
learning, over `--runs` samples of `--sample`. Speed: of synthetic rows of 512 numbers, each command in a process of
its own.
"""

from __future__ import annotations

import argparse
import csv
import os
import re
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from benchmarks.measure import BenchmarkError, cost_of, embed_command, timed
from benchmarks.record import Figure, of_rounds
from benchmarks.runner import Benchmark
from benchmarks.samples import is_opaque, pictures_of, sample_photographs
from memaudit.filters.active import Scored, score_rows
from memaudit.filters.estimate import Estimate, estimate
from memaudit.filters.filter_file import Filter, write_filter
from memaudit.filters.joined import Joined
from memaudit.filters.labels import Answer
from memaudit.filters.measure import strata_of_sample
from memaudit.filters.sampling import with_sample
from memaudit.filters.train import Round, TrainOptions, train
from memaudit.store import MANIFEST, Columns, Store, writing_store
from memaudit.types import NO_FILE, EncoderSpec, Float32, Int64, Status
from scripts.cache import cache_folder

RECALL, PRECISION, SEEDS, FEWER = 0.95, 0.8, 3, ">= 3"
PARTS = ("learning", "held-out", "speed")
ENCODERS = ("sscd", "thumbnail")
MOST = 1200  # labels at random: what takes more takes "more than"
CLASSES: Mapping[str, re.Pattern[str]] = MappingProxyType(
    {
        "clocks": re.compile(r"google/(1f55[0-9a-f]|1f56[0-7]|23f0|1f570)|_(oclock|thirty)$|alarm_clock"),
        "flags": re.compile(r"google/(1f1[ef].-1f1[ef]|1f3f4|1f3f3|1f3c1|1f38c|1f6a9)|twemoji/flags/"),
        "photographs": re.compile("^photographs/"),
        "faces": re.compile(
            r"twemoji/smileys/.*face|google/(1f60|1f61|1f62|1f63[0-7]|1f64[1-4]|1f91[0-57]|1f92[0-9a-f]|1f97[0-689a]"
            r"|1fae[0-8]|263a|2639|1f47f)"
        ),
    }
)
HELD_OUT: Mapping[str, re.Pattern[str]] = MappingProxyType(
    {
        "food": re.compile("^openclipart-png/food/"),
        "animals": re.compile("^openclipart-png/animals/"),
        "map symbols": re.compile("^openclipart-png/signs_and_symbols/map_symbols/"),
    }
)
_SKIN = re.compile("1f3f[b-f]")
# Processor time of all threads: where other processes run, wall time says little
_TIMED = "import sys, time\n{imports}\nstart = time.process_time()\n{work}\nprint(time.process_time() - start)"
READ = _TIMED.format(
    imports="from memaudit.store import Store", work="assert sum(len(b.rows) for b in Store.open(sys.argv[1]).blocks())"
)
NAMED = _TIMED.format(
    imports="from memaudit.store import Store",
    work="assert sum(len(b.image_id) for b in Store.open(sys.argv[1]).named_blocks())",
)
APPLY = _TIMED.format(
    imports="import memaudit as ma\nrun = ma.apply_filter",
    work="run(sys.argv[2], sys.argv[1], sys.argv[3], cut=0.9)",
)
_BLOCK = 65_536


class Class(NamedTuple):
    """A class of the pictures, and of every row whether it is of it."""

    name: str
    pattern: re.Pattern[str]
    ids: Sequence[str]
    positive: NDArray[np.bool_]

    def answer(self, image_id: str) -> Answer:
        return Answer.YES if self.pattern.search(image_id) else Answer.NO


class Learned(NamedTuple):
    """Labels when a cut first found enough (None: it did not), and the last probe with what it makes of every row."""

    labels: int | None
    found: Filter
    known: dict[str, int]


def figures(options: argparse.Namespace, scratch: Path) -> Iterator[Figure]:
    if "learning" in options.parts:
        yield from of_classes(options.stores or embedded(scratch, sample_rows()), CLASSES, options)
    if "held-out" in options.parts:
        yield from of_classes(embedded(scratch / "held-out", held_out_rows(options.pictures)), HELD_OUT, options)
    if "speed" in options.parts:
        yield from of_speed(options.rows, options.rounds, scratch)


def of_classes(
    stores: Sequence[Path], classes: Mapping[str, re.Pattern[str]], options: argparse.Namespace
) -> Iterator[Figure]:
    """Each class among what has an embedding in both stores."""
    joined = Joined([Store.open(store) for store in stores])
    blocks = [(block.image_id, block.scored) for block in joined.blocks()]
    ids = [image_id for names, _ in blocks for image_id in names]
    scored = np.concatenate([each for _, each in blocks])
    for name, pattern in classes.items():
        truth = np.array([pattern.search(image_id) is not None for image_id in ids]) & scored
        yield from of_class(joined, Class(name, pattern, ids, truth), options)


def embedded(scratch: Path, rows: Sequence[tuple[str, str]]) -> list[Path]:
    """A store by each encoder; what is there already stays."""
    scratch.mkdir(exist_ok=True)
    manifest = scratch / "pictures.csv"
    with manifest.open("w", encoding="utf-8", newline="") as handle:
        csv.writer(handle).writerows([("image_id", "path"), *rows])
    stores = []
    for encoder in ENCODERS:
        stores.append(scratch / encoder)
        cost_of(embed_command(manifest, stores[-1], encoder))
    return stores


def sample_rows() -> list[tuple[str, str]]:
    """image_id and path: the samples, and Google's emoji."""
    folder = cache_folder() / "pictures/emoji-datasource-google"
    emoji = sorted(each for each in folder.glob("*.png") if not _SKIN.search(each.name))
    if not emoji:
        raise BenchmarkError(f"no emoji in {folder}: run scripts/fetch_pictures")
    samples = sample_photographs()[0].parents[3]
    with (samples / "manifest.csv").open(encoding="utf-8", newline="") as handle:
        rows = [(row["image_id"], str(samples / row["path"])) for row in csv.DictReader(handle)]
    return [*rows, *((f"google/{each.stem}", str(each)) for each in emoji)]


def held_out_rows(count: int) -> list[tuple[str, str]]:
    """The same of Openclipart, as if drawn at random."""
    folder = cache_folder() / "pictures/openclipart-png"
    found = pictures_of(folder)
    if not found:
        raise BenchmarkError(f"no pictures in {folder}: run scripts/fetch_pictures")
    usable = ((name, str(path)) for name, path in found if is_opaque(path, 1) is not None)
    return list(islice(usable, count))


def of_class(joined: Joined, of: Class, options: argparse.Namespace) -> Iterator[Figure]:
    count = int(of.positive.sum())
    active, seeded, alone = list[float](), list[float](), list[float]()
    for seed in range(options.seeds):
        learned = by_asking(joined, of, seed, options.each)
        active.append(float(learned.labels or MOST + 1))
        seeded.append(float(at_random(joined, of, seed, options.each, seeds(of, seed))))
        alone.append(float(at_random(joined, of, seed, options.each, {})))
    goal = f"labels until a cut finds {RECALL} at a precision of {PRECISION}"
    note = f"{count} of {len(of.ids):,} are of the class; {_load()}"
    yield replace(of_rounds(of.name, options.seeds, f"active: {goal}", active), note=note)
    for name, random in (("random, after the same seeds", seeded), ("random", alone)):
        more = f"{MOST + 1}: more than {MOST}"
        yield replace(of_rounds(of.name, options.seeds, f"{name}: {goal}", random), note=more)
        yield of_rounds(of.name, options.seeds, f"labels, {name} / active", quotients(random, active), FEWER)
    yield from of_intervals(joined, of, learned, options)


def by_asking(joined: Joined, of: Class, seed: int, each: int) -> Learned:
    """Rounds in which those are labelled who are asked for."""
    options = TrainOptions(count=each, sample=0, again=True, seed=seed)
    labels, found = seeds(of, seed), None
    while True:
        made = train(joined, labels, found, of.name, options)
        found, known = made.filter, {image_id: row for row, image_id in enumerate(of.ids) if image_id in labels}
        if finds_enough(joined, of, made):
            return Learned(len(labels), found, known)
        if len(labels) > MOST:
            return Learned(None, found, known)
        labels |= {each.image_id: of.answer(each.image_id) for each in made.images or ()}


def at_random(joined: Joined, of: Class, seed: int, each: int, labels: dict[str, Answer]) -> int:
    """The same with random images, each time half as many more."""
    options = TrainOptions(count=0, sample=0, again=True, seed=seed)
    order = np.random.default_rng(seed).permutation(len(of.ids)).tolist()
    drawn = each
    while drawn <= MOST:
        known = labels | {of.ids[row]: of.answer(of.ids[row]) for row in order[:drawn]}
        found = Answer.YES in known.values() and train(joined, known, None, of.name, options)
        if found and finds_enough(joined, of, found):
            return len(known)
        drawn = round(1.5 * drawn)
    return MOST + 1


def seeds(of: Class, seed: int) -> dict[str, Answer]:
    chosen = np.random.default_rng(1000 + seed).choice(np.flatnonzero(of.positive), SEEDS, replace=False)
    return {of.ids[row]: Answer.YES for row in chosen.tolist()}


def finds_enough(joined: Joined, of: Class, made: Round) -> bool:
    """Whether the cut that finds RECALL of the class has the PRECISION, by the truth."""
    positive = of.positive[np.argsort(-scores(joined, made.filter).logits, kind="stable")]
    needed = int(np.ceil(RECALL * positive.sum()))
    rows = int(np.flatnonzero(np.cumsum(positive) >= needed)[0]) + 1
    return needed / rows >= PRECISION


def scores(joined: Joined, found: Filter) -> Scored:
    return score_rows(joined, found.probe, np.empty(0, np.int64), 0)


def of_intervals(joined: Joined, of: Class, learned: Learned, options: argparse.Namespace) -> Iterator[Figure]:
    """How often intervals hold the truth, and cuts are chosen that find too little."""
    scored, held, wrong, values = scores(joined, learned.found), list[list[bool]](), 0, list[float]()
    labels = {image_id: of.answer(image_id) for image_id in of.ids}
    for run in range(options.runs):
        found, _ = with_sample(joined, learned.found, scored, learned.known, options.sample, 10_000 + run)
        result = estimate(strata_of_sample(found, labels), 0.05)
        held.append(holds(result, of, scored.logits, found))
        values.append(result.positives.value / of.positive.sum())
        cut = result.cut_of(options.recall)
        wrong += cut is not None and true_share(of, scored.logits, found.low[cut.stratum]) < options.recall
    data = f"{of.name}, {options.sample} drawn"
    for place, what in enumerate(("positives", "recall", "precision", "lower bound of recall")):
        share = float(np.mean([each[place] for each in held]))
        yield Figure(data, options.runs, f"intervals that hold the truth: {what}", share, asked=">= 0.95")
    yield of_rounds(data, options.runs, "positives, estimate / truth", values)
    share = wrong / options.runs
    yield Figure(data, options.runs, f"cuts that find less than {options.recall}", share, asked="<= 0.05")


def holds(result: Estimate, of: Class, logits: Float32, found: Filter) -> list[bool]:
    """Of the positives, and of what is known of the cut that finds 0.95 in truth, or the nearest below it."""
    shares = [true_share(of, logits, low) for low in found.low]
    at = next((each for each in result.cuts if shares[each.stratum] >= RECALL), result.cuts[-1])
    above, recall = logits >= found.low[at.stratum], shares[at.stratum]
    precision = float(of.positive[above].mean())
    low, high = result.positives.low, result.positives.high
    return [
        bool(low <= of.positive.sum() <= high),
        at.recall.low <= recall <= at.recall.high,
        at.precision.low <= precision <= at.precision.high,
        at.recall.lower <= recall,
    ]


def true_share(of: Class, logits: Float32, low: float) -> float:
    return float(of.positive[logits >= low].sum() / of.positive.sum())


def of_speed(rows: int, rounds: int, scratch: Path) -> Iterator[Figure]:
    store, folder = scratch / "rows", scratch / "filter"
    write_rows(store, rows)
    names = [f"{row:09d}" for row in range(1000)]
    labels = {name: Answer.YES if number < 200 else Answer.NO for number, name in enumerate(names)}
    joined = Joined([Store.open(store)])
    learning = timed(lambda: train(joined, labels, None, "some", TrainOptions(sample=0)))
    write_filter(folder, learning.result.filter, [])
    yield Figure("512-d", rows, "train on 1,000 labels, and score all rows, CPU s", learning.cpu_seconds, note=_load())
    read, named, applied, peaks = list[float](), list[float](), list[float](), list[float]()
    for number in range(rounds):
        read.append(within(READ, store))
        named.append(within(NAMED, store))
        cost = cost_of([sys.executable, "-c", APPLY, store, folder, scratch / f"applied-{number}"])
        applied.append(float(cost.said))
        peaks.append(cost.peak_mb)
    yield of_rounds("512-d", rows, "reading all embeddings, CPU s", read)
    yield of_rounds("512-d", rows, "reading all embeddings as stored, and names, CPU s", named)
    yield of_rounds("512-d", rows, "filter apply, CPU s", applied)
    yield of_rounds("512-d", rows, "speed of apply / of reading embeddings", quotients(read, applied), ">= 0.8")
    yield of_rounds(
        "512-d", rows, "speed of apply / of reading them as stored, and names", quotients(named, applied), ">= 0.8"
    )
    yield of_rounds("512-d", rows, "filter apply, peak MB", peaks, "<= 1000")


def quotients(left: Sequence[float], right: Sequence[float]) -> list[float]:
    return [one / other for one, other in zip(left, right, strict=True)]


def within(program: str, store: Path) -> float:
    """The seconds that it says it took."""
    return float(cost_of([sys.executable, "-c", program, store]).said)


def write_rows(folder: Path, rows: int) -> None:
    """Random directions; of the first 200 the first number is larger. What is there already stays."""
    if (folder / MANIFEST).is_file():
        return
    random = np.random.default_rng(0)
    spec = EncoderSpec("synthetic", "", "unit vectors", 512, 0.75)
    with writing_store(folder, spec, _BLOCK, ["bench"]) as writer:
        for low in range(0, rows, _BLOCK):
            count = min(_BLOCK, rows - low)
            vectors = random.standard_normal((count, 512), dtype=np.float32)
            vectors[: max(0, 200 - low), 0] += 8
            vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
            writer.write_columns(columns_of(np.arange(low, low + count)), vectors.astype(np.float16))
        writer.finish()


def columns_of(rows: Int64) -> Columns:
    def text(of: Callable[[int], str]) -> NDArray[np.object_]:
        return np.array([of(row) for row in rows.tolist()], dtype=object)

    empty, side = text(lambda _: ""), np.full(len(rows), 256, np.int64)
    ok = np.array([Status.OK] * len(rows), dtype=object)
    nothing, plain = np.zeros(len(rows), bool), np.zeros(len(rows), np.float32)
    names, hashes = text(lambda row: f"{row:09d}"), text(lambda row: NO_FILE)
    return Columns(names, empty, empty, hashes, side, side, ok, empty, empty, plain, nothing)


def _load() -> str:
    return f"{os.getloadavg()[0]:.0f} processes on {os.cpu_count()} cores"


def add_options(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--parts", nargs="+", choices=PARTS, default=PARTS)
    add("--stores", metavar="STORE", type=Path, nargs=2, help="of the pictures, by sscd and thumbnail, made before")
    add("--pictures", metavar="N", type=int, default=3000, help="of Openclipart (default: 3000)")
    add("--seeds", metavar="N", type=int, default=3, help="beginnings of each class (default: 3)")
    add("--each", metavar="N", type=int, default=10, help="labels of a round (default: 10)")
    add("--runs", metavar="N", type=int, default=200, help="samples of each class (default: 200)")
    add("--sample", metavar="N", type=int, default=300, help="images of a sample (default: 300)")
    add("--recall", metavar="SHARE", type=float, default=0.8, help="that cuts are chosen for (default: 0.8)")
    add("--rows", metavar="N", type=int, default=1_000_000)
    add("--rounds", metavar="N", type=int, default=3)


BENCHMARK = Benchmark(
    __doc__ or "",
    ("numpy", "scipy", "h5py", "pyarrow"),
    add_options,
    figures,
    settings=lambda options: {"labels of a round": str(options.each)},
    continues=True,
)
