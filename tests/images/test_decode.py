"""Decoding: what becomes of every kind of file, good, odd or hostile."""

from __future__ import annotations

import io
import subprocess
import sys
import warnings
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pictures import draw
from PIL import Image, ImageCms

from memaudit.images import decode as decode_module
from memaudit.images.decode import Decoded, UnreadableImageError, decode, is_blank, to_rgb

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning")  # Pillow's, which pytest would list
WIDTH, HEIGHT = 60, 40


def ramp() -> np.ndarray:
    """Grey values 0..255 from left to right, (HEIGHT, WIDTH) uint8."""
    return np.tile(np.linspace(0, 255, WIDTH).astype(np.uint8), (HEIGHT, 1))


def saved(image: Image.Image, kind: str, **options: Any) -> bytes:
    data = io.BytesIO()
    image.save(data, kind, **options)
    return data.getvalue()


def pixels(decoded: Decoded) -> np.ndarray:
    assert decoded.image.mode == "RGB"
    return np.asarray(decoded.image).astype(int)


@pytest.mark.parametrize("kind", ["PNG", "BMP", "TIFF", "PPM", "TGA", "GIF", "WEBP", "JPEG"])
def test_common_formats_give_the_pixels_they_hold(kind: str) -> None:
    """A drawing comes back with its size and, but for the compression, its colours."""
    image = draw(1)
    options = {"lossless": True} if kind == "WEBP" else {"quality": 95} if kind == "JPEG" else {}
    decoded = decode(saved(image, kind, **options))
    assert (decoded.width, decoded.height) == image.size
    assert np.abs(pixels(decoded) - np.asarray(image).astype(int)).mean() < 6


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_applied(orientation: int) -> None:
    """A camera's eight orientations all show the same upright picture; the stored size stays what it was."""
    upright = draw(2, (WIDTH, HEIGHT))
    undo = {
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }
    stored = upright.transpose(undo[orientation]) if orientation in undo else upright
    exif = Image.Exif()
    exif[0x0112] = orientation
    decoded = decode(saved(stored, "PNG", exif=exif))
    assert decoded.image.tobytes() == upright.tobytes()
    assert (decoded.width, decoded.height) == stored.size


@pytest.mark.parametrize(
    "exif",
    [
        b"Exif\0\0 this is not TIFF",
        b"Exif\0\0II*\0\xff\xff\xff\xff",
        b"Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\xff\xff\xff\xff\x06\0\0\0",
        b"\xff" * 30,
    ],
)
def test_broken_exif_leaves_the_picture(exif: bytes) -> None:
    """Damage in the metadata is no reason to call good pixels unreadable."""
    image = draw(3)
    decoded = decode(saved(image, "JPEG", quality=95, exif=exif))
    assert decoded.image.size in (image.size, image.size[::-1])


def test_transparency_shows_white() -> None:
    """Alpha is composited on white: half transparent black is grey, wholly transparent red is white."""
    rgba = Image.new("RGBA", (4, 4), (0, 0, 0, 128))
    rgba.putpixel((0, 0), (255, 0, 0, 0))
    got = pixels(decode(saved(rgba, "PNG")))
    assert got[0, 0].tolist() == [255, 255, 255]
    assert got[2, 2].tolist() == [127, 127, 127]


def test_palette_with_transparency_shows_white() -> None:
    """The transparent entry of a palette becomes white, not the colour that happens to be stored there."""
    indexed = Image.new("P", (4, 4), 1)
    indexed.putpalette([255, 0, 0, 0, 0, 255])
    indexed.putpixel((0, 0), 0)
    for kind in ("PNG", "GIF"):
        got = pixels(decode(saved(indexed, kind, transparency=0)))
        assert got[0, 0].tolist() == [255, 255, 255]
        assert got[2, 2].tolist() == [0, 0, 255]


