"""Folders as a user has them: training images with captions, and generations of which one is a copy."""

from __future__ import annotations

from pathlib import Path

from pictures import altered, draw, write_pictures

from memaudit.api.encoders import list_encoders


def write_folders(root: Path) -> Path:
    """training/, with captions in training.csv: twelve pictures, 0009 an altered copy of 0003; generations/: five
    pictures, copy.png one of 0005."""
    training = write_pictures(root / "training", range(12))
    altered(draw(3)).save(training / "0009.png")
    rows = [f"training/{number:04d}.png,picture {number}" for number in range(12)]
    (root / "training.csv").write_text("\n".join(["path,caption", *rows]))
    generations = write_pictures(root / "generations", range(500, 504))
    altered(draw(5)).save(generations / "copy.png")
    return root


def has_face_weights() -> bool:
    return any(row.name == "sface" and row.weights == "ready" for row in list_encoders())
