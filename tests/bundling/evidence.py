"""Runs whose ids, captions, prompts and paths are words that stand nowhere else; and archives with a change in them."""

from __future__ import annotations

import hashlib
import io
import json
import re
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


# What a report may say in both editions: words of memaudit's own, the day, and what the page is about by its title
_COMMON = re.compile(r"[a-z_ ,-]+|[\d.,%]+|pear 1\.0|(ab){32}|20\d\d-\d\d-\d\d(T.*\+00:00)?")


def words_in_both(full: Mapping[str, bytes], public: Mapping[str, bytes], at_least: int = 20) -> set[str]:
    """The texts of private files that stand in the public edition as well, beside memaudit's own words. AssertionError
    where it has a word that these runs are made of, the digest of a private file, or 24 bytes of a picture."""
    shown = b"\n".join([*(name.encode() for name in public), *public.values()])
    private = {name: data for name, data in full.items() if name not in public}
    for word in (*WORDS, "orchard"):
        assert word.encode() not in shown.lower(), word
    parsed = [json.loads(data) for name, data in private.items() if name.endswith(".json")]
    texts = {leaf for value in parsed for leaf in leaves(value) if isinstance(leaf, str) and len(leaf) > 3}
    assert len(texts) > at_least
    for name, data in private.items():
        assert name == "salt" or hashlib.sha256(data).hexdigest().encode() not in shown
        if "/thumbnails/" in name:
            assert not any(data[place : place + 24] in shown for place in range(len(data) - 24))
    return {each for each in texts if each.encode() in shown and not _COMMON.fullmatch(each)}


def openssl(folder: Path, *arguments: str, data: bytes = b"") -> bytes:
    return subprocess.run(["openssl", *arguments], cwd=folder, input=data, capture_output=True, check=True).stdout
