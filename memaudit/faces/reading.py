"""One image to the rows of its faces. Every image leaves a trace: a row for each face, or one that says why none."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Collection
from dataclasses import dataclass, replace

import numpy as np
from PIL import Image

from memaudit.embedding.pictures import unread
from memaudit.embedding.reconcile import bytes_of
from memaudit.encoders.sface import YUNET_FILE, FaceEncoder, FaceModel, face_weights
from memaudit.errors import InputError
from memaudit.faces.find import LEAST_SIZE, FaceFinder, Found
from memaudit.faces.names import face_id, file_hash, file_tombstone, tombstone
from memaudit.faces.rows import face_metadata, without_own
from memaudit.images.decode import UnreadableImageError, decoding, is_blank
from memaudit.images.image_ref import ImageRef, with_first_frame_alone
from memaudit.images.parts import count_frames
from memaudit.store import NO_FILE, Row
from memaudit.types import Float32, Status

NO_FACE = "no face found"
SMALL = f"face below {LEAST_SIZE} pixels"
NO_HUMAN = "no human face: drawn, or too unclear to tell"


@dataclass(frozen=True)
class EmbeddedFaces:
    """The faces of an image, as found, and their embeddings (n, dim): small ones, and such as are no human's, have
    none."""

    faces: tuple[Found, ...]
    embeddings: tuple[Float32 | None, ...]


class FaceReader:
    """Finds and embeds faces, in any thread: each gets a detector and an encoder of its own, at its first image."""

    def __init__(self, model: FaceModel) -> None:
        self.model = model
        self._yunet = face_weights(YUNET_FILE)
        self._own = threading.local()
        # A session of onnxruntime may be run by all threads at once, and holds the memory of its device.
        self._shared: FaceEncoder | None = model.encoder() if model.cuda else None

    def see(self, image: Image.Image, longer: int = 0) -> EmbeddedFaces:
        """The faces of an upright RGB image; see FaceFinder.find."""
        if not hasattr(self._own, "finder"):
            self._own.encoder = self._shared or self.model.encoder()
            self._own.finder = FaceFinder(self._yunet, self.model.side, chips=self.model.has_chips)
        found = self._own.finder.find(image, longer)
        taken = [not face.is_small and face.is_human for face in found]
        vectors = iter(self._encoded([face for face, is_taken in zip(found, taken, strict=True) if is_taken]))
        return EmbeddedFaces(tuple(found), tuple(next(vectors) if is_taken else None for is_taken in taken))

    def _encoded(self, faces: list[Found]) -> Float32:
        if not faces:
            return np.empty((0, self.model.spec.dim), np.float32)
        chips = [face.chip for face in faces if face.chip is not None]
        crops = np.stack([face.crop for face in faces])
        return np.asarray(self._own.encoder.encode(crops, np.stack(chips) if chips else None))

    def rows_of(self, ref: ImageRef, max_pixels: int, forgotten: Collection[str] = ()) -> list[Row]:
        """The rows of an image: one for each face, by falling score, else one without an embedding.

        What is `forgotten` (tombstones of image_ids and of files) has no row, and the other faces of its image none of
        the image's caption and metadata, which may name whom they do not show. Of a blank image, or one without a
        face, nothing can be compared, so its status is BLANK: read, and out of scope; so is that of a small face, and
        of one that is no human's.
        """
        if tombstone(ref.image_id) in forgotten:
            return []
        row = Row(ref.image_id, ref.uri, ref.caption, NO_FILE, 0, 0, Status.UNREADABLE, "", None, ref.metadata)
        try:
            data = bytes_of(ref)
        except (OSError, InputError) as error:  # the latter of a table
            return [unread(row, error)]
        metadata = with_first_frame_alone(row.metadata, count_frames(data))
        row = replace(row, sha256=hashlib.sha256(data).hexdigest(), metadata=metadata)
        if file_tombstone(row.sha256) in forgotten:
            return []
        try:
            with decoding(data, max_pixels) as (image, width, height):
                row = replace(row, width=width, height=height, status=Status.BLANK, error=NO_FACE)
                seen = None if is_blank(image) else self.see(image, max(width, height))
        except UnreadableImageError as error:
            return [replace(row, error=str(error))]
        if seen is None or not seen.faces:
            return [row]
        pairs = enumerate(zip(seen.faces, seen.embeddings, strict=True), start=1)
        rows = [_face_row(row, number, face, vector) for number, (face, vector) in pairs]
        left = [face for face in rows if not any(stone in forgotten for stone in _stones(face))]
        return left if len(left) == len(rows) else [redacted(face) for face in left]


def _stones(row: Row) -> tuple[str, str]:
    return tombstone(row.image_id), file_tombstone(row.sha256)


def redacted(row: Row) -> Row:
    """A face's row without what its image says of whoever is on it."""
    return replace(row, caption="", metadata=without_own(row.metadata))


def _face_row(row: Row, number: int, face: Found, vector: Float32 | None) -> Row:
    _, _, width, height = face.details.box
    status, error = Status.OK, ""
    if vector is None:
        status, error = Status.BLANK, SMALL if face.is_small else NO_HUMAN
    if vector is not None and not np.isclose(np.linalg.norm(vector), 1, atol=1e-3):
        status, error, vector = Status.UNREADABLE, "the encoder gave no unit vector for this face", None
    return replace(
        row,
        image_id=face_id(row.image_id, number),
        width=max(1, round(width)),
        height=max(1, round(height)),
        status=status,
        error=error,
        embedding=vector,
        sha256=file_hash(row.sha256, number),
        metadata=face_metadata(row.image_id, number, row.sha256, face.details, row.metadata),
    )
