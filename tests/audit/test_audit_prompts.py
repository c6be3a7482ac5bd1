"""Prompts: the same for the same seed, no caption twice, the most duplicated first, and a circle that closes."""

import json
from collections import Counter
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from vectors import random_vectors, vector_store

from memaudit.audit import prompts
from memaudit.audit.pairing import read_pairing
from memaudit.audit.prompts import GroupSizes, choose_matched, choose_prompts, write_prompts
from memaudit.errors import InputError, UsageError
from memaudit.report.tables import write_table
from memaudit.store import Store
from memaudit.types import Status


def captioned(folder: Path, captions: list[str], **columns: object) -> Store:
    vectors = random_vectors(0, len(captions), 4)
    return vector_store(folder, vectors, captions=captions, shard_rows=50, **columns)  # type: ignore[arg-type]


def groups(folder: Path, sizes: dict[str, list[str]]) -> GroupSizes:
    """groups.parquet as memaudit dedup writes it: group number and image_ids."""
    numbers = [number for number, ids in enumerate(sizes.values()) for _ in ids]
    write_table(
        folder / "groups.parquet",
        {"group": np.array(numbers, dtype=np.int64), "image_id": [i for ids in sizes.values() for i in ids]},
    )
    return GroupSizes.read(folder / "groups.parquet")


def test_the_same_seed_gives_the_same_prompts_in_any_order_of_rows(tmp_path: Path) -> None:
    """A store that was put together otherwise gives the same circle; another seed another one."""
    captions = [f"caption {i}" for i in range(300)]
    ids = [f"id-{i}" for i in range(300)]
    order = np.random.default_rng(1).permutation(300)
    store = captioned(tmp_path / "a", captions, ids=ids)
    turned = captioned(tmp_path / "b", [captions[i] for i in order], ids=[ids[i] for i in order])
    chosen = choose_prompts(store, 40)
    assert chosen.prompts == choose_prompts(turned, 40).prompts
    assert chosen.prompts != choose_prompts(store, 40, seed=1).prompts
    assert len({prompt.prompt for prompt in chosen.prompts}) == 40
    assert all(prompt.prompt.split()[1] == prompt.image_id.split("-")[1] for prompt in chosen.prompts)


def test_each_caption_is_as_likely_however_often_it_stands_there(tmp_path: Path) -> None:
    """100 captions, one of them on 400 images: it is drawn no more often than the others."""
    store = captioned(tmp_path, ["common"] * 400 + [f"rare {i}" for i in range(99)])
    drawn = Counter(p.prompt for seed in range(60) for p in choose_prompts(store, 20, seed=seed).prompts)
    assert 2 <= drawn["common"] <= 24  # 12 expected
    assert drawn.total() == 1200


def test_only_comparable_images_with_a_caption(tmp_path: Path) -> None:
    """A blank or unreadable image can be no pair's; white space alone is no caption, and becomes plain in one."""
    captions = ["a\n  clock ", "", "  \t", "blank", "broken", "a clock"]
    statuses = [Status.OK] * 3 + [Status.BLANK, Status.UNREADABLE, Status.OK]
    chosen = choose_prompts(captioned(tmp_path, captions, statuses=statuses), 10)
    assert [prompt.prompt for prompt in chosen.prompts] == ["a clock"]
    assert (chosen.captioned, chosen.distinct, chosen.images, chosen.estimated) == (2, 1, 6, False)


def test_captions_are_counted_exactly_or_estimated(tmp_path: Path) -> None:
    """3,000 distinct captions by 500 hashes: within some 20 %, and said to be an estimate."""
    store = captioned(tmp_path, [f"c {i}" for i in range(3000)] + ["c 1"] * 500)
    exact, estimated = choose_prompts(store, 2000), choose_prompts(store, 250)
    assert (exact.distinct, exact.estimated) == (3000, False)
    assert estimated.estimated
    assert estimated.distinct == pytest.approx(3000, rel=0.2)
    assert estimated.captioned == 3500


