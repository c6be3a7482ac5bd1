"""Precision and recall of `memaudit dedup` on altered copies of images.

Sources are pictures of the given folders, then of scripts/fetch_samples, at most 512 px: 7 in 10 opaque (photographs,
paintings), the others with transparent parts (graphics), as far as there are so many. Each gets five copies: 0.7 of
each side, mirrored, turned by 25 degrees, JPEG of quality 30 at half size, an emoji and a caption over it. The true
pairs are all pairs within such a family of six. One `memaudit embed`, then `memaudit dedup` as it is, which decides
pairs below the threshold on pixels; and with `--match none` at the default and at other thresholds.

The sources are thinned first: no two of them reach a similarity of `--apart`. What resembles another source by nature
would count as false otherwise, although it may well be a copy. It FLATTERS PRECISION: at thresholds above `--apart`
two sources never match, in a real set some would.

Beside it the 24 clock faces among the emoji, which differ by the place of two strokes: what they are grouped with.

Intervals are 95 % Clopper-Pearson for as many draws as families tell (memaudit.statistics.ratio_interval), because the
pairs of a family stand and fall together. And of the families that keep one image, which it is.
"""

from __future__ import annotations

import argparse
import itertools
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pyarrow.parquet as pq
from numpy.typing import NDArray

from benchmarks.alterations import COPIES, Beside, copies_of
from benchmarks.measure import Cost, cost_of, embed_command, memaudit
from benchmarks.record import Figure, Rate, rate
from benchmarks.runner import Benchmark
from benchmarks.samples import CLOCK, OPAQUE_SHARE, sample_emoji, thinned, write_candidates
from memaudit.matching.plan import PAIR_FLOORS
from memaudit.similarity import exact
from memaudit.store import Store
from memaudit.types import Int64

SOURCE = "source"
FAMILY_PAIRS = (len(COPIES) + 1) * len(COPIES) // 2
THRESHOLDS = (0.65, 0.6, 0.55, 0.5, 0.45)
CHECKS = {"held against each other": "checked", "confirmed on pixels": "confirmed", "left out": "left_out"}


class Pairs(NamedTuple):
    """Pairs found: number of the family and name of the copy (`source`, `crop` …) of either side."""

    family: Int64
    other_family: Int64
    copy: NDArray[np.object_]
    other_copy: NDArray[np.object_]


def choose(files: Sequence[str], wanted: Mapping[bool, int]) -> list[str]:
    """The first opaque ones and graphics; where one kind is short, there are fewer sources."""
    by_kind = {opaque: [f for f in files if f.endswith(".jpg") == opaque] for opaque in wanted}
    return [file for opaque, count in wanted.items() for file in by_kind[opaque][:count]]


def write_families(files: Sequence[str], names: Mapping[str, str], candidates: Path, emoji: Path, out: Path) -> None:
    """`out/NUMBER/source.*` and a JPEG for each of COPIES; each copy depends on the source's name and bytes alone."""
    beside = Beside(sorted(emoji.rglob("*.png")), ())
    for number, file in enumerate(files):
        folder = out / f"{number:05d}"
        folder.mkdir(parents=True)
        source = candidates / file
        (folder / f"{SOURCE}{source.suffix}").write_bytes(source.read_bytes())
        for copy, altered in copies_of(source, names[file], beside, COPIES):
            altered.save(folder / f"{copy}.jpg", quality=COPIES[copy].quality)


def dedup(store: Path, out: Path, *options: str) -> Cost:
    """The real command, in a process of its own."""
    return cost_of(memaudit("dedup", store, "--out", out, *options))


def read_pairs(out: Path) -> Pairs:
    table = pq.read_table(out / "pairs.parquet", columns=["left_id", "right_id"])
    left, right = ([i.partition("/") for i in table[name].to_pylist()] for name in table.column_names)
    family, other_family = (np.array([int(family) for family, _, _ in side], np.int64) for side in (left, right))
    copy, other_copy = (np.array([file.partition(".")[0] for _, _, file in side], object) for side in (left, right))
    return Pairs(family, other_family, copy, other_copy)


