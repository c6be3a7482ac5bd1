"""Thumbnails beside the page: small JPEGs with names of our own, so that no path of a user's reaches the page."""

from __future__ import annotations

from collections.abc import Callable, Collection
from pathlib import Path

from PIL import Image, ImageDraw

from memaudit.errors import InputError
from memaudit.faces.names import Tombstones
from memaudit.faces.rows import face_rows
from memaudit.files import whole_file
from memaudit.images.decode import UnreadableImageError, decode
from memaudit.images.sources import read_image
from memaudit.report.run_folder import THUMBNAILS
from memaudit.store import FACES, Columns, Store, is_same_file

SIDE, LARGE = 320, 480  # of a thumbnail: in a sheet of many, and of a pair that is looked at closely
CHANGED = "file-changed"
Alter = Callable[[Image.Image], Image.Image]


class Pictures:
    """Writes the thumbnails of one report into `out`/thumbnails. alter: what each picture goes through first. side: the
    longer one, in pixels. forgotten: tombstones of stores of faces."""

    def __init__(
        self, out: Path, alter: Alter | None = None, side: int = SIDE, forgotten: Collection[str] = ()
    ) -> None:
        self._out = out
        self._alter = alter
        self._side = side
        self._forgotten = Tombstones(forgotten)
        self._written: dict[str, str | None] = {}

    def add(self, name: str, uri: str, sha256: str, *told_of: str) -> str | None:
        """Write a thumbnail of the image at `uri`; return its path relative to the page, None if it is unreadable.

        sha256: of the file that the report tells of, NO_FILE for unknown; where there is another one by now, a picture
        that says so is shown. A name stands for one image: what was written under it before is not written again.
        told_of: image_ids of the image, and of what it is shown beside: where somebody on one of their pictures is
        forgotten, none is written.
        """
        if any(map(self._forgotten.on_picture, told_of)):
            return None
        if name not in self._written:
            try:
                data = read_image(uri)
                self._written[name] = self._write(name, data) if is_same_file(data, sha256) else self._changed()
            except (OSError, InputError, UnreadableImageError):
                self._written[name] = None
        return self._written[name]

    def _changed(self) -> str:
        relative = f"{THUMBNAILS}/{CHANGED}.png"
        if not (self._out / relative).exists():
            with whole_file(self._out / relative) as file:
                _notice("file changed", "since it was embedded").save(file, "PNG")
        return relative

    def _write(self, name: str, data: bytes) -> str:
        relative = f"{THUMBNAILS}/{name}.jpg"
        image = decode(data).image
        if self._alter is not None:
            image = self._alter(image)
        image.thumbnail((self._side, self._side), Image.Resampling.LANCZOS)
        with whole_file(self._out / relative) as file:
            image.save(file, "JPEG", quality=82)
        return relative


def files_of(store: Store, columns: Columns) -> list[str]:
    """The sha256 of the files that rows of a store are of; those of faces carry one of their own."""
    return [row.file for row in face_rows(columns)] if store.manifest.kind == FACES else columns.sha256.tolist()


def _notice(*lines: str) -> Image.Image:
    """Words in the place of a picture."""
    image = Image.new("RGB", (SIDE // 2, SIDE // 2), "#eeeeee")
    draw = ImageDraw.Draw(image)
    for number, line in enumerate(lines):
        draw.text(((SIDE // 2 - draw.textlength(line)) / 2, SIDE // 4 + 14 * (number - 1)), line, fill="#555555")
    return image