def test_grey_with_alpha_shows_white() -> None:
    """LA is composited like RGBA."""
    image = Image.new("LA", (4, 4), (0, 255))
    image.putpixel((0, 0), (0, 0))
    got = pixels(decode(saved(image, "PNG")))
    assert got[0, 0].tolist() == [255, 255, 255]
    assert got[2, 2].tolist() == [0, 0, 0]


def test_cmyk_is_not_inverted() -> None:
    """A CMYK JPEG of a red picture is red."""
    red = Image.new("RGB", (32, 32), (220, 20, 20)).convert("CMYK")
    got = pixels(decode(saved(red, "JPEG", quality=95))).mean(axis=(0, 1))
    assert got[0] > 180 > 60 > max(got[1], got[2])


def test_lab_keeps_its_content() -> None:
    """Lab, whose second channel is called A as alpha is, becomes the RGB picture it stands for."""
    image = draw(4)
    lab = ImageCms.profileToProfile(
        image, ImageCms.createProfile("sRGB"), ImageCms.createProfile("LAB"), outputMode="LAB"
    )
    got = pixels(decode(saved(lab, "TIFF")))
    assert np.abs(got - np.asarray(image).astype(int)).mean() < 12


@pytest.mark.parametrize("mode", ["L", "1"])
def test_grey_and_bilevel_become_rgb(mode: str) -> None:
    """Grey pictures have three equal channels."""
    got = pixels(decode(saved(Image.fromarray(ramp()).convert(mode), "PNG")))
    assert (got[..., 0] == got[..., 2]).all()
    assert (got.min(), got.max()) == (0, 255)


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_sixteen_bit_grey_keeps_its_tones(kind: str) -> None:
    """16 bits are scaled to 8, not cut at 255."""
    deep = Image.fromarray(ramp().astype(np.uint16) * 257)
    got = pixels(decode(saved(deep, kind)))
    assert np.abs(got[..., 0] - ramp()).max() <= 1


@pytest.mark.parametrize("bits", [8, 9, 10, 11, 12])
@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_few_bits_in_sixteen_keep_their_tones(bits: int, kind: str) -> None:
    """Microscopes and depth sensors give 10 to 12 bits: scaled by 65,535 they would be black, and called blank."""
    deep = Image.fromarray(ramp().astype(np.uint16) << (bits - 8))
    got = decode(saved(deep, kind)).image
    assert np.abs(pixels(decode(saved(deep, kind)))[..., 0].astype(int) - ramp()).max() <= 1
    assert not is_blank(got)


def test_sixteen_bits_that_are_dark_stay_dark() -> None:
    """From 13 bits on a file is taken at its word; a black one is black."""
    dark = Image.fromarray(ramp().astype(np.uint16) << 5)
    assert pixels(decode(saved(dark, "PNG"))).max() == 31
    assert is_blank(decode(saved(Image.fromarray(np.zeros((40, 50), np.uint16)), "PNG")).image)


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_bright_spots_do_not_make_the_rest_of_a_deep_grey_black(kind: str) -> None:
    """8-bit values in 16 bits, with two marks at full scale: the picture has most levels, the marks stay apart."""
    deep = ramp().astype(np.uint16)
    deep[:10, :8], deep[-6:, -8:] = 65535, 30000
    got = pixels(decode(saved(Image.fromarray(deep), kind)))[..., 0].astype(int)
    rest = np.s_[10:-6]
    assert np.abs(got[rest] - ramp()[rest] * (223 / 255)).max() <= 1
    assert (got[:10, :8] == 255).all()
    assert 240 < got[-1, -1] < 254


def test_a_mask_of_two_depths_is_no_dark_picture() -> None:
    """What is 0 is ground: of what is there most is bright."""
    deep = np.zeros((90, 120), np.uint16)
    deep[10:20, 10:40], deep[40:60, 10:40] = 30000, 65535
    got = pixels(decode(saved(Image.fromarray(deep), "PNG")))[..., 0]
    assert set(np.unique(got).tolist()) == {0, 116, 255}


