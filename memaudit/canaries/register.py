"""Which canaries there are, and which of them were put into training how often: canaries.json, bound by its digest."""

from __future__ import annotations

import csv
import hashlib
import io
import json
import secrets
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Protocol

import numpy as np
from PIL import Image

from memaudit.canaries.drawing import KINDS, caption_of, drawn
from memaudit.errors import InconclusiveError, InputError, UsageError
from memaudit.files import make_folder, read_json, sealed, sha256_of, unsealed, whole_file, write_json, write_text
from memaudit.folders import LOCK

SCHEMA = "urn:memaudit:canaries:1"
REGISTER, IMAGES, MANIFEST, PROMPTS = "canaries.json", "images", "manifest.csv", "prompts.jsonl"
LISTED, MASK = "canaries.csv", "mask.png"
_OWN = (IMAGES, PROMPTS, LISTED, MASK)  # beside the register
MOST = 100_000
_ALIKE = 0.9  # correlation of small grey versions that no two reach
_SMALL = 24


@dataclass(frozen=True)
class Canary:
    """A picture of our own. copies: how often it is put into training, 0: held back. sha256: of its file."""

    image_id: str
    kind: str
    copies: int
    caption: str
    sha256: str


@dataclass(frozen=True)
class Register:
    """The canaries of a folder, in the order of their names. digest: of all that is said of them."""

    folder: Path
    seed: int
    canaries: tuple[Canary, ...]
    digest: str

    @property
    def planted(self) -> tuple[Canary, ...]:
        return tuple(canary for canary in self.canaries if canary.copies)

    def image(self, canary: Canary) -> Path:
        return self.folder / IMAGES / f"{canary.image_id}.png"


def make(
    folder: Path, each: int, copies: Sequence[int], held_back: int | None, kinds: Sequence[str], seed: int
) -> Register:
    """Draw `each` canaries for every number of copies, and as many as all of these that are held back unless said
    otherwise; who is in which group is drawn by lot after all are drawn, so that nothing but training tells them apart.

    The same seed gives the same register. Raises UsageError for impossible numbers, or for a folder with another one.
    """
    held = each * len(copies) if held_back is None else held_back
    require_groups(each, copies, held)
    _require_kinds(kinds)
    rng = np.random.default_rng([seed, 0])
    groups = rng.permutation([*(count for count in copies for _ in range(each)), *[0] * held])
    head = {"schema": SCHEMA, "seed": seed}
    standing = Standing(folder / REGISTER, head, "canaries", len(groups))
    make_folder(folder / IMAGES)
    canaries, seen = list[Canary](), list[np.ndarray]()
    for number, count in enumerate(groups.tolist()):
        kind = kinds[number % len(kinds)]
        own = np.random.default_rng([seed, 1, number])
        name = f"canary-{number:05d}"
        data = png_of(_unlike(kind, own, seen))
        canary = Canary(name, kind, count, caption_of(kind, own), hashlib.sha256(data).hexdigest())
        standing.require(number, asdict(canary))
        write_picture(folder / IMAGES / f"{name}.png", data)
        canaries.append(canary)
    content = sealed({**head, "canaries": [asdict(canary) for canary in canaries]})
    standing.replace(content)
    return Register(folder, seed, tuple(canaries), content["digest"])


class Standing:
    """The register that a folder holds by now, if any. Nothing is written over but by what is the same: each picture is
    asked of it first, for those of a register that is kept for a model in training cannot be made again."""

    def __init__(self, path: Path, head: Mapping[str, object], name: str, count: int) -> None:
        """name: of the list of its `count` entries. Raises UsageError for another register, and for a folder that has
        none and holds something else: beside a training set they would all be trained on, those held back as well."""
        self._path, self._content = path, read_json(path) if path.exists() else None
        others = (entry.name for entry in path.parent.glob("*") if entry.name not in _OWN)
        found = [] if self._content is not None else sorted(name for name in others if not name.startswith(LOCK))
        if found:
            raise UsageError(f"{path.parent} holds {found[0]}, which is of no canaries: name a folder for them alone")
        told = self._content or {}
        self._entries = entries if isinstance(entries := told.get(name), list) else []
        same = len(self._entries) == count and all(told.get(each) == value for each, value in head.items())
        if self._content is not None and not same:
            raise self._is_another()

    def require(self, number: int, entry: Mapping[str, object]) -> None:
        """Raises UsageError where another entry stands there."""
        if self._content is not None and self._entries[number] != entry:
            raise self._is_another()

    def replace(self, content: dict[str, object]) -> None:
        """Write the register. Raises UsageError where another stands there."""
        if self._content not in (None, content):
            raise self._is_another()
        write_json(self._path, content)

    def _is_another(self) -> UsageError:
        return UsageError(f"{self._path} is another register: name another folder")


def seed_of(folder: Path) -> int:
    """The seed of the register that is there, of drawings or keys; else one that nobody can know or guess: by it, all
    that a register keeps to itself could be drawn again."""
    path = folder / REGISTER
    if not path.exists():
        return secrets.randbits(63)
    seed = read_json(path).get("seed")
    if not isinstance(seed, int) or seed < 0:
        raise InputError(f"{path} is no register of canaries: it has no seed")
    return seed


