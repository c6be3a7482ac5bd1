"""What other tools pair of the same pictures: each in a throwaway venv, on folders of files as its users would give it.

fastdup: `run(input_dir=references, test_dir=generations)`, which compares the ones with the others only; pdqhash: PDQ
of the references against that of the generations, turned and mirrored, by the numbers of its authors; immaculate: one
folder that holds both, its groups taken as all pairs within them; perception: its deduplication by SIFT, of the
generations against the references. Pairs among references or among generations are left out.

Reference: Davis et al. 2019, ThreatExchange/hashing/hashing.pdf (PDQ: 31 of 256 bits, quality of at least 50).
"""

from __future__ import annotations

import csv
import os
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from benchmarks.measure import BenchmarkError, Cost, cost_of
from benchmarks.venvs import install_immaculate, installed, version_of

REFERENCES, GENERATIONS, FOUND = "references", "generations", "similarity.csv"

# Each is given: folder of references, folder of generations, a new folder, its setting. It leaves FOUND in the new
# folder: pairs of files as `from,to,distance`, in the words of fastdup, where a "distance" is a similarity.
_FASTDUP = """
import os, sys
os.environ["SENTRY_OPT_OUT"] = "1"  # it sends reports to its makers otherwise
import fastdup
references, generations, out, *setting = sys.argv[1:]
given = {"nearest_neighbors_k": int(setting[0]), "threshold": float(setting[1])} if setting else {}
sys.exit(fastdup.run(input_dir=references, test_dir=generations, work_dir=out, **given))
"""

_PDQ = """
import csv, os, sys
import numpy as np
import pdqhash
from PIL import Image

LEAST_QUALITY, MOST_BITS = 50, 31
references, generations, out = sys.argv[1:]

def pixels(path):
    picture = Image.open(path).convert("RGBA")
    return np.asarray(Image.alpha_composite(Image.new("RGBA", picture.size, "white"), picture).convert("RGB"))

def hashed(folder, compute):
    for entry in sorted(os.scandir(folder), key=lambda entry: entry.name):
        bits, quality = compute(pixels(entry.path))
        if quality >= LEAST_QUALITY:
            yield entry.path, np.atleast_2d(np.asarray(bits, np.float32)) * 2 - 1

names, rows = zip(*hashed(references, pdqhash.compute))
known = np.concatenate(rows).T
with open(os.path.join(out, "similarity.csv"), "w", newline="") as handle:
    writer = csv.writer(handle)
    writer.writerow(["from", "to", "distance"])
    for path, turned in hashed(generations, pdqhash.compute_dihedral):
        bits = ((256 - turned @ known) / 2).min(axis=0)
        writer.writerows((path, names[i], 1 - bits[i] / 256) for i in np.flatnonzero(bits <= MOST_BITS))
"""

_IMMACULATE = """
import csv, itertools, json, os, subprocess, sys
references, generations, out, *setting = sys.argv[1:]
command = [os.path.join(os.path.dirname(sys.executable), "immaculate"), "--json", *setting, os.path.dirname(references)]
groups = json.loads(subprocess.run(command, stdout=subprocess.PIPE, check=True, text=True).stdout)
with open(os.path.join(out, "similarity.csv"), "w", newline="") as handle:
    writer = csv.writer(handle)
    writer.writerow(["from", "to", "distance"])
    for group in [*groups["exact"], *groups["near"]]:
        sides = [[path for path in group if path.startswith(folder + os.sep)] for folder in (generations, references)]
        writer.writerows((*pair, 1) for pair in itertools.product(*sides))
"""

_PERCEPTION = """
import csv, os, sys
from perception.local_descriptor_deduplication import deduplicate

references, generations, out = sys.argv[1:]
files = [[entry.path for entry in os.scandir(folder)] for folder in (references, generations)]
with open(os.path.join(out, "similarity.csv"), "w", newline="") as handle:
    writer = csv.writer(handle)
    writer.writerow(["from", "to", "distance"])
    writer.writerows((*pair, 1) for pair in deduplicate(*files, use_gpu=False))
"""


class Pair(NamedTuple):
    """A generation and a reference; similarity from 0 to 1, or 1 of tools that tell none."""

    query: str
    reference: str
    similarity: float


