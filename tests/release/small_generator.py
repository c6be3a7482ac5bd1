"""A generator for tests: `--jobs FILE --out FOLDER` for many images, or `--prompt TEXT --seed N --out FILE` for one.

Prompts with "copied" give the training image of their number back. Faults: `--fail-once FILE` (breaks down in the
middle, the first time), `--refuse WORD` (leaves nothing for prompts with it), `--noise` (files that are no images).
"""

import argparse
import json
import os
import re
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))
from pictures import altered, draw


def main() -> int:
    parser = argparse.ArgumentParser()
    for name in ("--jobs", "--out", "--prompt", "--seed", "--fail-once", "--refuse"):
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
            write(Path(told.out) / f"{job['name']}.png" if told.jobs else Path(told.out), job, noise=told.noise)
    return 0


def write(path: Path, job: dict, *, noise: bool) -> None:
    if noise:
        path.write_bytes(os.urandom(500))
        return
    number = int(re.findall(r"\d+", job["prompt"])[0])
    image = altered(draw(number)) if "copied" in job["prompt"] else draw(10_000 + int(job["seed"]) % 5000)
    image.save(path, "PNG")


if __name__ == "__main__":
    sys.exit(main())
