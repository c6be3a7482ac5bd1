"""Kernels for a card, compiled where there is none."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest


@pytest.mark.slow
@pytest.mark.torch
@pytest.mark.skipif(find_spec("triton") is None, reason="needs Triton, which PyTorch for CUDA brings")
def test_kernels_compile_for_hopper_and_use_its_matrix_units(tmp_path: Path) -> None:
    """Nothing spills; int8 and float16 are multiplied by the instructions of warp groups. In a process of its own: in
    this one Triton may interpret."""
    settings = {**os.environ, "TRITON_CACHE_DIR": str(tmp_path)}
    settings.pop("TRITON_INTERPRET", None)
    command = [sys.executable, "-m", "scripts.compile_kernels", "90"]
    done = subprocess.run(command, capture_output=True, text=True, env=settings, check=False)
    assert done.returncode == 0, done.stderr
    lines = dict(line.split(": ", 1) for line in done.stdout.splitlines())
    assert "IGMMA" in lines["sm_90 scan i8"]
    assert "HGMMA" in lines["sm_90 scan fp16"]
    assert all(" 0 spills" in line for line in lines.values())
    assert len(lines) == 3
