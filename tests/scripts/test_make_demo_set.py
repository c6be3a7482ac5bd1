"""Promises of scripts/make_demo_set.py, on 62 small pictures."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from drawn_pools import CLOCKS, LARGE, SMALL, SMALL_FAMILY, id_of, write_pairs
from written import bytes_of, rows_of

from scripts import make_demo_set
from scripts.alterations import stream
from scripts.make_demo_set import Plan, Sample, family_sizes, split

POOLS = ("training", "novel", "control")


def run(samples: Path, pairs: Path, out: Path, *more: str) -> int:
    arguments = ["--samples", str(samples), "--pairs", str(pairs), "--out", str(out), *more]
    return make_demo_set.main(arguments, SMALL)


def originals(pool: Path) -> set[str]:
    return {row["image_id"] for row in rows_of(pool / "manifest.csv") if not row["alteration"]}


@pytest.mark.parametrize("seed", range(6))
def test_a_component_is_never_split(samples: Path, pairs: Path, tmp_path: Path, seed: int) -> None:
    """Each component lies whole in one pool; the clocks and the large component lie in training."""
    assert run(samples, pairs, tmp_path / "demo", "--seed", str(seed)) == 0
    pools = [originals(tmp_path / "demo" / name) for name in POOLS]
    for chain in (CLOCKS, LARGE, SMALL_FAMILY):
        assert sum(not pool.isdisjoint(map(id_of, chain)) for pool in pools) == 1
    assert pools[0].issuperset(map(id_of, (*CLOCKS, *LARGE)))


def test_what_may_not_be_held_out_is_trained_on_the_clocks_first() -> None:
    """Of drawings as many as fit; pixels would call them partial copies of each other."""
    names = [*(f"photographs/{i:02}" for i in range(40)), *(f"icons/{i:02}" for i in range(30))]
    components = [[Sample(f"{name}.png", name, name)] for name in names]
    clocks = [Sample(f"icons/clock-{i}.png", f"icons/clock-{i}", f"{i} o clock") for i in range(5)]
    plan = Plan(drawings=12, least_control=8)
    for seed in range(5):
        pools = split([*components, clocks], plan, stream(seed, "", "pools", 0))
        assert all(s.image_id.startswith("photographs/") for s in (*pools.control, *pools.novel))
        drawn = [sample for sample in pools.training if sample.image_id.startswith("icons/")]
        assert set(clocks) <= set(drawn)
        assert len(drawn) == 12
        assert len(pools.control) >= 8


def test_every_sample_is_in_exactly_one_pool(samples: Path, demo: Path) -> None:
    """Nothing is lost or used twice, and the shares are about those of the plan."""
    pools = [originals(demo / name) for name in POOLS]
    assert sum(map(len, pools)) == 62
    assert set.union(*pools) == {row["image_id"] for row in rows_of(samples / "manifest.csv")}
    assert 37 <= len(pools[0]) <= 40
    assert 12 <= len(pools[2]) <= 14


@pytest.mark.parametrize("pool", POOLS)
def test_a_manifest_lists_the_files_of_its_folder(demo: Path, pool: str) -> None:
    """path is relative to the manifest; no file is unlisted, and image_ids are unique."""
    rows = rows_of(demo / pool / "manifest.csv")
    assert list(rows[0]) == ["path", "image_id", "caption", "source_id", "alteration"]
    files = {str(p.relative_to(demo / pool)) for p in (demo / pool / "images").rglob("*") if p.is_file()}
    assert {row["path"] for row in rows} == files
    assert len({row["image_id"] for row in rows}) == len(rows)


def test_originals_keep_their_bytes(samples: Path, demo: Path) -> None:
    """Originals are copied, not encoded again."""
    for pool in POOLS:
        for row in rows_of(demo / pool / "manifest.csv"):
            if not row["alteration"]:
                assert (demo / pool / row["path"]).read_bytes() == (samples / row["path"]).read_bytes()


def test_families_are_the_truth_about_the_copies(demo: Path) -> None:
    """families.csv lists exactly the altered rows of training; copies share their source's caption."""
    rows = {row["image_id"]: row for row in rows_of(demo / "training/manifest.csv")}
    copies = rows_of(demo / "training/families.csv")
    assert {copy["image_id"] for copy in copies} == {i for i, row in rows.items() if row["alteration"]}
    assert len({copy["source_id"] for copy in copies}) == SMALL.families
    for copy in copies:
        assert rows[copy["image_id"]]["alteration"] == copy["alteration"]
        assert rows[copy["image_id"]]["source_id"] == copy["source_id"]
        assert rows[copy["image_id"]]["caption"] == rows[copy["source_id"]]["caption"]
        assert rows[copy["source_id"]]["alteration"] == ""