@dataclass(frozen=True)
class Tool:
    """install: from a folder for a venv to its interpreter. settings: arguments of the script, by their names."""

    package: str
    install: Callable[[Path], Path]
    script: str
    settings: Mapping[str, Sequence[str]]


@dataclass(frozen=True)
class Peer:
    """What a tool found; no cost: it could not be had or run, and the note says why."""

    name: str
    pairs: Sequence[Pair]
    cost: Cost | None
    note: str


TOOLS = (
    Tool(
        "fastdup",
        lambda venv: installed(["fastdup"], venv),
        _FASTDUP,
        {"fastdup, as it is": (), "fastdup, k=6, threshold 0.8": ("6", "0.8")},
    ),
    Tool(
        "pdqhash",
        lambda venv: installed(["pdqhash", "numpy", "pillow"], venv),
        _PDQ,
        {"pdqhash, 8 turns, at most 31 bits": ()},
    ),
    Tool(
        "perception",
        lambda venv: installed(["perception[approximate-deduplication]"], venv),
        _PERCEPTION,
        {"perception, by SIFT": ()},
    ),
    Tool("immaculate", install_immaculate, _IMMACULATE, {"immaculate, --method sscd": ("--method", "sscd")}),
)


def peers(
    references: Mapping[str, Path], generations: Mapping[str, Path], work: Path, tools: Sequence[Tool] = TOOLS
) -> Iterator[Peer]:
    """What each tool pairs of these files, given by image_id; `work` is a new folder for everything that they need."""
    work = work.resolve()
    images = work / "images"
    names = linked(references, images / REFERENCES) | linked(generations, images / GENERATIONS)
    for tool in tools:
        try:
            python = tool.install(work / f"venv-{tool.package}")
        except BenchmarkError as error:
            yield from (Peer(name, (), None, str(error)) for name in tool.settings)
            continue
        for number, name in enumerate(tool.settings):
            yield _run(tool, name, python, names, work / f"{tool.package}-{number}")


def _run(tool: Tool, name: str, python: Path, names: Mapping[str, str], out: Path) -> Peer:
    out.mkdir()
    images = out.with_name("images")
    folders = [images / REFERENCES, images / GENERATIONS, out]
    try:
        cost = cost_of([python, "-c", tool.script, *folders, *tool.settings[name]])
        return Peer(name, read_pairs(out / FOUND, names), cost, version_of(tool.package, python))
    except BenchmarkError as error:
        return Peer(name, (), None, str(error))


def linked(files: Mapping[str, Path], folder: Path) -> dict[str, str]:
    """Hard links in a new folder, or copies where those cannot be; image_ids by the last two parts of their paths.

    No symbolic links: immaculate passes them over.
    """
    folder.mkdir(parents=True)
    names = {}
    for number, (image_id, file) in enumerate(files.items()):
        link = folder / f"{number:06d}{file.suffix}"
        try:
            os.link(file.resolve(), link)
        except OSError:
            shutil.copyfile(file, link)
        names[_key(link)] = image_id
    return names


def _key(path: Path) -> str:
    return f"{path.parent.name}/{path.name}"


def read_pairs(path: Path, names: Mapping[str, str]) -> list[Pair]:
    """Pairs of a generation and a reference, in either order, each once, by image_id. Memory: all of them.

    Raises BenchmarkError if there is no such file, or if it names a file that no tool was given.
    """
    found: dict[tuple[str, str], float] = {}
    try:
        with path.open(encoding="utf-8", newline="") as handle:
            for row in csv.DictReader(handle):
                sides = {key.partition("/")[0]: names[key] for key in (_key(Path(row[end])) for end in ("from", "to"))}
                if len(sides) == 2:
                    pair = sides[GENERATIONS], sides[REFERENCES]
                    found[pair] = max(float(row["distance"]), found.get(pair, -1.0))
    except OSError:
        raise BenchmarkError(f"it has left no {path.name}") from None
    except (KeyError, ValueError) as error:
        raise BenchmarkError(f"its {path.name} cannot be read: {error}") from None
    return [Pair(*pair, similarity) for pair, similarity in found.items()]
