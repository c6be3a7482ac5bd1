"""What people decided: files merged, agreement and precision, a sample to be looked at, files of earlier forms."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from memaudit.api.gating import AnyReport, report_of
from memaudit.api.notebook import card
from memaudit.api.places import AnyStore, Files, files_of, store_at
from memaudit.calibration.estimates import Ends, Ratio, ratio_of
from memaudit.dedup.ignored import read_ruled_out
from memaudit.errors import InputError, UsageError
from memaudit.files import write_text
from memaudit.gate import Accepted, read_accepted
from memaudit.gate.subjects import subject_places, training_set_of
from memaudit.matching.kinds import FACE
from memaudit.report.model import AuditFinding, Report
from memaudit.reviews import (
    LEFT,
    RIGHT,
    Agreement,
    Merged,
    Pair,
    Review,
    Verdict,
    agreements,
    json_lines,
    pair_of,
    read_reviews,
)
from memaudit.reviews.drawing import sample_of
from memaudit.types import NO_FILE


@dataclass(frozen=True, repr=False)
class MergedReviews:
    """What several people said, put together. path: where it was written; None: nowhere.

    >>> audit = ma.run_audit("generations", ma.embed("training", out="store", encoder="thumbnail"))
    >>> _ = ma.sample_findings(audit, "sample.jsonl")
    >>> ma.merge_reviews("sample.jsonl").counts["unlabelled"]
    1
    """

    merged: Merged
    path: Path | None = None

    @property
    def counts(self) -> Mapping[str, int]:
        """Lines, people, and pairs by what is said of them."""
        counts = self.merged.counts
        return {
            "lines": counts.lines,
            "people": counts.people,
            "copies": counts.copies,
            "others": counts.others,
            "unsure": counts.unsure,
            "disagreeing": counts.disagreeing,
            "unlabelled": counts.unlabelled,
            "repeated": counts.repeated,
            "superseded": counts.superseded,
            "faces": len(self.merged.faces),
        }

    @property
    def disagreements(self) -> Mapping[Pair, tuple[Review, ...]]:
        """Pairs on which people disagree, and what each says."""
        return self.merged.disagreements

    @property
    def agreements(self) -> list[Agreement]:
        """Of every two people who looked at the same pairs, how far they agree."""
        return agreements(self.merged.said)

    @property
    def strata_open(self) -> int:
        """Strata of a sample of which nobody has looked at a pair: nothing follows for the whole before that."""
        looked = {how.stratum for pair, how in self.merged.drawn.items() if pair in self.merged.verdicts}
        return len({how.stratum for how in self.merged.drawn.values()} - looked)

    @property
    def precision(self) -> Ratio | None:
        """The share of copies among all that a sample was drawn from, by its strata; None where there is no sample, or
        nobody has looked at a stratum. Doubtful pairs are no copies."""
        drawn, verdicts = self.merged.drawn, self.merged.verdicts
        pairs = [pair for pair in verdicts if pair in drawn]
        looked = [drawn[pair].stratum for pair in pairs]
        if not pairs or self.strata_open:
            return None
        weight = np.array([drawn[pair].pairs / looked.count(drawn[pair].stratum) for pair in pairs])
        left, right = np.unique(np.array(pairs), return_inverse=True)[1].reshape(-1, 2).T
        copies = np.array([verdicts[pair] is Verdict.COPY for pair in pairs], bool)
        ends = Ends(left.astype(np.int64), right.astype(np.int64))
        return ratio_of(copies, np.ones(len(pairs), bool), weight, ends)

    def as_dict(self) -> dict[str, object]:
        """All of it as one JSON object."""
        precision = self.precision
        disagreeing = [
            {
                LEFT: pair.left,
                RIGHT: pair.right,
                "said": {each.who: str(each.verdict) for each in said},
            }
            for pair, said in self.disagreements.items()
        ]
        return {
            **self.counts,
            "disagreements": disagreeing,
            "agreement": [each._asdict() for each in self.agreements],
            "precision": precision._asdict() if precision else None,
            "strata_open": self.strata_open,
            "path": str(self.path) if self.path else None,
        }

    def __repr__(self) -> str:
        counts = self.merged.counts
        return f"<MergedReviews: {len(self.merged.verdicts):,} pairs by {counts.people:,} people>"

    def _repr_html_(self) -> str:
        counts = self.counts
        return card("memaudit reviews", repr(self)[1:-1], [(name, f"{count:,}") for name, count in counts.items()])


def merge_reviews(files: Files, out: str | Path | None = None) -> MergedReviews:
    """Read files of reviews, and put together what each person says of each pair in the end.

    out: a new .jsonl file for that, and for what of a proposal nobody has looked at yet.

    Raises InputError for a file that cannot be meant, UsageError for an `out` that is there.

    >>> ma.merge_reviews([])
    Traceback (most recent call last):
    memaudit.errors.UsageError: no file of reviews was given
    """
    given = files_of(files)
    if not given:
        raise UsageError("no file of reviews was given")
    path = _new(out) if out is not None else None
    merged = read_reviews(given)
    if path is not None:
        write_text(path, json_lines(_all_of(merged)), new=True)
    return MergedReviews(merged, path)


def _all_of(merged: Merged) -> Iterator[Review]:
    for by_pair in (merged.said, merged.faces):
        for pair, said in by_pair.items():
            yield from (each._replace(drawn=merged.drawn.get(pair) if not each.face else None) for each in said)
    yield from (Review(pair, None, "", drawn=how) for pair, how in merged.drawn.items() if pair not in merged.said)


def _new(out: str | Path) -> Path:
    path = Path(out)
    if path.suffix.lower() not in (".jsonl", ".ndjson"):
        raise UsageError(f"--out {path}: expected a file that ends in .jsonl")
    if path.exists():
        raise UsageError(f"{path} exists already, and may hold reviews: choose another --out")
    return path


@dataclass(frozen=True)
class WrittenReviews:
    """Lines that were written. path: where; lines: how many; of: of how many pairs, or entries of an earlier form;
    warnings: what of them could not be written, and why.

    >>> audit = ma.run_audit("generations", ma.embed("training", out="store", encoder="thumbnail"))
    >>> ma.sample_findings(audit, "to-review.jsonl", count=5).lines
    1
    """

    path: Path
    lines: int
    of: int
    warnings: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, object]:
        return {"path": str(self.path), "lines": self.lines, "of": self.of, "warnings": list(self.warnings)}


def sample_findings(report: AnyReport, out: str | Path, count: int = 100, seed: int = 0) -> WrittenReviews:
    """Draw findings of an audit at random, to be looked at: what is said of them gives the precision of all, with its
    interval (`merge_reviews`). Drawn are copies of kinds that count: nobody says of a face, or of a picture drawn anew,
    that it is a copy. out: a new .jsonl, to be filled in.

    Raises UsageError for a report that is none of an audit, InputError for one that does not name files.

    >>> audit = ma.run_audit("generations", ma.embed("training", out="store", encoder="thumbnail"))
    >>> ma.sample_findings(audit, "sample.jsonl").of
    1
    """
    path, read = _new(out), _audit(report)
    counted = (read.matches[place] for place in subject_places(read))
    pairs = [pair for finding in counted if finding.kind != FACE and (pair := _pair(finding))]
    if not pairs:
        raise InputError("the report has no copies of images whose files it names: there is nothing to look at")
    lines = sample_of(pairs, count, f"findings of {read.digest[:16]}", seed)
    write_text(path, json_lines(lines), new=True)
    return WrittenReviews(path, len(lines), len(set(pairs)))


def _audit(report: AnyReport) -> Report:
    read = report_of(report)
    if read.kind != "audit":
        raise UsageError(f"the report is one of {read.kind}: expected one of an audit")
    return read


def _pair(finding: AuditFinding) -> Pair | None:
    if not finding.query_sha256 or not finding.reference_sha256:
        return None
    return pair_of(finding.query_sha256, finding.reference_sha256)


def convert_reviews(
    file: str | Path,
    out: str | Path,
    *,
    report: AnyReport | None = None,
    store: AnyStore | None = None,
    who: str = "",
) -> WrittenReviews:
    """Write what an earlier form holds as reviews: an accepted.toml, by the `report` of an audit that has its matches,
    or a CSV of ignored pairs, by the `store` that it is about. who: who ruled these out, which that CSV does not say.

    Raises UsageError where what the form needs is not given, InputError for a file that cannot be meant.

    >>> ma.convert_reviews("accepted.toml", "reviews.jsonl")
    Traceback (most recent call last):
    memaudit.errors.UsageError: accepted matches name images by id: give the report of an audit that has them (--report)
    """
    path, file = _new(out), Path(file)
    of_toml = file.suffix.lower() == ".toml"
    if of_toml:
        if report is None:
            raise UsageError("accepted matches name images by id: give the report of an audit that has them (--report)")
        lines, of, warnings = _of_accepted(read_accepted(file), _audit(report))
    else:
        if store is None or not who.strip():
            raise UsageError("ignored pairs name images by id, and no person: give the store (--store) and --who")
        lines, of, warnings = _of_ignored(file, store, who.strip())
    if not lines:
        raise InputError(f"{file}: none of its {of:,} entries could be written as a review: {'; '.join(warnings)}")
    write_text(path, json_lines(lines), new=True)
    return WrittenReviews(path, len(lines), of, tuple(warnings))


def _of_accepted(entries: tuple[Accepted, ...], report: Report) -> tuple[list[Review], int, list[str]]:
    """A line for each finding that an entry covers: of that pair of files, whatever it was accepted by."""
    lines, warnings = list[Review](), list[str]()
    training_set = training_set_of(report)
    for entry in entries:
        covered = [finding for finding in report.matches if entry.covers(finding, training_set)]
        named = [(finding, pair) for finding in covered if (pair := _pair(finding))]
        lines += [
            Review(pair, Verdict.ACCEPTED, entry.who, None, entry.why, entry.until, finding.kind == FACE)
            for finding, pair in named
        ]
        if not named:
            why = "is one whose files the report does not name" if covered else "is not among the report's findings"
            warnings.append(f"{entry.pair} (by {entry.who}) {why}: it stays where it is")
        elif entry.query_id is None:
            warnings.append(f"{entry.pair}: written for the {len(named):,} files of this report, not for later ones")
    return list(dict.fromkeys(lines)), len(entries), warnings


def _of_ignored(file: Path, store: AnyStore, who: str) -> tuple[list[Review], int, list[str]]:
    ruled_out = read_ruled_out(file)
    columns = store_at(store).all_columns()
    wanted = {image_id for pair in ruled_out.pairs for image_id in pair}
    digest_of = {
        image_id: str(columns.sha256[row]) for row, image_id in enumerate(columns.image_id) if image_id in wanted
    }
    lines, warnings = list[Review](), list[str]()
    for left, right in ruled_out.pairs:
        digests = [digest_of.get(left, NO_FILE), digest_of.get(right, NO_FILE)]
        if NO_FILE in digests:
            warnings.append(f"{left[:80]}, {right[:80]}: not both are in the store, with a file of their own")
        elif digests[0] == digests[1]:
            warnings.append(f"{left[:80]}, {right[:80]} are the same file, byte by byte")
        else:
            lines.append(Review(pair_of(*digests), Verdict.NO_COPY, who, None, f"ruled out in {file.name}"))
    return list(dict.fromkeys(lines)), len(ruled_out.pairs), warnings
