"""What a row of a store of faces says of itself: decoded here, and nowhere else."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from memaudit.errors import InconclusiveError
from memaudit.faces.names import face_id
from memaudit.images.cells import text_of
from memaudit.store import Columns

_KEY = "face"  # of a row's metadata: what is known of the face; all others are the image's own
_ID_OF_0_1 = re.compile(r"(?P<parent>.*)#face-(?P<number>\d+)", re.DOTALL)


class Details(NamedTuple):
    """What was measured of a face, in pixels of the upright image.

    box: left, top, width, height; landmarks: right eye, left eye, nose, right and left corner of the mouth, (x, y)
    each; score: of the detector, 0 to 1; size: the shorter side of the box; sharpness: variance of the Laplacian of the
    aligned face, low where it is blurred; yaw: how far the nose is off the middle, in distances between the eyes (0:
    from the front, 0.5: a profile); roll: degrees; quality: of all these together, 0 to 1.
    """

    box: tuple[float, float, float, float]
    landmarks: tuple[tuple[float, float], ...]
    score: float
    size: float
    sharpness: float
    yaw: float
    roll: float
    quality: float


class FaceRow(NamedTuple):
    """A row of a store of faces. parent: the image_id of the image that it is of; number: of the face on it, from 1 on,
    0 for an image without one; file: the sha256 of the image's file; own: the image's own metadata. details: None for
    an image, and where they are damaged."""

    parent: str
    number: int
    file: str
    own: Mapping[str, Any]
    details: Details | None = None

    def told(self, column: str) -> str:
        """What the image's own metadata say in a column: nothing where they lack it or hold null, NaN or an empty
        list, lest all who have no name are one person."""
        value = self.own.get(column)
        return str(value) if text_of(value) else ""


def face_rows(columns: Columns) -> list[FaceRow]:
    """The rows of these columns, in order. Raises InconclusiveError for a face without its image's file."""
    fields = zip(columns.image_id, columns.sha256, columns.metadata, strict=True)
    return [_face_row(image_id, sha256, metadata) for image_id, sha256, metadata in fields]


def parents(columns: Columns) -> list[str]:
    """The image_ids of the images that the rows of these columns are of."""
    return [row.parent for row in face_rows(columns)]


def _face_row(image_id: str, sha256: str, metadata: str) -> FaceRow:
    own = _object_of(metadata)
    face = own.get(_KEY)
    parent, number = _place(image_id, face) if isinstance(face, dict) else (image_id, 0)
    if not isinstance(face, dict) or not number:
        return FaceRow(image_id, 0, sha256, own)
    del own[_KEY]
    if not isinstance(file := face.get("file"), str):
        raise InconclusiveError(f"face {image_id!r} does not say of which file it is: the store is damaged")
    return FaceRow(parent, number, file, own, _details(face))


def _place(image_id: str, face: Mapping[str, Any]) -> tuple[str, int]:
    """The image that a face is on and its number; 0 where an image's own metadata look like those of a face."""
    if "parent" not in face:
        return _place_of_0_1(image_id)
    parent, number = str(face["parent"]), face.get("number")
    return (parent, number) if isinstance(number, int) and image_id == face_id(parent, number) else (image_id, 0)


def _place_of_0_1(image_id: str) -> tuple[str, int]:
    """Stores of memaudit 0.1 say it in the image_id alone."""
    match = _ID_OF_0_1.fullmatch(image_id)
    return (match["parent"], int(match["number"])) if match else (image_id, 0)


def _object_of(metadata: str) -> dict[str, Any]:
    """A JSON object; an empty one for what is none."""
    try:
        values = json.loads(metadata) if metadata else {}
    except ValueError:
        return {}
    return values if isinstance(values, dict) else {}


def details_of(metadata: str) -> Details | None:
    """What was measured of the face of a row; None where it says nothing sound."""
    face = _object_of(metadata).get(_KEY)
    return _details(face) if isinstance(face, dict) else None


def _details(face: Mapping[str, Any]) -> Details | None:
    try:
        landmarks = tuple((float(x), float(y)) for x, y in face["landmarks"])
        left, top, width, height = map(float, face["box"])
        measures = (float(face[name]) for name in Details._fields[2:])
        return Details((left, top, width, height), landmarks, *measures)
    except (KeyError, TypeError, ValueError):
        return None


def face_metadata(parent: str, number: int, file: str, details: Details, metadata: str) -> str:
    """The metadata of a face's row: those of its image (a JSON object, or nothing), and what is known of the face."""
    face = {"parent": parent, "number": number, "file": file, **details._asdict()}
    return json.dumps({**_object_of(metadata), _KEY: face}, ensure_ascii=False)


def without_own(metadata: str) -> str:
    """The metadata of a face's row without its image's own."""
    face = _object_of(metadata).get(_KEY)
    return json.dumps({_KEY: face}, ensure_ascii=False) if face is not None else ""
