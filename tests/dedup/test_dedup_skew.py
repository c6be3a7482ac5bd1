"""Removal skew: the counts are those of the tables, the intervals hold, chance alone finds nothing."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from vectors import families, random_vectors, vector_store

from memaudit.dedup import skew, skew_sums
from memaudit.dedup.options import DedupOptions
from memaudit.dedup.results import Decision, DedupResult, Removal
from memaudit.dedup.run import dedup
from memaudit.dedup.skew import weigh
from memaudit.dedup.skew_sums import Sums
from memaudit.dedup.skew_values import Bands, entries_of, simplicity_bands, size_bands, words_of
from memaudit.store import Columns


def by_value(removal: Removal) -> dict[tuple[str, str], dict[str, Any]]:
    columns = removal.skew._asdict()
    rows = [dict(zip(columns, values, strict=True)) for values in zip(*columns.values(), strict=True)]
    return {(row["feature"], row["value"]): row for row in rows}


def clocks(folder: Path, seed: int = 0) -> tuple[DedupResult, list[str], list[str]]:
    """Two families of 40 clocks, 160 different pictures; half of all are "red", and cats are as the rest is."""
    vectors = np.concatenate([families(0, [40, 40], noise=0.15), random_vectors(3, 160)])
    captions = [f"A {'Red' if i % 2 else 'blue'} CLOCK, clock" if i < 80 else f"a {'red' if i % 2 else 'blue'} cat"
                for i in range(240)]  # fmt: skip
    metadata = [json.dumps({"license": "cc0" if i % 3 else "by", "n": i, "tags": ["x"]}) for i in range(240)]
    order = np.random.default_rng(seed).permutation(240)
    names = [f"{i:03d}" for i in range(240)]
    store = vector_store(
        folder,
        vectors[order],
        ids=[names[i] for i in order],
        captions=[captions[i] for i in order],
        metadata=[metadata[i] for i in order],
        simplicity=[0.95 if i < 80 else 0.3 for i in order],
    )
    return dedup(store), [captions[i] for i in order], [metadata[i] for i in order]


def test_counts_are_those_of_the_decisions(tmp_path: Path) -> None:
    """Each word counts once an image, in lower case; ratio and shares follow from the counts; largest change first."""
    result, captions, metadata = clocks(tmp_path / "s")
    removal, kept = result.removal, result.decisions.decision == Decision.KEEP
    assert (removal.before, removal.after) == (240, int(kept.sum()))
    table = by_value(removal)
    for word in ("clock", "red", "cat"):
        has = np.array([word in caption.lower() for caption in captions])
        row = table["caption word", word]
        assert (row["before"], row["after"]) == (has.sum(), (has & kept).sum())
        assert row["ratio"] == pytest.approx((has & kept).sum() / kept.sum() / (has.sum() / 240))
        assert row["low"] <= row["ratio"] <= row["high"]
    assert ("caption word", "a") not in table  # on every image: there is nothing to compare it with
    licenses = np.array([json.loads(text)["license"] == "by" for text in metadata])
    assert table["metadata license", "by"]["before"] == licenses.sum()
    assert ("metadata n", "7") not in table  # one image is no support
    assert table["simplicity", "80 to 100 %"]["after"] == 2
    change = np.abs(np.log(removal.skew.ratio))
    assert (np.diff(change) <= 1e-12).all()
    assert table["caption word", "clock"]["families"] == 2


def test_families_and_not_images_are_the_unit(tmp_path: Path) -> None:
    """80 clocks of two families are two removals and not 78: their interval stays wide, and p says little."""
    row = by_value(clocks(tmp_path / "s")[0].removal)["caption word", "clock"]
    assert row["ratio"] < 0.05
    assert row["high"] > 0.5
    assert row["p"] < 0.05


def test_the_order_of_rows_does_not_matter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor do caps and buffers: what they leave out follows the keep rule's order."""
    monkeypatch.setattr(skew_sums, "MOST_VALUES", 25)
    first = clocks(tmp_path / "a", 0)[0].removal
    monkeypatch.setattr(skew, "AT_ONCE", 7)
    second = clocks(tmp_path / "b", 1)[0].removal
    assert first.left_out == second.left_out == {"metadata n": 215}
    assert by_value(first).keys() == by_value(second).keys()
    for key, row in by_value(first).items():
        assert by_value(second)[key] == pytest.approx(row)


