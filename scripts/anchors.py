"""Pairs to hold findings against, drawn by a program: `python -m scripts.anchors` writes memaudit/report/anchors.json.

Each is small, shows one kind, and has what pixels say of it at the size it was drawn at: of copies the probability, of
pictures drawn anew the signals, of which a page computes the probability by the model of its time.
"""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from memaudit.encoders.sscd import load_regions
from memaudit.matching.kinds import Kind
from memaudit.matching.layout import signals_of_layouts
from memaudit.matching.pictures import picture_of
from memaudit.matching.redrawn import Composition, frames_of, probability
from memaudit.matching.rule import check

OUT = Path(__file__).parents[1] / "memaudit/report/anchors.json"
SIZE, SHOWN, QUALITY = (384, 288), (88, 66), 45
SIDES = ("own", "other")
Pixels = NDArray[np.uint8]


class Hand(NamedTuple):
    """How a scene is drawn: grains seeds every texture, off moves each thing by some pixels, tone turns the colours,
    brush is how wide strokes are, in pixels."""

    grains: int = 0
    off: float = 0.0
    tone: float = 0.0
    brush: int = 0


PLAIN = Hand()


def coast(hand: Hand = PLAIN) -> Image.Image:
    """A lighthouse on a rock, the sea, a sail and an evening sky."""
    rng = np.random.default_rng(hand.grains)
    canvas = _sky((70, 110, 170), (250, 190, 130), rng)
    x, y = (hand.off * rng.normal(size=2) for _ in range(2))
    _glow(canvas, (285 + x[0], 118 + y[0]), 26, (255, 238, 190))
    _sea(canvas, 168 + int(y[1]), rng)
    _polygon(canvas, _moved([(228, 196), (262, 196), (246, 142)], hand, rng), (246, 240, 226), rng)
    _polygon(canvas, _moved([(222, 198), (270, 198), (262, 210), (232, 210)], hand, rng), (110, 62, 48), rng)
    rock = [(0, 288), (0, 196), (46, 178), (104, 184), (150, 214), (196, 288)]
    _polygon(canvas, _moved(rock, hand, rng), (84, 72, 66), rng, 22)
    _polygon(canvas, _moved([(70, 186), (112, 186), (104, 66), (78, 66)], hand, rng), (238, 232, 226), rng)
    for top in (88, 128, 168):
        _polygon(
            canvas, _moved([(74, top + 16), (108, top + 16), (106, top), (76, top)], hand, rng), (186, 48, 44), rng
        )
    _polygon(canvas, _moved([(74, 66), (108, 66), (104, 44), (91, 30), (78, 44)], hand, rng), (66, 62, 74), rng)
    return _finished(canvas, hand, rng)


def orchard(hand: Hand = PLAIN) -> Image.Image:
    """A house among trees, below hills."""
    rng = np.random.default_rng(50 + hand.grains)
    canvas = _sky((126, 176, 222), (232, 236, 226), rng)
    far = [(0, 170), (70, 120), (150, 158), (240, 96), (320, 150), (384, 126), (384, 288), (0, 288)]
    _polygon(canvas, _moved(far, hand, rng), (112, 138, 130), rng, 14)
    near = [(0, 204), (120, 184), (260, 200), (384, 182), (384, 288), (0, 288)]
    _polygon(canvas, _moved(near, hand, rng), (118, 150, 74), rng, 24)
    _polygon(canvas, _moved([(150, 232), (262, 232), (262, 168), (150, 168)], hand, rng), (224, 206, 172), rng)
    _polygon(canvas, _moved([(140, 170), (272, 170), (238, 124), (174, 124)], hand, rng), (158, 72, 52), rng)
    _polygon(canvas, _moved([(192, 232), (218, 232), (218, 190), (192, 190)], hand, rng), (92, 58, 40), rng)
    for left in (162, 232):
        square = [(left, 206), (left + 20, 206), (left + 20, 184), (left, 184)]
        _polygon(canvas, _moved(square, hand, rng), (92, 120, 148), rng)
    for middle, top, wide in ((62, 128, 40), (318, 120, 46), (102, 168, 24)):
        _polygon(
            canvas,
            _moved([(middle - 5, 250), (middle + 5, 250), (middle + 4, top), (middle - 4, top)], hand, rng),
            (88, 64, 46),
            rng,
        )
        _crown(canvas, (middle + hand.off * rng.normal(), top + hand.off * rng.normal()), wide, rng)
    return _finished(canvas, hand, rng)


def other_coast() -> Image.Image:
    """Another lighthouse by another sea: the subject is the same, the picture is not."""
    rng = np.random.default_rng(900)
    canvas = _sky((150, 168, 184), (210, 214, 212), rng)
    _sea(canvas, 196, rng)
    _polygon(canvas, np.array([(180, 288), (230, 210), (330, 196), (384, 214), (384, 288)]), (104, 112, 92), rng, 22)
    _polygon(canvas, np.array([(286, 206), (322, 206), (316, 112), (292, 112)]), (232, 226, 214), rng)
    _polygon(canvas, np.array([(288, 170), (320, 170), (318, 140), (290, 140)]), (60, 88, 132), rng)
    _polygon(canvas, np.array([(288, 112), (320, 112), (314, 92), (304, 82), (294, 92)]), (150, 54, 50), rng)
    return _finished(canvas, PLAIN, rng)