def test_a_highlight_does_not_make_a_float_image_black() -> None:
    levels = ramp().astype(np.float32) / 255
    levels[:4, :4] = 900.0
    got = pixels(decode(saved(Image.fromarray(levels), "TIFF")))[..., 0].astype(int)
    assert np.abs(got[4:] - ramp()[4:] * (223 / 255)).max() <= 1


def test_big_endian_sixteen_bit_grey_keeps_its_tones() -> None:
    """The byte order of a 16-bit TIFF does not matter."""
    deep = Image.frombytes("I;16B", (WIDTH, HEIGHT), (ramp().astype(">u2") * 257).tobytes())
    got = pixels(decode(saved(deep, "TIFF")))
    assert np.abs(got[..., 0] - ramp()).max() <= 1


@pytest.mark.parametrize("top", [1.0, 1.02, 3.5, 255.0, 4095.0])
def test_float_grey_keeps_its_tones(top: float) -> None:
    """A float TIFF is no black square, whatever its range; a little overshoot over 1 changes little."""
    floating = Image.fromarray((ramp() / 255 * top).astype(np.float32))
    got = pixels(decode(saved(floating, "TIFF")))
    assert np.abs(got[..., 0] - ramp()).max() <= 6
    assert not is_blank(decode(saved(floating, "TIFF")).image)


def test_float_grey_survives_what_is_no_number() -> None:
    """NaN and infinity are black, and do not set the scale."""
    values = (ramp() / 255).astype(np.float32)
    values[0, :3] = np.nan, np.inf, -np.inf
    got = pixels(decode(saved(Image.fromarray(values), "TIFF")))
    assert got[0, :3].max() == 0
    assert np.abs(got[1:, :, 0] - ramp()[1:]).max() <= 1


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG", "TIFF"])
def test_an_animation_is_its_first_frame(kind: str) -> None:
    """Later frames do not count."""
    first, second = Image.new("RGB", (20, 20), (200, 0, 0)), Image.new("RGB", (20, 20), (0, 0, 200))
    options = {"lossless": True} if kind == "WEBP" else {}
    data = saved(first, kind, save_all=True, append_images=[second], **options)
    assert pixels(decode(data)).mean(axis=(0, 1)).tolist() == [200, 0, 0]


@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
@pytest.mark.parametrize("share", [0.0, 0.1, 0.5, 0.8])
def test_a_truncated_file_is_unreadable(kind: str, share: float) -> None:
    """Half a file is no picture: its missing part would be embedded as grey."""
    data = saved(draw(5, (200, 160)), kind)
    with pytest.raises(UnreadableImageError):
        decode(data[: int(share * len(data))])


@pytest.mark.parametrize(
    "data", [b"", b"hello\n", b"\0" * 500, b"<svg xmlns='http://www.w3.org/2000/svg'/>", b"GIF89a"]
)
def test_what_is_no_image_gives_a_reason(data: bytes) -> None:
    """Zero bytes, text, an unknown format: one short printable reason."""
    with pytest.raises(UnreadableImageError) as caught:
        decode(data)
    assert 5 < len(str(caught.value)) < 200
    assert str(caught.value).isprintable()


def test_reasons_hold_no_bytes_of_the_file() -> None:
    """What a hostile file puts into Pillow's message cannot steer a terminal or break a store."""
    with pytest.raises(UnreadableImageError) as caught:
        decode(b"P6\n\x1b[31m\0\n 3 3 255\n")
    assert str(caught.value).isprintable()


def test_the_limit_is_on_pixels() -> None:
    """An image of as many pixels as allowed passes, one more does not."""
    data = saved(draw(6, (30, 20)), "PNG")
    assert decode(data, max_pixels=600).image.size == (30, 20)
    with pytest.raises(UnreadableImageError, match="30 x 20 pixels, over the limit of 599: store the image smaller"):
        decode(data, max_pixels=599)


@pytest.mark.parametrize("colour", [(255, 255, 255), (0, 0, 0), (12, 200, 90)])
def test_one_colour_is_blank(colour: tuple[int, int, int]) -> None:
    """A plain picture is blank, and stays so through JPEG; a single pixel is always plain."""
    assert is_blank(Image.new("RGB", (50, 40), colour))
    assert is_blank(decode(saved(Image.new("RGB", (50, 40), colour), "JPEG", quality=75)).image)
    assert is_blank(decode(saved(Image.new("RGB", (1, 1), colour), "PNG")).image)


