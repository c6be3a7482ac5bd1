"""The one door to onnxruntime: it is loaded without its telemetry."""

from __future__ import annotations

import os
from typing import Any

from memaudit.errors import require


def import_onnxruntime(purpose: str, otherwise: str = "") -> Any:
    """The module onnxruntime, or the error that `errors.require` raises for `purpose`.

    As it comes, it writes a device id and a queue of events, the interpreter's path among them, into the user's cache,
    and looks up where to send them. It asks for the variable once, when it is loaded: what can be called later
    (`disable_telemetry_events`) is too late.
    """
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
    return require("onnxruntime", purpose, otherwise)
