"""Stores of synthetic faces, and the photographs of faces that scripts/fetch_faces brings."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from vectors import Vectors, file_hash

from memaudit.encoders.sface import SFACE_FILE, YUNET_FILE, find
from memaudit.faces.names import face_id
from memaudit.faces.names import file_hash as face_hash
from memaudit.faces.rows import Details, face_metadata
from memaudit.store import FACES, Row, Store, writing_store
from memaudit.types import EncoderSpec, Status

SAME_PERSON = 0.6
BARACK = ("32bit.png", "obama.jpg", "obama2.jpg", "obama3.jpg", "obama_partial_face.jpg", "obama_partial_face2.jpg")
OTHERS = ("biden.jpg", "Tom_Hanks_54745.png", "t1.jpg")
MASKS = ("mask_black.jpg", "mask_blue.jpg", "mask_green.jpg", "mask_white.jpg")


def sample_folder() -> Path:
    """Where scripts/fetch_faces puts its photographs."""
    if own := os.environ.get("MEMAUDIT_CACHE"):
        return Path(own) / "face-samples"
    cache = os.environ.get("XDG_CACHE_HOME")
    return (Path(cache) if cache else Path.home() / ".cache") / "memaudit" / "face-samples"


HAS_PHOTOGRAPHS = (sample_folder() / "stamp.json").is_file() and find(SFACE_FILE) is not None
needs_photographs = pytest.mark.skipif(
    not HAS_PHOTOGRAPHS,
    reason="no photographs of faces, or no weights: scripts/fetch_faces, memaudit encoders fetch sface",
)
needs_weights = pytest.mark.skipif(
    find(SFACE_FILE) is None or find(YUNET_FILE) is None, reason="no sface weights: memaudit encoders fetch sface"
)


def details(**changes: Any) -> Details:
    """A large, sharp face seen from the front."""
    points = ((30.0, 40.0), (70.0, 40.0), (50.0, 60.0), (35.0, 80.0), (65.0, 80.0))
    return Details((10.0, 10.0, 80.0, 90.0), points, 0.9, 80.0, 200.0, 0.0, 0.0, 0.7)._replace(**changes)


def face_store(
    folder: Path,
    vectors: Vectors,
    *,
    prefix: str = "image",
    parents: Sequence[str] | None = None,
    files: Sequence[str] | None = None,
    metadata: Sequence[dict[str, Any]] | None = None,
    without_face: Sequence[str] = (),
    unreadable: Sequence[str] = (),
    not_compared: Mapping[int, str] | None = None,
    shard_rows: int = 4096,
    name: str = "sface",
) -> Store:
    """A store whose i-th row is a face of parents[i] or `prefix`-0000i; equal parents in a row share an image.

    not_compared: faces without an embedding, and why."""
    names = list(parents) if parents is not None else [f"{prefix}-{i:05d}" for i in range(len(vectors))]
    rows, number, left_out = [], 0, not_compared or {}
    for i, parent in enumerate(names):
        number = number + 1 if i and names[i - 1] == parent else 1
        file = file_hash(files[i] if files else parent)
        own = json.dumps(metadata[i]) if metadata else ""
        rows.append(
            Row(
                image_id=face_id(parent, number),
                uri=f"/nowhere/{parent}",
                caption="",
                sha256=face_hash(file, number),
                width=80,
                height=90,
                status=Status.BLANK if i in left_out else Status.OK,
                error=left_out.get(i, ""),
                embedding=None if i in left_out else vectors[i],
                metadata=face_metadata(parent, number, file, details(), own),
            )
        )
    rows += [_other(name, Status.BLANK, "no face found") for name in without_face]
    rows += [_other(name, Status.UNREADABLE, "empty file") for name in unreadable]
    spec = EncoderSpec(name, "", "synthetic faces", vectors.shape[1], SAME_PERSON)
    with writing_store(folder, spec, shard_rows, ["synthetic"], kind=FACES) as writer:
        for low in range(0, len(rows), shard_rows):
            writer.write_shard(rows[low : low + shard_rows])
        writer.finish()
    return Store.open(folder)


def _other(name: str, status: Status, error: str) -> Row:
    return Row(name, f"/nowhere/{name}", "", file_hash(name), 100, 100, status, error, None)
