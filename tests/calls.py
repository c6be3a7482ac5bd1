"""Calls of the command line, in this process or as a program."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple


class Called(NamedTuple):
    """What a call gave."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> dict[str, Any]:
        """Stdout, which must be one JSON object and nothing else."""
        value = json.loads(self.out)
        assert isinstance(value, dict)
        assert self.out.count("\n") == 1
        return value

    def failed(self, code: int, *words: str) -> None:
        """Assert the exit code, and that stderr is one line that holds `words`."""
        assert self.code == code, (self.code, self.err)
        assert self.err.startswith("memaudit: ")
        assert self.err.count("\n") == 1
        assert "Traceback" not in self.out + self.err
        for word in words:
            assert word in self.err


Memaudit = Callable[..., Called]


def program(*arguments: str | Path, **options: Any) -> Called:
    """The same as a program of its own."""
    command = [sys.executable, "-m", "memaudit", *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, errors="surrogateescape", **options)
    return Called(done.returncode, done.stdout, done.stderr)
