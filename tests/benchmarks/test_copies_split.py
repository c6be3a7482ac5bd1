"""What a decision is measured on was fixed before it was tuned, and stays apart from what it is tuned on."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from pictures import draw
from PIL import Image

from benchmarks.copies.corpora import PHOTOGRAPHS, Picture, digest_of
from benchmarks.copies.drawn import KINDS, drawn
from benchmarks.copies.split import (
    CLEAN,
    FIT,
    REFERENCE,
    SECOND,
    SECOND_DIGEST,
    SOURCE,
    TEST,
    TEST_DIGEST,
    TUNE,
    Line,
    part_digest,
    read_split,
    write_split,
)
from benchmarks.copies.splitting import ALIKE, SIZES, Pool, Sizes, components, parted, split

SMALL = Sizes(photographs=4, drawings=4, references=6, clean=8)


def test_the_parts_that_are_measured_are_the_frozen_ones() -> None:
    """Digest and sizes; no picture is in two parts."""
    lines = read_split()
    assert part_digest(lines, TEST) == TEST_DIGEST
    assert part_digest(lines, SECOND) == SECOND_DIGEST
    counts = Counter((line.part, line.role) for line in lines)
    assert counts[TEST, SOURCE] >= 300
    assert counts[TEST, CLEAN] >= 2000
    assert max(Counter(line.sha256 for line in lines).values()) == 1
    kinds = {line.kind for line in lines if line.part == TEST and line.role == CLEAN}
    assert kinds >= {"flag", "clock", "icon", "road sign", "card", "building", "face", "texture", "text", "gradient"}


def test_a_digest_is_of_pictures_and_roles_and_not_of_names_or_order() -> None:
    lines = [Line("aa", TEST, SOURCE, "flag", "x.png"), Line("bb", TEST, CLEAN, "icon", "y.png")]
    digest = part_digest(lines, TEST)
    assert part_digest([lines[1], lines[0]._replace(name="z.png"), Line("cc", FIT, SOURCE, "", "")], TEST) == digest
    assert part_digest([lines[0], lines[1]._replace(role=REFERENCE)], TEST) != digest
    assert part_digest(lines[:1], TEST) != digest


def test_a_split_is_read_as_it_was_written(tmp_path: Path) -> None:
    lines = [Line("aa", FIT, SOURCE, "flag", 'a, "b".png'), Line("bb", TEST, CLEAN, "icon", "y.png")]
    write_split(lines, tmp_path / "split.csv")
    assert read_split(tmp_path / "split.csv") == lines


def pool_of(vectors: np.ndarray, kinds: list[str]) -> Pool:
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    names = [Picture(f"{i}.png", kind, f"{i * 7919 % 1009:064x}", Path()) for i, kind in enumerate(kinds)]
    return Pool(names, (unit @ unit.T).astype(np.float32))


def test_what_resembles_each_other_is_in_one_part(monkeypatch: pytest.MonkeyPatch) -> None:
    """Three near-duplicates each of sixty pictures: none of a trio in two parts, no source like one of another part."""
    monkeypatch.setattr("benchmarks.copies.splitting.SIZES", dict.fromkeys(SIZES, SMALL))
    rng = np.random.default_rng(0)
    bases = rng.normal(size=(60, 64)).repeat(3, axis=0)
    main = pool_of(bases + 0.2 * rng.normal(size=bases.shape), ["photograph", "clip-art", "clip-art"] * 60)
    second = pool_of(rng.normal(size=(30, 64)), ["stamp"] * 15 + ["wallpaper"] * 15)
    lines = [line for line in split(main, second) if line.part != SECOND]
    trio = {line.name: int(line.name.removesuffix(".png")) // 3 for line in lines}
    parts = {(trio[line.name], line.part) for line in lines}
    assert max(Counter(number for number, _ in parts).values()) == 1
    assert {line.part for line in lines} == {TEST, FIT, TUNE}
    index = {picture.name: i for i, picture in enumerate(main.pictures)}
    for line in lines:
        if line.role == SOURCE:
            others = [index[other.name] for other in lines if other.part != line.part]
            assert main.similarity[index[line.name], others].max() < ALIKE


def test_components_are_those_of_the_graph() -> None:
    alike = np.eye(4, dtype=bool)
    alike[0, 3] = alike[3, 0] = True
    assert components(alike).tolist() == [0, 1, 2, 0]


def test_the_second_corpus_has_nothing_that_resembles_the_main_one() -> None:
    main, second = parted(pool_of(np.array([[1, 0], [0, 1], [1, 0.1]]), ["icon"] * 3), {"1.png", "2.png"})
    assert [p.name for p in main.pictures] == ["0.png"]
    assert [p.name for p in second.pictures] == ["1.png"]


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_drawn_is_the_same_for_the_same_number_alone(kind: str) -> None:
    assert digest_of(drawn(kind, 3)) == digest_of(drawn(kind, 3)) != digest_of(drawn(kind, 4))
    assert kind not in PHOTOGRAPHS


def test_the_digest_of_a_picture_is_of_its_pixels_and_its_shape() -> None:
    picture = draw(1, (8, 4))
    assert digest_of(picture) == digest_of(picture.copy())
    assert digest_of(picture) != digest_of(Image.frombytes("RGB", (4, 8), picture.tobytes()))
