"""Words of a report as they may be shown: an id or a caption must steer neither a terminal nor a build server."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import quote

# Controls, what turns the direction of writing, surrogates and what XML does not have
_CONTROL = re.compile(
    r"[\x00-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ud800-\udfff\ufeff\ufffe\uffff]"
)
_HASH_COMMAND = re.compile(r"##(?=[\w.]*\[)")  # ##[error], ##vso[...], ##teamcity[...] count anywhere in a line
_PART = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]*")
LONGEST = 300


def plain(text: str, most: int = LONGEST) -> str:
    """One line without control characters and commands to a build server, cut after `most` characters."""
    line = _CONTROL.sub("\N{REPLACEMENT CHARACTER}", " ".join(text.split()))
    line = _HASH_COMMAND.sub("# #", line).replace("::", ": :").replace("::", ": :")  # ::error file=a::text
    return line if len(line) <= most else f"{line[: most - 1]}\N{HORIZONTAL ELLIPSIS}"


def picture_beside(report: str, picture: str | None) -> str | None:
    """The place of a thumbnail, as a URI; None for what is not a plain path within the report's own folder.

    A report is data of others: `../../etc/passwd`, `/etc/passwd`, `javascript:` and `https://` lead nowhere.
    """
    if picture is None or not all(_PART.fullmatch(part) for part in picture.split("/")):
        return None
    return uri_of(Path(report).parent / picture)


def uri_of(path: str | Path) -> str:
    """A path as a URI: file:// where it is absolute, else a relative reference."""
    path = Path(path)
    return path.as_uri() if path.is_absolute() else quote(path.as_posix(), errors="surrogateescape")