def test_family_sizes_follow_zipfs_law() -> None:
    """Sizes lie in 1 .. largest, small ones are common, and the median is far below the mean."""
    sizes = family_sizes(1000, 20)
    assert (min(sizes), max(sizes)) == (1, 20)
    assert sizes.count(1) / sizes.count(10) == pytest.approx(10, rel=0.1)


def test_the_same_seed_gives_the_same_bytes(samples: Path, pairs: Path, demo: Path, tmp_path: Path) -> None:
    """Two runs are equal file by file; another seed gives other pools."""
    run(samples, pairs, tmp_path / "again")
    run(samples, pairs, tmp_path / "other", "--seed", "1")
    assert bytes_of(tmp_path / "again") == bytes_of(demo)
    assert originals(tmp_path / "other/control") != originals(demo / "control")


def test_a_complete_folder_is_left_alone_and_a_stale_one_replaced(samples: Path, pairs: Path, demo: Path) -> None:
    """Equal inputs touch nothing; a changed sample picture makes the whole folder again."""
    manifest = demo / "training/manifest.csv"
    before = manifest.stat()
    assert run(samples, pairs, demo) == 0
    assert manifest.stat() == before
    shutil.copyfile(samples / "images/icons/icon_1.png", samples / "images/icons/icon_2.png")
    assert run(samples, pairs, demo) == 0
    assert manifest.stat() != before


def test_nothing_appears_when_it_fails_in_the_middle(
    samples: Path, pairs: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A crash while the copies are drawn leaves no folder behind."""

    def crash(*_: object) -> None:
        raise OSError("disk full")

    monkeypatch.setattr(make_demo_set, "draw_copies", crash)
    before = set(tmp_path.iterdir())
    assert run(samples, pairs, tmp_path / "demo") == 2
    assert set(tmp_path.iterdir()) == before


def test_pairs_of_another_pool_are_refused(samples: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """An unknown image_id is named, in one line."""
    write_pairs(tmp_path / "pairs.parquet", [("icons/icon_1", "elsewhere/7")])
    assert run(samples, tmp_path / "pairs.parquet", tmp_path / "demo") == 2
    message = capsys.readouterr().err
    assert "elsewhere/7" in message
    assert len(message.splitlines()) == 1


def test_unusable_inputs_are_one_line(samples: Path, pairs: Path, tmp_path: Path) -> None:
    """Absent pairs, a file that is no parquet, absent samples, someone else's folder: exit code 2."""
    (tmp_path / "text.parquet").write_text("no parquet")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/letter.txt").write_text("keep me")
    assert run(samples, tmp_path / "absent.parquet", tmp_path / "demo") == 2
    assert run(samples, tmp_path / "text.parquet", tmp_path / "demo") == 2
    assert run(tmp_path / "absent", pairs, tmp_path / "demo") == 2
    assert run(samples, pairs, tmp_path / "mine") == 2
    assert (tmp_path / "mine/letter.txt").is_file()


def test_too_few_pictures_are_refused(
    samples: Path, pairs: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """With the real plan, 62 pictures cannot fill a control pool of 120."""
    arguments = ["--samples", str(samples), "--pairs", str(pairs), "--out", str(tmp_path / "demo")]
    assert make_demo_set.main(arguments) == 2
    assert "the control pool needs 120" in capsys.readouterr().err
