"""Scores: products of queries with a block of references, in a narrow format where the machine is fast at it.

A score only nominates. How far it can be off is bounded for the very vectors at hand, not for typical ones, so that
what is left out is left out for certain.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, NamedTuple, Protocol, TypeVar

import numpy as np

from memaudit.memory import refused
from memaudit.similarity.card import float32_sums
from memaudit.similarity.exact import ROUNDING
from memaudit.similarity.whole import cuda_is_there, torch_with_bfloat16
from memaudit.store import as_float32, require_lengths
from memaudit.types import Float32, Int64

T = TypeVar("T")
R = TypeVar("R")
_CACHED = 512  # rows: 1 MiB in float32
_SLACK = 1 + 1e-5  # lengths of unit vectors, and of what rounding took away, are themselves rounded
_SUM = 2.0**-23  # a float32 sum of n products of unit vectors is off by less than n times this (Higham 2002, 3.1)
_OUTPUT = {"bfloat16": 1.01 * 2.0**-8, "float16": 1.01 * 2.0**-11}  # what rounding a score to this format changes of it


class Nominated(NamedTuple):
    """Candidates: query and position in the block, (n,) int64 each, and `least` and `most`, (n,) float32: bounds of
    the similarity."""

    query: Int64
    position: Int64
    least: Float32
    most: Float32


class Tile(Protocol):
    """The scores of all queries with a run of references."""

    def kth(self, k: int) -> Float32:
        """For each query (q,) a lower bound of its k-th highest similarity in the tile; -inf where it has fewer."""

    def at_least(self, floors: Float32) -> Nominated:
        """Everyone whose similarity may reach the floor of its query, (q,)."""


class Scorer(Protocol):
    """Queries, ready to be multiplied with one block after the other."""

    def block(self, vectors: Any) -> Any:
        """Bring a block (n, dim), float32 of unit length or float16 as stored, into the form that `tile` takes."""

    def tile(self, block: Any, part: slice) -> Tile: ...


class PlainScorer:
    """Products in float32, by numpy."""

    def __init__(self, queries: Float32) -> None:
        self._queries = queries

    def block(self, vectors: Any) -> Float32:
        if vectors.dtype == np.float32:
            return np.asarray(vectors)
        block = as_float32(vectors)
        lengths = np.sqrt(np.einsum("ij,ij->i", block, block))
        require_lengths(lengths)
        block /= lengths[:, None]
        return block

    def tile(self, block: Float32, part: slice) -> Tile:
        return _PlainTile(self._queries @ block[part].T)


class _PlainTile:
    def __init__(self, scores: Float32) -> None:
        self._scores = scores

    def kth(self, k: int) -> Float32:
        if self._scores.shape[1] < k:
            return np.full(len(self._scores), -np.inf, np.float32)
        return np.asarray(np.partition(self._scores, -k, axis=1)[:, -k] - np.float32(ROUNDING))

    def at_least(self, floors: Float32) -> Nominated:
        mask = self._scores >= (floors - np.float32(ROUNDING))[:, None]
        query, position = np.divmod(np.flatnonzero(mask), max(1, mask.shape[1]))
        found = self._scores[query, position]
        return Nominated(query, position, found - np.float32(ROUNDING), found + np.float32(ROUNDING))


class HalfScorer:
    """Products in half precision, by torch: bfloat16 on a processor with units for it, float16 on a CUDA device.

    With x' for x rounded, |x.y - x'.y'| <= |x - x'| |y| + |x'| |y - y'| (Cauchy-Schwarz), and the lengths of what
    rounding took away are computed: the longest of a block counts for all of it.
    """

    def __init__(self, queries: Float32, device: str = "cpu") -> None:
        import torch

        self._torch, self._device = torch, device
        self._format = "bfloat16" if device == "cpu" else "float16"
        wide = torch.from_numpy(np.ascontiguousarray(queries, dtype=np.float32)).to(device)
        self._queries, lost = self._rounded(wide)
        self._lost = lost.cpu().numpy()
        self._sum = ROUNDING + (queries.shape[1] * _SUM if device == "cpu" else 8 * 2.0**-11)
        # A call a core: of several threads in one call each waits for the slowest, and spins while others work.
        self.threads = torch.get_num_threads() if device == "cpu" else 1
        self._out = threading.local()

    def block(self, vectors: Any) -> _HalfBlock:
        torch = self._torch
        narrow = torch.empty(vectors.shape, dtype=self._queries.dtype, device=self._device)
        lost = 0.0
        for low in range(0, len(vectors), _CACHED):  # few enough that every step finds the last one's in the cache
            part = slice(low, low + _CACHED)
            wide = torch.from_numpy(np.ascontiguousarray(vectors[part])).to(self._device).float()
            if vectors.dtype != np.float32:
                lengths = torch.linalg.vector_norm(wide, dim=1, keepdim=True)
                require_lengths(lengths.cpu().numpy())
                wide /= lengths
            narrow[part] = wide
            lost = max(lost, float(torch.linalg.vector_norm(wide - narrow[part].float(), dim=1).max()))
        return _HalfBlock(narrow, lost)

    def tile(self, block: _HalfBlock, part: slice) -> Tile:
        vectors = block.vectors[part]
        margin = _SLACK * (self._lost * _SLACK + block.lost * (1 + self._lost)) + self._sum
        return _HalfTile(self._product(vectors), margin.astype(np.float32), _OUTPUT[self._format])

    def _rounded(self, wide: Any) -> tuple[Any, Any]:
        narrow = wide.to(getattr(self._torch, self._format))
        return narrow, self._torch.linalg.vector_norm(wide - narrow.float(), dim=1)

    def _product(self, vectors: Any) -> Any:
        """The same memory for every tile of a thread: to get new pages takes longer than to fill them."""
        shape = (len(self._queries), len(vectors))
        kept = getattr(self._out, "scores", None)
        if kept is None or tuple(kept.shape) != shape:
            kept = self._torch.empty(shape, dtype=self._queries.dtype, device=self._device)
            self._out.scores = kept
        if self._device == "cpu":
            return self._torch.mm(self._queries, vectors.T, out=kept)
        with float32_sums():
            return self._torch.mm(self._queries, vectors.T, out=kept)


class _HalfBlock(NamedTuple):
    vectors: Any
    lost: float


class _HalfTile:
    """margin: (q,), of the product before it was rounded to the output's format; relative: of that rounding."""

    def __init__(self, scores: Any, margin: Float32, relative: float) -> None:
        self._scores, self._margin, self._relative = scores, margin, np.float32(relative)

    def kth(self, k: int) -> Float32:
        if self._scores.shape[1] < k:
            return np.full(len(self._scores), -np.inf, np.float32)
        least = self._scores.topk(k, dim=1).values[:, -1].float().cpu().numpy()
        return np.asarray(least - self._relative * np.abs(least) - self._margin)

    def at_least(self, floors: Float32) -> Nominated:
        import torch

        # A sum of at least this is rounded to at least this, rounded down: rounding never changes an order.
        limit = rounded_down(floors - self._margin, str(self._scores.dtype))
        narrow = torch.from_numpy(limit).to(self._scores.device, self._scores.dtype)
        mask = self._scores >= narrow[:, None]
        flat = _positions(mask)
        found = self._scores.flatten()[flat].float().cpu().numpy()
        query, position = np.divmod(flat.cpu().numpy(), max(1, self._scores.shape[1]))
        off = self._margin[query] + self._relative * np.abs(found)
        return Nominated(query, position, found - off, found + off)


