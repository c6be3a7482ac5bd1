"""Frames of a film and pictures of a sheet can be named, read, and read again."""

from __future__ import annotations

import io
import re
from pathlib import Path

import numpy as np
import pytest
from broken_inputs import TEXT
from pictures import draw, photograph
from PIL import Image, ImageDraw, ImageFilter

from memaudit.images import parts
from memaudit.images.decode import decode
from memaudit.images.parts import Parts, file_of, find_parts, frames, is_of_one_draw, pixels_of, read_part
from memaudit.images.sources import read_image
from memaudit.images.windows import Box

FILMS = {"GIF": {}, "WEBP": {"lossless": True}, "PNG": {}, "TIFF": {}}


def film(kind: str, count: int = 3, **options: object) -> bytes:
    pictures = [draw(seed).quantize() if kind == "GIF" else draw(seed) for seed in range(count)]
    data = io.BytesIO()
    timed = {} if kind == "TIFF" else {"duration": 100}
    pictures[0].save(data, kind, save_all=True, append_images=pictures[1:], **timed, **FILMS[kind], **options)
    return data.getvalue()


def sheet(columns: int, rows: int, margin: int, side: int = 64) -> Image.Image:
    step = side + margin
    image = Image.new("RGB", (columns * step + margin, rows * step + margin))
    for place in range(columns * rows):
        picture = photograph(place, (side, side))
        image.paste(picture, (margin + place % columns * step, margin + place // columns * step))
    return image


def encoded(image: Image.Image, kind: str = "PNG") -> bytes:
    data = io.BytesIO()
    image.save(data, kind)
    return data.getvalue()


@pytest.mark.parametrize("kind", FILMS)
def test_every_frame_is_read(kind: str) -> None:
    """In one pass and by its uri alike, and the same bytes again."""
    data = film(kind)
    assert find_parts(data) == Parts(3)
    in_passing = list(frames(data))
    assert len(in_passing) == 2
    for number, picture in enumerate(in_passing, 1):
        assert read_part(data, f"a.x#frame={number}") == picture
        image, original = decode(picture).image, draw(number)
        assert image.size == original.size
        difference = np.abs(np.asarray(image, int) - np.asarray(original, int)).mean()
        assert difference < (12 if kind == "GIF" else 1)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "WEBP", "BMP"])
def test_a_single_picture_has_no_parts(kind: str) -> None:
    assert not find_parts(encoded(draw(3), kind))


@pytest.mark.parametrize("data", [b"", b"no picture", film("GIF")[:200], encoded(draw(1))[:100]])
def test_what_cannot_be_read_has_no_parts_of_its_own(data: bytes) -> None:
    """Its own row says why; nothing is raised."""
    assert find_parts(data).cells == ()
    assert len(list(frames(data))) <= 2


def test_a_frame_that_is_not_there_is_an_error_with_a_reason() -> None:
    with pytest.raises(OSError, match="frame 9 cannot be decoded"):
        read_part(film("GIF"), "a.gif#frame=9")
    with pytest.raises(OSError, match="not a known image format"):
        read_part(b"no picture", "a.png#cell=0,0,4,4")


def test_a_long_film_is_looked_at_in_part_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parts, "MAX_FRAMES", 2)
    data = film("GIF", 4)
    assert find_parts(data) == Parts(4)
    assert len(list(frames(data))) == 1
    with pytest.raises(OSError, match="the first 2 frames are looked at: split it"):
        read_part(data, "a.gif#frame=3")


def with_workflow(data: bytes, before: bytes) -> bytes:
    """A PNG with more text than Pillow takes, before the last chunk of that name."""
    place = data.rindex(before) - 4
    return data[:place] + TEXT + data[place:]


@pytest.mark.parametrize("before", [b"acTL", b"fcTL"])
def test_a_film_with_a_long_workflow_has_all_its_frames(before: bytes) -> None:
    """Pillow refuses its text, ahead of all frames or between them: its pixels are those of the film without."""
    plain = film("PNG")
    data = with_workflow(plain, before)
    assert find_parts(data) == Parts(3)
    assert pixels_of(data) == pixels_of(plain) == 3 * draw(0).width * draw(0).height
    assert list(frames(data)) == list(frames(plain))
    assert [read_part(data, f"a.png#frame={number}") for number in (1, 2)] == list(frames(plain))


