"""Text of others as it may stand in Markdown."""

from __future__ import annotations


def escaped(text: str) -> str:
    """Of what somebody else named: no line, cell, link or tag of its own."""
    plain = " ".join(text.split()).replace("\\", "\\\\")
    for sign in "|<>[]`*_#":
        plain = plain.replace(sign, f"\\{sign}")
    return plain
