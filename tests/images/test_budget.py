"""The budget that decoding threads share: never exceeded, never a deadlock."""

from __future__ import annotations

import random
import time
from concurrent.futures import ThreadPoolExecutor
from threading import Lock

import pytest
from broken_inputs import PNG, png

from memaudit.images import decode as decoding_module
from memaudit.images.budget import Budget
from memaudit.images.decode import UnreadableImageError, decode, decoding


class Held:
    """Counts the units that threads hold at the same time."""

    def __init__(self, budget: Budget) -> None:
        self.budget = budget
        self.now: list[int] = []
        self.most = 0
        self.lock = Lock()

    def hold(self, units: int) -> None:
        counted = min(units, 10)  # more than the budget holds all of it
        with self.budget.taking(units):
            with self.lock:
                self.now.append(counted)
                self.most = max(self.most, sum(self.now))
            time.sleep(0.001)
            with self.lock:
                self.now.remove(counted)


@pytest.mark.parametrize("threads", [1, 2, 16])
def test_what_is_held_stays_below_the_budget(threads: int) -> None:
    """However many threads: together no more than the budget; what exceeds it alone is admitted, alone."""
    held = Held(Budget(10))
    units = [*random.Random(1).choices((1, 3, 7, 10, 25), k=200), 25, 25, 0]
    with ThreadPoolExecutor(threads) as pool:
        assert len(list(pool.map(held.hold, units))) == len(units)
    assert held.most <= 10


def test_a_failure_gives_the_units_back() -> None:
    """An exception within the block frees them."""
    budget = Budget(1)
    for _ in range(3):
        with pytest.raises(KeyError), budget.taking(1):
            raise KeyError


def test_images_wait_for_each_others_pixels(monkeypatch: pytest.MonkeyPatch) -> None:
    """Threads that keep decoded images hold no more pixels than the budget, and broken ones give theirs back."""
    pixels = 200 * 160
    held = Held(Budget(3 * pixels))
    monkeypatch.setattr(decoding_module, "_PIXELS", held.budget)
    lock, now, most = Lock(), [0], [0]

    def keep(data: bytes) -> str:
        try:
            with decoding(data) as decoded:
                with lock:
                    now[0] += decoded.width * decoded.height
                    most[0] = max(most[0], now[0])
                time.sleep(0.002)
                with lock:
                    now[0] -= decoded.width * decoded.height
        except UnreadableImageError as error:
            return str(error)
        return "ok"

    broken = [PNG[:300], b"text", b"", png(9000, 9000)]
    with ThreadPoolExecutor(8) as pool:
        outcomes = list(pool.map(keep, [PNG, PNG, *broken] * 10))
    assert outcomes.count("ok") == 20
    assert pixels < most[0] <= 3 * pixels
    assert decode(PNG).image.size == (200, 160)


def test_an_error_within_the_block_is_the_callers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Only what decoding raises becomes a reason."""
    with pytest.raises(ZeroDivisionError), decoding(PNG):
        raise ZeroDivisionError
