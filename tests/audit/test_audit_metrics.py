"""C_T, AuthPct and the FLD gap: brute force written another way, and cases of known answer."""

import math
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.stats import mannwhitneyu
from vectors import cosines, near, random_vectors, unit, vector_store

from memaudit.audit.metric_copying import DIMENSIONS, copying, k_means, mann_whitney_z, squared_distances
from memaudit.audit.metric_likelihood import generalisation_gap
from memaudit.audit.results import Metrics
from memaudit.audit.run import AuditOptions, audit
from memaudit.index import ExactSearch

Points = NDArray[np.float32]


def clouds(seed: int, rows: int, centres: Points, spread: float = 0.15) -> Points:
    """Points around three centres: what the cells find."""
    rng = np.random.default_rng(seed)
    chosen = centres[rng.integers(0, len(centres), rows)]
    return unit(chosen + spread * rng.standard_normal((rows, centres.shape[1])))


CENTRES = random_vectors(77, 3, 16)


# --- C_T -----------------------------------------------------------------------------------------------------------


@settings(max_examples=100, deadline=None)
@given(st.lists(st.integers(0, 5), min_size=1, max_size=12), st.lists(st.integers(0, 5), min_size=1, max_size=12))
def test_z_counts_pairs_and_corrects_for_ties(left: list[int], right: list[int]) -> None:
    """U by counting all pairs; scipy's two-sided z, which has the tie-corrected variance, without its correction."""
    u = sum((a > b) + (a == b) / 2 for a, b in product(left, right))
    found = mann_whitney_z(np.array(left, float), np.array(right, float))
    n, m = len(left), len(right)
    if len({*left, *right}) == 1:
        assert found == 0
        return
    p = mannwhitneyu(left, right, alternative="less", method="asymptotic", use_continuity=False).pvalue
    pooled = [*left, *right]
    ties = sum(pooled.count(v) ** 3 - pooled.count(v) for v in set(pooled))
    spread = math.sqrt(n * m / 12 * (n + m + 1 - ties / ((n + m) * (n + m - 1))))
    assert found == pytest.approx((u - n * m / 2 + 0.5) / spread)
    assert math.erfc(-(found - 0.5 / spread) / math.sqrt(2)) / 2 == pytest.approx(p, abs=1e-9)


def test_c_t_is_the_weighted_mean_over_the_cells() -> None:
    """The whole statistic again, with loops, for given cells: those that k-means finds in three clear clouds."""
    training, control, generated = (clouds(seed, rows, CENTRES) for seed, rows in ((1, 120), (2, 90), (3, 150)))
    centre_of = lambda points: (points @ CENTRES.T).argmax(axis=1)  # noqa: E731
    total = weight = 0.0
    for cell in range(3):
        t, p, q = (points[centre_of(points) == cell].astype(float) for points in (training, control, generated))
        nearest = [[min(math.dist(x, y) for y in t) for x in side] for side in (q, p)]
        u = sum((a > b) + (a == b) / 2 for a, b in product(*nearest))
        n, m = len(q), len(p)
        z = (u - (n * m / 2 - 0.5)) / math.sqrt(n * m * (n + m + 1) / 12)
        total, weight = total + len(p) / 90 * z, weight + len(p) / 90
    found = copying(training, control, generated)
    assert (found.cells, found.used) == (3, 3)
    assert found.value == pytest.approx(total / weight, abs=1e-6)


def test_c_t_tells_copying_from_underfitting() -> None:
    """Altered training images: far below 0; images of another kind: far above; fresh ones of the kind: near 0."""
    training, control = clouds(1, 300, CENTRES), clouds(2, 300, CENTRES)
    copies = near(3, training, 0.05)
    strangers = clouds(4, 300, CENTRES, spread=0.4)
    values = [copying(training, control, side).value for side in (copies, strangers, clouds(5, 300, CENTRES))]
    assert all(value is not None for value in values)
    assert values[0] < -8  # type: ignore[operator]
    assert values[1] > 8  # type: ignore[operator]
    assert abs(values[2]) < 3  # type: ignore[arg-type]


