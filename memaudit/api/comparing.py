"""Two audits held side by side."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from memaudit.api.gating import AnyReport, path_of, report_of
from memaudit.api.notebook import card
from memaudit.api.training_sets import SetsDiffer, sets_of
from memaudit.errors import InconclusiveError, UsageError
from memaudit.gate.comparison import Audited, caveat, obstacle, of_other_versions
from memaudit.gate.comparison import Changed as Changed
from memaudit.gate.comparison import Comparison as Comparison
from memaudit.gate.comparison import Pair as Pair
from memaudit.gate.comparison import compare as compare_audits
from memaudit.gate.judging import complaining
from memaudit.gate.redrawn import RedrawnRise as RedrawnRise
from memaudit.report.model import Report
from memaudit.types import Rate


@dataclass(frozen=True, repr=False)
class Compared:
    """Rates of two audits, their difference, and matches lost, gained and changed. warnings: which of them is
    inconclusive. caveat: what the difference cannot say, where the training set, or the version of memaudit, is
    another; sets: what differs.

    >>> store = ma.embed("training", out="store", encoder="thumbnail")
    >>> before, after = (ma.run_audit("generations", store, out=name) for name in ("before", "after"))
    >>> ma.compare(before, after).p
    1.0
    """

    a: str
    b: str
    comparison: Comparison
    warnings: tuple[str, ...]
    caveat: str = ""
    sets: SetsDiffer | None = None

    @property
    def rates(self) -> tuple[Rate, Rate]:
        """Of the earlier and of the later audit."""
        return self.comparison.old, self.comparison.new

    @property
    def p(self) -> float:
        """Two-sided, of the exact test."""
        return self.comparison.p

    def __repr__(self) -> str:
        return f"<Compared: {self._difference}, p {self.p:.3g}>"

    @property
    def _difference(self) -> str:
        return f"{self.comparison.rise.value:+.4%}" if self.comparison.measured else "not measured"

    def _repr_html_(self) -> str:
        found = self.comparison
        sides = zip("AB", self.rates, (self.a, self.b), strict=True)
        cells = [(name, f"{rate.count:,} of {rate.coverage.measured:,}: {path}") for name, rate, path in sides]
        rise = f"{found.rise.low:+.4%} to {found.rise.high:+.4%}"
        cells += [("difference", rise), ("p", f"{self.p:.3g} ({found.test})"), ("warnings", "; ".join(self.warnings))]
        return card("memaudit compare", f"Difference B - A: {self._difference}", cells)

    def as_dict(self) -> dict[str, object]:
        """All of it as one JSON object."""
        found = self.comparison
        return {
            "a": found.old.as_dict(),
            "b": found.new.as_dict(),
            "test": found.test,
            "unit": found.unit,
            "why_not_paired": found.why,
            "n": found.n,
            "gained": found.gained,
            "lost": found.lost,
            "difference": found.rise._asdict() if found.measured else None,
            "p": found.p,
            "gained_matches": [pair._asdict() for pair in found.gained_matches],
            "lost_matches": [pair._asdict() for pair in found.lost_matches],
            "redrawn": _redrawn(found.redrawn),
            "changed_matches": [each._asdict() for each in found.changed_matches],
            "caveat": self.caveat,
            "training_sets": self.sets.as_dict() if self.sets else None,
            "inconclusive": list(self.warnings),
        }


def _redrawn(found: RedrawnRise | str) -> dict[str, object]:
    if isinstance(found, str):
        return {"why_not": found}
    return {
        "a": found.old.as_dict(),
        "b": found.new.as_dict(),
        "difference": found.rise._asdict(),
        "p": found.p,
        "gained": [Pair(*pair)._asdict() for pair in found.gained],
        "lost": [Pair(*pair)._asdict() for pair in found.lost],
    }


def compare(a: AnyReport, b: AnyReport) -> Compared:
    """Hold two audits side by side: McNemar's exact test where their generations are paired, else Fisher's.

    a, b: report.json of the earlier and the later audit, or the runs. Where their training sets, or the versions of
    memaudit, differ there is a caveat, and which images do is told if both stores are there. Raises UsageError for
    reports of another kind, InconclusiveError for audits that did not count the same thing.

    >>> store = ma.embed("training", out="store", encoder="thumbnail")
    >>> audit = ma.run_audit("generations", store, out="audit")
    >>> ma.compare("audit/report.json", audit).comparison.rise.value
    0.0
    """
    first, second = report_of(a), report_of(b)
    names = str(path_of(a)), str(path_of(b))
    for name, report in zip(names, (first, second), strict=True):
        if report.kind != "audit":
            raise UsageError(f"{name} is a report of {report.kind}: compare takes two of audits")
    with complaining(f"{names[0]} or {names[1]}"):
        why = obstacle(first, second)
    if why:
        raise InconclusiveError(f"{names[0]} and {names[1]} cannot be compared: {why}")
    with complaining(f"{names[0]} or {names[1]}"):
        found = compare_audits(Audited(first), Audited(second))
    sets = sets_of((Path(names[0]), first), (Path(names[1]), second))
    reasons = (*_reasons(names[0], first), *_reasons(names[1], second))
    said = "; ".join(filter(None, (caveat(first, second), of_other_versions(first, second))))
    return Compared(*names, found, reasons, said, sets)


def _reasons(name: str, report: Report) -> list[str]:
    results = report.results
    return [] if results.conclusive else [f"{name} calls itself inconclusive: {'; '.join(results.reasons)}"]
