"""Does a model give less back when it is trained on the deduplicated set? A real one, small, trained here twice.

Pictures of the samples at 64 x 64, of which some stand there 4, 16 and 64 times (pictures.py), train a text-to-image
diffusion model from scratch (model.py): once on all of them, once on what `memaudit dedup` keeps; same steps, same
seed. Both are checked by `memaudit run` with the same prompts, half of them of the most duplicated images: the share
of prompts that give a training image back, by how often it stands there and by how simple it is, and the gate's
verdict. Beside them quality: C_T and the FLD gap against held-out pictures; how well the model's own score of a
caption tells whether its picture comes back; and which of the canaries come back that both were trained on.

Killed and started again with the same --work it goes on where it was. Intervals are 95 % Clopper-Pearson, a prompt a
draw. Further seeds (--seeds 0 1 2) are further pairs of models, and lines of the same table.
"""

from __future__ import annotations

import argparse
import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from benchmarks.experiment import canaries, likely
from benchmarks.experiment.found import figures_of, prompts_of
from benchmarks.experiment.model import BATCH, STEPS
from benchmarks.experiment.pictures import write_set
from benchmarks.measure import BenchmarkError, memaudit
from benchmarks.record import Figure
from benchmarks.runner import Benchmark

FULL, DEDUPLICATED = "all", "deduplicated"
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
        folder = work / f"seed-{seed}"
        _prepare(folder, seed)
        _train(folder, options.steps, seed)
        for model in (FULL, DEDUPLICATED):
            _check(folder, model, options.prompts, seed)
            data = f"{model}, seed {seed}"
            yield from figures_of(folder, model, data)
            prompted = prompts_of(folder, model)
            gives, copies = (np.array([getattr(one, name) for one in prompted]) for name in ("gives", "copies"))
            command = f"{_drawing(folder, model)} --score --jobs {{jobs}} --out {{out}}"
            yield from likely.figures_of(folder / model, command, gives, copies, data)
            yield from _canaries(folder, model, data)


def _prepare(folder: Path, seed: int) -> None:
    if not (folder / "training/manifest.csv").exists():
        write_set(folder, seed)
    if not (folder / "dedup/keep.txt").exists():
        _run(memaudit("embed", folder / "training/manifest.csv", "--out", folder / "store"))
        _run(memaudit("dedup", folder / "store", "--out", folder / "dedup"))


def _train(folder: Path, steps: int, seed: int) -> None:
    """Both models at once, a core each."""
    command = [sys.executable, "-m", "benchmarks.experiment.train", str(folder / "training/manifest.csv")]
    alike = ["--steps", str(steps), "--seed", str(seed), "--also", str(canaries.plant(folder, seed))]
    begun = [
        subprocess.Popen(
            [*command, str(weights_of(folder, model)), *alike, *keep],
            env={**os.environ, "OMP_NUM_THREADS": str(max(1, (os.cpu_count() or 2) // 2))},
        )
        for model, keep in ((FULL, []), (DEDUPLICATED, ["--keep", str(folder / "dedup/keep.txt")]))
    ]
    ends = [process.wait() for process in begun]
    if any(ends):
        raise BenchmarkError(
            "a model was not trained to its end: run it again, and it goes on from its last checkpoint"
        )


def _check(folder: Path, model: str, prompts: int, seed: int) -> None:
    told = folder / f"{model}.toml"
    text = _RELEASE.format(model=model, seed=seed, drawing=_drawing(folder, model), prompts=prompts)
    told.write_text(text, encoding="utf-8")
    _run(memaudit("run", told), fine=(0, 1, 3))


def _canaries(folder: Path, model: str, data: str) -> Iterator[Figure]:
    """Drawn and checked anew each time: they are few."""
    out = folder / f"{model}-canaries"
    shutil.rmtree(out, ignore_errors=True)
    (out / "drawn").mkdir(parents=True)
    jobs = canaries.write_jobs(folder, out / "jobs.jsonl")
    _run([*shlex.split(_drawing(folder, model)), "--jobs", jobs, "--out", out / "drawn"])
    yield from canaries.figures_of(folder, out / "drawn", data)


def _drawing(folder: Path, model: str) -> str:
    return f"{sys.executable} -m benchmarks.experiment.generate {weights_of(folder, model).resolve()}"


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


PACKAGES = ("numpy", "torch", "pillow", "onnxruntime", "opencv-python-headless")
BENCHMARK = Benchmark(__doc__ or "", PACKAGES, add_options, figures, continues=True)
