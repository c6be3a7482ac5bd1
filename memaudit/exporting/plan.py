"""What an export is going to be, fixed in a file before the first shard: whoever continues it continues this one."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path
from typing import Any

from memaudit.errors import InconclusiveError, UsageError
from memaudit.exporting import options
from memaudit.exporting.layout import Layout
from memaudit.exporting.options import ExportOptions
from memaudit.files import read_json, sealed, unsealed, write_json
from memaudit.folders import LOCK

SCHEMA = "memaudit-export/1"
PLAN = "plan.json"
_BY_WHOM = ("memaudit",)  # of what may differ when an export is continued


@dataclass(frozen=True)
class Lineage:
    """Where an export comes from, as digests: of the store, of its images (their names and files), of the report of the
    dedup run, of the list that decided, of the table of weights and of the list of what must not be there (drop), ""
    for none. created: when that report was written. memaudit: its version.
    """

    store: str
    images: str
    dedup: str
    keep: str
    created: str
    memaudit: str
    weights: str = ""
    drop: str = ""

    def as_dict(self) -> dict[str, str]:
        """Those of the digests that belong into a plan; the last two only where there are some, as before there were
        any."""
        digests = {name: getattr(self, name) for name in ("store", "images", "dedup", "keep")}
        return digests | {name: found for name in ("weights", "drop") if (found := getattr(self, name))}


def file_names(to: str, layout: Layout) -> list[str]:
    """The file of each shard, from the export's folder; "" for one that holds nothing, or is no file."""
    there = [counts.exported > 0 for counts in layout.counts()]
    numbers = accumulate(there, initial=0)
    named = zip(layout.names, numbers, there, strict=False)
    return [_file_name(to, name, number, sum(there)) if is_there else "" for name, number, is_there in named]


def _file_name(to: str, name: str, number: int, count: int) -> str:
    match to:
        case options.HF:
            return f"data/train-{number:05d}-of-{count:05d}.parquet"
        case options.MANIFEST:
            return "manifest.parquet"
        case options.FOLDER:
            return ""
    return f"{name}.tar" if to == options.WEBDATASET else f"data/{name}.parquet"


def plan_of(chosen: ExportOptions, layout: Layout, lineage: Lineage) -> dict[str, Any]:
    shards = zip(layout.names, file_names(chosen.to, layout), layout.counts(), strict=True)
    return {
        "schema": SCHEMA,
        **chosen.as_dict(),
        "memaudit": lineage.memaudit,
        "lineage": lineage.as_dict(),
        "samples": layout.samples.as_dict() | {"mixed": layout.mixed},
        "images": layout.images.as_dict(),
        "shards": [{"name": name, "file": file, **counts.as_dict()} for name, file, counts in shards],
    }


def settle(out: Path, plan: dict[str, Any]) -> None:
    """Write the plan, or find that it is the one that `out` was begun with.

    Raises UsageError for a folder that holds something else, or was begun with other options or of another state of
    its sources; InconclusiveError where somebody changed its plan.
    """
    path = out / PLAN
    if not path.exists():
        if found := sorted(entry.name for entry in out.iterdir() if not entry.name.startswith(LOCK)):
            raise UsageError(f"{out} holds {found[0]}, which no memaudit export wrote there: choose another --out")
        write_json(path, sealed(plan))
        return
    begun = unsealed(path, read_json(path))
    if begun.get("schema") != SCHEMA:
        raise InconclusiveError(f"{path} is of another version of memaudit ({str(begun.get('schema'))[:40]})")
    for name in plan.keys() | begun.keys() - set(_BY_WHOM):
        if name not in _BY_WHOM and begun.get(name) != plan.get(name):
            raise UsageError(f"{out} was begun {_difference(name, begun, plan)}: choose another --out, or delete it")


def _difference(name: str, begun: dict[str, Any], plan: dict[str, Any]) -> str:
    for option in _OPTIONS:
        if begun.get(option) != plan.get(option):
            return f"with {_OPTIONS[option]} {_said(begun.get(option))}, not {_said(plan.get(option))}"
    if begun.get("lineage") != plan["lineage"]:
        was = begun.get("lineage", {})
        of = next(key for key in _SOURCES if was.get(key) != plan["lineage"].get(key))
        return f"from another state of the {_SOURCES[of]}"
    return f"with other {name}"


_OPTIONS = {
    "to": "--to",
    "which": "--which",
    "fold": "--fold",
    "shard_samples": "--shard-samples",
    "links": "--in-place-links",
    "embeddings": "--embeddings",
    "opt_outs": "--respect-opt-outs",
}
_SOURCES = {
    "store": "store",
    "images": "images",
    "dedup": "dedup run, or another one",
    "keep": "list",
    "drop": "list of --drop",
    "weights": "weights",
}


def _said(value: object) -> str:
    return "none" if value in ("", None) else str(value)
