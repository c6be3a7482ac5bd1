"""Natural copies: colour masks, and round details of paintings."""

from __future__ import annotations

import argparse
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType

import numpy as np

from benchmarks.audit.commands import audited, embedded, embedding
from benchmarks.audit.findings import is_true, rated, read_findings, write_sheet
from benchmarks.audit.pictures import BACKGROUND, ENCODER, drawn
from benchmarks.record import Figure
from benchmarks.samples import COLOUR_MASK, sample_photographs

DETAIL = re.compile(r"details/(?:.*/)?[^/]+_\d+\.\w+$")
ASKED: Mapping[str, str] = MappingProxyType({"colour masks": ">= 0.95", "round details": ">= 0.80"})


def natural_copies(folders: Sequence[Path]) -> dict[str, dict[Path, Path]]:
    """Originals by their copies, by kind; by the names that the samples and gcompris give them."""
    masks = {
        p: p.with_stem(p.stem.removesuffix(COLOUR_MASK)) for p in sample_photographs() if p.stem.endswith(COLOUR_MASK)
    }
    paths = sorted(path for folder in folders for path in folder.rglob("*_*") if DETAIL.search(path.as_posix()))
    details = {path: path.with_stem(path.stem.rpartition("_")[0] + BACKGROUND) for path in paths}
    kinds = {"colour masks": masks, "round details": details}
    return {kind: {c: o for c, o in pairs.items() if o.exists()} for kind, pairs in kinds.items()}


def of_natural(options: argparse.Namespace, work: Path) -> Iterator[Figure]:
    """With the tiles of the references, and without."""
    natural = {kind: pairs for kind, pairs in natural_copies([*options.images, *options.clip_art]).items() if pairs}
    pictures = drawn(options, options.pictures or work / "pictures")
    originals = {f"original/{o.name}": o for pairs in natural.values() for o in pairs.values()}
    queries = {f"original/{o.name}/{c.name}": c for pairs in natural.values() for c, o in pairs.items()}
    taken = {
        f"{root.name}/{o.relative_to(root)}"
        for root in _roots(options)
        for o in originals.values()
        if root in o.parents
    }
    others = [name for name in pictures.references if name not in taken][: options.among]
    references = originals | pictures.some(others)
    embedded(queries, work / "natural", ENCODER)
    for name, extra in (("reference tiles (embed --fine-tiles)", ("--fine-tiles",)), ("no reference tiles", ())):
        store, out = work / f"originals{len(extra)}", work / f"natural-audit{len(extra)}"
        data = f"natural copies among {len(references):,}, {name}"
        cost = embedding(references, store, ENCODER, *extra)
        yield Figure(data, len(references), "embed, CPU s", cost.cpu_seconds)
        cost = audited(work / "natural", store, out)
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


def _roots(options: argparse.Namespace) -> list[Path]:
    return [*options.images, *options.clip_art, sample_photographs()[0].parents[1]]
