"""What is said of a store that a command made."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from memaudit.api.stores import MadeStore


def store_values(made: MadeStore) -> dict[str, Any]:
    """For --json."""
    return {
        "store": str(made.folder),
        "images": {**made.coverage.as_dict(), "blank": made.blank},
        "encoder": made.encoder.as_dict(),
        "digest": made.digest,
    }
