"""Whether a picture is a copy of another one, and of what kind."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from altered import COPIES, half_jpeg, pasted, same, sticker, turned
from pictures import photograph
from PIL import Image, ImageDraw

from memaudit.encoders.weights import weights_folder
from memaudit.images.decode import decode
from memaudit.matching.agreement import Agreement
from memaudit.matching.kinds import Kind
from memaudit.matching.pictures import Picture, picture_of
from memaudit.matching.rule import (
    ALIKE,
    COLOURED,
    COMMON,
    ENOUGH_PATCHES,
    FEATURES,
    FEW_ALIKE,
    FEW_RECOLOURED_ALIKE,
    MANY_FEATURES,
    OUTLINES_COLOURED,
    PART_ALIKE,
    RECOLOURED_ALIKE,
    SOUGHT_ALIKE,
    SOUGHT_COLOURED,
    SOUGHT_CROSSING,
    SOUGHT_PATCHES,
    WHOLE,
    check,
    check_part,
    is_copy,
    is_copy_of_part,
)

SAMPLES = weights_folder().parent / "samples/images"
KINDS = {
    "same": Kind.VERBATIM,
    "jpeg": Kind.VERBATIM,
    "half_jpeg": Kind.VERBATIM,
    "crop": Kind.PARTIAL,
    "mirror": Kind.NEAR,
    "flip": Kind.NEAR,
    "turned": Kind.PARTIAL,
    "quarter": Kind.NEAR,
    "upside_down": Kind.NEAR,
    "transposed": Kind.NEAR,
    "grey": Kind.NEAR,
    "brighter": Kind.NEAR,
    "stretched": Kind.NEAR,
    "sticker": Kind.TEMPLATE,
    "pasted": Kind.PARTIAL,
    "mirrored_crop": Kind.PARTIAL,
}


@pytest.mark.parametrize("name", COPIES)
def test_each_alteration_is_a_copy_of_its_kind(name: str) -> None:
    """Whichever of the two is laid on the other."""
    source, copy = picture_of(photograph(7)), picture_of(COPIES[name](photograph(7)))
    for found in (check(copy, source), check(source, copy)):
        assert found.is_copy
        assert found.kind is KINDS[name]


@pytest.mark.parametrize("alter", [same, turned, sticker, half_jpeg, pasted])
def test_different_pictures_altered_alike_are_no_copies(alter: Callable[[Image.Image], Image.Image]) -> None:
    """What they share is no evidence: black corners, the same sticker and caption, the page they lie on."""
    pictures = [picture_of(alter(photograph(seed))) for seed in range(20, 25)]
    for i, left in enumerate(pictures):
        for right in pictures[i + 1 :]:
            found = check(left, right)
            assert found.kind is Kind.SIMILAR, found
            assert not found.is_copy


def icon(colour: tuple[int, int, int], *shapes: tuple[int, int, int, int]) -> Image.Image:
    image = Image.new("RGB", (72, 72), "white")
    draw = ImageDraw.Draw(image)
    for shape in shapes:
        draw.ellipse(shape, fill=colour)
    return image


def test_flat_drawings_are_decided_by_their_outlines() -> None:
    """A disk is not a copy of two of them, though both are mostly page; of itself in half the size it is one."""
    disk = icon((200, 30, 30), (12, 12, 60, 60))
    two = icon((200, 30, 30), (4, 24, 34, 54), (40, 4, 68, 32))
    assert check(picture_of(disk.resize((36, 36))), picture_of(disk)).is_copy
    assert not check(picture_of(disk), picture_of(two)).is_copy


def test_a_colour_alone_is_no_evidence() -> None:
    """Plain pictures hold nothing to agree on."""
    plain = [picture_of(Image.new("RGB", (90, 60), colour)) for colour in ("white", "white", "navy")]
    assert not any(check(left, right).is_copy for left in plain for right in plain)


def found_with(**values: float) -> Agreement:
    usual = {"alike": 0.0, "patches": 0, "edge_alike": 0.0, "edges": 0, "coloured": 1.0, "crossing": 1.0}
    return Agreement(**{**usual, "of_query": 1.0, "of_reference": 1.0, "worst": 0.5, "kept": 0.0, **values})  # type: ignore[arg-type]


def test_the_rule_at_its_edges() -> None:
    """Enough patches decide by themselves; few need outlines, more of them where no feature agrees."""
    enough, few = ENOUGH_PATCHES, ENOUGH_PATCHES - 1
    assert is_copy(found_with(alike=ALIKE, patches=enough), FEATURES)
    assert not is_copy(found_with(alike=ALIKE, patches=enough), FEATURES - 1)
    assert is_copy(found_with(alike=FEW_ALIKE, patches=enough), 0)
    assert not is_copy(found_with(alike=1, patches=enough, edge_alike=0, edges=enough), 0)
    assert not is_copy(found_with(alike=ALIKE - 0.01, patches=enough, edge_alike=1, edges=100), 100)
    assert not is_copy(found_with(alike=1, patches=few), 0)
    assert is_copy(found_with(alike=1, patches=few), 8)
    assert not is_copy(found_with(alike=1, patches=few), 7)
    assert is_copy(found_with(edge_alike=FEW_ALIKE, edges=enough), 0)
    assert not is_copy(found_with(edge_alike=FEW_ALIKE - 0.01, edges=enough), 0)
    assert is_copy(found_with(edge_alike=0.5, edges=2), 8)
    assert not is_copy(found_with(), 100)
    small = {"of_query": COMMON - 0.01, "of_reference": COMMON - 0.01}
    assert not is_copy(found_with(alike=1, patches=100, **small), 100)
    assert is_copy(found_with(alike=1, patches=100, **{**small, "of_query": COMMON}), 0)


def test_in_other_colours_more_must_agree() -> None:
    """A grey copy agrees nearly everywhere; another photograph of one tower, or a flag of the same design, does not."""
    enough, few = ENOUGH_PATCHES, ENOUGH_PATCHES - 1
    other = COLOURED - 0.01
    for alike, found in ((RECOLOURED_ALIKE, True), (RECOLOURED_ALIKE - 0.01, False)):
        assert is_copy(found_with(alike=alike, patches=enough, coloured=other), FEATURES) is found
        assert is_copy(found_with(edge_alike=alike, edges=few, coloured=other), FEATURES) is found
        assert is_copy(found_with(alike=ALIKE, patches=enough, coloured=other), MANY_FEATURES)
    for coloured, found in ((OUTLINES_COLOURED, True), (OUTLINES_COLOURED - 0.01, False)):
        assert is_copy(found_with(edge_alike=1, edges=100, coloured=coloured), 0) is found
    assert is_copy(found_with(alike=FEW_RECOLOURED_ALIKE, patches=10, coloured=other), 0)
    assert not is_copy(found_with(alike=FEW_RECOLOURED_ALIKE - 0.01, patches=10, coloured=other), FEATURES - 1)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("name", ["grey", "brighter"])
def test_recoloured_and_covered_in_part_is_a_copy_still(name: str, seed: int) -> None:
    """Less than three quarters of the patches may agree then, but many features do."""
    image = photograph(seed, (640, 480))
    found = check(picture_of(sticker(COPIES[name](image))), picture_of(image))
    assert found.is_copy
    assert found.inliers >= MANY_FEATURES


def test_parallel_edges_without_features_decide_in_the_same_colours_only() -> None:
    """Three bands fit three others."""
    bands = {"alike": 1.0, "patches": 40.0, "crossing": SOUGHT_CROSSING - 0.01}
    assert is_copy(found_with(**bands), 0)
    assert not is_copy(found_with(**bands, coloured=OUTLINES_COLOURED - 0.01), 0)
    assert is_copy(found_with(**bands, coloured=OUTLINES_COLOURED - 0.01), FEATURES)


def test_where_the_pixels_were_asked_nearly_all_must_agree() -> None:
    """One of them lies within the other, in its own colours."""
    best = {"edge_alike": SOUGHT_ALIKE, "edges": SOUGHT_PATCHES, "coloured": SOUGHT_COLOURED, "of_query": WHOLE}
    best["crossing"] = SOUGHT_CROSSING
    assert is_copy(found_with(**{**best, "of_reference": 0.1}), 0, sought=True)
    for name, value in best.items():
        less = {**best, "of_reference": 0.1, name: value - (1 if name == "edges" else 0.01)}
        assert not is_copy(found_with(**less), 0, sought=True)


@pytest.mark.parametrize(
    ("patches", "alike", "found"), [(40, PART_ALIKE, True), (40, PART_ALIKE - 0.01, False), (5, 0.0, True)]
)
def test_of_a_part_more_must_agree(patches: int, alike: float, found: bool) -> None:
    seen = found_with(patches=patches, alike=alike, edges=20, edge_alike=1.0)
    assert is_copy(seen, 30)
    assert is_copy_of_part(seen, 30) is found


def test_the_frame_of_a_part_is_no_evidence() -> None:
    bands = picture_of(Image.linear_gradient("L").quantize(3).convert("RGB"))
    assert check(bands, bands).is_copy
    assert not check_part(bands, bands).is_copy
    photo = picture_of(photograph(0))
    assert check_part(photo, photo).kind is Kind.PARTIAL


def sample(name: str) -> Picture:
    (path,) = SAMPLES.rglob(name)
    return picture_of(decode(Path(path).read_bytes()).image)


@pytest.mark.samples
@pytest.mark.skipif(not SAMPLES.is_dir(), reason="no sample images: scripts/fetch_samples")
def test_clocks_are_templates_of_each_other() -> None:
    """At three and at four o'clock: the same picture but for a hand, so neither verbatim nor another picture."""
    three, four = sample("three_oclock.png"), sample("four_oclock.png")
    assert check(three, four).kind is Kind.TEMPLATE
    assert check(three, three).kind is Kind.VERBATIM


@pytest.mark.samples
@pytest.mark.skipif(not SAMPLES.is_dir(), reason="no sample images: scripts/fetch_samples")
def test_real_photographs() -> None:
    """Each alteration of a photograph is a copy of it, and of no other one turned or covered likewise."""
    paths = sorted((SAMPLES / "photographs/classification").glob("*.jpg"))[:4]
    images = [decode(path.read_bytes(), side=384).image for path in paths]
    sources = [picture_of(image) for image in images]
    for name in ("crop", "mirror", "turned", "half_jpeg", "sticker"):
        copies = [picture_of(COPIES[name](image)) for image in images]
        assert all(check(copy, source).is_copy for copy, source in zip(copies, sources, strict=True)), name
        assert not any(check(copies[i], copies[j]).is_copy for i in range(4) for j in range(i)), name