def test_what_is_not_there_is_said(tmp_path: Path) -> None:
    """Without captions and metadata there are bands of size only; with nothing removed there is nothing to compare."""
    removal = dedup(vector_store(tmp_path / "a", families(0, [3] * 20, noise=0.1))).removal
    assert removal.note == "the store holds no captions and no metadata"
    assert set(removal.skew.feature) == set()  # all are of one size
    sizes = [(50, 50)] * 30 + [(3000, 2000)] * 30
    removal = dedup(vector_store(tmp_path / "b", families(0, [3] * 20, noise=0.1), sizes=sizes)).removal
    assert sorted(removal.skew.value) == ["2048 pixels a side and more", "below 64 pixels a side"]
    removal = dedup(vector_store(tmp_path / "c", random_vectors(0, 40))).removal
    assert (removal.note, len(removal.skew.value)) == ("nothing was removed", 0)


@pytest.mark.parametrize("groups", ["cover", "components"])
def test_malformed_metadata_is_passed_over(tmp_path: Path, groups: str) -> None:
    """No JSON, no object, half characters, long values, hundreds of columns: left out, never an error."""
    odd = ["{", "[1]", '"x"', '{"a": "\\ud800"}', json.dumps({"a": "x" * 1000}), json.dumps({"a": None, "b": {}})]
    many = [json.dumps({f"k{i}": 1 for i in range(300)})]
    metadata = [*odd * 9, *many * 6]
    store = vector_store(tmp_path / "s", families(0, [2] * 30, noise=0.1), metadata=metadata)
    removal = dedup(store, DedupOptions(groups=groups)).removal
    assert removal.left_out["metadata a"] == 9
    assert removal.left_out[skew_sums.FURTHER] == 6 * (300 - 100 + 2)


@pytest.mark.parametrize(
    ("caption", "words"),
    [
        ("A RED clock, red-hot!", ["a", "red", "clock", "red-hot"]),
        ("Cafe\u0301 ÉTÉ", ["café", "été"]),
        ("часы 时钟 ساعة", ["часы", "时钟", "ساعة"]),
        ("it's 3 o'clock_now", ["it's", "3", "o'clock", "now"]),
        ("  ,;. ", []),
    ],
)
def test_words(caption: str, words: list[str]) -> None:
    """Lower case, composed, of any script."""
    assert words_of(caption) == words


def values_of(bands: Bands) -> list[str | None]:
    return [None if place < 0 else bands.values[place][1] for place in bands.place]


def test_bands() -> None:
    """Every size and simplicity has a band."""
    sides = np.array([0, 63, 64, 2047, 2048])
    assert values_of(size_bands(sides, sides)) == [
        "below 64 pixels a side",
        "below 64 pixels a side",
        "64 to 128 pixels a side",
        "1024 to 2048 pixels a side",
        "2048 pixels a side and more",
    ]
    known = values_of(simplicity_bands(np.array([0, 0.2, 0.999, 1, np.nan], np.float32)))
    assert known == ["0 to 20 %", "20 to 40 %", "80 to 100 %", "80 to 100 %", None]


def test_entries_are_by_image_each_once() -> None:
    """An image without texts has its bands; one without a simplicity has none of that."""
    texts = [("red red clock", '{"site": "a", "tags": [1]}'), ("", ""), ("clock", '{"site": "a"}')]
    side = np.array([64, 2048, 64])
    columns = Columns(*(np.empty(0, object) for _ in Columns._fields))._replace(
        width=side, height=side, simplicity=np.array([0.5, np.nan, 0.5], np.float32)
    )
    caption, metadata = (np.array(column, object) for column in zip(*texts, strict=True))
    found = entries_of(columns._replace(caption=caption, metadata=metadata))
    of_images = [[found.values[place][1] for place in found.place[found.image == image]] for image in range(3)]
    small, middle = "64 to 128 pixels a side", "40 to 60 %"
    assert of_images == [
        [small, middle, "clock", "red", "a"],
        ["2048 pixels a side and more"],
        [small, middle, "clock", "a"],
    ]
    assert len(set(found.values)) == len(found.values)


