"""The pictures of a page: within it, of bounded size, or beside it."""

from __future__ import annotations

import base64
from collections.abc import Iterable
from pathlib import Path

from memaudit.files import open_regular
from memaudit.report.run_folder import PICTURES

_TYPES = {".jpg": "image/jpeg", ".png": "image/png"}
_MOST = 2**20  # bytes of one: the thumbnails of a run are far smaller
ROOM = 20 * 2**20


class PagePictures:
    """folder: where the run's pictures lie. beside: name them by their path, and put none into the page. room: bytes
    that those in the page may take. sources: what stands for each in the page, by its path."""

    def __init__(self, folder: Path, *, beside: bool = False, room: int = ROOM) -> None:
        self._folder = folder
        self.beside = beside
        self.room = room
        self.sources: dict[str, str] = {}
        self._gone: set[str] = set()

    @property
    def folders(self) -> str:
        return " and ".join(f"{name}/" for name in PICTURES if (self._folder / name).is_dir()) or "thumbnails/"

    def source(self, path: str | None) -> str | None:
        """What an image element of the page names; None for a picture that is nowhere, or has no room."""
        if path is None:
            return None
        self.add([path])
        return self.sources.get(path)

    def absent(self, path: str | None) -> str:
        """The line that stands in the place of a picture."""
        if path is None:
            return "picture not available: the run kept none"
        if path in self._gone:
            return "picture not available"
        return f"the picture is beside the page: {path}"

    def add(self, paths: Iterable[str]) -> bool:
        """Put these into the page, unless they have no room there together; what is gone takes none."""
        new = {path: source for path in paths if path not in self.sources and (source := self._source(path))}
        size = sum(map(len, new.values()))
        if size > self.room and not self.beside:
            return False
        self.room -= size
        self.sources |= new
        return True

    def _source(self, path: str) -> str | None:
        kind = _TYPES.get(Path(path).suffix)
        place = self._folder / path
        if kind is None or Path(path).is_absolute() or ".." in Path(path).parts or not place.is_file():
            self._gone.add(path)
            return None
        if self.beside:
            return path
        with open_regular(place) as handle:
            data = handle.read(_MOST + 1)
        if len(data) > _MOST:
            self._gone.add(path)
            return None
        return f"data:{kind};base64,{base64.b64encode(data).decode()}"