@pytest.mark.parametrize("size", [(50, 40), (288, 288), (300, 900)])
def test_grain_and_a_speck_are_blank_and_a_line_is_not(size: tuple[int, int]) -> None:
    """Noise of four steps, and a dot of a fiftieth of the side; a line, an icon and a faint shade are content."""
    noise = np.random.default_rng(0).integers(100, 105, (size[1], size[0], 3), dtype=np.uint8)
    image, dot = Image.fromarray(noise), min(size) // 50
    assert is_blank(image)
    image.paste((0, 0, 0), (7, 9, 7 + dot, 9 + dot))
    assert is_blank(image)
    icon = image.copy()
    icon.paste((200, 100, 100), (9, 9, 9 + min(size) // 8, 9 + min(size) // 8))
    assert not is_blank(icon)
    line = image.copy()
    line.paste((0, 0, 0), (0, size[1] // 2, size[0], size[1] // 2 + 1))
    assert not is_blank(line)
    assert not is_blank(Image.linear_gradient("L").point(lambda level: 230 + level // 16).resize(size).convert("RGB"))


def test_grain_finer_than_a_cell_is_blank() -> None:
    """A page from a scanner or a camera."""
    grain = np.random.default_rng(0).normal(250, 2, (400, 400, 3)).clip(0, 255).astype(np.uint8)
    assert np.ptp(grain) > 10
    assert is_blank(Image.fromarray(grain))


def test_decoding_in_threads_leaves_the_warning_filters_alone() -> None:
    """Many threads that decode files which Pillow warns about do not disturb the process."""
    data = saved(draw(8), "JPEG", exif=b"Exif\0\0II*\0\x08\0\0\0\x40\0" + b"\xff" * 40)
    before = list(warnings.filters)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(decode, [data] * 400))
    assert warnings.filters == before


def test_pillows_warnings_do_not_reach_the_terminal(tmp_path: Path) -> None:
    """A corrupt EXIF block prints nothing."""
    exif = b"Exif\0\0II*\0\x08\0\0\0\x40\0" + b"\xff" * 40
    (tmp_path / "a.jpg").write_bytes(saved(draw(8), "JPEG", exif=exif))
    code = "import sys; from memaudit.images.decode import decode; decode(open(sys.argv[1], 'rb').read())"
    done = subprocess.run([sys.executable, "-c", code, str(tmp_path / "a.jpg")], capture_output=True, check=True)
    assert done.stderr == b""


FILES = [
    saved(draw(9), kind, **options)
    for kind, options in [
        *[("JPEG", {}), ("PNG", {}), ("GIF", {}), ("WEBP", {}), ("BMP", {}), ("TIFF", {}), ("ICO", {}), ("TGA", {})],
        *[("PPM", {}), ("PCX", {}), ("DDS", {}), ("SGI", {}), ("MPO", {}), ("EPS", {})],
    ]
]


@settings(max_examples=400, deadline=None)
@given(data=st.data())
def test_damage_gives_a_picture_or_a_reason(data: st.DataObject) -> None:
    """Whatever bytes are flipped or cut off, decode returns RGB or raises UnreadableImageError, nothing else."""
    good = bytearray(data.draw(st.sampled_from(FILES)))
    for _ in range(data.draw(st.integers(1, 8))):
        where = data.draw(st.integers(0, min(len(good), data.draw(st.sampled_from([32, 512, 1 << 20]))) - 1))
        good[where] = data.draw(st.integers(0, 255))
    cut = data.draw(st.one_of(st.none(), st.integers(0, len(good))))
    try:
        outcome = decode(bytes(good[:cut])).image.mode
    except UnreadableImageError as error:
        outcome = "printable" if str(error).isprintable() else repr(error)
    assert outcome in ("RGB", "printable")


DEEP = np.random.default_rng(0).integers(0, 65536, (37, 53))
ALPHA = Image.fromarray(np.random.default_rng(1).integers(0, 256, (37, 53, 4), dtype=np.uint8))
MODES = {
    "RGBA": ALPHA,
    "LA": ALPHA.convert("LA"),
    "PA": ALPHA.convert("RGB").quantize(32).convert("PA"),
    "RGBa": ALPHA.convert("RGBa"),
    "I;16": Image.fromarray(DEEP.astype(np.uint16)),
    "I;16B": Image.frombytes("I;16B", (53, 37), DEEP.astype(">u2").tobytes()),
    "I": Image.fromarray(DEEP.astype(np.int32) * 3),
    "F": Image.fromarray((DEEP / 50_000).astype(np.float32)),
    "F 0..255": Image.fromarray((DEEP / 300).astype(np.float32)),
    "F with NaN": Image.fromarray(np.where(DEEP % 7, DEEP / 65_536, np.nan).astype(np.float32)),
}


def opened(kind: str, image: Image.Image, **options: Any) -> Image.Image:
    return Image.open(io.BytesIO(saved(image, kind, **options)))


MODES["P with a transparent entry"] = opened("PNG", ALPHA.convert("RGB").quantize(32), transparency=3)
MODES["P with an alpha table"] = opened("PNG", ALPHA.convert("RGB").quantize(32), transparency=bytes(range(0, 256, 8)))
MODES["RGB with a transparent colour"] = opened("PNG", draw(1), transparency=draw(1).getpixel((3, 3)))
MODES["L with a transparent grey"] = opened("PNG", ALPHA.convert("L"), transparency=77)


@pytest.mark.parametrize("name", MODES)
@pytest.mark.parametrize("strip", [1, 53, 200, 1961])
def test_strips_give_what_the_whole_image_gives(name: str, strip: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Alpha and deep greys are converted piece by piece, bit by bit as in one piece."""
    image = MODES[name]
    image.load()
    monkeypatch.setattr(decode_module, "_STRIP", strip)
    assert to_rgb(image).tobytes() == flattened_whole(image).tobytes()


def flattened_whole(image: Image.Image) -> Image.Image:
    """The definition, with copies of the whole image."""
    if image.mode not in ("I", "F") and not image.mode.startswith("I;16"):
        rgba = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", rgba.size, "white"), rgba).convert("RGB")
    values = np.nan_to_num(np.asarray(image, dtype=np.float32), nan=0.0, posinf=0.0, neginf=0.0)
    top = float(values.max(initial=0.0))
    full = max(65535.0, top) if top >= 4096 else 2.0 ** max(8, int(top).bit_length()) - 1
    if image.mode == "F":
        full = 1.0 if top <= 1 else 255.0 if 16 < top <= 255 else top
    return Image.fromarray(np.clip(values * (255.0 / full), 0, 255).astype(np.uint8)).convert("RGB")


def test_a_line_that_a_sample_misses_is_seen() -> None:
    """Whether an image is blank is decided by all of its pixels."""
    image = Image.new("RGB", (1000, 1000), "white")
    image.paste((255, 255, 100), (501, 0, 502, 1000))
    assert not is_blank(image)


def test_decoding_a_large_image_takes_eight_bytes_a_pixel(tmp_path: Path) -> None:
    """36 million pixels with alpha and an orientation; measured in a process of its own."""
    exif = Image.Exif()
    exif[0x0112] = 6
    (tmp_path / "a.png").write_bytes(saved(Image.new("RGBA", (6000, 6000), (9, 99, 199, 77)), "PNG", exif=exif))
    code = (
        "import resource, sys; from memaudit.images.decode import decode; data = open(sys.argv[1], 'rb').read();"
        "peak = lambda: resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == 'darwin' else 1024);"
        "before = peak(); decode(data); print((peak() - before) / 36e6)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "a.png")], capture_output=True, check=True, text=True
    )
    assert float(done.stdout) < 9.5
