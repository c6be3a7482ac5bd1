"""How far two pictures agree where one lies on the other: patch by patch, whatever the brightness and contrast."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from memaudit.matching.pictures import Picture, composed, import_cv2, laid, to_canvas
from memaudit.types import Float32, Float64

CANVAS = 192  # pixels of the longer side of the common part
PATCH = 16
_RAMP = np.linspace(-1, 1, PATCH, dtype=np.float32)
_RAMP /= np.sqrt((_RAMP**2).mean())
_TILE = CANVAS // 4 // PATCH  # patches
_TEXTURE = 4.5  # of 255: standard deviation above which a patch shows something
_ALIKE = 0.5  # correlation from which two patches agree
_TO_GREY = np.full((1, 3), 1 / 3, np.float32)
_BLUR = 1.0  # pixels: so that a shift by a pixel, or JPEG's blocks, do not count
_WHOLLY = 0.95  # share of a patch
_KEPT = 0.06  # RGB distance that JPEG and resizing stay below
_MANY = 12
COMMON = 0.4  # share of the smaller picture that the common part takes, else it says nothing
LEAST_ALIKE = 0.4  # share of all patches that agree: with less nothing fits, and as where little is in common


class Agreement(NamedTuple):
    """What the patches of the common part say.

    alike: share of the patches with texture that agree; patches: how many have texture. Both within the pictures, and
    (edge_alike, edges) where a picture meets its plain ground: frames and outlines resemble each other easily.
    of_query, of_reference: share of either picture that lies in the common part.
    worst: patched l2, the largest RGB distance of a tile in [0, 1]; a tile is a sixteenth of the square canvas (Carlini
    et al. 2023). kept: share of the patches whose RGB distance is at most `_KEPT`: they were left as they are.
    coloured: share of the patches, but for those of one plain ground, whose mean colours are as near.
    crossing: how much the edges of both run in more than one direction, 0 to 1: parallel ones fit at any shift.
    Both are 0 where nothing `fits`: they are dear, and say nothing then.
    Of all patches with texture, outlines included: correlation, the mean of their normalised cross-correlations, at
    least 0; shown_kept, the share that is left as it was; distance, the root of their mean squared RGB difference.
    """

    alike: float
    patches: int
    edge_alike: float
    edges: int
    of_query: float
    of_reference: float
    worst: float
    kept: float
    coloured: float = 0.0
    crossing: float = 0.0
    correlation: float = 0.0
    shown_kept: float = 0.0
    distance: float = 1.0

    @property
    def all_patches(self) -> int:
        return self.patches + self.edges

    @property
    def all_alike(self) -> float:
        """Share of all patches with texture that agree, outlines included."""
        found = self.alike * self.patches + self.edge_alike * self.edges
        return found / self.all_patches if self.all_patches else 0.0

    @property
    def compared(self) -> bool:
        """Whether there was a common part at all; else nothing was seen of how they differ."""
        return self.of_query > 0

    @property
    def fits(self) -> bool:
        """Whether enough of the patches agree, of enough of either picture, for the rest to say anything."""
        return self.all_alike >= LEAST_ALIKE and max(self.of_query, self.of_reference) >= COMMON

    @property
    def evidence(self) -> float:
        """To choose among alignments by: the share that agrees, less where few patches have a say."""
        return self.alike * min(1.0, self.patches / _MANY) + 0.5 * self.edge_alike * min(1.0, self.edges / _MANY)


NONE = Agreement(0.0, 0, 0.0, 0, 0.0, 0.0, 1.0, 0.0)


class Drawn(NamedTuple):
    """A picture on the canvas, blurred a little: `pixels` (height, width, 3) and `grey` (height, width) float32; the
    shares of each patch (rows, columns) float32 that lie in the picture (`inside`) and on its ground."""

    pixels: Float32
    grey: Float32
    inside: Float32
    ground: Float32


class Laid(NamedTuple):
    """Two pictures on one canvas, the query and the reference, and of each patch (rows, columns) whether it lies in
    both (`common`), whether it shows something in either (`texture`), and their normalised cross-correlation."""

    own: Drawn
    other: Drawn
    common: NDArray[np.bool_]
    texture: NDArray[np.bool_]
    correlation: Float32
    canvas: Float64

    @property
    def agree(self) -> NDArray[np.bool_]:
        """Which patches do."""
        return self.correlation >= _ALIKE


def lay(query: Picture, reference: Picture, matrix: Float64) -> Laid | None:
    """Lay the query on the reference; None where they have nothing in common there."""
    box = common_box(query, reference, matrix)
    if box is None:
        return None
    canvas, size = _canvas(box)
    own, other = _drawn(query, composed(canvas, matrix), size), _drawn(reference, canvas, size)
    common = np.minimum(own.inside, other.inside) > _WHOLLY
    if not common.any():
        return None
    correlation, texture = _correlation(own.grey, other.grey)
    return Laid(own, other, common, texture, correlation, canvas)


def agreement(query: Picture, reference: Picture, matrix: Float64) -> Agreement:
    """Lay the query on the reference and compare patches of their common part."""
    laid = lay(query, reference, matrix)
    if laid is None:
        return NONE
    own, other, common, texture, correlation, canvas = laid
    edge = np.maximum(own.ground, other.ground) > 1 - _WHOLLY
    shown = common & texture
    within, edges = shown & ~edge, shown & edge
    squares = _mean_squares(own.pixels - other.pixels)
    of_reference = common.sum() * PATCH**2 / abs(np.linalg.det(canvas[:, :2])) / np.prod(reference.size)
    of_query = of_reference * np.prod(reference.size) / np.prod(query.size) / abs(np.linalg.det(matrix[:, :2]))
    mean, left, distance = _of_shown(correlation[shown], squares[shown])
    found = Agreement(
        _alike(correlation[within]),
        int(within.sum()),
        _alike(correlation[edges]),
        int(edges.sum()),
        min(1.0, float(of_query)),
        min(1.0, float(of_reference)),
        _worst_tile(squares, common),
        float((squares[common] <= _KEPT**2).mean()),
        correlation=mean,
        shown_kept=left,
        distance=distance,
    )
    if not found.fits:
        return found
    crossing = min(_crossing(drawn.grey, shown) for drawn in (own, other))
    return found._replace(coloured=_coloured(own, other, common), crossing=crossing)


def _of_shown(correlation: Float32, squares: Float32) -> tuple[float, float, float]:
    """Of the patches with texture: their mean correlation, the share left as it was, and their distance."""
    if not len(squares):
        return 0.0, 0.0, 1.0
    mean = float(np.clip(correlation, -1, 1).mean())
    return max(0.0, mean), float((squares <= _KEPT**2).mean()), float(np.sqrt(squares.mean()))


def _mean_squares(difference: Float32) -> Float32:
    """Of each patch the mean square of an RGB difference, (rows, columns); of 1 for 255."""
    return np.asarray(_means(difference * difference).sum(axis=2) / (3 * 255**2))


def _coloured(own: Drawn, other: Drawn, common: NDArray[np.bool_]) -> float:
    difference = _means(own.pixels) - _means(other.pixels)
    near = (difference * difference).sum(axis=2) / (3 * 255**2) <= _KEPT**2
    shown = common & ((np.minimum(own.ground, other.ground) < 1) | ~near)
    return float(near[shown].mean()) if shown.any() else 0.0


def _crossing(grey: Float32, shown: NDArray[np.bool_]) -> float:
    """Smaller ÷ larger eigenvalue of the structure tensor over these patches (Förstner & Gülch 1987)."""
    if not shown.any():
        return 0.0
    cv2 = import_cv2()
    across, down = cv2.Sobel(grey, cv2.CV_32F, 1, 0, ksize=1), cv2.Sobel(grey, cv2.CV_32F, 0, 1, ksize=1)
    xx, xy, yy = (float(_means(product)[shown].sum()) for product in (across * across, across * down, down * down))
    small, large = np.linalg.eigvalsh(np.array([[xx, xy], [xy, yy]]))
    return float(max(0.0, small) / large) if large > 0 else 0.0


def _worst_tile(squares: Float32, common: NDArray[np.bool_]) -> float:
    """Tiles of 3 x 3 patches, a quarter of the canvas's longer side."""
    rows, columns = (-(-length // _TILE) for length in squares.shape)
    tile = np.add.outer(np.arange(squares.shape[0]) // _TILE * columns, np.arange(squares.shape[1]) // _TILE)
    count = np.bincount(tile[common], minlength=rows * columns)
    total = np.bincount(tile[common], squares[common], minlength=rows * columns)
    return float(np.sqrt((total / np.maximum(count, 1)).max()))


def _alike(correlation: Float32) -> float:
    return float((correlation >= _ALIKE).mean()) if len(correlation) else 0.0


def common_box(query: Picture, reference: Picture, matrix: Float64) -> tuple[float, float, float, float] | None:
    """What both show, in places of the reference: left, top, right, bottom; None where it is next to nothing."""
    width, height = query.size
    corners = np.array([[0, 0, 1], [width, 0, 1], [0, height, 1], [width, height, 1]]) @ matrix.T
    left, top = np.maximum(corners.min(axis=0), 0)
    right, bottom = np.minimum(corners.max(axis=0), reference.size)
    if right - left < 0.02 or bottom - top < 0.02:
        return None
    return float(left), float(top), float(right), float(bottom)


def _canvas(box: tuple[float, float, float, float]) -> tuple[Float64, tuple[int, int]]:
    """The matrix that maps places of the reference to pixels of the canvas, and the canvas's width and height."""
    left, top, right, bottom = box
    scale = CANVAS / max(right - left, bottom - top)
    width, height = (
        max(1, round((high - low) * scale / PATCH)) * PATCH for low, high in ((left, right), (top, bottom))
    )
    x, y = width / (right - left), height / (bottom - top)
    return np.array([[x, 0, -left * x], [0, y, -top * y]]), (width, height)


def _drawn(picture: Picture, matrix: Float64, size: tuple[int, int]) -> Drawn:
    cv2 = import_cv2()
    place, how = to_canvas(picture, matrix), cv2.INTER_NEAREST
    inside = cv2.warpAffine(np.ones_like(picture.ground, np.float32), place, size, flags=how)
    ground = cv2.warpAffine(picture.ground.astype(np.float32), place, size, flags=how) if picture.ground.any() else None
    pixels = cv2.GaussianBlur(laid(picture, matrix, size), (0, 0), _BLUR).astype(np.float32)
    shares = _means(inside)
    return Drawn(pixels, to_grey(pixels), shares, np.zeros_like(shares) if ground is None else _means(ground))


def _correlation(own: Float32, other: Float32) -> tuple[Float32, NDArray[np.bool_]]:
    """Normalised cross-correlation of the grey patches less their mean and slope (smooth shading correlates with any
    other), (rows, columns); and which of them show something in either picture."""
    ramps = (
        np.tile(_RAMP, (own.shape[0], own.shape[1] // PATCH)),
        np.tile(_RAMP[:, None], (own.shape[0] // PATCH, own.shape[1])),
    )
    parts, others = ([_means(grey), *(_means(grey * ramp) for ramp in ramps)] for grey in (own, other))

    def left(product: Float32, one: list[Float32], two: list[Float32]) -> Float32:
        # The ramps are orthogonal to each other and to a constant, and of mean square 1
        return np.asarray(_means(product) - sum(a * b for a, b in zip(one, two, strict=True)))

    spread, other_spread = (
        np.sqrt(np.maximum(left(grey * grey, part, part), 0)) for grey, part in ((own, parts), (other, others))
    )
    # A floor on the spread: noise on a plain patch correlates with nothing, and says nothing
    correlation = left(own * other, parts, others) / (np.maximum(spread, 1) * np.maximum(other_spread, 1))
    return correlation, np.maximum(spread, other_spread) >= _TEXTURE


def to_grey(pixels: Float32) -> Float32:
    """The mean of the colours."""
    return np.asarray(import_cv2().transform(np.ascontiguousarray(pixels), _TO_GREY))


def _means(image: Float32) -> Float32:
    """The mean of each patch: (height, width, …) to (rows, columns, …)."""
    cv2 = import_cv2()
    size = (image.shape[1] // PATCH, image.shape[0] // PATCH)
    return np.asarray(cv2.resize(image, size, interpolation=cv2.INTER_AREA))
