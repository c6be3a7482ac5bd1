"""Bring axe-core into the cache, for the tests of the pages: `scripts/fetch_axe`.

npm fetches the pinned package, which is checked by its sha256 before anything of it is unpacked, and that is one file:
axe/axe.min.js. The last line printed is its path. axe-core is under the Mozilla Public License 2.0: it is used as it
is, and not redistributed. Exit code 2, with one line on stderr, when something is missing. Needs the standard library
and npm.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

from scripts.cache import cache_folder
from scripts.fetching import checked
from scripts.folders import ScriptError, ends_in_one_line

PACKAGE, FILE = "axe-core@4.11.0", "axe-core-4.11.0.tgz"
SHA256 = "39bed7d72308f6d620789c169d699bfd7e8da80f65b545821a6b2215c3e83107"
SCRIPT_SHA256 = "e9e5863c33a874f09bc01acd9234b7e3c871479f5eef8802fa582544465e6d01"
MEMBER = "package/axe.min.js"
SECONDS = 300
REMEDY = "the tests with axe-core are skipped without it"


def axe_path() -> Path:
    return cache_folder() / "axe" / "axe.min.js"


def fetch(npm: str, into: Path) -> Path:
    """The pinned package, in a folder. Raises ScriptError when npm cannot."""
    command = [npm, "pack", PACKAGE, "--silent", "--pack-destination", str(into)]
    try:
        done = subprocess.run(command, capture_output=True, check=False, timeout=SECONDS, cwd=into)
        outcome = "" if done.returncode == 0 else f"exit code {done.returncode}"
    except subprocess.TimeoutExpired:
        outcome = f"no answer in {SECONDS} s"
    if outcome:
        raise ScriptError(f"npm could not fetch {PACKAGE} ({outcome}); {REMEDY}")
    return checked(into / FILE, SHA256, REMEDY)


def work() -> None:
    path = axe_path()
    if not path.is_file():
        npm = shutil.which("npm")
        if npm is None:
            raise ScriptError(f"no npm: install it (Debian: apt-get install npm); {REMEDY}")
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=path.parent) as folder, tarfile.open(fetch(npm, Path(folder))) as archive:
            member = archive.extractfile(MEMBER)
            assert member is not None, "the pinned package has it"
            made = Path(folder) / path.name
            made.write_bytes(member.read())
            made.rename(path)
    print(checked(path, SCRIPT_SHA256, f"remove it, then run again; {REMEDY}"))


if __name__ == "__main__":
    sys.exit(ends_in_one_line("fetch_axe", work, tarfile.TarError))
