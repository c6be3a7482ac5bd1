"""What `memaudit doctor` shows."""

from __future__ import annotations

import os
import platform
import shutil
from collections.abc import Iterable
from importlib import metadata
from importlib.util import find_spec

from memaudit import __version__, machine
from memaudit.errors import OPTIONAL, MissingDependencyError, install_line

ABSENT = "not installed"
PACKAGES = (
    *(
        "torch",
        "torchvision",
        "open_clip_torch",
        "faiss-cpu",
        "faiss-gpu-cuvs",
        "onnxruntime",
        "onnxruntime-gpu",
        "opencv-python-headless",
    ),
    *("numpy", "h5py", "pyarrow", "pillow", "scipy"),
)


ANOTHER = "memaudit"  # a distribution of other people: an auditor of language models, with a command of this name
SAME_FILES = (("faiss-cpu", "faiss-gpu-cuvs"), ("onnxruntime", "onnxruntime-gpu"))


def diagnose() -> dict[str, object]:
    """Versions, extras, devices, weights, the FAISS build, disk space, and what is installed and should not be."""
    from memaudit.encoders import list_encoders
    from memaudit.encoders.weights import weights_folder

    try:
        cache, free = str(weights_folder()), _free(str(weights_folder()))
    except MissingDependencyError as error:
        cache = free = str(error)
    return {
        "memaudit": __version__,
        "python": platform.python_version(),
        "machine": machine_line(),
        "packages": versions_of(PACKAGES),
        "extras": extras(),
        **({"conflicts": found} if (found := conflicts()) else {}),
        "cuda": _cuda(),
        "faiss": _faiss(),
        "weights": {row.name: row.weights for row in list_encoders()},
        "cache": cache,
        "free disk here": _free("."),
        "free disk in the cache": free,
    }


def machine_line() -> str:
    """System, processor, and how many cores may be used here."""
    return f"{platform.system()} {platform.machine()}, {machine.cores()} cores"


def versions_of(packages: Iterable[str]) -> dict[str, str]:
    return {name: _version(name) for name in packages}


def extras() -> dict[str, str]:
    """For each extra whether it is there, or what it lacks and the line that installs it."""
    wanted: dict[str, list[str]] = {}
    for module, (package, extra) in OPTIONAL.items():
        lacking = wanted.setdefault(extra, [])
        if find_spec(module) is None:
            lacking.append(package.partition(",")[0])
    return {
        extra: f"without {', '.join(lacking)}: {install_line(extra)}" if lacking else "installed"
        for extra, lacking in wanted.items()
    }


def conflicts() -> list[str]:
    """Distributions that overwrite each other's files, one line each."""
    found = [f"{a} and {b} own the same files: uninstall both, install one" for a, b in SAME_FILES if _both(a, b)]
    if _version(ANOTHER) != ABSENT:
        found.append(
            f"{ANOTHER} {_version(ANOTHER)} is another tool, with a command of the same name: pip uninstall it"
        )
    return found


def _both(*names: str) -> bool:
    return all(_version(name) != ABSENT for name in names)


def _version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return ABSENT


def _cuda() -> str:
    from memaudit.similarity.whole import torch_or_none

    torch = torch_or_none()
    if torch is None:
        return "torch is not installed"
    if not torch.cuda.is_available():
        return "no device"
    return ", ".join(torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count()))


def _faiss() -> str:
    from memaudit.index import import_faiss

    try:
        faiss = import_faiss()
    except MissingDependencyError as error:
        return str(error)
    return f"{faiss.__version__} ({faiss.get_compile_options().strip()}), {faiss.get_num_gpus()} GPUs"


def _free(path: str) -> str:
    """Free space of the nearest existing folder: the cache need not exist yet."""
    path = os.path.abspath(path)
    while not os.path.exists(path):
        path = os.path.dirname(path)
    return f"{shutil.disk_usage(path).free / 2**30:.1f} GiB"
