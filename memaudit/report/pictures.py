"""Thumbnails beside the page: small JPEGs with names of our own, so that no path of a user's reaches the page."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from PIL import Image

from memaudit.errors import InputError
from memaudit.files import whole_file
from memaudit.images.decode import UnreadableImageError, decode
from memaudit.images.sources import read_image
from memaudit.report.run_folder import THUMBNAILS

SIDE = 320
Alter = Callable[[Image.Image], Image.Image]


class Pictures:
    """Writes the thumbnails of one report into `out`/thumbnails. alter: what each picture goes through first."""

    def __init__(self, out: Path, alter: Alter | None = None) -> None:
        self._out = out
        self._alter = alter
        self._written: dict[str, str | None] = {}

    def add(self, name: str, uri: str) -> str | None:
        """Write a thumbnail of the image at `uri`; return its path relative to the page, None if it is unreadable.

        A name stands for one image: what was written under it before is not written again.
        """
        if name not in self._written:
            self._written[name] = self._write(name, uri)
        return self._written[name]

    def _write(self, name: str, uri: str) -> str | None:
        relative = f"{THUMBNAILS}/{name}.jpg"
        try:
            image = decode(read_image(uri)).image
        except (OSError, InputError, UnreadableImageError):
            return None
        if self._alter is not None:
            image = self._alter(image)
        image.thumbnail((SIDE, SIDE), Image.Resampling.LANCZOS)
        with whole_file(self._out / relative) as file:
            image.save(file, "JPEG", quality=85)
        return relative