def test_a_cell_with_few_generations_is_left_out() -> None:
    """20 generations of a kind cannot be judged, 21 can; with none in any cell there is no value."""
    training, control = clouds(1, 200, CENTRES), clouds(2, 200, CENTRES)
    for rows, used in ((20, 2), (21, 3)):
        generated = np.concatenate([clouds(3, rows, CENTRES[:1]), clouds(4, 200, CENTRES[1:])])
        assert copying(training, control, generated).used == used
    nothing = copying(training, control, clouds(3, 10, CENTRES))
    assert (nothing.value, nothing.used) == (None, 0)
    assert "no cell has more than 20 generations" in nothing.note


def test_more_dimensions_become_64_principal_components() -> None:
    """Distances in the components, by way of the eigenvectors of the covariance."""
    training, control, generated = (random_vectors(seed, 120, 100) for seed in (1, 2, 3))
    mean = training.mean(axis=0, dtype=np.float64)
    values, vectors = np.linalg.eigh(np.cov(training.T.astype(float)))
    axes = vectors[:, np.argsort(values)[::-1][:DIMENSIONS]]
    small = [np.asarray((side - mean) @ axes, dtype=np.float32) for side in (training, control, generated)]
    assert copying(training, control, generated).value == pytest.approx(copying(*small).value, abs=0.05)


def test_k_means_finds_what_is_there() -> None:
    """Three clear clouds are three cells, whatever the start; equal points are no trouble."""
    points = clouds(1, 90, CENTRES, spread=0.02).astype(float)
    centres = k_means(points, 3, seed=4)
    assert squared_distances(points, centres).min(axis=1).max() < 0.05
    assert len(k_means(np.ones((5, 2)), 3, seed=0)) == 3


# --- AuthPct and the whole --------------------------------------------------------------------------------------------


def metrics_of(folder: Path, training: Points, control: Points, generated: Points) -> Metrics:
    stores = [
        vector_store(folder / n, v, shard_rows=512) for n, v in zip("tcg", (training, control, generated), strict=True)
    ]
    options = AuditOptions(metrics=True)
    metrics = audit(stores[2], ExactSearch(stores[0]), control=stores[1], options=options).metrics
    assert metrics is not None
    return metrics


def test_auth_pct_is_that_of_the_definition(tmp_path: Path) -> None:
    """For every generation its nearest training image, and that one's nearest other: by brute force."""
    training, generated = (
        clouds(1, 200, CENTRES),
        np.concatenate([clouds(2, 100, CENTRES), near(3, clouds(1, 200, CENTRES), 0.2)]),
    )
    found = metrics_of(tmp_path, training, clouds(5, 100, CENTRES), generated)
    stored = [np.float32(np.float16(side)) for side in (training, generated)]
    within, across = cosines(stored[0], stored[0]), cosines(stored[1], stored[0])
    np.fill_diagonal(within, -1)
    best = across.argmax(axis=1)
    truth = 100 * (across.max(axis=1) < within.max(axis=1)[best]).mean()
    assert found.auth_pct == pytest.approx(truth, abs=0.4)
    assert found.zero_radius == 0


def test_copies_are_not_authentic_and_new_images_are(tmp_path: Path) -> None:
    """0 % of the training images themselves, all of what is farther away than they are from each other."""
    training = clouds(1, 100, CENTRES, spread=0.1)
    copies = metrics_of(tmp_path / "a", training, clouds(2, 50, CENTRES), training)
    new = metrics_of(tmp_path / "b", training, clouds(2, 50, CENTRES), -training)
    assert (copies.auth_pct, new.auth_pct) == (0, 100)


def test_exact_duplicates_do_not_make_copies_look_authentic(tmp_path: Path) -> None:
    """Every training image stands there twice: their radius of 0 would call each copy authentic, and it is counted."""
    training = clouds(1, 60, CENTRES)
    found = metrics_of(tmp_path, np.repeat(training, 2, axis=0), clouds(2, 50, CENTRES), near(3, training, 0.02))
    assert found.auth_pct is not None
    assert found.auth_pct < 5
    assert found.zero_radius == 60


def test_an_image_with_nothing_but_duplicates_is_left_out(tmp_path: Path) -> None:
    """Its own kind has no radius: no generation near it is judged, and a note says so."""
    training = np.concatenate([np.repeat(unit([[1.0, 0, 0, 0]]), 40, axis=0), unit([[0, 1.0, 0, 0], [0, 1.0, 0.1, 0]])])
    found = metrics_of(tmp_path, training, random_vectors(2, 30, 4), unit([[1.0, 0.1, 0, 0], [0, 1.0, 0.01, 0]]))
    assert found.auth_pct == 0
    assert any("1 generations lie nearest" in note for note in found.notes)