def test_pruning_does_not_change_the_choice(tmp_path: Path) -> None:
    """The n of least hash, whatever was thrown away on the way: held against a sort of all."""
    store = captioned(tmp_path, [f"c {i}" for i in range(1000)])
    ranked = sorted((prompts.hash_of(f"5 c {i}"), f"c {i}") for i in range(1000))
    assert [p.prompt for p in choose_prompts(store, 7, seed=5).prompts] == [caption for _, caption in ranked[:7]]


def test_most_duplicated_takes_one_image_of_each_group_largest_first(tmp_path: Path) -> None:
    """Three groups of 5, 3 and 2; images without a near-duplicate are none, and a caption is taken once."""
    ids = [f"i{i}" for i in range(14)]
    captions = [f"c{i}" for i in range(14)]
    captions[9] = captions[0] = "the same"
    store = captioned(tmp_path / "s", captions, ids=ids)
    sizes = groups(tmp_path, {"five": ids[:5], "three": ids[5:8], "two": ids[8:10]})
    chosen = choose_prompts(store, 5, "most-duplicated", sizes).prompts
    assert [prompt.copies for prompt in chosen] == [5, 3, 2]
    assert [ids.index(prompt.image_id) // 5 for prompt in chosen] == [0, 1, 1]
    assert [p.copies for p in choose_prompts(store, 2, "most-duplicated", sizes).prompts] == [5, 3]


def test_a_group_whose_kept_image_has_no_caption_is_there_all_the_same(tmp_path: Path) -> None:
    """Any captioned image stands for its group."""
    store = captioned(tmp_path / "s", ["", "", "only one", ""], ids=list("abcd"))
    chosen = choose_prompts(store, 3, "most-duplicated", groups(tmp_path, {"g": list("abcd")})).prompts
    assert [(p.image_id, p.copies) for p in chosen] == [("c", 4)]


def test_mixed_is_half_of_each_without_repeating(tmp_path: Path) -> None:
    """Ten: five of the largest groups, five at random among all."""
    ids = [f"i{i}" for i in range(100)]
    store = captioned(tmp_path / "s", [f"c{i}" for i in range(100)], ids=ids)
    sizes = groups(tmp_path, {str(g): ids[g * 4 : g * 4 + 4] for g in range(10)})
    chosen = choose_prompts(store, 10, "mixed", sizes).prompts
    assert [prompt.copies for prompt in chosen[:5]] == [4] * 5
    assert len({prompt.prompt for prompt in chosen}) == 10


def test_a_store_without_captions_is_one_line(tmp_path: Path) -> None:
    """Nothing to generate from: what to do is said."""
    with pytest.raises(InputError, match="no image with a caption: embed a manifest") as caught:
        choose_prompts(captioned(tmp_path, ["", " "]), 5)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("count", "strategy", "message"), [(0, "random", "--n 0"), (5, "best", "'best'"), (5, "mixed", "needs --dedup")]
)
def test_impossible_options_are_one_line(tmp_path: Path, count: int, strategy: str, message: str) -> None:
    """Before the store is read."""
    with pytest.raises(UsageError, match=message):
        choose_prompts(captioned(tmp_path, ["a"]), count, strategy)


def test_a_folder_without_groups_is_one_line(tmp_path: Path) -> None:
    """Not a dedup run, or a damaged file."""
    with pytest.raises(InputError, match="holds no groups"):
        GroupSizes.read(tmp_path / "groups.parquet")
    (tmp_path / "groups.parquet").write_bytes(b"PAR1 no")
    with pytest.raises(InputError, match="holds no groups"):
        GroupSizes.read(tmp_path / "groups.parquet")


