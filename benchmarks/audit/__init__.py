"""What `memaudit audit` finds of copies that nobody made for a benchmark; clock faces; and how fast it searches.

What it finds of altered copies, and what it flags without reason, is measured by `copies`.

Natural copies: photographs with a colour mask (the samples'), and round details of paintings (gcompris's), against a
store of the originals and `--among` other references (of the part `fit` of the split, see `copies`), embedded with
--fine-tiles and without. Clocks: the 24 clock faces among the emoji against each other. Search: exact search of
`--queries` synthetic embeddings in `--rows` beside faiss.IndexFlatIP, in the same run.

Intervals are 95 % Clopper-Pearson. --work gets pictures of the matches with another reference.
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType

import numpy as np

from benchmarks.audit.commands import ENCODER, audited, embedded
from benchmarks.audit.findings import read_findings, said
from benchmarks.audit.natural import of_natural
from benchmarks.index import exact_search
from benchmarks.record import Figure
from benchmarks.runner import Benchmark
from benchmarks.samples import CLOCK, sample_emoji
from benchmarks.synthetic import make_store
from memaudit.matching.search import LEAST_CANDIDATES


def of_clocks(options: argparse.Namespace, work: Path) -> Iterator[Figure]:
    """Each clock face against all 24: what its own picture is called, and what the others are."""
    clocks = {p.stem: p for p in sorted(sample_emoji().rglob("*.png")) if CLOCK.search(p.name)}
    store = embedded(clocks, work / "clocks", ENCODER)
    audited(store.with_suffix(".csv"), store, work / "clocks-audit")  # files: what transparency hides has no row there
    findings = read_findings(work / "clocks-audit")
    itself = [f for f in findings if f.query == f.reference]
    others = [f for f in findings if f.query != f.reference]
    own_kinds, kinds = (Counter(f.kind for f in part) for part in (itself, others))
    yield Figure("clocks", len(clocks), "named first as itself", sum(f.rank == 1 for f in itself), note=said(own_kinds))
    yield Figure("clocks", len(clocks), "matches with other clocks", len(others), note=said(kinds))
    if others:
        values = [f.similarity for f in others]
        yield Figure("clocks", len(others), "similarity", float(np.median(values)), min(values), max(values))
    three = [f for f in others if f.query.startswith("three_oclock")]
    note = "; ".join(f"{f.reference} {f.kind} {f.similarity:.2f}" for f in three)
    yield Figure("clocks", len(clocks), "other clocks named at three o'clock", len(three), note=note)


def of_search(options: argparse.Namespace, work: Path) -> Iterator[Figure]:
    """Exact search beside a flat FAISS index, for as many neighbours as an audit asks: seconds, ratios, comparisons a
    second."""
    store = make_store(work / f"synthetic-{options.rows}", options.rows)
    pairs = options.queries * options.rows
    for figure in exact_search(store, options.rounds, options.queries, [LEAST_CANDIDATES]):
        yield figure
        if figure.measure.endswith(" s") and figure.median:
            measure = f"{figure.measure.removesuffix(' s')}, pairs/s"
            yield replace(figure, measure=measure, median=pairs / figure.median, least=None, most=None)


PARTS: Mapping[str, Callable[[argparse.Namespace, Path], Iterator[Figure]]] = MappingProxyType(
    {"natural": of_natural, "clocks": of_clocks, "search": of_search}
)


def figures(options: argparse.Namespace, work: Path) -> Iterator[Figure]:
    for part in options.parts:
        yield from PARTS[part](options, work)


def add_options(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--among", metavar="N", type=int, default=150, help="references beside the originals of natural copies")
    add("--queries", metavar="N", type=int, default=5000, help="of the exact search")
    add("--rows", metavar="N", type=int, default=200_000, help="of the exact search")
    add("--rounds", metavar="N", type=int, default=3, help="of the exact search")
    add("--parts", nargs="*", choices=PARTS, default=list(PARTS))


PACKAGES = ("numpy", "onnxruntime", "pillow", "opencv-python-headless")
BENCHMARK = Benchmark(__doc__ or "", PACKAGES, add_options, figures)
