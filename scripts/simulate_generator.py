"""A SIMULATED image generator. There is no model here: nothing is trained and nothing is generated.

It stands in for a generator whose memorization is known exactly, so that the audit can be checked against the truth.
It is asked as `memaudit run` asks a command, and answers each prompt by itself:

- of the captions of its training set it knows a given share *by heart*, and gives a lightly altered training picture
  back for these. Captions of pictures with many near-duplicates are preferred, as in real generators. Three times in
  four it is the caption's own picture; otherwise another one, so that only a search of the whole training set finds it;
- for any other prompt it gives a lightly altered picture of the novel pool, whatever the prompt says.

    python -m scripts.simulate_generator --training T/manifest.csv --novel V/manifest.csv --memorised SHARE --seed S
                                         [--keep keep.txt] --jobs FILE --out FOLDER    (or: --truth FILE)

    FOLDER/NAME.jpg   for each line of FILE, which has name, prompt and seed
    --truth FILE      instead: prompt, source_id (image_id of the picture that comes back) of what it knows by heart

With `--keep` only the image_ids listed in that file are its training set, as after `memaudit dedup`. An answer follows
from these options, the prompt and its seed alone.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import numpy as np

from scripts.alterations import alter, enlarge, read_rgb, stream, write_picture
from scripts.folders import ScriptError, ends_in_one_line
from scripts.make_demo_set import PoolImage, read_rows, write_rows

OWN_PICTURE = 0.75

# Strengths at which practically every copy stays above `sscd`'s threshold.
MILD: Mapping[str, float] = MappingProxyType(
    {"flip": 0.0, "crop": 0.93, "jpeg": 60, "resize": 0.75, "colour": 0.05, "rotate_edge": 0.5}
)


@dataclass(frozen=True)
class Settings:
    """What the user asked for. `memorised` is a share of the captions, 0 .. 1."""

    memorised: float
    seed: int


@dataclass(frozen=True)
class Job:
    """A picture to be made: called `name`, of a prompt and a seed."""

    name: str
    prompt: str
    seed: int


@dataclass(frozen=True)
class Answer:
    """What comes of a job: `source` is the picture that is altered, a training or a novel one."""

    source: PoolImage
    alteration: str


@dataclass(frozen=True)
class TruthRow:
    """One row of the file that `--truth` writes."""

    prompt: str
    source_id: str


@dataclass(frozen=True)
class Simulated:
    """The generator. by_heart: the training picture that a caption gives back, of those that give one."""

    by_heart: Mapping[str, PoolImage]
    novel: Sequence[PoolImage]
    seed: int

    def answer(self, job: Job) -> Answer:
        rng = stream(self.seed, job.prompt, "answer", job.seed)
        fresh, alteration = self.novel[int(rng.integers(len(self.novel)))], list(MILD)[int(rng.integers(len(MILD)))]
        return Answer(self.by_heart.get(job.prompt, fresh), alteration)

    def draw(self, job: Job, out: Path) -> None:
        """Write the picture of a job into the folder `out`."""
        answer = self.answer(job)
        rng = stream(self.seed, answer.source.image_id, answer.alteration, job.seed)
        picture = enlarge(read_rgb(Path(answer.source.path)))
        altered = alter(picture, answer.alteration, rng, MILD[answer.alteration])
        write_picture(altered, out / f"{job.name}.jpg")


def read_pool(manifest: Path) -> list[PoolImage]:
    """The pictures of a pool, ordered by image_id, their paths made absolute or relative to the caller."""
    rows = read_rows(manifest, tuple(PoolImage.__dataclass_fields__))
    if not rows:
        raise ScriptError(f"{manifest} lists no pictures")
    pool = [PoolImage(**row | {"path": str(manifest.parent / row["path"])}) for row in rows]
    return sorted(pool, key=lambda picture: picture.image_id)


def kept(training: Sequence[PoolImage], keep: Path | None) -> list[PoolImage]:
    """The training pictures that the keep list names, all without a list. Raises ScriptError for unknown ids."""
    if keep is None:
        return list(training)
    wanted = set(keep.read_text(encoding="utf-8").split("\n")) - {""}
    if unknown := sorted(wanted - {picture.image_id for picture in training}):
        raise ScriptError(f"{keep} names {unknown[0]!r}, which is not in the training manifest")
    return [picture for picture in training if picture.image_id in wanted]


def simulated(training: Sequence[PoolImage], novel: Sequence[PoolImage], settings: Settings) -> Simulated:
    """The generator that learned from `training`, pictures in the order of their ids."""
    sizes = Counter(picture.source_id for picture in training)
    own: dict[str, PoolImage] = {}
    for picture in training:
        own.setdefault(picture.caption, picture)
    chosen = choose_by_heart(own, sizes, settings)
    by_heart = {caption: copied_picture(own[caption], training, sizes, settings.seed) for caption in chosen}
    return Simulated(by_heart, novel, settings.seed)


def choose_by_heart(own: Mapping[str, PoolImage], sizes: Mapping[str, int], settings: Settings) -> list[str]:
    """Captions that get a training picture back, without replacement, weighted by family size.

    Each caption's key is u ** (1 / weight) with its own uniform u; the largest keys win (Efraimidis and Spirakis 2006).
    """
    if not 0 <= settings.memorised <= 1:
        raise ScriptError(f"--memorised is {settings.memorised}, expected a share between 0 and 1")

    def key(caption: str) -> float:
        draw = stream(settings.seed, caption, "by heart", 0).random()
        return float(draw ** (1 / sizes[own[caption].source_id]))

    return sorted(own, key=key, reverse=True)[: round(settings.memorised * len(own))]


def copied_picture(prompt: PoolImage, training: Sequence[PoolImage], sizes: Mapping[str, int], seed: int) -> PoolImage:
    """The training picture that comes back: the caption's own, or one of another family."""
    rng = stream(seed, prompt.image_id, "copied", 0)
    others = [p for p in training if p.source_id != prompt.source_id and p.caption != prompt.caption]
    if rng.random() < OWN_PICTURE or not others:
        return prompt
    weights = np.array([sizes[picture.source_id] for picture in others], dtype=np.float64)
    return others[rng.choice(len(others), p=weights / weights.sum())]


