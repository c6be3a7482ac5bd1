"""A budget that threads share: what they hold at once stays below it, however many they are."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Condition


class Budget:
    """So many units of something. A thread must not take twice from one budget: it could wait for itself."""

    def __init__(self, units: int) -> None:
        self._units = units
        self._free = units
        self._changed = Condition()

    @contextmanager
    def taking(self, units: int) -> Iterator[None]:
        """Wait until so many units are free, and hold them for the block. More than there are: wait for all of them."""
        units = min(units, self._units)
        with self._changed:
            self._changed.wait_for(lambda: units <= self._free)
            self._free -= units
        try:
            yield
        finally:
            with self._changed:
                self._free += units
                self._changed.notify_all()
