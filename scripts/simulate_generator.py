"""A SIMULATED image generator. There is no model here: nothing is trained and nothing is generated.

It stands in for a generator whose memorization is known exactly, so that the audit can be checked against the
truth. For each prompt (the caption of one training picture) it returns

- for a given share of the prompts a *planted* copy: a lightly altered training picture. Pictures with many
  near-duplicates in the training set are preferred, as in real generators. Three times in four it is the prompt's
  own picture; otherwise another one, so that only a search of the whole training set finds it;
- for the others a lightly altered picture of the novel pool, whatever the prompt says.

    python -m scripts.simulate_generator --training T/manifest.csv --novel V/manifest.csv --out OUT
                                         --prompts N --memorised SHARE --seed S [--keep keep.txt]

    OUT/images/gen-00000.jpg …
    OUT/pairing.csv   generation, image_id (the training picture the prompt was taken from), prompt, seed
    OUT/truth.csv     generation, planted (0/1), source_id (image_id of the picture that was altered), alteration

With `--keep` only the image_ids listed in that file are its training set, as after `memaudit dedup`. The order of the
prompts depends on the seed and each image_id alone, so runs before and after dedup share most of their prompts.
OUT appears whole, is the same for the same inputs and seed, and is left alone when it is already complete.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import numpy as np

from scripts import alterations, make_demo_set
from scripts.alterations import alter, enlarge, read_rgb, stream, write_picture
from scripts.folders import ScriptError, appearing_folder, ends_in_one_line, is_complete
from scripts.make_demo_set import PoolImage, digest_of, read_rows, write_rows

OWN_PICTURE = 0.75

# Strengths at which practically every copy stays above `sscd`'s threshold.
MILD: Mapping[str, float] = MappingProxyType(
    {"flip": 0.0, "crop": 0.93, "jpeg": 60, "resize": 0.75, "colour": 0.05, "rotate_edge": 0.5}
)


@dataclass(frozen=True)
class Settings:
    """What the user asked for. `memorised` is a share of the prompts, 0 .. 1."""

    prompts: int
    memorised: float
    seed: int


@dataclass(frozen=True)
class Generation:
    """One simulated answer: `source` is the picture that is altered, a training or a novel one."""

    name: str
    prompt: PoolImage
    source: PoolImage
    planted: bool
    alteration: str


@dataclass(frozen=True)
class PairingRow:
    """One row of pairing.csv."""

    generation: str
    image_id: str
    prompt: str
    seed: int


@dataclass(frozen=True)
class TruthRow:
    """One row of truth.csv."""

    generation: str
    planted: int
    source_id: str
    alteration: str


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


def choose_prompts(training: Sequence[PoolImage], settings: Settings) -> list[PoolImage]:
    """`settings.prompts` different training pictures, in random order."""
    if not 0 < settings.prompts <= len(training):
        raise ScriptError(f"--prompts is {settings.prompts}, expected 1 .. {len(training)}, the training pictures")
    order = {p.image_id: stream(settings.seed, p.image_id, "prompt", 0).random() for p in training}
    return sorted(training, key=lambda picture: order[picture.image_id])[: settings.prompts]


def choose_planted(prompts: Sequence[PoolImage], sizes: Mapping[str, int], settings: Settings) -> set[str]:
    """image_ids of the prompts that get a training picture back, without replacement, weighted by family size.

    Each prompt's key is u ** (1 / weight) with its own uniform u; the largest keys win (Efraimidis and Spirakis 2006).
    """
    if not 0 <= settings.memorised <= 1:
        raise ScriptError(f"--memorised is {settings.memorised}, expected a share between 0 and 1")

    def key(picture: PoolImage) -> float:
        draw = stream(settings.seed, picture.image_id, "planted", 0).random()
        return float(draw ** (1 / sizes[picture.source_id]))

    count = round(settings.memorised * len(prompts))
    return {picture.image_id for picture in sorted(prompts, key=key, reverse=True)[:count]}


def copied_picture(prompt: PoolImage, training: Sequence[PoolImage], sizes: Mapping[str, int], seed: int) -> PoolImage:
    """The training picture a planted generation copies: the prompt's own, or one of another family."""
    rng = stream(seed, prompt.image_id, "copied", 0)
    others = [p for p in training if p.source_id != prompt.source_id and p.caption != prompt.caption]
    if rng.random() < OWN_PICTURE or not others:
        return prompt
    weights = np.array([sizes[picture.source_id] for picture in others], dtype=np.float64)
    return others[rng.choice(len(others), p=weights / weights.sum())]


