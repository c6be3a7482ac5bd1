"""What an extraction finds."""

from __future__ import annotations

from dataclasses import dataclass

from memaudit.matching.kinds import Kind
from memaudit.types import Coverage, Rate

Box = tuple[float, float, float, float]
"""Left, top, right and bottom, in shares of a picture's sides."""


@dataclass(frozen=True)
class PromptCluster:
    """The generations of one prompt. compared: those that are neither unreadable nor blank.

    members, uris, sha256 (of the files): of the largest clique, if it is large enough; files: how many different ones.
    kind: what they are; probability: the least of two of them, of what the kind says, None for verbatim ones; boxes: of
    each the part that is common, None where none is known. mean_distance, largest_distance: patched l2 within it.
    proven: False if a larger clique may exist. one_picture: the digest of its pixels, where all members are the same.
    crowded: not all were looked at for what is no verbatim copy.
    """

    prompt: str
    generations: int
    compared: int
    unreadable: int
    blank: int
    members: tuple[str, ...]
    uris: tuple[str, ...]
    sha256: tuple[str, ...]
    files: int
    mean_distance: float | None
    largest_distance: float | None
    proven: bool
    kind: Kind = Kind.VERBATIM
    probability: float | None = None
    boxes: tuple[Box | None, ...] = ()
    one_picture: str = ""
    crowded: bool = False

    @property
    def redrawn(self) -> bool:
        return self.kind is Kind.REDRAWN


@dataclass(frozen=True)
class Extraction:
    """What generations say without a training set. clusters: of memorised prompts, the closest first.

    memorised: prompts with a clique of copies, of those with enough generations; its coverage counts all prompts.
    no_parts: why templates, near-duplicates and parts were not looked for; empty where they were. redrawn: the same of
    one picture drawn anew; None: that was not looked for, and `no_redrawn` says why.
    """

    threshold: float
    clique: int
    digest: str
    coverage: Coverage
    memorised: Rate
    clusters: tuple[PromptCluster, ...]
    blank: int
    inconclusive: tuple[str, ...]
    not_read: tuple[str, ...] = ()
    no_parts: str = ""
    redrawn: Rate | None = None
    no_redrawn: str = ""
