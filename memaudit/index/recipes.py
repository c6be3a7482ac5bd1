"""Recipes: how an index is built, in small TOML files, and which one fits a store and a machine."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, NamedTuple

from memaudit.errors import UsageError, install_line
from memaudit.files import read_small, toml_in
from memaudit.index.faiss_library import gpus, import_faiss, ivf_of, made
from memaudit.machine import free_memory
from memaudit.similarity.card import SHARE, free_bytes

AUTO = "auto"
CAGRA = "cagra"
FLOOR = 0.99  # default for a recipe: recall@1 at near-duplicate scale
FLAT_ROWS = 200_000  # up to here one query of an exact index takes less than 50 ms on two cores
MEMORY_SHARE = 0.6  # of what is free, for the index: the rest is for blocks, training and everybody else
LEAST_PART = 100_000  # rows: smaller parts would be too many
_ROWS_PER_LIST = 39  # FAISS's own least number of training rows for a list
_FOLDER, _SUFFIX = Path(__file__).with_name("recipe_files"), ".toml"
_NAME = re.compile(r"[a-z][a-z0-9_-]*")


@dataclass(frozen=True)
class Recipe:
    """A way to build an index.

    factory: FAISS's string, in which {nlist} and {subvectors} are filled in. floor: the recall@1 at near-duplicate
    scale that it must reach. lists_per_root: nlist ÷ square root of the rows; coarse_hnsw_from: from so many lists on
    a graph finds them. search: the parameter that is tuned, nprobe or efSearch. candidates: how many of each query
    are re-scored at least. bytes_per_number, bytes_per_row: what a row takes.
    exact: its candidates are the true nearest. on_disk: lists are kept on the disk whatever the memory.
    """

    name: str
    factory: str
    about: str
    floor: float = FLOOR
    lists_per_root: float = 0.0
    coarse_hnsw_from: int = 0
    training_rows_per_list: int = 64
    most_training_rows: int = 2_000_000
    search: str = ""
    candidates: int = 0
    bytes_per_number: float = 4.0
    bytes_per_row: float = 8.0
    exact: bool = False
    on_disk: bool = False

    def bytes_for(self, rows: int, dim: int) -> int:
        """About how large the index of so many rows will be."""
        return int(rows * (self.bytes_per_number * dim + self.bytes_per_row))


class Machine(NamedTuple):
    """What an index may use: bytes of free memory, the number of GPUs, and bytes free on the first (None: not
    known)."""

    memory: int
    gpus: int
    gpu_memory: int | None = None

    @classmethod
    def here(cls) -> Machine:
        cards = gpus()
        return cls(free_memory(), cards, next(iter(free_bytes()), None) if cards else None)


@dataclass(frozen=True)
class Plan:
    """A recipe settled for a store: the factory string, how many lists and training rows, after how many rows a part is
    put on the disk (0: all stay in memory while it is built), and in one line why."""

    recipe: Recipe
    factory: str
    lists: int
    training_rows: int
    part_rows: int
    reason: str

    @property
    def on_disk(self) -> bool:
        return self.part_rows > 0


def settle(name: str, rows: int, dim: int, machine: Machine) -> Plan:
    """Settle a recipe by name, a FAISS factory string or `auto`, for `rows` embeddings of `dim` numbers.

    Raises UsageError for one that is unknown, that needs more memory than there is, or a GPU where there is none.
    """
    recipe, reason = _chosen(rows, dim, machine) if name == AUTO else (_named(name, dim), "as asked")
    if recipe.name == CAGRA:
        _require_cagra(machine, recipe.bytes_for(rows, dim))
    need, room = recipe.bytes_for(rows, dim), int(MEMORY_SHARE * machine.memory)
    lists = _lists(recipe, rows)
    factory = _filled(recipe, lists, dim)
    on_disk = recipe.on_disk or (lists > 0 and need > room)
    if need > room and not on_disk:
        raise UsageError(
            f"recipe {recipe.name} needs about {need / 1e9:.1f} GB for {rows:,} images, {room / 1e9:.1f} GB may be "
            "used: choose --recipe auto, ivf or ivfpq, whose lists can stay on the disk"
        )
    training = min(rows, recipe.most_training_rows, max(20_000, recipe.training_rows_per_list * max(1, lists)))
    part_rows = rows_for(room // 2, need / rows) if on_disk else 0
    return Plan(recipe, factory, lists, training, part_rows, reason + (", lists on the disk" if on_disk else ""))


def rows_for(memory: float, bytes_per_row: float) -> int:
    """How many rows of an index fit."""
    return max(LEAST_PART, int(memory / bytes_per_row))


def _chosen(rows: int, dim: int, machine: Machine) -> tuple[Recipe, str]:
    """The first of flat, ivf and ivfpq that is quick enough and fits."""
    flat, ivf = read_recipe("flat"), read_recipe("ivf")
    size, room = ivf.bytes_for(rows, dim), MEMORY_SHARE * machine.memory
    where = f"{rows:,} images x {dim} numbers"
    if rows <= FLAT_ROWS and flat.bytes_for(rows, dim) <= room:
        return flat, f"auto: flat, exact and fast enough for {where}"
    device = f"{machine.gpus} GPUs" if machine.gpus else "CPU"
    if size <= room:
        return ivf, f"auto: ivf, {where} take {size / 1e9:.1f} GB of {room / 1e9:.1f} GB that may be used ({device})"
    pq = read_recipe("ivfpq")
    need = pq.bytes_for(rows, dim)
    return pq, (
        f"auto: ivfpq, {where} take {need / 1e9:.1f} GB, by recipe ivf they would take {size / 1e9:.1f} GB of the "
        f"{room / 1e9:.1f} GB that may be used ({device})"
    )


def _named(name: str, dim: int) -> Recipe:
    """A recipe of the folder, of a file, or a FAISS factory string."""
    if name in _known() or name.endswith(_SUFFIX):
        return read_recipe(name)
    if _NAME.fullmatch(name):
        raise _unknown(name)
    try:
        index = made(dim, name)
    except UsageError as error:
        raise UsageError(f"{_unknown(name)}; {error}") from None
    lists = ivf_of(index) is not None
    search = "nprobe" if lists else "efSearch" if "HNSW" in name else ""
    return Recipe(name, name, "a FAISS factory string", search=search, candidates=100, exact=name == "Flat")


def read_recipe(name: str) -> Recipe:
    """Read a recipe by name, or of the user's own file. Raises UsageError if there is none, or if it is malformed."""
    path = Path(name) if name.endswith(_SUFFIX) else _known().get(name)
    if path is None or not path.is_file():
        raise _unknown(name)
    kinds = {field.name: field.type for field in fields(Recipe)}
    try:
        values = toml_in(read_small(path))
        if strange := sorted(set(values) - set(kinds) | ({"name"} & set(values))):
            raise ValueError(f"unknown key {strange[0]!r}")
        recipe = Recipe(path.stem, **{key: _converted(kinds[key], value) for key, value in values.items()})
        if recipe.search not in ("", "nprobe", "efSearch"):
            raise ValueError(f"search = {recipe.search!r}, expected nprobe or efSearch")
    except (ValueError, TypeError) as error:
        raise UsageError(f"recipe {path} is malformed: {error}") from None
    return recipe


