"""Tests of the fused join in a process of their own, where nobody has imported Triton before."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

TESTS = Path(__file__).with_name("test_fused.py")


@pytest.mark.torch
@pytest.mark.skipif(find_spec("triton") is None, reason="needs Triton, which PyTorch for CUDA brings")
def test_the_fused_join_in_the_interpreter() -> None:
    """All of them pass, and none is skipped."""
    settings = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST_")}
    command = [sys.executable, "-m", "pytest", "-q", "-n", "0", "-p", "no:cacheprovider", str(TESTS)]
    done = subprocess.run(
        command,
        capture_output=True,
        text=True,
        env={**settings, "TRITON_INTERPRET": "1"},
        cwd=TESTS.parents[2],
        check=False,
    )
    assert done.returncode == 0, done.stdout
    assert " passed" in done.stdout
    assert "skipped" not in done.stdout
