"""Ctrl-C, from the first moment of the program to its last: exit code 130, and one line."""

from __future__ import annotations

import _thread
import atexit
import os
import signal
import sys
import threading
from types import FrameType

INTERRUPTED = 130
MESSAGE = "interrupted; run the same command again to continue"
_state = {"seen": False, "said": False}


class Pressed(KeyboardInterrupt):
    """Ctrl-C. A KeyboardInterrupt itself that comes out of code made of text, as each dataclass has, `python -m`
    remembers: it ends by the signal then, and not with our exit code."""


def watch() -> None:
    """From now on Ctrl-C raises `Pressed`, a KeyboardInterrupt, and is remembered: libraries make other errors of
    it, or swallow it.

    Where whoever started this program ignores it, it stays ignored.
    """
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _raise)
        sys.unraisablehook = _raise_later
        # Registered first, called last: what comes then is but the unloading of modules, where Python has no handlers
        atexit.register(signal.signal, signal.SIGINT, signal.SIG_IGN)


def seen() -> bool:
    """Whether Ctrl-C was pressed."""
    return _state["seen"]


def expected() -> None:
    """Ctrl-C was what the command waited for: it ended it, and interrupted nothing."""
    _state["seen"] = False


def said() -> None:
    """The line was printed, and the program ends: whoever presses again need not wait for it."""
    _state["said"] = True
    _end_at_once()


def done() -> None:
    """What was asked for is done, and the program ends."""
    _end_at_once()


def say() -> None:
    """Print the line where nothing that could is loaded yet."""
    if not _state["said"]:
        _state["said"] = True
        os.write(2, f"memaudit: {MESSAGE}\n".encode())


def _raise(number: int, frame: FrameType | None) -> None:
    _state["seen"] = True
    raise Pressed


def _raise_later(lost: sys.UnraisableHookArgs, /) -> None:
    """Raise what was raised where nobody could take it, such as in a finalizer, again."""
    if lost.exc_type is not None and issubclass(lost.exc_type, KeyboardInterrupt):
        threading.Timer(0.05, _thread.interrupt_main).start()
    else:
        sys.__unraisablehook__(lost)


def _end_at_once() -> None:
    if signal.getsignal(signal.SIGINT) is _raise:
        signal.signal(signal.SIGINT, _exit)


def _exit(number: int, frame: FrameType | None) -> None:
    say()
    os._exit(INTERRUPTED)
