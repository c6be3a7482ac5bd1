"""Is this picture the other one drawn anew? What memaudit says of pictures that models drew anew here.

Pictures and their split are those of `copies`: on `fit` the auto-encoder was trained (autoencoder.py) and the model
fitted, on `tune` curve and cut were chosen (fitting.py), `test` took no part. Each of some references is drawn anew
three times (drawing.py): by the auto-encoder, by patches of other pictures, by a network for styles, by some of these
one after the other, and with another motif; bent by more and with less of it left at each of four strengths. Sheets of
them beside their sources were looked at: at the first two people call nearly all the same picture, at the third 11 of
16 photographs, at the last 8 of 16.

Found is what the model says of its own reference from the cut on, if that is among the three most similar ones that
show another thing. Nulls are these others: flags, icons, emoji of several makers, cards of one deck, photographs of
one building or chessboard, pages of text, stamps; beside them the clean pictures of the part with the most similar
references. What shows one thing with its reference (judged.csv of `copies`) is left out.

With --encoders encoders and fusions stand side by side instead (encoders.py).

Intervals are 95 % Clopper-Pearson, for as many draws as sources tell (memaudit.statistics.ratio_interval).
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

from benchmarks.copies.made import made_in
from benchmarks.copies.pairs import PAIRS, write_pairs
from benchmarks.copies.split import FIT, SECOND, TEST, TUNE, read_split
from benchmarks.measure import BenchmarkError
from benchmarks.record import Figure
from benchmarks.redrawn.rates import figures_of
from benchmarks.runner import Benchmark


def figures(options: argparse.Namespace, work: Path) -> Iterator[Figure]:
    for part in options.parts:
        folder = _drawn(part, work, options.minutes)
        if options.encoders:
            from benchmarks.redrawn import encoders

            yield from encoders.figures_of(folder, _drawn(FIT, work, options.minutes), part, options.beside)
        else:
            yield from figures_of(folder, part)


def _drawn(part: str, work: Path, minutes: float) -> Path:
    """The folder of a part, with what was drawn anew of it."""
    folder = _of_copies(part, work)
    if not (folder / "redrawn" / PAIRS).exists():
        _draw(folder, _of_copies(FIT, work), work / "autoencoder.pt", minutes)
    return folder


def _of_copies(part: str, work: Path) -> Path:
    """The folder of a part, with its pictures and pairs."""
    made_in(work / part, [line for line in read_split() if line.part == part])
    if not (work / part / PAIRS).exists():
        write_pairs(part, work / part, views=False)
    return work / part


def _draw(folder: Path, fit: Path, weights: Path, minutes: float) -> None:
    try:
        from benchmarks.redrawn import autoencoder, pairs
    except ImportError as error:
        raise BenchmarkError(f"drawing pictures anew needs PyTorch: ./scripts/venv cpu dev torch ({error})") from None
    if not weights.exists():
        autoencoder.main(str(fit), str(weights), str(minutes))
    pairs.write_pairs(folder, fit, weights)


def add_options(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--parts", nargs="*", choices=(TEST, SECOND, FIT, TUNE), default=[TEST])
    add("--encoders", action="store_true", help="encoders and fusions side by side, in place of the model's figures")
    add(
        "--beside",
        metavar="NAME",
        nargs="*",
        default=["thumbnail"],
        help="further encoders of memaudit, with --encoders",
    )
    add("--minutes", type=float, default=15.0, help="for which the auto-encoder is trained, where it is not yet")


PACKAGES = ("numpy", "onnxruntime", "pillow", "opencv-python-headless")
BENCHMARK = Benchmark(__doc__ or "", PACKAGES, add_options, figures, continues=True)
