"""What a face is called: its parent image's image_id and a number. And what its row says of it."""

from __future__ import annotations

import hashlib
import json
import re
from typing import Any, NamedTuple

from memaudit.errors import InputError

_FACE = re.compile(r"(?P<parent>.*)#face-(?P<number>\d+)", re.DOTALL)
DETAILS = "face"  # the key of a row's metadata that holds what is known of the face


class Details(NamedTuple):
    """What a row's metadata says of its face, in pixels of the upright parent image.

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


def face_id(parent: str, number: int) -> str:
    """The image_id of the n-th face of an image, n from 1 on."""
    return f"{parent}#face-{number}"


def parent_of(image_id: str) -> str:
    """The image that a face is on; an image without faces has a row of its own name."""
    match = _FACE.fullmatch(image_id)
    return match["parent"] if match else image_id


def number_of(image_id: str) -> int:
    """The number of a face on its image, 0 for the row of an image without one."""
    match = _FACE.fullmatch(image_id)
    return int(match["number"]) if match else 0


def require_plain(image_id: str) -> str:
    """Return an image's image_id. Raises InputError for one that would be taken for a face's."""
    if _FACE.fullmatch(image_id):
        raise InputError(f"image_id {image_id!r} ends like that of a face: rename the image, or give it another id")
    return image_id


def file_hash(file: str, number: int) -> str:
    """The sha256 that a face's row carries: that of its image's file would make exact duplicates of all its faces."""
    return hashlib.sha256(f"{file}#face-{number}".encode()).hexdigest()


def file_of(image_id: str, sha256: str, metadata: str) -> str:
    """The sha256 of the image's own file, of a row: its column, or what a face's metadata says."""
    return str(json.loads(metadata)[DETAILS]["file"]) if number_of(image_id) else sha256


def metadata_with(details: Details, file: str, metadata: str) -> str:
    """The parent's metadata (a JSON object, or nothing), its file's sha256 and what is known of the face, as JSON."""
    own = json.loads(metadata) if metadata else {}
    return json.dumps({**own, DETAILS: {"file": file, **details._asdict()}}, ensure_ascii=False)


def details_of(metadata: str) -> Details | None:
    """What a row's metadata says of its face; None where it says nothing sound."""
    try:
        values = json.loads(metadata)[DETAILS]
        landmarks = tuple((float(x), float(y)) for x, y in values["landmarks"])
        left, top, width, height = map(float, values["box"])
        measures = (float(values[name]) for name in Details._fields[2:])
        return Details((left, top, width, height), landmarks, *measures)
    except (KeyError, TypeError, ValueError):
        return None


def without_given(metadata: str) -> str:
    """A row's metadata without the parent's own: what is known of the face, or nothing."""
    try:
        details = json.loads(metadata)[DETAILS]
    except (KeyError, TypeError, ValueError):
        return ""
    return json.dumps({DETAILS: details}, ensure_ascii=False)


def given_metadata(metadata: str) -> dict[str, Any]:
    """The parent's own metadata of a row."""
    try:
        values = json.loads(metadata) if metadata else {}
    except ValueError:
        return {}
    return {key: value for key, value in values.items() if key != DETAILS} if isinstance(values, dict) else {}


def tombstone(image_id: str) -> str:
    """What stays of a forgotten image_id: a digest, by which it is known should it come back."""
    return hashlib.sha256(image_id.encode("utf-8", "surrogateescape")).hexdigest()


def file_tombstone(sha256: str) -> str:
    """What stays of a forgotten file, or of a face's `file_hash`: it does not come back under another name either."""
    return tombstone(f"sha256:{sha256}")
