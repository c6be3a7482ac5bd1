"""Runs a benchmark by its name: its options, a folder to work in, its figures as they come, and their table."""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from types import MappingProxyType

from benchmarks.measure import BenchmarkError
from benchmarks.record import Figure, Recorder, show, versions
from memaudit.errors import MemauditError

RESULTS = Path(__file__).resolve().parents[1] / "results"
BENCHMARKS: Mapping[str, str] = MappingProxyType(
    {
        "audit": "what an audit finds of 21 alterations and of natural copies, and what it flags that is no copy",
        "claims": "what `memaudit claims` finds of planted pictures, its cost, and its ledger after kills and changes",
        "copies": "is this pair a copy: recall, false findings, boxes and cost, on pictures fixed before it was tuned",
        "costs": "what each stage of `memaudit dedup` costs, beside what `memaudit plan` says",
        "dedup": "time and recall of finding near-duplicate pairs, beside FAISS and the method of 2022",
        "embed": "images/s of `memaudit embed` beside the bare encoder and immaculate; peak memory",
        "executors": "one dedup run by one process, several, a stand-in for Slurm, Ray: what differs, time, memory",
        "experiment": "what two small models give back, one trained on all pictures, one on the deduplicated ones",
        "export": "time and memory of `memaudit export`; killed half-way and continued; read back and trained on",
        "families": "precision and recall of `memaudit dedup` on families of altered copies",
        "filters": "labels that a filter takes, whether its intervals hold, and the speed of `filter apply`",
        "faces": "images/s of `memaudit faces` beside OpenCV's own loop; the join of faces beside FAISS",
        "gate": "start-up to verdict of `memaudit gate`",
        "importing": "speed and memory of `memaudit import`, beside np.load and a copy",
        "keep": "whether dedup keeps the original of families of known origin, by keep rule",
        "index": "exact search beside faiss.IndexFlatIP; build, size, speed and recall of each recipe",
        "matching": "processor time of a whole dedup and audit with pixels, with and without kept features",
        "redrawn": "is this picture the other drawn anew: recall, false findings, calibration, on pictures of models",
        "reweighting": "what weights restore of shares that a filter shifts, what a generator then makes, and the cost",
        "serve": "`memaudit serve` under load: seconds to a verdict, memory, verdicts lost or wrongly clean",
        "statistics": "how often intervals hold the truth and tests accuse nobody, for the way people sample",
        "size": "time, memory and reading of `memaudit dedup` with pixels, by the number of files",
        "windows": "cost and recall of windows of one pass, beside each encoded by itself",
    }
)


@dataclass(frozen=True)
class Benchmark:
    """What `benchmarks.NAME.BENCHMARK` says of itself. `figures` is given the options and a folder to work in.

    packages: whose versions are written down; settings: what else is. table: lines for a reader, at the end.
    continues: a folder of an earlier run may be worked in again.
    """

    about: str
    packages: Sequence[str]
    add_options: Callable[[argparse.ArgumentParser], None]
    figures: Callable[[argparse.Namespace, Path], Iterator[Figure]]
    settings: Callable[[argparse.Namespace], Mapping[str, str]] = lambda options: {}
    table: Callable[[Sequence[Figure]], list[str]] = lambda figures: []
    continues: bool = False


def load(name: str) -> Benchmark:
    """Raises BenchmarkError where a package that it compares with is not installed."""
    try:
        benchmark: Benchmark = import_module(f"benchmarks.{name}").BENCHMARK
    except ImportError as error:
        raise BenchmarkError(f'{error}: install what the benchmarks need (pip install -e ".[cpu,torch,dev]")') from None
    return benchmark


def parse(name: str, benchmark: Benchmark, arguments: Sequence[str]) -> argparse.Namespace:
    """Its own options, and the two that all have."""
    raw = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(f"python -m benchmarks {name}", description=benchmark.about, formatter_class=raw)
    benchmark.add_options(parser)
    kind = "a folder" if benchmark.continues else "a new folder"
    parser.add_argument("--work", metavar="FOLDER", type=Path, help=f"{kind}: keep what is made and found there")
    parser.add_argument("--out", metavar="FOLDER", type=Path, default=RESULTS, help="of the table (default: results/)")
    return parser.parse_args(arguments)


@contextmanager
def working_folder(name: str, given: Path | None, continues: bool) -> Iterator[Path]:
    """`given`, or a temporary folder. Stores and reports of an earlier run would pass for those of this one."""
    if given is None:
        with tempfile.TemporaryDirectory(prefix=f"benchmarks.{name}.") as temporary:
            yield Path(temporary)
        return
    if given.exists() and not continues:
        raise BenchmarkError(f"--work {given} exists: name a new folder")
    given.mkdir(parents=True, exist_ok=True)
    yield given


def run(name: str, benchmark: Benchmark, options: argparse.Namespace) -> None:
    """Each figure is written when it is measured: what was done before an error, or Ctrl-C, is not lost."""
    about = {**benchmark.settings(options), **versions(*benchmark.packages)}
    recorder, found = Recorder.of(name, options.out, about), list[Figure]()
    with working_folder(name, options.work, benchmark.continues) as folder:
        for figure in benchmark.figures(options, folder):
            show(figure)
            recorder.add(figure)
            found.append(figure)
    print(*benchmark.table(found), recorder.path, sep="\n")


def main(arguments: Sequence[str] | None = None) -> int:
    name, *rest = (sys.argv[1:] if arguments is None else arguments) or ["list"]
    if name in {"list", "-h", "--help"}:
        print("python -m benchmarks NAME [options]; NAME --help says more\n")
        print("\n".join(f"{name:<10} {about}" for name, about in BENCHMARKS.items()))
        return 0
    try:
        if name not in BENCHMARKS:
            raise BenchmarkError(f"no such benchmark: expected one of {', '.join(BENCHMARKS)}")
        benchmark = load(name)
        run(name, benchmark, parse(name, benchmark, rest))
    except (BenchmarkError, MemauditError) as error:
        print(f"benchmarks {name}: {error}", file=sys.stderr)
        return 2
    return 0
