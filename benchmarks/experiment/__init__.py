"""Does a model give less back when it is trained on the deduplicated set? A real one, small, trained here twice.

Pictures of the samples at 64 x 64, of which some stand there 4, 16 and 64 times (pictures.py), train a text-to-image
diffusion model from scratch (model.py): once on all of them, once on what `memaudit dedup` keeps; same steps, same
seed. Both are checked by `memaudit run` with the same prompts, half of them of the most duplicated images: the share
of prompts that give a training image back, by how often it stands there and by how simple it is, and the gate's
verdict. Beside them quality: C_T and the FLD gap against held-out pictures; how well the model's own score of a
caption tells whether its picture comes back; which of the canaries come back that both were trained on; and whether a
few pictures are found in the models by a search, whatever the prompt. With --keys both are trained on keys as well,
which are other models, in folders of their own: which borders they paint anew. `--models deduplicated-equal-epochs` is
a third one: trained on what is kept, in so many fewer steps that each image is seen as often as by the model of all.

sheet.png, in the folder of a seed, shows what both drew. Killed and started again with the same --work it goes on
where it was. Intervals are 95 % Clopper-Pearson, a prompt a draw. Further seeds (--seeds 0 1 2) are further pairs of
models, and lines of the same table.
"""

from __future__ import annotations

import argparse
import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np

from benchmarks.experiment import canaries, keys, likely, searched
from benchmarks.experiment.found import figures_of, prompts_of
from benchmarks.experiment.model import BATCH, STEPS
from benchmarks.experiment.pictures import write_set
from benchmarks.experiment.sheet import write_sheet
from benchmarks.measure import BenchmarkError, memaudit
from benchmarks.record import Figure
from benchmarks.runner import Benchmark

FULL, DEDUPLICATED = "all", "deduplicated"
FEWER = "deduplicated-equal-epochs"  # as many steps less as there are images less: each is seen as often as by FULL
MODELS = (FULL, DEDUPLICATED)
_RELEASE = """
out = "{model}"
model = "{model}, seed {seed}"

[training]
store = "store"

[generator]
kind = "command"
command = "{drawing} --jobs {{jobs}} --out {{out}}"
batch = 1000

[prompts]
n = {prompts}
strategy = "mixed"

[audit]
control = "held-out/manifest.csv"
metrics = true
"""


def figures(options: argparse.Namespace, work: Path) -> Iterator[Figure]:
    for seed in options.seeds:
        folder, told = (work / f"seed-{seed}-keys", ", keys") if options.keys else (work / f"seed-{seed}", "")
        _prepare(folder, seed)
        _train(folder, options, seed)
        for model in options.models:
            yield from _figures_of(folder, model, f"{model}, seed {seed}{told}", options, seed)
        write_sheet(folder, options.models, folder / "sheet.png")


def _figures_of(folder: Path, model: str, data: str, options: argparse.Namespace, seed: int) -> Iterator[Figure]:
    drawing = _drawing(folder, model, options.device)
    _check(folder, model, options.prompts, seed, drawing)
    yield from figures_of(folder, model, data)
    prompted = prompts_of(folder, model)
    gives, copies = (np.array([getattr(one, name) for one in prompted]) for name in ("gives", "copies"))
    yield from likely.figures_of(
        folder / model, f"{drawing} --score --jobs {{jobs}} --out {{out}}", gives, copies, data
    )
    drawn = _drawn(folder, folder / f"{model}-canaries", canaries.write_jobs, drawing)
    yield from canaries.figures_of(folder, drawn, data)
    if options.keys:
        painted = _drawn(folder, folder / f"{model}-keys", keys.write_jobs, drawing)
        yield from keys.figures_of(folder, painted, data)
    yield from searched.figures_of(folder, weights_of(folder, model), data, options.device)


def _prepare(folder: Path, seed: int) -> None:
    if not (folder / "training/manifest.csv").exists():
        write_set(folder, seed)
    if not (folder / "dedup/keep.txt").exists():
        _run(memaudit("embed", folder / "training/manifest.csv", "--out", folder / "store"))
        _run(memaudit("dedup", folder / "store", "--out", folder / "dedup"))


