"""What three packages and more share: arrays, the state of an image, coverage and rates, the identity of an encoder."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

Float32 = NDArray[np.float32]
Float64 = NDArray[np.float64]
Int64 = NDArray[np.int64]
CONFIDENCE = 0.95
KEY_PASSWORD = "MEMAUDIT_KEY_PASSWORD"  # variable of the environment: what opens a private key
NO_FILE = "0" * 64  # the sha256 of a file that was not read
Progress = Callable[[str, int, int], None]
"""Called with the stage, the number done and the total (0: unknown)."""
PLANTED_COPIES = "planted copies: "  # begins the names of their stages


def silent(stage: str, done: int, total: int) -> None:
    """The Progress that shows nothing."""


def unsaid(line: str) -> None:
    """Who is told a line and shows nothing."""


class Status(StrEnum):
    """What became of an image. Only `OK` rows have an embedding that is compared."""

    OK = "ok"
    BLANK = "blank"  # read, but without content: similar to every other blank image, so never compared
    UNREADABLE = "unreadable"


@dataclass(frozen=True)
class EncoderSpec:
    """Identity of an encoder: embeddings are comparable if and only if `identity` is equal.

    `threshold` is the encoder's default for "near-duplicate" (cosine, tested with >=); it does not belong to
    the identity. `source` says where that number comes from.
    """

    name: str
    weights_sha256: str
    preprocessing: str
    dim: int
    threshold: float
    source: str = ""

    @property
    def identity(self) -> str:
        return f"{self.name} weights {self.weights_sha256[:12] or 'none'} [{self.preprocessing}] {self.dim}-d"

    def same_as(self, other: EncoderSpec) -> bool:
        keys = ("name", "weights_sha256", "preprocessing", "dim")
        return all(getattr(self, key) == getattr(other, key) for key in keys)

    def is_prepared_otherwise(self, other: EncoderSpec) -> bool:
        """The same network, whose pictures were found or prepared in another way: by another version, or options."""
        named = (self.name, self.weights_sha256) == (other.name, other.weights_sha256)
        return named and self.preprocessing != other.preprocessing

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


@dataclass(frozen=True)
class Coverage:
    """How much of what was asked for was measured. No rate is reported without one."""

    measured: int
    total: int

    @property
    def share(self) -> float:
        return self.measured / self.total if self.total else 0.0

    def falls_short(self, allowed: float) -> bool:
        """True if a larger share than `allowed` was not measured. Of nothing, nothing is unmeasured."""
        unmeasured = (self.total - self.measured) / self.total if self.total else 0.0
        return not unmeasured <= allowed  # NaN would pass a plain >

    def as_dict(self) -> dict[str, Any]:
        return {"measured": self.measured, "total": self.total, "share": self.share}


@dataclass(frozen=True)
class Rate:
    """`count` of `coverage.measured`, with its two-sided Clopper-Pearson interval and one-sided upper bound.

    effective: as how many independent draws the measured ones count; None: each is one.
    """

    count: int
    coverage: Coverage
    low: float
    high: float
    upper: float
    confidence: float = CONFIDENCE
    effective: float | None = None

    @property
    def value(self) -> float | None:
        """The point estimate, or None when nothing was measured."""
        return self.count / self.coverage.measured if self.coverage.measured else None

    def as_dict(self) -> dict[str, Any]:
        return {
            "count": self.count,
            "n": self.coverage.measured,
            "value": self.value,
            "low": self.low,
            "high": self.high,
            "upper": self.upper,
            "confidence": self.confidence,
            "coverage": self.coverage.as_dict(),
            **({} if self.effective is None else {"effective": self.effective}),
        }
