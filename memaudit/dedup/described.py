"""What a store says of its images, read where it is needed: of captions, places and digests not all are held."""

from __future__ import annotations

from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from memaudit.store import Columns, Store
from memaudit.types import Int64


class Described(Protocol):
    """Images by their position, as `Columns` are."""

    @property
    def image_id(self) -> NDArray[np.object_]: ...

    def at(self, positions: Int64) -> Columns:
        """Their files, by uri and sha256; other columns may have no entries."""
        ...


class InStore(NamedTuple):
    """The images of a store (rows: None), or some of them."""

    store: Store
    ids: NDArray[np.object_]
    rows: Int64 | None = None

    @property
    def image_id(self) -> NDArray[np.object_]:
        return self.ids if self.rows is None else self.ids[self.rows]

    def at(self, positions: Int64) -> Columns:
        return self.store.columns(positions if self.rows is None else self.rows[positions], only=("uri", "sha256"))
