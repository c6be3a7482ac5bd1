"""What is kept of a picture: features, ground, and why a file could not be read."""

from __future__ import annotations

import hashlib
import io
import tarfile
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pictures import photograph
from PIL import Image, ImageOps

from memaudit.images.sources import iter_images
from memaudit.images.windows import Window, detail_windows, tile_windows
from memaudit.matching import pictures
from memaudit.matching.pictures import MARGIN, Picture, composed, inverted, part_of, picture_of, read_picture
from memaudit.matching.rule import check
from memaudit.store import NO_FILE


def hash_of(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_mirrored_features_are_those_of_the_mirrored_image() -> None:
    """Most lie within a pixel of one of the mirrored image, and their descriptors agree."""
    image = photograph(0)
    mirrored, own = picture_of(image), picture_of(ImageOps.mirror(image))
    features = mirrored.features.mirrored(mirrored.size[0])
    apart = np.linalg.norm(features.places[:, None] - own.features.places[None], axis=2)
    cosine = np.where(apart < 1 / pictures.SIDE, features.descriptors @ own.features.descriptors.T, -1).max(axis=1)
    assert len(cosine) > 100
    assert (cosine > 0.95).mean() > 0.85
    unmirrored = np.where(apart < 1 / pictures.SIDE, mirrored.features.descriptors @ own.features.descriptors.T, -1)
    assert (unmirrored.max(axis=1) > 0.95).mean() < 0.1


def test_descriptors_have_unit_length_and_are_bounded_in_number(monkeypatch: pytest.MonkeyPatch) -> None:
    """RootSIFT of a picture that is all corners: ties may add a few features."""
    monkeypatch.setattr(pictures, "FEATURES", 100)
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 256, (200, 300, 3), dtype=np.uint8))
    features = picture_of(noise).features
    assert 100 <= len(features.places) <= 105
    np.testing.assert_allclose(np.linalg.norm(features.descriptors, axis=1), 1, atol=1e-5)
    assert features.places.min() > 0
    assert features.places.max(axis=0).tolist() < [1, 0.75]


