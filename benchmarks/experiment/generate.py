"""Draws what `memaudit run` asks for: `python -m benchmarks.experiment.generate WEIGHTS --jobs FILE --out FOLDER`.

With --score it writes scores.jsonl instead, of `memaudit.release.likely`.
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

from benchmarks.experiment.model import Denoiser, draw, moved
from memaudit.release.likely import SCORES

_AT_ONCE = 32


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("weights", type=Path)
    parser.add_argument("--jobs", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--score", action="store_true")
    options = parser.parse_args()
    model = Denoiser()
    model.load_state_dict(torch.load(options.weights, weights_only=True))
    model.eval()
    jobs = [json.loads(line) for line in options.jobs.read_text(encoding="utf-8").splitlines()]
    with (options.out / SCORES).open("a", encoding="utf-8") if options.score else nullcontext() as scores:
        for low in range(0, len(jobs), _AT_ONCE):
            part = jobs[low : low + _AT_ONCE]
            if scores is not None:
                _score(model, part, scores)
            else:
                _draw(model, part, options.out)


def _score(model: Denoiser, jobs: list[dict[str, Any]], scores: IO[str]) -> None:
    found = moved(model, [job["prompt"] for job in jobs], [job["seed"] for job in jobs])
    for job, score in zip(jobs, found.tolist(), strict=True):
        scores.write(json.dumps({"name": job["name"], "score": score}) + "\n")


def _draw(model: Denoiser, jobs: list[dict[str, Any]], out: Path) -> None:
    drawn = draw(model, [job["prompt"] for job in jobs], [job["seed"] for job in jobs])
    pixels = ((drawn + 1) * 127.5).round().byte().permute(0, 2, 3, 1).numpy()
    for job, picture in zip(jobs, pixels, strict=True):
        Image.fromarray(np.ascontiguousarray(picture)).save(out / f"{job['name']}.png")


if __name__ == "__main__":
    main()