def test_numbers_of_groups_may_be_any_numbers(tmp_path: Path) -> None:
    """They name groups, and take no more memory for being large."""
    numbers = np.array([2**40, 2**40, 7, -1], np.int64)
    write_table(tmp_path / "groups.parquet", {"group": numbers, "image_id": ["a", "b", "c", "d"]})
    sizes = GroupSizes.read(tmp_path / "groups.parquet")
    assert [sizes.of(name) for name in "abcdx"] == [(2**40, 2), (2**40, 2), (7, 1), (-1, 1), (-1, 1)]


@pytest.mark.parametrize("columns", [{"image_id": ["a", None]}, {"group": ["1", "2"]}, {"group": [1.5, 2.5]}])
def test_a_table_that_dedup_did_not_write_is_one_line(tmp_path: Path, columns: dict[str, list[object]]) -> None:
    """Names that are none, numbers that are none."""
    pq.write_table(pa.table({"group": [1, 2], "image_id": ["a", "b"]} | columns), tmp_path / "groups.parquet")
    with pytest.raises(InputError, match="holds no groups of a memaudit dedup run"):
        GroupSizes.read(tmp_path / "groups.parquet")


def test_what_is_written_is_a_pairing(tmp_path: Path) -> None:
    """The circle closes: the file names generations, images, prompts and seeds, quotes and all."""
    store = captioned(tmp_path / "s", ['say "a, b"', "ü {image_id}", "plain"], ids=["x/1.png", "2", "3"])
    chosen = choose_prompts(store, 3).prompts
    write_prompts(chosen, tmp_path / "prompts.jsonl")
    lines = [json.loads(line) for line in (tmp_path / "prompts.jsonl").read_text().splitlines()]
    assert [line["generation"] for line in lines] == ["000000", "000001", "000002"]
    pairing = read_pairing(tmp_path / "prompts.jsonl")
    assert [(p.reference_id, p.prompt, p.seed) for p in pairing.values()] == [
        (p.image_id, p.prompt, str(p.seed)) for p in chosen
    ]
    assert all(0 <= prompt.seed < 2**31 for prompt in chosen)


def test_each_prompt_says_how_it_was_chosen_and_what_it_stands_for(tmp_path: Path) -> None:
    """All weights together are the distinct captions, with `mixed` as with `random`; most-duplicated has none."""
    captions = [f"caption {i}" for i in range(200)]
    store = captioned(tmp_path / "store", captions, ids=[f"id-{i}" for i in range(200)])
    sizes = groups(tmp_path, {str(g): [f"id-{10 * g + i}" for i in range(3)] for g in range(12)})
    drawn = choose_prompts(store, 120).prompts
    assert {(each.strategy, each.stratum) for each in drawn} == {("random", "random")}
    assert sum(each.weight for each in drawn) == pytest.approx(200)
    mixed = choose_prompts(store, 120, "mixed", sizes).prompts
    assert [each.stratum for each in mixed] == ["duplicated"] * 12 + ["random"] * 108
    assert [each.weight for each in mixed] == [1.0] * 12 + [188 / 108] * 108
    alone = choose_prompts(store, 10, "most-duplicated", sizes).prompts
    assert {(each.strategy, each.weight) for each in alone} == {("most-duplicated", 0.0)}


def test_the_pairing_reads_what_prompts_stand_for(tmp_path: Path) -> None:
    """And refuses a weight that is none."""
    store = captioned(tmp_path / "store", [f"c {i}" for i in range(30)])
    chosen = [each._replace(weight=3.0) for each in choose_prompts(store, 10).prompts]
    write_prompts(chosen, tmp_path / "prompts.jsonl")
    read = read_pairing(tmp_path / "prompts.jsonl")
    assert {(each.strategy, each.weight, each.distinct) for each in read.values()} == {("random", 3.0, 30.0)}
    (tmp_path / "bad.csv").write_text("generation,image_id,weight\na,b,-1\n")
    with pytest.raises(InputError, match="the weight '-1' is none"):
        read_pairing(tmp_path / "bad.csv")