def test_few_images_of_a_side_give_no_c_t(tmp_path: Path) -> None:
    """Nineteen held-out images: no figure that looks like one, and the reason."""
    found = metrics_of(tmp_path, clouds(1, 60, CENTRES), clouds(2, 19, CENTRES), clouds(3, 60, CENTRES))
    assert (found.c_t, found.fld_gap) == (None, None)
    assert any("at least 20 images of each side: 60, 19, 60" in note for note in found.notes)


# --- FLD gap -------------------------------------------------------------------------------------------------------


def is_settled(losses: list[float]) -> bool:
    """The authors stop where the last five mean losses are near the newest."""
    return all(abs(losses[-1] - each) < 5e-4 for each in losses[-5:])


def by_hand(training: Points, control: Points, generated: Points, epochs: int = 50) -> float:
    """The authors' procedure again in numpy, with gradients worked out by hand."""
    mean, scale = control.mean(axis=0, dtype=float), control.std(axis=0, ddof=1, dtype=float)
    t, p, g = ((side.astype(float) - mean) / scale for side in (training, control, generated))
    dim = t.shape[1]
    squares = [((side[:, None] - g[None]) ** 2).sum(axis=2) for side in (t, p)]
    far = 0.81 * ((t - t.mean(axis=0)) ** 2).sum(axis=1)
    logs = np.append(np.log((squares[0].min(axis=0) + 1e-3) / dim), 0.0)
    first, second, losses = np.zeros_like(logs), np.zeros_like(logs), list[float]()

    def parts(d: NDArray[np.float64], s: NDArray[np.float64]) -> NDArray[np.float64]:
        return -0.5 * d / np.exp(s) - dim / 2 * (s + np.log(2 * np.pi))

    for step in range(1, epochs + 1):
        all_squares = np.c_[squares[0], far]
        terms = parts(all_squares, logs)
        terms[:, :-1] -= np.log(len(g))
        weight = np.exp(terms - np.logaddexp.reduce(terms, axis=1)[:, None])
        slope = -(weight * (0.5 * all_squares / np.exp(logs) - dim / 2)).mean(axis=0) / dim
        first, second = 0.9 * first + 0.1 * slope, 0.999 * second + 0.001 * slope**2
        logs = logs - 0.5 * first / (1 - 0.9**step) / (np.sqrt(second / (1 - 0.999**step)) + 1e-8)
        logs[:-1] = logs[:-1].clip(-40, 40)
        losses.append(-np.logaddexp.reduce(terms, axis=1).mean() / dim)
        if step > 6 and is_settled(losses):
            break
    likelihood = [(np.logaddexp.reduce(parts(d, logs[:-1]), axis=1) - np.log(len(g))).mean() for d in squares]
    return float(100 * (likelihood[1] - likelihood[0]) / dim)


def test_the_gap_is_the_authors_procedure() -> None:
    """Mixture, start, Adam, background and scale, against gradients worked out by hand."""
    sides = [clouds(seed, rows, CENTRES) for seed, rows in ((1, 60), (2, 50), (3, 40))]
    found = generalisation_gap(*sides)
    assert found.value == pytest.approx(by_hand(*sides), rel=0.02, abs=0.05)


def by_torch(training: Points, control: Points, generated: Points, epochs: int = 50) -> float:
    """The same by PyTorch's Adam and its gradients, in float64."""
    import torch

    mean, scale = control.mean(axis=0), control.std(axis=0, ddof=1)
    t, p, g = (torch.from_numpy(((side - mean) / scale).astype(float)) for side in (training, control, generated))
    dim = t.shape[1]
    squares = [torch.cdist(side, g, compute_mode="donot_use_mm_for_euclid_dist") ** 2 for side in (t, p)]
    far = 0.81 * ((t - t.mean(dim=0)) ** 2).sum(dim=1, keepdim=True)

    def densities(d: Any, s: Any) -> Any:
        return -0.5 * d / s.exp() - dim / 2 * (s + np.log(2 * np.pi))

    logs = ((squares[0].min(dim=0).values + 1e-3) / dim).log().requires_grad_()
    wide = torch.zeros((), dtype=torch.float64, requires_grad=True)
    optimiser = torch.optim.Adam([logs, wide], lr=0.5)
    losses = list[float]()
    for epoch in range(epochs):
        optimiser.zero_grad()
        both = torch.cat([densities(squares[0], logs) - np.log(len(g)), densities(far, wide)], dim=1)
        loss = -torch.logsumexp(both, dim=1).mean() / dim
        loss.backward()
        optimiser.step()
        with torch.no_grad():
            logs.clamp_(-40, 40)
        losses.append(loss.item())
        if epoch > 5 and is_settled(losses):
            break
    train, test = (torch.logsumexp(densities(d, logs.detach()), dim=1).mean() for d in squares)
    return float(100 * (test - train) / dim)


