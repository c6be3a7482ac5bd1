"""What `memaudit audit` finds, and what it should not.

Pictures of the given folders and of scripts/fetch_samples, at most 512 px, are thinned until no two of them reach a
similarity of `--apart`. Drawn at random from what is left: references, and among them sources, 7 in 10 of them
photographs or paintings and the others clip-art, as far as there are so many; and clean images, which are of the same
kinds and no copies. Clip-art is what comes from the folders of `--clip-art`, what has transparent parts, and emoji.
Generations are 21 copies of each source (alterations.py) and the clean images. `memaudit audit` runs on them as it is,
with no options, and with `--match none --views none`; with the store of `sscd`, and with that of `thumbnail`. Peers
(peers.py): what tools that one would otherwise run pair of the same files.

A copy counts as found if its own source is among its matches; matches with another reference are counted on their own,
and so is every clean image with a match. Those are named in the results' notes, and --work gets a picture of them.
Thinning keeps out what resembles a reference by nature, and so FLATTERS precision, but not what shares a detail with
one: clip-art is made of other clip-art. shared.csv names such pairs, found by earlier runs and judged by
eye; a clean image with any other match is a false finding. Look at new ones before you add them there.

Natural copies: photographs with a colour mask (the samples'), and round details of paintings (where a folder has
`details/NAME_1.webp` beside `details/NAME_background.webp`, as gcompris does), against a store of the originals and
`--among` of the references, embedded with --fine-tiles and without. Clocks: the 24 clock faces among the emoji against
each other. Search: exact search of `--queries` synthetic embeddings in `--rows` beside faiss.IndexFlatIP, in the same
run.

Intervals are 95 % Clopper-Pearson, for as many draws as sources tell.
"""

from __future__ import annotations

import argparse
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from textwrap import shorten
from types import MappingProxyType
from typing import NamedTuple

import numpy as np

from benchmarks.audit.commands import audited, embedded, embedding
from benchmarks.audit.findings import (
    KINDS,
    RECALL,
    copies_figures,
    ranked,
    read_findings,
    said,
    without_content,
    write_sheets,
)
from benchmarks.audit.natural import of_natural
from benchmarks.audit.pictures import ENCODER, drawn, generations_of
from benchmarks.index import exact_search
from benchmarks.measure import Cost
from benchmarks.peers import peers
from benchmarks.record import Figure
from benchmarks.runner import Benchmark
from benchmarks.samples import CLOCK, sample_emoji
from benchmarks.synthetic import make_store
from memaudit.matching.search import LEAST_CANDIDATES

NOTE = 300  # characters of what is named of the peers' wrong pairs: they may be thousands


class Run(NamedTuple):
    """An audit with the stores of an encoder; no options: the tool's own decision."""

    encoder: str
    options: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        return f"{self.encoder}, {' '.join(self.options) or 'as it is'}"

    @property
    def promises(self) -> bool:
        """Whether docs promise anything of it."""
        return self.encoder == ENCODER and not self.options


RUNS = tuple(Run(e, o) for e in (ENCODER, "thumbnail") for o in ((), ("--match", "none", "--views", "none")))


def of_copies(options: argparse.Namespace, work: Path) -> Iterator[Figure]:
    pictures = drawn(options, options.pictures or work / "pictures")
    yield Figure("copies", len(pictures.references), "references", len(pictures.references))
    yield Figure("copies", len(pictures.clean), "clean images", len(pictures.clean))
    clips = sum(name in pictures.clip_art for name in pictures.sources)
    yield Figure(
        "copies", len(pictures.sources), "photographs or paintings among the sources", len(pictures.sources) - clips
    )
    generations = generations_of(pictures, work / "copies")
    for encoder in dict.fromkeys(run.encoder for run in RUNS):
        store, queries = work / f"references-{encoder}", work / f"generations-{encoder}"
        costs = [
            embedding(pictures.some(pictures.references), store, encoder),
            embedding(generations, queries, encoder),
        ]
        for number, run in enumerate(run for run in RUNS if run.encoder == encoder):
            out = work / f"audit-{encoder}-{number}"
            cost = audited(queries, store, out, *run.options)
            findings = read_findings(out)
            yield from copies_figures(pictures, findings, run.name, run.promises)
            yield Figure(run.name, len(generations), "generations without content", without_content(out))
            yield Figure(run.name, len(generations), "audit, CPU s", cost.cpu_seconds)
            yield Figure(run.name, len(generations), "audit, peak MB", cost.peak_mb)
            yield from cost_figures(run.name, len(generations), [*costs, cost])
            write_sheets(pictures, findings, generations, out)


