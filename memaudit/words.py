"""Numbers in sentences."""

from __future__ import annotations


def plural(count: int, noun: str, more: str = "") -> str:
    """`1 prompt`, `2 prompts`; more: the plural where it is not formed with an s."""
    return f"{count:,} {noun if count == 1 else more or noun + 's'}"
