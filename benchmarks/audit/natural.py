"""Natural copies: colour masks, and round details of paintings."""

from __future__ import annotations

import argparse
import re
from collections.abc import Collection, Iterator, Mapping
from itertools import islice
from pathlib import Path
from types import MappingProxyType

import numpy as np

from benchmarks.audit.commands import ENCODER, audited, embedding, write_manifest
from benchmarks.audit.findings import is_true, rated, read_findings, write_sheet
from benchmarks.copies.split import FIT, REFERENCE, SOURCE, read_split
from benchmarks.record import Figure
from benchmarks.samples import COLOUR_MASK, sample_photographs
from scripts.cache import cache_folder

BACKGROUND = "_background"
DETAIL = re.compile(r"details/(?:.*/)?[^/]+_\d+\.\w+$")
ASKED: Mapping[str, str] = MappingProxyType({"colour masks": ">= 0.95", "round details": ">= 0.80"})


def natural_copies(folder: Path) -> dict[str, dict[Path, Path]]:
    """Originals by their copies, by kind; by the names that the samples and gcompris, in `folder`, give them."""
    masks = {
        p: p.with_stem(p.stem.removesuffix(COLOUR_MASK)) for p in sample_photographs() if p.stem.endswith(COLOUR_MASK)
    }
    paths = sorted(path for path in folder.rglob("*_*") if DETAIL.search(path.as_posix()))
    details = {path: path.with_stem(path.stem.rpartition("_")[0] + BACKGROUND) for path in paths}
    kinds = {"colour masks": masks, "round details": details}
    return {kind: {c: o for c, o in pairs.items() if o.exists()} for kind, pairs in kinds.items()}


def others_than(originals: Collection[Path], count: int) -> dict[str, Path]:
    """References of the part `fit` that are none of these pictures."""
    cache = cache_folder()
    lines = [line for line in read_split() if line.part == FIT and line.role in (SOURCE, REFERENCE)]
    files = {line.name: cache / line.name for line in lines if not line.name.startswith("drawn/")}
    return dict(islice(((name, file) for name, file in files.items() if file not in originals), count))


def of_natural(options: argparse.Namespace, work: Path) -> Iterator[Figure]:
    """With the tiles of the references, and without."""
    kinds = natural_copies(cache_folder() / "pictures/gcompris-qt-data")
    natural = {kind: pairs for kind, pairs in kinds.items() if pairs}
    originals = {f"original/{o.name}": o for pairs in natural.values() for o in pairs.values()}
    queries = {f"original/{o.name}/{c.name}": c for pairs in natural.values() for c, o in pairs.items()}
    references = originals | others_than(set(originals.values()), options.among)
    write_manifest(work / "natural.csv", queries)
    for name, extra in (("reference tiles (embed --fine-tiles)", ("--fine-tiles",)), ("no reference tiles", ())):
        store, out = work / f"originals{len(extra)}", work / f"natural-audit{len(extra)}"
        data = f"natural copies among {len(references):,}, {name}"
        cost = embedding(references, store, ENCODER, *extra)
        yield Figure(data, len(references), "embed, CPU s", cost.cpu_seconds)
        cost = audited(work / "natural.csv", store, out)
        yield Figure(data, len(queries), "audit, CPU s", cost.cpu_seconds)
        yield Figure(data, len(queries), "audit, peak MB", cost.peak_mb)
        findings = read_findings(out)
        found = {f.query for f in findings if is_true(f)}
        for kind, pairs in natural.items():
            hits = np.array([f"original/{o.name}/{c.name}" in found for c, o in pairs.items()], np.int64)
            missed = [c.name for (c, _), hit in zip(pairs.items(), hits, strict=True) if not hit]
            yield rated(data, f"recall, {kind}", hits, 1, ASKED[kind] if extra else "", "; ".join(missed[:20]))
        wrong = [f for f in findings if not is_true(f)]
        note = "; ".join(map(str, wrong))
        yield Figure(data, len(findings), "matches with another reference", len(wrong), note=note)
        write_sheet(wrong, {**references, **queries}, out.with_name(f"{out.name}-wrong.png"))
