"""Small pictures, and the pools they make."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from scripts.make_demo_set import Plan

SCRIPTS = Path(__file__).parents[2] / "scripts"

SMALL = Plan(held_out="", least_control=8, families=5, largest_family=4)
CLOCKS = ("one o clock", "two o clock")
LARGE = tuple(f"icon {number}" for number in range(6))
SMALL_FAMILY = ("icon 20", "icon 21", "icon 22")


def noise(seed: int, side: int = 16) -> Image.Image:
    pixels = np.random.default_rng(seed).integers(0, 256, size=(side, side, 3), dtype=np.uint8)
    return Image.fromarray(pixels)


def write_pairs(path: Path, chains: list[tuple[str, ...]]) -> None:
    """pairs.parquet in which the pictures of each chain are linked one after the other."""
    pairs = [pair for chain in chains for pair in itertools.pairwise(chain)]
    columns = {"left_id": [a for a, _ in pairs], "right_id": [b for _, b in pairs], "similarity": [0.9] * len(pairs)}
    pq.write_table(pa.table(columns), path)


def id_of(caption: str) -> str:
    return f"icons/{caption.replace(' ', '_')}"
