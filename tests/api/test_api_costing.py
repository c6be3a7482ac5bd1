"""Plans of work: what they say is the coefficients times what there is to do, and nothing in them was run."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from vectors import families, random_vectors, vector_store

import memaudit as ma
from memaudit.cli.app import run
from memaudit.costs.model import read_costs
from memaudit.costs.plan import BASIS
from memaudit.dedup.effort import spoken
from memaudit.errors import UsageError

BIG = ma.Machines(cores=8, memory="64G")


def told(capsys: pytest.CaptureFixture[str], *command: str) -> dict[str, Any]:
    assert run(["plan", *command, "--json"]) == 0
    return dict(json.loads(capsys.readouterr().out))


@pytest.mark.parametrize("rows", ["30k", "1M", "40M", "400M"])
def test_stages_add_up_and_cores_shorten_what_they_can(rows: str) -> None:
    """Twice the cores halve the stages that use all of them, and change no processor second."""
    few, many = (ma.plan_dedup(rows, machines=ma.Machines(cores, "999G")).planned for cores in (4, 8))
    assert few.seconds == pytest.approx(sum(stage.seconds for stage in few.stages))
    for slow, fast in zip(few.stages, many.stages, strict=True):
        assert slow.cpu_seconds == fast.cpu_seconds
        assert fast.seconds == pytest.approx(slow.seconds / 2 if slow.seconds < slow.cpu_seconds else slow.seconds)
    assert many.bottleneck == max(many.stages, key=lambda stage: stage.seconds).name


def test_more_images_cost_more_and_exhaustive_runs_the_most() -> None:
    costs = [ma.plan_dedup(rows, machines=BIG) for rows in ("100k", "1M", "10M")]
    assert [plan.seconds for plan in costs] == sorted(plan.seconds for plan in costs)
    assert [plan.memory for plan in costs] == sorted(plan.memory for plan in costs)
    assert ma.plan_dedup("10M", exhaustive=True, machines=BIG).seconds > 10 * costs[-1].seconds


def test_too_little_memory_is_the_bottleneck() -> None:
    plan = ma.plan_dedup("400M", machines=ma.Machines(64, "32G"))
    assert (plan.fits, plan.bottleneck) == (False, "memory")


def test_a_gpu_compares_and_says_that_it_was_not_run() -> None:
    """Of the stages the comparing alone; an unknown card is no guess."""
    plan = ma.plan_dedup("40M", exhaustive=True, machines=ma.Machines(64, "512G", gpus=1))
    (stage,) = [stage for stage in plan.planned.stages if stage.gpu]
    assert (stage.name, "not run" in stage.basis) == ("comparing", True)
    with pytest.raises(UsageError, match="--gpu 'b999' is unknown: expected one of a100"):
        ma.plan_dedup("40M", machines=ma.Machines(gpus=1, gpu="b999"))


def test_a_store_says_how_many_pairs_there_are(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Of 40 families of three each image has two partners: one pair an image. As a sample of ten times as many images
    its partners would be ten times as many."""
    store = vector_store(tmp_path / "a store", families(0, [3] * 40, noise=0.1))
    plan = ma.plan_dedup(store=store)
    assert (plan.planned.rows, plan.planned.dim) == (120, 32)
    assert "1 pairs an image (counted for a few images)" in plan.planned.notes[0]
    assert plan.commands == (f"memaudit dedup '{tmp_path}/a store' --out dedup",)
    assert "10.076 pairs" in ma.plan_dedup(1200, store=store).planned.notes[0]
    alone = vector_store(tmp_path / "alone", random_vectors(0, 5))
    assert told(capsys, "dedup", str(alone.folder))["notes"][0].startswith("every image with every other; 0 pairs")


REREADING = "looking for the cleanest"


def rereading(plan: ma.WorkPlan) -> tuple[list[float], list[str]]:
    """CPU seconds of that stage, if there is one, and what is said of it."""
    stages = [stage.cpu_seconds for stage in plan.planned.stages if stage.name == REREADING]
    return stages, [note for note in plan.planned.notes if note.startswith("--keep cleanest")]


def test_images_that_are_read_again_for_the_cleanest_are_counted(tmp_path: Path) -> None:
    """Those that have a near-duplicate: of 90 images 60. Nobody reads them by another rule, nor without pixels."""
    store = vector_store(tmp_path / "store", families(0, [3] * 20 + [1] * 30, noise=0.1), uris=["x.png"] * 90)
    (seconds,), (note,) = rereading(ma.plan_dedup(store=store))
    of_each = next(stage.per["reread"] for stage in read_costs().commands["dedup"].stages if stage.name == REREADING)
    assert seconds == pytest.approx(60 * of_each)
    assert "about 60 images again" in note
    assert "in the whole set more" in rereading(ma.plan_dedup(900, store=store))[1][0]
    for how in ({"keep": "largest"}, {"match": "none"}):
        plan = ma.plan_dedup(store=store, **how)
        assert rereading(plan) == ([], [])
        assert plan.commands[0].endswith(f"--out dedup --{next(iter(how))} {next(iter(how.values()))}")
    unknown = vector_store(tmp_path / "no files", families(0, [3] * 4))
    assert rereading(ma.plan_dedup(store=unknown)) == ([], [])


