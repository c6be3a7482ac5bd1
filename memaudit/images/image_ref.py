"""Where an image is and what it is called."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

MOST_TEXT = 1 << 16  # characters of a caption, and of metadata; a shard holds thousands of them in memory
CUT_TEXT = MOST_TEXT + 1  # characters that a reader leaves of a longer text: enough to tell that it is too long
_FRAMES = "frames beyond the first"
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

    def bounded(self) -> ImageRef:
        """The same without a caption or metadata beyond MOST_TEXT; the metadata then say what was left out."""
        texts = {"caption": self.caption, "metadata": self.metadata}
        long = [name for name, text in texts.items() if len(text) > MOST_TEXT]
        if not long:
            return self
        left_out = [f"{name}: over the limit of {MOST_TEXT:,} characters" for name in long]
        caption = "" if "caption" in long else self.caption
        return replace(self, caption=caption, metadata=noting("" if "metadata" in long else self.metadata, left_out))


def noting(metadata: str, left_out: Sequence[str]) -> str:
    """Metadata that say what was left out of them, or of the caption."""
    values = object_in(metadata)
    before = values.get("left_out", [])
    return json.dumps({**values, "left_out": [*(before if isinstance(before, list) else [before]), *left_out]})


def with_first_frame_alone(metadata: str, frames: int) -> str:
    """Metadata of a file with so many frames, or pages, of which the first is looked at."""
    return noting(metadata, [f"{frames - 1:,} {_FRAMES}"]) if frames > 1 else metadata


def is_first_frame_alone(metadata: str) -> bool:
    left_out = object_in(metadata).get("left_out") if _FRAMES in metadata else None
    return isinstance(left_out, list) and any(str(text).endswith(_FRAMES) for text in left_out)


def first_frames_line(files: int) -> str:
    """What to say of so many such files; nothing of none."""
    return f"{files:,} films or files of several pages: the first frame only" if files else ""


def object_in(text: str) -> dict[str, object]:
    """The JSON object that a text holds; an empty one if it holds none."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}