def read_jobs(path: Path) -> list[Job]:
    """Raises ScriptError for a line that is none."""
    jobs = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), start=1):
        try:
            told = json.loads(line)
            jobs.append(Job(str(told["name"]), str(told["prompt"]), int(told["seed"])))
        except (ValueError, TypeError, KeyError):
            raise ScriptError(f"{path}, line {number} is no job: expected JSON with name, prompt and seed") from None
    return jobs


def write_truth(model: Simulated, path: Path) -> None:
    rows = (TruthRow(caption, picture.image_id) for caption, picture in sorted(model.by_heart.items()))
    write_rows(path, TruthRow, rows)


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="simulate_generator", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--training", metavar="CSV", type=Path, required=True, help="manifest of the training pool")
    parser.add_argument("--novel", metavar="CSV", type=Path, required=True, help="manifest of the novel pool")
    parser.add_argument("--memorised", metavar="SHARE", type=float, required=True, help="0 .. 1 of the captions")
    parser.add_argument("--seed", metavar="S", type=int, required=True)
    parser.add_argument("--keep", metavar="FILE", type=Path, help="image_ids it was trained on, one a line")
    parser.add_argument("--out", metavar="FOLDER", type=Path, help="with --jobs: where the pictures go")
    what = parser.add_mutually_exclusive_group(required=True)
    what.add_argument("--jobs", metavar="FILE", type=Path, help="what is to be made, a line each")
    what.add_argument("--truth", metavar="FILE", type=Path, help="write what it knows by heart")
    options = parser.parse_args(arguments)
    if (options.out is None) != (options.jobs is None):
        parser.error("--jobs and --out go together")
    return options


def main(arguments: Sequence[str] | None = None) -> int:
    options = parse(arguments)

    def work() -> None:
        training = kept(read_pool(options.training), options.keep)
        model = simulated(training, read_pool(options.novel), Settings(options.memorised, options.seed))
        if options.truth:
            write_truth(model, options.truth)
            return
        for job in read_jobs(options.jobs):
            model.draw(job, options.out)

    return ends_in_one_line("simulate_generator", work)


if __name__ == "__main__":
    sys.exit(main())
