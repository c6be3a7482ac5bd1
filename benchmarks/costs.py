"""What each stage of dedup costs: the coefficients of `memaudit plan`, and how far they are off for other runs.

Processor seconds of all threads, stage by stage, in a process of its own for each size of synthetic.py, at its
threshold and at one with few pairs. Coefficients are the least squares over `--fit` sizes; `--check` sizes take no
part. `--groups` are rules by which groups are formed; what that takes is noted by itself, as a part of deciding.
`--write` puts coefficients into memaudit/costs/costs.toml.
"""

from __future__ import annotations

import argparse
import json
import re
import resource
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from functools import wraps
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from benchmarks.measure import cost_of
from benchmarks.record import Figure
from benchmarks.runner import Benchmark
from benchmarks.synthetic import THRESHOLD, make_store
from memaudit.costs.model import ONCE, PATH, read_costs
from memaudit.costs.quantities import DedupWork

DATA = "synthetic, dedup"
_FEW_PAIRS = 0.97  # threshold
STAGES = (
    ("memaudit.dedup.run", "set_up", "reading the store"),
    ("memaudit.dedup.search", "Matrix", "copying embeddings"),
    ("memaudit.dedup.pairs", "_choose", "starting"),
    ("memaudit.dedup.pairs", "fit", "k-means"),
    ("memaudit.dedup.pairs.PairSearch", "_assigned", "assigning clusters"),
    ("memaudit.dedup.pairs.PairSearch", "pairs_of", "comparing a pilot"),
    ("memaudit.dedup.pairs.PairSearch", "compare_all", "comparing"),
    ("memaudit.dedup.pairs.PairSearch", "add_probe", "comparing"),
    ("memaudit.dedup.pairs.PairSearch", "found", "sorting pairs"),
    ("memaudit.dedup.search", "_recall", "measuring recall"),
    ("memaudit.dedup.run", "decide_all", "deciding"),
    ("memaudit.dedup.run", "removal_skew", "removal skew"),
    ("memaudit.api.deduping", "write_dedup", "writing"),
)
WITHIN = (("memaudit.dedup.outcome", "settle", "groups, of deciding"),)  # parts of a stage: not added to it again


def figures(options: argparse.Namespace, scratch: Path) -> Iterator[Figure]:
    sizes = (*options.fit, *options.check)
    runs = [ran for rows in sizes for ran in _runs(scratch / f"{rows}", rows, options.groups)]
    if options.write:
        write_fit([ran for ran in runs if ran.rows in options.fit])
        read_costs.cache_clear()
    for ran in runs:
        yield from _figures(ran, "fitted" if options.write and ran.rows in options.fit else "checked")


def _runs(folder: Path, rows: int, groups: Sequence[str]) -> Iterator[Ran]:
    make_store(folder / "store", rows)
    for rule in groups:
        for threshold in (THRESHOLD, _FEW_PAIRS):
            given: list[str | Path] = [folder / "store", f"{threshold}", rule]
            yield Ran(rows, **json.loads(cost_of([sys.executable, "-m", "benchmarks.costs", *given]).said))


def _figures(ran: Ran, role: str) -> Iterator[Figure]:
    told = read_costs().commands["dedup"].told(ran.quantities, 1)
    planned = {stage.name: stage.cpu_seconds for stage in told.stages}
    for name, seconds in {**ran.stages, **ran.within}.items():
        yield Figure(DATA, ran.rows, f"{name}, CPU s", seconds, note=f"{role}{ran.how}")
    yield Figure(DATA, ran.rows, "all, CPU s", sum(ran.stages.values()), note=f"{role}{ran.how}")
    yield Figure(
        DATA, ran.rows, "planned / measured CPU s", sum(planned.values()) / sum(ran.stages.values()), note=role
    )
    yield Figure(DATA, ran.rows, "peak MB", ran.peak / 1e6, note=role)
    yield Figure(DATA, ran.rows, "planned / measured peak", told.memory / ran.peak, note=role)


class Ran(NamedTuple):
    """A run: what it was about, processor seconds of each stage, and its peak memory in bytes. within: of parts of
    stages; groups: the rule that they were formed by."""

    rows: int
    dim: int
    clusters: int
    compared: float
    pairs: float
    stages: dict[str, float]
    peak: float
    within: dict[str, float] = {}  # noqa: RUF012 - of a NamedTuple: it is never written to
    groups: str = "cover"

    @property
    def how(self) -> str:
        """For a note."""
        return f"; {self.pairs:,.0f} pairs, groups {self.groups}" if self.within else ""

    @property
    def quantities(self) -> dict[str, float]:
        return {ONCE: 1.0, **DedupWork(*self[:5]).quantities}


