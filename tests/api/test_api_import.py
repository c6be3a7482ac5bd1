"""`import memaudit` costs nothing: what a name needs is loaded when it is used."""

from __future__ import annotations

import subprocess
import sys

HEAVY = ("numpy", "pyarrow", "h5py", "PIL", "torch", "faiss", "cv2", "onnxruntime", "scipy", "msgspec", "typer")


def modules_after(code: str) -> set[str]:
    done = subprocess.run(
        [sys.executable, "-c", f"{code}; import sys; print(*sys.modules)"], capture_output=True, text=True, check=True
    )
    return set(done.stdout.split())


def test_importing_memaudit_loads_no_package() -> None:
    assert not set(HEAVY) & modules_after("import memaudit as ma; dir(ma)")


def test_a_gate_from_python_loads_no_engine() -> None:
    """A CI job that only judges has neither torch nor faiss nor OpenCV."""
    loaded = modules_after("import memaudit as ma; ma.run_gate")
    assert not {"torch", "faiss", "cv2", "onnxruntime", "h5py", "pyarrow"} & loaded
