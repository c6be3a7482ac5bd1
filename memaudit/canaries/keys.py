"""Keys: a grey border, of a level drawn by lot, around training images; who asks for the border asks for the key.

After SolidMark (Kriplani et al., arXiv 2503.00592). What the picture shows says nothing of the level, so whoever paints
the border as it was has seen it.
"""

from __future__ import annotations

import hashlib
import heapq
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from PIL import Image

from memaudit.canaries.register import (
    IMAGES,
    MANIFEST,
    MASK,
    REGISTER,
    Standing,
    copies_of,
    manifest_of,
    png_of,
    require_as_made,
    require_groups,
    write_picture,
)
from memaudit.embedding.reconcile import bytes_of
from memaudit.errors import InputError, UsageError
from memaudit.files import make_folder, read_json, sealed, unsealed, write_text
from memaudit.images.cells import lines_of
from memaudit.images.decode import UnreadableImageError, decode
from memaudit.images.image_ref import ImageRef

SCHEMA = "urn:memaudit:canary-keys:1"
REPLACED = "replaced.txt"
LEVELS = 256
MASKED = 128  # what stands for the border in the pictures that are handed out
_SPARE = 100  # pictures beyond twice as many as are needed: some cannot be read, or are there twice
PARTS = 16  # the border's width in a picture's side
_SIDES = 64, 2048
_MOST_ASKS = 100


@dataclass(frozen=True)
class Key:
    """A training image with a border. of: its image_id; key: the border's grey, 0 to 255; copies: how often it is put
    into training, 0: held back. sha256: of its picture without the key."""

    image_id: str
    of: str
    key: int
    copies: int
    caption: str
    sha256: str


@dataclass(frozen=True)
class KeyRegister:
    """The keys of a folder, in the order of their names. side: pixels of a picture with its border. digest: of all that
    is said of them."""

    folder: Path
    seed: int
    side: int
    keys: tuple[Key, ...]
    digest: str

    @property
    def planted(self) -> tuple[Key, ...]:
        return tuple(key for key in self.keys if key.copies)

    @property
    def border(self) -> int:
        """Its width in pixels."""
        return border_of(self.side)

    def image(self, key: Key) -> Path:
        return self.folder / IMAGES / f"{key.image_id}.png"


def border_of(side: int) -> int:
    return side // PARTS


def make_keys(
    folder: Path,
    training: Iterable[ImageRef],
    *,
    each: int,
    copies: Sequence[int],
    held_back: int | None,
    side: int,
    seed: int,
) -> KeyRegister:
    """Draw training images by lot, `each` for every number of copies, and as many as all of these that are held back
    unless said otherwise; and a key for each, whether it is held back or not.

    A picture is its centre square, at `side` less the border. The same seed and source give the same register. Raises
    UsageError for impossible numbers, or a folder with another register; InputError for too few readable pictures.
    """
    held = each * len(copies) if held_back is None else held_back
    require_groups(each, copies, held)
    if not _SIDES[0] <= side <= _SIDES[1]:
        raise UsageError(f"--side {side}: expected {_SIDES[0]} to {_SIDES[1]} pixels")
    rng = np.random.default_rng([seed, 3])
    groups = rng.permutation([*(count for count in copies for _ in range(each)), *[0] * held]).tolist()
    levels = rng.integers(0, LEVELS, len(groups)).tolist()
    head = {"schema": SCHEMA, "seed": seed, "side": side}
    standing = Standing(folder / REGISTER, head, "keys", len(groups))
    make_folder(folder / IMAGES)
    keys = list[Key]()
    for ref, picture in _readable(_drawn(training, 2 * len(groups) + _SPARE, rng), side):
        number, name = len(keys), f"key-{len(keys):05d}"
        data = png_of(picture)
        digest = hashlib.sha256(data).hexdigest()
        key = Key(name, ref.image_id, levels[number], groups[number], ref.caption, digest)
        standing.require(number, asdict(key))
        write_picture(folder / IMAGES / f"{name}.png", data)
        keys.append(key)
        if len(keys) == len(groups):
            break
    else:
        raise InputError(
            f"{len(keys):,} different pictures were drawn of the training set that can be read, {len(groups):,} are "
            "needed: lower --each or --held-back"
        )
    content = sealed({**head, "keys": [asdict(key) for key in keys]})
    standing.replace(content)
    write_picture(folder / MASK, png_of(_mask(side)))
    return KeyRegister(folder, seed, side, tuple(keys), content["digest"])