def _converted(kind: Any, value: Any) -> Any:
    wanted: Any = {"str": str, "float": (int, float), "int": int, "bool": bool}[str(kind)]
    if not isinstance(value, wanted) or (isinstance(value, bool) and kind != "bool"):
        raise TypeError(f"expected {kind}, found {value!r}")
    return float(value) if kind == "float" else value


def _known() -> dict[str, Path]:
    return {path.stem: path for path in _FOLDER.glob(f"*{_SUFFIX}")}


def _unknown(name: str) -> UsageError:
    known = ", ".join([AUTO, *sorted(_known())])
    return UsageError(f"unknown recipe {name!r}: expected one of {known}, a file NAME.toml, or a FAISS factory string")


def _lists(recipe: Recipe, rows: int) -> int:
    if not recipe.lists_per_root:
        return int(found[1]) if (found := re.search(r"IVF(\d+)", recipe.factory)) else 0
    return max(1, min(round(recipe.lists_per_root * math.sqrt(rows)), rows // _ROWS_PER_LIST))


def _filled(recipe: Recipe, lists: int, dim: int) -> str:
    coarse = "_HNSW32" if recipe.coarse_hnsw_from and lists >= recipe.coarse_hnsw_from else ""
    subvectors = max(m for m in range(1, 65) if dim % m == 0)
    return recipe.factory.replace("{nlist}", f"{lists}{coarse}").replace("{subvectors}", str(subvectors))


def _require_cagra(machine: Machine, need: int) -> None:
    if not hasattr(import_faiss(), "GpuIndexCagra") or not machine.gpus:
        raise UsageError(f"recipe cagra needs an NVIDIA GPU and cuVS ({install_line('gpu')}): choose ivf or hnsw here")
    if machine.gpu_memory is not None and need > (room := int(SHARE * machine.gpu_memory)):
        raise UsageError(
            f"recipe cagra needs about {need / 1e9:.1f} GB on the first GPU, {room / 1e9:.1f} GB may be used: choose "
            "--recipe ivf or ivfpq"
        )