def rounded_down(values: Float32, kind: str) -> Float32:
    """To the next lower number of torch.bfloat16 or torch.float16, as float32."""
    if "bfloat16" in kind:  # the upper half of a float32's bits; of a negative number, away from zero
        bits = np.ascontiguousarray(values, dtype=np.float32).view(np.uint32)
        bits = (bits + np.where(values < 0, np.uint32(0xFFFF), np.uint32(0))) & np.uint32(0xFFFF0000)
        return np.asarray(bits.astype(np.uint32).view(np.float32))
    half = values.astype(np.float16)
    return np.asarray(np.where(half > values, np.nextafter(half, np.float16(-np.inf)), half), dtype=np.float32)


def _positions(mask: Any) -> Any:
    """Flat positions of what is true in a mask that is almost empty."""
    import torch

    if mask.device.type == "cpu":  # numpy is several times as fast at this as torch
        return torch.from_numpy(np.flatnonzero(mask.numpy()))
    return mask.flatten().nonzero()[:, 0]


def half_scorer(queries: Float32) -> HalfScorer | None:
    """A scorer in half precision, where the machine is faster at that than in float32; else None."""
    if cuda_is_there():
        try:
            return HalfScorer(queries, "cuda")
        except RuntimeError as error:
            if not refused(error):  # full: others may use the card
                raise
    return HalfScorer(queries) if torch_with_bfloat16() is not None else None


def in_threads(function: Callable[[T], R], items: Iterable[T], threads: int) -> Iterator[R]:
    """The results in order, each computed by one thread that torch keeps to; at most one item waits."""
    import torch

    before = torch.get_num_threads()
    try:
        with ThreadPoolExecutor(threads, initializer=torch.set_num_threads, initargs=(1,)) as pool:
            waiting: deque[Future[R]] = deque()
            for item in items:
                waiting.append(pool.submit(function, item))
                if len(waiting) > threads:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
    finally:
        torch.set_num_threads(before)  # what a thread sets holds for threads that are yet to start
