"""What the pixels of an image say of how it was altered: frames, strips and turns, bandwidth, compression, colour.

Every measure but those of frames and turns looks at 512 × 512 pixels at most, in the middle, at the size that they
are stored at.
"""

from __future__ import annotations

import io
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from memaudit.images.decode import decoding
from memaudit.images.frames import TOLERANCE, content_of
from memaudit.images.turned import turned_on_ground
from memaudit.types import Float32, Float64, Int64

THUMB = 16
MEASURE = 3  # to be raised whenever traces of the same bytes become others
_WINDOW = 512
_LOSSY_TOLERANCE, _SEAM, _SMEAR = 20, 2, 16  # where JPEG smears an edge: levels; pixels; blocks of its colours
_LEAST_SIDE = 16
_SEGMENT = 128  # samples of a spectrum
_BANDS = ((0.125, 0.25), (0.25, 0.5), (0.5, 0.75), (0.75, 1.01))  # shares of the highest frequency
_NEAR = 8  # pixels around an edge that its contrast is taken of
_SOFT = (8, 24)  # levels between the darkest and the lightest pixel of a block
_WEAK, _LEAST_EDGES = 0.3, 32  # share of the strongest contrast that an edge has; edges that tell something
_FLOOR = 1e-3  # of the spectrum: far below what rounding to 8 bits adds
_STEPS = np.arange(4, 61)  # of a quantisation that are looked for: below, rounding hides the comb
_LEVELS = np.arange(0, 256, 0.5) + 0.25  # of DCT coefficients
_COMB = np.cos(2 * np.pi * _LEVELS[:, None] / _STEPS)
_BEYOND_ZERO = (_LEVELS[:, None] > _STEPS / 2).astype(np.float64)
_LEAST_COMB, _LEAST_SURE = 0.35, 2.8  # the mean of the comb, without one 0.15 at most; four standard errors
_COARSER = 2  # than the largest of a file's own steps, by more than which its pixels show another: combs have multiples
_LEAST_STEPS = 3  # coefficients that must show one
_LEAST_BORDERS, _LEAST_JUMP, _SURE_JUMP = 16, 0.6, 2.5  # of blocks; levels; of the spread of the other columns
_COARSER_BLOCKS = 1.5  # than the median of a file's own steps: what no quality from 25 to 90 shows of itself
_STEP_OF_JUMP = 6.5  # a jump of 1.0 at quality 75, whose step is 7, 2.1 at 50 (13), 3.6 at 25 (25)
DRAWN = 0.06  # share of soft blocks: of a photograph more, and of drawings edges lie at the borders of blocks by chance
_LEAST_BLOCKS, _BLOCKS = 256, 4096  # few blocks of a drawing are alike, and so seem quantised
_FREQUENCIES = ((0, 1), (1, 0), (2, 0), (1, 1), (0, 2), (0, 3), (1, 2), (2, 1), (3, 0))
_COLOURS = 1024  # that a picture has which is no photograph, and that no JPEG leaves it with
_COLOURLESS = 0.5  # of 255: standard deviation of the chroma


def _basis() -> Float64:
    """The two-dimensional DCT of 8 × 8 pixels at `_FREQUENCIES`, (64, 9)."""
    place = np.arange(8)
    waves = [np.cos((2 * place + 1) * u * np.pi / 16) * (0.5 if u else 8**-0.5) for u in range(8)]
    return np.stack([np.outer(waves[u], waves[v]).ravel() for u, v in _FREQUENCIES], axis=1)


_BASIS = _basis().astype(np.float32)


class Traces(NamedTuple):
    """pixels: of the picture within its frame; layers: plain frames and strips around it, those with writing twice, and
    corners that were filled after a turn.

    low: log10 of the spectrum's power from a quarter to half of the highest frequency, less that of the octave below;
    middle, high: from half to three quarters, and above, less that from a quarter to half. step: of the coarsest
    quantisation that the picture went through, 1 for none seen (JPEG of quality 90: 2, 75: 6, 25: 25); again: it is
    coarser than that of the file. coloured: there is chroma. width: log2 of the pixels over which an edge goes, in the
    median; soft: the share of blocks of 8 × 8 that are neither flat nor strong, few in drawings.
    thumb (16, 16): grey values, frame included.
    """

    pixels: int
    layers: int
    low: float
    middle: float
    high: float
    step: float
    again: bool
    coloured: bool
    width: float
    soft: float
    thumb: Float32


