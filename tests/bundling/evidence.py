"""Runs whose ids, captions, prompts and paths are words that stand nowhere else; and archives with a change in them."""

from __future__ import annotations

import io
import json
import subprocess
import zipfile
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from pictures import altered, draw

import memaudit as ma
from memaudit.bundling.archive import Content, read_archive, write_archive

WORDS = ("quince", "medlar", "sorrel", "borage", "tansy", "yarrow")
POLICY = '[gate]\nrequire = ["audit"]\n# of the bodleian committee\n[audit]\nmin_controls = 0\n'


class Evidence(NamedTuple):
    """A folder with two runs, a key, and the bundle of them: signed, not signed, and its public edition."""

    folder: Path
    key_id: str

    @property
    def full(self) -> Path:
        return self.folder / "full.zip"

    @property
    def unsigned(self) -> Path:
        return self.folder / "unsigned.zip"

    @property
    def public(self) -> Path:
        return self.folder / "public.zip"

    @property
    def key(self) -> Path:
        return self.folder / "audit.key.pub"


def write_evidence(folder: Path) -> Evidence:
    training, generations = folder / "training-orchard", folder / "generations-orchard"
    training.mkdir()
    generations.mkdir()
    lines = ["path,image_id,caption"]
    for seed, word in enumerate(WORDS):
        draw(seed).save(training / f"{word}-picture.png")
        lines.append(f"training-orchard/{word}-picture.png,{word}-id,a caption of {word}")
    altered(draw(1)).save(training / "tansy-picture.png")
    (folder / "training.csv").write_text("\n".join(lines))
    pairs = ["generation,image_id,prompt"]
    for seed in range(3):
        draw(seed if seed < 2 else 900).save(generations / f"generated-{WORDS[seed]}.png")
        pairs.append(f"generated-{WORDS[seed]}.png,{WORDS[seed]}-id,a prompt for {WORDS[seed]}")
    (folder / "pairing.csv").write_text("\n".join(pairs))
    (folder / "policy.toml").write_text(POLICY)
    store = ma.embed(folder / "training.csv", out=folder / "store-orchard", encoder="thumbnail")
    page = ma.PageChoices(command=["memaudit", "audit", "generations-orchard"])
    ma.run_audit(
        generations,
        store,
        out=folder / "audit",
        pairing=folder / "pairing.csv",
        views="none",
        planted=0,
        model="pear 1.0",
        model_digest="ab" * 32,
        page=page,
    )
    ma.run_dedup(store, out=folder / "dedup")
    runs, key = [folder / "audit", folder / "dedup"], ma.make_key(folder / "audit.key")
    ma.bundle(runs, folder / "full.zip", policy=folder / "policy.toml", sign=folder / "audit.key")
    ma.bundle(runs, folder / "unsigned.zip", policy=folder / "policy.toml")
    ma.publish_bundle(folder / "full.zip", folder / "public.zip")
    return Evidence(folder, key.key_id)


def entries_of(path: Path) -> dict[str, bytes]:
    return {name: content.whole(name) for name, content in read_archive(path).items()}


def archive_of(entries: Mapping[str, bytes]) -> bytes:
    """As memaudit would have written it."""
    file = io.BytesIO()
    write_archive(file, {name: Content(data) for name, data in entries.items()})
    return file.getvalue()


def zipped(entries: Mapping[str, bytes], **options: int) -> bytes:
    """As another program would."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", **options) as archive:
        for name, data in entries.items():
            archive.writestr(zipfile.ZipInfo(name), data, compress_type=options.get("compression", 0))
    return file.getvalue()


Change = Callable[[dict[str, bytes]], object]


def with_json(name: str, change: Callable[[dict], object]) -> Change:
    """A change in an entry that is JSON, written again in memaudit's form."""

    def do(entries: dict[str, bytes]) -> None:
        value = json.loads(entries[name])
        change(value)
        entries[name] = (json.dumps(value, sort_keys=True, indent=1) + "\n").encode()

    return do


def leaves(value: object) -> Iterator[object]:
    """Every text and number in a JSON value, without the names of fields."""
    if isinstance(value, dict):
        yield from (leaf for part in value.values() for leaf in leaves(part))
    elif isinstance(value, list):
        yield from (leaf for part in value for leaf in leaves(part))
    else:
        yield value


def openssl(folder: Path, *arguments: str, data: bytes = b"") -> bytes:
    return subprocess.run(["openssl", *arguments], cwd=folder, input=data, capture_output=True, check=True).stdout
