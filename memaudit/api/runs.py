"""What a run leaves: its report, its folder and its tables, as they were written or are read again."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from memaudit.api.findings import Findings
from memaudit.api.notebook import Cells, card
from memaudit.api.places import Scratch
from memaudit.api.tables import Table
from memaudit.errors import EmptyInputError, InconclusiveError, InputError, UsageError
from memaudit.faces.stores import template_folders
from memaudit.files import real, whole_file
from memaudit.report.bindings import sha256_in
from memaudit.report.document import read_report
from memaudit.report.inconclusive import write_inconclusive
from memaudit.report.model import (
    About,
    AuditResults,
    Coverage,
    DedupResults,
    Estimate,
    ExtractionResults,
    FaceAuditResults,
    FilterResults,
    Rate,
    Recall,
    Redrawn,
    Report,
    ReweightResults,
)
from memaudit.report.page import percent, percent_down, percent_up
from memaudit.report.run_folder import (
    FACE_CROPS,
    PREVIOUS,
    PREVIOUS_OF_0_2,
    REPORT,
    THUMBNAILS,
    keep_for_owner,
    running,
)
from memaudit.report.searched import searched_in

_ANOTHER = (
    "{path} is a report of {kind}, which has no run of its own: expected audit, dedup, extraction, filter or reweight"
)


@dataclass(frozen=True, repr=False)
class Run:
    """A finished run. report: what report.json holds, typed; folder: where its files are.

    Of a run made without `out` the folder is a temporary one, which is there as long as the result: `write` keeps it.
    """

    report: Report
    folder: Path = field(compare=False)
    scratch: Scratch | None = field(default=None, compare=False)

    @property
    def kind(self) -> str:
        return self.report.kind

    @property
    def headline(self) -> str:
        """The result in a sentence."""
        return self.report.results.headline

    @property
    def conclusive(self) -> bool:
        """False: nothing may be read as clean; `warnings` say why."""
        return self.report.results.conclusive

    @property
    def coverage(self) -> Coverage:
        """How many images were measured, of how many."""
        return self.report.coverage

    @property
    def threshold(self) -> float | None:
        """Similarity from which two images count as alike."""
        return self.report.threshold

    @property
    def warnings(self) -> tuple[str, ...]:
        """Why the result is inconclusive, and what else a reader must know."""
        return tuple(self.report.results.reasons)

    @property
    def findings(self) -> Findings:
        content = self.report.content["findings"]
        rows = tuple(row for row in content if isinstance(row, dict)) if isinstance(content, list) else ()
        return Findings(tuple(self.report.findings), rows, self.folder, self.scratch)

    @property
    def page(self) -> Path:
        """report.html: the same for people."""
        return self.folder / "report.html"

    def table(self, name: str) -> Table:
        """A table by its file name without .parquet."""
        path = self.folder / f"{name}.parquet"
        return Table(path, self.scratch, sha256_in(self.report, path.name))

    def write(self, folder: str | Path) -> Path:
        """Copy the run's files into a folder, report.json last, and return it. They are for their owner alone if the
        run is. Its own folder has them already.

        Raises UsageError if it holds files of such names that no run of this kind wrote, and for the folder that this
        run was put aside in: the oldest of those goes when another comes.
        """
        out = Path(folder)
        if real(out) == real(self.folder):
            return out
        if {real(out) / PREVIOUS, real(out) / PREVIOUS_OF_0_2} & {real(self.folder), *real(self.folder).parents}:
            raise UsageError(f"{self.folder} was put aside in {out}, and may be dropped there: name another folder")
        pictures = [path for name in (THUMBNAILS, FACE_CROPS) for path in sorted(self.folder.glob(f"{name}/*"))]
        files = [path for path in sorted(self.folder.iterdir()) if path.is_file() and not path.name.startswith(".")]
        if not (self.folder / REPORT).stat().st_mode & 0o077:  # it shows people
            keep_for_owner(out)
        with running(out, self.kind):
            for path in (*pictures, *(path for path in files if path.name != REPORT), self.folder / REPORT):
                with path.open("rb") as source, whole_file(out / path.relative_to(self.folder)) as target:
                    shutil.copyfileobj(source, target)
        return out

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {self.headline}>"

    def _repr_html_(self) -> str:
        title = f"memaudit {self.kind}" + ("" if self.conclusive else " (inconclusive)")
        covered = f"{self.coverage.measured:,} of {self.coverage.total:,} images"
        cells = [("measured", covered), *self._cells(), ("warnings", "; ".join(self.warnings))]
        return card(title, self.headline, cells)

    def _cells(self) -> Cells:
        return ()


class AuditRun(Run):
    """What an audit measured. A run of faces alone has no `matches` and `scores`, but `face_matches`.

    >>> audit = ma.run_audit("generations", ma.embed("training", out="store", encoder="thumbnail"), out="audit")
    >>> audit.rate.count, audit.rate.n
    (1, 5)
    >>> ma.open_report("audit") == audit
    True
    """

    @property
    def results(self) -> AuditResults | FaceAuditResults | None:
        """Every figure; None for a run that could not measure anything."""
        found = self.report.results
        return found if isinstance(found, AuditResults | FaceAuditResults) else None

    @property
    def rate(self) -> Rate | None:
        """Generations that repeat any training image, of those measured, with 95 % bounds."""
        return self.results.searched if self.results else None

    @property
    def paired(self) -> Rate | None:
        """Generations that repeat the image of their own prompt; None without a pairing."""
        return self.results.paired if self.results else None

    @property
    def redrawn(self) -> Redrawn | None:
        """Generations that are training images drawn anew, beside the copies; None where the report says nothing of
        them. Its `measured` tells whether they were looked for."""
        found = self.results.redrawn if self.results else None
        return found or None

    @property
    def searched_in(self) -> str:
        """A sentence on which views of the training images were searched."""
        return searched_in(self.report)

    @property
    def of_faces_alone(self) -> bool:
        """Whether two stores of faces were compared, and no images."""
        return isinstance(self.results, FaceAuditResults)

    @property
    def compared_faces(self) -> bool:
        """Whether faces were compared, alone or beside images."""
        return self.results is not None and bool(self.results.faces)

    @property
    def matches(self) -> Table:
        """One row for each generation and training image that match."""
        return self.table("matches")

    @property
    def scores(self) -> Table:
        """One row for each generation."""
        return self.table("scores")

    @property
    def face_matches(self) -> Table:
        """One row for each generated face that matches a training face."""
        return self.table("face_matches")

    @property
    def templates(self) -> tuple[Path, ...]:
        """Stores of faces that the audit keeps in its folder: biometric templates, to be deleted when done."""
        return tuple(template_folders(self.folder))

    @property
    def _control(self) -> str:
        """What chance gives."""
        control = self.results.control if isinstance(self.results, AuditResults) else None
        return f"{control.matched.count:,} of {control.matched.n:,} match" if control else ""

    @property
    def _redrawn(self) -> str:
        found = self.redrawn
        if found is None:
            return ""
        rate = found.searched
        return f"{rate.count:,} of {rate.n:,}" if rate else "not measured"

    def _cells(self) -> Cells:
        rate = self.rate
        if rate is None:
            return ()
        bounds = f"{percent_down(rate.stated.low)} to {percent_up(rate.stated.high)}"
        paired = f"{self.paired.count:,} of {self.paired.n:,}" if self.paired else ""
        return [
            ("rate", f"{percent(rate.value)} ({rate.count:,} of {rate.n:,})"),
            (f"{rate.confidence:.0%} interval", bounds),
            ("of their own prompt", paired),
            ("held-out control", self._control),
            ("re-drawn", self._redrawn),
            ("findings", f"{len(self.findings):,}"),
        ]


class DedupRun(Run):
    """What a dedup run found and decided.

    >>> dedup = ma.run_dedup(ma.embed("training", out="store", encoder="thumbnail"))
    >>> dedup.drop
    ('0009.png',)
    >>> dedup.decisions.to_arrow().num_rows
    12
    """

    @property
    def results(self) -> DedupResults | None:
        """Every figure; None for a run that could not measure anything."""
        return self.report.results if isinstance(self.report.results, DedupResults) else None

    @property
    def recall(self) -> Recall | None:
        """Share of the near-duplicate pairs that this very run found, by pair and by image, with bounds."""
        return self.results.recall if self.results else None

    @property
    def warnings(self) -> tuple[str, ...]:
        compared = self.results.comparison if self.results else None
        return (*super().warnings, *([compared.note] if compared and compared.note else ()))

    @property
    def pairs(self) -> Table:
        """One row for each pair of near-duplicates."""
        return self.table("pairs")

    @property
    def groups(self) -> Table:
        """One row for each image of a group."""
        return self.table("groups")

    @property
    def decisions(self) -> Table:
        """One row for each image: keep or drop, why, and its witness."""
        return self.table("decisions")

    @property
    def skew(self) -> Table:
        """One row for each word or value whose share the removal changes."""
        return self.table("skew")

    @property
    def keep(self) -> tuple[str, ...]:
        """image_ids that stay."""
        return self._decided("keep")

    @property
    def drop(self) -> tuple[str, ...]:
        """image_ids that can go."""
        return self._decided("drop")

    def _decided(self, decision: str) -> tuple[str, ...]:
        table = self.decisions.to_arrow()
        pairs = zip(table.column("image_id").to_pylist(), table.column("decision").to_pylist(), strict=True)
        return tuple(image_id for image_id, decided in pairs if decided == decision)

    def _cells(self) -> Cells:
        found = self.results
        if found is None:
            return ()
        return [
            ("can go", f"{found.dropped:,}"),
            ("stay", f"{found.kept:,}"),
            (
                "recall by pair",
                percent(found.recall.by_pair.value) if found.recall.by_pair.total else "nothing to find",
            ),
            ("images with one found", _recall(found.recall.by_image)),
            *([("images with all found", _recall(found.recall.complete))] if found.recall.complete else []),
        ]


def _share(estimate: Estimate) -> str:
    return "nothing to find" if estimate.value is None else percent(estimate.value)


def _recall(estimate: Estimate) -> str:
    if estimate.value is None:
        return "nothing to find"
    return f"{percent(estimate.value)} (at least {percent_down(estimate.low)})"


class ExtractionRun(Run):
    """Prompts that give one picture again and again.

    >>> ma.run_extract("generations", prompt_pattern="{prompt}.png").conclusive
    False
    """

    @property
    def results(self) -> ExtractionResults | None:
        """Every figure; None for a run that could not measure anything."""
        return self.report.results if isinstance(self.report.results, ExtractionResults) else None

    @property
    def rate(self) -> Rate | None:
        """Prompts that give one picture, of those with enough generations."""
        return self.results.memorised if self.results else None

    @property
    def cliques(self) -> Table:
        """One row for each generation of such a prompt."""
        return self.table("cliques")

    def _cells(self) -> Cells:
        return [("prompts", f"{self.rate.count:,} of {self.rate.n:,}")] if self.rate else ()


class FilterRun(Run):
    """What becomes of the images of a store by a filter.

    >>> store = ma.embed("training", out="store", encoder="thumbnail")
    >>> _ = ma.train_filter(store, {"0000.png": 1, "0001.png": 0}, out="zero", sample=0)
    >>> run = ma.apply_filter("zero", store, cut=0.5)
    >>> run.results.decided.kept + run.results.decided.dropped
    12
    """

    @property
    def results(self) -> FilterResults | None:
        """Every figure; None for a run that could not decide anything."""
        return self.report.results if isinstance(self.report.results, FilterResults) else None

    @property
    def decisions(self) -> Table:
        """One row for each image: keep, drop or undecided, its probability, and why."""
        return self.table("decisions")

    def _cells(self) -> Cells:
        found = self.results
        return [("dropped", f"{found.decided.dropped:,}"), ("kept", f"{found.decided.kept:,}")] if found else ()


class ReweightRun(Run):
    """Weights that undo what a filter shifts.

    >>> store = ma.embed("training", out="store", encoder="thumbnail")
    >>> len(ma.run_reweight(store, ma.run_dedup(store)).weights)
    11
    """

    @property
    def results(self) -> ReweightResults | None:
        """Every figure; None for a run that could not measure anything."""
        return self.report.results if isinstance(self.report.results, ReweightResults) else None

    @property
    def weights(self) -> Table:
        """One row for each image that is left: image_id, weight (1 in the mean), and whether it was measured."""
        return self.table("weights")

    @property
    def shares(self) -> Table:
        """One row for each word, value or cluster: its share before, after, and weighted."""
        return self.table("shares")

    def _cells(self) -> Cells:
        found = self.results
        if found is None:
            return ()
        return [
            ("left", f"{found.kept:,} of {found.images:,}"),
            ("count as", f"{found.effective:,.0f}"),
            ("shares restored", f"{found.restored:,} of {found.tested:,}"),
            ("none left", f"{found.gone:,}"),
        ]


R = TypeVar("R", bound=Run)
_KINDS: dict[str, type[Run]] = {
    "audit": AuditRun,
    "dedup": DedupRun,
    "extraction": ExtractionRun,
    "filter": FilterRun,
    "reweight": ReweightRun,
}


def open_report(path: str | Path) -> Run:
    """What a run wrote: a run of its kind, an AuditRun or DedupRun, say, equal to what the function returned.

    path: the run's folder, or its report.json. Raises InputError for a report that is not sound.

    >>> made = ma.run_dedup(ma.embed("training", out="store", encoder="thumbnail"), out="dedup")
    >>> ma.open_report("dedup") == made
    True
    """
    path = Path(path)
    path = path / REPORT if path.is_dir() else path
    report = read_report(path)
    if report.kind not in _KINDS:
        raise InputError(_ANOTHER.format(path=path, kind=report.kind))
    return _KINDS[report.kind](report, path.parent)


class Place:
    """Where a run writes: `out`, or a scratch folder that its result keeps."""

    def __init__(self, out: str | Path | None) -> None:
        self._scratch = Scratch() if out is None else None
        self.folder = self._scratch.folder if self._scratch else Path(out or "")

    @contextmanager
    def running(self, kind: str, about: About | None = None) -> Iterator[None]:
        """Be the only run in the folder. One that could not measure anything leaves a report that says so, and raises
        InconclusiveError."""
        with running(self.folder, kind):
            try:
                yield
            except (InconclusiveError, EmptyInputError) as error:
                write_inconclusive(kind, str(error), self.folder, about)
                raise InconclusiveError(f"inconclusive: {error}") from None

    def run(self, kind: type[R], report: Report) -> R:
        return kind(report, self.folder, self._scratch)
