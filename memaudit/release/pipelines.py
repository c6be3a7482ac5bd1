"""Draws, or scores, a batch of a release run with a text-to-image pipeline of diffusers, from a folder on this machine.

A process of its own (`python -m memaudit.release.pipelines`), called as any other command that generates is: whatever
the pipeline does to its process, the check goes on. Nothing is fetched. Each image follows from its prompt and seed,
whatever stands beside it in the batch: its noise comes from a generator of its own, on the processor.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from PIL.Image import Image
from PIL.PngImagePlugin import PngInfo

from memaudit.files import text_lines
from memaudit.release.jobs import Job
from memaudit.release.likely import SCORES

_CHECKER = "safety_checker"
DTYPES = ("auto", "float32", "float16", "bfloat16")
_NOISES = 4


def main(arguments: Sequence[str] | None = None) -> int:
    """0, or 2 and one line of what is missing."""
    told = _parser().parse_args(arguments)
    jobs = [Job(**json.loads(line)) for line in text_lines(told.jobs)]
    devices = told.device or ["cpu"]
    try:
        pipelines = [_loaded(told, device) for device in devices]
    except (ImportError, OSError, ValueError, AttributeError) as error:
        print(f"the pipeline in {told.path} cannot be loaded: {' '.join(str(error).split())[:250]}", file=sys.stderr)
        return 2
    with ThreadPoolExecutor(len(devices)) as pool:
        parts = [jobs[number :: len(devices)] for number in range(len(devices))]
        if told.score:
            scored = pool.map(lambda pipeline, part: _scores(pipeline, part, told), pipelines, parts)
            lines = [json.dumps({"name": name, "score": score}) + "\n" for part in scored for name, score in part]
            (Path(told.out) / SCORES).write_text("".join(lines), encoding="utf-8")
        else:
            list(pool.map(lambda pipeline, part: _draw(pipeline, part, told), pipelines, parts))
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m memaudit.release.pipelines")
    for name in ("--jobs", "--out", "--path", "--digest"):
        parser.add_argument(name, required=True)
    parser.add_argument("--device", action="append")
    parser.add_argument("--dtype", choices=DTYPES, default="auto")
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--scheduler", default="")
    parser.add_argument("--unchecked", action="store_true")
    parser.add_argument("--score", action="store_true")
    parser.add_argument("--options", type=json.loads, default={})
    return parser


def _loaded(told: argparse.Namespace, device: str) -> Any:
    import diffusers
    import torch

    options: dict[str, Any] = {"local_files_only": True}
    if told.dtype != "auto":
        options["torch_dtype"] = getattr(torch, told.dtype)
    if told.unchecked and _CHECKER in _index_of(told.path):
        options |= {_CHECKER: None, "requires_safety_checker": False}
    pipeline = diffusers.DiffusionPipeline.from_pretrained(told.path, **options)
    if told.scheduler:
        pipeline.scheduler = getattr(diffusers, told.scheduler).from_config(pipeline.scheduler.config)
    pipeline.set_progress_bar_config(disable=True)
    return pipeline.to(device)


def _index_of(path: str) -> dict[str, Any]:
    told: dict[str, Any] = json.loads((Path(path) / "model_index.json").read_text(encoding="utf-8"))
    return told


def _draw(pipeline: Any, jobs: Sequence[Job], told: argparse.Namespace) -> None:
    """Write an image for each job; none for what the pipeline's own checker holds back."""
    for part in _batches(jobs, told.batch):
        for job, image in zip(part, _drawn(pipeline, part, told.options), strict=True):
            if image is not None:
                image.save(Path(told.out) / f"{job.name}.png", pnginfo=_said(job, told))


def _batches(jobs: Sequence[Job], size: int) -> Iterator[Sequence[Job]]:
    return (jobs[low : low + size] for low in range(0, len(jobs), size))


class _FirstPredictionError(Exception):
    """Ends a pipeline after its first step. prediction (2 n, …): without captions, and with them."""

    def __init__(self, prediction: Any) -> None:
        self.prediction = prediction


def _scores(pipeline: Any, jobs: Sequence[Job], told: argparse.Namespace) -> list[tuple[str, float]]:
    """How far the first prediction moves by the caption, as a mean over `_NOISES` noises (Wen et al., ICLR 2024)."""

    def ends(module: Any, given: Any, predicted: Any) -> None:
        raise _FirstPredictionError(predicted[0] if isinstance(predicted, tuple) else predicted.sample)

    denoiser = getattr(pipeline, "unet", None) or pipeline.transformer
    denoiser.register_forward_hook(ends)
    return [
        (job.name, score)
        for part in _batches(jobs, told.batch)
        for job, score in zip(part, _moved(pipeline, part, told.options), strict=True)
    ]


def _moved(pipeline: Any, jobs: Sequence[Job], options: dict[str, Any]) -> list[float]:
    total: Any = 0.0
    for number in range(_NOISES):
        try:
            list(_drawn(pipeline, [job._replace(seed=job.seed + number) for job in jobs], options))
        except _FirstPredictionError as ended:
            without, told = _halves(ended.prediction.float(), len(jobs))
            total += (told - without).flatten(1).norm(dim=1) / _NOISES
    return [float(each) for each in total]


def _halves(prediction: Any, count: int) -> Any:
    if len(prediction) != 2 * count:
        raise SystemExit("this pipeline is not guided by a prediction without the prompt: it cannot score prompts")
    return prediction.chunk(2)


def _drawn(pipeline: Any, jobs: Sequence[Job], options: dict[str, Any]) -> Iterator[Image | None]:
    import torch

    noise = [torch.Generator("cpu").manual_seed(job.seed) for job in jobs]
    made = pipeline(prompt=[job.prompt for job in jobs], generator=noise, **options)
    held_back = getattr(made, "nsfw_content_detected", None) or [False] * len(jobs)
    for image, held in zip(made.images, held_back, strict=True):
        yield None if held else image


def _said(job: Job, told: argparse.Namespace) -> PngInfo:
    """What the file says of itself."""
    info = PngInfo()
    for name, value in (("prompt", job.prompt), ("seed", str(job.seed)), ("pipeline", told.digest)):
        info.add_itxt(f"memaudit:{name}", value)
    info.add_itxt("memaudit:options", json.dumps(told.options, sort_keys=True))
    return info


if __name__ == "__main__":
    sys.exit(main())