def cost_figures(data: str, count: int, costs: Sequence[Cost], note: str = "") -> Iterator[Figure]:
    """Of all commands from files to matches."""
    yield Figure(data, count, "files to matches, CPU s", sum(cost.cpu_seconds for cost in costs), note=note)
    yield Figure(data, count, "files to matches, peak MB", max(cost.peak_mb for cost in costs), note=note)


def of_peers(options: argparse.Namespace, work: Path) -> Iterator[Figure]:
    """The figures of the copies, of each tool; a line that says why where there are none."""
    pictures = drawn(options, options.pictures or work / "pictures")
    generations = generations_of(pictures, work / "copies")
    for peer in peers(pictures.some(pictures.references), generations, work / "peers"):
        if peer.cost is None:
            yield Figure(peer.name, 0, RECALL, None, note=peer.note)
            continue
        for figure in copies_figures(pictures, ranked(peer.pairs), peer.name):
            if figure.measure != KINDS:
                yield replace(figure, note=shorten(figure.note, NOTE, placeholder=" ..."))
        yield from cost_figures(peer.name, len(generations), [peer.cost], peer.note)


def of_clocks(options: argparse.Namespace, work: Path) -> Iterator[Figure]:
    """Each clock face against all 24: what its own picture is called, and what the others are."""
    clocks = {p.stem: p for p in sorted(sample_emoji().rglob("*.png")) if CLOCK.search(p.name)}
    store = embedded(clocks, work / "clocks", ENCODER)
    audited(store, store, work / "clocks-audit")
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
    {"copies": of_copies, "peers": of_peers, "natural": of_natural, "clocks": of_clocks, "search": of_search}
)


def table_of(figures: Sequence[Figure]) -> list[str]:
    """Lines of a table with a column for each run and each peer, for a reader; the CSV has the intervals.

    No lines where nothing was measured of the copies.
    """
    columns = list(dict.fromkeys(figure.data for figure in figures if figure.measure == RECALL))
    if not columns:
        return []
    cells = {(figure.measure, figure.data): _cell(figure) for figure in figures if figure.data in columns}
    measures = list(dict.fromkeys(measure for measure, _ in cells))
    lines = [f"| | {' | '.join(columns)} |", "|---|" + "--:|" * len(columns)]
    return lines + [f"| {m} | {' | '.join(cells.get((m, column), '') for column in columns)} |" for m in measures]


def _cell(figure: Figure) -> str:
    if figure.median is None:
        return ""
    return f"{figure.median:,.0f}" if figure.least is None else f"{figure.median:.1%}"


def figures(options: argparse.Namespace, work: Path) -> Iterator[Figure]:
    for part in options.parts:
        yield from PARTS[part](options, work)


def add_options(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--images", metavar="FOLDER", type=Path, nargs="*", default=[], help="pictures, before those of the samples")
    add("--clip-art", metavar="FOLDER", type=Path, nargs="*", default=[], help="drawings, after them")
    add("--sources", metavar="N", type=int, default=300, help="references of which copies are made")
    add("--references", metavar="N", type=int, default=2000)
    add("--clean", metavar="N", type=int, default=1000)
    add("--apart", metavar="T", type=float, default=0.5, help="similarity that no two pictures reach")
    add("--among", metavar="N", type=int, default=150, help="references beside the originals of natural copies")
    add("--queries", metavar="N", type=int, default=5000, help="of the exact search")
    add("--rows", metavar="N", type=int, default=200_000, help="of the exact search")
    add("--rounds", metavar="N", type=int, default=3, help="of the exact search")
    add("--parts", nargs="*", choices=PARTS, default=list(PARTS))
    add("--pictures", metavar="DIR", type=Path, help="thinned pictures: taken from there, or put there")


def settings(options: argparse.Namespace) -> dict[str, str]:
    folders = " ".join([*(folder.name for folder in (*options.images, *options.clip_art)), "samples"])
    return {"apart": f"{options.apart:g}", "images": folders}


PACKAGES = ("numpy", "onnxruntime", "pillow", "opencv-python-headless")
BENCHMARK = Benchmark(__doc__ or "", PACKAGES, add_options, figures, settings, table_of)
