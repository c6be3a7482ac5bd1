"""Manifests of stores and indexes, edited: with a digest that fits, or as versions wrote them that had none."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from memaudit.files import DIGEST, sealed

Change = Callable[[dict[str, Any]], None]


def edit_manifest(folder: Path, change: Change, name: str = "store.json") -> None:
    """Change a manifest as a faulty writer would have written it: what holds is its digest alone."""
    manifest = json.loads((folder / name).read_text())
    bound = manifest.pop(DIGEST, None) is not None
    change(manifest)
    (folder / name).write_text(json.dumps(sealed(manifest) if bound else manifest))


def as_of_0_2(
    folder: Path,
    change: Change = lambda manifest: None,
    *,
    name: str = "store.json",
    schema: str = "memaudit-store/1",
) -> None:
    """The manifest of a store or an index as memaudit 0.1 and 0.2 wrote it: without a digest."""
    edit_manifest(folder, change, name)
    manifest = json.loads((folder / name).read_text()) | {"schema": schema}
    manifest.pop(DIGEST, None)
    (folder / name).write_text(json.dumps(manifest))
