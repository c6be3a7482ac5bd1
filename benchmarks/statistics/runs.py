"""Two runs of the same prompts and seeds by models that memorise other prompts, as many: has anything changed?"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from benchmarks.record import Figure
from benchmarks.statistics.measured import alarmed, powered
from memaudit.statistics import mcnemar_p

PROMPTS, MEMORISED, OFTEN = 500, 0.03, 0.7


def figures(draws: int) -> Iterator[Figure]:
    for seeds in (1, 4, 10, 100):
        rng = np.random.default_rng([3, seeds])
        world = f"{PROMPTS} prompts of {seeds} seeds, {MEMORISED:.0%} memorised by either"
        pairs = [(_run(rng, seeds, MEMORISED), _run(rng, seeds, MEMORISED)) for _ in range(draws)]
        yield alarmed(world, [_changed(_any(a), _any(b)) for a, b in pairs], "McNemar on prompts")
        before = [_changed(a.ravel(), b.ravel()) for a, b in pairs]
        yield alarmed(world, before, "McNemar on generations, before", before=True)
        worse = [(_run(rng, seeds, MEMORISED), _run(rng, seeds, 2 * MEMORISED)) for _ in range(draws)]
        yield powered(f"{world}, twice as much by the later", [_rose(a, b) for a, b in worse], "power on prompts")


def _run(rng: np.random.Generator, seeds: int, share: float) -> NDArray[np.bool_]:
    memorised = rng.random((PROMPTS, 1)) < share
    return np.asarray(memorised & (rng.random((PROMPTS, seeds)) < OFTEN))


def _discordant(before: NDArray[np.bool_], after: NDArray[np.bool_]) -> tuple[int, int]:
    return int((after & ~before).sum()), int((before & ~after).sum())


def _changed(before: NDArray[np.bool_], after: NDArray[np.bool_]) -> bool:
    """Two-sided, by doubling."""
    gained, lost = _discordant(before, after)
    return 2 * min(mcnemar_p(gained, lost), mcnemar_p(lost, gained)) <= 0.05


def _rose(before: NDArray[np.bool_], after: NDArray[np.bool_]) -> bool:
    return mcnemar_p(*_discordant(_any(before), _any(after))) <= 0.05


def _any(copied: NDArray[np.bool_]) -> NDArray[np.bool_]:
    return np.asarray(copied.any(axis=1))
