"""Whether intervals hold what they promise, and tests accuse nobody, for the way people sample.

Simulated truths, seeded, through what an audit and a dedup run compute: the share of draws in which a 95 % interval
holds the true rate (asked: 0.94 and more), and of tests at 5 % that call chance a finding (asked: 0.055 and less),
beside what was computed before ("before"), and power where something is there. --draws: of each world; fewer are
quicker and less sure.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from itertools import chain
from pathlib import Path

from benchmarks.record import Figure
from benchmarks.runner import Benchmark
from benchmarks.statistics import (
    controls,
    matched,
    nights,
    people,
    planted,
    rates,
    recalls,
    runs,
    sizes,
    strangers,
    weights,
)

LINES = {
    "rates": rates.figures,
    "weights": weights.figures,
    "runs": runs.figures,
    "controls": controls.figures,
    "recalls": recalls.figures,
    "nights": nights.figures,
    "matched": matched.figures,
    "sizes": sizes.figures,
    "planted": planted.figures,
    "people": people.figures,
    "strangers": strangers.figures,
}


def figures(options: argparse.Namespace, scratch: Path) -> Iterator[Figure]:
    return chain.from_iterable(LINES[name](options.draws) for name in options.lines)


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--draws", metavar="N", type=int, default=300)
    parser.add_argument("--lines", nargs="+", choices=[*LINES], default=[*LINES], help="which of them")


def table(found: Sequence[Figure]) -> list[str]:
    """The worst of each measure."""
    kept: dict[str, list[float]] = {}
    for figure in found:
        if figure.median is not None and figure.asked:
            kept.setdefault(f"{figure.measure} {figure.asked}", []).append(figure.median)
    return [f"{name}: {len(values)} worlds, {min(values):.3f} to {max(values):.3f}" for name, values in kept.items()]


BENCHMARK = Benchmark(__doc__ or "", ("numpy", "scipy"), add_options, figures, table=table)
