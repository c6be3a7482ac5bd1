"""What `memaudit doctor` shows."""

from __future__ import annotations

import os
import platform
import shutil
from importlib import metadata
from typing import Any

from memaudit import __version__

PACKAGES = (
    *(
        "torch",
        "torchvision",
        "open_clip_torch",
        "faiss-cpu",
        "faiss-gpu-cuvs",
        "onnxruntime",
        "opencv-python-headless",
    ),
    *("numpy", "h5py", "pyarrow", "pillow", "scipy"),
)


def diagnose() -> dict[str, Any]:
    """Collect versions, devices, weights, the FAISS build and disk space."""
    from memaudit.encoders import list_encoders
    from memaudit.encoders.weights import weights_folder

    cache = weights_folder()
    return {
        "memaudit": __version__,
        "python": platform.python_version(),
        "machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores",
        "packages": {name: _version(name) for name in PACKAGES},
        "cuda": _cuda(),
        "faiss": _faiss(),
        "weights": {row.name: row.weights for row in list_encoders()},
        "cache": str(cache),
        "free disk here": _free("."),
        "free disk in the cache": _free(str(cache)),
    }


def _version(name: str) -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return "not installed"


def _cuda() -> str:
    try:
        import torch
    except ImportError:
        return "torch is not installed"
    if not torch.cuda.is_available():
        return "no device"
    return ", ".join(torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count()))


def _faiss() -> str:
    from memaudit.errors import MissingDependencyError
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
