"""The command line: parse, call one library function, print. Commands import what they need when they run."""

from __future__ import annotations

import sys

from memaudit import interrupts

__all__ = ["main"]


def main() -> None:
    """Entry point of the `memaudit` command. It knows of Ctrl-C and of little memory before it loads anything."""
    interrupts.watch()
    try:
        from memaudit.memory import watch_imports

        watch_imports()
        from memaudit.cli.app import main as command

        code = command()
        interrupts.done()
    except BaseException as error:  # libraries make other errors of a KeyboardInterrupt while they are loaded
        from memaudit.memory import refused

        if interrupts.seen():
            interrupts.say()
            code = interrupts.INTERRUPTED
        elif message := refused(error):
            print(f"memaudit: {message}", file=sys.stderr)
            code = 3
        else:
            raise
    sys.exit(code)
