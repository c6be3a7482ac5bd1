"""Series: drawings of one design that are no copies of each other, as cards of a deck are, or clocks at other times.

The split keeps a series together, so that the parts that a decision is fitted and tuned on have few of what another
part has many. These are drawn here, and for those two parts alone. Same number, same pictures.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from types import MappingProxyType

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from benchmarks.copies.drawn import sentence
from scripts.alterations import Rng, stream

MEMBERS = 8
_SIDE = 576  # drawn at, and halved
_BACK = "ABDEGHKMNPRSTUXZ2345789&?#"
Colour = tuple[int, int, int]
Member = Callable[[int], Image.Image]
Draw = ImageDraw.ImageDraw


def series(kind: str, number: int) -> list[Image.Image]:
    """The members of one series of one of `KINDS`."""
    member = KINDS[kind](stream(0, kind, "series", number))
    return [_halved(member(place)) for place in range(MEMBERS)]


def _halved(image: Image.Image) -> Image.Image:
    return image.resize((image.width // 2, image.height // 2), Image.Resampling.LANCZOS)


def card(rng: Rng) -> Member:
    """Of one suit and deck, by rank: pips in rows, and the rank in two corners."""
    ink, paper = _dark(rng), _light(rng)
    width, height = round(_SIDE * rng.uniform(0.62, 0.75)), _SIDE
    suit, pip, rim = int(rng.integers(4)), int(rng.integers(36, 60)), int(rng.integers(3, 9))
    ground, size, columns = _light(rng), int(rng.integers(36, 60)), int(rng.integers(2, 4))

    def drawn(place: int) -> Image.Image:
        image = Image.new("RGB", (width + 24, height + 24), ground)
        draw, rank = ImageDraw.Draw(image), place + 2
        draw.rounded_rectangle((12, 12, width + 12, height + 12), 30, paper, ink, rim)
        label = Image.new("RGBA", (size * 2, size + pip + 10))
        _written(ImageDraw.Draw(label), (size, size / 2), str(rank), size, ink)
        _pip(ImageDraw.Draw(label), suit, size, size + pip / 2, pip * 0.6, ink)
        image.paste(label, (18, 24), label)
        turned = label.rotate(180)
        image.paste(turned, (width + 6 - turned.width, height - turned.height), turned)
        rows = math.ceil(rank / columns)
        for one in range(rank):
            row, column = divmod(one, columns)
            in_row = min(columns, rank - row * columns)
            x = width / 2 + 12 + (column - (in_row - 1) / 2) * width * 0.25
            _pip(draw, suit, x, 12 + height * (0.2 + 0.6 * (row + 0.5) / rows), pip, ink)
        return image

    return drawn


def _pip(draw: Draw, suit: int, x: float, y: float, side: float, ink: Colour) -> None:
    half = side / 2
    if suit == 0:
        draw.polygon([(x, y - half), (x + half * 0.75, y), (x, y + half), (x - half * 0.75, y)], ink)
    elif suit == 1:
        for beside in (-0.5, 0.5):
            _disc(draw, x + beside * half, y - half * 0.35, half * 0.55, ink)
        draw.polygon([(x - half, y - half * 0.1), (x + half, y - half * 0.1), (x, y + half)], ink)
    elif suit == 2:
        for beside, above in ((-0.55, 0.1), (0.55, 0.1), (0, -0.55)):
            _disc(draw, x + beside * half, y + above * half, half * 0.48, ink)
        draw.polygon([(x, y - half * 0.2), (x + half * 0.4, y + half), (x - half * 0.4, y + half)], ink)
    else:
        points = [(-math.pi / 2 + i * math.pi / 5, half * (1, 0.45)[i % 2]) for i in range(10)]
        draw.polygon([(x + far * math.cos(turn), y + far * math.sin(turn)) for turn, far in points], ink)


def _disc(draw: Draw, x: float, y: float, radius: float, ink: Colour) -> None:
    draw.ellipse((x - radius, y - radius, x + radius, y + radius), ink)


def clock(rng: Rng) -> Member:
    """Of one face, at other times."""
    ground, face, ink, rim = _light(rng), _light(rng), _dark(rng), _any(rng)
    thick, numbers, centre = int(rng.integers(8, 40)), bool(rng.random() < 0.5), _SIDE / 2
    hand, radius = int(rng.integers(6, 20)), _SIDE * rng.uniform(0.38, 0.48)
    turns = rng.permutation(12)[:MEMBERS] + (rng.random(MEMBERS) < 0.3) * 0.5

    def drawn(place: int) -> Image.Image:
        image = Image.new("RGB", (_SIDE, _SIDE), ground)
        draw = ImageDraw.Draw(image)
        _disc(draw, centre, centre, radius, rim)
        _disc(draw, centre, centre, radius - thick, face)
        for hour in range(1, 13):
            across, down = math.sin(hour * math.pi / 6), -math.cos(hour * math.pi / 6)
            far = (radius - thick) * 0.84
            if numbers:
                _written(draw, (centre + across * far, centre + down * far), str(hour), 40, ink)
            else:
                ends = [(centre + across * far * part, centre + down * far * part) for part in (0.9, 1.1)]
                draw.line(ends, ink, 8)
        for turn, far, width in ((turns[place] / 12, 0.5, hand), (turns[place] % 1, 0.75, max(4, hand * 2 // 3))):
            end = (
                centre + math.sin(turn * 2 * math.pi) * radius * far,
                centre - math.cos(turn * 2 * math.pi) * radius * far,
            )
            draw.line([(centre, centre), end], ink, width)
        _disc(draw, centre, centre, hand, ink)
        return image

    return drawn


def sign(rng: Rng) -> Member:
    """A ring, a triangle, a plate or a diamond, with another symbol in it."""
    ground, rim, plate, ink = _light(rng), _any(rng), _light(rng), _dark(rng)
    shape, thick, size = int(rng.integers(4)), int(rng.integers(20, 60)), int(rng.integers(150, 260))
    symbols = rng.permutation(list(_BACK)) if rng.random() < 0.6 else [str(n) for n in rng.permutation(12) * 10 + 20]

    def drawn(place: int) -> Image.Image:
        image = Image.new("RGB", (_SIDE, _SIDE), ground)
        draw = ImageDraw.Draw(image)
        for inset, colour in ((30, rim), (30 + thick, plate)):
            _plate(draw, shape, inset, colour)
        _written(draw, (_SIDE / 2, _SIDE * (0.62 if shape == 1 else 0.5)), str(symbols[place]), size, ink)
        return image

    return drawn


def _plate(draw: Draw, shape: int, inset: int, colour: Colour) -> None:
    far, middle = _SIDE - inset, _SIDE / 2
    if shape == 0:
        draw.ellipse((inset, inset, far, far), colour)
    elif shape == 1:
        draw.polygon([(middle, inset * 1.4), (far - inset * 0.7, far), (inset * 1.7, far)], colour)
    elif shape == 2:
        draw.rounded_rectangle((inset, inset, far, far), 40, colour)
    else:
        draw.polygon([(middle, inset), (far, middle), (middle, far), (inset, middle)], colour)


def flag(rng: Rng) -> Member:
    """Bands of which one has another colour, or an emblem that is another one."""
    height, upright, bands = round(_SIDE * rng.uniform(0.5, 0.75)), bool(rng.random() < 0.5), int(rng.integers(2, 6))
    colours, changed = [_any(rng) for _ in range(bands)], int(rng.integers(bands))
    others, emblem = [_any(rng) for _ in range(MEMBERS)], bool(rng.random() < 0.5)

    def drawn(place: int) -> Image.Image:
        image = Image.new("RGB", (_SIDE, height))
        draw, length = ImageDraw.Draw(image), (_SIDE if upright else height) / bands
        for band in range(bands):
            colour = others[place] if band == changed and not emblem else colours[band]
            ends = (band * length, (band + 1) * length)
            draw.rectangle((ends[0], 0, ends[1], height) if upright else (0, ends[0], _SIDE, ends[1]), colour)
        if emblem:
            _pip(draw, place % 4, _SIDE / 2, height / 2, height * (0.5 if place < 4 else 0.3), others[place // 4])
        return image

    return drawn


def badge(rng: Rng) -> Member:
    """One shaded drawing with another small mark in a corner, or on it."""
    ground, top, bottom, ink = _light(rng), _any(rng), _any(rng), _dark(rng)
    shape, corner, symbols = int(rng.integers(3)), bool(rng.random() < 0.5), rng.permutation(list(_BACK))
    mark, coloured = _any(rng), bool(rng.random() < 0.5)

    def drawn(place: int) -> Image.Image:
        image = Image.new("RGB", (_SIDE, _SIDE), ground)
        mask = Image.new("L", image.size)
        draw = ImageDraw.Draw(mask)
        boxes = (
            [(60, 150, 520, 470), (60, 100, 260, 200)],
            [(110, 40, 470, 540)],
            [(50, 80, 530, 420), (200, 420, 380, 520)],
        )
        for box in boxes[shape]:
            draw.rounded_rectangle(box, 24, 255)
        level = np.linspace(0, 1, _SIDE)[:, None, None]
        shaded = np.broadcast_to(np.array(top) * (1 - level) + np.array(bottom) * level, (_SIDE, _SIDE, 3))
        image.paste(Image.fromarray(shaded.astype(np.uint8)), (0, 0), mask)
        draw = ImageDraw.Draw(image)
        centre, size = ((430, 430), 110) if corner else ((290, 290), 200)
        if corner:
            _disc(draw, *centre, 90, mark)
        if coloured:
            _pip(draw, place % 4, *centre, size if place < 4 else size * 0.6, ink)
        else:
            _written(draw, centre, str(symbols[place]), size, ink)
        return image

    return drawn


def letter(rng: Rng) -> Member:
    """A letter on one decorated block."""
    ground, block, ink, trim = _light(rng), _any(rng), _dark(rng), _any(rng)
    symbols, dots, size = rng.permutation(list(_BACK)), int(rng.integers(0, 7)), int(rng.integers(280, 380))

    def drawn(place: int) -> Image.Image:
        image = Image.new("RGB", (_SIDE, _SIDE), ground)
        draw = ImageDraw.Draw(image)
        draw.rounded_rectangle((40, 40, 536, 536), 50, block, trim, 18)
        for one in range(dots):
            for x, y in ((80, 80 + one * 65), (496, 80 + one * 65)):
                _disc(draw, x, y, 14, trim)
        _written(draw, (_SIDE / 2, _SIDE / 2), str(symbols[place]), size, ink)
        return image

    return drawn


def page(rng: Rng) -> Member:
    """Pages of one layout with other words."""
    margin, size, ink = int(rng.integers(30, 80)), int(rng.integers(20, 36)), (int(rng.integers(0, 70)),) * 3
    words, rule = [[sentence(rng, 12) for _ in range(30)] for _ in range(MEMBERS)], bool(rng.random() < 0.5)

    def drawn(place: int) -> Image.Image:
        image = Image.new("RGB", (_SIDE, round(_SIDE * 1.3)), (250, 250, 248))
        draw, font, y = ImageDraw.Draw(image), ImageFont.load_default(size), margin
        for number, line in enumerate(words[place]):
            if y > image.height - margin - size:
                break
            cut = line
            while draw.textlength(cut, font) > _SIDE - 2 * margin:
                cut = cut.rpartition(" ")[0]
            draw.text((margin, y), cut, ink, font)
            y += round(size * (2.4 if number % 7 == 6 else 1.4))
            if rule and number % 7 == 6:
                draw.line((margin, y - size, _SIDE - margin, y - size), ink, 3)
        return image

    return drawn


def shading(rng: Rng) -> Member:
    """From one colour to another round a point, or along a line; each with a place or colours of its own."""
    round_a_point, low, high = bool(rng.random() < 0.5), np.array(_any(rng)), np.array(_any(rng))
    centres, turns = rng.uniform(0.3, 0.7, (MEMBERS, 2)), rng.uniform(-0.5, 0.5, MEMBERS)
    recoloured, others = bool(rng.random() < 0.5), rng.integers(0, 256, (MEMBERS, 3))

    def drawn(place: int) -> Image.Image:
        down, across = np.mgrid[0:_SIDE, 0:_SIDE] / _SIDE
        if round_a_point:
            level = np.hypot(across - centres[place][0], down - centres[place][1])
        else:
            level = across * np.cos(turns[place]) + down * np.sin(turns[place])
        level = ((level - level.min()) / np.ptp(level))[..., None]
        end = others[place] if recoloured else high
        return Image.fromarray((low * (1 - level) + end * level).astype(np.uint8))

    return drawn


def speck(rng: Rng) -> Member:
    """Something small on an empty page."""
    ground, ink, symbols, side = _light(rng), _any(rng), rng.permutation(list(_BACK)), int(rng.integers(20, 60))
    width, still = round(_SIDE * rng.uniform(0.6, 1)), bool(rng.random() < 0.5)
    places = rng.uniform(0.2, 0.8, (MEMBERS, 2))

    def drawn(place: int) -> Image.Image:
        image = Image.new("RGB", (width, _SIDE), ground)
        draw, (across, down) = ImageDraw.Draw(image), places[0 if still else place]
        if place % 2:
            _pip(draw, place // 2, across * width, down * _SIDE, side, ink)
        else:
            _written(draw, (across * width, down * _SIDE), str(symbols[place]), side, ink)
        return image

    return drawn


def dots(rng: Rng) -> Member:
    """One thing, once or several times."""
    ground, ink, suit = _light(rng), _any(rng), int(rng.integers(5))
    sides, places = rng.uniform(90, 300, MEMBERS), rng.uniform(0.2, 0.8, (MEMBERS, MEMBERS, 2)) * _SIDE

    def drawn(place: int) -> Image.Image:
        image = Image.new("RGB", (_SIDE, _SIDE), ground)
        draw = ImageDraw.Draw(image)
        for x, y in places[place][: 1 + place // 2]:
            if suit < 4:
                _pip(draw, suit, x, y, sides[place], ink)
            else:
                _disc(draw, x, y, sides[place] / 2, ink)
        return image

    return drawn


def rings(rng: Rng) -> Member:
    """Circles about one point, more or fewer, thicker or thinner; some with spokes."""
    ink, ground, spokes = _any(rng), _light(rng), int(rng.choice([0, 0, 24, 72]))
    inner, outer = rng.uniform(0.1, 0.4, MEMBERS), _SIDE * rng.uniform(0.3, 0.48)
    widths, counts = rng.integers(1, 6, MEMBERS), rng.integers(1, 9, MEMBERS)

    def drawn(place: int) -> Image.Image:
        image = Image.new("RGB", (_SIDE, _SIDE), ground)
        draw, middle = ImageDraw.Draw(image), _SIDE / 2
        for far in np.linspace(outer, outer * (1 - inner[place]), counts[place]):
            draw.ellipse(
                (middle - far, middle - far, middle + far, middle + far), outline=ink, width=int(widths[place])
            )
        for one in range(spokes):
            turn = 2 * math.pi * one / spokes
            ends = [
                (middle + part * math.cos(turn), middle + part * math.sin(turn))
                for part in (outer * (1 - inner[place]), outer)
            ]
            draw.line(ends, ink, int(widths[place]))
        return image

    return drawn


def _written(draw: Draw, centre: tuple[float, float], words: str, size: int, ink: Colour) -> None:
    draw.text(
        centre, words, ink, ImageFont.load_default(size), anchor="mm", stroke_width=max(1, size // 30), stroke_fill=ink
    )


def _any(rng: Rng) -> Colour:
    red, green, blue = (int(level) for level in rng.integers(0, 256, 3))
    return red, green, blue


def _dark(rng: Rng) -> Colour:
    red, green, blue = (int(level) for level in rng.integers(0, 140, 3))
    return red, green, blue


def _light(rng: Rng) -> Colour:
    if rng.random() < 0.5:
        return 255, 255, 255
    red, green, blue = (int(level) for level in rng.integers(190, 256, 3))
    return red, green, blue


KINDS: Mapping[str, Callable[[Rng], Member]] = MappingProxyType(
    {
        "card": card,
        "clock": clock,
        "road sign": sign,
        "flag": flag,
        "icon": badge,
        "letter": letter,
        "text": page,
        "gradient": shading,
        "speck": speck,
        "shape": rings,
        "dots": dots,
    }
)
