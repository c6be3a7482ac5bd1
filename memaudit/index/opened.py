"""An opened index and the store it belongs to."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from memaudit.errors import InconclusiveError
from memaudit.index.engine import Engine
from memaudit.index.faiss_library import read
from memaudit.index.manifest import (
    FIRST_FRAMES,
    MANIFEST,
    index_digest,
    open_store,
    paths_of,
    read_manifest,
    require_files,
    require_rows,
)
from memaudit.index.search import Candidates, ExactSearch, Searcher
from memaudit.similarity import Neighbours
from memaudit.store import Store
from memaudit.types import Float32


class Index:
    """Finds the nearest references of queries among an index's candidates."""

    def __init__(self, folder: Path, store: Store, engine: Engine, manifest: dict[str, Any]) -> None:
        self.folder = folder
        self.store = store
        self.manifest = manifest
        self.method = f"index:{manifest['recipe']}"
        self._candidates = Candidates(engine, store, manifest["candidates"], manifest["exact"])

    @classmethod
    def open(cls, folder: str | Path) -> Index:
        """Open an index and its store. The vectors stay on the disk until a search touches them.

        Checked: that every file has its size and its content, of files above 1 GiB at 64 places, and that they hold
        all rows of the store; `verify_index` reads them whole. Raises InputError for something else, InconclusiveError
        if the store or an index file changed since, or rows are missing.
        """
        folder = Path(folder)
        manifest = read_manifest(folder)
        require_files(folder, manifest)
        store = open_store(folder, manifest)
        index = read(paths_of(folder, manifest), mapped=True)
        require_rows(folder, manifest, int(index.ntotal), store)
        return cls(folder, store, Engine(index, manifest["search"]["parameter"], manifest["search"]["value"]), manifest)

    def __repr__(self) -> str:
        return f"<Index {self.folder}: {self.manifest['rows']:,} rows, {self.manifest['recipe']}>"

    @property
    def digest(self) -> str:
        return index_digest(self.manifest)

    def first_frames_alone(self) -> int:
        """As that of the store; one of 0.3.0 does not say, and the store is read."""
        noted = self.manifest.get(FIRST_FRAMES)
        return self.store.first_frames_alone() if noted is None else int(noted)

    def require_current(self) -> None:
        """Raise InconclusiveError if the index or its store was changed since it was opened."""
        if read_manifest(self.folder) != self.manifest:
            raise InconclusiveError(f"index {self.folder} was changed while it was read: run again")
        require_files(self.folder, self.manifest)
        self.store.require_current()

    def search(self, queries: Float32, k: int, threshold: float) -> Neighbours:
        """As `top_k`, over the index's candidates."""
        return self._candidates.search(queries, k, threshold)


def open_searcher(path: str | Path) -> Searcher:
    """Open a store or an index, whichever `path` holds."""
    path = Path(path)
    return Index.open(path) if (path / MANIFEST).is_file() else ExactSearch(Store.open(path))
