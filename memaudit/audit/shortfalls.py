"""Why the rates of an audit must not be read as a clean bill: what it could not measure, a line for each reason."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from typing import NamedTuple

import numpy as np

from memaudit.audit.repeats import Digests
from memaudit.audit.results import AuditResult, Effort
from memaudit.embedding.views import ViewStore
from memaudit.encoders.encoder import Encoder
from memaudit.matching.plan import MatchPlan
from memaudit.matching.shortfalls import unmeasured
from memaudit.matching.windows import NO_WINDOWS, Windows, lost_views
from memaudit.store import Store
from memaudit.types import Coverage, Status

_NO_VIEWS = "--views none goes by whole images alone"


class Views(NamedTuple):
    """Views of the generations and of the held-out images, by the same choice; the windows of the training images.
    encoder: by which more of them can be embedded, where it is at hand."""

    generations: ViewStore | None = None
    control: ViewStore | None = None
    windows: Windows = NO_WINDOWS
    encoder: Encoder | None = None

    @property
    def stores(self) -> list[Store]:
        both = (self.generations, self.control, self.windows.tiles, self.windows.details)
        return [views.store for views in both if views is not None]

    def lost(self, allowed: float) -> list[str]:
        """Views are made of the files: where those are gone, less was searched than the report would say."""
        stores = (("views of the generations", self.generations), ("views of the held-out images", self.control))
        lost = (lost_views(name, view, allowed, _NO_VIEWS) for name, view in stores if view is not None)
        return [str(each) for each in (*chain.from_iterable(lost), *self.windows.lost(allowed))]

    def effort(self, plan: MatchPlan) -> Effort:
        generations, control = (None if views is None else views.store.coverage for views in self[:2])
        windows = [views.store.coverage for views in self.windows[:2] if views is not None]
        measured, total = (sum(getattr(each, part) for each in windows) for part in ("measured", "total"))
        of_windows = Coverage(measured, total) if windows else None
        floor = plan.floor if plan.on_pixels else None
        return Effort(floor, generations, control, of_windows, plan.nearest_from)


NO_VIEWS = Views()


class Unseen(NamedTuple):
    """What of the generations has no rows. hidden: files of a given store that hold pictures which it was not made of;
    unread: pictures beside the generations that no reader takes for images, and a line that says which."""

    hidden: int = 0
    unread: int = 0
    why_unread: str = ""


ALL_SEEN = Unseen()


def shortfalls(result: AuditResult, views: Views, below: Coverage | None, pairs: int, allowed: float) -> Iterator[str]:
    """What was not measured, of more than the share `allowed`. below: candidates below the threshold that could be
    compared on pixels; pairs: lines of the pairing."""
    yield from _of_coverage(result, allowed)
    yield from views.lost(allowed)
    yield from unread(result, below, allowed)
    yield from _contentless(result, allowed)
    yield from _unpaired(result, pairs, allowed)
    yield from _hidden(result, allowed)


def _of_coverage(result: AuditResult, allowed: float) -> Iterator[str]:
    parts = [("generations", result.searched.coverage), ("training images", result.references)]
    if result.paired is not None:
        parts.append(("prompt pairs", result.paired.coverage))
    for name, part in parts:
        yield from unmeasured(name, part, allowed)


def unread(result: AuditResult, below: Coverage | None, allowed: float) -> list[str]:
    """Below the threshold only pixels tell a copy: what they could not be compared of was not judged. A single
    candidate of many may be the one that tells, so it is asked of generations, and of the images of prompts, as well.

    below: candidates below the threshold that could be compared on pixels; None where they were not to be."""
    undecided, own = int(result.undecided.sum()), result.pairs_unread
    generations, pairs = result.searched.coverage.total, result.paired.coverage.total if result.paired else 0
    if below is not None and below.falls_short(allowed):
        what = f"only {below.measured:,} of {below.total:,} candidates below the threshold could be compared on pixels"
    elif Coverage(generations - undecided, generations).falls_short(allowed):
        what = f"{undecided:,} of {generations:,} generations have no match, and candidates that could not be compared"
    elif Coverage(pairs - own, pairs).falls_short(allowed):
        what = f"of {own:,} of {pairs:,} prompt pairs the pixels could not be compared"
    else:
        return []
    return [
        f"{what}: files are gone or changed (--match none goes by similarity alone: copies that only pixels show, and "
        "details of training images, are then not looked for)"
    ]


def _contentless(result: AuditResult, allowed: float) -> Iterator[str]:
    """Black images of a safety filter, for example: none of them could have been found to be a copy."""
    status = result.scores.status
    readable, made = int((status != Status.UNREADABLE).sum()), result.made
    if readable and not (status == Status.OK).any():
        yield f"all {readable:,} generations that could be read are blank: nothing was compared"
    elif Coverage(made.total - made.blank, made.total).falls_short(allowed):
        yield f"{made.blank:,} of {made.total:,} generations are blank, and nothing can be said of them"


def _unpaired(result: AuditResult, pairs: int, allowed: float) -> Iterator[str]:
    """A pairing that was cut off says of few generations what would be believed of all."""
    missing, made = result.missing, result.made
    if len(missing) > allowed * pairs:
        yield f"{len(missing):,} generations named in the pairing were not found, the first is {missing[0]!r}"
    if made.unpaired is not None and Coverage(made.total - made.unpaired, made.total).falls_short(allowed):
        yield f"{made.unpaired:,} of {made.total:,} generations have no line in the pairing"


def _hidden(result: AuditResult, allowed: float) -> Iterator[str]:
    """A store made by `embed` has first frames, and whole sheets."""
    hidden, total = result.made.hidden, result.searched.coverage.total
    if Coverage(total - hidden, total).falls_short(allowed):
        yield (
            f"{hidden:,} files of generations hold further pictures (frames of a film, pictures of a sheet), of which "
            "the given store has no rows: give the files, not a store of them"
        )


def held_out_generations(generations: Digests, held_out: Digests, allowed: float) -> Iterator[str]:
    """Generations that were given as their own control: whatever the model gives back, chance would seem to give as
    often. generations, held_out: digests of pictures, empty where there is none."""
    pictures = held_out[held_out != ""]
    count = int(np.isin(pictures, generations).sum())
    if count > allowed * len(pictures):
        yield (
            f"{count:,} of {len(pictures):,} held-out images are among the generations: give real images that the "
            "model never saw as --control"
        )


def unread_files(unseen: Unseen, made: int, allowed: float) -> Iterator[str]:
    """Generations in files that are none of images by name: hidden, in arrays, as text."""
    if Coverage(made, made + unseen.unread).falls_short(allowed):
        yield f"{unseen.unread:,} pictures beside {made:,} generations were {unseen.why_unread}"