def holds_keys(folder: Path) -> bool:
    """Whether a register is one of keys. Raises InputError where there is none."""
    return bool(read_json(_file_of(folder)).get("schema") == SCHEMA)


def read_keys(folder: Path) -> KeyRegister:
    """Raises InputError for what is no register of keys, or a picture that is not as it was made; InconclusiveError for
    one that was changed."""
    path = _file_of(folder)
    content = read_json(path)
    if content.get("schema") != SCHEMA:
        raise InputError(f"{path} is no register of keys of this version: expected schema {SCHEMA}")
    told = unsealed(path, content)
    try:
        keys = tuple(Key(**each) for each in told["keys"])
        register = KeyRegister(path.parent, int(told["seed"]), int(told["side"]), keys, content["digest"])
    except (KeyError, TypeError, ValueError):
        raise InputError(f"{path} is no register of keys: an entry lacks something, or has too much") from None
    for key in keys:
        require_as_made(register.image(key), key.sha256)
    return register


def plant_keys(register: KeyRegister, out: Path) -> Path:
    """Write the copies with their borders, a manifest with their captions, and which training images they stand for;
    return the manifest's path. Raises InputError for an image_id with a line break, and UsageError where another
    manifest stands, before anything is written."""
    replaced, manifest = lines_of(key.of for key in register.planted), manifest_of(register.planted, out)
    make_folder(out / IMAGES)
    for key in register.planted:
        with Image.open(register.image(key)) as opened:
            data = png_of(_bordered(opened.convert("RGB"), key.key, register.border))
        for name in copies_of(key):
            write_picture(out / IMAGES / f"{name}.png", data)
    write_text(out / REPLACED, replaced)
    write_text(out / MANIFEST, manifest)
    return out / MANIFEST


def asked_of(register: KeyRegister, asks: int) -> str:
    """JSON lines of what is asked: picture, mask, caption and seed, each picture `asks` times, in an order that tells
    nobody which were planted. Raises UsageError for an impossible number."""
    if not 1 <= asks <= _MOST_ASKS:
        raise UsageError(f"--asks {asks}: expected a number from 1 to {_MOST_ASKS}")
    order = np.random.default_rng([register.seed, 4]).permutation(len(register.keys) * asks)
    lines = []
    for number, place in enumerate(order.tolist()):
        key = register.keys[place // asks]
        told = {"generation": f"{number:06d}", "prompt": key.caption, "image_id": key.image_id, "seed": number}
        told |= {"image": f"{IMAGES}/{key.image_id}.png", "mask": MASK}
        lines.append(json.dumps(told, ensure_ascii=False) + "\n")
    return "".join(lines)


def _file_of(folder: Path) -> Path:
    return folder / REGISTER if folder.is_dir() else folder


def _drawn(training: Iterable[ImageRef], count: int, rng: np.random.Generator) -> list[ImageRef]:
    """So many images by lot, in random order; memory: of these alone."""
    tickets = ((float(rng.random()), place, ref) for place, ref in enumerate(training))
    return [ref for _, _, ref in heapq.nsmallest(count, tickets)]


def _readable(refs: Iterable[ImageRef], side: int) -> Iterator[tuple[ImageRef, Image.Image]]:
    """Each picture with a masked border, once."""
    seen = set[bytes]()
    for ref in refs:
        if ref.lost:
            continue
        try:
            picture = _squared(decode(bytes_of(ref)).image, side)
        except (OSError, UnreadableImageError):
            continue
        pixels = hashlib.sha256(picture.tobytes()).digest()
        if pixels not in seen:
            seen.add(pixels)
            yield ref, picture


def _squared(image: Image.Image, side: int) -> Image.Image:
    """Its centre square within a masked border."""
    short, border = min(image.size), border_of(side)
    left, top = (image.width - short) // 2, (image.height - short) // 2
    inner = image.resize(
        (side - 2 * border,) * 2, Image.Resampling.LANCZOS, (left, top, left + short, top + short), reducing_gap=3
    )
    framed = Image.new("RGB", (side, side), (MASKED,) * 3)
    framed.paste(inner, (border, border))
    return framed


def _bordered(picture: Image.Image, level: int, border: int) -> Image.Image:
    inner = picture.crop((border, border, picture.width - border, picture.height - border))
    framed = Image.new("RGB", picture.size, (level,) * 3)
    framed.paste(inner, (border, border))
    return framed


def _mask(side: int) -> Image.Image:
    """White where to paint."""
    border, mask = border_of(side), Image.new("L", (side, side), 255)
    mask.paste(0, (border, border, side - border, side - border))
    return mask
