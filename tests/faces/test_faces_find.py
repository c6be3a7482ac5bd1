"""Real photographs: who is found, who is matched, under which alterations."""

from __future__ import annotations

import io
from functools import cache

import numpy as np
import pytest
from face_stores import BARACK, MASKS, OTHERS, SAME_PERSON, needs_photographs, sample_folder
from PIL import Image, ImageFilter, ImageOps

from memaudit.encoders.sface import SFACE_FILE, YUNET_FILE, face_weights, import_cv2, resolve
from memaudit.encoders.specs import families
from memaudit.faces.find import FaceFinder, aligned, flat_share, similarity_transform, turned_back
from memaudit.faces.reading import EmbeddedFaces, FaceReader

pytestmark = needs_photographs
# On t1.jpg six people are to be seen.
FACES = {**dict.fromkeys(BARACK, 1), "biden.jpg": 1, "Tom_Hanks_54745.png": 1, "t1.jpg": 6, **dict.fromkeys(MASKS, 0)}


@cache
def reader() -> FaceReader:
    return FaceReader(resolve("sface", "cpu"))


def opened(name: str) -> Image.Image:
    return Image.open(sample_folder() / name).convert("RGB")


@cache
def seen(name: str) -> EmbeddedFaces:
    return reader().see(opened(name))


def vector(found: EmbeddedFaces) -> np.ndarray:
    embedding = found.embeddings[0]
    assert embedding is not None
    return embedding


def jpeg(image: Image.Image) -> Image.Image:
    data = io.BytesIO()
    image.save(data, "JPEG", quality=30)
    return Image.open(data).convert("RGB")


def small(image: Image.Image) -> Image.Image:
    """The face 64 pixels wide."""
    width = reader().see(image).faces[0].details.box[2]
    return image.resize((round(image.width * 64 / width), round(image.height * 64 / width)), Image.Resampling.LANCZOS)


def turned(image: Image.Image) -> Image.Image:
    return image.rotate(10, Image.Resampling.BICUBIC, expand=True)


@pytest.mark.parametrize(("name", "count"), FACES.items())
def test_every_face_of_a_photograph_is_found(name: str, count: int) -> None:
    """One on each portrait, six on the group, none on pictures of masks."""
    assert len(seen(name).faces) == count


def test_one_man_matches_himself_and_nobody_else() -> None:
    """All 15 pairs of one man reach 0.6; none of the 28 pairs of others, nor of the 48 across, the 1:1 threshold."""
    same = np.stack([vector(seen(name)) for name in BARACK])
    others = np.concatenate([np.stack(seen(name).embeddings) for name in OTHERS])
    within = (same @ same.T)[np.triu_indices(len(same), 1)]
    assert within.min() >= 0.6
    assert (same @ others.T).max() < families()["sface"].one_to_one
    assert (others @ others.T)[np.triu_indices(len(others), 1)].max() < families()["sface"].one_to_one


@pytest.mark.parametrize(
    "alter", [ImageOps.mirror, jpeg, small, turned], ids=["flipped", "JPEG 30", "64 px", "10 degrees"]
)
@pytest.mark.parametrize("name", [*BARACK[1:4], "biden.jpg"])
def test_an_altered_face_is_the_same_person(name: str, alter: object) -> None:
    """Flipped, at JPEG quality 30, 64 pixels wide, turned by 10 degrees: found, and at 0.6 or more with itself."""
    assert callable(alter)
    found = reader().see(alter(opened(name)))
    assert len(found.faces) == 1
    assert float(vector(found) @ vector(seen(name))) >= 0.6


@pytest.mark.parametrize("side", [256, 1024, 2048])
@pytest.mark.parametrize("width", [320, 220])
def test_a_portrait_that_fills_the_picture_has_its_one_face(width: int, side: int) -> None:
    """At every size the same person: YuNet alone finds none of the narrower one at 1024 pixels and above."""
    left, top = 485 - width // 2, 285 - width // 2
    close = opened("obama.jpg").crop((left, top, left + width, top + width))
    found = reader().see(close.resize((side, side), Image.Resampling.LANCZOS))
    assert len(found.faces) == 1
    assert vector(found) @ vector(seen("obama.jpg")) >= SAME_PERSON


