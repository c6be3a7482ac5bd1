"""Build the demo's pools from the sample pictures.

    python -m scripts.make_demo_set --samples DIR --pairs FILE --out OUT

    OUT/training/   manifest.csv, families.csv, images/   what a (simulated) generator was trained on
    OUT/novel/      manifest.csv, images/                 what a clean generator draws from
    OUT/control/    manifest.csv, images/                 real pictures that nothing was trained on

The near-duplicate pairs of the whole sample pool (pairs.parquet of `memaudit dedup`) are the edges of a graph. Each
of its connected components goes whole into one pool, so that no picture outside training has a near-duplicate in it.
Altering a picture moves it towards its neighbours, so find the pairs with a margin below the threshold of the audit:
`--threshold 0.65` for an audit at 0.75 with `sscd`. The clocks, and every component of more than four pictures, go
to training: there a generator should copy them. So does every drawing that is taken at all: emoji are made of common
parts, which pixels rightly call partial copies, so that none of them could be held out.

Altered copies of some training pictures are added, in families whose sizes follow a power law; families.csv is
the truth about them. Columns of manifest.csv: path (relative to the manifest), image_id, caption, source_id
(the picture it was made from; its own image_id when it is an original) and alteration (empty for an original).

OUT appears whole, is the same for the same inputs and seed, and is left alone when it is already complete.
"""

from __future__ import annotations

import argparse
import csv
import hashlib
import shutil
import sys
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from scripts import alterations
from scripts.alterations import Rng, alter, enlarge, read_rgb, stream, write_picture
from scripts.folders import ScriptError, appearing_folder, ends_in_one_line, is_complete

FAMILIES = "families.csv"
COLOUR_MASK = "_segmented"
CLOCK = "o clock"


@dataclass(frozen=True)
class Sample:
    """One picture of the sample pool; `path` is relative to its manifest's folder."""

    path: str
    image_id: str
    caption: str


@dataclass(frozen=True)
class PoolImage:
    """One row of a pool's manifest.csv; `source_id` and `alteration` say what it was made from, and how."""

    path: str
    image_id: str
    caption: str
    source_id: str
    alteration: str


@dataclass(frozen=True)
class Copy:
    """One row of families.csv: a planted copy."""

    image_id: str
    source_id: str
    alteration: str


@dataclass(frozen=True)
class Plan:
    """Sizes of the pools. Shares are of the pictures that are taken; novel takes what the other two leave.

    held_out: how the image_ids begin of which control and novel may have some; of others `drawings` are taken.
    """

    held_out: str = "photographs/"
    drawings: int = 160
    training: float = 0.6
    control: float = 0.2
    least_control: int = 120
    largest_elsewhere: int = 4
    families: int = 24
    largest_family: int = 20


@dataclass(frozen=True)
class Pools:
    """The sample pictures of each pool, without planted copies."""

    training: list[Sample]
    novel: list[Sample]
    control: list[Sample]


def read_rows(path: Path, columns: Sequence[str]) -> list[dict[str, str]]:
    """Rows of a CSV file that has at least these columns. Raises ScriptError otherwise."""
    try:
        with path.open(encoding="utf-8", newline="") as handle:
            reader = csv.DictReader(handle)
            missing = [column for column in columns if column not in (reader.fieldnames or ())]
            if missing:
                raise ScriptError(f"{path} has no column {', '.join(missing)}")
            return [{column: row[column] or "" for column in columns} for row in reader]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise ScriptError(f"{path} cannot be read as CSV: {error}") from None


def write_rows(path: Path, kind: type[Any], rows: Iterable[Any]) -> None:
    """Write instances of the dataclass `kind` as CSV, its fields as columns."""
    with path.open("w", encoding="utf-8", newline="") as handle:
        writer = csv.DictWriter(handle, list(kind.__dataclass_fields__), lineterminator="\n")
        writer.writeheader()
        writer.writerows(asdict(row) for row in rows)


def digest_of(files: Iterable[Path], *values: object) -> str:
    """SHA-256 over the contents of files and the repr of values, in order."""
    digest = hashlib.sha256(repr(values).encode())
    for path in files:
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()


def read_samples(manifest: Path) -> list[Sample]:
    """The sample pool, ordered by image_id. Raises ScriptError for a manifest without pictures."""
    rows = read_rows(manifest, ("path", "image_id", "caption"))
    if not rows:
        raise ScriptError(f"{manifest} lists no pictures; run scripts/fetch_samples")
    return sorted((Sample(**row) for row in rows), key=lambda sample: sample.image_id)


