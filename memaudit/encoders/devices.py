"""Where an encoder works: auto, cpu, cuda, or cuda:3; and several at once, all cards of this machine."""

from __future__ import annotations

import os
import re
from importlib.util import find_spec
from pathlib import Path

from memaudit.errors import UsageError

DEVICES = ("auto", "cpu", "cuda")
ALL = "all"
_MOST = 256  # on one machine
_CARDS = Path("/proc/driver/nvidia/gpus")  # a folder for each card, where there is its driver


def require_device(device: str) -> None:
    """Raise UsageError for what is no device."""
    if device not in DEVICES and cuda_number(device) is None:
        raise UsageError(f"unknown device {device!r}: use {', '.join(DEVICES)}, or cuda:N")


def cuda_number(device: str) -> int | None:
    """Which CUDA device is asked for, counted from 0; None for none."""
    found = re.fullmatch(r"cuda(?::(0|[1-9][0-9]{0,3}))?", device, re.ASCII)
    return None if found is None else int(found[1] or 0)


def devices_of(text: str) -> list[str]:
    """The devices that `cuda:0,cuda:1` names, or `all` cards of this machine; one that stands there twice is used by
    two processes. Raises UsageError for what is no device, and where there is no card."""
    found = cuda_devices() if text == ALL else [each.strip() for each in text.split(",")]
    if not found:
        raise UsageError(
            f"--devices {ALL}: there is no CUDA device here; leave it out, or name what to use, such as cpu"
        )
    if len(found) > _MOST:
        raise UsageError(f"--devices names {len(found):,} devices: expected {_MOST} at most")
    for device in found:
        if device == "auto":
            raise UsageError("--devices auto is no list of devices: name them, such as cuda:0,cuda:1, or all")
        require_device(device)
    return found


def cuda_devices() -> list[str]:
    """Those of this machine that a process may use: by PyTorch where that is installed, else by the driver."""
    if find_spec("torch") is not None:
        import torch

        count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    else:
        shown = os.environ.get("CUDA_VISIBLE_DEVICES")
        cards = len(list(_CARDS.iterdir())) if _CARDS.is_dir() else 0
        count = cards if shown is None else min(cards, len(list(filter(None, shown.split(",")))))
    return [f"cuda:{number}" for number in range(count)]