@pytest.mark.torch
@pytest.mark.parametrize("kind", ["fresh", "copies", "half", "the training set"])
def test_the_gap_is_that_of_torch(kind: str) -> None:
    """Gradients by hand and Adam in numpy give what PyTorch gives, also where a variance runs into its bound."""
    centres = random_vectors(77, 3, 64)
    training, control, fresh = clouds(1, 150, centres), clouds(2, 130, centres), clouds(4, 140, centres)
    copies = near(3, training, 0.05)
    made = {"fresh": fresh, "copies": copies, "half": np.concatenate([copies[:70], fresh[:70]])}
    generated = made.get(kind, training)
    found = generalisation_gap(training, control, generated).value
    assert found == pytest.approx(by_torch(training, control, generated), rel=1e-5)


def test_the_gap_tells_copies_from_new_images() -> None:
    """Copies of the training set explain it far better than held-out images; new ones of the kind hardly do."""
    training, control = clouds(1, 200, CENTRES), clouds(2, 200, CENTRES)
    copies = generalisation_gap(training, control, near(3, training, 0.05)).value
    fresh = generalisation_gap(training, control, clouds(4, 200, CENTRES)).value
    assert copies is not None
    assert fresh is not None
    assert copies < -50
    assert abs(fresh) < 15


def test_held_out_images_that_are_all_alike_give_no_gap() -> None:
    """Nothing to scale by: no infinite figure."""
    alike = np.repeat(random_vectors(1, 1), 30, axis=0)
    found = generalisation_gap(random_vectors(2, 30), alike, random_vectors(3, 30))
    assert found.value is None
    assert "all alike" in found.note


# --- Public implementations ------------------------------------------------------------------------------------------

PUBLISHED = {
    "fresh": (-0.8870964839972681, 72.57142857142857, -1.7347254287663594),
    "half copies": (-6.81598345651353, 35.142857142857146, -116.09749698738648),
    "copies": (-12.671287907855842, 0.0, -7301.17615115246),
    "a cell of 20": (0.4269451115722577, 77.72727272727273, -0.057834626107022835),
}
"""What the authors' code gave on these data: C_T and FLD of marcojira/fld (its C_T is casey-meehan's data-copying), in
float64, and AuthPct of it and of layer6ai-labs/dgm-eval."""


def published_sets() -> dict[str, tuple[Points, Points, Points]]:
    centres = random_vectors(77, 3, 32)
    training, control, fresh = clouds(1, 400, centres), clouds(2, 300, centres), clouds(4, 350, centres)
    copies = near(3, training[:350], 0.05)
    few = np.concatenate([clouds(5, 20, centres[:1]), clouds(6, 200, centres[1:])])
    made = {"fresh": fresh, "half copies": np.concatenate([copies[:175], fresh[:175]]), "copies": copies}
    return {name: (training, control, generated) for name, generated in {**made, "a cell of 20": few}.items()}


@pytest.mark.parametrize("name", PUBLISHED)
def test_public_implementations_give_the_same(name: str, tmp_path: Path) -> None:
    """C_T and FLD gap to six digits and more; AuthPct to a generation, for a store keeps embeddings in float16."""
    sides = published_sets()[name]
    c_t, auth_pct, gap = PUBLISHED[name]
    assert copying(*sides).value == pytest.approx(c_t, rel=1e-9)
    assert generalisation_gap(*sides).value == pytest.approx(gap, rel=1e-4 if abs(gap) < 1 else 1e-6)
    assert metrics_of(tmp_path, *sides).auth_pct == pytest.approx(auth_pct, abs=0.6)