def test_by_image_a_caption_is_as_likely_as_it_is_common(tmp_path: Path) -> None:
    """100 captions, one of them on 400 of 499 images: it stands there once, for as many images as were drawn of it."""
    store = captioned(tmp_path, ["common"] * 400 + [f"rare {i}" for i in range(99)])
    shares = []
    for seed in range(20):
        chosen = choose_prompts(store, 20, seed=seed, by="image").prompts
        weights = {prompt.prompt: prompt.weight for prompt in chosen}
        assert len(weights) == len(chosen)
        assert sum(weights.values()) == pytest.approx(499)
        assert {prompt.strategy for prompt in chosen} == {"random by image"}
        shares.append(weights.get("common", 0) / 499)
    assert np.mean(shares) == pytest.approx(400 / 499, abs=0.06)
    assert chosen == choose_prompts(store, 20, seed=seed, by="image").prompts


def test_by_image_all_of_a_small_set(tmp_path: Path) -> None:
    chosen = choose_prompts(captioned(tmp_path, ["a", "b", "a", ""]), 50, by="image")
    assert {prompt.prompt: prompt.weight for prompt in chosen.prompts} == {"a": 2.0, "b": 1.0}


def test_a_matched_design_has_as_many_held_out_captions(tmp_path: Path) -> None:
    """At random on both sides, in an order that tells nobody which are which; what both sets have is on neither."""
    training = captioned(tmp_path / "t", [f"t {i}" for i in range(300)] + ["shared"])
    held_out = captioned(tmp_path / "h", [f"h {i}" for i in range(50)] + ["shared", "h 1"])
    chosen = choose_matched(training, held_out, 40)
    assert chosen.held_out == 20
    sides = ["held-out" if prompt.prompt.startswith("h") else "random" for prompt in chosen.prompts]
    assert [prompt.stratum for prompt in chosen.prompts] == sides
    assert sides != sorted(sides)
    assert Counter(sides) == {"held-out": 20, "random": 20}
    none, weight = sorted({prompt.weight for prompt in chosen.prompts})
    assert none == 0.0
    assert chosen.estimated
    assert weight * 20 == pytest.approx(300, rel=0.5)
    assert {prompt.strategy for prompt in chosen.prompts} == {"matched"}
    assert chosen.prompts == choose_matched(training, held_out, 40).prompts
    assert choose_matched(training, held_out, 1000).held_out == 50
    drawn = {prompt.prompt for prompt in choose_matched(training, held_out, 1000).prompts}
    assert "shared" not in drawn


def test_a_matched_design_that_cannot_be(tmp_path: Path) -> None:
    training = captioned(tmp_path / "t", ["a", "b"])
    with pytest.raises(UsageError, match="at least 2, half of them held out"):
        choose_matched(training, training, 1)
    with pytest.raises(InputError, match="is one of the other set as well"):
        choose_matched(training, captioned(tmp_path / "h", ["b", "a"]), 4)
    with pytest.raises(InputError, match="has no image with a caption"):
        choose_matched(training, captioned(tmp_path / "n", ["", ""]), 4)


def test_choices_that_exclude_each_other(tmp_path: Path) -> None:
    store = captioned(tmp_path / "t", ["a", "b"])
    with pytest.raises(UsageError, match="unknown --by 'word'"):
        choose_prompts(store, 4, by="word")
    with pytest.raises(UsageError, match="--by image is for --strategy random"):
        choose_prompts(store, 4, "mixed", groups(tmp_path, {"1": ["a"]}), by="image")


def test_the_stratum_of_a_prompt_goes_into_the_pairing(tmp_path: Path) -> None:
    training, held_out = (captioned(tmp_path / name, [f"{name} {i}" for i in range(4)]) for name in "th")
    write_prompts(choose_matched(training, held_out, 8).prompts, tmp_path / "prompts.jsonl")
    pairing = read_pairing(tmp_path / "prompts.jsonl")
    assert {each.prompt[0]: each.held_out for each in pairing.values()} == {"t": False, "h": True}
