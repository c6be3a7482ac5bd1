"""Fused join of two blocks on a CUDA device, by Triton: scores never leave the registers, so no matrix of them is
written or read. `scan` says which rows may reach the threshold within a tile of columns, `emit` which pairs may.

Nothing is lost: docs/protocols/similarity.md#fused-on-a-card derives by how much a narrow product can be off.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from typing import Any, NamedTuple

import numpy as np

from memaudit.similarity.exact import ROUNDING
from memaudit.types import Float32, Int64

WIDEST = 0.06  # margin of int8, of the average tile: beyond, spikes have made the scale coarse, and float16 is quicker
_FLOAT32_SUM = 2.0**-22  # of each product: sums of tensor cores truncate, so twice the 2^-23 of sums that round
_ROOM = 1 << 20  # entries, and pairs, that a buffer holds at first
_LEAST_PEAK = 1e-3  # of rows that are all zero
_PROGRAMS_A_PROCESSOR = 4
_CAPABILITY = (8, 0)  # of the device: tensor cores for int8


@dataclass(frozen=True)
class Shape:
    """How the kernels cut their work: rows and columns of a tile, bytes of a row at a time, row tiles that share the
    cache, warps, and stages of loading ahead. Of 14 that compile for sm_90 none was timed."""

    rows: int = 128
    columns: int = 256
    step_bytes: int = 128
    group: int = 16
    warps: int = 8
    stages: int = 3


class Narrow(NamedTuple):
    """Rows as `scan` multiplies them, padded to whole tiles and steps; scale: what 1 of them stands for; lost: of each
    row, the length of what rounding took, rounded up."""

    rows: Any
    scale: float
    lost: Any


def near_pairs(
    left: Float32, right: Float32, threshold: float, device: str, shape: Shape | None = None, kind: str = ""
) -> tuple[Int64, Int64]:
    """Positions (i, j), sorted, of all pairs of unit rows that reach the threshold, and of some just below it.

    kind: int8, float16 or, empty, the quicker one for these rows. Memory, on the device: the rows in float32 and in a
    byte or two, 8 bytes for each pair and entry. Raises RuntimeError where it has no room.
    """
    import torch

    if not len(left) or not len(right):
        return np.empty(0, np.int64), np.empty(0, np.int64)
    shape = shape or Shape()
    with torch.cuda.device(device) if device.startswith("cuda") else nullcontext():
        a, b = (torch.from_numpy(np.ascontiguousarray(side, np.float32)).to(device) for side in (left, right))
        entries = _scanned(*_narrowed(a, b, shape, kind), threshold, shape, len(left))
        keys = np.asarray(torch.sort(_emitted(a, b, entries, threshold, shape)).values.cpu().numpy())
    return keys >> 32, keys & 0xFFFFFFFF


def _narrowed(a: Any, b: Any, shape: Shape, kind: str) -> tuple[Narrow, Narrow]:
    """Both sides in int8, unless its margin would be wide, or float16 is asked for."""
    if kind != "float16":
        x, y = in_bytes(a, shape), in_bytes(b, shape)
        if kind == "int8" or _typical(x.lost, shape.rows) + _typical(y.lost, shape.columns) <= WIDEST:
            return x, y
    return in_float16(a, shape), in_float16(b, shape)


def in_bytes(wide: Any, shape: Shape) -> Narrow:
    """One scale for all rows: then whole products can be compared with one number for each pair of tiles."""
    import torch

    scale = float(np.float32(max(float(wide.abs().max()), _LEAST_PEAK) / 127))
    whole = torch.clamp(torch.round(wide / scale), -127, 127)
    return Narrow(_padded(whole.to(torch.int8), shape, shape.step_bytes), scale, _lost(wide, whole * scale))


def in_float16(wide: Any, shape: Shape) -> Narrow:
    import torch

    narrow = wide.to(torch.float16)
    return Narrow(_padded(narrow, shape, shape.step_bytes // 2), 1.0, _lost(wide, narrow.float()))


def _lost(wide: Any, back: Any) -> Any:
    import torch

    return torch.linalg.vector_norm(wide - back, dim=1) * (1 + 1e-4) + 1e-6


def _padded(rows: Any, shape: Shape, step: int) -> Any:
    tile = math.lcm(shape.rows, shape.columns)
    padded = rows.new_zeros((-(-rows.shape[0] // tile) * tile, -(-rows.shape[1] // step) * step))
    padded[: rows.shape[0], : rows.shape[1]] = rows
    return padded


def _of_tiles(lost: Any, tiles: int, tile: int) -> Any:
    """The most that a row of each tile lost."""
    every = lost.new_zeros(tiles * tile)
    every[: len(lost)] = lost
    return every.view(tiles, tile).max(dim=1).values


def _typical(lost: Any, tile: int) -> float:
    return float(_of_tiles(lost, -(-len(lost) // tile), tile).mean())


def _scanned(a: Narrow, b: Narrow, threshold: float, shape: Shape, rows: int) -> Any:
    import torch

    from memaudit.similarity.kernels import scan

    whole, dim = a.rows.dtype == torch.int8, a.rows.shape[1]
    row_tiles, column_tiles = a.rows.shape[0] // shape.rows, b.rows.shape[0] // shape.columns
    lost = _of_tiles(a.lost, row_tiles, shape.rows), _of_tiles(b.lost, column_tiles, shape.columns)
    least = threshold - ROUNDING - (0 if whole else 1.02 * dim * _FLOAT32_SUM)
    programs = min(_processors(a.rows.device), row_tiles * column_tiles)

    def launch(entries: Any, count: Any, room: int) -> None:
        scan[(programs,)](
            a.rows, b.rows, *lost, entries, count, room, rows, row_tiles, column_tiles, least, 1 / (a.scale * b.scale),
            dim, shape.rows, shape.columns, shape.step_bytes // (1 if whole else 2), shape.group, whole,
            num_warps=shape.warps, num_stages=shape.stages,
        )  # fmt: skip

    return _appended(launch, a.rows.device)


def _emitted(a: Any, b: Any, entries: Any, threshold: float, shape: Shape) -> Any:
    from memaudit.similarity.kernels import emit

    number = len(entries)
    if not number:
        return entries
    programs = min(_PROGRAMS_A_PROCESSOR * _processors(a.device), number)

    def launch(pairs: Any, count: Any, room: int) -> None:
        emit[(programs,)](
            a, b, entries, number, pairs, count, room, len(b), threshold - ROUNDING,
            a.shape[1], shape.columns, 64, num_warps=4,
        )  # fmt: skip

    return _appended(launch, a.device)


def _appended(launch: Callable[[Any, Any, int], None], device: Any) -> Any:
    """What a kernel appends. A buffer that was too small is made as large as need be, and the kernel runs again."""
    import torch

    count, room = torch.zeros(1, dtype=torch.int64, device=device), _ROOM
    while True:
        buffer = torch.empty(room, dtype=torch.int64, device=device)
        launch(buffer, count.zero_(), room)
        found = int(count.item())
        if found <= room:
            return buffer[:found]
        room = found


def _processors(device: Any) -> int:
    import torch

    return int(torch.cuda.get_device_properties(device).multi_processor_count) if device.type == "cuda" else 3


def devices() -> tuple[str, ...]:
    """The CUDA devices on which the kernels do what they should; none where Triton is absent."""
    if find_spec("triton") is None:
        return ()
    import torch

    every = [f"cuda:{number}" for number in range(torch.cuda.device_count())]
    return tuple(each for each in every if torch.cuda.get_device_capability(each) >= _CAPABILITY and is_right_on(each))


@cache
def is_right_on(device: str, shape: Shape | None = None, families: int = 200) -> bool:
    """Whether the kernels find on this device what numpy finds, in both formats: tried once a process.

    They are compiled where they run, by whatever Triton, driver and C compiler are there.
    """
    rng = np.random.default_rng(0)
    rows = np.repeat(rng.standard_normal((families, 200)), 3, axis=0) + 0.5 * rng.standard_normal((3 * families, 200))
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    scores, threshold = rows @ rows.T, 0.8
    try:
        for kind in ("int8", "float16"):
            found = near_pairs(rows.astype(np.float32), rows.astype(np.float32), threshold, device, shape, kind)
            told = np.zeros(scores.shape, bool)
            told[found] = True
            if (told < (scores >= threshold)).any() or (told > (scores >= threshold - 1e-3)).any():
                return False
    except Exception:  # noqa: BLE001 - errors of Triton have no base class, and any of them means "not here"
        return False
    return True
