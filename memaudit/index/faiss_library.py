"""FAISS itself: importing it, and reading and writing its files."""

from __future__ import annotations

import errno
import os
from collections.abc import Sequence
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from memaudit.errors import InconclusiveError, MissingDependencyError, UsageError, install_line, require
from memaudit.memory import is_limited


def import_faiss() -> Any:
    """Import faiss, or raise MissingDependencyError with the line that installs it, or with what it lacks."""
    try:
        faiss = require("faiss", "an index or a clustering")
    except RuntimeError as error:  # a build for CUDA whose libraries are not here
        raise MissingDependencyError(
            f"FAISS is installed, but cannot be loaded ({reason_of(error)}): its build and this machine's CUDA must "
            f"fit each other; without an NVIDIA card take the CPU's: {install_line('cpu', forced=True)}"
        ) from None
    if is_limited():
        _take_buffers()
    return faiss


@cache
def _take_buffers() -> None:
    """As `memory.multiply`, for the OpenBLAS that FAISS brings: it multiplies from twenty queries on."""
    index = import_module("faiss").IndexFlatIP(64)
    index.add(np.ones((1024, 64), np.float32))
    index.search(np.ones((256, 64), np.float32), 1)


def gpus() -> int:
    """How many GPUs FAISS can use."""
    return int(import_faiss().get_num_gpus())


def made(dim: int, factory: str) -> Any:
    """An empty inner-product index that takes ids. Raises UsageError for what is no factory string."""
    faiss = import_faiss()
    try:
        index = faiss.index_factory(dim, factory, faiss.METRIC_INNER_PRODUCT)
    except RuntimeError as error:
        raise UsageError(f"FAISS makes no index of {dim} numbers by {factory!r}: {reason_of(error)}") from None
    ivf = ivf_of(index)
    if isinstance(index, faiss.IndexIDMap) or (ivf is not None and isinstance(index, faiss.IndexRefine)):
        raise UsageError(
            f"FAISS cannot fill an index by {factory!r} with ids of ours: leave IDMap, or RFlat and Refine behind IVF, "
            "out; candidates are scored again with the exact embeddings in any case"
        )
    if hasattr(ivf, "do_polysemous_training"):
        ivf.do_polysemous_training = False  # minutes of annealing, for a Hamming search that nobody asks for
    # Inverted lists hold ids themselves; everything else counts its rows from 0
    return index if ivf is not None else faiss.IndexIDMap(index)


def ivf_of(index: Any) -> Any:
    """The index with inverted lists inside another, as its own class, or None."""
    faiss = import_faiss()
    ivf = faiss.try_extract_index_ivf(index)
    return None if ivf is None else faiss.downcast_index(ivf)


def inner_of(index: Any) -> Any:
    """What an id map wraps, as its own class; anything else as it is."""
    faiss = import_faiss()
    return faiss.downcast_index(index.index) if isinstance(index, faiss.IndexIDMap) else faiss.downcast_index(index)


def set_parameter(index: Any, name: str, value: int) -> None:
    """Set nprobe or efSearch, however deep in the index it is; no name: nothing to set."""
    if name:
        import_faiss().ParameterSpace().set_index_parameter(index, name, value)


def write(index: Any, path: Path) -> None:
    faiss = import_faiss()
    try:
        faiss.write_index(index, os.fspath(path))
    except RuntimeError as error:  # how FAISS says that the disk is full
        raise OSError(errno.EIO, reason_of(error)) from None


def read(paths: Sequence[Path], *, mapped: bool) -> Any:
    """Read an index, of one file or of parts that share their lists. mapped: leave the vectors on the disk; the system
    fetches what a search touches, and may drop it again.

    Raises InconclusiveError for what FAISS cannot read.
    """
    parts = [_read(path, mapped=mapped) for path in paths]
    return parts[0] if len(parts) == 1 else _joined(parts)


def _read(path: Path, *, mapped: bool) -> Any:
    faiss = import_faiss()
    try:
        if not mapped:
            return faiss.read_index(os.fspath(path))
        index = faiss.read_index(os.fspath(path), faiss.IO_FLAG_MMAP)
        if ivf_of(index) is None and hasattr(faiss, "IO_FLAG_MMAP_IFC"):  # FAISS 1.11: other kinds than lists as well
            index = faiss.read_index(os.fspath(path), faiss.IO_FLAG_MMAP_IFC)
    except RuntimeError:
        raise InconclusiveError(f"FAISS {faiss.__version__} cannot read {path}: build the index again") from None
    return index


def _joined(parts: list[Any]) -> Any:
    """One index whose lists are those of all parts, end to end, without copying them."""
    faiss = import_faiss()
    lists = faiss.InvertedListsPtrVector()
    for part in parts:
        ivf = ivf_of(part)
        ivf.own_invlists = False  # they live as long as the process: nothing below says when FAISS is done with them
        lists.push_back(ivf.invlists)
    stack = faiss.HStackInvertedLists(lists.size(), lists.data())
    ivf_of(parts[0]).replace_invlists(stack, False)
    total = sum(int(part.ntotal) for part in parts)
    ivf_of(parts[0]).ntotal = parts[0].ntotal = total
    parts[0].referenced_objects = [*parts[1:], stack, lists]
    return parts[0]


def reason_of(error: RuntimeError) -> str:
    """The last part of FAISS's message, which begins with a C++ signature and a file name."""
    return " ".join(str(error).split()).rpartition("Error: ")[2] or "unknown"


def bytes_on_card(index: Any) -> int:
    """What a copy of an index takes there at most: its codes as they are, and 8 bytes a row for its id.

    Raises RuntimeError for a kind that has no codes of its own, such as a graph.
    """
    return int(index.ntotal) * (int(index.sa_code_size()) + 8)
