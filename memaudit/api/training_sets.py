"""What differs between the training sets of two audits, by the files of their stores."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from msgspec import UNSET

from memaudit.errors import MemauditError
from memaudit.gate.subjects import training_set_of
from memaudit.report.model import AuditFinding, Report


@dataclass(frozen=True)
class SetsDiffer:
    """earlier, later: digests of the two stores; images: distinct files of each, None where a store is not there.
    added, removed: files that one of them has; why: why that is not known. gone, came: digests of these."""

    earlier: str
    later: str
    images: tuple[int | None, int | None]
    added: int | None = None
    removed: int | None = None
    why: str = ""
    gone: frozenset[str] = frozenset()
    came: frozenset[str] = frozenset()

    @property
    def sentence(self) -> str:
        if self.why:
            return f"What differs between the training sets is not known: {self.why}."
        return f"The training set has {self.added:,} files that it had not, and lacks {self.removed:,} that it had."

    def without_original(self, findings: Iterable[AuditFinding]) -> int:
        """Of the earlier findings, those whose training image is no longer there."""
        return sum(finding.reference_sha256 in self.gone for finding in findings)

    def of_added(self, findings: Iterable[AuditFinding]) -> int:
        """Of the later findings, those whose training image was not there before."""
        return sum(finding.reference_sha256 in self.came for finding in findings)

    def as_dict(self) -> dict[str, object]:
        return {
            "earlier": self.earlier,
            "later": self.later,
            "files": list(self.images),
            "added": self.added,
            "removed": self.removed,
            "why": self.why,
        }


def sets_of(earlier: tuple[Path, Report], later: tuple[Path, Report]) -> SetsDiffer | None:
    """None where both audits are of one training set. Opens the stores, where they are still what was read.

    Memory: the digests of both.
    """
    digests = [training_set_of(report) or "" for _, report in (earlier, later)]
    if digests[0] == digests[1]:
        return None
    files, reasons = list[frozenset[str] | None](), list[str]()
    for (path, report), digest in zip((earlier, later), digests, strict=True):
        found = _files_of(path, report, digest)
        files.append(found if isinstance(found, frozenset) else None)
        reasons += [found] if isinstance(found, str) else []
    before, after = files
    counts = (len(before) if before is not None else None, len(after) if after is not None else None)
    if before is None or after is None:
        return SetsDiffer(digests[0], digests[1], counts, why="; ".join(reasons))
    came, gone = after - before, before - after
    return SetsDiffer(digests[0], digests[1], counts, len(came), len(gone), "", gone, came)


def _files_of(path: Path, report: Report, digest: str) -> frozenset[str] | str:
    """The files that a store is made from, or why they are not known."""
    from memaudit.store import Store
    from memaudit.types import NO_FILE

    stores = {} if report.head.stores is UNSET else report.head.stores
    places = [path.parent / place for place, of in stores.items() if of == digest]
    if not places:
        return f"{path} does not say where its store is"
    try:
        store = Store.open(places[0])
    except MemauditError as error:
        return str(error)
    if store.digest != digest:
        return f"{places[0]} is another one than {path} is about"
    return frozenset(str(sha256) for columns in store.iter_columns() for sha256 in columns.sha256 if sha256 != NO_FILE)
