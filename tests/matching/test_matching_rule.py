"""Whether a picture is a copy of another one, and of what kind."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from altered import COPIES, half_jpeg, pasted, same, sticker, turned
from pictures import banner, card, photograph
from PIL import Image, ImageDraw

from memaudit.encoders.weights import weights_folder
from memaudit.images.decode import decode
from memaudit.matching.agreement import COMMON, Agreement, agreement
from memaudit.matching.align import alignments
from memaudit.matching.kinds import Kind
from memaudit.matching.model import copy_model
from memaudit.matching.pictures import Picture, picture_of
from memaudit.matching.rule import (
    ENOUGH_PATCHES,
    FEATURES,
    FEW_ALIKE_WITH_FEATURES,
    FEW_PART_ALIKE,
    PART_ALIKE,
    RICH,
    SEEN,
    SIMPLE,
    SOUGHT_COLOURED,
    SOUGHT_CROSSING,
    SOUGHT_PATCHES,
    WHOLE,
    Seen,
    check,
    check_part,
    closest,
    holds_where_sought,
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


def test_what_differs_everywhere_by_a_little_is_a_copy_if_there_is_much_to_see() -> None:
    """As where a generator draws a picture anew: the grid of it is bent, and there is grain."""
    rng = np.random.default_rng(0)
    image = Image.fromarray(rng.integers(0, 256, (60, 80, 3), dtype=np.uint8)).resize(
        (640, 480), Image.Resampling.BICUBIC
    )
    bent = image.transform(image.size, Image.Transform.QUAD, (4, 3, 0, 478, 637, 480, 640, 4))
    grain = rng.normal(0, 30, (480, 640, 3))
    anew = Image.fromarray(np.clip(np.asarray(bent, float) + grain, 0, 255).astype(np.uint8))
    one, other = picture_of(anew), picture_of(image)
    assert min(len(one.features.places), len(other.features.places)) >= RICH
    found = check(one, other)
    assert found.is_copy
    assert found.probability >= SEEN


def test_where_nothing_fits_nothing_is_a_copy_and_closeness_tells_how_far() -> None:
    one, other = picture_of(photograph(1)), picture_of(photograph(2))
    found, seen = check(one, other), closest(one, other)
    assert not found.agreement.fits
    assert found.probability == copy_model().probability_unfitting(seen.closeness) < copy_model().cut
    assert check(one, other, cut=found.probability).is_copy  # who sets a cut so low gets what is as probable


def test_an_alignment_that_fits_stands_before_a_closer_one_that_does_not() -> None:
    """As a small part that agrees well is closer than a whole that agrees by half."""
    lies = next(iter(alignments(picture_of(photograph(1)), picture_of(photograph(1)))))
    part = Seen(lies, found_with(alike=1, patches=90, of_query=COMMON - 0.1, of_reference=COMMON - 0.1), 3.0)
    whole = Seen(lies, found_with(alike=0.5, patches=90), 1.0)
    assert whole.rank > part.rank
    assert whole._replace(closeness=2.0).rank > whole.rank


@pytest.mark.parametrize("name", ["crop", "pasted", "turned", "sticker"])
def test_the_closest_alignment_is_of_the_highest_rank(name: str) -> None:
    image = photograph(4, (640, 480))
    one, other = picture_of(COPIES[name](image)), picture_of(image)
    tried = [agreement(one, other, found.matrix) for found in alignments(one, other) if not found.sought]
    assert closest(one, other).rank[0] == any(found.fits for found in tried)


def test_where_the_pixels_were_asked_one_must_lie_within_the_other() -> None:
    """In its own colours; and edges must cross."""
    enough = {"edges": SOUGHT_PATCHES, "coloured": SOUGHT_COLOURED, "of_query": WHOLE, "crossing": SOUGHT_CROSSING}
    assert holds_where_sought(found_with(**{**enough, "of_reference": 0.1}))
    for name, value in enough.items():
        less = {**enough, "of_reference": 0.1, name: value - (1 if name == "edges" else 0.01)}
        assert not holds_where_sought(found_with(**less))


def test_the_rule_of_parts_at_its_edges() -> None:
    """Enough patches decide by themselves; few need outlines; where fewer features agree more must be alike."""
    for inliers, alike in ((FEATURES, PART_ALIKE), (FEATURES - 1, FEW_PART_ALIKE)):
        assert is_copy_of_part(found_with(alike=alike, patches=ENOUGH_PATCHES), inliers)
        assert not is_copy_of_part(
            found_with(alike=alike - 0.01, patches=ENOUGH_PATCHES, edge_alike=1, edges=99), inliers
        )
    for inliers, alike in ((FEATURES, FEW_ALIKE_WITH_FEATURES), (FEATURES - 1, FEW_PART_ALIKE)):
        few = found_with(edge_alike=alike, edges=20, patches=0)
        assert is_copy_of_part(few, inliers)
        assert not is_copy_of_part(few._replace(edge_alike=alike - 0.01), inliers)
    assert not is_copy_of_part(found_with(), 100)
    small = {"of_query": COMMON - 0.01, "of_reference": COMMON - 0.01}
    assert not is_copy_of_part(found_with(alike=1, patches=100, **small), 100)
    assert is_copy_of_part(found_with(alike=1, patches=100, **{**small, "of_query": COMMON}), 100)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("name", ["grey", "brighter"])
def test_recoloured_and_covered_in_part_is_a_copy_still(name: str, seed: int) -> None:
    image = photograph(seed, (640, 480))
    assert check(picture_of(sticker(COPIES[name](image))), picture_of(image)).is_copy


def test_a_cut_decides_what_is_probable_enough() -> None:
    """As float32, in which probabilities are kept."""
    pair = picture_of(sticker(photograph(3))), picture_of(photograph(3))
    found = check(*pair)
    assert check(*pair, cut=float(np.float32(found.probability))).is_copy
    assert not check(*pair, cut=float(np.nextafter(np.float32(found.probability), np.float32(2)))).is_copy


def test_drawings_of_one_series_are_told_apart() -> None:
    """Whatever embeddings say of them. Nothing is said of two of which neither shows more than the other."""
    three, six, blank = (picture_of(card(pips)) for pips in (3, 6, 0))
    assert len(three.features.places) < SIMPLE
    assert check(three, six).apart
    assert not check(three, three).apart
    assert not check(blank, blank).apart


def test_of_what_is_too_narrow_to_be_compared_nothing_tells_that_it_differs() -> None:
    """Not from itself either. What nobody saw speaks against no similarity."""
    for other in (banner(1), banner(2), photograph(3)):
        found = check(picture_of(other), picture_of(banner(1)))
        assert not found.agreement.compared
        assert not found.is_copy
        assert not found.apart


def test_of_pictures_with_much_to_see_similarity_is_not_doubted() -> None:
    rng = np.random.default_rng(0)
    noise = [Image.fromarray(rng.integers(0, 256, (120, 160, 3), dtype=np.uint8)).resize((640, 480)) for _ in range(2)]
    one, other = map(picture_of, noise)
    assert min(len(one.features.places), len(other.features.places)) >= SIMPLE
    found = check(one, other)
    assert found.kind is Kind.SIMILAR
    assert not found.apart


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
def test_clocks_at_other_times_are_told_apart() -> None:
    three, four = sample("three_oclock.png"), sample("four_oclock.png")
    assert check(three, four).apart
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