def write_fit(runs: list[Ran], path: Path = PATH) -> None:
    """Put the least squares over these runs, relative to each one's own cost, into the file: none below 0."""
    text = path.read_text()
    for stage in read_costs(path).commands["dedup"].stages:
        if not any(ran.quantities[unit] for ran in runs for unit in stage.per):
            continue  # as what is done with files: a synthetic store has none
        found = _least_squares(runs, list(stage.per), [ran.stages.get(stage.name, 0.0) for ran in runs])
        told = ", ".join(f"{unit} = {value:.3g}" for unit, value in found.items())
        line = re.compile(rf'(\[\[dedup.stage]]\nname = "{re.escape(stage.name)}".*\nthreads = \d+\nseconds = ){{.*}}')
        text = line.sub(rf"\g<1>{{ {told} }}", text)
    memory = _least_squares(runs, list(read_costs(path).commands["dedup"].memory), [ran.peak for ran in runs])
    lines = "".join(f"{unit} = {value:.3g}\n" for unit, value in memory.items())
    path.write_text(re.sub(r"(\[dedup.memory]\n)[^\[]*", lambda found: found[1] + lines, text))


def _least_squares(runs: list[Ran], units: list[str], told: list[float]) -> dict[str, float]:
    from scipy.optimize import nnls

    weight = 1 / np.maximum(np.array(told), 1e-9 + 0.01 * max(told))
    matrix = np.array([[ran.quantities[unit] for unit in units] for ran in runs])
    scale = np.maximum(matrix.max(axis=0), 1e-12)
    solved, _ = nnls(matrix / scale * weight[:, None], np.array(told) * weight)
    return dict(zip(units, (solved / scale).tolist(), strict=True))


def measured(store: Path, threshold: float, groups: str = "cover") -> dict[str, Any]:
    """Run dedup, and say what each stage took."""
    from importlib import import_module

    import memaudit as ma

    stages: dict[str, float] = {}
    within: dict[str, float] = {}
    for place, name, stage in (*STAGES, *WITHIN):
        parts = place.split(".")
        owner: Any = import_module(".".join(parts[:3]))
        for part in parts[3:]:
            owner = getattr(owner, part)
        noted_in = stages if (place, name, stage) in STAGES else within
        setattr(owner, name, _noted(getattr(owner, name), stage, noted_in))
    with tempfile.TemporaryDirectory() as out:
        run = ma.run_dedup(store, out, threshold=threshold, groups=groups)
        compared = json.loads((Path(out) / "report.json").read_text())["results"]["comparison"]
        found = {
            "dim": ma.open_store(store).encoder.dim,
            "clusters": compared["clusterings"][0]["clusters"] if compared["clusterings"] else 0,
            "compared": compared["compared"],
            "pairs": len(run.pairs),
        }
    stages["starting"] = stages.get("starting", 0.0) + time.process_time() - sum(stages.values())
    found |= {"within": within, "groups": groups}
    return {**found, "stages": stages, "peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024}


def _noted(function: Callable[..., Any], stage: str, stages: dict[str, float]) -> Callable[..., Any]:
    @wraps(function)
    def noted(*given: Any, **named: Any) -> Any:
        before = time.process_time()
        try:
            return function(*given, **named)
        finally:
            stages[stage] = stages.get(stage, 0.0) + time.process_time() - before

    return noted


def add_options(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--fit", metavar="ROWS", type=int, nargs="+", default=[10_000, 20_000, 30_000, 100_000, 300_000, 1_000_000])
    add("--check", metavar="ROWS", type=int, nargs="*", default=[15_000, 50_000, 200_000, 600_000])
    add("--groups", metavar="RULE", nargs="+", default=["cover"], choices=("cover", "components"))
    add("--write", action="store_true", help="put the coefficients into memaudit/costs/costs.toml")


BENCHMARK = Benchmark(__doc__ or "", ("faiss-cpu", "numpy", "pyarrow"), add_options, figures)

if __name__ == "__main__":
    print(json.dumps(measured(Path(sys.argv[1]), float(sys.argv[2]), sys.argv[3])))
