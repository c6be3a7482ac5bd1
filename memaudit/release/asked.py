"""Prompts and the images that came of them: where these lie, and which belongs to which."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path

from msgspec import to_builtins

from memaudit.files import digest_of, sha256_of, text_lines
from memaudit.release.jobs import Gallery
from memaudit.release.run_file import RunFile

PROMPTS = "prompts.jsonl"
_MAKING = {"workers", "timeout", "tries", "per_minute", "key_env", "batch"}  # of a generator: not what it makes


def gallery_of(told: RunFile, out: Path) -> Path | None:
    """Where the generations of these prompts and this generator lie; None where there are no prompts yet."""
    if not (out / PROMPTS).is_file():
        return None
    what = {key: value for key, value in to_builtins(told.generator).items() if key not in _MAKING}
    key = digest_of([sha256_of(out / PROMPTS), told.prompts.seeds, what, told.model, told.model_digest])
    return out / f"generations-{key[:12]}"


def first_reason(gallery: Gallery) -> str:
    return next((outcome.reason for outcome in gallery.outcomes.values() if outcome.reason), "no reason was given")


def pairing_lines(prompts: Path, gallery: Gallery) -> Iterator[str]:
    """A line for each image that was asked for, with what is known of its prompt. What was refused has one as well: an
    audit counts it as missing, since nobody knows what it would have shown."""
    known: dict[str, Mapping[str, object]] = {}
    for line in text_lines(prompts):
        told = json.loads(line)
        known[told["generation"]] = told
    for outcome in sorted(gallery.outcomes.values(), key=lambda each: each.name):
        about = known[outcome.name.rpartition("_")[0]]
        yield json.dumps({**about, "generation": outcome.name, "seed": outcome.seed}, ensure_ascii=False) + "\n"
