"""Lines of a run file that name the small generator."""

import sys
from pathlib import Path

GENERATOR = Path(__file__).parent / "small_generator.py"


def command(arguments: str, *more: str) -> str:
    """The lines of a command generator, for a folder that is the working directory."""
    line = f"{sys.executable} {GENERATOR} --training training {arguments}"
    return "\n".join(['kind = "command"', f"command = '{line}'", *more])
