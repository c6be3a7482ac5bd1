"""What an extraction finds."""

from __future__ import annotations

from dataclasses import dataclass

from memaudit.types import Coverage, Rate


@dataclass(frozen=True)
class PromptCluster:
    """The generations of one prompt. compared: those that are neither unreadable nor blank.

    members, uris, sha256 (of the files): of the largest clique, if it is large enough; files: how many different ones.
    mean_distance, largest_distance: patched l2 within it. proven: False if a larger clique may exist.
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


@dataclass(frozen=True)
class Extraction:
    """What generations say without a training set. clusters: of memorised prompts, the closest first.

    memorised: prompts with a clique, of those with enough generations; its coverage counts all prompts.
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