@pytest.mark.parametrize("degrees", [60, 90, 120, 180, 240, 270, 300])
@pytest.mark.parametrize("name", ["obama.jpg", "obama2.jpg", "obama_partial_face.jpg"])
def test_a_photograph_on_its_side_or_head_is_the_same_person(name: str, degrees: int) -> None:
    """Saved without the orientation that the camera noted: one face, and not a false one with wrong landmarks."""
    found = reader().see(opened(name).rotate(degrees, Image.Resampling.BICUBIC, expand=True))
    assert len(found.faces) == 1
    assert vector(found) @ vector(seen(name)) >= SAME_PERSON


@pytest.mark.parametrize("turns", [1, 2, 3])
def test_turned_back_boxes_and_landmarks_lie_where_they_were(turns: int) -> None:
    """Marks on an array of pixels, turned with it and back."""
    pixels = np.zeros((40, 70))
    points = [(3, 5), (60, 8), (30, 33), (10, 20), (50, 38)]
    for number, (x, y) in enumerate(points, start=1):
        pixels[y, x] = number
    turned_pixels = np.rot90(pixels, turns)
    places = [np.argwhere(turned_pixels == number)[0][::-1] + 0.5 for number in range(1, 6)]
    corner, end = np.min(places, axis=0), np.max(places, axis=0)
    row = np.concatenate([corner, end - corner, *places, [0.9]])[None]
    back = turned_back(row, turns, 70, 40)[0]
    np.testing.assert_allclose(back[4:14].reshape(5, 2), np.array(points) + 0.5)
    np.testing.assert_allclose(back[:4], [3.5, 5.5, 57, 33])
    assert back[14] == 0.9


def test_the_alignment_is_that_of_opencv() -> None:
    """The same crop as FaceRecognizerSF.alignCrop's, up to rounding."""
    cv2 = import_cv2()
    recognizer = cv2.FaceRecognizerSF.create(str(face_weights(SFACE_FILE)), "")
    pixels = np.ascontiguousarray(np.asarray(opened("t1.jpg"))[:, :, ::-1])
    for row in FaceFinder(face_weights(YUNET_FILE))._detected(pixels):
        theirs = recognizer.alignCrop(pixels, row.astype(np.float32))
        ours = aligned(pixels, row[4:14].reshape(5, 2))
        assert np.abs(ours.astype(int) - theirs.astype(int)).max() <= 2


def test_a_similarity_transform_is_recovered() -> None:
    """Turned, scaled and moved points are brought back exactly; mirrored ones are not mirrored."""
    points = np.array([[0.0, 0], [4, 0], [2, 3], [1, 5], [3, 5]])
    turn = np.array([[0.8, -0.6], [0.6, 0.8]])
    matrix = similarity_transform(points, 2.5 * points @ turn.T + [7, -2])
    assert matrix == pytest.approx(np.column_stack([2.5 * turn, [7, -2]]))
    assert np.linalg.det(similarity_transform(points * [-1, 1], points)[:, :2]) > 0


def test_measures_of_quality_say_what_they_should() -> None:
    """A small or blurred face is worse than the same one large and sharp; a turned picture shows in the roll."""
    image = opened("obama.jpg")
    best = reader().see(image).faces[0].details
    blurred = reader().see(image.filter(ImageFilter.GaussianBlur(6))).faces[0].details
    tiny = reader().see(small(image)).faces[0].details
    assert blurred.sharpness < best.sharpness / 4
    assert tiny.size == pytest.approx(64, abs=4)
    assert max(blurred.quality, tiny.quality) < best.quality
    assert reader().see(turned(image)).faces[0].details.roll == pytest.approx(best.roll - 10, abs=3)
    assert abs(best.yaw) < 0.2


