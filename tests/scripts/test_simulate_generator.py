"""Promises of scripts/simulate_generator.py, on the pools of 62 small pictures."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from written import bytes_of, rows_of

from scripts import simulate_generator
from scripts.alterations import read_rgb
from scripts.simulate_generator import Job, Settings, Simulated, kept, read_pool, simulated


def run(demo: Path, *more: str, memorised: float = 0.4, seed: int = 0) -> int:
    pools = ["--training", str(demo / "training/manifest.csv"), "--novel", str(demo / "novel/manifest.csv")]
    return simulate_generator.main([*pools, "--memorised", str(memorised), "--seed", str(seed), *more])


def drawn(demo: Path, out: Path, jobs: list[Job], **options: float) -> Path:
    """The folder with a picture for each job."""
    out.mkdir()
    listed = out.with_suffix(".jsonl")
    listed.write_text("".join(json.dumps(vars(job)) + "\n" for job in jobs))
    assert run(demo, "--jobs", str(listed), "--out", str(out), **options) == 0
    return out


def model_of(demo: Path, memorised: float = 0.4, seed: int = 0, keep: Path | None = None) -> Simulated:
    training = kept(read_pool(demo / "training/manifest.csv"), keep)
    return simulated(training, read_pool(demo / "novel/manifest.csv"), Settings(memorised, seed))


def jobs_of(demo: Path) -> list[Job]:
    captions = sorted({row["caption"] for row in rows_of(demo / "training/manifest.csv")})
    return [Job(f"{number:06d}_0", caption, number) for number, caption in enumerate(captions)]


@pytest.mark.parametrize(("memorised", "share"), [(0.0, 0.0), (0.4, 0.4), (1.0, 1.0)])
def test_the_share_of_captions_known_by_heart_is_exact(
    demo: Path, tmp_path: Path, memorised: float, share: float
) -> None:
    """SHARE of the captions give a training picture back, as the truth says; every other one a novel one."""
    assert run(demo, "--truth", str(tmp_path / "truth.csv"), memorised=memorised) == 0
    truth = {row["prompt"]: row["source_id"] for row in rows_of(tmp_path / "truth.csv")}
    jobs, model = jobs_of(demo), model_of(demo, memorised)
    assert len(truth) == round(share * len(jobs))
    novel = {row["image_id"] for row in rows_of(demo / "novel/manifest.csv")}
    for job in jobs:
        source = model.answer(job).source.image_id
        assert source == truth[job.prompt] if job.prompt in truth else source in novel


def test_generations_show_their_source(demo: Path, tmp_path: Path) -> None:
    """There is a picture for each job; seen small, it is closer to its source, or its mirror, than chance allows."""
    jobs, model = jobs_of(demo)[:12], model_of(demo)

    def small(path: Path) -> np.ndarray:
        values = np.asarray(read_rgb(path).convert("L").resize((16, 16)), dtype=np.float64)
        return values - values.mean()

    def correlation(a: np.ndarray, b: np.ndarray) -> float:
        return float((a * b).sum() / np.sqrt((a**2).sum() * (b**2).sum()))

    out = drawn(demo, tmp_path / "drawn", jobs)
    assert sorted(path.name for path in out.iterdir()) == [f"{job.name}.jpg" for job in jobs]
    for job in jobs:
        answer = model.answer(job)
        shown, source = small(out / f"{job.name}.jpg"), small(Path(answer.source.path))
        assert correlation(shown[:, ::-1] if answer.alteration == "flip" else shown, source) > 0.4


def test_each_prompt_is_answered_by_itself(demo: Path, tmp_path: Path) -> None:
    """A picture follows from prompt and seed, whatever else is asked and in which order; another seed alters it anew,
    and what is known by heart is the same picture."""
    jobs, model = jobs_of(demo)[:8], model_of(demo)
    whole = bytes_of(drawn(demo, tmp_path / "whole", jobs))
    assert bytes_of(drawn(demo, tmp_path / "part", jobs[5:2:-1])).items() <= whole.items()
    other = [Job(job.name, job.prompt, job.seed + 1) for job in jobs]
    assert bytes_of(drawn(demo, tmp_path / "other", other)) != whole
    for job, again in zip(jobs, other, strict=True):
        assert job.prompt not in model.by_heart or model.answer(job).source == model.answer(again).source


def test_a_quarter_of_the_copies_is_of_another_picture(demo: Path) -> None:
    """Some planted copies are of another family than the caption's; most are of the caption's own picture."""
    other = planted = 0
    for seed in range(20):
        for caption, source in model_of(demo, 1.0, seed).by_heart.items():
            planted += 1
            other += source.caption != caption
    assert 0.2 < other / planted < 0.3


def test_pictures_with_many_copies_are_preferred(demo: Path) -> None:
    """Captions of families are known by heart more often than those of single pictures."""
    families = {row["source_id"] for row in rows_of(demo / "training/families.csv")}
    of_family = {row["caption"]: row["source_id"] in families for row in rows_of(demo / "training/manifest.csv")}
    planted = {True: 0, False: 0}
    for seed in range(30):
        for caption in model_of(demo, 0.3, seed).by_heart:
            planted[of_family[caption]] += 1
    total = list(of_family.values())
    assert planted[True] / total.count(True) > 1.5 * planted[False] / total.count(False)


def test_the_keep_list_is_the_whole_training_set(demo: Path, tmp_path: Path) -> None:
    """With --keep nothing of a dropped picture is known, neither its caption nor itself."""
    training = {row["image_id"]: row["caption"] for row in rows_of(demo / "training/manifest.csv")}
    keep = sorted(training)[::2]
    (tmp_path / "keep.txt").write_text("\n".join(keep) + "\n")
    model = model_of(demo, 1.0, keep=tmp_path / "keep.txt")
    assert set(model.by_heart) == {training[image_id] for image_id in keep}
    assert {picture.image_id for picture in model.by_heart.values()} <= set(keep)


def test_an_impossible_share_is_one_line(demo: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The message says which value was given and what was expected; nothing is written."""
    assert run(demo, "--truth", str(tmp_path / "truth.csv"), memorised=1.5) == 2
    error = capsys.readouterr().err
    assert "--memorised is 1.5, expected a share" in error
    assert len(error.splitlines()) == 1
    assert not (tmp_path / "truth.csv").exists()


@pytest.mark.parametrize("line", ["{", '{"name": "a"}', "[1]", '{"name": "a", "prompt": "b", "seed": "c"}'])
def test_a_line_that_is_no_job_is_named(
    demo: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], line: str
) -> None:
    (tmp_path / "jobs.jsonl").write_text(f"{line}\n")
    assert run(demo, "--jobs", str(tmp_path / "jobs.jsonl"), "--out", str(tmp_path)) == 2
    assert "jobs.jsonl, line 1 is no job: expected JSON" in capsys.readouterr().err


def test_an_unknown_kept_picture_is_named(demo: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A keep list of another training set is refused."""
    (tmp_path / "keep.txt").write_text("elsewhere/7\n")
    assert run(demo, "--truth", str(tmp_path / "t.csv"), "--keep", str(tmp_path / "keep.txt")) == 2
    assert "elsewhere/7" in capsys.readouterr().err
