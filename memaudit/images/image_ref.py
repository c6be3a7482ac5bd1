"""Where an image is and what it is called."""

from __future__ import annotations

from dataclasses import dataclass, field

ARCHIVE_CUT = "the archive ends early"


@dataclass(frozen=True)
class ImageRef:
    """Where an image is and what it is called. `image_id` is stable across machines and runs.

    metadata: a JSON object of whatever else the source says of it. data: its bytes, where the source hands them out
    in passing (a table); else they are read at `uri`. lost: it stands for what an archive or table has lost.
    """

    image_id: str
    uri: str
    caption: str = ""
    metadata: str = ""
    data: bytes | None = field(default=None, repr=False)
    lost: bool = False
