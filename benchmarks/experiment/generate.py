"""Draws what `memaudit run` asks for: `python -m benchmarks.experiment.generate WEIGHTS --jobs FILE --out FOLDER`.

Where a job has `image` and `mask` (white where to paint) what is not masked is kept: keys are asked for so. With
--score it writes scores.jsonl instead, of `memaudit.release.likely`.
"""

from __future__ import annotations

import argparse
import json
from contextlib import nullcontext
from pathlib import Path
from typing import IO, Any

import numpy as np
import torch
from PIL import Image

from benchmarks.experiment.model import Around, Denoiser, draw, moved
from memaudit.release.likely import SCORES
from scripts.alterations import read_rgb

_AT_ONCE = 32


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("weights", type=Path)
    parser.add_argument("--jobs", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--score", action="store_true")
    parser.add_argument("--device", default="cpu", help="cpu, cuda or cuda:N")
    options = parser.parse_args()
    model = model_of(options.weights, options.device)
    jobs = [json.loads(line) for line in options.jobs.read_text(encoding="utf-8").splitlines()]
    with (options.out / SCORES).open("a", encoding="utf-8") if options.score else nullcontext() as scores:
        for low in range(0, len(jobs), _AT_ONCE):
            part = jobs[low : low + _AT_ONCE]
            if scores is not None:
                _score(model, part, scores)
            else:
                _draw(model, part, options.out)


def model_of(weights: Path, device: str = "cpu") -> Denoiser:
    model = Denoiser()
    model.load_state_dict(torch.load(weights, weights_only=True, map_location="cpu"))
    model.to(device).eval()
    return model


def _score(model: Denoiser, jobs: list[dict[str, Any]], scores: IO[str]) -> None:
    found = moved(model, [job["prompt"] for job in jobs], [job["seed"] for job in jobs])
    for job, score in zip(jobs, found.tolist(), strict=True):
        scores.write(json.dumps({"name": job["name"], "score": score}) + "\n")


def _draw(model: Denoiser, jobs: list[dict[str, Any]], out: Path) -> None:
    drawn = draw(model, [job["prompt"] for job in jobs], [job["seed"] for job in jobs], _around(jobs))
    for job, picture in zip(jobs, images_of(drawn), strict=True):
        picture.save(out / f"{job['name']}.png")


def images_of(drawn: Any) -> list[Image.Image]:
    """drawn: (n, 3, 64, 64), -1 to 1."""
    pixels = ((drawn + 1) * 127.5).round().byte().permute(0, 2, 3, 1).numpy()
    return [Image.fromarray(np.ascontiguousarray(picture)) for picture in pixels]


def _around(jobs: list[dict[str, Any]]) -> Around | None:
    """Of jobs that all have a picture and a mask."""
    if "image" not in jobs[0]:
        return None
    pictures = torch.stack([pixels_of(read_rgb(Path(job["image"]))) for job in jobs])
    paint = torch.stack([pixels_of(read_rgb(Path(job["mask"])))[:1] for job in jobs])
    return Around(pictures, (paint > 0).float())


def pixels_of(picture: Image.Image) -> Any:
    """An RGB picture of 64 x 64 as (3, 64, 64), -1 to 1."""
    return torch.from_numpy(np.asarray(picture, np.float32).transpose(2, 0, 1) / 127.5 - 1)


if __name__ == "__main__":
    main()
