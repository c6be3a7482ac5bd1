"""Small sample pools, drawn with Pillow."""

from __future__ import annotations

from pathlib import Path

import pytest
from drawn_pools import CLOCKS, LARGE, SMALL, SMALL_FAMILY, id_of, noise, write_pairs
from PIL import Image


@pytest.fixture
def samples(tmp_path: Path) -> Path:
    """A sample folder of 62 pictures, some with transparency, two of them clocks."""
    folder = tmp_path / "samples"
    (folder / "images/icons").mkdir(parents=True)
    lines = ["path,image_id,caption,source,licence"]
    for seed, caption in enumerate([*(f"icon {number}" for number in range(60)), *CLOCKS]):
        image_id = id_of(caption)
        picture = noise(seed)
        if seed % 10 == 0:
            picture.putalpha(Image.linear_gradient("L").resize(picture.size))
        picture.save(folder / f"images/{image_id}.png")
        lines.append(f"images/{image_id}.png,{image_id},{caption},drawn,none")
    (folder / "manifest.csv").write_text("\n".join(lines) + "\n")
    return folder


@pytest.fixture
def pairs(tmp_path: Path) -> Path:
    path = tmp_path / "pairs.parquet"
    write_pairs(path, [tuple(map(id_of, chain)) for chain in (CLOCKS, LARGE, SMALL_FAMILY)])
    return path


@pytest.fixture
def demo(samples: Path, pairs: Path, tmp_path: Path) -> Path:
    """The pools made of the small sample folder with seed 0."""
    from scripts import make_demo_set

    out = tmp_path / "demo"
    assert make_demo_set.main(["--samples", str(samples), "--pairs", str(pairs), "--out", str(out)], SMALL) == 0
    return out
