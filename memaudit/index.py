"""FAISS indexes of a store: build, open, search. Candidates come from the index, similarities from the store."""

from __future__ import annotations

import errno
import os
import tomllib
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from memaudit.errors import InconclusiveError, InputError, MissingDependencyError, UsageError
from memaudit.files import appearing_whole, read_json, sha256_of, write_json
from memaudit.records import Float32, Int64, Progress, silent
from memaudit.similarity import Neighbours, Pairs, exact, top_k
from memaudit.similarity.exact import ROUNDING
from memaudit.similarity.search import as_neighbours, keep_best
from memaudit.store import Store

SCHEMA = "memaudit-index/1"
MANIFEST = "index.json"
VECTORS = "vectors.faiss"
RECALL_ROWS = 1000
SPARE = 16  # candidates beyond k: FAISS breaks ties, and rounds, in its own way
_SEED = 0
_FAISS_ADVICE = 'FAISS is not installed: pip install "memaudit-vision[cpu]", or "memaudit-vision[gpu]" with CUDA 13'


class Searcher(Protocol):
    """Whatever finds the nearest references of queries: a store itself, or an index of it."""

    @property
    def store(self) -> Store: ...

    @property
    def method(self) -> str: ...

    def search(self, queries: Float32, k: int, threshold: float) -> Neighbours: ...


@dataclass(frozen=True)
class ExactSearch:
    """Search a store without an index, by exhaustive products."""

    store: Store
    method: str = "exact"

    def search(self, queries: Float32, k: int, threshold: float) -> Neighbours:
        return top_k(queries, self.store.stored_blocks(), k, threshold)


@dataclass(frozen=True)
class Recipe:
    """A named way to build an index. `floor`: the recall@1 it must reach to be saved."""

    name: str
    factory: str
    about: str
    floor: float


@dataclass(frozen=True)
class IndexRecall:
    """Measured against exact search, over `rows` rows of the store, each without itself."""

    at_1: float
    at_10: float
    rows: int


class Index:
    """An opened index and the store it belongs to."""

    def __init__(self, folder: Path, store: Store, faiss_index: Any, manifest: dict[str, Any]) -> None:
        self.folder = folder
        self.store = store
        self.manifest = manifest
        self.method = f"index:{manifest['recipe']}"
        self._faiss = faiss_index

    @classmethod
    def open(cls, folder: str | Path) -> Index:
        """Open an index and its store.

        Costs one reading of the index file more, for its digest. Raises InputError for something else,
        InconclusiveError if the store or the index file changed since.
        """
        folder = Path(folder)
        manifest = read_manifest(folder)
        path = folder / VECTORS
        if not path.is_file() or path.stat().st_size != manifest["bytes"]:
            raise InconclusiveError(f"index file {path} is missing or cut: build it again with memaudit index")
        if sha256_of(path) != manifest["sha256"]:
            raise InconclusiveError(f"index file {path} was changed: build it again with memaudit index")
        store = Store.open((folder / manifest["store"]).resolve())
        if store.digest != manifest["store_digest"]:
            raise InconclusiveError(
                f"index {folder} was built from another state of store {store.folder}: build it again"
            )
        return cls(folder, store, _read(path), manifest)

    def search(self, queries: Float32, k: int, threshold: float) -> Neighbours:
        """As `top_k`, over the index's candidates."""
        return _rescored(self._faiss, self.store, queries, k, threshold)


def read_manifest(folder: Path) -> dict[str, Any]:
    """Read index.json. Raises InputError if the folder holds no index of this version."""
    if not (folder / MANIFEST).is_file():
        raise InputError(f"{folder} is no index: it has no {MANIFEST} (make one with memaudit index)")
    manifest = read_json(folder / MANIFEST)
    if manifest.get("schema") != SCHEMA:
        raise InputError(f"{folder / MANIFEST} has schema {manifest.get('schema')!r}, this version reads {SCHEMA!r}")
    expected = {"store": str, "store_digest": str, "recipe": str, "bytes": int, "sha256": str, "rows": int}
    if wrong := [key for key, kind in expected.items() if not isinstance(manifest.get(key), kind)]:
        raise InputError(f"{folder / MANIFEST} is damaged: no sound {wrong[0]!r}; build the index again")
    return manifest


def verify_index(folder: str | Path) -> list[str]:
    """Re-compute the digest of an index and hold it against its store; one line for each fault."""
    folder = Path(folder)
    read_manifest(folder)
    try:
        Index.open(folder)
    except (InputError, InconclusiveError) as error:
        return [str(error)]
    return []


def open_searcher(path: str | Path) -> Searcher:
    """Open a store or an index, whichever `path` holds."""
    path = Path(path)
    return Index.open(path) if (path / MANIFEST).is_file() else ExactSearch(Store.open(path))


def build_index(store: Store, folder: str | Path, recipe: str = "flat", progress: Progress = silent) -> Index:
    """Build the index of a store, measure its recall, save it. Rows are added in blocks.

    Raises UsageError for an unknown recipe, InconclusiveError if the recall is below the recipe's floor.
    """
    chosen = read_recipe(recipe)
    faiss = import_faiss()
    if not store.comparable:
        raise InputError(f"store {store.folder} has no readable image: nothing to index")
    index = faiss.IndexIDMap2(faiss.index_factory(store.encoder.dim, chosen.factory, faiss.METRIC_INNER_PRODUCT))
    for block in store.blocks():
        index.add_with_ids(block.embeddings, block.rows)
        progress("indexing", int(index.ntotal), store.comparable)
    recall = _measure_recall(index, store)
    if not recall.at_1 >= chosen.floor:
        raise InconclusiveError(
            f"index recall@1 is {recall.at_1:.4f}, below the floor {chosen.floor:g} of recipe {chosen.name}: not saved"
        )
    return _saved(faiss, index, store, Path(folder), chosen, recall)


