"""The errors a user can meet. A message says what, which value, what was expected, what to do next."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module, metadata
from types import MappingProxyType, ModuleType

from memaudit.memory import refused

# What the base install leaves out, by the name it is imported under: the package, and the extra that brings it.
OPTIONAL = MappingProxyType(
    {
        "scipy": ("SciPy", "cpu"),
        "faiss": ("FAISS", "cpu"),
        "cv2": ("OpenCV, at least 4.8", "cpu"),
        "onnxruntime": ("onnxruntime", "cpu"),
        "dlib": ("dlib", "dlib"),
        "torch": ("PyTorch", "torch"),
        "open_clip": ("open_clip", "torch"),
        "s3fs": ("s3fs", "remote"),
        "gcsfs": ("gcsfs", "remote"),
        "cryptography": ("cryptography", "sign"),
        "rfc3161_client": ("rfc3161-client", "sign"),
        "ray": ("Ray", "ray"),
        "numkong": ("numkong", "bytes"),
    }
)
_GPU_BUILDS = ("faiss-gpu-cuvs", "onnxruntime-gpu")  # the CPU's builds beside these would overwrite their files


class MemauditError(Exception):
    """Base of every error that memaudit raises on purpose; `exit_code` is what the command returns."""

    exit_code = 2


class UsageError(MemauditError):
    """A wrong option, or options that contradict each other."""


class InputError(MemauditError):
    """A file or folder that cannot be used: absent, malformed, of another kind."""


class EmptyInputError(InputError):
    """A source without a single image."""


class MissingDependencyError(MemauditError):
    """An optional package or a weights file is not there; the message holds the line that brings it."""


class InconclusiveError(MemauditError):
    """The input is well-formed but incomplete, so that any answer could be a false "clean"."""

    exit_code = 3


def require(name: str, purpose: str, otherwise: str = "") -> ModuleType:
    """Import one of OPTIONAL, or raise what `missing` says."""
    try:
        return import_module(name)
    except ImportError as error:
        if refused(error):
            raise MemoryError(str(error)) from None
        raise missing(name, purpose, otherwise) from None


def missing(name: str, purpose: str, otherwise: str = "") -> MissingDependencyError:
    """The error for one of OPTIONAL that is not there, as one line: who needs it, the line that installs it, and what
    can be done without it (`otherwise`, if anything)."""
    package, extra = OPTIONAL[name]
    remedy = f"{install_line(extra)}{', or ' if otherwise else ''}{otherwise}"
    return MissingDependencyError(f"{purpose} needs {package}: {remedy}")


@contextmanager
def explaining_imports() -> Iterator[None]:
    """Let the failed import of one of OPTIONAL say what `missing` says. A decorator as well."""
    try:
        yield
    except ModuleNotFoundError as error:
        name = (error.name or "").partition(".")[0]
        if name not in OPTIONAL:
            raise
        raise missing(name, "this") from None


def install_line(extra: str, *, forced: bool = False) -> str:
    """The command that installs an extra. It names the checkout: the distribution is on no index. forced: this extra,
    even if the GPU's builds are there."""
    if extra == "cpu" and not forced and any(map(_is_installed, _GPU_BUILDS)):
        extra = "gpu"
    return f'pip install ".[{extra}]" in a checkout of memaudit'


def _is_installed(distribution: str) -> bool:
    try:
        metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return False
    return True
