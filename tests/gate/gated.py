"""Calls of `memaudit gate` and what they gave."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any, NamedTuple


class Gated(NamedTuple):
    """What `memaudit gate` gave."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> dict[str, Any]:
        value: dict[str, Any] = json.loads(self.out)
        return value

    def not_passed(self) -> dict[str, str]:
        return {rule["rule"]: rule["outcome"] for rule in self.json["rules"] if rule["outcome"] != "pass"}


Gate = Callable[..., Gated]
