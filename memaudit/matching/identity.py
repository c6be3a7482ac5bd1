"""By what pixels decide: verdicts of another rule, or of another OpenCV, are others."""

from __future__ import annotations

import hashlib
from importlib.resources import files

from memaudit.matching.pictures import import_cv2


def identity_of_rule() -> str:
    """A digest of this package as it is installed, of its models too, and of the OpenCV that it uses. Raises
    MissingDependencyError without OpenCV."""
    digest = hashlib.sha256(f"opencv {import_cv2().__version__}".encode())
    parts = (part for part in files("memaudit.matching").iterdir() if part.is_file())
    for part in sorted(parts, key=lambda part: part.name):
        digest.update(part.name.encode() + hashlib.sha256(part.read_bytes()).digest())
    return digest.hexdigest()


def digest_of_model() -> str:
    """SHA-256 of model.json: which model says how likely a copy is."""
    return hashlib.sha256(files("memaudit.matching").joinpath("model.json").read_bytes()).hexdigest()
