"""What stores, indexes and reports hold, and whether they are sound.

A report is read without what stores and indexes need: a gate's environment has neither h5py nor FAISS.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from memaudit.api.notebook import card
from memaudit.api.places import AnyStore, folder_of, is_store
from memaudit.errors import InconclusiveError, InputError
from memaudit.report.document import read_report

if TYPE_CHECKING:
    from memaudit.store import Store


@dataclass(frozen=True, repr=False)
class Description:
    """What something holds: names and values.

    >>> _ = ma.embed("training", out="store", encoder="thumbnail")
    >>> ma.describe("store").values["rows"]
    12
    """

    values: Mapping[str, object]

    def __repr__(self) -> str:
        return f"<Description: {self.values.get('kind', 'memaudit')}>"

    def _repr_html_(self) -> str:
        return card("memaudit", str(self.values.get("kind", "")), [(name, shown(v)) for name, v in self.values.items()])


@dataclass(frozen=True)
class Verification:
    """faults: what is wrong with a store, an index or a report; none if it is sound.

    >>> ma.verify(ma.embed("training", out="store", encoder="thumbnail")).sound
    True
    """

    path: Path
    faults: tuple[str, ...]

    @property
    def sound(self) -> bool:
        return not self.faults


def describe(path: AnyStore) -> Description:
    """Say what a store, an index or a report.json holds. Raises InputError for something else.

    >>> store = ma.embed("training", out="store", encoder="thumbnail")
    >>> ma.describe(store).values["status"]
    {'ok': 12}
    """
    folder = folder_of(path)
    kind = _kind(folder)
    if kind == "store":
        return Description(_describe_store(folder))
    if kind == "index":
        from memaudit.index import read_manifest

        return Description({"kind": "index", **read_manifest(folder)})
    report = read_report(folder)
    return Description(
        {
            "kind": f"report of {report.kind}",
            "created": report.created,
            "headline": report.results.headline,
            "coverage": report.content["coverage"],
            "threshold": report.threshold,
            "findings": len(report.findings),
            "digest": report.digest,
        }
    )


def verify(path: AnyStore) -> Verification:
    """Re-compute every digest of a store, an index or a report.json.

    Raises InputError for something else, and for a report that is not sound.

    >>> _ = ma.embed("training", out="store", encoder="thumbnail")
    >>> ma.verify("store").faults
    ()
    """
    folder = folder_of(path)
    kind = _kind(folder)
    faults: list[str] = []
    if kind == "store":
        from memaudit.embedding.windows import window_faults
        from memaudit.store import verify_store

        faults = [*verify_store(folder), *window_faults(folder)]
    elif kind == "index":
        from memaudit.index import verify_index

        faults = verify_index(folder)
    else:
        read_report(folder)
    return Verification(folder, tuple(faults))


def _kind(path: Path) -> str:
    if is_store(path):
        return "store"
    if (path / "index.json").is_file():
        return "index"
    if path.is_file():
        return "report"
    raise InputError(f"{path} is neither a store, nor an index, nor a report.json")


def _describe_store(path: Path) -> dict[str, object]:
    from memaudit.store import Manifest, Store
    from memaudit.types import Status

    manifest = Manifest.read(path)
    value: dict[str, object] = {
        "kind": "store",
        "complete": manifest.complete,
        **({"holds": "faces: biometric templates of people"} if manifest.kind == "faces" else {}),
        "encoder": manifest.encoder.identity,
        "sources": list(manifest.sources),
        "shards": len(manifest.shards),
        "rows": sum(shard.rows for shard in manifest.shards),
        "comparable": sum(shard.ok for shard in manifest.shards),
    }
    if not manifest.complete:
        return value
    store = Store.open(path)
    status: Counter[str] = Counter()
    causes: Counter[str] = Counter()
    others: Counter[str] = Counter()
    for columns in store.iter_columns():
        status.update(map(str, columns.status))
        for state, error in zip(columns.status, columns.error, strict=True):
            if error:
                (causes if state == Status.UNREADABLE else others)[error] += 1
    out_of_scope = {"not compared": dict(others.most_common())} if others else {}
    return {
        **value,
        "digest": store.digest,
        "status": dict(status),
        "unreadable": dict(causes.most_common()),
        **out_of_scope,
        **_windows(store),
    }


def _windows(store: Store) -> dict[str, object]:
    """How many tiles and details the images have, or what is wrong with them; nothing of those that are not there."""
    from memaudit.embedding.windows import DETAILS, TILES, details_of, tiles_of, window_counts

    value: dict[str, object] = {}
    for name, open_windows in ((TILES, tiles_of), (DETAILS, details_of)):
        try:
            windows = open_windows(store)
            if windows is not None:
                value[name] = window_counts(windows)._asdict()
        except InconclusiveError as error:
            value[name] = {"fault": str(error)}
    return value


def shown(value: object) -> str:
    """A value in words."""
    if isinstance(value, dict):
        return ", ".join(f"{key}: {shown(item)}" for key, item in value.items()) or "none"
    if isinstance(value, list):
        return ", ".join(map(shown, value)) or "none"
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)