def _sky(top: tuple[int, ...], bottom: tuple[int, ...], rng: np.random.Generator) -> NDArray[np.float32]:
    width, height = SIZE
    down = np.linspace(0, 1, height, dtype=np.float32)[:, None, None]
    sky = (1 - down) * np.array(top, np.float32) + down * np.array(bottom, np.float32)
    clouds = cv2.GaussianBlur(rng.normal(size=(height, width)).astype(np.float32), (0, 0), 22, sigmaY=7)
    return np.ascontiguousarray(np.repeat(sky, width, axis=1) + 420 * clouds[..., None])


def _sea(canvas: NDArray[np.float32], horizon: int, rng: np.random.Generator) -> None:
    height = SIZE[1] - horizon
    waves = cv2.GaussianBlur(rng.normal(size=(height, SIZE[0])).astype(np.float32), (0, 0), 9, sigmaY=1.4)
    down = np.linspace(0, 1, height, dtype=np.float32)[:, None, None]
    canvas[horizon:] = np.array((118, 138, 158), np.float32) - 62 * down + 150 * waves[..., None]


def _glow(canvas: NDArray[np.float32], at: tuple[float, float], radius: float, colour: tuple[int, ...]) -> None:
    rows, columns = np.mgrid[: SIZE[1], : SIZE[0]]
    far = np.hypot(columns - at[0], rows - at[1]) / radius
    share = (1 / (1 + np.exp(7 * (far - 1))) + 0.35 * np.exp(-far / 2))[..., None].clip(0, 1).astype(np.float32)
    canvas[:] = (1 - share) * canvas + share * np.array(colour, np.float32)


def _polygon(
    canvas: NDArray[np.float32],
    corners: NDArray[np.float64],
    colour: tuple[int, int, int],
    rng: np.random.Generator,
    grain: float = 9.0,
) -> None:
    """Filled, lit from the left, with a grain."""
    mask = np.zeros(canvas.shape[:2], np.uint8)
    cv2.fillPoly(mask, [np.rint(corners * 8).astype(np.int32)], 255, cv2.LINE_AA, 3)
    soft = cv2.GaussianBlur(rng.normal(size=canvas.shape[:2]).astype(np.float32), (0, 0), 2.2)
    left, right = corners[:, 0].min(), corners[:, 0].max()
    lit = 18 - 36 * (np.arange(SIZE[0], dtype=np.float32) - left) / max(1.0, float(right - left))
    filled = np.array(colour, np.float32) + lit[None, :, None] + 4 * grain * soft[..., None]
    share = mask[..., None].astype(np.float32) / 255
    canvas[:] = (1 - share) * canvas + share * filled


def _crown(canvas: NDArray[np.float32], at: tuple[float, float], wide: float, rng: np.random.Generator) -> None:
    for _ in range(14):
        turn, far = rng.uniform(0, 2 * np.pi), wide * 0.6 * np.sqrt(rng.random())
        middle = np.array(at) + far * np.array([np.cos(turn), np.sin(turn)])
        around = np.linspace(0, 2 * np.pi, 14, endpoint=False)
        leaf = middle + wide * 0.5 * np.c_[np.cos(around), np.sin(around)] * rng.uniform(0.7, 1.1, (14, 1))
        green = int(rng.integers(-16, 17))
        _polygon(canvas, leaf, (66 + green, 112 + green, 58 + green), rng, 16)


def _moved(corners: list[tuple[int, int]], hand: Hand, rng: np.random.Generator) -> NDArray[np.float64]:
    return (
        np.array(corners, np.float64)
        + hand.off * rng.normal(size=2)
        + 0.5 * hand.off * rng.normal(size=(len(corners), 2))
    )


def _finished(canvas: NDArray[np.float32], hand: Hand, rng: np.random.Generator) -> Image.Image:
    toned = canvas + hand.tone * np.array((14, -4, -16), np.float32)
    pixels = np.clip(toned, 0, 255).astype(np.uint8)
    if hand.brush:
        pixels = _brushed(pixels, hand.brush, rng)
    return Image.fromarray(pixels)


