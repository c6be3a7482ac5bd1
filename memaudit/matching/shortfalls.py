"""What was not seen of the images that are searched: a line for each reason why "found nothing" is no clean bill."""

from __future__ import annotations

from typing import NamedTuple

from memaudit.store import Store
from memaudit.types import Coverage


class Shortfall(NamedTuple):
    """A reason why "found nothing" is no clean bill. fact: as anybody may be told it; advice: for whoever runs the
    search, with places on his disk, "" for none."""

    fact: str
    advice: str = ""

    def __str__(self) -> str:
        return f"{self.fact} ({self.advice})" if self.advice else self.fact


def cut_archives(name: str, cut: int) -> list[str]:
    """An archive that ends early lost an unknown number of images: no share of what is there makes up for it.

    cut: rows that say so. name: of a set beside others; empty where there is but one.
    """
    if not cut:
        return []
    of = f" of the {name}" if name else ""
    return [f"archives{of} end early ({cut:,} rows say so): an unknown number of images is missing"]


def lost_images(*stores: Store) -> list[str]:
    """Of each store of which files are gone where they were looked for, and what to do: where pixels fell short."""
    return list(filter(None, (store.lost_images() for store in stores)))


def unmeasured(name: str, coverage: Coverage, allowed: float) -> list[str]:
    """Where more than the share `allowed` was not measured, or nothing was."""
    if coverage.measured and not coverage.falls_short(allowed):
        return []
    return [f"only {coverage.measured:,} of {coverage.total:,} {name} could be measured ({coverage.share:.2%})"]
