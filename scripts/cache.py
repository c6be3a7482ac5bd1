"""Where fetched pictures lie."""

from __future__ import annotations

import os
from pathlib import Path


def cache_folder() -> Path:
    """$MEMAUDIT_CACHE, else memaudit in the user's cache folder."""
    if own := os.environ.get("MEMAUDIT_CACHE"):
        return Path(own)
    cache = os.environ.get("XDG_CACHE_HOME")
    return (Path(cache) if cache else Path.home() / ".cache") / "memaudit"