def rates(pairs: Pairs, families: int) -> dict[str, Rate | None]:
    """Precision; recall of all pairs, of those with the source, and of these by kind of copy."""
    within = pairs.family == pairs.other_family
    ends = np.concatenate([pairs.family, pairs.other_family])  # a false pair counts for both its families
    true_ends, all_ends = (np.bincount(e, minlength=families) for e in (ends[np.tile(within, 2)], ends))
    found = {"precision": rate(true_ends, all_ends)}

    def recall(chosen: NDArray[np.bool_], of_family: int) -> Rate | None:
        return rate(np.bincount(pairs.family[within & chosen], minlength=families), np.full(families, of_family))

    with_source = (pairs.copy == SOURCE) | (pairs.other_copy == SOURCE)
    found["recall, all pairs"] = recall(within, FAMILY_PAIRS)
    found["recall, source and copy"] = recall(with_source, len(COPIES))
    for copy in COPIES:
        found[f"recall, source and {copy}"] = recall(
            with_source & ((pairs.copy == copy) | (pairs.other_copy == copy)), 1
        )
    return found


class Decision(NamedTuple):
    """A run of dedup. threshold None: no option, so that it is the encoder's own; pixels: whether they have a say."""

    threshold: float | None
    pixels: bool

    @property
    def options(self) -> list[str]:
        chosen = [] if self.threshold is None else ["--threshold", str(self.threshold)]
        return chosen if self.pixels else [*chosen, "--match", "none"]

    def name(self, threshold: float) -> str:
        return f"{threshold:g}{' (default)' if self.threshold is None else ''}{' and pixels' if self.pixels else ''}"


def by_default(encoder: str) -> list[Decision]:
    """At the encoder's own threshold: with pixels, where `dedup` asks them of its own accord, and without."""
    return [Decision(None, pixels=True)] * (encoder in PAIR_FLOORS) + [Decision(None, pixels=False)]


def decided(store: Path, decision: Decision, families: int, scratch: Path) -> list[Figure]:
    """One run of dedup, and what it found."""
    out = scratch / f"dedup-{decision.threshold}{'-pixels' if decision.pixels else ''}"
    cost = dedup(store, out, *decision.options)
    report = json.loads((out / "report.json").read_text(encoding="utf-8"))
    pairs = read_pairs(out)
    data = f"copies, threshold {decision.name(report['threshold'])}"

    def figure(measure: str, value: float, rated: Rate | None = None) -> Figure:
        low, high = (rated.low, rated.high) if rated else (None, None)
        return Figure(data, families, measure, value, low, high)

    found = [figure("pairs found", len(pairs.family)), *(kept_figures(out, data, families) if decision.pixels else ())]
    found += [figure(measure, rated.value, rated) for measure, rated in rates(pairs, families).items() if rated]
    if pixels := report["results"]["pixels"]:
        found += [figure(f"pairs {name}", pixels[key]) for name, key in CHECKS.items()]
    return [*found, figure("dedup, CPU s", cost.cpu_seconds), figure("dedup, peak MB", cost.peak_mb)]


def kept_figures(out: Path, data: str, families: int) -> list[Figure]:
    """Of families that keep one image, which it is."""
    table = pq.read_table(out / "decisions.parquet", columns=["image_id", "decision"]).to_pydict()
    stays = [i for i, decision in zip(table["image_id"], table["decision"], strict=True) if decision == "keep"]
    family = np.array([int(i.partition("/")[0]) for i in stays], np.int64)
    copy = np.array([i.partition("/")[2].partition(".")[0] for i in stays], object)
    is_single = np.bincount(family, minlength=families) == 1
    single = copy[is_single[family]]
    found = [Figure(data, families, "families that keep one image", int(is_single.sum()))]
    for name in (SOURCE, *COPIES):
        rated = rate((single == name).astype(np.int64), np.ones(len(single), np.int64))
        found.append(Figure(data, len(single), f"of these: the {name}", *(rated or (None,))))
    return found


def of_copies(options: argparse.Namespace, scratch: Path) -> Iterator[Figure]:
    opaque = round(options.sources * OPAQUE_SHARE)
    wanted = {True: opaque, False: options.sources - opaque}
    emoji, candidates, copies = sample_emoji(), scratch / "candidates", scratch / "copies"
    names = write_candidates(options.images, emoji, wanted, candidates)
    apart = thinned(candidates, options.encoder, options.apart, scratch)
    chosen = choose(apart, wanted)
    write_families(chosen, names, candidates, emoji, copies)
    yield Figure("copies", len(names), "sources left when thinned", len(apart))
    yield Figure("copies", len(chosen), "opaque sources", sum(file.endswith(".jpg") for file in chosen))
    cost = cost_of(embed_command(copies, scratch / "store", options.encoder))
    yield Figure("copies", len(chosen), "embed, CPU s", cost.cpu_seconds)
    yield Figure("copies", len(chosen), "embed, peak MB", cost.peak_mb)
    plain = (Decision(threshold, pixels=False) for threshold in options.thresholds)
    for decision in (*by_default(options.encoder), *plain):
        yield from decided(scratch / "store", decision, len(chosen), scratch)


