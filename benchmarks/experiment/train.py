"""Trains the model of the experiment: `python -m benchmarks.experiment.train MANIFEST OUT`.

The weights that are kept are averages over the last steps. Killed and started again it goes on from its last
checkpoint. Same manifest, steps and seed: same pictures in the same order, whatever the machine.
"""

from __future__ import annotations

import argparse
import copy
import csv
import os
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from benchmarks.experiment.model import BATCH, SIDE, STEPS, Denoiser, batch_of, device_of, loss_of, sketch_loss_of
from scripts.alterations import Rng, read_rgb

SKETCHES = 256
_RATE, _AVERAGED, _UNTOLD = 1e-3, 0.995, 0.1
_QUICK = 5  # times the rate, of what turns captions into sketches: a word is rarely seen
_WARM = 0.025  # share of the steps in which the rate grows
_EVERY = 200  # steps between checkpoints


class Chosen(NamedTuple):
    """keep: image_ids that are trained on, all where it is None; but: those that are not; also: manifests of more that
    are, of any size."""

    keep: frozenset[str] | None = None
    but: frozenset[str] = frozenset()
    also: tuple[Path, ...] = ()


class _Row(NamedTuple):
    path: Path
    image_id: str
    caption: str


class Trained(NamedTuple):
    """What a checkpoint holds."""

    model: Denoiser
    average: Denoiser
    optimizer: Any


def train(manifest: Path, out: Path, chosen: Chosen, steps: int, seed: int, device: str = "cpu") -> None:
    """Write the weights to `out`. The same pictures and noises on any device; bit for bit the same weights on one."""
    if out.exists():
        return
    pictures, captions = _read(manifest, chosen)
    trained, done = _begun(out.with_suffix(".part"), seed, device)
    for step in range(done, steps):
        _step(trained, step / steps, _batch(pictures, captions, seed, step))
        if (step + 1) % _EVERY == 0:
            _save(_state(trained, step + 1), out.with_suffix(".part"))
            print(f"{out.name}: {step + 1} of {steps} steps", flush=True)
    _save(trained.average.state_dict(), out)
    out.with_suffix(".part").unlink(missing_ok=True)


def _read(manifest: Path, chosen: Chosen) -> tuple[NDArray[np.uint8], list[str]]:
    rows = (row for row in _rows(manifest) if row.image_id not in chosen.but)
    told = [row for row in rows if chosen.keep is None or row.image_id in chosen.keep]
    told += [row for also in chosen.also for row in _rows(also)]
    return np.stack([_picture(row.path) for row in told]), [row.caption for row in told]


def _rows(manifest: Path) -> list[_Row]:
    with manifest.open(newline="", encoding="utf-8") as file:
        return [_Row(manifest.parent / row["path"], row["image_id"], row["caption"]) for row in csv.DictReader(file)]


def _picture(path: Path) -> NDArray[np.uint8]:
    image = read_rgb(path)
    return np.asarray(image if image.size == (SIDE, SIDE) else image.resize((SIDE, SIDE), Image.Resampling.LANCZOS))


class _Batch(NamedTuple):
    """pictures (n, 3, 64, 64), -1 to 1, with their captions; and more of both, of which sketches are made."""

    pictures: Any
    captions: tuple[Any, Any]
    sketched: Any
    of_sketches: tuple[Any, Any]


def _batch(pictures: NDArray[np.uint8], captions: list[str], seed: int, step: int) -> _Batch:
    rng = np.random.default_rng([seed, step])
    torch.manual_seed(int(rng.integers(2**31)))
    return _Batch(*_drawn(pictures, captions, BATCH, rng), *_drawn(pictures, captions, SKETCHES, rng))


def _drawn(pictures: NDArray[np.uint8], captions: list[str], count: int, rng: Rng) -> tuple[Any, tuple[Any, Any]]:
    chosen, told = rng.integers(len(pictures), size=count), rng.random(count) >= _UNTOLD
    some = torch.from_numpy(pictures[chosen].astype(np.float32)).permute(0, 3, 1, 2) / 127.5 - 1
    return some, batch_of([captions[i] if is_told else "" for i, is_told in zip(chosen, told, strict=True)])


def _step(trained: Trained, done: float, batch: _Batch) -> None:
    """done: share of the steps."""
    for group, times in zip(trained.optimizer.param_groups, (1, _QUICK), strict=True):
        group["lr"] = times * _RATE * min(1.0, (done + 0.0005) / _WARM) * (1.02 - done)
    device = device_of(trained.model)
    captions, of_sketches = ((words.to(device), starts.to(device)) for words, starts in batch[1::2])
    loss = loss_of(trained.model, batch.pictures, captions)
    loss += sketch_loss_of(trained.model, batch.sketched, of_sketches)
    trained.optimizer.zero_grad()
    loss.backward()
    torch.nn.utils.clip_grad_norm_(trained.model.parameters(), 1.0)
    trained.optimizer.step()
    with torch.no_grad():
        for mean, now in zip(trained.average.parameters(), trained.model.parameters(), strict=True):
            mean.lerp_(now, 1 - _AVERAGED)


def _begun(part: Path, seed: int, device: str) -> tuple[Trained, int]:
    torch.manual_seed(seed)
    model = Denoiser().to(device)
    quick = [*model.words.parameters(), *model.sketch.parameters()]
    slow = [each for each in model.parameters() if all(each is not other for other in quick)]
    optimizer = torch.optim.AdamW([{"params": slow}, {"params": quick}], _RATE, weight_decay=0.01)
    trained = Trained(model, copy.deepcopy(model), optimizer)
    if not part.exists():
        return trained, 0
    state = torch.load(part, weights_only=True, map_location=device)
    for name, one in zip(Trained._fields, trained, strict=True):
        one.load_state_dict(state[name])
    return trained, int(state["step"])


def _state(trained: Trained, step: int) -> dict[str, Any]:
    return {name: one.state_dict() for name, one in zip(Trained._fields, trained, strict=True)} | {"step": step}


def _save(state: Any, path: Path) -> None:
    written = path.with_suffix(".writing")
    torch.save(state, written)
    os.replace(written, path)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("manifest", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--keep", type=Path, help="image_ids to train on, a line each")
    parser.add_argument("--but", type=Path, help="image_ids not to train on, a line each")
    parser.add_argument("--also", type=Path, nargs="+", default=[], help="manifests of more to train on")
    parser.add_argument("--steps", type=int, default=STEPS)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--device", default="cpu", help="cpu, cuda or cuda:N")
    options = parser.parse_args()
    keep, but = (_listed(path) if path else None for path in (options.keep, options.but))
    chosen = Chosen(keep, but or frozenset(), tuple(options.also))
    train(options.manifest, options.out, chosen, options.steps, options.seed, options.device)


def _listed(path: Path) -> frozenset[str]:
    return frozenset(path.read_text(encoding="utf-8").split("\n"))


if __name__ == "__main__":
    main()
