"""The command line: parse, call one library function, print. Commands import what they need when they run."""

from __future__ import annotations

import sys

from memaudit import interrupts

__all__ = ["main"]


def main() -> None:
    """Entry point of the `memaudit` command. It knows of Ctrl-C before it loads anything else."""
    interrupts.watch()
    try:
        from memaudit.cli.app import main as command

        code = command()
        interrupts.done()
    except BaseException:  # libraries make other errors of a KeyboardInterrupt while they are loaded
        if not interrupts.seen():
            raise
        interrupts.say()
        code = interrupts.INTERRUPTED
    sys.exit(code)
