"""Is this pair a copy? What memaudit says, beside other tools, on pictures that were fixed before it was tuned.

split.csv says of each picture what it is for (split.py): the parts `fit` and `tune` are for whoever tunes the decision,
`test` is measured, and so is `second`, of other packages. Of each source there are 21 single alterations and four
combinations of two; clean images are of the same kinds as the references, and many resemble them: flags, clocks,
icons, road signs, cards of one deck, photographs of one building, one face, textures, text, gradients. Pairs are those
that `memaudit audit` looks at (pairs.py): by the whole picture, and by the tiles of clean images and of copies that the
whole does not lead to. A copy is found if its own source is said to be one; a clean image with any match is a false
finding, but for what shows a drawing of its match and was judged by eye (judged.csv): look at new ones before you add
them there, and in `test` and `second` only at what a rule found that is settled. The probability of a copy is held
against what the pairs are, by tenths, and the cut against those that are no copies.

Beside it: similarity alone, and fastdup, immaculate, PDQ and perception on the same files (peers.py). Processor time is
of the thread that decides, by kind of picture, of images read before and of the pair alone.

Intervals are 95 % Clopper-Pearson, for as many draws as sources tell (memaudit.statistics.ratio_interval).
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from textwrap import shorten

from benchmarks.copies.cost import cost_figures
from benchmarks.copies.found import by_memaudit, by_peers, by_similarity, candidates_in, checked
from benchmarks.copies.made import made_in
from benchmarks.copies.pairs import PAIRS, write_pairs
from benchmarks.copies.rates import RECALL, figures_of
from benchmarks.copies.reliability import reliability
from benchmarks.copies.split import FIT, SECOND, TEST, TUNE, read_split
from benchmarks.record import Figure
from benchmarks.runner import Benchmark

NOTE = 300  # characters of what is named of the peers' wrong pairs: they may be thousands


def of_part(part: str, options: argparse.Namespace, folder: Path) -> Iterator[Figure]:
    made = made_in(folder, [line for line in read_split() if line.part == part])
    if not (folder / PAIRS).exists():
        write_pairs(part, folder, views=True)
    pairs = candidates_in(folder)
    checks = checked(folder, pairs)
    for found in (by_memaudit(pairs, checks), by_similarity(pairs)):
        yield from figures_of(made, found, f"{part}, {found.name}")
    yield from reliability(pairs, checks.probability, part)
    if options.peers:
        for peer in by_peers(made, folder / "peers"):
            for figure in figures_of(made, peer, f"{part}, {peer.name}"):
                yield replace(figure, note=shorten(figure.note, NOTE, placeholder=" ..."))
            if peer.cost:
                yield Figure(f"{part}, {peer.name}", len(made), "CPU s", peer.cost.cpu_seconds, note=peer.note)
    yield from cost_figures(folder, part)


def figures(options: argparse.Namespace, work: Path) -> Iterator[Figure]:
    for part in options.parts:
        yield from of_part(part, options, work / part)


def table_of(figures: Sequence[Figure]) -> list[str]:
    """Lines of a table with a column for each tool, for a reader; the CSV has the intervals."""
    columns = list(dict.fromkeys(figure.data for figure in figures if figure.measure == RECALL))
    cells = {(figure.measure, figure.data): _cell(figure) for figure in figures if figure.data in columns}
    measures = list(dict.fromkeys(measure for measure, _ in cells))
    lines = [f"| | {' | '.join(columns)} |", "|---|" + "--:|" * len(columns)]
    return lines + [f"| {m} | {' | '.join(cells.get((m, column), '') for column in columns)} |" for m in measures]


def _cell(figure: Figure) -> str:
    if figure.median is None:
        return ""
    return f"{figure.median:,.0f}" if figure.least is None else f"{figure.median:.2%}"


def add_options(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--parts", nargs="*", choices=(TEST, SECOND, FIT, TUNE), default=[TEST, SECOND])
    add("--no-peers", dest="peers", action="store_false", help="memaudit alone")


PACKAGES = ("numpy", "onnxruntime", "pillow", "opencv-python-headless")
BENCHMARK = Benchmark(__doc__ or "", PACKAGES, add_options, figures, table=table_of, continues=True)
