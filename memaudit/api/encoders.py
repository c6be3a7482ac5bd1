"""The encoders, and what this machine has for them."""

from __future__ import annotations

from pathlib import Path

from memaudit.api.diagnosis import diagnose
from memaudit.api.inspecting import Description
from memaudit.encoders import EncoderRow, fetch_weights
from memaudit.encoders import list_encoders as rows


def list_encoders() -> list[EncoderRow]:
    """The encoders, the dimension and default threshold of each, and whether its weights are here. Loads none.

    >>> [row.dim for row in ma.list_encoders() if row.name == "sscd"]
    [512]
    """
    return rows()


def fetch_encoder(name: str) -> Path:
    """Bring the weights of an encoder into the cache, verify them, and return their file; what is there stays.

    Raises UsageError where nothing can be fetched under that name, MissingDependencyError where it cannot be had.

    >>> ma.fetch_encoder("thumbnail")
    Traceback (most recent call last):
    memaudit.errors.UsageError: encoder thumbnail has no weights to fetch
    """
    return fetch_weights(name)


def doctor() -> Description:
    """Versions, devices, weights, the FAISS build and disk space: what a bug report needs.

    >>> "python" in ma.doctor().values
    True
    """
    return Description(diagnose())
