"""A training set with a dedup and an audit, and a right holder's pictures: made once."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import NamedTuple

from pictures import altered, draw, write_pictures
from PIL import Image

import memaudit as ma


class Project(NamedTuple):
    """store: of twelve pictures, the tenth an altered copy of the fourth; audit: of generations of which one shows the
    sixth. claimed: a.png is the fourth, b.png an altered sixth, c.png another picture, then one blank and one broken.
    """

    store: Path
    dedup: Path
    audit: Path
    claimed: Path


def make_project(root: Path) -> Project:
    training = write_pictures(root / "training", range(12))
    altered(draw(3)).save(training / "0009.png")
    generations = write_pictures(root / "generations", range(500, 501))
    altered(draw(5)).save(generations / "copy.png")
    claimed = root / "claimed"
    claimed.mkdir()
    shutil.copy(training / "0003.png", claimed / "a.png")
    altered(draw(5)).save(claimed / "b.png")
    draw(700).save(claimed / "c.png")
    Image.new("RGB", (64, 64), "white").save(claimed / "d.png")
    (claimed / "e.png").write_bytes(b"no picture")
    store = ma.embed(training, out=root / "store", encoder="thumbnail")
    ma.run_dedup(store, out=root / "dedup")
    ma.run_audit(generations, store, out=root / "audit", planted=0, model="one")
    return Project(root / "store", root / "dedup", root / "audit", claimed)
