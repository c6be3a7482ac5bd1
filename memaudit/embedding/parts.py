"""Images of a source, each followed by the pictures within its file: every one of them gets a row."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import partial

from memaudit.embedding.options import EmbedOptions
from memaudit.embedding.reconcile import bytes_of
from memaudit.embedding.rows import ahead
from memaudit.errors import InputError
from memaudit.images.decode import UnreadableImageError, decode
from memaudit.images.image_ref import ImageRef
from memaudit.images.parts import Parts, channel, cut, file_of, find_parts, frames
from memaudit.images.sources import read_image
from memaudit.store import Store
from memaudit.types import Status

_HANDED = 1 << 24  # bytes of an image or a part that are handed on; larger ones are read again in their turn


@dataclass(frozen=True)
class WithParts:
    """Follows each image by its parts: frames beyond the first, pictures of a sheet. Asked again, it knows them.

    Memory: the names of the images, and the bytes of those and of the parts that wait.
    """

    options: EmbedOptions
    _known: dict[str, Parts] = field(default_factory=dict)

    def __call__(self, refs: Iterable[ImageRef], *, contents: bool = True) -> Iterator[ImageRef]:
        """Without `contents` the parts' names alone, as `iter_images` gives names."""
        with ThreadPoolExecutor(self.options.threads) as pool:
            look = partial(self._looked_at, contents=contents)
            for ref, parts in ahead(pool, look, refs, self.options.window):
                self._known[ref.uri] = parts
                yield ref
                if parts:
                    yield from self._of(ref, parts, contents)

    def _looked_at(self, ref: ImageRef, *, contents: bool) -> tuple[ImageRef, Parts]:
        """The image, with its bytes where `contents` are asked for: whoever wants them need not read them again."""
        if ref.lost:
            return ref, Parts()
        if ref.uri in self._known:
            return ref, self._known[ref.uri]
        try:
            data = bytes_of(ref)
            parts = find_parts(data, self.options.max_pixels)
        except (OSError, InputError):
            return ref, Parts()  # its row says why
        return replace(ref, data=data) if contents and len(data) <= _HANDED else ref, parts

    def _of(self, ref: ImageRef, parts: Parts, contents: bool) -> Iterator[ImageRef]:
        pictures = self._pictures(ref, parts) if contents else iter(())
        for name in parts.names:
            data = next(pictures, None)
            data = None if data is None or len(data) > _HANDED else data
            yield replace(ref, image_id=f"{ref.image_id}#{name}", uri=f"{ref.uri}#{name}", data=data)

    def _pictures(self, ref: ImageRef, parts: Parts) -> Iterator[bytes]:
        """The parts that can be read, in order; it ends at one that cannot."""
        try:
            data = bytes_of(ref)
            if parts.frames > 1:
                yield from frames(data, self.options.max_pixels)
                return
            if parts.cells:
                image = decode(data, self.options.max_pixels).image
                yield from (cut(image, box) for box in parts.cells)
            yield from (channel(data, name, self.options.max_pixels) for name in parts.channels)
        except (OSError, InputError, UnreadableImageError):
            return


def hidden_in(store: Store, options: EmbedOptions) -> int:
    """How many files of a store hold pictures that it has no rows of: it was made of first frames, and of whole sheets.

    A file that is gone is not counted. Memory: the names of the images that it has such rows of, and a block.
    """
    seen = {file for names in store.iter_image_ids() for name in names if (file := file_of(name))}
    blocks = store.iter_columns(only=("image_id", "uri", "status"))
    rows = (row for block in blocks for row in zip(block.image_id, block.uri, block.status, strict=True))
    alone = (uri for name, uri, status in rows if status == Status.OK and name not in seen)

    def hides(uri: str) -> bool:
        try:
            return bool(find_parts(read_image(uri), options.max_pixels))
        except (OSError, InputError):
            return False

    with ThreadPoolExecutor(options.threads) as pool:
        return sum(ahead(pool, hides, alone, options.window))