def of_emoji(folder: Path, encoder: str, scratch: Path) -> Iterator[Figure]:
    """Under both group rules, with pixels and without: the largest group, and where the clocks went."""
    store = scratch / "emoji-store"
    cost_of(embed_command(folder, store, encoder))
    for rule, decision in itertools.product(("cover", "components"), by_default(encoder)):
        name = f"{rule}{' and pixels' if decision.pixels else ''}"
        out = scratch / f"emoji-{name.replace(' ', '-')}"
        dedup(store, out, "--groups", rule, *decision.options)
        for figure in emoji_figures(out, store):
            yield replace(figure, data=f"emoji, {name}")


def emoji_figures(out: Path, store: Path) -> Iterator[Figure]:
    groups = read_groups(out)
    opened = Store.open(store)
    count = len(opened)
    largest = max(groups, key=len, default=[])
    yield Figure("", count, "largest group", len(largest), note=shown(largest))
    yield Figure("", count, "largest group, smallest similarity", smallest_similarity(opened, largest))
    with_clocks = [group for group in groups if any(map(CLOCK.search, group))]
    grouped = [name for group in with_clocks for name in group]
    clocks = [name for name in grouped if CLOCK.search(name)]
    others = sorted(set(grouped) - set(clocks))
    yield Figure("", count, "groups with clocks", len(with_clocks), note=", ".join(str(len(g)) for g in with_clocks))
    yield Figure("", count, "clocks in groups", len(clocks))
    yield Figure("", count, "others grouped with clocks", len(others), note=shown(others))


def read_groups(out: Path) -> list[list[str]]:
    """image_ids of each group of two and more."""
    table = pq.read_table(out / "groups.parquet", columns=["group", "image_id"])
    rows = zip(table["group"].to_pylist(), table["image_id"].to_pylist(), strict=True)
    return [[name for _, name in members] for _, members in itertools.groupby(rows, key=lambda row: row[0])]


def smallest_similarity(store: Store, group: Sequence[str]) -> float | None:
    """Of any two of the group, not only of those that were paired."""
    if len(group) < 2:
        return None
    ids = store.all_columns().image_id
    rows = np.flatnonzero(np.isin(ids, list(group)))
    vectors = store.embeddings(np.intersect1d(rows, store.comparable_rows()))
    left, right = np.triu_indices(len(vectors), 1)
    return float(exact(vectors[left], vectors[right]).min())


def shown(group: Sequence[str], most: int = 30) -> str:
    names = [Path(name).stem for name in group[:most]]
    return ", ".join(names) + (f" and {len(group) - most} more" if len(group) > most else "")


def table_of(figures: Sequence[Figure]) -> list[str]:
    """Lines of a table with a row for each threshold, for a reader; the CSV has the intervals."""
    rows: dict[str, dict[str, Figure]] = {}
    for figure in figures:
        if "threshold" in figure.data:
            rows.setdefault(figure.data.removeprefix("copies, threshold "), {})[figure.measure] = figure
    measures = list(dict.fromkeys(measure for row in rows.values() for measure in row))
    lines = [f"| threshold | {' | '.join(measures)} |", "|---|" + "--:|" * len(measures)]
    return lines + [f"| {name} | {' | '.join(_cell(row.get(m)) for m in measures)} |" for name, row in rows.items()]


def _cell(figure: Figure | None) -> str:
    if figure is None or figure.median is None:
        return ""
    return f"{figure.median:,.0f}" if figure.least is None else f"{figure.median:.2%}"


def figures(options: argparse.Namespace, scratch: Path) -> Iterator[Figure]:
    yield from of_copies(options, scratch)
    yield from of_emoji(sample_emoji(), options.encoder, scratch)


def add_options(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--sources", metavar="N", type=int, default=1000)
    add("--images", metavar="FOLDER", type=Path, nargs="*", default=[], help="taken before the samples")
    add("--thresholds", metavar="T", type=float, nargs="*", default=THRESHOLDS, help="beside the default")
    add("--apart", metavar="T", type=float, default=0.5, help="similarity that no two sources reach")
    add("--encoder", metavar="NAME", default="sscd")


def settings(options: argparse.Namespace) -> dict[str, str]:
    folders = " ".join([*(folder.name for folder in options.images), "samples"])
    return {"encoder": options.encoder, "apart": f"{options.apart:g}", "images": folders}


PACKAGES = ("numpy", "onnxruntime", "pillow")
BENCHMARK = Benchmark(__doc__ or "", PACKAGES, add_options, figures, settings, table_of)