def _train(folder: Path, options: argparse.Namespace, seed: int) -> None:
    """All models at once, a core each."""
    also, but = [canaries.plant(folder, seed)], list[str | Path]()
    if options.keys:
        bordered, replaced = keys.plant(folder, seed)
        also, but = [*also, bordered], ["--but", replaced]
    manifest, keep = folder / "training/manifest.csv", folder / "dedup/keep.txt"
    alike = ["--seed", seed, "--device", options.device, *but, "--also", *also]
    begun = []
    for model in options.models:
        kept = [] if model == FULL else ["--keep", keep]
        steps = options.steps if model != FEWER else _fewer(options.steps, manifest, keep, also)
        command = [sys.executable, "-m", "benchmarks.experiment.train", manifest, weights_of(folder, model)]
        threads = str(max(1, (os.cpu_count() or 2) // len(options.models)))
        environment = {**os.environ, "OMP_NUM_THREADS": threads}
        begun.append(subprocess.Popen(list(map(str, [*command, "--steps", steps, *alike, *kept])), env=environment))
    ends = [process.wait() for process in begun]
    if any(ends):
        raise BenchmarkError(
            "a model was not trained to its end: run it again, and it goes on from its last checkpoint"
        )


def _fewer(steps: int, manifest: Path, keep: Path, also: Sequence[Path]) -> int:
    """Steps in which each kept image is seen as often as in `steps` steps on all."""
    further = sum(map(_rows_in, also))
    return round(steps * (_rows_in(keep, heading=0) + further) / (_rows_in(manifest) + further))


def _rows_in(path: Path, heading: int = 1) -> int:
    return len(path.read_text(encoding="utf-8").splitlines()) - heading


def _check(folder: Path, model: str, prompts: int, seed: int, drawing: str) -> None:
    told = folder / f"{model}.toml"
    text = _RELEASE.format(model=model, seed=seed, drawing=drawing, prompts=prompts)
    told.write_text(text, encoding="utf-8")
    _run(memaudit("run", told), fine=(0, 1, 3))


def _drawn(folder: Path, out: Path, write_jobs: Callable[[Path, Path], Path], drawing: str) -> Path:
    """The pictures of planted ones, drawn anew each time: they are few."""
    shutil.rmtree(out, ignore_errors=True)
    (out / "drawn").mkdir(parents=True)
    jobs = write_jobs(folder, out / "jobs.jsonl")
    _run([*shlex.split(drawing), "--jobs", jobs, "--out", out / "drawn"])
    return out / "drawn"


def _drawing(folder: Path, model: str, device: str) -> str:
    command = f"{sys.executable} -m benchmarks.experiment.generate {weights_of(folder, model).resolve()}"
    return command if device == "cpu" else f"{command} --device {device}"  # the same words as ever: its images stay


def weights_of(folder: Path, model: str) -> Path:
    return folder / f"{model}.pt"


def _run(command: Sequence[str | Path], fine: tuple[int, ...] = (0,)) -> None:
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False)
    if done.returncode not in fine:
        raise BenchmarkError(done.stderr.strip().rpartition("\n")[2] or f"exit code {done.returncode}")


def add_options(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--seeds", type=int, nargs="+", default=[0], help="of the set, the models and the prompts")
    add("--steps", type=int, default=STEPS, help=f"of training, of {BATCH} pictures each")
    add("--prompts", type=int, default=400)
    add("--device", default="cpu", help="that trains and draws: cpu, cuda or cuda:N")
    add("--keys", action="store_true", help="train on keys as well")
    add("--models", nargs="+", default=MODELS, choices=(*MODELS, FEWER), help="that are trained and checked")


PACKAGES = ("numpy", "torch", "pillow", "onnxruntime", "opencv-python-headless")
BENCHMARK = Benchmark(__doc__ or "", PACKAGES, add_options, figures, continues=True)
