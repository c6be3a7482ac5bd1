"""Near-duplicates of a store: pairs, the recall of finding them, and what to keep."""

from memaudit.dedup.engine import DedupOptions, dedup

__all__ = ["DedupOptions", "dedup"]
