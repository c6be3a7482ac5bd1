"""How images are embedded."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from memaudit import machine
from memaudit.errors import UsageError
from memaudit.images.decode import MAX_PIXELS
from memaudit.images.image_ref import ImageRef
from memaudit.images.opt_outs import ReadC2pa, c2pa_reader
from memaudit.images.passed_over import PassedOver

_PART = re.compile(r"(\d{1,6})/(\d{1,6})")


class PartOf(NamedTuple):
    """The number-th of so many parts of a set, from 1: of its shards each so-manyth, so that all parts together have
    the shards of the whole."""

    number: int
    parts: int

    def __str__(self) -> str:
        return f"{self.number}/{self.parts}"

    @classmethod
    def of(cls, text: str) -> PartOf:
        """Of `2/5`. Raises UsageError."""
        found = _PART.fullmatch(text)
        part = cls(int(found[1]), int(found[2])) if found else cls(0, 0)
        if not 1 <= part.number <= part.parts:
            raise UsageError(f"--part {text!r} is no part: expected one such as 2/5, the second of five")
        return part

    def taken(self, refs: Iterable[ImageRef], shard_rows: int) -> Iterator[ImageRef]:
        """Those of a set's images that are this part's."""
        return (ref for number, ref in enumerate(refs) if number // shard_rows % self.parts == self.number - 1)


@dataclass(frozen=True)
class EmbedOptions:
    """reuse: a file whose hash the store has is not embedded again; its embedding is copied. parts: frames beyond the
    first and the pictures of a sheet get rows of their own. part: of the images, None: all. passed: counts what
    the sources hold beside images. c2pa: reads what manifests of C2PA refuse, None: they are not read."""

    batch_size: int = 16
    workers: int = 0  # 0: one per core
    shard_rows: int = 8192
    max_pixels: int = MAX_PIXELS
    reuse: bool = True
    parts: bool = False
    part: PartOf | None = None
    passed: PassedOver | None = field(default=None, compare=False)
    c2pa: ReadC2pa | None = field(default_factory=lambda: c2pa_reader(), compare=False)

    @property
    def threads(self) -> int:
        return self.workers or machine.cores()

    @property
    def window(self) -> int:
        """Images that may be decoded before the encoder asks for them."""
        return 4 * self.threads + self.batch_size
