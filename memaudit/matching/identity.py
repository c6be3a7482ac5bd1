"""By what pixels decide: verdicts of another rule, of another OpenCV, or of pixels that were read in another way, are
others."""

from __future__ import annotations

import hashlib
from functools import cache
from importlib.resources import files

import PIL

from memaudit.matching.pictures import import_cv2

_READING = (("memaudit.images", "decode.py"), ("memaudit.matching", "pictures.py"))


def identity_of_rule() -> str:
    """A digest of this package as it is installed, of its models too, of how pixels are read, and of the OpenCV that it
    uses. Raises MissingDependencyError without OpenCV."""
    digest = hashlib.sha256(f"opencv {import_cv2().__version__}, {identity_of_reading()}".encode())
    parts = (part for part in files("memaudit.matching").iterdir() if part.is_file())
    for part in sorted(parts, key=lambda part: part.name):
        digest.update(part.name.encode() + hashlib.sha256(part.read_bytes()).digest())
    return digest.hexdigest()


@cache
def identity_of_reading() -> str:
    """What makes pixels of a file, and features of pixels: Pillow, which decodes and resizes, and a digest of the code
    as it is installed."""
    code = b"".join(files(package).joinpath(name).read_bytes() for package, name in _READING)
    return f"Pillow {PIL.__version__}, code {hashlib.sha256(code).hexdigest()[:12]}"


def digest_of_model() -> str:
    """SHA-256 of model.json: which model says how likely a copy is."""
    return hashlib.sha256(files("memaudit.matching").joinpath("model.json").read_bytes()).hexdigest()
