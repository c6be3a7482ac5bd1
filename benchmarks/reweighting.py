"""What `memaudit reweight` restores of shares that a filter shifts, what it costs, and what a generator then makes.

Worlds: of 30 % of the captions "woman" is a word, of 28 % "man"; a filter takes what has much of a quality that more of
them have, which the embeddings show in part and no word says, so that the share of "woman" falls by 14 % and that of
"man" by 6 %, as in the DALL-E 2 pre-training mitigations. Its probability is known, and with it what each share would
be. In the same worlds nothing is left of one more word. Then pictures of the samples, without two thirds of the
photographs: a mixture of Gaussians over principal components of small versions of them, the smallest generator there
is, is fitted to what is left, drawn with and without weights, and to all; what it makes is named by the nearest picture
of all. Then time and memory at `--rows`.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray

from benchmarks.measure import cost_of, memaudit, timed
from benchmarks.record import Figure
from benchmarks.runner import Benchmark
from benchmarks.samples import sample_emoji, sample_photographs
from benchmarks.synthetic import SHARD_ROWS
from memaudit.filters.results import Reweighted, ReweightOptions
from memaudit.filters.reweight import reweight
from memaudit.filters.selection import Names, select
from memaudit.store import Columns, Store, writing_store
from memaudit.store.columns import columns_of
from memaudit.types import EncoderSpec, Float64, Status
from scripts.alterations import read_rgb

DIM, WORDS, OWN_WORDS = 64, 2000, 6
WOMAN, MAN, GONE = "woman", "man", "w40"
COMPONENTS, GAUSSIANS, MADE = 24, 12, 20_000
SIDE = 16
GENERATORS = 20


class World(NamedTuple):
    """latent (n,): the quality that the filter goes by; keep (n,): the probability of being left."""

    captions: list[str]
    vectors: Float64
    latent: Float64
    keep: Float64


def figures(options: argparse.Namespace, work: Path) -> Iterator[Figure]:
    yield from in_worlds(options.worlds, work)
    yield from of_a_generator(work)
    if options.rows:
        yield from at_size(options.rows, work)


def world(rng: np.random.Generator, rows: int) -> World:
    woman = rng.random(rows) < 0.3
    man = ~woman & (rng.random(rows) < 0.4)
    latent = rng.normal(size=rows) + 0.937 * woman + 0.716 * man  # which gives the shifts of 2022
    vectors = rng.normal(size=(rows, DIM))
    vectors[:, :4] += 1.5 * latent[:, None]
    vectors[:, 4] += woman
    chance = 1 / (np.arange(WORDS) + 10)
    drawn = rng.choice(WORDS, (rows, OWN_WORDS), p=chance / chance.sum())
    people = np.where(woman, " woman", np.where(man, " man", ""))
    captions = [" ".join(f"w{word}" for word in own) + one for own, one in zip(drawn.tolist(), people, strict=True)]
    return World(captions, vectors, latent, 1 / (1 + np.exp(2.2 * latent - 3.2)))


def write_world(folder: Path, made: World) -> Store:
    with writing_store(folder, EncoderSpec("synthetic", "", "unit vectors", DIM, 0.8), SHARD_ROWS, ["bench"]) as writer:
        for low in range(0, len(made.captions), SHARD_ROWS):
            part = slice(low, low + SHARD_ROWS)
            unit = made.vectors[part] / np.linalg.norm(made.vectors[part], axis=1, keepdims=True)
            writer.write_columns(_columns(low, made.captions[part]), unit.astype(np.float16))
        writer.finish()
    return Store.open(folder)


def _columns(first: int, captions: list[str]) -> Columns:
    names = [f"{row:09d}" for row in range(first, first + len(captions))]
    side, empty = np.full(len(names), 256, np.int64), np.array([""] * len(names), dtype=object)
    return columns_of([])._replace(
        image_id=np.array(names, dtype=object),
        uri=empty,
        caption=np.array(captions, dtype=object),
        sha256=np.array([name.rjust(64, "f") for name in names], dtype=object),
        width=side,
        height=side,
        status=np.array([Status.OK] * len(names), dtype=object),
        error=empty,
        metadata=empty,
        simplicity=np.full(len(names), np.nan, np.float32),
        cut=np.zeros(len(names), bool),
    )


def weighted(store: Store, kept: NDArray[np.bool_], options: ReweightOptions = ReweightOptions()) -> Reweighted:  # noqa: B008
    return reweight(store, select(store, Names((f"{row:09d}" for row in np.flatnonzero(kept)), "keep.txt")), options)


def in_worlds(count: int, work: Path, rows: int = 20_000) -> Iterator[Figure]:
    told: dict[str, list[float]] = {}
    for seed in range(count):
        rng = np.random.default_rng(seed)
        made = world(rng, rows)
        has = {word: np.array([word in text.split() for text in made.captions]) for word in (WOMAN, MAN, GONE)}
        kept = (rng.random(rows) < made.keep) & ~has[GONE]
        result = weighted(write_world(work / f"world-{seed}", made), kept)
        shares = result.shares
        there = ~shares.gone
        for word in (WOMAN, MAN):
            at = int(np.flatnonzero(shares.value == word)[0])
            made_as = np.average(has[word], weights=made.keep * ~has[GONE]) / has[word].mean()
            told.setdefault(f"{word}: share after / before, as the filter was made", []).append(float(made_as))
            told.setdefault(f"{word}: share after / before, as measured", []).append(float(shares.ratio[at]))
            told.setdefault(f"{word}: weighted share / before", []).append(
                float(shares.share_weighted[at] / shares.share_before[at])
            )
        told.setdefault("shares tested", []).append(len(shares.value))
        told.setdefault("of them restored, where any is left", []).append(float(shares.restored[there].mean()))
        told.setdefault("largest difference before, in standard deviations", []).append(
            float(np.abs(shares.difference[there]).max())
        )
        told.setdefault("largest difference weighted", []).append(
            float(np.abs(shares.difference_weighted[there]).max())
        )
        told.setdefault("values of which nothing is left, told so", []).append(float(shares.gone.sum()))
        told.setdefault("effective / kept", []).append(result.effective / int(kept.sum()))
        told.setdefault("told apart before", []).append(result.told[0] if result.told else np.nan)
        told.setdefault("told apart after", []).append(result.told[1] if result.told else np.nan)
        told.setdefault("shift of what no word says that is undone", []).append(_undone(made, kept, result))
    for measure, values in told.items():
        asked = "1" if measure.startswith("of them restored") else ""
        yield Figure("worlds", count, measure, *_spread(values), asked=asked)


def _undone(made: World, kept: NDArray[np.bool_], result: Reweighted) -> float:
    left = made.latent[kept].mean()
    weighted_mean = np.average(made.latent[kept], weights=result.weight[kept])
    return float((weighted_mean - left) / (made.latent.mean() - left))


def _spread(values: list[float]) -> tuple[float, float, float]:
    return float(np.median(values)), float(np.min(values)), float(np.max(values))


def of_a_generator(work: Path) -> Iterator[Figure]:
    """Of photographs two thirds are filtered out, emoji stay; no caption says what is a photograph."""
    files = [*sample_photographs(), *sorted(sample_emoji().rglob("*.png"))]
    photograph = np.arange(len(files)) < len(sample_photographs())
    small = np.stack([np.asarray(read_rgb(file).resize((SIDE, SIDE)), np.float64).ravel() / 255 for file in files])
    centred = small - small.mean(axis=0)
    whitened = centred @ np.linalg.svd(centred, full_matrices=False)[2][:COMPONENTS].T
    made = World([""] * len(files), _padded(whitened), np.zeros(len(files)), np.ones(len(files)))
    rng = np.random.default_rng(0)
    kept = ~(photograph & (rng.random(len(files)) < 2 / 3))
    result = weighted(write_world(work / "pictures", made), kept)
    equal = {"all": np.ones(len(files)), "what is left": kept.astype(float), "what is left, by weight": result.weight}
    for name, weight in equal.items():
        shares = [_photographs_made(whitened, photograph, weight, seed) for seed in range(GENERATORS)]
        yield Figure("generator", len(files), f"photographs among what it makes, fitted to {name}", *_spread(shares))
    for name, weight in equal.items():
        yield Figure("generator", len(files), f"photographs in {name}", float(np.average(photograph, weights=weight)))


def _padded(vectors: Float64) -> Float64:
    return np.pad(vectors, ((0, 0), (0, DIM - vectors.shape[1])))


def _photographs_made(vectors: Float64, photograph: NDArray[np.bool_], weight: Float64, seed: int) -> float:
    from sklearn.mixture import GaussianMixture

    rng = np.random.default_rng(seed)
    drawn = rng.choice(len(vectors), 4 * len(vectors), p=weight / weight.sum())
    mixture = GaussianMixture(GAUSSIANS, covariance_type="full", reg_covar=1e-3, random_state=seed).fit(vectors[drawn])
    made = mixture.sample(MADE)[0]
    squares = (vectors**2).sum(axis=1)
    nearest = np.concatenate(
        [(squares - 2 * made[low : low + 2000] @ vectors.T).argmin(axis=1) for low in range(0, MADE, 2000)]
    )
    return float(photograph[nearest].mean())


def at_size(rows: int, work: Path) -> Iterator[Figure]:
    rng = np.random.default_rng(1)
    made = world(rng, rows)
    kept = rng.random(rows) < made.keep
    store = write_world(work / "large", made)
    (work / "kept.txt").write_text("".join(f"{row:09d}\n" for row in np.flatnonzero(kept)))
    del made
    read = timed(lambda: sum(len(block.rows) for block in store.blocks()))
    cost = cost_of(memaudit("reweight", work / "large", "--kept", work / "kept.txt", "--out", work / "large-weights"))
    yield Figure("size", rows, "reading its embeddings once, seconds", read.seconds)
    yield Figure("size", rows, "reweight, seconds", cost.seconds)
    yield Figure("size", rows, "reweight, CPU s", cost.cpu_seconds)
    yield Figure("size", rows, "reweight, peak MB", cost.peak_mb, asked="<= 1000")
    yield Figure("size", rows, "rows of weights.parquet / kept", _rows(work) / int(kept.sum()), asked="1")


def _rows(work: Path) -> int:
    return int(pq.read_metadata(work / "large-weights" / "weights.parquet").num_rows)


def add_options(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--worlds", metavar="N", type=int, default=30, help="of 20,000 images each (default: 30)")
    add("--rows", metavar="N", type=int, default=1_000_000, help="of the large store; 0: none")


BENCHMARK = Benchmark(__doc__ or "", ("numpy", "scipy", "scikit-learn", "faiss-cpu"), add_options, figures)