def test_where_nobody_counted_them_it_is_said() -> None:
    """No stage of 0 s, but what it would come to at the most."""
    for plan in (ma.plan_dedup("40M", machines=BIG), ma.plan_dedup("40M", pairs=0.5, machines=BIG)):
        stages, (note,) = rereading(plan)
        assert stages == []
        assert "is not counted" in note
        assert f"all of them would take {spoken(40e6 * 0.05 / 8)} more on these cores" in note
    assert rereading(ma.plan_dedup("40M", keep="first", machines=BIG)) == ([], [])
    with pytest.raises(UsageError, match="unknown keep rule 'best'"):
        ma.plan_dedup("40M", keep="best")


def test_machines_embed_parts_and_merge_them(capsys: pytest.CaptureFixture[str]) -> None:
    plan = told(capsys, "embed", "--rows", "10M", "--cores", "64", "--machines", "3", "--price", "2", "--within", "1h")
    assert plan["commands"][1:] == [
        "memaudit embed SOURCE --encoder sscd --part 2/3 --out part-2",
        "memaudit embed SOURCE --encoder sscd --part 3/3 --out part-3",
        "memaudit merge part-1 part-2 part-3 --out store",
    ]
    assert plan["money"] == pytest.approx(2 * 3 * plan["seconds"] / 3600)
    assert (plan["fits"], plan["machines_needed"], plan["basis"]) == (plan["seconds"] <= 3600, 1, BASIS)


def test_a_set_of_very_many_shards_is_told_to_take_larger_ones(capsys: pytest.CaptureFixture[str]) -> None:
    """store.json lists them all and is written after each: of a billion images that takes days. Parts have fewer."""
    billion, parts, fewer = (
        told(capsys, "embed", "--rows", *of)["notes"] for of in (["1B"], ["1B", "--machines", "10"], ["100M"])
    )
    assert [note for note in billion if "--shard-rows" in note] == [
        "with --shard-rows 65536: to list 122,070 shards, after each of them, is not counted: 45 hours"
    ]
    assert not any("--shard-rows" in note for note in (*parts, *fewer))


def test_whoever_merges_needs_the_disk_of_all_parts(capsys: pytest.CaptureFixture[str]) -> None:
    """Eight machines need no less disk for it than one; that its time is not counted is said."""
    alone, parts = (told(capsys, "embed", "--rows", "8M", "--machines", machines) for machines in ("1", "8"))
    assert (parts["disk"], parts["seconds"]) == (alone["disk"], pytest.approx(alone["seconds"] / 8))
    assert any("the time of merging was not measured" in note for note in parts["notes"])


def test_tiles_and_details_cost_their_passes(capsys: pytest.CaptureFixture[str]) -> None:
    """Of a square picture 5 and 43.6 passes in all, and ten and 110 embeddings. What is not merged is not shared."""
    whole, tiles, fine = (
        told(capsys, "embed", "--rows", "1M", *more) for more in ((), ("--tiles",), ("--tiles", "--fine-tiles"))
    )
    assert [plan["seconds"] / whole["seconds"] for plan in (tiles, fine)] == pytest.approx([5, 43.6])
    assert [plan["disk"] / whole["disk"] for plan in (tiles, fine)] == pytest.approx([10, 110])
    assert fine["commands"] == ["memaudit embed SOURCE --encoder sscd --tiles --fine-tiles --out store"]
    kept = told(capsys, "embed", "--rows", "1M", "--features")
    assert any(note.startswith("features are not counted") for note in kept["notes"])
    with pytest.raises(UsageError, match="--tiles: not merged; one machine makes that"):
        ma.plan_embed("1M", tiles=True, machines=ma.Machines(count=2))


def test_an_index_is_the_one_that_would_be_built(capsys: pytest.CaptureFixture[str]) -> None:
    """By the memory of the machine that is planned for, whatever this one has."""
    small = told(capsys, "index", "--rows", "40M", "--cores", "8", "--memory", "16G")
    large = told(capsys, "index", "--rows", "40M", "--cores", "8", "--memory", "256G")
    assert "ivfpq" in small["notes"][0]
    assert large["notes"][0].startswith("auto: ivf,")
    assert (large["disk"], large["disk"] > small["disk"]) == (40_000_000 * (512 * 2 + 8), True)


def test_an_audit_is_mostly_its_search(capsys: pytest.CaptureFixture[str]) -> None:
    plan = told(capsys, "audit", "--generations", "50k", "--rows", "10M", "--views", "none")
    with_views = told(capsys, "audit", "--generations", "50k", "--rows", "10M", "--views", "all")
    assert plan["bottleneck"] == with_views["bottleneck"] == "full search"
    assert with_views["seconds"] > 5 * plan["seconds"]


