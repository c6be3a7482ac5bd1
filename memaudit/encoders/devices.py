"""Where an encoder works: auto, cpu, cuda, or cuda:3."""

from __future__ import annotations

import re

from memaudit.errors import UsageError

DEVICES = ("auto", "cpu", "cuda")


def require_device(device: str) -> None:
    """Raise UsageError for what is no device."""
    if device not in DEVICES and cuda_number(device) is None:
        raise UsageError(f"unknown device {device!r}: use {', '.join(DEVICES)}, or cuda:N")


def cuda_number(device: str) -> int | None:
    """Which CUDA device is asked for, counted from 0; None for none."""
    found = re.fullmatch(r"cuda(?::(0|[1-9][0-9]{0,3}))?", device, re.ASCII)
    return None if found is None else int(found[1] or 0)