def components_of(samples: Sequence[Sample], pairs: Path) -> list[list[Sample]]:
    """Connected components of the near-duplicate graph, in order of their first image_id; most are single.

    A photograph under a colour mask is a copy whatever its embedding says: the two are linked too.
    """
    try:
        table = pq.read_table(pairs, columns=["left_id", "right_id"])
    except (OSError, KeyError, pa.ArrowInvalid) as error:
        reason = str(error).partition("\n")[0]
        raise ScriptError(f"{pairs} cannot be read as pairs with left_id and right_id: {reason}") from None
    position = {sample.image_id: i for i, sample in enumerate(samples)}
    ids = [(pair["left_id"], pair["right_id"]) for pair in table.to_pylist()]
    ids += [(masked.removesuffix(COLOUR_MASK), masked) for masked in position if masked.endswith(COLOUR_MASK)]
    ids = [pair for pair in ids if pair[0] in position or not pair[1].endswith(COLOUR_MASK)]
    unknown = next((i for pair in ids for i in pair if i not in position), None)
    if unknown is not None:
        raise ScriptError(f"{pairs} names {unknown!r}, which the sample manifest does not; compute it on this pool")
    edges = np.array([[position[left], position[right]] for left, right in ids], dtype=np.int64).reshape(-1, 2)
    graph = coo_array((np.ones(len(edges)), (edges[:, 0], edges[:, 1])), shape=(len(samples), len(samples)))
    members: dict[int, list[Sample]] = {}
    for sample, label in zip(samples, connected_components(graph, directed=False)[1].tolist(), strict=True):
        members.setdefault(label, []).append(sample)
    return list(members.values())


def has_clock(component: Sequence[Sample]) -> bool:
    return any(sample.caption.endswith(CLOCK) for sample in component)


def is_drawn(component: Sequence[Sample], plan: Plan) -> bool:
    """Whether a component may not be held out, whatever its size."""
    return not all(sample.image_id.startswith(plan.held_out) for sample in component)


def belongs_to_training(component: Sequence[Sample], plan: Plan) -> bool:
    """Whether a component must be trained on: it is large, it is drawn, or it holds a clock."""
    return has_clock(component) or len(component) > plan.largest_elsewhere or is_drawn(component, plan)


def taken(components: Sequence[list[Sample]], plan: Plan, rng: Rng) -> list[list[Sample]]:
    """All components, but of those that are drawn the clocks and some others, in random order as long as they fit."""
    drawn = [component for component in components if is_drawn(component, plan)]
    order = sorted(rng.permutation(len(drawn)).tolist(), key=lambda index: not has_clock(drawn[index]))
    chosen, count = [component for component in components if not is_drawn(component, plan)], 0
    for component in (drawn[index] for index in order):
        if count + len(component) <= plan.drawings:
            chosen.append(component)
            count += len(component)
    return sorted(chosen, key=lambda component: component[0].image_id)


def split(components: Sequence[list[Sample]], plan: Plan, rng: Rng) -> Pools:
    """Deal whole components to the pools: training until it has its share, then control, the rest to novel.

    Raises ScriptError when there are too few pictures for the control and the novel pool.
    """
    components = taken(components, plan, rng) if plan.held_out else components
    total = sum(len(component) for component in components)
    wanted_training = round(total * plan.training)
    wanted_control = max(round(total * plan.control), plan.least_control)
    pools = Pools([], [], [])
    optional = []
    for component in components:
        if belongs_to_training(component, plan):
            pools.training.extend(component)
        else:
            optional.append(component)
    for index in rng.permutation(len(optional)):
        if len(pools.training) < wanted_training:
            pool = pools.training
        else:
            pool = pools.control if len(pools.control) < wanted_control else pools.novel
        pool.extend(optional[index])
    if len(pools.control) < wanted_control or not pools.novel:
        raise ScriptError(
            f"{total} sample pictures are too few: the control pool needs {wanted_control} and has "
            f"{len(pools.control)}, the novel pool has {len(pools.novel)}"
        )
    return pools


