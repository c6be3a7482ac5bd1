"""Calibration: pairs proposed to be labelled, and a threshold and a cut from labelled pairs."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from memaudit.api.notebook import card
from memaudit.api.places import AnyStore, Files, files_of, searcher_at, store_at
from memaudit.calibration.calibration import SCHEMA, Calibration, write_calibration
from memaudit.calibration.fitting import Fitted, fit, goal_of
from memaudit.calibration.proposing import Proposal, ProposeOptions, propose
from memaudit.calibration.sides import Sides
from memaudit.errors import UsageError
from memaudit.files import read_toml, write_text
from memaudit.images.addresses import unsigned
from memaudit.matching.calibrated import Calibrated
from memaudit.reviews import FRAME, LEFT, RIGHT, STRATUM, STRATUM_PAIRS, Merged, Pair, pair_of, read_reviews
from memaudit.types import Progress, silent

PERSON = ("verdict", "who", "when", "why")
LABELS = "labels"  # how messages call a file of reviews that is calibrated by
_FORMATS = {".csv": "csv", ".jsonl": "json", ".ndjson": "json"}


@dataclass(frozen=True, repr=False)
class ProposedPairs:
    """What was written to be labelled. path: where; pairs: how many, of so many in `frame`; near: of them nearest to
    the cut; before: labelled before; warnings: why pixels could not be compared.

    >>> store = ma.embed("training", out="store", encoder="thumbnail")
    >>> ma.propose_labels(store, "to-label.csv", match_from=0.2).pairs
    8
    """

    path: Path
    pairs: int
    frame: int
    near: int
    before: int
    warnings: tuple[str, ...]

    def __repr__(self) -> str:
        return f"<ProposedPairs: {self.pairs:,} of {self.frame:,}, in {self.path}>"

    def as_dict(self) -> Mapping[str, object]:
        return {**asdict(self), "path": str(self.path), "warnings": list(self.warnings)}


@dataclass(frozen=True, repr=False)
class CalibrationRun:
    """What labels come to. threshold, cut: None where the goal is not shown, and `warnings` say what would show it.

    >>> ma.calibrate("labels.csv", "store", precision=0.9)
    Traceback (most recent call last):
    memaudit.errors.InputError: labels labels.csv cannot be read: No such file or directory
    """

    fitted: Fitted
    path: Path | None

    @property
    def calibration(self) -> Calibration | None:
        return self.fitted.calibration

    @property
    def conclusive(self) -> bool:
        """False: nothing was written, and no run can use it."""
        return self.calibration is not None

    @property
    def warnings(self) -> tuple[str, ...]:
        return self.fitted.reasons

    @property
    def settled(self) -> Calibrated | None:
        """Digest, threshold and cut, as runs take them."""
        return self.calibration.settled if self.calibration else None

    @property
    def headline(self) -> str:
        """The result in a sentence."""
        settled, point = self.settled, self.fitted.point
        if settled is None or point is None:
            return f"Inconclusive: {'; '.join(self.warnings)}."
        cut = "" if settled.cut is None else f", or a probability of {settled.cut:g}"
        of = "of the set" if self.fitted.used.sampled else "of the labelled pairs, which are no sample of the set"
        return (
            f"From a similarity of {settled.threshold:g}{cut}: precision {point.precision.value:.2%}, at least "
            f"{point.precision.low:.2%}; recall {point.recall.value:.2%}, at least {point.recall.low:.2%} ({of}; "
            f"{self.fitted.used.used:,} labelled pairs)."
        )

    def as_dict(self) -> Mapping[str, object]:
        """What calibration.toml holds; without one why not, and the counts."""
        fitted = self.fitted
        content = dict(fitted.calibration.content) if fitted.calibration else {}
        counts = {**asdict(fitted.merged.counts), **asdict(fitted.used)}
        told = {"conclusive": self.conclusive, "reasons": list(fitted.reasons), "headline": self.headline}
        return {**told, "not_compared": list(fitted.why), **content, "counts": counts}

    def __repr__(self) -> str:
        return f"<CalibrationRun: {self.headline}>"

    def _repr_html_(self) -> str:
        counts = self.fitted.merged.counts
        told = f"{counts.copies:,} copies, {counts.others:,} others, {counts.unsure + counts.disagreeing:,} doubtful"
        return card("memaudit calibrate", self.headline, [("labels", told), ("warnings", "; ".join(self.warnings))])


def propose_labels(
    store: AnyStore,
    out: str | Path,
    *,
    against: AnyStore | None = None,
    labels: Files = (),
    count: int = 200,
    match_from: float | None = None,
    seed: int = 0,
    progress: Progress = silent,
) -> ProposedPairs:
    """Write pairs to be labelled: those nearest to the cut, and a random part of all others, by strata.

    store: a set, or generations, which are then held `against` a training set (a store or an index of it). out: a new
    .csv or .jsonl; a person fills in verdict (copy, not a copy, unsure), who, when. labels: files of verdicts given
    before, which stay in. match_from: similarity from which pairs are looked for, None: the encoder's own.

    Raises UsageError for impossible options, InconclusiveError where there is no pair.

    >>> store = ma.embed("training", out="store", encoder="thumbnail")
    >>> ma.propose_labels(store, "pairs.jsonl", match_from=0.2).frame
    8
    """
    path = Path(out)
    if path.suffix.lower() not in _FORMATS:
        raise UsageError(f"--out {path}: expected a file that ends in {', '.join(_FORMATS)}")
    if path.exists():
        raise UsageError(f"{path} exists already, and may hold labels: choose another --out")
    given = files_of(labels)
    merged = read_reviews(given, LABELS) if given else None
    sides = _sides(store, against)
    searcher = searcher_at(store if against is None else against)
    proposal = propose(sides, searcher, ProposeOptions(count, match_from, seed), merged, progress)
    sides.require_current()
    rows = list(_rows(sides, proposal, merged))
    write_text(path, _csv(rows) if _FORMATS[path.suffix.lower()] == "csv" else _json_lines(rows), new=True)
    return ProposedPairs(
        path, len(proposal.pairs.similarity), proposal.frame, proposal.near, proposal.before, proposal.why
    )


def calibrate(
    labels: Files,
    store: AnyStore,
    out: str | Path | None = None,
    *,
    against: AnyStore | None = None,
    precision: float | None = None,
    recall: float | None = None,
    progress: Progress = silent,
) -> CalibrationRun:
    """Choose a threshold and a cut by labelled pairs, so that a precision or a recall is shown: with 95 % confidence it
    is at least that.

    labels: files of verdicts, and the proposal that they are about. store, against: as they were proposed from. out:
    calibration.toml, written only where the goal is shown.

    Raises UsageError for impossible options, InputError for labels that cannot be meant, InconclusiveError where none
    is of use.

    >>> ma.calibrate("labels.csv", "store")
    Traceback (most recent call last):
    memaudit.errors.UsageError: say what is to be shown: either --precision, say 0.99, or --recall
    """
    goal = goal_of(precision, recall)
    if out is not None:
        _require_out(Path(out))
    given = files_of(labels)
    if not given:
        raise UsageError("no file of labels was given")
    merged = read_reviews(given, LABELS)
    sides = _sides(store, against)
    fitted = fit(sides, merged, goal, progress)
    sides.require_current()
    path = Path(out) if out is not None and fitted.calibration else None
    if path is not None and fitted.calibration is not None:
        write_calibration(path, fitted.calibration)
    return CalibrationRun(fitted, path)


def _require_out(path: Path) -> None:
    """Raise UsageError where what would be written over is no calibration, such as the labels."""
    if path.suffix.lower() != ".toml":
        raise UsageError(f"--out {path}: expected a file that ends in .toml")
    if path.exists() and read_toml(path, "file").get("schema") != SCHEMA:
        raise UsageError(f"{path} exists already, and is no calibration: choose another --out")


def _sides(store: AnyStore, against: AnyStore | None) -> Sides:
    if against is None:
        return Sides(store_at(store))
    return Sides(store_at(store), searcher_at(against).store)


def _rows(sides: Sides, proposal: Proposal, merged: Merged | None) -> Sequence[Mapping[str, object]]:
    """A row for each pair, and each person who has labelled it before: what it is by, what a person says, where the
    images are, and how it was drawn."""
    pairs = proposal.pairs
    one, other = sides.queries.columns(pairs.rows.query), sides.references.columns(pairs.rows.reference)
    return [
        {
            LEFT: str(one.sha256[n]),
            RIGHT: str(other.sha256[n]),
            **said,
            "left_uri": unsigned(str(one.uri[n])),
            "right_uri": unsigned(str(other.uri[n])),
            "similarity": round(float(pairs.similarity[n]), 4),
            "probability": round(float(pairs.probability[n]), 4) if pairs.probability[n] >= 0 else None,
            FRAME: pairs.drawn[n].frame,
            STRATUM: pairs.drawn[n].stratum,
            STRATUM_PAIRS: pairs.drawn[n].pairs,
            "chance": round(float(pairs.chance[n]), 6),
        }
        for n in range(len(pairs.similarity))
        for said in _said(pair_of(str(one.sha256[n]), str(other.sha256[n])), merged)
    ]


def _said(pair: Pair, merged: Merged | None) -> list[dict[str, str]]:
    """What people say of a pair; nothing yet, of one that is to be labelled."""
    labels = merged.said.get(pair, ()) if merged else ()
    return [
        {
            "verdict": str(label.verdict),
            "who": label.who,
            "when": label.when.isoformat(timespec="seconds") if label.when else "",
            "why": label.why,
        }
        for label in labels
    ] or [dict.fromkeys(PERSON, "")]


def _csv(rows: Sequence[Mapping[str, object]]) -> str:
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue()


def _json_lines(rows: Sequence[Mapping[str, object]]) -> str:
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
