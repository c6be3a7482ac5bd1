"""How images are embedded."""

from __future__ import annotations

import os
from dataclasses import dataclass, field

from memaudit.images.decode import MAX_PIXELS
from memaudit.images.passed_over import PassedOver


@dataclass(frozen=True)
class EmbedOptions:
    """reuse: a file whose hash the store has is not embedded again; its embedding is copied. parts: frames beyond the
    first and the pictures of a sheet get rows of their own. passed: counts what the sources hold beside images."""

    batch_size: int = 16
    workers: int = 0  # 0: one per core
    shard_rows: int = 8192
    max_pixels: int = MAX_PIXELS
    reuse: bool = True
    parts: bool = False
    passed: PassedOver | None = field(default=None, compare=False)

    @property
    def threads(self) -> int:
        return self.workers or os.cpu_count() or 1

    @property
    def window(self) -> int:
        """Images that may be decoded before the encoder asks for them."""
        return 4 * self.threads + self.batch_size