def _brushed(pixels: Pixels, width: int, rng: np.random.Generator) -> Pixels:
    """Laid on in strokes along its edges, each of one colour."""
    soft = cv2.GaussianBlur(pixels, (0, 0), width / 2)
    grey = cv2.cvtColor(soft, cv2.COLOR_RGB2GRAY).astype(np.float32)
    across, down = cv2.Sobel(grey, cv2.CV_32F, 1, 0), cv2.Sobel(grey, cv2.CV_32F, 0, 1)
    painted = soft.copy()
    for _ in range(9 * SIZE[0] * SIZE[1] // width**2):
        x, y = int(rng.integers(SIZE[0])), int(rng.integers(SIZE[1]))
        turn = np.arctan2(across[y, x], -down[y, x]) + rng.normal(0, 0.3)
        step = 1.6 * width * np.array([np.cos(turn), np.sin(turn)])
        colour = soft[y, x].astype(int) + rng.integers(-9, 10)
        ends = (np.array([x, y]) - step, np.array([x, y]) + step)
        first, last = (tuple(map(int, end)) for end in ends)
        cv2.line(painted, first, last, tuple(map(int, np.clip(colour, 0, 255))), max(2, width // 2), cv2.LINE_AA)
    return np.asarray(painted, dtype=np.uint8)


def compressed(image: Image.Image, quality: int, scale: float) -> Image.Image:
    data = io.BytesIO()
    image.resize((round(SIZE[0] * scale), round(SIZE[1] * scale)), Image.Resampling.LANCZOS).save(
        data, "JPEG", quality=quality
    )
    return Image.open(data).convert("RGB")


class Anchor(NamedTuple):
    """A generation and a training image, and what stands between them."""

    said: str
    own: Callable[[], Image.Image]
    other: Callable[[], Image.Image]


ANCHORS: dict[Kind, tuple[Anchor, ...]] = {
    Kind.VERBATIM: (
        Anchor("saved again, smaller", lambda: compressed(coast(), 40, 0.7), coast),
        Anchor("saved again, coarsely", lambda: compressed(orchard(), 14, 1.0), orchard),
    ),
    Kind.TEMPLATE: (
        Anchor(
            "another picture where the house was",
            lambda: _with_patch(orchard(), coast(), (132, 110, 148, 130)),
            orchard,
        ),
        Anchor(
            "another picture where the sail was", lambda: _with_patch(coast(), orchard(), (196, 88, 150, 140)), coast
        ),
    ),
    Kind.NEAR: (
        Anchor("mirrored", lambda: coast().transpose(Image.Transpose.FLIP_LEFT_RIGHT), coast),
        Anchor("turned by a right angle", lambda: orchard().transpose(Image.Transpose.ROTATE_90), orchard),
    ),
    Kind.PARTIAL: (
        Anchor("a half of it", lambda: coast().crop((0, 10, 250, 220)), coast),
        Anchor("pasted onto another picture", lambda: _pasted(orchard(), other_coast()), orchard),
    ),
    Kind.REDRAWN: (
        Anchor("with a fine brush", lambda: coast(Hand(7, 2.0, 0.3, 5)), coast),
        Anchor("with a wide brush, in other light", lambda: orchard(Hand(3, 3.0, 1.0, 8)), orchard),
        Anchor("not called so: the same subject in another picture", other_coast, coast),
    ),
}


def _with_patch(image: Image.Image, other: Image.Image, box: tuple[int, int, int, int]) -> Image.Image:
    left, top, width, height = box
    result = image.copy()
    result.paste(other.resize((width, height)), (left, top))
    return result


def _pasted(image: Image.Image, ground: Image.Image) -> Image.Image:
    result = ground.resize((2 * SIZE[0], 2 * SIZE[1]))
    result.paste(image, (SIZE[0] // 2, SIZE[1] // 2))
    return result


def said_of(kind: Kind, anchor: Anchor) -> dict[str, Any]:
    """The entry of a pair. Raises ValueError where the models call it something else."""
    own, other = anchor.own(), anchor.other()
    entry: dict[str, Any] = {"said": anchor.said, "own": shown(own), "other": shown(other)}
    if kind is Kind.REDRAWN:
        regions = load_regions()
        one, another = (Composition(np.asarray(image), regions) for image in (own, other))
        ((_, sketched),) = frames_of(one, another)
        signals = [*sketched, *signals_of_layouts(one.layout, another.layout)]
        print(f"{kind}: {anchor.said}, {probability(one, another):.3f}")
        return {**entry, "signals": [round(float(each), 4) for each in signals]}
    found = check(picture_of(own), picture_of(other))
    print(f"{kind}: {anchor.said}, {found.probability:.3f}")
    if found.kind is not kind:
        raise ValueError(f"{anchor.said}: {found.kind}, not {kind}")
    return {**entry, "probability": round(float(found.probability), 4)}


def shown(image: Image.Image) -> str:
    small = image.copy()
    small.thumbnail(SHOWN, Image.Resampling.LANCZOS)
    data = io.BytesIO()
    small.save(data, "JPEG", quality=QUALITY, optimize=True)
    return base64.b64encode(data.getvalue()).decode()


def main() -> None:
    told = {str(kind): [said_of(kind, each) for each in anchors] for kind, anchors in ANCHORS.items()}
    pictures = list(dict.fromkeys(each[side] for entries in told.values() for each in entries for side in SIDES))
    for each in (each for entries in told.values() for each in entries):
        each |= {side: pictures.index(each[side]) for side in SIDES}
    lines = [json.dumps({kind: entries})[1:-1] for kind, entries in told.items()]
    lines += ['"pictures": [\n' + ",\n".join(map(json.dumps, pictures)) + "]"]
    OUT.write_text("{" + ",\n".join(lines) + "}\n", encoding="utf-8")
    print(f"{OUT}: {OUT.stat().st_size:,} bytes")


if __name__ == "__main__":
    main()