def _saved(faiss: Any, index: Any, store: Store, folder: Path, recipe: Recipe, recall: IndexRecall) -> Index:
    with appearing_whole(folder / VECTORS) as temporary:
        _write(faiss, index, temporary)
    manifest = {
        "schema": SCHEMA,
        "store": os.path.relpath(store.folder.resolve(), folder.resolve()),
        "store_digest": store.digest,
        "encoder": store.encoder.as_dict(),
        "recipe": recipe.name,
        "factory": recipe.factory,
        "metric": "inner product of unit vectors (cosine)",
        "rows": int(index.ntotal),
        "index_recall": asdict(recall),
        "faiss": faiss.__version__,
        "bytes": (folder / VECTORS).stat().st_size,
        "sha256": sha256_of(folder / VECTORS),
    }
    write_json(folder / MANIFEST, manifest)
    return Index(folder, store, index, manifest)


def _write(faiss: Any, index: Any, path: Path) -> None:
    try:
        faiss.write_index(index, os.fspath(path))
    except RuntimeError as error:  # how FAISS says that the disk is full
        raise OSError(errno.EIO, " ".join(str(error).split())) from None


def _read(path: Path) -> Any:
    faiss = import_faiss()
    try:
        return faiss.read_index(os.fspath(path))
    except RuntimeError:
        raise InconclusiveError(f"FAISS {faiss.__version__} cannot read {path}: build the index again") from None


def _rescored(index: Any, store: Store, queries: Float32, k: int, threshold: float) -> Neighbours:
    candidates = min(k + SPARE, int(index.ntotal))
    _, rows = index.search(queries, candidates)
    left, column = np.nonzero(rows >= 0)
    pairs = _exact_pairs(store, queries, left, rows[left, column])
    count = np.bincount(pairs.left[pairs.similarity >= np.float32(threshold)], minlength=len(queries))
    # If even the last candidate passes, more may follow: only then is the range asked for.
    full = np.flatnonzero(count >= candidates)
    if len(full):
        limits, _, found = index.range_search(queries[full], float(threshold - ROUNDING))
        near = _exact_pairs(store, queries, np.repeat(full, np.diff(limits.astype(np.int64))), found)
        count[full] = np.bincount(near.left[near.similarity >= np.float32(threshold)], minlength=len(queries))[full]
        pairs = Pairs.joined([pairs.where(~np.isin(pairs.left, full)), near])
    return as_neighbours(keep_best(pairs, k), k, count.astype(np.int64))


def _exact_pairs(store: Store, queries: Float32, left: Int64, rows: Int64) -> Pairs:
    distinct, back = np.unique(rows, return_inverse=True)
    vectors = store.embeddings(distinct)
    return Pairs(left, rows, exact(queries[left], vectors[back]))


def _measure_recall(index: Any, store: Store) -> IndexRecall:
    rows = sample_rows(store, RECALL_ROWS, _SEED)
    queries = store.embeddings(rows)
    truth = top_k(queries, store.blocks(), 11, 1.0)
    found = _rescored(index, store, queries, 11, 1.0)
    return IndexRecall(_recall(truth, found, rows, 1), _recall(truth, found, rows, 10), len(rows))


def _recall(truth: Neighbours, found: Neighbours, rows: Int64, k: int) -> float:
    """Share of the k nearest others that were found; ties count as found, whichever of them came."""
    shares = []
    for own, true_rows, true, found_rows, got in zip(
        rows, truth.rows, truth.similarity, found.rows, found.similarity, strict=True
    ):
        others = true[(true_rows != own) & (true_rows >= 0)][:k]
        hits = got[(found_rows != own) & (found_rows >= 0)][:k]
        shares.append(np.sum(hits[: len(others)] >= others[-1]) / len(others) if len(others) else 1.0)
    return float(np.mean(shares))


def sample_rows(store: Store, size: int, seed: int) -> Int64:
    """At most `size` comparable rows, drawn at random without replacement, sorted."""
    rows = store.comparable_rows()
    if len(rows) <= size:
        return rows
    return np.sort(np.random.default_rng(seed).choice(rows, size, replace=False))


def read_recipe(name: str) -> Recipe:
    """Read a recipe by name. Raises UsageError if there is none of that name."""
    known = {path.stem: path for folder in _recipe_folders() for path in folder.glob("*.toml")}
    if name not in known:
        raise UsageError(f"unknown recipe {name!r}: expected one of {', '.join(sorted(known)) or 'none found'}")
    values = tomllib.loads(known[name].read_text(encoding="utf-8"))
    return Recipe(name, values["factory"], values["about"], values["floor"])


def _recipe_folders() -> list[Path]:
    """The installed package carries the recipes inside it; a checkout has them beside it."""
    package = Path(__file__).resolve().parent
    return [package / "recipes", package.parent / "indexes" / "recipes"]


def import_faiss() -> Any:
    """Import faiss, or raise MissingDependencyError with the line that installs it."""
    try:
        import faiss
    except ImportError:
        raise MissingDependencyError(_FAISS_ADVICE) from None
    return faiss
