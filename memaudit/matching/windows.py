"""The windows of training images that are searched beside them: tiles and details, where a store has them."""

from __future__ import annotations

from typing import NamedTuple

from memaudit.embedding.views import ViewStore
from memaudit.embedding.windows import DETAILS, TILES, embed_again, has_windows, windows_of
from memaudit.matching.results import ReferenceViews
from memaudit.matching.shortfalls import Shortfall
from memaudit.store import Store


class Windows(NamedTuple):
    """Stores of the tiles and of the details of a training set's images, None: it has none, or they are not searched.
    idle: names of those that are there and are not searched."""

    tiles: ViewStore | None = None
    details: ViewStore | None = None
    idle: tuple[str, ...] = ()

    @classmethod
    def of(cls, references: Store, *, on_pixels: bool) -> Windows:
        """Those that a store has. By similarity alone details decide nothing: without pixels they are not opened.

        Raises InconclusiveError for some that are unfinished, or of another state of the store.
        """
        tiles = windows_of(references, TILES)
        if on_pixels:
            return cls(tiles, windows_of(references, DETAILS))
        return cls(tiles, None, (DETAILS,) if has_windows(references, DETAILS) else ())

    def without_details(self) -> Windows:
        """The same for a search without pixels: details are not searched, and what they lack is not missed."""
        return self if self.details is None else Windows(self.tiles, None, (*self.idle, DETAILS))

    def searched_with(self, references: Store) -> ReferenceViews:
        """What of a training set is searched with them."""
        tiles, details = (None if windows is None else windows.store.digest for windows in self[:2])
        return ReferenceViews(references.digest, tiles, details, self.idle)

    def lost(self, allowed: float) -> list[Shortfall]:
        """Where more than the share `allowed` of them could not be embedded, one line each: less was searched than it
        seems, for windows are made of the files."""
        stores = ((TILES, self.tiles), (DETAILS, self.details))
        return [
            line
            for name, windows in stores
            if windows is not None
            for line in lost_views(
                f"{name} of the training images",
                windows,
                allowed,
                f"restore them and {embed_again(name, windows.store.folder)}",
            )
        ]


NO_WINDOWS = Windows()


def lost_views(name: str, views: ViewStore, allowed: float, advice: str) -> list[Shortfall]:
    """A line if more than the share `allowed` of these views could not be embedded; none else."""
    coverage = views.store.coverage
    if not coverage.falls_short(allowed):
        return []
    fact = f"only {coverage.measured:,} of {coverage.total:,} {name} could be embedded: their files are gone or changed"
    return [Shortfall(fact, advice)]
