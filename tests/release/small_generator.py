"""A generator for tests: `--jobs FILE --out FOLDER` for many images, or `--prompt TEXT --seed N --out FILE` for one.

Prompts with "copied" give the image of their number in `--training FOLDER` back. Faults: `--fail-once FILE` (breaks
down in the middle, the first time), `--refuse WORD` (leaves nothing for prompts with it), `--noise` (files that are no
images).
"""

import argparse
import io
import json
import os
import re
import sys
from pathlib import Path

import numpy as np
from PIL import Image


def main() -> int:
    parser = argparse.ArgumentParser()
    for name in ("--jobs", "--out", "--prompt", "--seed", "--training", "--fail-once", "--refuse"):
        parser.add_argument(name, default="")
    parser.add_argument("--noise", action="store_true")
    told = parser.parse_args()
    jobs = [json.loads(line) for line in Path(told.jobs).read_text().splitlines()] if told.jobs else []
    jobs = jobs or [{"name": "", "prompt": told.prompt, "seed": told.seed}]
    for number, job in enumerate(jobs):
        if told.fail_once and number == len(jobs) // 2 and not Path(told.fail_once).exists():
            Path(told.fail_once).touch()
            print("CUDA out of memory", file=sys.stderr)
            return 7
        if not told.refuse or told.refuse not in job["prompt"]:
            path = Path(told.out) / f"{job['name']}.png" if told.jobs else Path(told.out)
            write(path, job, Path(told.training), noise=told.noise)
    return 0


def write(path: Path, job: dict, training: Path, *, noise: bool) -> None:
    if noise:
        path.write_bytes(os.urandom(500))
        return
    number = re.findall(r"\d+", job["prompt"])[0]
    image = copied(training / f"{number}.png") if "copied" in job["prompt"] else drawn(int(job["seed"]))
    image.save(path, "PNG")


def copied(path: Path) -> Image.Image:
    """Through a JPEG."""
    data = io.BytesIO()
    Image.open(path).convert("RGB").save(data, "JPEG", quality=70)
    return Image.open(data)


def drawn(seed: int) -> Image.Image:
    pixels = np.random.default_rng(seed).integers(0, 256, (5, 6, 3), dtype=np.uint8)
    return Image.fromarray(pixels).resize((96, 72), Image.Resampling.BICUBIC)


if __name__ == "__main__":
    sys.exit(main())
