"""Time and memory of `memaudit export`, and whether one that was killed half-way ends as if nothing had happened.

Samples are real pictures of at most 512 px and altered copies of them, as `size` has them, in tars with four files a
key (.jpg, .txt, .json, .cls). Each target is written undisturbed; once more, killed when half of its shards are there,
and continued: files that differ then are counted. What is written is read back by webdataset, pyarrow and datasets, and
trained on for one step by a loader of PyTorch, where these are installed.
"""

from __future__ import annotations

import argparse
import io
import json
import os
import signal
import subprocess
import tarfile
import time
from collections.abc import Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
from PIL import Image

import memaudit as ma
from benchmarks.measure import BenchmarkError, cost_of, embed_command, memaudit, timed
from benchmarks.record import Figure
from benchmarks.runner import Benchmark
from benchmarks.size import Files
from memaudit.files import sha256_of
from memaudit.types import Float32

TARGETS = ("webdataset", "parquet", "hf", "folder", "manifest")
EACH = 1000  # samples of a tar
SIDE = 32


def figures(options: argparse.Namespace, scratch: Path) -> Iterator[Figure]:
    count = options.samples
    write_tars(Files(scratch / "files", options.copies).first(count), scratch / "tars")
    cost_of(embed_command(scratch / "tars", scratch / "store", options.encoder))
    cost_of(memaudit("dedup", scratch / "store", "--out", scratch / "dedup", "--match", "none"))
    kept = len((scratch / "dedup" / "keep.txt").read_text(encoding="utf-8").splitlines())
    yield Figure("tars", count, "samples kept", kept)
    for to in TARGETS:
        yield from of_target(to, scratch, count)
    for name, read in (("webdataset", by_webdataset), ("pyarrow", by_pyarrow), ("datasets", by_datasets)):
        there = find_spec(name) is not None
        found, note = (read(scratch), "") if there else (None, "not installed")
        yield Figure("tars", count, f"samples that {name} reads", found, asked=f"== {kept}", note=note)
    moved = trained(scratch / "webdataset") if find_spec("torch") else None
    yield Figure("tars", count, "weights that a training step moved, share", moved, asked="> 0")
    yield from of_filter(scratch, count, kept)


def of_target(to: str, scratch: Path, count: int) -> Iterator[Figure]:
    out, killed = scratch / to, scratch / f"{to}-killed"
    cost = cost_of(export_command(scratch, to, out))
    yield Figure(to, count, "seconds", cost.seconds)
    yield Figure(to, count, "CPU s", cost.cpu_seconds)
    yield Figure(to, count, "peak MB", cost.peak_mb)
    size = json.loads((out / "export.json").read_text(encoding="utf-8"))["bytes"]
    yield Figure(to, count, "MB of samples", size / 1e6)
    there = kill_half_way(export_command(scratch, to, killed), killed)
    yield Figure(to, count, "shards there when it was killed", there, asked=">= 1" if to != "manifest" else "")
    again = cost_of(export_command(scratch, to, killed))
    yield Figure(to, count, "continued, seconds", again.seconds)
    yield Figure(to, count, "files that differ from an undisturbed run's", len(differing(out, killed)), asked="== 0")


def export_command(scratch: Path, to: str, out: Path) -> list[str | Path]:
    return memaudit("export", scratch / "dedup", "--to", to, "--shard-samples", str(EACH), "--out", out)


def write_tars(files: Sequence[Path], folder: Path) -> None:
    """Whole, or from the beginning: one that was cut would be another set."""
    folder.mkdir(exist_ok=True)
    for start in range(0, len(files), EACH):
        path = folder / f"part-{start // EACH:04d}.tar"
        if not path.is_file():
            part = path.with_suffix(".part")
            with tarfile.open(part, "w") as archive:
                for number, file in enumerate(files[start : start + EACH], start):
                    _add_sample(archive, number, file)
            part.rename(path)


def _add_sample(archive: tarfile.TarFile, number: int, file: Path) -> None:
    family = int(file.parent.name)
    said = {"file": f"{file.parent.name}/{file.name}", "family": family}
    contents = {
        "jpg": file.read_bytes(),
        "txt": f"picture {file.stem} of family {family}".encode(),
        "json": json.dumps(said).encode(),
        "cls": str(family % 1000).encode(),
    }
    for ending, data in contents.items():
        header = tarfile.TarInfo(f"{number:06d}.{ending}")
        header.size = len(data)
        archive.addfile(header, io.BytesIO(data))