def test_held_out_images_and_planted_copies_are_searched_as_generations_are(capsys: pytest.CaptureFixture[str]) -> None:
    """Each costs what a generation does; the line names a control where one is counted."""
    few = ("audit", "--rows", "10M", "--generations", "1k", "--planted", "0")
    bare = told(capsys, *few)
    more = told(capsys, *few, "--control", "9k")
    stages = [{stage["name"]: stage["seconds"] for stage in plan["stages"]} for plan in (bare, more)]
    assert stages[1]["full search"] == pytest.approx(10 * stages[0]["full search"])
    assert ["--control HELD-OUT" in plan["commands"][0] for plan in (bare, more)] == [False, True]
    assert "without held-out images (--control) nothing says what chance gives" in bare["notes"]
    planted = ma.plan_audit("1k", "10M", planted=300, machines=BIG).seconds
    assert planted == pytest.approx(ma.plan_audit("1300", "10M", planted=0, machines=BIG).seconds)
    windows = ma.plan_audit("1k", "10M", views="none", windows=90_000_000, machines=BIG).planned
    whole = ma.plan_audit("1k", "10M", views="none", machines=BIG).planned
    assert windows.stages[2].seconds == pytest.approx(10 * whole.stages[2].seconds)


def test_what_a_person_reads_says_that_nothing_was_run(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["plan", "dedup", "--rows", "40M", "--cores", "64", "--memory", "256G", "--machines", "2"]) == 0
    out = capsys.readouterr().out
    assert "computed, not run" in out
    assert "$ memaudit dedup store --out dedup" in out
    assert "dedup runs on one machine" in out
    assert read_costs().measured in out
    plan = ma.plan_embed("1M")
    assert (BASIS in repr(plan), "1,000,000 images" in plan._repr_html_()) == (True, True)


LARGE = {
    "64 cores, 256 GB": ma.Machines(cores=64, memory="256G"),
    "16 cores, 200 GB, 1 × H100": ma.Machines(cores=16, memory="200G", gpus=1),
    "96 cores, 1 TB, 8 × H100": ma.Machines(cores=96, memory="1T", gpus=8),
}


@pytest.mark.parametrize("rows", ["40M", "400M"])
@pytest.mark.parametrize("machine", LARGE)
def test_the_page_has_what_large_sets_take(rows: str, machine: str) -> None:
    """The table of the how-to page is what is computed, and says so."""
    plan = ma.plan_dedup(rows, dim=512, machines=LARGE[machine])
    room = f"{plan.memory / 1e9:,.0f} GB | {plan.disk / 1e9:,.0f} GB"
    line = (
        f"| {rows} | {machine} | {spoken(plan.seconds)} | {room} | {'yes' if plan.fits else 'no'} | {plan.bottleneck} |"
    )
    page = (Path(__file__).parents[2] / "docs/how-to/plan.md").read_text()
    assert line in page, line
    assert plan.basis == BASIS


WRONG = [
    (["dedup"], "--rows is missing"),
    (["dedup", "--rows", "none"], "--rows 'none' is no number"),
    (["dedup", "--rows", "0"], "--rows '0' is no number"),
    (["dedup", "--rows", "1e9"], "--rows '1e9' is no number"),
    (["dedup", "--rows", "1M", "--dim", "0"], "--dim 0 is out of range"),
    (["dedup", "--rows", "1M", "--cores", "0"], "--cores 0 is out of range"),
    (["dedup", "--rows", "1M", "--gpus", "-1"], "--gpus -1 is out of range"),
    (["dedup", "--rows", "1M", "--machines", "0"], "--machines 0 is out of range"),
    (["dedup", "--rows", "1M", "--memory", "much"], "--memory 'much' is no number"),
    (["dedup", "--rows", "1M", "--price", "-1"], "--price -1 is out of range"),
    (["dedup", "--rows", "1M", "--pairs", "nan"], "--pairs nan is out of range"),
    (["dedup", "--rows", "1M", "--within", "soon"], "--within 'soon' is no time"),
    (["dedup", "no-such-store"], "no-such-store"),
    (["embed", "--rows", "1M", "--encoder", "thumbnail"], "--encoder thumbnail: how fast it is was not measured"),
    (["index", "--rows", "1M", "--recipe", "none"], "unknown recipe 'none'"),
    (["audit", "--rows", "1M", "--generations", "0"], "--generations '0' is no number"),
    (["audit", "--rows", "1M", "--generations", "9", "--views", "x"], "unknown --views 'x'"),
]


@pytest.mark.parametrize(("command", "message"), WRONG)
def test_what_cannot_be_is_one_line(command: list[str], message: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["plan", *command]) == 2
    error = capsys.readouterr().err
    assert message in error
    assert len(error.splitlines()) == 1


def test_a_store_is_no_sample_of_fewer_nor_of_other_numbers(tmp_path: Path) -> None:
    store = vector_store(tmp_path / "s", random_vectors(0, 5))
    with pytest.raises(UsageError, match="can be no sample of fewer"):
        ma.plan_dedup(4, store=store)
    with pytest.raises(UsageError, match="--dim 512: the embeddings of the store have 32 numbers"):
        ma.plan_dedup(store=store, dim=512)
