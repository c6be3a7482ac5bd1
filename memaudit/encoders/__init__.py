"""Encoders: what turns an image into an embedding, and where their weights come from.

Importing this package loads none of them, and no numpy; `load_encoder` loads what it needs.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from memaudit.encoders.catalog import EncoderRow, fetch_weights, list_encoders, load_encoder
    from memaudit.encoders.encoder import Encoder

__all__ = ["Encoder", "EncoderRow", "fetch_weights", "list_encoders", "load_encoder"]


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{'encoder' if name == 'Encoder' else 'catalog'}"), name)
