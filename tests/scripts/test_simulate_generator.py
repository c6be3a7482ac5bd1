"""Promises of scripts/simulate_generator.py, on the pools of 62 small pictures."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from written import bytes_of, rows_of

from scripts import simulate_generator
from scripts.alterations import read_rgb
from scripts.simulate_generator import MILD, Settings, plan_generations, read_pool


def run(demo: Path, out: Path, *more: str, prompts: int = 30, memorised: float = 0.4, seed: int = 0) -> int:
    pools = ["--training", str(demo / "training/manifest.csv"), "--novel", str(demo / "novel/manifest.csv")]
    numbers = ["--prompts", str(prompts), "--memorised", str(memorised), "--seed", str(seed)]
    return simulate_generator.main([*pools, "--out", str(out), *numbers, *more])


def ids_of(manifest: Path) -> set[str]:
    return {row["image_id"] for row in rows_of(manifest)}


def test_pairing_truth_and_pictures_agree(demo: Path, tmp_path: Path) -> None:
    """Every generation has a picture, one pairing row and one truth row; prompts are captions, without repeats."""
    assert run(demo, tmp_path / "gen") == 0
    pairing, truth = rows_of(tmp_path / "gen/pairing.csv"), rows_of(tmp_path / "gen/truth.csv")
    assert list(pairing[0]) == ["generation", "image_id", "prompt", "seed"]
    assert list(truth[0]) == ["generation", "planted", "source_id", "alteration"]
    names = [f"gen-{number:05d}.jpg" for number in range(30)]
    assert [row["generation"] for row in pairing] == names
    assert [row["generation"] for row in truth] == names
    assert sorted(path.name for path in (tmp_path / "gen/images").iterdir()) == names
    captions = {row["image_id"]: row["caption"] for row in rows_of(demo / "training/manifest.csv")}
    assert all(captions[row["image_id"]] == row["prompt"] for row in pairing)
    assert len({row["image_id"] for row in pairing}) == 30


@pytest.mark.parametrize(("memorised", "expected"), [(0.0, 0), (0.4, 12), (1.0, 30)])
def test_the_share_of_planted_generations_is_exact(demo: Path, tmp_path: Path, memorised: float, expected: int) -> None:
    """SHARE of the prompts get a training picture; every other one comes from the novel pool."""
    assert run(demo, tmp_path / "gen", memorised=memorised) == 0
    training, novel = ids_of(demo / "training/manifest.csv"), ids_of(demo / "novel/manifest.csv")
    truth = rows_of(tmp_path / "gen/truth.csv")
    assert sum(row["planted"] == "1" for row in truth) == expected
    assert all(row["source_id"] in (training if row["planted"] == "1" else novel) for row in truth)
    assert all(row["alteration"] in MILD for row in truth)


def test_generations_show_their_source(demo: Path, tmp_path: Path) -> None:
    """Seen small, each generation is closer to its stated source, or its mirror, than chance allows."""
    assert run(demo, tmp_path / "gen") == 0
    paths = {
        row["image_id"]: demo / pool / row["path"]
        for pool in ("training", "novel")
        for row in rows_of(demo / pool / "manifest.csv")
    }

    def small(path: Path) -> np.ndarray:
        values = np.asarray(read_rgb(path).convert("L").resize((16, 16)), dtype=np.float64)
        return values - values.mean()

    def correlation(a: np.ndarray, b: np.ndarray) -> float:
        return float((a * b).sum() / np.sqrt((a**2).sum() * (b**2).sum()))

    for row in rows_of(tmp_path / "gen/truth.csv"):
        shown, source = small(tmp_path / "gen/images" / row["generation"]), small(paths[row["source_id"]])
        mirrored = shown[:, ::-1] if row["alteration"] == "flip" else shown
        assert correlation(mirrored, source) > 0.4


def test_a_quarter_of_the_copies_is_of_another_picture(demo: Path) -> None:
    """Some planted copies are of another family than the prompt's; most are of the prompt's own picture."""
    training, novel = read_pool(demo / "training/manifest.csv"), read_pool(demo / "novel/manifest.csv")
    other = planted = 0
    for seed in range(20):
        for generation in plan_generations(training, novel, Settings(len(training), 1.0, seed)):
            planted += 1
            if generation.source != generation.prompt:
                other += 1
                assert generation.source.source_id != generation.prompt.source_id
    assert 0.2 < other / planted < 0.3


def test_pictures_with_many_copies_are_preferred(demo: Path) -> None:
    """Among the prompts, those of families are planted more often than single pictures."""
    training, novel = read_pool(demo / "training/manifest.csv"), read_pool(demo / "novel/manifest.csv")
    families = {row["source_id"] for row in rows_of(demo / "training/families.csv")}
    planted = {True: 0, False: 0}
    total = {True: 0, False: 0}
    for seed in range(30):
        for generation in plan_generations(training, novel, Settings(len(training), 0.3, seed)):
            planted[generation.prompt.source_id in families] += generation.planted
            total[generation.prompt.source_id in families] += 1
    assert planted[True] / total[True] > 1.5 * planted[False] / total[False]


def test_the_keep_list_is_the_whole_training_set(demo: Path, tmp_path: Path) -> None:
    """With --keep neither prompts nor copies come from a dropped picture."""
    keep = sorted(ids_of(demo / "training/manifest.csv"))[::2]
    (tmp_path / "keep.txt").write_text("\n".join(keep) + "\n")
    options = ("--keep", str(tmp_path / "keep.txt"))
    assert run(demo, tmp_path / "gen", *options, prompts=len(keep), memorised=1.0) == 0
    assert {row["image_id"] for row in rows_of(tmp_path / "gen/pairing.csv")} == set(keep)
    assert {row["source_id"] for row in rows_of(tmp_path / "gen/truth.csv")} <= set(keep)


def test_runs_before_and_after_dedup_share_their_prompts(demo: Path, tmp_path: Path) -> None:
    """A kept picture that was a prompt before is a prompt after, because fewer compete for the places."""
    keep = sorted(ids_of(demo / "training/manifest.csv"))[::2]
    (tmp_path / "keep.txt").write_text("\n".join(keep) + "\n")
    run(demo, tmp_path / "before", prompts=15)
    run(demo, tmp_path / "after", "--keep", str(tmp_path / "keep.txt"), prompts=15)
    before, after = (
        {row["image_id"] for row in rows_of(tmp_path / name / "pairing.csv")} for name in ("before", "after")
    )
    assert before & set(keep) <= after


def test_the_same_seed_gives_the_same_bytes(demo: Path, tmp_path: Path) -> None:
    """Two runs are equal file by file; another seed gives other generations."""
    run(demo, tmp_path / "one")
    run(demo, tmp_path / "two")
    run(demo, tmp_path / "three", seed=1)
    assert bytes_of(tmp_path / "one") == bytes_of(tmp_path / "two")
    assert (tmp_path / "three/truth.csv").read_bytes() != (tmp_path / "one/truth.csv").read_bytes()


def test_a_complete_folder_is_left_alone_and_a_stale_one_replaced(demo: Path, tmp_path: Path) -> None:
    """Equal inputs touch nothing; another share makes the whole folder again."""
    truth = tmp_path / "gen/truth.csv"
    run(demo, tmp_path / "gen")
    before = truth.stat()
    assert run(demo, tmp_path / "gen") == 0
    assert truth.stat() == before
    assert run(demo, tmp_path / "gen", memorised=0.0) == 0
    assert not any(row["planted"] == "1" for row in rows_of(truth))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"prompts": 1000}, "--prompts is 1000, expected 1 .."),
        ({"prompts": 0}, "--prompts is 0, expected 1 .."),
        ({"memorised": 1.5}, "--memorised is 1.5, expected a share"),
    ],
)
def test_impossible_numbers_are_one_line(
    demo: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], options: dict[str, int], message: str
) -> None:
    """The message says which value was given and what was expected; nothing is written."""
    assert run(demo, tmp_path / "gen", **options) == 2
    error = capsys.readouterr().err
    assert message in error
    assert len(error.splitlines()) == 1
    assert not (tmp_path / "gen").exists()


def test_an_unknown_kept_picture_is_named(demo: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A keep list of another training set is refused."""
    (tmp_path / "keep.txt").write_text("elsewhere/7\n")
    assert run(demo, tmp_path / "gen", "--keep", str(tmp_path / "keep.txt")) == 2
    assert "elsewhere/7" in capsys.readouterr().err
