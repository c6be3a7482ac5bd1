"""Exports: the data set that is trained on, out of a dedup run; and who is in it, asked in passing."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from msgspec import UNSET
from numpy.typing import NDArray

from memaudit import __version__
from memaudit.api.notebook import card
from memaudit.api.places import AnyStore, folder_of, store_at
from memaudit.api.runs import DedupRun, ReweightRun
from memaudit.api.runs_given import table_of
from memaudit.audit.prompt_weights import ImageWeights
from memaudit.errors import InconclusiveError, InputError, UsageError
from memaudit.exporting.choosing import KEEP, Fates, by_dedup, by_list, read_list, without_opt_outs
from memaudit.exporting.excluding import not_reached
from memaudit.exporting.layout import SampleCounts
from memaudit.exporting.membership import Membership as Membership
from memaudit.exporting.options import KEPT, ExportOptions
from memaudit.exporting.plan import Lineage
from memaudit.exporting.run import Exported
from memaudit.exporting.run import export as run
from memaudit.files import digest_of, is_store, sha256_of
from memaudit.report.document import read_report
from memaudit.report.model import Report
from memaudit.report.run_folder import REPORT
from memaudit.store import Store
from memaudit.types import Progress, silent

DECISIONS, WEIGHTS = "decisions.parquet", "weights.parquet"
Source = AnyStore | DedupRun
"""A dedup run or a store: its folder, or what was opened or made there."""


@dataclass(frozen=True, repr=False)
class Export:
    """An export: what came in and what became of it, and where the files are. reasons: why the dedup run was
    inconclusive; what it decided is exported all the same. opted_out: images that were left out for an opt-out.
    not_reached: what the list `drop` says nothing of: copies of what it names, and names that the store has not.

    >>> dedup = ma.run_dedup(ma.embed("training", out="store", encoder="thumbnail"), out="dedup")
    >>> ma.export(dedup, "kept", to="webdataset").shards
    ('shard-000000.tar',)
    """

    exported: Exported
    to: str
    reasons: tuple[str, ...] = ()
    opted_out: int = 0
    not_reached: tuple[str, ...] = ()

    @property
    def folder(self) -> Path:
        return self.exported.out

    @property
    def samples(self) -> SampleCounts:
        """Samples: all that came in, kept, dropped, unreadable, and exported."""
        return self.exported.samples

    @property
    def images(self) -> SampleCounts:
        """The same of images, of which a sample may have several."""
        return self.exported.images

    @property
    def shards(self) -> tuple[str, ...]:
        """Files that hold samples, from the folder; none where each file stands by itself."""
        return self.exported.shards

    @property
    def digest(self) -> str:
        """SHA-256 of export.json, which has those of all shards."""
        return self.exported.digest

    @property
    def warnings(self) -> tuple[str, ...]:
        """What a reader must know besides."""
        mixed, unsigned, escaped = self.exported.mixed, self.exported.unsigned, self.exported.escaped
        said = {
            f"the dedup run is inconclusive: {'; '.join(self.reasons)}": bool(self.reasons),
            f"samples of several images of which some are kept and others not: {mixed:,}; they are exported "
            "whole": mixed > 0,
            f"URLs without their passwords and signatures: {unsigned:,}; others may read the manifest. To fetch them, "
            "sign them anew, or take your own list by image_id": unsigned > 0,
            f"paths that are no UTF-8, which no table can hold: {escaped:,}; as the manifest has them they lead "
            "nowhere: rename these files and embed them again, or export as --to folder": escaped > 0,
        }
        return (*(line for line, holds in said.items() if holds), *self.not_reached)

    def as_dict(self) -> dict[str, Any]:
        return {
            "out": str(self.folder),
            "to": self.to,
            "samples": self.samples.as_dict(),
            "images": self.images.as_dict(),
            "mixed": self.exported.mixed,
            "opted_out": self.opted_out,
            "files": self.exported.files,
            "bytes": self.exported.bytes,
            "shards": list(self.shards),
            "digest": self.digest,
        }

    def __repr__(self) -> str:
        return f"<Export {self.folder}: {self.samples.exported:,} of {self.samples.all:,} samples as {self.to}>"

    def _repr_html_(self) -> str:
        counts = f"{self.samples.exported:,} of {self.samples.all:,} samples"
        cells = [("folder", str(self.folder)), ("as", self.to), ("digest", self.digest)]
        return card("memaudit export", counts, [*cells, ("warnings", "; ".join(self.warnings))])


def export(
    source: Source,
    out: str | Path,
    *,
    to: str,
    which: str = "kept",
    fold: str | None = None,
    keep: str | Path | None = None,
    drop: str | Path | None = None,
    store: AnyStore | None = None,
    shard_samples: int = 10_000,
    in_place_links: str | None = None,
    embeddings: bool = False,
    weights: str | Path | ReweightRun | None = None,
    respect_opt_outs: bool = False,
    progress: Progress = silent,
) -> Export:
    """Write the samples that a dedup run keeps, whole and byte for byte, into `out`. Called again after a kill, it
    continues, and the files are those of a run that nobody disturbed.

    source: a dedup run, or a store, of which everything that can be read is exported, or what the list `keep` names,
    one image_id a line. drop: such a list of what must not be there, whatever `which` is: no sample of which it names
    an image. It may name images that the store has not, and copies of what it names stay: `warnings` count both. to:
    webdataset, parquet, hf, folder or manifest. which: kept, dropped or all. fold: "2/5", the second of five, by the
    image that each group keeps. store: where the run's store is, if it was moved. shard_samples: in a shard; 0: a shard
    for each archive or table. in_place_links: hard or symbolic links in a folder, instead of copies. embeddings: a
    column of a manifest. weights: a run of `run_reweight`, or its weights.parquet: each sample has its weight beside
    it, as a file `weight.json` of a tar, a column `weight` of a table. respect_opt_outs: images that reserve rights,
    and those kept for such ones, are dropped.

    Raises UsageError for impossible options and for an `out` that was begun otherwise, InputError for sources that are
    gone or were changed since they were embedded, InconclusiveError for a run of another state of the store.

    >>> dedup = ma.run_dedup(ma.embed("training", out="store", encoder="thumbnail"), out="dedup")
    >>> ma.export(dedup, "kept", to="parquet")
    <Export kept: 11 of 12 samples as parquet>
    """
    options = ExportOptions(
        *(to, which, fold or "", shard_samples, in_place_links or ""),
        *(embeddings, weights is not None, respect_opt_outs),
    )
    options.require_possible()
    chosen = _chosen(source, store, keep, drop, groups=bool(fold))
    chosen = chosen.without_opt_outs() if respect_opt_outs else chosen
    given = _weights(weights, chosen.store)
    lineage = replace(chosen.lineage, weights=given.digest)
    made = run(chosen.store, chosen.fates, options, Path(out), lineage, progress, given.weights)
    return Export(made, to, chosen.reasons, chosen.opted_out, chosen.not_reached(drop, which))


class _Weights(NamedTuple):
    weights: ImageWeights | None = None
    digest: str = ""


def _weights(given: str | Path | ReweightRun | None, store: Store) -> _Weights:
    """Of a run only what it wrote of this store; of a table alone whatever it holds."""
    if given is None:
        return _Weights()
    is_table = not isinstance(given, ReweightRun) and Path(given).is_file()
    path = Path(folder_of(given)) if is_table else table_of(given, store, WEIGHTS, "reweight", "--weights")
    return _Weights(ImageWeights.read(path), sha256_of(path))


def kept(
    source: Source,
    *,
    keep: str | Path | None = None,
    drop: str | Path | None = None,
    store: AnyStore | None = None,
    weights: str | Path | ReweightRun | None = None,
    respect_opt_outs: bool = False,
) -> Membership:
    """Which images a dedup run keeps, to be asked while somebody else loads them, and what they weigh, if weights are
    given. Memory: 17 bytes an image, 25 with weights.

    source, keep, drop, store, weights, respect_opt_outs: as for `export`. Raises as it does.

    >>> kept = ma.kept(ma.run_dedup(ma.embed("training", out="store", encoder="thumbnail"), out="dedup"))
    >>> kept.mask(["0001.png", "0003.png", "0009.png"]).tolist()
    [True, True, False]
    """
    chosen = _chosen(source, store, keep, drop)
    chosen = chosen.without_opt_outs() if respect_opt_outs else chosen
    images = _images(chosen.store, chosen.fates)
    membership = Membership.of(images, _weights(weights, chosen.store).weights, chosen.fates.excluded)
    return replace(membership, warnings=chosen.not_reached(drop, KEPT))


def _images(store: Store, fates: Fates) -> Iterator[tuple[str, bool]]:
    ids = (image_id for columns in store.iter_columns() for image_id in columns.image_id)
    return zip(ids, (fates.code == KEEP).tolist(), strict=True)


class _Chosen(NamedTuple):
    store: Store
    fates: Fates
    lineage: Lineage
    reasons: tuple[str, ...] = ()
    decisions: Path | None = None
    opted_out: int = 0
    named: NDArray[np.bool_] | None = None  # by the list of what must not be there

    def without_opt_outs(self) -> _Chosen:
        fates, removed = without_opt_outs(self.store, self.fates, self.decisions)
        return self._replace(fates=fates, opted_out=removed)

    def not_reached(self, drop: str | Path | None, which: str) -> tuple[str, ...]:
        if drop is None or self.named is None:
            return ()
        return not_reached(self.store, Path(drop), self.fates, self.named, which, self.decisions)


def _chosen(
    source: Source,
    store: AnyStore | None,
    keep: str | Path | None,
    drop: str | Path | None,
    *,
    groups: bool = False,
) -> _Chosen:
    chosen = _by_source(source, store, keep, groups)
    if drop is None:
        return chosen
    fates = chosen.fates.without(chosen.store, read_list(Path(drop)))
    lineage = replace(chosen.lineage, drop=sha256_of(Path(drop)))
    return chosen._replace(fates=fates, lineage=lineage, named=fates.excluded)


def _by_source(source: Source, store: AnyStore | None, keep: str | Path | None, groups: bool) -> _Chosen:
    folder = folder_of(source)
    if isinstance(source, DedupRun) or not is_store(folder):
        if keep is not None:
            raise UsageError(f"--keep goes with a store, and {folder} is a dedup run: it has a list of its own")
        return _by_run(folder, store, groups)
    if store is not None:
        raise UsageError(f"--store goes with a dedup run, and {folder} is a store itself")
    opened = store_at(source)
    fates = by_list(opened, Path(keep) if keep else None, groups=groups)
    return _Chosen(opened, fates, _lineage(opened, keep=sha256_of(Path(keep)) if keep else ""))


def _by_run(folder: Path, store: AnyStore | None, groups: bool) -> _Chosen:
    if not (folder / REPORT).is_file():
        raise InputError(
            f"{folder} is no embedding store and no finished dedup run (it has no {REPORT}): run memaudit dedup first, "
            "or again where it was stopped"
        )
    report = read_report(folder / REPORT)
    opened = store_at(store if store is not None else _store_of(folder, report))
    decisions = table_of(folder, opened, DECISIONS)
    fates = by_dedup(opened, decisions, groups=groups)
    lineage = _lineage(opened, dedup=report.digest, created=report.created)
    reasons = () if report.results.conclusive else tuple(report.results.reasons)
    return _Chosen(opened, fates, lineage, reasons, decisions)


def _store_of(folder: Path, report: Report) -> Path:
    """Where a run says that its store is."""
    places = {} if report.head.stores is UNSET else report.head.stores
    found = [place for place, digest in places.items() if digest == report.inputs.get("store")]
    if not found:
        raise UsageError(f"{folder} does not say where its store is: name it with --store")
    if not is_store(folder / found[0]):
        raise InconclusiveError(f"the store of {folder} is not at {folder / found[0]} any more: name it with --store")
    return folder / found[0]


def _lineage(store: Store, dedup: str = "", keep: str = "", created: str = "") -> Lineage:
    images = digest_of([shard.content_sha256 for shard in store.manifest.shards])
    return Lineage(store.digest, images, dedup, keep, created, __version__)
