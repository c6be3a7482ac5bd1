"""The fused join, without a card in Triton's interpreter: nothing lost, in either format, whatever the blocks.

Triton interprets if the variable was set when it was first imported, by whomever: TRITON_INTERPRET=1 pytest FILE.
"""

from __future__ import annotations

import os
from dataclasses import replace
from time import sleep

import numpy as np
import pytest
from vectors import Vectors, families, near, random_vectors

from memaudit.errors import UsageError
from memaudit.similarity import Pairs, fused, pairs_across, pairs_within
from memaudit.similarity.backends import choose_backend
from memaudit.similarity.fused import Shape, in_bytes, in_float16, near_pairs
from memaudit.similarity.join import join
from memaudit.similarity.nominate import FusedProducts, HalfProducts, Side, on_cards

torch = pytest.importorskip("torch", reason="needs PyTorch: ./scripts/test --all")
pytestmark = pytest.mark.torch
DEVICE = "cuda:0" if torch.cuda.is_available() else "cpu"
if DEVICE == "cpu" and os.environ.get("TRITON_INTERPRET") != "1":
    pytest.skip("Triton's interpreter needs a process of its own: test_fused_interpreted.py", allow_module_level=True)
pytest.importorskip("triton", reason="needs Triton, which PyTorch for CUDA brings")
SMALL = Shape(rows=32, columns=64, step_bytes=64, group=2, warps=4)


def here(threshold: float) -> FusedProducts:
    return replace(FusedProducts.on([DEVICE], threshold), tile=(64, 64), shape=SMALL)


def within(vectors: Vectors, threshold: float, kind: str) -> set[tuple[int, int]]:
    i, j = near_pairs(vectors, vectors, threshold, DEVICE, SMALL, kind)
    return set(zip(i.tolist(), j.tolist(), strict=True))


def as_set(pairs: Pairs) -> set[tuple[int, int]]:
    return set(zip(pairs.left.tolist(), pairs.right.tolist(), strict=True))


@pytest.mark.parametrize("kind", ["int8", "float16"])
@pytest.mark.parametrize("dim", [100, 256])
def test_no_pair_is_lost(kind: str, dim: int) -> None:
    """Both formats nominate all pairs, each once, and none that is further below the threshold than float32 rounds."""
    vectors = families(3, [1] * 30 + [2] * 10 + [8], dim, 0.45)
    i, j = near_pairs(vectors, vectors, 0.8, DEVICE, SMALL, kind)
    scores = vectors.astype(np.float64) @ vectors.T.astype(np.float64)
    assert len(i) == len(set(zip(i.tolist(), j.tolist(), strict=True)))
    assert set(zip(*np.nonzero(scores >= 0.8), strict=True)) <= set(zip(i, j, strict=True))
    assert scores[i, j].min() >= 0.8 - 3e-5
    assert (np.diff((i << 32) + j) > 0).all()


@pytest.mark.parametrize("kind", ["int8", "float16"])
def test_the_threshold_on_a_similarity_that_occurs(kind: str) -> None:
    """A pair at exactly the threshold is nominated."""
    vectors = families(5, [1] * 10 + [3] * 6, 64, 0.7)
    exact = pairs_within(vectors, 0.5)
    threshold = float(exact.similarity[3])
    assert as_set(exact.where(exact.similarity >= np.float32(threshold))) <= within(vectors, threshold, kind)


def test_a_join_equals_that_of_float64() -> None:
    """Pairs and similarities are those of products in float32, within a set and across."""
    vectors = families(4, [1] * 40 + [2] * 15 + [5] * 4, 64)
    backend = here(0.8)
    found = Pairs.joined(list(join(Side.of(vectors), None, 0.8, backend))).in_order()
    expected = pairs_within(vectors, 0.8)
    assert as_set(found) == as_set(expected)
    np.testing.assert_array_equal(found.similarity, expected.similarity)
    across = pairs_across(vectors[:50], vectors[50:], 0.8, backend)
    assert as_set(across) == as_set(pairs_across(vectors[:50], vectors[50:], 0.8))
    assert backend.idle.qsize() == 1


def test_devices_share_the_tiles(monkeypatch: pytest.MonkeyPatch) -> None:
    """From one queue, each with a tile at a time; the pairs are those of one device."""
    vectors, busy, most = families(4, [1] * 20 + [2] * 20, 32), set(), set()

    def product(left: Vectors, right: Vectors, threshold: float, device: str, *_: object) -> tuple[np.ndarray, ...]:
        assert device not in busy, "two tiles on one device"
        busy.add(device)
        most.add(frozenset(busy))
        sleep(0.002)
        busy.remove(device)
        return np.nonzero(left @ right.T >= threshold - 1e-5)

    monkeypatch.setattr("memaudit.similarity.nominate.near_pairs", product)
    backend = replace(FusedProducts.on(["cuda:0", "cuda:1"], 0.8), tile=(8, 8))
    found = Pairs.joined(list(join(Side.of(vectors), None, 0.8, backend)))
    assert as_set(found) == as_set(pairs_within(vectors, 0.8))
    assert frozenset(["cuda:0", "cuda:1"]) in most


@pytest.mark.parametrize("kind", ["int8", "float16"])
def test_rounding_that_takes_all_it_can_loses_no_pair(kind: str) -> None:
    """Every number of two equal rows is rounded down, in int8 by 0.49 of a step: narrow products are 0.968 and 0.9995,
    and only the margin finds them at a threshold of 0.9999."""
    peak = 12.7 / 30.49
    other = np.r_[peak, np.full(99, np.sqrt((1 - peak**2) / 99))]
    vectors = np.stack([np.full(100, 0.1), np.full(100, 0.1), other]).astype(np.float32)
    narrow = (in_bytes if kind == "int8" else in_float16)(torch.from_numpy(vectors), SMALL)
    row = narrow.rows[0].double() * narrow.scale
    assert float(row @ row) < 0.9999 - 1e-4
    assert {(0, 1), (1, 0)} <= within(vectors, 0.9999, kind)