def plan_generations(training: Sequence[PoolImage], novel: Sequence[PoolImage], settings: Settings) -> list[Generation]:
    """Decide what every prompt gets back; novel pictures repeat only when all have been used."""
    prompts = choose_prompts(training, settings)
    sizes = Counter(picture.source_id for picture in training)
    planted = choose_planted(prompts, sizes, settings)
    order = stream(settings.seed, "", "novel", 0).permutation(len(novel))
    mild = list(MILD)
    plan: list[Generation] = []
    for number, prompt in enumerate(prompts):
        copies = prompt.image_id in planted
        fresh = novel[order[number % len(novel)]]
        source = copied_picture(prompt, training, sizes, settings.seed) if copies else fresh
        alteration = mild[stream(settings.seed, prompt.image_id, "alteration", 0).integers(len(mild))]
        plan.append(Generation(f"gen-{number:05d}.jpg", prompt, source, copies, alteration))
    return plan


def write_generations(plan: Sequence[Generation], out: Path, seed: int) -> None:
    """Draw every generation and write the two tables about them."""
    (out / "images").mkdir()
    for number, generation in enumerate(plan):
        rng = stream(seed, generation.source.image_id, generation.alteration, number)
        picture = enlarge(read_rgb(Path(generation.source.path)))
        altered = alter(picture, generation.alteration, rng, MILD[generation.alteration])
        write_picture(altered, out / "images" / generation.name)
    pairing = (PairingRow(g.name, g.prompt.image_id, g.prompt.caption, seed) for g in plan)
    truth = (TruthRow(g.name, int(g.planted), g.source.image_id, g.alteration) for g in plan)
    write_rows(out / "pairing.csv", PairingRow, pairing)
    write_rows(out / "truth.csv", TruthRow, truth)


def simulate(training: Path, novel: Path, out: Path, keep: Path | None, settings: Settings) -> None:
    """Make `out`, or leave it alone if it was made from the same inputs by the same code."""
    known, fresh = kept(read_pool(training), keep), read_pool(novel)
    code = [Path(module) for module in (__file__, make_demo_set.__file__, alterations.__file__)]
    pictures = [Path(picture.path) for picture in (*known, *fresh)]
    inputs = digest_of([training, novel, *([keep] if keep else []), *pictures, *code], settings)
    if is_complete(out, stamp := {"inputs": inputs}):
        return
    plan = plan_generations(known, fresh, settings)
    with appearing_folder(out, lambda folder: stamp) as new:
        write_generations(plan, new, settings.seed)


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="simulate_generator", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--training", metavar="CSV", type=Path, required=True, help="manifest of the training pool")
    parser.add_argument("--novel", metavar="CSV", type=Path, required=True, help="manifest of the novel pool")
    parser.add_argument("--out", metavar="OUT", type=Path, required=True)
    parser.add_argument("--prompts", metavar="N", type=int, required=True)
    parser.add_argument("--memorised", metavar="SHARE", type=float, required=True, help="0 .. 1 of the prompts")
    parser.add_argument("--seed", metavar="S", type=int, required=True)
    parser.add_argument("--keep", metavar="FILE", type=Path, help="image_ids it was trained on, one a line")
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None) -> int:
    options = parse(arguments)

    def work() -> None:
        settings = Settings(options.prompts, options.memorised, options.seed)
        simulate(options.training, options.novel, options.out, options.keep, settings)
        print(f"{options.prompts} simulated generations in {options.out / 'images'}")

    return ends_in_one_line("simulate_generator", work)


if __name__ == "__main__":
    sys.exit(main())
