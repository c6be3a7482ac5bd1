"""CUDA devices as torch has them: what is free there, what to do when one is full, and sums that stay float32."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TypeVar

from memaudit.memory import refused
from memaudit.similarity.whole import torch_or_none

T = TypeVar("T")
SHARE = 0.8  # of what is free on a card, for one thing that is copied there: searching and sorting take the rest
_lock, _holders, _before = threading.Lock(), [0], [(True, True)]


def free_bytes() -> list[int]:
    """Free on each CUDA device; none where torch sees no device."""
    torch = torch_or_none()
    if torch is None or not torch.cuda.is_available():
        return []
    return [int(torch.cuda.mem_get_info(number)[0]) for number in range(torch.cuda.device_count())]


@contextmanager
def float32_sums() -> Iterator[None]:
    """While this is held, CUDA's float16 products are summed in float32 wherever they are split (split-K), as their
    margins take for granted. The setting is the process's: the last thread to leave restores it."""
    import torch

    setting = torch.backends.cuda.matmul
    with _lock:
        if not _holders[0]:
            split = getattr(setting, "allow_fp16_reduced_precision_reduction_split_k", True)
            _before[0] = (setting.allow_fp16_reduced_precision_reduction, split)
            setting.allow_fp16_reduced_precision_reduction = False
        _holders[0] += 1
    try:
        yield
    finally:
        with _lock:
            _holders[0] -= 1
            if not _holders[0]:
                reduced, split = _before[0]
                setting.allow_fp16_reduced_precision_reduction = reduced if split else (reduced, split)


def in_halves(work: Callable[[slice, slice], T], rows: slice, columns: slice) -> list[tuple[slice, slice, T]]:
    """What `work` makes of rows x columns; where the card is full, of halves of the longer side, and so on.

    Raises what `work` raised where a single pair finds no room, and every error that is not about memory.
    """
    try:
        return [(rows, columns, work(rows, columns))]
    except (RuntimeError, MemoryError) as error:
        tall = rows.stop - rows.start >= columns.stop - columns.start
        longer = rows if tall else columns
        if not refused(error) or longer.stop - longer.start < 2:
            raise
    # Outside of the handler: the error's traceback would hold what did not fit.
    middle = (longer.start + longer.stop) // 2
    parts = slice(longer.start, middle), slice(middle, longer.stop)
    return [found for part in parts for found in in_halves(work, *((part, columns) if tall else (rows, part)))]
