"""How closely a training set was searched: what an answer leaves open is settled by one that looked as closely."""

from __future__ import annotations

import msgspec

from memaudit.embedding.windows import DETAILS, TILES
from memaudit.images.view_names import view_names
from memaudit.index import Index
from memaudit.lookup.results import LookupResult
from memaudit.report.effort import own_match_from


class SearchedBy(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """pixels: whether candidates were compared on them; floor: similarity from which there were some, and own: that of
    the encoder; nearest_from: from which the nearest were some, though below it, None: they were not; views: of the
    pictures; windows: of the training images, tiles and details; redrawn: whether what is drawn anew was looked for;
    index: recipe, empty where every image was compared; calibration: digest, empty without one; unmeasured: share of
    the training images that might be so before nothing is "not found"."""

    floor: float
    own: float
    nearest_from: float | None
    pixels: bool
    views: tuple[str, ...]
    windows: tuple[str, ...]
    redrawn: bool
    index: str
    calibration: str
    unmeasured: float

    @classmethod
    def of(cls, result: LookupResult, unmeasured: float) -> SearchedBy:
        """unmeasured: share that is allowed."""
        by, windows = result.references, result.windows._asdict()
        return cls(
            floor=result.plan.floor,
            own=own_match_from(by.store.encoder.name, result.threshold),
            nearest_from=result.plan.nearest_from,
            pixels=result.plan.on_pixels,
            views=result.views,
            windows=tuple(name for name in (TILES, DETAILS) if windows[name] is not None),
            redrawn=result.redrawn.floor is not None,
            index=by.manifest["recipe"] if isinstance(by, Index) else "",
            calibration=result.calibrated.digest if result.calibrated else "",
            unmeasured=unmeasured,
        )

    @property
    def is_full(self) -> bool:
        """Whether every image was searched for all views, and candidates were compared on pixels from the encoder's own
        floor on, by no calibration: as closely as an answer of 0.3.0 may have been, which does not say."""
        compared = self.pixels and self.floor <= self.own and not self.calibration
        return compared and not self.index and set(self.views) >= set(view_names("all"))

    def is_as_close_as(self, other: SearchedBy) -> bool:
        """Whether it finds whatever the other one finds. Of another recipe of the index, or calibration, nobody
        knows."""
        return (
            self.floor <= other.floor
            and self._looks_as_far_as(other)
            and self.unmeasured <= other.unmeasured
            and self.pixels >= other.pixels
            and self.redrawn >= other.redrawn
            and set(self.views) >= set(other.views)
            and set(self.windows) >= set(other.windows)
            and self.index in ("", other.index)
            and self.calibration == other.calibration
        )

    def _looks_as_far_as(self, other: SearchedBy) -> bool:
        """Whether the nearest that the other compares are compared."""
        if other.nearest_from is None:
            return True
        least = self.floor if self.nearest_from is None else min(self.floor, self.nearest_from)
        return least <= other.nearest_from