def kill_half_way(command: Sequence[str | Path], out: Path) -> int:
    """Start an export, and kill it when half of its shards have their lists; how many had when it was dead."""
    process = subprocess.Popen([*map(str, command)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while process.poll() is None:
        plan, lists = out / "plan.json", list((out / "files").glob("*.parquet")) if (out / "files").is_dir() else []
        if plan.is_file() and 2 * len(lists) >= len(json.loads(plan.read_text(encoding="utf-8"))["shards"]):
            break
        time.sleep(0.02)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    return len(list((out / "files").glob("*.parquet"))) if (out / "files").is_dir() else 0


def differing(left: Path, right: Path) -> set[str]:
    """Files that one of two folders has, or has otherwise."""
    digests = [
        {path.relative_to(each).as_posix(): sha256_of(path) for path in each.rglob("*") if path.is_file()}
        for each in (left, right)
    ]
    return {name for name, _ in digests[0].items() ^ digests[1].items() if not name.startswith(".lock")}


def by_webdataset(scratch: Path) -> int:
    import webdataset

    shards = sorted(str(path) for path in (scratch / "webdataset").glob("*.tar"))
    samples = webdataset.WebDataset(shards, shardshuffle=False)
    return sum({"jpg", "txt", "json", "cls"} <= sample.keys() for sample in samples)


def by_pyarrow(scratch: Path) -> int:
    return sum(pq.read_metadata(path).num_rows for path in (scratch / "parquet" / "data").glob("*.parquet"))


def by_datasets(scratch: Path) -> int:
    import datasets

    cache = str(scratch / "cache")
    return len(datasets.load_dataset(str(scratch / "hf"), split="train", cache_dir=cache))


def trained(folder: Path) -> float:
    """The share of a small network's weights that one step on a batch of the exported samples moves."""
    import torch

    pictures = torch.stack([torch.from_numpy(pixels) for pixels in _pictures(folder, 64)])
    model = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(SIDE * SIDE * 3, 16))
    before = model[1].weight.detach().clone()
    optimiser = torch.optim.SGD(model.parameters(), lr=0.1)
    (batch,) = next(iter(torch.utils.data.DataLoader(torch.utils.data.TensorDataset(pictures), batch_size=64)))
    model(batch).square().mean().backward()
    optimiser.step()
    return float((model[1].weight != before).float().mean())


def _pictures(folder: Path, count: int) -> Iterator[Float32]:
    with tarfile.open(min(folder.glob("*.tar"))) as archive:
        for member in archive:
            file = archive.extractfile(member) if member.name.endswith(".jpg") else None
            if file is not None and count:
                count -= 1
                image = Image.open(io.BytesIO(file.read())).convert("RGB").resize((SIDE, SIDE))
                yield np.asarray(image, np.float32) / np.float32(255)


def of_filter(scratch: Path, count: int, kept: int) -> Iterator[Figure]:
    """Names asked in passing, in batches, and samples one by one."""
    membership = ma.kept(scratch / "dedup")
    names = ma.open_store(scratch / "store").all_columns().image_id.tolist()
    asked = timed(lambda: membership.mask(names).sum())
    if asked.result != kept:
        raise BenchmarkError(f"{asked.result:,} names are kept, expected {kept:,}")
    yield Figure("filter", count, "names/s", count / asked.seconds)
    samples = [{"__url__": name.partition("/")[0], "__key__": name.partition("/")[2][:6]} for name in names]
    found = timed(lambda: sum(1 for _ in membership.samples(samples)))
    yield Figure("filter", count, "samples/s", count / found.seconds)
    yield Figure("filter", count, "samples kept", found.result, asked=f"== {kept}")
    yield Figure("filter", count, "bytes a sample", (membership.keys.nbytes + membership.is_kept.nbytes) / count)


def add_options(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--samples", metavar="N", type=int, default=10_000, help="samples in the tars")
    add("--copies", metavar="N", type=int, default=3, help="altered copies of each picture (default: 3)")
    add("--encoder", metavar="NAME", default="thumbnail")


BENCHMARK = Benchmark(
    __doc__ or "",
    ("datasets", "numpy", "pyarrow", "torch", "webdataset"),
    add_options,
    figures,
    settings=lambda options: {"copies of each": str(options.copies), "encoder": options.encoder},
)
