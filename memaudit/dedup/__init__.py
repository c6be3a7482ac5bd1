"""Near-duplicates of a store: pairs, the recall of finding them, and what to keep."""
