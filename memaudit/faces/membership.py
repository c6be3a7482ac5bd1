"""Identity membership (Webster et al. 2021, arXiv 2107.06018): are training identities nearer to the generations?"""

from __future__ import annotations

import numpy as np

from memaudit.faces.people import People
from memaudit.faces.results import Membership
from memaudit.similarity import top_k
from memaudit.statistics import normal_quantile
from memaudit.store import Store
from memaudit.types import CONFIDENCE, Float32, Float64, Int64

MEMBERS = 10_000  # training faces drawn for it
POINTS = 101
_QUERY_ROWS = 2048


def measure_membership(
    gallery: Store, control: Store, held_out: Int64, generations: Store, column: str
) -> Membership | None:
    """Compare people on at most MEMBERS training faces, and held-out ones, with the generated faces; None without any.

    held_out: rows of `control`, a face of each person who is not in the gallery. column: metadata that names the
    person. Of training people, too, one face drawn at random counts: who has more pictures is no nearer for that.
    Memory: a block of similarities.
    """
    if not generations.comparable:
        return None
    rows = gallery.comparable_rows()
    if len(rows) > MEMBERS:
        rows = np.sort(np.random.default_rng(0).choice(rows, MEMBERS, replace=False))
    people = People.of(gallery, rows, gallery.encoder.threshold, column)
    members = _nearest(gallery, rows[people.drawn], generations)
    others = _nearest(control, held_out, generations)
    if not len(members) or not len(others):
        return None
    auc, low, high = area(members, others)
    kind = f"by column {column} and by likeness" if column else "by likeness"
    return Membership(len(members), len(others), kind, auc, low, high, roc_points(members, others))


def _nearest(store: Store, rows: Int64, generations: Store) -> Float32:
    """The similarity of each row's face to the nearest generated one."""
    best = [np.empty(0, np.float32)]
    for low in range(0, len(rows), _QUERY_ROWS):
        vectors = store.embeddings(rows[low : low + _QUERY_ROWS])
        best.append(top_k(vectors, generations.blocks(), 1, 1.0).similarity[:, 0])
    return np.concatenate(best)


def area(members: Float32, others: Float32) -> tuple[float, float, float]:
    """Area under the ROC curve and its interval, from the placements of each side among the other (DeLong et al. 1988).

    Ties count half. The ends are taken on the logit scale, so that they stay within 0 and 1.
    """
    of_members, of_others = _placed(members, others), 1 - _placed(others, members)
    auc = float(of_members.mean())
    variance = _variance_of_mean(of_members) + _variance_of_mean(of_others)
    if auc in (0.0, 1.0) or not variance:
        # Perfectly apart: at most 3 / n of one side may lie on the other's.
        slack = 3 / min(len(members), len(others))
        return auc, max(0.0, auc - slack) if auc else 0.0, min(1.0, auc + slack) if auc < 1 else 1.0
    half = normal_quantile(1 - (1 - CONFIDENCE) / 2) * variance**0.5 / (auc * (1 - auc))
    centre = np.log(auc / (1 - auc))
    low, high = (float(1 / (1 + np.exp(-value))) for value in (centre - half, centre + half))
    return auc, low, high


def _placed(values: Float32, among: Float32) -> Float64:
    """For each value the share of `among` below it, ties counting half."""
    ordered = np.sort(among)
    below, up_to = np.searchsorted(ordered, values, "left"), np.searchsorted(ordered, values, "right")
    return np.asarray((below + up_to) / (2 * len(ordered)))


def _variance_of_mean(values: Float64) -> float:
    return float(values.var(ddof=1) / len(values)) if len(values) > 1 else 0.0


def roc_points(members: Float32, others: Float32) -> tuple[tuple[float, float], ...]:
    """At most POINTS points of the curve, from (0, 0) to (1, 1)."""
    cuts = np.unique(np.concatenate([members, others]))[::-1]
    if len(cuts) > POINTS - 1:
        cuts = cuts[np.linspace(0, len(cuts) - 1, POINTS - 1).round().astype(int)]
    shares = [(float((others >= cut).mean()), float((members >= cut).mean())) for cut in cuts]
    return ((0.0, 0.0), *shares)