@pytest.mark.parametrize("kind", ["GIF", "TIFF"])
def test_a_film_that_ends_early_has_the_frames_that_are_left(kind: str) -> None:
    """And one more, which nobody can read: its row says that something is missing."""
    whole, left = film(kind, 5), 0
    heads = [head.start() + 12 for head in re.finditer(b"\x21\xf9\x04", whole)]  # within that of a GIF's frame
    for cut in heads[1:] or range(len(whole) // 3, len(whole), len(whole) // 9):
        data = whole[:cut]
        found = find_parts(data).frames
        assert found > left, "no frame that was there is lost"
        left = len(list(frames(data)))
        assert list(frames(data)) == list(frames(whole))[:left]
        assert left + 1 < found <= 6  # one more than there were, where its end alone is missing
        assert pixels_of(data) == found * draw(0).width * draw(0).height
        with pytest.raises(OSError, match="cannot be decoded"):
            read_part(data, f"a.x#frame={found - 1}")


def tiff_that_names(place: int) -> bytes:
    """A TIFF of one page which says that another one begins at this place, in its bytes or beyond."""
    data = film("TIFF", 1)
    first = int.from_bytes(data[4:8], "little")
    end = first + 2 + 12 * int.from_bytes(data[first : first + 2], "little")
    return data[:end] + place.to_bytes(4, "little") + data[end + 4 :]


def test_a_tiff_of_one_page_has_no_others_whatever_it_names_as_the_next() -> None:
    """Unless that is beyond its end, as it is where the second page was cut off, or nothing was written there."""
    whole = tiff_that_names(0)
    for place in (11, len(whole) // 2, len(whole) - 40):
        assert find_parts(tiff_that_names(place)) == find_parts(whole) == Parts()
    assert find_parts(tiff_that_names(len(whole) + 2)) == Parts(2)
    assert find_parts(tiff_that_names(len(whole)) + bytes(99)) == Parts(2)


def pages_of(data: bytes) -> list[int]:
    """Where each page of a TIFF begins."""
    places = [int.from_bytes(data[4:8], "little")]
    while places[-1]:
        end = places[-1] + 2 + 12 * int.from_bytes(data[places[-1] : places[-1] + 2], "little")
        places.append(int.from_bytes(data[end : end + 4], "little"))
    return places[:-1]


def with_tag(data: bytes, page: int, tag: int, new: bytes) -> bytes:
    """With other last bytes of a tag of a page: of the type, the count and the value."""
    first = pages_of(data)[page] + 2
    place = next(at for at in range(first, len(data), 12) if data[at : at + 2] == tag.to_bytes(2, "little"))
    return data[: place + 12 - len(new)] + new + data[place + 12 :]


ODD_MODE = (99).to_bytes(4, "little")  # of a photometric interpretation: no mode of pixels that Pillow knows


def test_pages_after_one_that_cannot_be_read_are_counted_and_read() -> None:
    whole = film("TIFF", 6)
    data = with_tag(whole, 2, 262, ODD_MODE)
    assert find_parts(data) == Parts(6)
    assert pixels_of(data) == pixels_of(whole)
    with pytest.raises(OSError, match="frame 2 cannot be decoded"):
        read_part(data, "a.tif#frame=2")
    for page in (1, 3, 4, 5):
        assert read_part(data, f"a.tif#frame={page}") == read_part(whole, f"a.tif#frame={page}")
    cut = data[: pages_of(data)[4] - 1]  # of which the fifth page is named, and lies beyond the end
    assert find_parts(cut) == Parts(5)


def test_a_second_page_with_a_type_of_its_own_does_not_hide_those_after_it() -> None:
    """Pillow reads it, and leaves that tag out."""
    whole = film("TIFF", 6)
    own = with_tag(whole, 1, 284, (200).to_bytes(2, "little") + bytes(8))
    assert find_parts(own) == Parts(6)
    assert find_parts(with_tag(own, 3, 262, ODD_MODE)) == Parts(6)
    assert find_parts(own[: pages_of(own)[3] - 1]) == Parts(4)


def test_pages_that_lead_back_to_an_earlier_one_have_an_end() -> None:
    data = with_tag(film("TIFF", 4), 1, 262, ODD_MODE)
    last = pages_of(data)[-1]
    end = last + 2 + 12 * int.from_bytes(data[last : last + 2], "little")
    assert find_parts(data[:end] + pages_of(data)[1].to_bytes(4, "little") + data[end + 4 :]) == Parts(4)


def test_pages_of_a_tiff_of_more_than_4_gb_are_counted_after_an_odd_one() -> None:
    """Its places and counts are of eight bytes."""
    images = [draw(seed) for seed in range(4)]
    data = io.BytesIO()
    images[0].save(data, "TIFF", big_tiff=True, save_all=True, append_images=images[1:])
    assert data.getvalue()[:4] == b"II+\0"
    mode, odd = (262).to_bytes(2, "little"), data.getvalue()
    place = [found.start() for found in re.finditer(mode + b"\3\0\1" + bytes(7), odd)][1] + 12
    odd = odd[:place] + ODD_MODE + odd[place + 4 :]
    assert find_parts(odd) == find_parts(data.getvalue()) == Parts(4)


@pytest.mark.parametrize("share", [0.3, 0.55, 0.7])
def test_a_tiff_that_ends_early_has_one_page_more_than_can_be_reached(share: float) -> None:
    """Of four pages in four equal parts of the file."""
    whole = film("TIFF", 4)
    data = whole[: int(share * len(whole))]
    assert find_parts(data).frames == int(4 * share) + 2


def test_a_frame_over_the_limit_of_pixels_ends_the_pass() -> None:
    assert list(frames(film("TIFF"), max_pixels=100)) == []


def test_names_of_parts() -> None:
    assert file_of("a/b.gif#frame=12") == "a/b.gif"
    assert file_of("a#b.png#cell=0,2,64,66") == "a#b.png"
    for name in ("a.gif", "a.gif#frame=", "a.gif#frame=x", "#frame=1", "a#cell=1,2,3,4,5"):
        assert file_of(name) == ""
    assert is_of_one_draw("a.gif#frame=1")
    assert not is_of_one_draw("a.png#cell=0,0,9,9")


def test_a_part_is_read_by_its_uri(tmp_path: Path) -> None:
    """And a file that is really called so is itself."""
    (tmp_path / "a.gif").write_bytes(film("GIF"))
    assert read_image(f"{tmp_path}/a.gif#frame=1") == read_part(film("GIF"), "a.gif#frame=1")
    (tmp_path / "a.gif#frame=1").write_bytes(b"another file")
    assert read_image(f"{tmp_path}/a.gif#frame=1") == b"another file"
    with pytest.raises(OSError, match="No such file"):
        read_image(f"{tmp_path}/gone.gif#frame=1")


@pytest.mark.parametrize(("columns", "rows"), [(8, 1), (8, 2), (4, 4), (1, 3), (2, 2), (2, 1)])
@pytest.mark.parametrize("margin", [0, 2, 10])
def test_a_sheet_is_cut_into_its_pictures(columns: int, rows: int, margin: int) -> None:
    """With a margin, as torchvision's save_image writes it, or without, as web front ends do."""
    image = sheet(columns, rows, margin)
    cells = find_parts(encoded(image)).cells
    step = 64 + margin
    corners = [(margin + c * step, margin + r * step) for r in range(rows) for c in range(columns)]
    assert cells == tuple(Box(x, y, x + 64, y + 64) for x, y in corners)
    uri = f"sheet.png#cell={','.join(map(str, cells[-1]))}"
    last = decode(read_part(encoded(image), uri)).image
    assert last.tobytes() == photograph(columns * rows - 1, (64, 64)).tobytes()


def test_a_sheet_as_jpeg_is_one_as_well() -> None:
    for margin in (2, 4, 10):
        assert len(find_parts(encoded(sheet(4, 2, margin, 96), "JPEG")).cells) == 8


def test_a_strip_is_cut_along_its_length_whatever_is_between() -> None:
    """Longer than any picture, without a margin that could be seen: squares."""
    strip = photograph(1, (640, 80))
    assert [cell.left for cell in find_parts(encoded(strip)).cells] == [80 * number for number in range(8)]
    assert len(find_parts(encoded(strip.transpose(Image.Transpose.ROTATE_90))).cells) == 8


@pytest.mark.parametrize("seed", range(12))
def test_a_picture_is_no_sheet(seed: int) -> None:
    assert find_parts(encoded(photograph(seed))) == Parts()
    assert find_parts(encoded(draw(seed, (256, 256)))) == Parts()


def test_flat_blocks_and_plain_pages_are_no_sheets() -> None:
    """A mosaic has an edge at every share of its width; a flag has lines of one colour; a page is blank."""
    blocks = Image.fromarray(np.random.default_rng(0).integers(0, 256, (6, 6, 3), dtype=np.uint8))
    assert not find_parts(encoded(blocks.resize((96, 96), Image.Resampling.NEAREST)))
    flag = Image.new("RGB", (300, 200), "white")
    flag.paste("red", (0, 0, 300, 80))
    flag.paste("blue", (0, 120, 300, 200))
    assert not find_parts(encoded(flag))
    assert not find_parts(encoded(Image.new("RGB", (900, 100), "white")))


def test_every_picture_of_an_mpo_is_read() -> None:
    """Also where it is called .jpg: cameras write a second view, or a preview."""
    data = io.BytesIO()
    draw(0).save(data, "MPO", save_all=True, append_images=[draw(1)], quality=95)
    assert find_parts(data.getvalue()) == Parts(2)
    (second,) = frames(data.getvalue())
    assert read_part(data.getvalue(), "a.jpg#frame=1") == second
    assert np.abs(np.asarray(decode(second).image, int) - np.asarray(draw(1), int)).mean() < 6


def test_an_icon_is_its_largest_picture() -> None:
    """The others are the same in other sizes, by convention."""
    data = io.BytesIO()
    draw(0, (64, 64)).save(data, "ICO", sizes=[(64, 64), (32, 32)], append_images=[draw(1, (32, 32))])
    assert find_parts(data.getvalue()) == Parts()
    assert decode(data.getvalue()).image.size == (64, 64)


def with_alpha(colours: Image.Image, alpha: Image.Image) -> bytes:
    image = colours.convert("RGBA")
    image.putalpha(alpha.convert("L"))
    return encoded(image)


def test_what_transparency_draws_is_a_picture_of_its_own() -> None:
    """White in the strength of a photograph: on a white page there is nothing to see."""
    hidden = photograph(3)
    data = with_alpha(Image.new("RGB", hidden.size, "white"), hidden)
    assert find_parts(data) == Parts(channels=("alpha",))
    assert is_of_one_draw("a.png#channel=alpha")
    assert file_of("a.png#channel=alpha") == "a.png"
    seen = decode(read_part(data, "a.png#channel=alpha")).image
    assert seen.tobytes() == hidden.convert("L").convert("RGB").tobytes()


def test_colours_below_transparency_are_a_picture_of_their_own() -> None:
    hidden = photograph(3)
    data = with_alpha(hidden, Image.new("L", hidden.size))
    assert find_parts(data) == Parts(channels=("opaque",))
    assert decode(read_part(data, "a.png#channel=opaque")).image.tobytes() == hidden.tobytes()
    half = Image.new("L", hidden.size)
    half.paste(255, (0, 0, hidden.width // 2, hidden.height))
    assert find_parts(with_alpha(hidden, half)).channels == ("opaque",)


def test_a_cut_out_picture_hides_nothing() -> None:
    """An outline with soft edges, nothing below it; a faint picture as a whole; and a palette with a clear entry."""
    disk = Image.new("L", (320, 240))
    ImageDraw.Draw(disk).ellipse((60, 20, 260, 220), fill=255)
    mask = disk.filter(ImageFilter.GaussianBlur(4))
    clean = Image.composite(photograph(3), Image.new("RGB", disk.size), disk.point(lambda level: 255 * (level > 0)))
    for data in (
        with_alpha(clean, mask.point(lambda level: level if level > 64 else 0)),
        with_alpha(photograph(3), Image.new("L", (320, 240), 200)),
        encoded(photograph(3).convert("RGBA")),
    ):
        assert find_parts(data) == Parts()
    palette = draw(1).quantize(8)
    palette.info["transparency"] = 0
    find_parts(encoded(palette))  # and whatever it says, it can be looked at


def test_a_channel_that_is_none_cannot_be_read() -> None:
    with pytest.raises(OSError, match="no channel beta"):
        read_part(encoded(draw(1)), "a.png#channel=beta")
