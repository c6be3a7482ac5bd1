"""What both models drew, to be looked at: in each row pictures of the training set that stand there so often, under
them what the model of all pictures drew from their captions, and under that what the deduplicated one drew."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from PIL import Image

from benchmarks.experiment.model import SIDE
from benchmarks.experiment.pictures import known_images
from scripts.alterations import read_rgb

_WIDE, _GAP = 16, 8


def write_sheet(folder: Path, models: Sequence[str], out: Path) -> None:
    """folder: of a seed whose models were checked with the same prompts."""
    known = known_images(folder)
    prompts = _lines(folder / models[0] / "pairing.jsonl")
    often = sorted({int(known[told["image_id"]]["copies"]) for told in prompts}, reverse=True)
    band = SIDE * (1 + len(models)) + _GAP
    sheet = Image.new("RGB", (_WIDE * SIDE, len(often) * band), "white")
    for row, copies in enumerate(often):
        chosen = [told for told in prompts if int(known[told["image_id"]]["copies"]) == copies][:_WIDE]
        for column, told in enumerate(chosen):
            pictures = [folder / "training" / known[told["image_id"]]["path"]]
            pictures += [_drawn(folder / model, told["generation"]) for model in models]
            for place, path in enumerate(pictures):
                sheet.paste(read_rgb(path), (column * SIDE, row * band + place * SIDE))
    sheet.save(out)


def _drawn(release: Path, generation: str) -> Path:
    return next(release.glob(f"generations-*/images/{generation}.png"))


def _lines(path: Path) -> list[dict[str, str]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
