"""What becomes of pictures when they are copied: each takes a picture and returns another one."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping
from types import MappingProxyType

from PIL import Image, ImageDraw, ImageOps

Alteration = Callable[[Image.Image], Image.Image]


def same(image: Image.Image) -> Image.Image:
    return image.copy()


def saved(image: Image.Image, quality: int = 30) -> Image.Image:
    data = io.BytesIO()
    image.save(data, "JPEG", quality=quality)
    return Image.open(data).convert("RGB")


def half_jpeg(image: Image.Image) -> Image.Image:
    return saved(image.resize((image.width // 2, image.height // 2)))


def cropped(image: Image.Image) -> Image.Image:
    """0.7 of each side."""
    width, height = image.size
    return image.crop((width // 8, height // 5, width // 8 + width * 7 // 10, height // 5 + height * 7 // 10))


def turned(image: Image.Image) -> Image.Image:
    """By 25 degrees; the corners are black."""
    return image.rotate(25, Image.Resampling.BICUBIC, expand=True)


def quarter(image: Image.Image) -> Image.Image:
    return image.transpose(Image.Transpose.ROTATE_90)


def stretched(image: Image.Image) -> Image.Image:
    """To another aspect, like a photograph that was pressed into a square."""
    return image.resize((240, 240), Image.Resampling.BICUBIC)


def sticker(image: Image.Image) -> Image.Image:
    """The same one over each picture, of a third of its height, and a caption."""
    covered, side = image.copy(), image.height // 3
    draw = ImageDraw.Draw(covered)
    left, top = image.width // 2, image.height // 4
    draw.ellipse((left, top, left + side, top + side), fill=(255, 204, 77))
    for eye in (0.3, 0.6):
        draw.ellipse(
            (left + side * eye, top + side * 0.3, left + side * (eye + 0.1), top + side * 0.5), fill=(60, 30, 0)
        )
    draw.arc((left + side * 0.2, top + side * 0.3, left + side * 0.8, top + side * 0.8), 20, 160, (60, 30, 0), 4)
    draw.text((10, image.height - 24), "SALE 50% OFF", (255, 255, 255), stroke_width=1, stroke_fill=(0, 0, 0))
    return covered


def pasted(image: Image.Image) -> Image.Image:
    """In half size on a white page."""
    page = Image.new("RGB", (image.width * 9 // 10, image.height * 9 // 10), "white")
    page.paste(image.resize((image.width // 2, image.height // 2), Image.Resampling.LANCZOS), (30, 20))
    return page


COPIES: Mapping[str, Alteration] = MappingProxyType(
    {
        "same": same,
        "jpeg": saved,
        "half_jpeg": half_jpeg,
        "crop": cropped,
        "mirror": ImageOps.mirror,
        "flip": ImageOps.flip,
        "turned": turned,
        "quarter": quarter,
        "upside_down": lambda image: image.transpose(Image.Transpose.ROTATE_180),
        "transposed": lambda image: image.transpose(Image.Transpose.TRANSPOSE),
        "grey": lambda image: image.convert("L").convert("RGB"),
        "brighter": lambda image: image.point(lambda value: min(255, value * 5 // 4 + 10)),
        "stretched": stretched,
        "sticker": sticker,
        "pasted": pasted,
        "mirrored_crop": lambda image: ImageOps.mirror(cropped(image)),
    }
)