def family_sizes(families: int, largest: int) -> list[int]:
    """Numbers of copies by Zipf's law: P(size) ∝ 1 / size for 1 .. `largest`, at `families` even quantiles."""
    cumulative = np.cumsum(1 / np.arange(1, largest + 1))
    quantiles = (np.arange(families) + 0.5) / max(families, 1)
    return [int(size) + 1 for size in np.searchsorted(cumulative / cumulative[-1], quantiles)]


def plan_copies(training: Sequence[Sample], plan: Plan, seed: int) -> list[PoolImage]:
    """Choose the sources of the families and the alterations of their copies; nothing is drawn yet."""
    rng = stream(seed, "", "families", 0)
    sizes = family_sizes(min(plan.families, len(training)), plan.largest_family)
    chosen = rng.choice(len(training), size=len(sizes), replace=False)
    names = list(alterations.ALTERATIONS)
    copies = []
    for index, size in zip(chosen, sizes, strict=True):
        source = training[index]
        for ordinal in range(size):
            name = names[rng.integers(len(names))]
            copy_id = f"{source.image_id}-copy{ordinal:02d}-{name}"
            path = f"images/{copy_id}{Path(source.path).suffix}"
            copies.append(PoolImage(path, copy_id, source.caption, source.image_id, name))
    return copies


def copy_originals(pictures: Sequence[Sample], samples: Path, folder: Path) -> list[PoolImage]:
    """Copy files from the sample folder into a pool; bytes do not change."""
    for picture in pictures:
        target = folder / picture.path
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(samples / picture.path, target)
    return [PoolImage(p.path, p.image_id, p.caption, p.image_id, "") for p in pictures]


def draw_copies(copies: Sequence[PoolImage], training: Sequence[Sample], folder: Path, seed: int) -> None:
    """Alter the sources, which lie in `folder` already, and write the copies beside them."""
    path_of = {sample.image_id: sample.path for sample in training}
    ordinals: dict[str, int] = {}
    for copy in copies:
        ordinal = ordinals[copy.source_id] = ordinals.get(copy.source_id, -1) + 1
        picture = enlarge(read_rgb(folder / path_of[copy.source_id]))
        rng = stream(seed, copy.source_id, copy.alteration, ordinal)
        write_picture(alter(picture, copy.alteration, rng), folder / copy.path)


def write_pools(pools: Pools, samples: Path, out: Path, plan: Plan, seed: int) -> None:
    """Write the three pools below `out`; training gets its planted copies and families.csv."""
    for name, pictures in (("training", pools.training), ("novel", pools.novel), ("control", pools.control)):
        folder = out / name
        folder.mkdir()
        rows = copy_originals(pictures, samples, folder)
        if name == "training":
            copies = plan_copies(sorted(pictures, key=lambda p: p.image_id), plan, seed)
            draw_copies(copies, pictures, folder, seed)
            write_rows(folder / FAMILIES, Copy, (Copy(c.image_id, c.source_id, c.alteration) for c in copies))
            rows += copies
        write_rows(folder / "manifest.csv", PoolImage, sorted(rows, key=lambda row: row.image_id))


def make(samples: Path, pairs: Path, out: Path, seed: int, plan: Plan) -> None:
    """Make the demo set, or leave `out` alone if it was made from the same inputs by the same code."""
    manifest = samples / "manifest.csv"
    pictures = read_samples(manifest)
    components = components_of(pictures, pairs)
    read = [manifest, pairs, *(samples / picture.path for picture in pictures)]
    inputs = digest_of([*read, Path(__file__), Path(alterations.__file__)], seed, plan)
    if is_complete(out, stamp := {"inputs": inputs}):
        return
    with appearing_folder(out, lambda folder: stamp) as new:
        write_pools(split(components, plan, stream(seed, "", "pools", 0)), samples, new, plan, seed)


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make_demo_set", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--samples", metavar="DIR", type=Path, required=True, help="made by scripts/fetch_samples")
    parser.add_argument("--pairs", metavar="FILE", type=Path, required=True, help="pairs.parquet of the samples")
    parser.add_argument("--out", metavar="OUT", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=0)
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None, plan: Plan | None = None) -> int:
    options = parse(arguments)

    def work() -> None:
        make(options.samples, options.pairs, options.out, options.seed, plan or Plan())
        for name in ("training", "novel", "control"):
            manifest = options.out / name / "manifest.csv"
            print(f"{len(read_rows(manifest, ('image_id',)))} pictures in {manifest}")

    return ends_in_one_line("make_demo_set", work)


if __name__ == "__main__":
    sys.exit(main())
