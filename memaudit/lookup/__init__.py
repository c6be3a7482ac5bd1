"""The look-up: is this picture, or a part of it, in what was trained on?"""

from memaudit.lookup.engine import (
    FOUND,
    NOTHING,
    SCHEMA,
    UNDECIDED,
    Answer,
    DedupFate,
    LookupMatch,
    LookupOptions,
    Stopwatch,
    evidence,
    look_up,
    undecided,
    with_fates,
)

__all__ = [
    "FOUND",
    "NOTHING",
    "SCHEMA",
    "UNDECIDED",
    "Answer",
    "DedupFate",
    "LookupMatch",
    "LookupOptions",
    "Stopwatch",
    "evidence",
    "look_up",
    "undecided",
    "with_fates",
]
