"""Bring photographs of faces for the tests into the cache: `scripts/fetch_faces [DIR]`.

Two source distributions carry them: face_recognition (six of one man, one of another) and insightface (six people on
one photograph, one portrait, four pictures of masks without a face). pip fetches them and checks the pinned sha256
digests before anything in them is run or unpacked; only the pictures are unpacked, to DIR/NAME. DIR appears whole, and
a complete one is left alone. The last line printed is DIR.

Neither distribution says anything on single photographs: test with them on your own machine, and do not redistribute
them. Exit code 2, with one line on stderr, when something is missing. Needs the standard library and pip only.
"""

from __future__ import annotations

import re
import sys
import tarfile
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from scripts.cache import cache_folder
from scripts.fetching import checked, pip_download
from scripts.folders import appearing_folder, ends_in_one_line, is_complete


@dataclass(frozen=True)
class Distribution:
    """A pinned source distribution; `member` matches its pictures and names them."""

    requirement: str
    filename: str
    sha256: str
    member: str


DISTRIBUTIONS = (
    Distribution(
        "face_recognition==1.3.0",
        "face_recognition-1.3.0.tar.gz",
        "5e5efdd1686aa566af0d3cc1313b131e4b197657a8ffd03669e6d3fad92705ec",
        r"face_recognition-1\.3\.0/tests/test_images/(?P<name>[A-Za-z0-9_]+\.(jpg|png))",
    ),
    Distribution(
        "insightface==2.1",
        "insightface-2.1.tar.gz",
        "776cbd36b70f5f2ae1a026101cfb80387f0b2280a0dbaf073f8d3ed69f554e01",
        r"insightface-2\.1/insightface/data/images/(?P<name>[A-Za-z0-9_]+\.(jpg|png))",
    ),
)


def stamp_of(folder: Path) -> dict[str, object]:
    """What stamp.json of `folder` has to hold: the digests of the distributions, and the pictures there are."""
    pictures = sorted(path.name for path in folder.iterdir() if path.suffix in {".jpg", ".png"})
    return {"distributions": {d.requirement: d.sha256 for d in DISTRIBUTIONS}, "pictures": pictures}


def download(into: Path) -> None:
    """Let pip put the distributions into `into`, their hashes checked. Raises ScriptError when it cannot."""
    into.mkdir()
    pinned = into / "pinned.txt"
    pinned.write_text("".join(f"{d.requirement} --hash=sha256:{d.sha256}\n" for d in DISTRIBUTIONS), encoding="utf-8")
    arguments = ["--no-binary=:all:", "--require-hashes", "--no-build-isolation", "--requirement", str(pinned)]
    files = " and ".join(d.filename for d in DISTRIBUTIONS)
    pip_download(into, arguments, files, "look at the network, then run again")


def unpack(archive: Path, distribution: Distribution, into: Path) -> None:
    """Write its pictures into `into`, under the matched name, which holds no slash, and never the member's own."""
    with tarfile.open(checked(archive, distribution.sha256, "nothing was kept")) as tar:
        for member in tar.getmembers():
            match = re.fullmatch(distribution.member, member.name)
            content = tar.extractfile(member) if match and member.isreg() else None
            if match and content:
                (into / match["name"]).write_bytes(content.read())


def fetch(folder: Path) -> None:
    with appearing_folder(folder, stamp_of) as new, tempfile.TemporaryDirectory() as temporary:
        fetched = Path(temporary, "fetched")
        download(fetched)
        for distribution in DISTRIBUTIONS:
            unpack(fetched / distribution.filename, distribution, new)


def main(arguments: Sequence[str]) -> int:
    folder = Path(arguments[0]) if arguments else cache_folder() / "face-samples"

    def work() -> None:
        if not folder.is_dir() or not is_complete(folder, stamp_of(folder)):
            fetch(folder)
        print(folder)

    return ends_in_one_line("fetch_faces", work, tarfile.TarError)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
