"""What is done about CUDA devices, as far as it can be tried without one."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import numpy as np
import pytest
from vectors import families

from memaudit.similarity import pairs_within, scores
from memaudit.similarity.card import float32_sums, free_bytes, in_halves
from memaudit.similarity.join import join
from memaudit.similarity.nominate import HalfProducts, Side
from memaudit.similarity.pairs import Pairs
from memaudit.similarity.scores import HalfScorer

torch = pytest.importorskip("torch", reason="needs PyTorch: ./scripts/test --all")
pytestmark = pytest.mark.torch


def reduced() -> bool:
    return bool(torch.backends.cuda.matmul.allow_fp16_reduced_precision_reduction)


@pytest.mark.parametrize("before", [True, False])
def test_sums_are_float32_while_products_run(before: bool) -> None:
    """Whatever the process had set holds again afterwards, also after an error."""
    kept = reduced()
    torch.backends.cuda.matmul.allow_fp16_reduced_precision_reduction = before
    try:
        with float32_sums():
            with float32_sums():
                assert not reduced()
            assert not reduced()
        assert reduced() is before
        with pytest.raises(ZeroDivisionError), float32_sums():
            _ = 1 // 0
        assert reduced() is before
    finally:
        torch.backends.cuda.matmul.allow_fp16_reduced_precision_reduction = kept


def test_threads_share_the_setting() -> None:
    """One that ends does not take float32 sums from another that is in the middle of a product."""
    entered, left = Barrier(2), Barrier(2)

    def longer() -> bool:
        with float32_sums():
            entered.wait(10)
            left.wait(10)
            return reduced()

    before = reduced()
    with ThreadPoolExecutor(1) as pool:
        found = pool.submit(longer)
        with float32_sums():
            entered.wait(10)
        left.wait(10)
        assert found.result() is False
    assert reduced() is before


def test_products_on_a_card_hold_it_and_halve(monkeypatch: pytest.MonkeyPatch) -> None:
    """Backend cuda, by a device that is none: the same pairs although a tile of more than 400 scores has no room."""
    vectors = families(4, [1] * 20 + [2] * 20, 32)
    seen, plain = [], HalfProducts._near

    def near(self: HalfProducts, left: np.ndarray, right: np.ndarray) -> object:
        seen.append(reduced())
        if len(left) * len(right) > 400:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return plain(self, left, right)

    monkeypatch.setattr(HalfProducts, "_near", near)
    backend = HalfProducts(0.8, "cpu:0", "float16", 8 * 2.0**-11, (50, 50), "")
    found = Pairs.joined(list(join(Side.of(vectors), None, 0.8, backend))).in_order()
    for ours, theirs in zip(found, pairs_within(vectors, 0.8), strict=True):
        np.testing.assert_array_equal(ours, theirs)
    assert seen
    assert not any(seen)


def test_exact_search_on_a_card_holds_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """The product of queries with a block is summed in float32."""
    rows, seen, plain = families(1, [2] * 5, 32), [], torch.mm
    monkeypatch.setattr(torch, "mm", lambda *given, **named: (seen.append(reduced()), plain(*given, **named))[1])
    scorer = HalfScorer(rows, "cpu:0")
    scorer.tile(scorer.block(rows), slice(0, 10))
    assert seen == [False]


def test_queries_without_room_on_a_card_are_searched_here(monkeypatch: pytest.MonkeyPatch) -> None:
    """A card that another process has filled is no reason to end; any other error of it is."""
    monkeypatch.setattr(scores, "cuda_is_there", lambda: True)
    monkeypatch.setattr(scores, "torch_with_bfloat16", lambda: None)

    def fails(message: str) -> None:
        def rounded(*_: object) -> None:
            raise RuntimeError(message)

        monkeypatch.setattr(HalfScorer, "__init__", rounded)

    fails("CUDA out of memory")
    assert scores.half_scorer(families(1, [2], 8)) is None
    fails("CUDA error: device-side assert triggered")
    with pytest.raises(RuntimeError, match="device-side assert"):
        scores.half_scorer(families(1, [2], 8))


def test_halves_cover_everything_once() -> None:
    """Down to a single pair, whose error is raised; an error of another kind is raised at once."""
    covered = np.zeros((9, 14), int)

    def work(rows: slice, columns: slice) -> int:
        if (rows.stop - rows.start) * (columns.stop - columns.start) > 5:
            raise RuntimeError("CUDA out of memory")
        covered[rows, columns] += 1
        return 1

    assert len(in_halves(work, slice(0, 9), slice(0, 14))) > 9 * 14 / 5
    assert (covered == 1).all()
    calls = []
    for message in ("out of memory", "illegal memory access"):

        def fails(rows: slice, columns: slice, message: str = message) -> None:
            calls.append(message)
            raise RuntimeError(message)

        with pytest.raises(RuntimeError, match=message):
            in_halves(fails, slice(0, 2), slice(0, 2))
    assert calls == ["out of memory"] * 3 + ["illegal memory access"]


def test_without_a_card_nothing_is_free() -> None:
    if torch.cuda.is_available():
        pytest.skip("a CUDA device is here")
    assert free_bytes() == []