def test_spikes_lose_no_pair() -> None:
    """Rows of a single number make the scale of int8 coarse: more is nominated, or float16 is taken; none is lost."""
    vectors = np.concatenate([families(1, [1] * 30 + [2] * 10, 256, 0.5), np.eye(256, dtype=np.float32)[[3] * 6]])
    exact = as_set(pairs_within(vectors, 0.8))
    assert exact <= within(vectors, 0.8, "int8")
    assert exact <= within(vectors, 0.8, "")
    wide = torch.from_numpy(vectors)
    x, y = fused._narrowed(wide, wide, SMALL, "")
    assert (x.rows.dtype, y.rows.dtype) == (torch.float16, torch.float16)
    assert fused._narrowed(wide[:50], wide[:50], SMALL, "")[0].rows.dtype == torch.int8


@pytest.mark.parametrize("narrowed", [in_bytes, in_float16])
def test_the_margin_bounds_what_rounding_changes(narrowed: object) -> None:
    """|x.y - x'.y'| <= r_x + (1 + r_x) r_y for rows that agree as well as rows that do not."""
    vectors = near(2, np.repeat(random_vectors(1, 40, 96), 2, axis=0), 0.4)
    n = narrowed(torch.from_numpy(vectors), SMALL)  # type: ignore[operator]
    back = n.rows[: len(vectors), :96].double().numpy() * n.scale
    lost = n.lost.double().numpy()
    off = np.abs(vectors.astype(np.float64) @ vectors.T.astype(np.float64) - back @ back.T)
    assert (off <= lost[:, None] + (1 + lost[:, None]) * lost[None, :]).all()


def test_a_buffer_that_is_too_small_is_made_larger(monkeypatch: pytest.MonkeyPatch) -> None:
    """Copies of one row are all paired, however few pairs were expected."""
    monkeypatch.setattr(fused, "_ROOM", 16)
    vectors = np.repeat(random_vectors(2, 1, 64), 40, axis=0)
    assert len(within(vectors, 0.9, "int8")) == 40 * 40


def test_a_threshold_below_the_margin_reads_no_row_that_is_not_there() -> None:
    """Padding has a score of 0, which may reach such a threshold."""
    vectors = random_vectors(1, 33, 32)
    found = within(vectors, 1e-5, "int8")
    assert as_set(pairs_within(vectors, 1e-5)) <= found
    assert max(max(pair) for pair in found) < 33


def test_a_card_that_is_full_gets_halves(monkeypatch: pytest.MonkeyPatch) -> None:
    """Until they fit; the pairs are the same, and the device is idle again. What is no lack of memory is raised."""
    vectors = families(4, [1] * 20 + [2] * 20, 32)
    asked = []

    def small(left: Vectors, right: Vectors, *rest: object) -> tuple[np.ndarray, np.ndarray]:
        asked.append((len(left), len(right)))
        if len(left) * len(right) > 900:
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.")
        return np.nonzero(left @ right.T >= 0.8 - 1e-5)

    backend = here(0.8)
    monkeypatch.setattr("memaudit.similarity.nominate.near_pairs", small)
    found = Pairs.joined(list(join(Side.of(vectors), None, 0.8, backend)))
    assert as_set(found) == as_set(pairs_within(vectors, 0.8))
    assert (60, 60) in asked
    assert (30, 30) in asked
    monkeypatch.setattr("memaudit.similarity.nominate.near_pairs", lambda *_: 1 // 0)
    with pytest.raises(ZeroDivisionError):
        backend.candidates(Side.of(vectors), Side.of(vectors), slice(0, 9), slice(0, 9))
    assert backend.idle.qsize() == 1


def test_a_device_is_tried_before_it_is_trusted(monkeypatch: pytest.MonkeyPatch) -> None:
    """Kernels that fail, or lose a pair, are not used: float16 products are, whose answer is the same."""
    assert fused.is_right_on.__wrapped__(DEVICE, SMALL, 25)
    monkeypatch.setattr(fused, "near_pairs", lambda *_: (np.arange(9), np.arange(9)))
    assert not fused.is_right_on.__wrapped__(DEVICE, SMALL)
    monkeypatch.setattr(fused, "near_pairs", lambda *_: 1 // 0)
    assert not fused.is_right_on.__wrapped__(DEVICE, SMALL)


def test_fused_is_chosen_where_it_works(monkeypatch: pytest.MonkeyPatch) -> None:
    """By name it is refused elsewhere; without a name another takes its place."""
    with pytest.raises(UsageError, match="no CUDA device on which Triton works: choose another backend than fused"):
        choose_backend("fused", 9, 9, 0.8, lambda: np.empty((0, 8), np.float32), 0)
    monkeypatch.setattr("memaudit.similarity.nominate.fused_devices", tuple)
    assert isinstance(on_cards(0.8), HalfProducts)
    monkeypatch.setattr("memaudit.similarity.nominate.fused_devices", lambda: ("cuda:0", "cuda:1"))
    backend = on_cards(0.8)
    assert (backend.name, backend.at_once) == ("fused", 2)
    monkeypatch.setattr(fused, "find_spec", lambda name: None)
    assert fused.devices() == ()
