"""The random sample of a filter: drawn from strata by score, and topped up; and the list of images to label."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from memaudit.filters.active import Chosen, Scored
from memaudit.filters.filter_file import Filter, NextImage
from memaudit.filters.joined import Joined
from memaudit.filters.labels import Labels
from memaudit.filters.measure import strata_of_sample
from memaudit.filters.needed import Needed
from memaudit.filters.strata import Drawn, borders_of, draw, shares, stratum_of
from memaudit.types import Float64, Int64


def with_sample(
    joined: Joined, after: Filter, scored: Scored, known: Mapping[str, int], count: int, seed: int
) -> tuple[Filter, Drawn]:
    """The filter with strata by its scores, and `count` images without a label drawn from them for an estimate. known:
    rows of those that have one."""
    rows = scored.rows
    probability = after.probe.probabilities(scored.logits[rows])
    likely = max(int((probability >= 0.5).sum()), after.trained.positive)
    low = borders_of(scored.logits[rows], likely)
    free = ~np.isin(rows, np.array([*known.values()], np.int64))
    rows, probability = rows[free], probability[free]
    stratum = stratum_of(low, scored.logits[rows])
    count_of = np.bincount(stratum, minlength=len(low))
    expected = np.bincount(stratum, probability, len(low)) / np.maximum(count_of, 1)
    wanted = shares(count_of, expected, likely, count) if count else np.zeros(len(low), np.int64)
    drawn = draw(stratum, rows, wanted, seed + after.rounds)
    fresh = replace(
        after,
        stores=tuple(joined.digests),
        low=tuple(low[:-1].tolist()),
        rows=tuple(count_of.tolist()),
        sample={},
        settled=_settled(low, scored, known),
        looked="",
        estimate=None,
        cut=None,
    )
    return sampled(joined, fresh, drawn), drawn


def _settled(low: Float64, scored: Scored, known: Mapping[str, int]) -> dict[str, int]:
    stratum = stratum_of(low, scored.logits[np.array([*known.values()], np.int64)])
    return dict(zip(known, stratum.tolist(), strict=True))


def sampled(joined: Joined, found: Filter, drawn: Drawn) -> Filter:
    """The filter with these drawn as well."""
    names = joined.stores[0].columns(drawn.row).image_id.tolist()
    sample = {**found.sample, **dict(zip(names, drawn.stratum.tolist(), strict=True))}
    return replace(found, sample=sample)


def top_up(found: Filter, labels: Labels, need: Needed | None, most: int) -> Int64:
    """What is needed, or where no number of labels seems to do a share of `most` for each stratum; at most `most`."""
    left = np.array([each.rows - each.drawn for each in strata_of_sample(found, labels)], np.int64)
    wanted = np.minimum(left, np.array(need.more, np.int64) if need else np.ceil(most * left / max(1, left.sum())))
    total = wanted.sum()
    return np.asarray(np.floor(wanted * most / total) if total > most else wanted, dtype=np.int64)


def images_of(
    joined: Joined, found: Filter, scored: Scored, chosen: Chosen, drawn: Drawn, labels: Labels
) -> list[NextImage]:
    """Whom to label, the likeliest first; those of the sample that have a label are not asked for again."""
    rows = np.concatenate([chosen.uncertain, chosen.missed, drawn.row])
    if not len(rows):
        return []
    why = np.repeat(["uncertain", "missed", "sample"], [len(chosen.uncertain), len(chosen.missed), len(drawn.row)])
    first = len(rows) - len(drawn.row)
    columns, score = joined.stores[0].columns(rows), found.probe.probabilities(scored.logits[rows])
    inclusion = _inclusion(found)
    images = []
    for place in np.argsort(-score, kind="stable").tolist():
        stratum = int(drawn.stratum[place - first]) if place >= first else None
        images.append(
            NextImage(
                columns.image_id[place],
                str(why[place]),
                float(score[place]),
                stratum,
                None if stratum is None else inclusion[stratum],
                columns.uri[place],
                columns.sha256[place],
            )
        )
    return [each for each in images if each.image_id not in labels]


def _inclusion(found: Filter) -> Sequence[float]:
    drawn = np.bincount(np.array([*found.sample.values()], np.int64), minlength=len(found.rows))
    return [float(share) for share in drawn / np.maximum(found.rows, 1)]