def test_ground_is_the_page_and_not_what_lies_on_it() -> None:
    """Corners of other colours are ground of their own; a white region within is none."""
    page = Image.new("RGB", (200, 100), "white")
    page.paste((0, 0, 0), (150, 0, 200, 20))
    page.paste((200, 30, 30), (40, 20, 120, 80))
    page.paste((255, 255, 255), (60, 40, 100, 60))
    ground = picture_of(page).ground
    height, width = ground.shape
    assert (width, height) == (256, 128)
    inside = np.zeros((100, 200), bool)
    inside[20:80, 40:120] = True
    expected = ~np.asarray(Image.fromarray(inside).resize((256, 128)))
    assert (ground == expected).mean() > 0.97
    assert not ground[height // 2, 80 * 256 // 200]


@pytest.mark.parametrize(
    "size",
    [(1, 1), (1, 400), (400, 1), (3, 2), (10_000, 3), (40, 20_000), (4000, 3000)],
    ids=lambda s: f"{s[0]}x{s[1]}",
)
@pytest.mark.parametrize("texture", [False, True])
def test_odd_sizes_are_pictures_and_can_be_compared(size: tuple[int, int], texture: bool) -> None:
    """One pixel, a line, a huge plain surface: no error, and no copy of anything else."""
    image = Image.new("RGB", size, (40, 90, 160))
    if texture and size != (4000, 3000):
        generator = np.random.default_rng(1)
        image = Image.fromarray(generator.integers(0, 256, (size[1], size[0], 3), dtype=np.uint8))
    odd, other = picture_of(image), picture_of(photograph(0))
    assert max(odd.size) == 1
    assert max(odd.pixels.shape[:2]) == 256
    for left, right in ((odd, other), (other, odd), (odd, odd)):
        found = check(left, right)
        assert not found.is_copy or left is right
        assert np.isfinite(found.agreement).all()


def test_files_in_folders_archives_and_tables_are_read(tmp_path: Path) -> None:
    """Whatever the uri of a store names, read again in any order."""
    data = io.BytesIO()
    photograph(3).save(data, "PNG")
    (tmp_path / "set").mkdir()
    (tmp_path / "set/a.png").write_bytes(data.getvalue())
    with tarfile.open(tmp_path / "set/b.tar", "w") as tar:
        entry = tarfile.TarInfo("inside.png")
        entry.size = len(data.getvalue())
        tar.addfile(entry, io.BytesIO(data.getvalue()))
    pq.write_table(pa.table({"image": [{"bytes": data.getvalue(), "path": None}]}), tmp_path / "set/c.parquet")
    uris = [ref.uri for ref in iter_images([tmp_path / "set"])]
    assert len(uris) == 3
    digest = hashlib.sha256(data.getvalue()).hexdigest()
    wanted = picture_of(photograph(3))
    for uri in uris:
        found = read_picture(uri, digest)
        assert isinstance(found, Picture), found
        np.testing.assert_array_equal(found.pixels, wanted.pixels)


def test_why_a_picture_cannot_be_read(tmp_path: Path) -> None:
    """Absent, changed since it was embedded, no image any more: a reason without the file's name, to be counted."""
    path = tmp_path / "a.png"
    photograph(0).save(path)
    digest = hash_of(path)
    assert isinstance(read_picture(str(path), digest), Picture)
    assert isinstance(read_picture(str(path), NO_FILE), Picture)
    photograph(1).save(path)
    assert read_picture(str(path), digest) == "the file is another one than was embedded"
    assert read_picture(str(tmp_path / "b.png"), digest) == "cannot read file: No such file or directory"
    assert read_picture("memory://nowhere/b.png", digest) == "cannot read file: No such file or directory"
    assert str(read_picture("", digest)).startswith("cannot read file: ")
    path.write_bytes(b"no image")
    assert isinstance(read_picture(str(path), hash_of(path)), str)


def test_whatever_a_backend_raises_is_a_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    """fsspec's backends have exceptions of their own; too little memory is no fault of the file."""

    def fail(uri: str) -> bytes:
        raise {"a": RuntimeError("timeout of a.png"), "b": MemoryError()}[uri]

    monkeypatch.setattr(pictures, "read_image", fail)
    assert read_picture("a", NO_FILE) == "cannot read file: RuntimeError"
    with pytest.raises(MemoryError):
        read_picture("b", NO_FILE)


def test_composed_is_one_after_the_other() -> None:
    turn, shift = np.array([[0.0, -1, 1], [1, 0, 0]]), np.array([[2.0, 0, 3], [0, 2, 5]])
    place = np.array([0.25, 0.5])
    moved = shift[:, :2] @ place + shift[:, 2]
    np.testing.assert_allclose(composed(turn, shift) @ [*place, 1], turn[:, :2] @ moved + turn[:, 2])


def test_inverted_is_the_way_back() -> None:
    turn = np.array([[0.0, -2, 1], [1, 0.5, 0]])
    np.testing.assert_allclose(composed(turn, inverted(turn)), np.eye(2, 3), atol=1e-12)


@given(st.tuples(st.integers(1, 200), st.integers(1, 200)), st.sampled_from([*tile_windows(), *detail_windows()]))
def test_a_part_shows_its_window_and_a_margin(size: tuple[int, int], window: Window) -> None:
    """Each pixel says where it lies."""
    x, y = np.meshgrid(np.arange(size[0]), np.arange(size[1]))
    numbered = Image.fromarray(np.stack([x, y, x * 0], axis=-1).astype(np.uint8))
    shown = np.asarray(part_of(numbered, window.name))
    left, top, right, bottom = window.box(size)
    for low, high, axis, whole in ((left, right, 0, size[0]), (top, bottom, 1, size[1])):
        margin = round((high - low) * MARGIN)
        assert (shown[..., axis].min(), shown[..., axis].max()) == (max(0, low - margin), min(whole, high + margin) - 1)
    assert part_of(numbered, "") is numbered


@pytest.mark.parametrize("orientation", [1, 6])
def test_a_part_of_a_large_jpeg_is_read_upright_and_as_sharp_as_the_file_has_it(
    tmp_path: Path, orientation: int
) -> None:
    """Decoded at a scale for the part, not for the whole; turned by EXIF before it is cut."""
    image = photograph(4, (3000, 2000))
    stored = image if orientation == 1 else image.transpose(Image.Transpose.ROTATE_90)
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored.save(tmp_path / "large.jpg", quality=95, exif=exif)
    for name in ("detail 4,8", "tile 1,3"):
        found, wanted = read_picture(str(tmp_path / "large.jpg"), NO_FILE, name), picture_of(part_of(image, name))
        assert isinstance(found, Picture)
        assert found.pixels.shape == wanted.pixels.shape
        assert np.abs(found.pixels.astype(int) - wanted.pixels).mean() < 4