def traces_of(data: bytes) -> Traces:
    """Measure the image in these bytes. Raises UnreadableImageError for what is none. Memory: the decoded image."""
    own, own_most = _own_steps(data)
    with decoding(data) as decoded:
        image = decoded.image
        picture = _picture(np.asarray(image), own)
        middle_box = _middle(picture.box)
        window = image.crop(middle_box)
        thumb = np.asarray(image.convert("L").resize((THUMB, THUMB), Image.Resampling.HAMMING), np.float32)
    levels = np.asarray(window.convert("YCbCr"), np.float32)
    lowest, low, middle, high = _spectrum(levels[..., 0])
    coloured = _chroma(levels) > _COLOURLESS
    drawn = coloured and window.getcolors(_COLOURS) is not None
    soft = _soft(levels[..., 0])
    step = 1.0 if drawn else _step(levels[..., 0], (-middle_box[1] % 8, -middle_box[0] % 8))
    again, blocks = step > _COARSER * own_most, _step_of_blocks(levels[..., 0]) if soft > DRAWN else 1.0
    if blocks > _COARSER_BLOCKS * own:
        step, again = max(step, blocks), True
    return Traces(
        picture.pixels,
        picture.layers,
        low - lowest,
        middle - low,
        high - low,
        max(step, own),
        again,
        coloured,
        _edge_width(levels[..., 0]),
        soft,
        thumb,
    )


class _Picture(NamedTuple):
    """box: an upright rectangle that holds nothing else; pixels: of the whole picture."""

    box: tuple[int, int, int, int]
    pixels: int
    layers: int


def _picture(pixels: NDArray[np.uint8], step: float) -> _Picture:
    tolerance = TOLERANCE if step == 1 else max(_LOSSY_TOLERANCE, step)
    left, top, right, bottom, layers = content_of(pixels, tolerance, 0 if step == 1 else _SEAM)
    width, height = right - left, bottom - top
    turned = turned_on_ground(pixels[top:bottom, left:right], tolerance)
    if not turned:
        return _Picture((left, top, right, bottom), width * height, layers)
    across, down = (int(side) for side in turned.inner())
    left, top = left + (width - across) // 2, top + (height - down) // 2
    return _Picture((left, top, left + across, top + down), int(width * height * turned.share), layers + 1)


