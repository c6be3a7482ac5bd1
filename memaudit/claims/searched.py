"""How closely a training set was searched: what an answer leaves open is settled by one that looked as closely."""

from __future__ import annotations

import msgspec

from memaudit.embedding.windows import DETAILS, TILES
from memaudit.images.view_names import view_names
from memaudit.index import Index
from memaudit.lookup.results import LookupResult


class SearchedBy(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """pixels: whether candidates were compared on them; floor: similarity from which there were some; views: of the
    pictures; windows: of the training images, tiles and details; redrawn: whether what is drawn anew was looked for;
    index: recipe, empty where every image was compared; calibration: digest, empty without one; unmeasured: share of
    the training images that might be so before nothing is "not found"."""

    floor: float
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
        """Whether pixels were compared, and all views searched: as closely as an answer of 0.3.0 may have been, which
        does not say."""
        return self.pixels and set(self.views) >= set(view_names("all"))

    def is_as_close_as(self, other: SearchedBy) -> bool:
        """Whether it finds whatever the other one finds. Of another recipe of the index, or calibration, nobody
        knows."""
        return (
            self.floor <= other.floor
            and self.unmeasured <= other.unmeasured
            and self.pixels >= other.pixels
            and self.redrawn >= other.redrawn
            and set(self.views) >= set(other.views)
            and set(self.windows) >= set(other.windows)
            and self.index in ("", other.index)
            and self.calibration == other.calibration
        )