def test_boxes_are_in_pixels_of_the_stored_image() -> None:
    """An image that was decoded smaller gives the same box as the whole one."""
    image = opened("obama.jpg")
    half = image.resize((image.width // 2, image.height // 2), Image.Resampling.LANCZOS)
    whole, smaller = (reader().see(picture, max(image.size)).faces[0].details for picture in (image, half))
    assert smaller.box == pytest.approx(whole.box, abs=15)


@pytest.mark.parametrize("size", [(1, 1), (5000, 1), (1, 900), (31, 32), (1024, 12), (40, 3)])
def test_strips_hold_no_faces(size: tuple[int, int]) -> None:
    """On images narrower than 33 pixels OpenCV's detector reports what its memory happens to hold."""
    for seed in range(3):
        noise = np.random.default_rng(seed).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
        assert reader().see(Image.fromarray(noise)).faces == ()


def test_a_face_below_20_pixels_is_kept_without_an_embedding() -> None:
    """It has a place and a low quality, and nothing that could be matched."""
    image = opened("obama.jpg")
    width = seen("obama.jpg").faces[0].details.box[2]
    tiny = image.resize((round(image.width * 17 / width), round(image.height * 17 / width)), Image.Resampling.LANCZOS)
    found = reader().see(tiny)
    assert len(found.faces) == 1
    assert found.embeddings == (None,)
    assert found.faces[0].details.quality < 0.2


def test_small_faces_on_large_images_are_found_once() -> None:
    """Of 44 pixels on a picture 4,500 wide, and a large one beside them: wherever tiles meet, and each once."""
    large = opened("biden.jpg")
    width = seen("obama.jpg").faces[0].details.box[2]
    image = opened("obama.jpg")
    tiny = image.resize((round(image.width * 44 / width), round(image.height * 44 / width)), Image.Resampling.LANCZOS)
    canvas = Image.new("RGB", (4500, 1400), (140, 140, 140))
    canvas.paste(large, (100, 100))
    places = [(left, top) for left in (1250, 1660, 1930, 2440, 2700, 3200, 4400) for top in (250, 370, 900, 1300)]
    for place in places:
        canvas.paste(tiny, place)
    found = reader().see(canvas)
    small = [face for face in found.faces if face.details.size < 80]
    assert len(small) == len(places)
    assert len(found.faces) == len(places) + 1
    assert float(vector(seen("obama.jpg")) @ np.asarray(found.embeddings[-1])) > 0.5
    assert [face.details.score for face in found.faces] == sorted((f.details.score for f in found.faces), reverse=True)
    boxes = {(round(face.details.box[0] / 10), round(face.details.box[1] / 10)) for face in small}
    assert len(boxes) == len(places)


def drawn(portrait: Image.Image) -> Image.Image:
    """The picture in six flat colours."""
    smooth = portrait.convert("RGB").filter(ImageFilter.GaussianBlur(8))
    return smooth.quantize(6, dither=Image.Dither.NONE).convert("RGB").resize(portrait.size, Image.Resampling.NEAREST)


def test_drawn_faces_are_found_and_not_compared() -> None:
    """They have a place and no embedding; a photograph has, also in bad light and after JPEG of low quality."""
    portrait = opened("obama.jpg")
    flat = reader().see(drawn(portrait))
    assert all(embedding is None for embedding in flat.embeddings)
    assert not any(face.is_human for face in flat.faces)
    buffer = io.BytesIO()
    portrait.save(buffer, "JPEG", quality=12)
    bad = [Image.open(buffer), portrait.point(lambda value: value * 0.25), portrait.point(lambda value: value * 1.6)]
    for picture in bad:
        found = reader().see(picture.convert("RGB"))
        assert found.faces[0].is_human
        assert flat_share(found.faces[0].crop) < 0.3


def test_of_what_is_too_dark_to_see_nothing_is_said() -> None:
    """Black equals black, on photographs as well."""
    assert flat_share(np.zeros((112, 112, 3), np.uint8)) == 0
    assert flat_share(np.full((112, 112, 3), 255, np.uint8)) == 0
    assert flat_share(np.full((112, 112, 3), 120, np.uint8)) == 1