def _middle(box: tuple[int, int, int, int]) -> tuple[int, int, int, int]:
    """Of the picture what is looked at; a whole number of blocks from where it begins."""
    left, top, right, bottom = box
    x, y = (low + max(0, high - low - _WINDOW) // 16 * 8 for low, high in ((left, right), (top, bottom)))
    return x, y, min(right, x + _WINDOW), min(bottom, y + _WINDOW)


def _chroma(levels: Float32) -> float:
    """Standard deviation, away from what the colour of a frame may have been smeared over."""
    inner = levels[_SMEAR:-_SMEAR, _SMEAR:-_SMEAR] if min(levels.shape[:2]) >= 3 * _SMEAR else levels
    return float(np.mean([inner[..., channel].std() for channel in (1, 2)]))


def _own_steps(data: bytes) -> tuple[float, float]:
    """The median and the largest step of a JPEG's luminance table at `_FREQUENCIES`; 1 for other files."""
    try:
        with Image.open(io.BytesIO(data)) as opened:
            tables = getattr(opened, "quantization", None) or {}
    except Exception:  # noqa: BLE001 - Pillow's plugins raise anything on hostile bytes; decoding says what is wrong
        return 1.0, 1.0
    table = tables.get(0, ())
    if len(table) != 64:
        return 1.0, 1.0
    steps = [max(1, table[8 * u + v]) for u, v in _FREQUENCIES]
    return float(np.median(steps)), float(max(steps))


def _spectrum(grey: Float32) -> list[float]:
    """log10 of the mean power in each of `_BANDS`, of rows and columns."""
    power = (_power(grey) + _power(grey.T)) / 2
    frequency = np.linspace(0, 1, len(power))
    inside = ((frequency >= low) & (frequency < high) for low, high in _BANDS)
    return [float(np.log10(power[band].mean() + _FLOOR)) for band in inside]


def _edge_width(grey: Float32) -> float:
    """log2 of the contrast of an edge ÷ its largest step from pixel to pixel, in the median of both directions.

    Enlarging by a factor makes edges as much wider, whatever else it leaves at the top of the spectrum: of a flat
    drawing that was enlarged four times the corners of its stairs are sharp, and its edges four pixels wide.
    """
    from scipy.ndimage import maximum_filter1d, minimum_filter1d

    widths, near = [np.empty(0, np.float32)], 2 * _NEAR + 1
    for lines in (grey, np.ascontiguousarray(grey.T)):
        contrast = maximum_filter1d(lines, near) - minimum_filter1d(lines, near)
        contrast, steps = np.maximum(contrast[:, 1:], contrast[:, :-1]), np.abs(np.diff(lines))
        is_edge = (steps > 0) & (steps == maximum_filter1d(steps, near)) & (contrast >= _WEAK * contrast.max(initial=1))
        widths.append(contrast[is_edge] / steps[is_edge])
    found = np.concatenate(widths)
    return float(np.log2(np.median(found))) if len(found) >= _LEAST_EDGES else 0.0


def _soft(grey: Float32) -> float:
    height, width = grey.shape[0] // 8, grey.shape[1] // 8
    blocks = grey[: 8 * height, : 8 * width].reshape(height, 8, width, 8)
    spread = blocks.max(axis=(1, 3), initial=0) - blocks.min(axis=(1, 3), initial=255)
    return float(((spread > _SOFT[0]) & (spread <= _SOFT[1])).mean()) if spread.size else 0.0


def _power(lines: Float32) -> Float64:
    """The power spectrum along the rows (Welch 1967), at the same frequencies for any length."""
    size = min(_SEGMENT, lines.shape[1])
    window, power = np.hanning(size + 2)[1:-1].astype(np.float32), np.zeros(_SEGMENT // 2 + 1)
    starts = range(0, lines.shape[1] - size + 1, max(size // 2, 1))
    for start in starts:
        part = lines[:, start : start + size]
        centred = (part - part.mean(axis=1, keepdims=True)) * window
        power += (np.abs(np.fft.rfft(centred, _SEGMENT, axis=1)) ** 2).mean(axis=0)
    return np.asarray(power / (len(starts) * float((window**2).sum())))


def _step(grey: Float32, start: tuple[int, int]) -> float:
    """The median step of the quantisation that the coefficients of a grid of blocks show; 1 where none do.

    After Fan & de Queiroz (2003): they lie on the teeth of a comb, whatever the file is now. A grid is looked for at
    `start`, where that of the image begins, where the window does, and where blocks are seen.
    """
    if min(grey.shape) < _LEAST_SIDE:
        return 1.0
    return max(_step_at(grey, *begin) for begin in {start, (0, 0), (_grid(grey.T), _grid(grey))})


def _grid(grey: Float32) -> int:
    """The column that blocks begin at, 0 to 7: where neighbours differ more than theirs do."""
    edges = _beyond_neighbours(grey)
    return (int(np.argmax([edges[:, phase::8].mean() for phase in range(8)])) + 2) % 8


def _beyond_neighbours(grey: Float32) -> Float32:
    """How much more each two neighbours in a row differ than those on either side do."""
    steps = np.abs(np.diff(grey, axis=1))
    return np.asarray(steps[:, 1:-1] - (steps[:, :-2] + steps[:, 2:]) / 2)


def _step_of_blocks(grey: Float32) -> float:
    """The step that jumps across the borders of blocks tell of, in the median; 1 where they tell nothing.

    Another brightness, contrast or colour moves the teeth of the comb, and leaves these.
    """
    if min(grey.shape) < 8 * _LEAST_BORDERS:
        return 1.0
    return max(1.0, _STEP_OF_JUMP * min(_jump(grey), _jump(grey.T)))


def _jump(grey: Float32) -> float:
    """How much more neighbours differ across one column in eight than across the others, in levels; 0 if not surely."""
    columns = _beyond_neighbours(grey).mean(axis=0)
    jumps = np.array([np.median(columns[phase::8]) for phase in range(8)])
    others = np.delete(jumps, jumps.argmax())
    jump = float(jumps.max() - others.mean())
    return jump if jump >= max(_LEAST_JUMP, _SURE_JUMP * others.std()) else 0.0


def _step_at(grey: Float32, top: int, left: int) -> float:
    height, width = ((side - start) // 8 for side, start in zip(grey.shape, (top, left), strict=True))
    if height * width < _LEAST_BLOCKS:
        return 1.0
    blocks = grey[top : top + 8 * height, left : left + 8 * width].reshape(height, 8, width, 8).swapaxes(1, 2)
    flat = blocks.reshape(-1, 64)[:: max(1, height * width // _BLOCKS)]
    found = _combs(np.abs(flat @ _BASIS))
    found = found[found > 0]
    return float(np.median(found)) if len(found) >= _LEAST_STEPS else 1.0


def _combs(values: Float32) -> Int64:
    """Of each frequency (f,) the largest step that its coefficients (b, f) are multiples of; those that became 0 say
    nothing. 0: none."""
    bins, kinds = len(_LEVELS), values.shape[1]
    place = np.minimum((values * (bins / 256)).astype(np.int64), bins)  # the last one: beyond 256
    count = np.bincount((place + np.arange(kinds) * (bins + 1)).ravel(), minlength=kinds * (bins + 1))
    count = count.reshape(kinds, bins + 1)[:, :bins]
    beyond = count @ _BEYOND_ZERO
    mean = count @ (_COMB * _BEYOND_ZERO) / np.maximum(beyond, 1)
    is_seen = (mean >= _LEAST_COMB) & (mean * np.sqrt(beyond) >= _LEAST_SURE)
    return np.asarray((is_seen * _STEPS).max(axis=1))
