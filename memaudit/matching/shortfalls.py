"""What was not seen of the images that are searched: a line for each reason why "found nothing" is no clean bill."""

from __future__ import annotations

from memaudit.store import Store
from memaudit.types import Coverage


def cut_archives(name: str, store: Store) -> list[str]:
    """An archive that ends early lost an unknown number of images: no share of what is there makes up for it."""
    if not store.cut:
        return []
    return [f"archives of the {name} end early ({store.cut:,} rows say so): an unknown number of images is missing"]


def unmeasured(name: str, coverage: Coverage, allowed: float) -> list[str]:
    """Where more than the share `allowed` was not measured, or nothing was."""
    if coverage.measured and not coverage.falls_short(allowed):
        return []
    return [f"only {coverage.measured:,} of {coverage.total:,} {name} could be measured ({coverage.share:.2%})"]