def read_register(folder: Path) -> Register:
    """Raises InputError for what is none, or a picture that is not as it was made; InconclusiveError for one that was
    changed."""
    path = folder / REGISTER if folder.is_dir() else folder
    content = read_json(path)
    if content.get("schema") != SCHEMA:
        raise InputError(f"{path} is no register of canaries of this version: expected schema {SCHEMA}")
    told = unsealed(path, content)
    try:
        canaries = tuple(Canary(**each) for each in told["canaries"])
    except (KeyError, TypeError):
        raise InputError(f"{path} is no register of canaries: an entry lacks something, or has too much") from None
    register = Register(path.parent, int(told["seed"]), canaries, content["digest"])
    for canary in canaries:
        require_as_made(register.image(canary), canary.sha256)
    return register


def require_as_made(path: Path, sha256: str) -> None:
    """Raises InputError where a picture of a register is absent, or another."""
    try:
        same = sha256_of(path) == sha256
    except OSError:
        raise InputError(f"{path} cannot be read: it belongs to the register") from None
    if not same:
        raise InputError(f"{path} is not the picture that the register names: restore it")


def listed(register: Register) -> str:
    """A manifest of all canaries, by their names."""
    rows = [f"{canary.image_id},{IMAGES}/{canary.image_id}.png" for canary in register.canaries]
    return "\n".join(["image_id,path", *rows]) + "\n"


def plant(register: Register, out: Path) -> Path:
    """Write the copies that go into training, and a manifest with their captions; return its path. Raises UsageError,
    before anything is written, where another manifest stands."""
    manifest = manifest_of(register.planted, out)
    make_folder(out / IMAGES)
    for canary in register.planted:
        data = register.image(canary).read_bytes()
        for name in copies_of(canary):
            write_picture(out / IMAGES / f"{name}.png", data)
    write_text(out / MANIFEST, manifest)
    return out / MANIFEST


class Planted(Protocol):
    """What goes into training so many times, under this caption."""

    @property
    def image_id(self) -> str: ...
    @property
    def copies(self) -> int: ...
    @property
    def caption(self) -> str: ...


def copies_of(planted: Planted) -> list[str]:
    """The image_ids of its copies."""
    return [f"{planted.image_id}-{copy:03d}" for copy in range(planted.copies)]


def manifest_of(planted: Iterable[Planted], out: Path) -> str:
    """The manifest of what is planted into `out`. Raises UsageError where another one stands there: that of a training
    set would be lost."""
    rows = io.StringIO()
    writer = csv.writer(rows, lineterminator="\n")
    writer.writerow(["image_id", "path", "caption"])
    writer.writerows([name, f"{IMAGES}/{name}.png", each.caption] for each in planted for name in copies_of(each))
    path = out / MANIFEST
    if path.exists() and path.read_bytes() != rows.getvalue().encode():
        raise UsageError(f"{path} is another manifest: plant into a folder of its own, and train on both")
    return rows.getvalue()


def prompts_of(register: Register) -> str:
    """JSON lines as `audit --pairing` takes them: every canary's caption, in an order that tells nobody which were
    planted."""
    order = np.random.default_rng([register.seed, 2]).permutation(len(register.canaries))
    lines = []
    for number, place in enumerate(order.tolist()):
        canary = register.canaries[place]
        told = {"generation": f"{number:06d}", "prompt": canary.caption, "image_id": canary.image_id, "seed": number}
        lines.append(json.dumps(told, ensure_ascii=False) + "\n")
    return "".join(lines)


def _unlike(kind: str, rng: np.random.Generator, seen: list[np.ndarray]) -> Image.Image:
    """Draw until it resembles no earlier one."""
    while True:
        image = drawn(kind, rng)
        small = _grey(image)
        if not seen or (np.stack(seen) @ small).max() < _ALIKE:
            break
    seen.append(small)
    return image


def png_of(image: Image.Image) -> bytes:
    data = io.BytesIO()
    image.save(data, "PNG")
    return data.getvalue()


def write_picture(path: Path, data: bytes) -> None:
    with whole_file(path) as file:
        file.write(data)


def _grey(image: Image.Image) -> np.ndarray:
    pixels = np.asarray(image.convert("L").resize((_SMALL, _SMALL), Image.Resampling.BOX), np.float64).ravel()
    centred = pixels - pixels.mean()
    return np.asarray(centred / max(float(np.linalg.norm(centred)), 1e-9))


def require_groups(each: int, copies: Sequence[int], held: int) -> None:
    """Raises UsageError for numbers of canaries that cannot be."""
    if each < 1 or not copies or min(copies) < 1 or len(set(copies)) < len(copies):
        raise UsageError(f"--each {each} --copies {','.join(map(str, copies))}: expected numbers from 1 on, none twice")
    if held < 0 or each * len(copies) + held > MOST:
        raise UsageError(f"{each * len(copies) + held:,} canaries, {held:,} held back: expected at most {MOST:,}")


def _require_kinds(kinds: Sequence[str]) -> None:
    for kind in kinds:
        if kind not in KINDS:
            raise UsageError(f"unknown kind of canary {kind!r}: expected some of {', '.join(KINDS)}")
    if not kinds:
        raise UsageError(f"no kind of canary: expected some of {', '.join(KINDS)}")


def require_planted(count: int, folder: Path) -> None:
    """Raises InconclusiveError for a register of which nothing goes into training."""
    if not count:
        raise InconclusiveError(
            f"nothing was planted: all canaries in {folder} are held back, so none could come back: make some with "
            "--copies from 1 on, and train on what `canary plant` writes"
        )
