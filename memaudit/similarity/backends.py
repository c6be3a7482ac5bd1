"""Which backend nominates pairs: by cost, or by name."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from memaudit.errors import UsageError, require
from memaudit.similarity.codes import BITS, Coder, fit_coder
from memaudit.similarity.exact import faiss_or_none
from memaudit.similarity.fused import devices as fused_devices
from memaudit.similarity.nominate import (
    Backend,
    FusedProducts,
    HalfProducts,
    Products,
    SignCodes,
    cuda_is_there,
    fastest_lossless,
    worth_card,
)
from memaudit.types import Float32

NAMES = ("auto", "product", "half", "signs", "cuda", "fused")
WORTH_CODES = 1e8  # comparisons that take longer than fitting and computing codes


@dataclass(frozen=True)
class Choice:
    """The backend of a run, its coder if it needs one, and a note where it is not the one that was planned."""

    backend: Backend
    coder: Coder | None = None
    note: str = ""


def choose_backend(
    name: str,
    rows: int,
    comparisons: float,
    threshold: float,
    sample: Callable[[], Float32],
    seed: int,
    *,
    lossless: bool = False,
) -> Choice:
    """Settle who nominates the pairs of `rows` rows, once for a run: no result may depend on the size of a block.

    auto: products for few comparisons; CUDA if there is one; else sign codes, fitted to and checked on `sample` (a
    random part of the rows), unless the run must be lossless; else products in bfloat16 or float32.
    Raises UsageError for an unknown name, or a device that is not there.
    """
    require_backend(name)
    if name == "product":
        return Choice(Products(threshold))
    if name in ("half", "cuda", "fused"):
        return Choice(_half(name, threshold))
    plain = partial(fastest_lossless, comparisons, threshold)  # which may load torch
    if name == "signs" and lossless:
        return Choice(plain(), note="sign codes could miss a pair, so a run that compares everything does not use them")
    wanted = not lossless and comparisons > WORTH_CODES + BITS * rows / 4 and not worth_card(comparisons)
    return _signs(plain, threshold, sample(), seed) if name == "signs" or wanted else Choice(plain())


def require_backend(name: str) -> None:
    """Raise UsageError for an unknown name, or a device that is not there."""
    if name not in NAMES:
        raise UsageError(f"unknown backend {name!r}: expected one of {', '.join(NAMES)}")
    if name == "half":
        require("torch", "backend half", "choose another backend")
    if name == "cuda" and not cuda_is_there():
        raise UsageError("no CUDA device: choose another backend than cuda")
    if name == "fused" and not (cuda_is_there() and fused_devices()):
        raise UsageError("no CUDA device on which Triton works: choose another backend than fused")


def _half(name: str, threshold: float) -> Backend:
    if name == "fused":
        return FusedProducts.on(fused_devices(), threshold)
    return HalfProducts.on("cuda" if name == "cuda" else "cpu", threshold)


def _signs(plain: Callable[[], Backend], threshold: float, sample: Float32, seed: int) -> Choice:
    if faiss_or_none() is None:
        return Choice(plain(), note="sign codes need FAISS, which is not installed")
    coder, note = fit_coder(sample, threshold, seed)
    if coder is None:
        return Choice(plain(), note=note)
    return Choice(SignCodes(coder.radius, BITS), coder, note)


def threads() -> int:
    """How many threads FAISS would use, which heeds OMP_NUM_THREADS."""
    faiss = faiss_or_none()
    return int(faiss.omp_get_max_threads()) if faiss else 1


def keep_to_one_thread() -> None:
    """Let FAISS work on the calling thread alone, whenever this thread calls it."""
    faiss = faiss_or_none()
    if faiss:
        faiss.omp_set_num_threads(1)
