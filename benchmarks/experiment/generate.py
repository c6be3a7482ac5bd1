"""Draws what `memaudit run` asks for: `python -m benchmarks.experiment.generate WEIGHTS --jobs FILE --out FOLDER`."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from benchmarks.experiment.model import Denoiser, draw

_AT_ONCE = 32


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("weights", type=Path)
    parser.add_argument("--jobs", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    model = Denoiser()
    model.load_state_dict(torch.load(options.weights, weights_only=True))
    model.eval()
    jobs = [json.loads(line) for line in options.jobs.read_text(encoding="utf-8").splitlines()]
    for low in range(0, len(jobs), _AT_ONCE):
        part = jobs[low : low + _AT_ONCE]
        drawn = draw(model, [job["prompt"] for job in part], [job["seed"] for job in part])
        pixels = ((drawn + 1) * 127.5).round().byte().permute(0, 2, 3, 1).numpy()
        for job, picture in zip(part, pixels, strict=True):
            Image.fromarray(np.ascontiguousarray(picture)).save(options.out / f"{job['name']}.png")


if __name__ == "__main__":
    main()
