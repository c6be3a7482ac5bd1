"""A pipeline of diffusers as generator: a real one, of random weights, on the processor."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import memaudit as ma
from memaudit.errors import InputError, MissingDependencyError, UsageError
from memaudit.release.asked import gallery_of
from memaudit.release.diffusing import known_by_digest, pipeline_digest
from memaudit.release.pipelines import main
from memaudit.release.run_file import read_run_file

pytestmark = pytest.mark.torch
pytest.importorskip("diffusers")

LINES = 'kind = "diffusers"\npath = "pipeline"\noptions = {num_inference_steps = 2}\n'


@pytest.fixture(scope="session")
def pipelines(tmp_path_factory: pytest.TempPathFactory) -> Path:
    from small_pipeline import write_pipeline

    folder = tmp_path_factory.mktemp("pipelines")
    for name, seed, holds_back in (("one", 0, None), ("other", 1, None), ("held", 0, True)):
        write_pipeline(folder / name, seed=seed, holds_back=holds_back)
    return folder


@pytest.fixture
def pipeline(pipelines: Path, release: object, tmp_path: Path) -> Path:
    return shutil.copytree(pipelines / "one", tmp_path / "pipeline")


def generated(run: ma.ReleaseRun) -> dict[str, dict[str, str]]:
    (manifest,) = run.folder.glob("generations-*/generations.jsonl")
    return {told["name"]: told for told in map(json.loads, manifest.read_text().splitlines())}


def test_each_image_says_what_it_came_of(release, pipeline):
    run = ma.run_release(release(LINES, prompts="n = 5"))
    told = generated(run)
    assert len(told) == 5
    (images,) = run.folder.glob("generations-*/images")
    digest = pipeline_digest(pipeline)
    for name, each in told.items():
        with Image.open(images / each["file"]) as image:
            assert image.text["memaudit:prompt"] == each["prompt"]
            assert image.text["memaudit:seed"] == str(each["seed"])
            assert image.text["memaudit:pipeline"] == digest, name
    assert digest in json.dumps(run.audit.report.content)


def drawn(pipeline: Path, out: Path, *words: str, count: int = 3) -> list[Path]:
    """What the process of a pipeline leaves, called in this one: an import of PyTorch takes seconds."""
    out.mkdir()
    jobs = out.with_suffix(".jsonl")
    told = ({"name": f"{n}", "prompt": f"a picture number {n}", "seed": n} for n in range(count))
    jobs.write_text("".join(json.dumps(job) + "\n" for job in told))
    options = ["--digest", "", "--options", '{"num_inference_steps": 2}', *words]
    assert not main(["--jobs", str(jobs), "--out", str(out), "--path", str(pipeline), *options])
    return sorted(out.iterdir())


def test_the_same_prompt_and_seed_give_the_same_image_in_any_batch(pipelines, tmp_path):
    alone, together = (drawn(pipelines / "one", tmp_path / size, "--batch", size) for size in ("1", "3"))
    assert len(alone) == len(together) == 3
    pictures = [[np.asarray(Image.open(file), np.int16) for file in files] for files in (alone, together)]
    assert np.abs(np.array(pictures[0]) - pictures[1]).max() <= 2  # of 255: sums of a batch are rounded otherwise
    assert np.abs(pictures[0][0] - pictures[0][1]).max() > 2


def test_several_devices_share_the_images(pipelines, tmp_path):
    assert len(drawn(pipelines / "one", tmp_path / "both", "--device", "cpu", "--device", "cpu")) == 3


def test_what_its_checker_holds_back_is_no_image(pipelines, tmp_path):
    assert not drawn(pipelines / "held", tmp_path / "checked")
    assert len(drawn(pipelines / "held", tmp_path / "unchecked", "--unchecked")) == 3


def test_a_pipeline_that_cannot_be_loaded_says_why(pipelines, tmp_path, capsys):
    with pytest.raises(AssertionError):
        drawn(pipelines / "one", tmp_path / "out", "--scheduler", "NoScheduler")
    assert "cannot be loaded" in capsys.readouterr().err.splitlines()[-1]


def test_other_weights_are_another_model(release, pipeline, pipelines, tmp_path):
    told = read_run_file(release(LINES))
    (tmp_path / "prompts.jsonl").write_text("")
    before = gallery_of(known_by_digest(told, tmp_path), tmp_path)
    shutil.rmtree(pipeline)
    shutil.copytree(pipelines / "other", pipeline)
    assert gallery_of(known_by_digest(told, tmp_path), tmp_path) != before


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ("devices = []\n", "devices is empty"),
        ('dtype = "int4"\n', "Invalid enum value 'int4'"),
    ],
)
def test_what_cannot_be_is_refused_before_anything_runs(release, pipeline, lines, said):
    with pytest.raises(UsageError, match=said):
        ma.run_release(release(LINES + lines))


def test_options_that_the_check_says_itself_are_refused(release, pipeline):
    with pytest.raises(UsageError, match="options may not hold generator"):
        ma.run_release(release('kind = "diffusers"\npath = "pipeline"\noptions = {generator = 1}\n'))


def test_another_pipeline_than_the_file_names_is_refused(release, pipeline):
    with pytest.raises(InputError, match="these are other weights"):
        ma.run_release(release(LINES + 'digest = "0000"\n'))


def test_a_folder_that_is_no_pipeline_is_refused(release, tmp_path):
    (tmp_path / "pipeline").mkdir()
    with pytest.raises(InputError, match=r"no pipeline of diffusers: there is no model_index.json"):
        ma.run_release(release(LINES))


def test_without_diffusers_a_line_brings_it(release, pipeline, monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(MissingDependencyError, match=r"memaudit-vision\[diffusers\]"):
        ma.run_release(release(LINES, prompts="n = 2"))