# --- the statistics ------------------------------------------------------------------------------------------------


def sums_of(n: np.ndarray, k: np.ndarray) -> Sums:
    """One value from its families' images and kept images."""
    columns = (n, k, n * n, n * k, k * k, n > 0)
    return Sums(*(np.array([column.sum()], dtype=float) for column in columns))


def drawn(rng: np.random.Generator, families: int, size: int, rate: float, clumped: bool) -> Sums:
    n = np.full(families, size)
    return sums_of(n, size * rng.binomial(1, rate, families) if clumped else rng.binomial(size, rate, families))


@pytest.mark.parametrize(("size", "clumped"), [(1, False), (1, True), (8, True), (3, False)])
def test_the_interval_covers_the_truth(size: int, clumped: bool) -> None:
    """In at least 95 % of removals with known rates, families removed whole or image by image."""
    rng = np.random.default_rng(0)
    hits, runs = 0, 400
    for _ in range(runs):
        inside, outside = drawn(rng, 40, size, 0.6, clumped), drawn(rng, 200, size, 0.85, clumped)
        skew = weigh([("word", "x")], inside, outside)
        weight = 40 / 240
        truth = 0.6 / (weight * 0.6 + (1 - weight) * 0.85)
        hits += bool(skew.low[0] <= truth <= skew.high[0])
    assert hits / runs >= 0.95


def test_a_few_large_families_are_few_draws() -> None:
    """Sizes by Zipf's law: one family of a thousand hides that nothing else was drawn as often."""
    rng = np.random.default_rng(2)
    hits, runs = 0, 400
    for _ in range(runs):
        sizes = [np.minimum(rng.zipf(2, count), 2000) for count in (60, 300)]
        inside, outside = (sums_of(n, n * rng.binomial(1, 0.8, len(n))) for n in sizes)
        skew = weigh([("word", "x")], inside, outside)
        hits += bool(skew.low[0] <= 1 <= skew.high[0])
    assert hits / runs >= 0.95


@pytest.mark.parametrize(("size", "clumped"), [(1, False), (8, True)])
def test_chance_alone_is_no_discovery(size: int, clumped: bool) -> None:
    """With one rate for all, p is below 0.05 in at most 5 % of cases (and 2 more for luck)."""
    rng = np.random.default_rng(1)
    p = [
        weigh([("w", "x")], drawn(rng, 30, size, 0.8, clumped), drawn(rng, 300, size, 0.8, clumped)).p[0]
        for _ in range(400)
    ]
    assert np.mean(np.array(p) <= 0.05) <= 0.07


def test_nothing_left_of_a_word_and_nothing_lost_of_it() -> None:
    """Rates of 0 and 1 have intervals too, and no number that JSON does not have."""
    none = weigh([("w", "x")], sums_of(np.ones(50), np.zeros(50)), sums_of(np.ones(50), np.ones(50)))
    every = weigh([("w", "x")], sums_of(np.ones(50), np.ones(50)), sums_of(np.ones(50), np.zeros(50)))
    assert (none.ratio[0], none.low[0]) == (0, 0)
    assert 0 < none.high[0] < 0.2
    assert every.ratio[0] == 2
    assert 1.8 < every.low[0] < 2
    assert every.high[0] == 2
    for row in (none, every):
        assert all(np.isfinite(column).all() for column in row[2:])
        assert row.p[0] < 1e-6


def test_q_grows_with_the_number_of_words_looked_at() -> None:
    """Benjamini and Hochberg: of many words the smallest p is multiplied by their number, and q never falls."""
    inside = [sums_of(np.ones(60), np.arange(60) < kept) for kept in (30, *[50] * 39)]
    joined = Sums(*(np.concatenate(column) for column in zip(*inside, strict=True)))
    outside = Sums(*(np.repeat(column, 40) for column in sums_of(np.ones(600), np.arange(600) < 500)))
    skew = weigh([("w", str(i)) for i in range(40)], joined, outside)
    assert skew.value[0] == "0"
    assert skew.q[0] == pytest.approx(skew.p[0] * 40)
    assert (skew.q >= skew.p).all()
    assert (skew.q <= 1).all()
