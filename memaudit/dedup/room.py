"""Whether the pairs of a set fit into memory: of n images that are all alike there are n² / 2."""

from __future__ import annotations

import numpy as np

from memaudit.dedup.matrix import Matrix
from memaudit.errors import InputError
from memaudit.machine import free_memory
from memaudit.similarity import pairs_within
from memaudit.store import Store

BYTES_PER_PAIR = 100  # held, put in order, decided on and written
_SHARE = 0.8  # of the free memory
_SAMPLE = 2048  # images
_DOUBT = 4  # an estimate of a sample may be so many times too high
_ADVICE = (
    "raise --threshold, or take what is there again and again (a placeholder, a logo, a test picture) out of the set "
    "first"
)


def most_pairs() -> int:
    """How many pairs may be held at once."""
    return int(_SHARE * free_memory() / BYTES_PER_PAIR)


def require_room(store: Store, matrix: Matrix, threshold: float, seed: int) -> None:
    """Raise InputError, before hours are spent, if a sample says that there are more pairs than memory has room for.

    All pairs are counted up to 2,048 images. Of larger sets an estimate may be too high, and one that is too low is no
    harm: `require_held` stops the search itself.
    """
    size, most = len(matrix), most_pairs()
    if size * (size - 1) // 2 <= most:
        return
    count = min(size, _SAMPLE)
    rng = np.random.default_rng([seed, _SAMPLE, size])
    sample = np.sort(rng.choice(size, count, replace=False))
    found = pairs_within(matrix.take(sample), threshold)
    pairs = round(len(found.left) * (size * (size - 1)) / (count * (count - 1)))
    if pairs <= most * (1 if count == size else _DOUBT):
        return
    partners = np.bincount(np.concatenate([found.left, found.right]), minlength=count)
    often = int(partners.argmax())
    name = store.columns(matrix.rows[sample[often : often + 1]]).image_id[0]
    raise InputError(
        f"about {pairs:,} pairs reach the threshold of {threshold:g}, {_need(pairs, most)}: {name[:80]!r} alone is "
        f"similar to about {partners[often] / max(1, count - 1):.1%} of {size:,} images; {_ADVICE}"
    )


def require_held(pairs: int, most: int, threshold: float) -> None:
    """Raise InputError once more pairs were found than memory has room for."""
    if pairs > most:
        raise InputError(
            f"more than {most:,} pairs reach the threshold of {threshold:g}, {_need(pairs, most)}; {_ADVICE}"
        )


def _need(pairs: int, most: int) -> str:
    return f"which need about {_gigabytes(pairs)} GB of memory, {_gigabytes(most)} GB are free for them"


def _gigabytes(pairs: int) -> str:
    return f"{pairs * BYTES_PER_PAIR / 1e9:,.1f}"
