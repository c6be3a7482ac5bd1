"""What the server counts, as Prometheus reads it (text format 0.0.4)."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from threading import Lock

KIND = "text/plain; version=0.0.4"
BUCKETS = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)  # seconds
_STATM = Path("/proc/self/statm")


class Metrics:
    """info: labels of a metric that is always 1. waiting: how many pictures wait now. Any thread may count."""

    def __init__(self, info: Mapping[str, str]) -> None:
        self._info = dict(info)
        self.waiting: Callable[[], int] = lambda: 0
        self._requests: Counter[str] = Counter()
        self._verdicts: Counter[str] = Counter({"pass": 0, "fail": 0, "inconclusive": 0})
        self._buckets: Counter[float] = Counter()
        self._seconds = 0.0
        self._lock = Lock()

    def answered(self, status: int) -> None:
        with self._lock:
            self._requests[str(status)] += 1

    def decided(self, verdict: str, seconds: float) -> None:
        with self._lock:
            self._verdicts[verdict] += 1
            self._seconds += seconds
            for bucket in BUCKETS:
                self._buckets[bucket] += seconds <= bucket

    @property
    def text(self) -> bytes:
        with self._lock:
            return ("\n".join(self._lines()) + "\n").encode()

    def _lines(self) -> Iterator[str]:
        labels = ",".join(f'{name}="{_escaped(value)}"' for name, value in self._info.items())
        yield from _head("memaudit_guard_info", "gauge", "What pictures are held against.")
        yield f"memaudit_guard_info{{{labels}}} 1"
        yield from _head("memaudit_requests_total", "counter", "Requests by the status of their answer.")
        yield from (f'memaudit_requests_total{{code="{code}"}} {n}' for code, n in sorted(self._requests.items()))
        yield from _head("memaudit_checks_total", "counter", "Pictures by verdict.")
        yield from (f'memaudit_checks_total{{verdict="{name}"}} {n}' for name, n in self._verdicts.items())
        yield from _head("memaudit_check_seconds", "histogram", "From a picture's last byte to its verdict.")
        yield from (f'memaudit_check_seconds_bucket{{le="{each:g}"}} {self._buckets[each]}' for each in BUCKETS)
        total = sum(self._verdicts.values())
        yield f'memaudit_check_seconds_bucket{{le="+Inf"}} {total}'
        yield f"memaudit_check_seconds_sum {self._seconds:.6f}"
        yield f"memaudit_check_seconds_count {total}"
        yield from _head("memaudit_queue_length", "gauge", "Pictures that wait.")
        yield f"memaudit_queue_length {self.waiting()}"
        if _STATM.exists():
            pages = int(_STATM.read_text(encoding="ascii").split()[1])
            yield from _head("process_resident_memory_bytes", "gauge", "Resident memory.")
            yield f"process_resident_memory_bytes {pages * os.sysconf('SC_PAGE_SIZE')}"


def _head(name: str, kind: str, about: str) -> Iterator[str]:
    yield f"# HELP {name} {about}"
    yield f"# TYPE {name} {kind}"


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
