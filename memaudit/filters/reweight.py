"""Weights that give back to what a filter left the shares that all images had."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy.sparse import csr_array, hstack

from memaudit.errors import UsageError
from memaudit.filters.balance import fit_balance, linear
from memaudit.filters.propensity import Kept, scores_of, told_apart
from memaudit.filters.results import DEFAULTS, Reweighted, ReweightOptions
from memaudit.filters.selection import Selection
from memaudit.filters.shares import shares_of
from memaudit.filters.values import FITTED, clusters_of, read_values
from memaudit.store import IMAGES, Store
from memaudit.types import Float64, Progress, silent

LEAST_KEPT = 5  # images that are left of a value, for weights to rest on them
LEAST_FOR_SCORES = 50  # images of either kind, for a classifier of what they show
_TENTHS = 10


def reweight(
    store: Store, chosen: Selection, options: ReweightOptions = DEFAULTS, progress: Progress = silent
) -> Reweighted:
    """Memory: 40 bytes for each image, 12 for each of its words and values, up to 24 more while weights are fitted, and
    blocks.

    Raises UsageError for impossible options, a store of something else than images, and a filter that removed nothing.
    """
    _require_possible(store, chosen, options)
    clusters = None if options.clusters == 0 else clusters_of(store, chosen, options.clusters, options.seed, progress)
    values = read_values(store, chosen, clusters, progress)
    score = _scores(store, chosen, options.seed, progress)
    parts = [_supported(values.of, chosen.kept), *([] if score is None else [_tenths(score)])]
    weight, beyond = _weights(parts, chosen.kept, options.max_weight)
    del parts
    told = None
    if score is not None:
        plain = np.ones(len(weight))
        told = (told_apart(score, chosen.kept, plain), told_apart(score, chosen.kept, weight))
    shares = shares_of(values, chosen, weight)
    return Reweighted(
        *(store.digest, store.encoder, chosen, weight, shares),
        *(values.left_out, values.note, beyond, told, options),
    )


def _require_possible(store: Store, chosen: Selection, options: ReweightOptions) -> None:
    if store.manifest.kind != IMAGES:
        raise UsageError(f"store {store.folder} holds {store.manifest.kind}: weights are of whole images")
    if not 1 < options.max_weight < np.inf:
        raise UsageError(f"--max-weight {options.max_weight:g}: expected more than 1, the mean weight")
    if options.clusters is not None and not 0 <= options.clusters <= FITTED:
        raise UsageError(f"--clusters {options.clusters}: expected 0 to {FITTED:,}, the images that they are fitted on")
    if chosen.kept.all():
        raise UsageError(f"all {len(chosen.kept):,} images are kept: the filter removed nothing that has an embedding")


def _scores(store: Store, chosen: Selection, seed: int, progress: Progress) -> Float64 | None:
    kept = int(chosen.kept.sum())
    if min(kept, len(chosen.kept) - kept) < LEAST_FOR_SCORES:
        return None
    return scores_of(store, chosen, seed, progress)


def _supported(values: csr_array, kept: Kept) -> csr_array:
    """The values of which enough is left."""
    enough = np.asarray(values.T @ kept.astype(np.float64)) >= LEAST_KEPT
    return values if enough.all() else csr_array(values[:, np.flatnonzero(enough)])


def _tenths(score: Float64) -> csr_array:
    """In which tenth of the scores each image lies, and its score in standard deviations, (n, 11): what the classifier
    tells apart is balanced as well."""
    edges = np.quantile(score, np.linspace(0, 1, _TENTHS + 1)[1:-1])
    rows = np.arange(len(score))
    tenth = csr_array(
        (np.ones(len(score)), (rows, np.searchsorted(edges, score, "right"))), shape=(len(score), _TENTHS)
    )
    return csr_array(hstack([tenth, csr_array(((score - score.mean()) / max(score.std(), 1e-9))[:, None])]))


def _weights(parts: Sequence[csr_array], kept: Kept, max_weight: float) -> tuple[Float64, float]:
    """The weights (n,), and the share of all images that would take a larger one."""
    balance = fit_balance(parts, kept, max_weight * len(kept) / int(kept.sum()))
    raw = balance.weights(linear(parts, balance.coefficients))
    beyond = float((raw >= balance.most * (1 - 1e-9)).mean())
    raw = np.where(kept, raw, 0.0)
    return np.minimum(raw * (int(kept.sum()) / raw.sum()), max_weight), beyond  # they may add up to a little too much
