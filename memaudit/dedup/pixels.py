"""Pairs below the threshold, decided on pixels."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Generator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from memaudit.dedup.candidates import CandidateRule
from memaudit.dedup.described import Described
from memaudit.dedup.effort import BANDS, Budget, Estimate, estimated, in_bands, spoken
from memaudit.dedup.pairs import Found
from memaudit.dedup.results import PixelChecks
from memaudit.dedup.verdicts import VERDICTS, Said, Verdicts
from memaudit.files import digest_of
from memaudit.matching.compare import LEAST_HELD, Checks, Ends, Files, checked_in_order, pictures_held
from memaudit.matching.elsewhere import Kept, checked_elsewhere
from memaudit.matching.identity import identity_of_rule
from memaudit.matching.kept import KeptFeatures
from memaudit.matching.kinds import COPIES, Kind, left_out_of
from memaudit.matching.overlap import Overlaps
from memaudit.matching.schedule import Schedule, schedule
from memaudit.similarity import Pairs
from memaudit.store import Columns
from memaudit.tasks import Executor
from memaudit.types import Coverage, Float32, Int64, Progress

CANDIDATES = 8  # pairs of each image that are checked: so the cost grows with the set, and not with its families
REFUSED = 50  # of the most similar pairs that are none: whoever judges the decision looks at them
_REASONS = 3
_TOLD_FROM = 60  # seconds: what takes less is not announced


class Confirmed(NamedTuple):
    """The pairs that reach the threshold, or that pixels confirm. overlaps, probability, kind (by the place in
    `COPIES`): of the latter, in their order, left as the query. refused: the most similar pairs that pixels refuse.
    below, decided (n,): similarities of the pairs that pixels were to decide, and which of them they have."""

    pairs: Pairs
    overlaps: Overlaps
    probability: Float32
    kind: Int64
    checks: PixelChecks
    refused: Pairs
    below: Float32
    decided: NDArray[np.bool_]


@dataclass(frozen=True)
class Limits:
    """How pixels are compared. store: digest of what is compared; scratch: folder where verdicts outlive a killed run,
    None keeps none; seconds: that it may take, None for any; seed: of the pairs that it is estimated by; tell: is given
    the estimate. cut: least probability of a copy, None: the model's own. kept: what of the images need not be read,
    None: nothing is kept. kinds: of copies that count. executor: who compares, None or with `seconds`: this process."""

    store: str
    scratch: Path | None
    seconds: float | None
    seed: int
    tell: Callable[[str], None]
    cut: float | None = None
    kept: KeptFeatures | None = None
    kinds: tuple[Kind, ...] = COPIES
    executor: Executor | None = None

    @property
    def elsewhere(self) -> Executor | None:
        """Whose workers compare; None: this process."""
        return self.executor if self.seconds is None else None

    def verdicts(self) -> Verdicts:
        depends_on = digest_of({"store": self.store, "rule": identity_of_rule(), "cut": self.cut})
        return Verdicts(self.scratch / VERDICTS if self.scratch else None, depends_on)


def rule_of(floor: float, columns: Columns, rows: Int64, apart: Int64) -> CandidateRule:
    """What to hold of the pairs of `rows` below the threshold; apart (n, 2): positions in them that were ruled out."""
    by_id = np.argsort(columns.image_id[rows], kind="stable")
    return CandidateRule(floor, CANDIDATES, by_id.argsort(kind="stable"), apart)


def confirm(
    found: Found,
    columns: Described,
    rows: Int64,
    threshold: float,
    rule: CandidateRule,
    limits: Limits,
    progress: Progress,
) -> Confirmed:
    """Decide the pairs of positions in `rows` that lie below the threshold; in the order given.

    Whoever is near the threshold has the similarity that a search without candidates gives it. A check may hang on
    which of two pictures is laid on the other, and ties on the order of the images: by image_id neither hangs on the
    order of the rows. Memory: `pictures_held`; of each image at most `CANDIDATES` pairs, some 400 bytes each; and 250
    bytes for each copy.
    """
    pairs = found.pairs
    below = np.flatnonzero(pairs.similarity < np.float32(threshold))
    band, by_id = pairs.where(below), np.argsort(rule.place)
    left, right = rule.ends(band)
    picked = rule.chosen(band)
    chosen = below[picked]
    files = _files_of(columns, rows[by_id], np.union1d(left[picked], right[picked]), limits)
    numbers = rows[by_id][left[picked]] * len(columns.image_id) + rows[by_id][right[picked]]
    kept = Kept(limits.kept.folder, rows[by_id]) if limits.kept else None
    ends = Ends.of(files, files, left[picked], right[picked])
    comparison = _Comparison(ends, numbers, pairs.similarity[chosen], kept)
    comparison.run(limits, progress)
    copies = comparison.copies()
    counts = np.isin(copies.kind, [COPIES.index(kind) for kind in limits.kinds if kind in COPIES])
    turned = (left != rule.place[band.left])[picked][copies.pair]
    keep = pairs.similarity >= np.float32(threshold)
    keep[chosen[copies.pair[counts]]] = True
    left_out = Counter(str(COPIES[kind]) for kind in copies.kind[~counts].tolist())
    return Confirmed(
        pairs.where(keep),
        copies.overlaps.swapped(turned)[counts],
        copies.probability[counts],
        copies.kind[counts],
        PixelChecks(
            floor=rule.floor,
            candidates=len(below) + found.left_out,
            checked=int(comparison.decided.sum()),
            confirmed=int(counts.sum()),
            left_out=len(below) - len(chosen) + found.left_out,
            unread=sum(comparison.unread.values()),
            why=tuple(f"{reason}: {count:,}" for reason, count in comparison.unread.most_common(_REASONS)),
            images=len(comparison.ends.pictures.row),
            reads=comparison.reads,
            budget=limits.seconds,
            left=len(comparison.left),
            left_from=float(comparison.left.max()) if len(comparison.left) else None,
            not_counted={kind: left_out[kind] for kind in left_out_of(limits.kinds) if kind in COPIES},
        ),
        pairs.where(chosen[comparison.refused(REFUSED)]),
        comparison.similarity,
        comparison.decided,
    )


def _files_of(columns: Described, rows: Int64, some: Int64, limits: Limits) -> Files:
    """The files of `rows`, of which nobody asks but for `some`, positions in them."""
    uri, sha256 = np.full(len(rows), "", object), np.full(len(rows), "", object)
    images = columns.at(rows[some])
    uri[some], sha256[some] = images.uri, images.sha256
    return Files(uri, sha256, limits.kept.images(rows) if limits.kept else None)


class _Comparison:
    """The pairs of a run, and what has become of them. numbers: what each is called among the verdicts; kept: what of
    the images need not be read."""

    def __init__(self, ends: Ends, numbers: Int64, similarity: Float32, kept: Kept | None) -> None:
        self.ends, self._numbers, self.similarity, self._kept = ends, numbers, similarity, kept
        self.decided, self.is_copy, self._tried = (np.zeros(len(numbers), bool) for _ in range(3))
        self._copies = list[Said]()  # by place, and not by number
        self.unread = Counter[str]()
        self.reads = 0

    def run(self, limits: Limits, progress: Progress) -> None:
        """Decide all, or as many as there is time for; first by the verdicts of an earlier run."""
        if not len(self._numbers):
            return
        with limits.verdicts() as verdicts:
            self._take(verdicts.earlier)
            most = pictures_held() if limits.elsewhere is None else LEAST_HELD
            order = schedule(self.ends.left, self.ends.right, most)
            estimate = self._estimate(order, limits)
            budget = Budget(limits.seconds)
            if not budget.surely_enough(estimate):
                order = in_bands(self.ends, self.similarity, BANDS, most)
            self.reads = order.reads
            self._go_through(order, budget, limits, verdicts, progress)

    def _estimate(self, order: Schedule, limits: Limits) -> Estimate | None:
        still = int((~self.decided).sum())
        reads = round(order.reads * still / len(self._numbers))
        estimate = estimated(self.ends, reads, still, limits.seed)
        if estimate and estimate.seconds >= _TOLD_FROM:
            of = f"; --budget ends them after {spoken(limits.seconds)}" if limits.seconds else ""
            limits.tell(f"{estimate}{of}")
        return estimate

    def _go_through(
        self, order: Schedule, budget: Budget, limits: Limits, verdicts: Verdicts, progress: Progress
    ) -> None:
        done, total = int(self.decided.sum()), len(self._numbers)

        def report(more: int) -> None:
            progress("comparing pixels", done + more, total)

        later = list[Said]()
        with closing(self._checked(order, limits, report)) as results:
            for places, checks in results:
                said = self._put(places, checks)
                verdicts.add(said) if limits.elsewhere is None else later.append(said)
                done += len(places)
                report(0)
                if budget.spent:
                    break
        if later:  # all at once: a killed run finds its tasks again by the pairs that were not decided before them
            verdicts.add(Said.joined(later))

    def _checked(
        self, order: Schedule, limits: Limits, report: Callable[[int], None]
    ) -> Generator[tuple[Int64, Checks], None, None]:
        """Elsewhere all or nothing: time that is given is kept by this process alone."""
        skipped = self.decided.copy()
        if limits.elsewhere is None:
            return checked_in_order(self.ends, order, skipped, limits.cut)
        return checked_elsewhere(limits.elsewhere, self.ends, order, skipped, limits.cut, self._kept, report)

    def _take(self, earlier: Said) -> None:
        """What is known already."""
        order = np.argsort(self._numbers)
        place = np.minimum(np.searchsorted(self._numbers, earlier.pair, sorter=order), len(order) - 1)
        asked = self._numbers[order[place]] == earlier.pair
        self.decided[order[place[asked]]] = self._tried[order[place[asked]]] = True
        copies = np.flatnonzero(earlier.is_copy)
        here = asked[copies]
        known = earlier.overlaps[here], earlier.probability[here], earlier.kind[here]
        self._add_copies(order[place[copies]][here], *known)

    def _add_copies(self, places: Int64, overlaps: Overlaps, probability: Float32, kind: Int64) -> None:
        self.is_copy[places] = True
        if len(places):
            self._copies.append(Said(places, np.ones(len(places), bool), overlaps, probability, kind))

    def _put(self, places: Int64, checks: Checks) -> Said:
        """What is new to be kept: of files that could not be read nothing is known, and they are tried again."""
        self._tried[places] = True
        self.decided[places] = checks.read
        self.unread.update(checks.why[~checks.read])
        kind = np.array([COPIES.index(each) for each in checks.kind[checks.copies]], np.int64)
        found = checks.overlaps[checks.copies], checks.probability[checks.copies], kind
        self._add_copies(places[checks.copies], *found)
        return Said(self._numbers[places[checks.read]], checks.copies[checks.read], *found)

    def copies(self) -> Said:
        """In the order of the pairs, called by their places."""
        found = Said.joined(self._copies)
        order = np.argsort(found.pair)
        return Said(
            found.pair[order], found.is_copy[order], found.overlaps[order], found.probability[order], found.kind[order]
        )

    def refused(self, most: int) -> Int64:
        """Places of the most similar pairs that are no copies."""
        places = np.flatnonzero(self.decided & ~self.is_copy)
        return places[np.argsort(-self.similarity[places], kind="stable")[:most]]

    @property
    def left(self) -> Float32:
        """The similarities of those that nobody has got to."""
        return self.similarity[~self._tried]


def shortfall(checks: PixelChecks | None, allowed: float) -> str:
    """Why checks do not speak of the whole set: a larger share than `allowed` was unreadable, or left by the budget."""
    if checks is None:
        return ""
    pairs = Coverage(checks.checked, checks.checked + checks.unread + checks.left)
    if not pairs.falls_short(allowed):
        return ""
    told = f"pixels of only {pairs.measured:,} of {pairs.total:,} pairs below the threshold could be compared"
    if checks.left:
        told += f"; {told_of_left(checks)}; the same command again goes on with them"
    if checks.unread:
        told += f" ({'; '.join(checks.why)}); --match none leaves them"
    return told


def told_of_left(checks: PixelChecks) -> str:
    """What a budget left."""
    return (
        f"--budget {spoken(checks.budget or 0)} left {checks.left:,}, from a similarity of {checks.left_from:.3g} down"
    )
