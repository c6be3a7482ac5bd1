"""A search in a model: a small Stable Diffusion that knows one picture by heart, and nothing of the others."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from pictures import draw, write_pictures
from PIL import Image

import memaudit as ma
from memaudit.cli.app import run
from memaudit.errors import InputError, MissingDependencyError, UsageError
from memaudit.extraction.searching import squared

pytestmark = pytest.mark.torch
pytest.importorskip("diffusers")

KNOWN, UNKNOWN, HELD_OUT = 0, 1, range(100, 119)
SMALL = {"steps": 3, "vectors": 4, "draws": 1}


@pytest.fixture(scope="module", autouse=True)
def _drawn_soon() -> Iterator[None]:
    """In five steps: what a drawing is like is told by the distance alone."""
    from memaudit.extraction import pipeline_model

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pipeline_model, "_DRAWN_IN", 5)
        yield


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """pipeline: trained on one picture alone; listed: that one and another; held-out: 19 others."""
    from small_pipeline import write_pipeline

    root = tmp_path_factory.mktemp("searched")
    write_pictures(root / "listed", (KNOWN, UNKNOWN))
    write_pictures(root / "held-out", HELD_OUT)
    write_pipeline(root / "pipeline")
    learn(root / "pipeline", KNOWN, steps=120)
    return root


def learn(folder: Path, seed: int, steps: int) -> None:
    """Train the denoiser on one picture, under one caption, in latents of unit spread."""
    import diffusers
    import torch

    torch.manual_seed(0)
    pipeline = diffusers.DiffusionPipeline.from_pretrained(str(folder))
    pixels = np.array(squared(draw(seed), 32), np.float32) / 127.5 - 1
    with torch.no_grad():
        latent = pipeline.vae.encode(torch.from_numpy(pixels).permute(2, 0, 1)[None]).latent_dist.mean
        caption = pipeline.encode_prompt("a cat", "cpu", 1, False)[0]
    pipeline.vae.register_to_config(scaling_factor=float(1 / latent.std()))
    latent, kept = latent / latent.std(), pipeline.scheduler.alphas_cumprod
    descent = torch.optim.Adam(pipeline.unet.parameters(), lr=2e-3)
    for _ in range(steps):
        times, noise = torch.randint(0, len(kept), (8,)), torch.randn(8, *latent.shape[1:])
        share = kept[times].view(-1, 1, 1, 1)
        noisy = share.sqrt() * latent + (1 - share).sqrt() * noise
        told = pipeline.unet(noisy, times, encoder_hidden_states=caption.expand(8, -1, -1)).sample
        descent.zero_grad()
        (told - noise).square().mean().backward()
        descent.step()
    pipeline.save_pretrained(folder)


@pytest.fixture(scope="module")
def found(world: Path, tmp_path_factory: pytest.TempPathFactory) -> ma.SearchRun:
    return ma.run_search(
        world / "listed", world / "pipeline", world / "held-out", tmp_path_factory.mktemp("search"), **SMALL
    )


def test_what_the_model_was_trained_on_is_first_among_held_out_pictures(found):
    first, second = found.pictures
    assert (first.picture.image_id, first.rank, first.p) == ("0000.png", 1, 0.05)
    assert first.picture.loss < 0.6 * min(each.loss for each in found.held_out)
    assert second.rank > 1


def test_where_a_single_picture_could_not_be_found_nothing_is_decided(found):
    """Of two among 19 both would have to be the first."""
    assert found.headline == "Inconclusive: 0 of 2 pictures are found in the model"
    (why,) = found.warnings
    assert why.startswith("fewer than 2 of 2 pictures cannot be found among 19 held-out ones: give 39")


def test_of_one_listed_picture_that_is_a_finding(world, found, tmp_path):
    """In a copy of the folder, where all is searched already."""
    folder = shutil.copytree(found.folder, tmp_path / "search")
    run_ = ma.run_search(world / "listed/0000.png", world / "pipeline", world / "held-out", folder, **SMALL)
    assert [each.picture.image_id for each in run_.retained] == ["0000.png"]
    assert run_.headline == "1 of 1 picture is found in the model"
    assert run_.pictures[0].picture.loss == pytest.approx(found.pictures[0].picture.loss)


def test_all_of_it_is_in_the_file_and_on_the_page(found):
    told = json.loads((found.folder / "search.json").read_text())
    assert (told["pictures"][0]["rank"], len(told["held_out"]), told["budget"]["steps"]) == (1, 19, 3)
    page = found.page.read_text()
    assert "0000.png" in page
    assert page.count("<img") == 4
    for each in found.pictures:
        with Image.open(found.folder / each.picture.drawing) as drawing:
            assert drawing.size == (32, 32)


def test_stopped_it_goes_on_where_it_was(world, found, tmp_path):
    asked = []

    def stops(stage: str, done: int, total: int) -> None:
        asked.append(done)
        if done == 4:
            raise KeyboardInterrupt

    words = (world / "listed", world / "pipeline", world / "held-out", tmp_path / "search")
    with pytest.raises(KeyboardInterrupt):
        ma.run_search(*words, **SMALL, progress=stops)
    kept = json.loads((tmp_path / "search/state.json").read_text())["done"]
    assert len(kept) == 4
    assert not (tmp_path / "search/search.json").exists()
    again = ma.run_search(*words, **SMALL)
    assert again.as_dict() == found.as_dict()


@pytest.mark.parametrize("fault", ["is broken", "is of another budget", "lacks a drawing"])
def test_what_an_earlier_search_left_counts_if_it_is_of_the_same(world, found, tmp_path, fault):
    folder = shutil.copytree(found.folder, tmp_path / "search")
    steps = 1 if fault == "is of another budget" else 3
    if fault == "is broken":
        (folder / "state.json").write_text("{")
    (folder / "drawn/0000.png").unlink()
    words = (world / "listed/0000.png", world / "pipeline", world / "held-out/0100.png", folder)
    again = ma.run_search(*words, **{**SMALL, "steps": steps})
    assert (folder / "drawn/0000.png").is_file()
    assert (again.pictures[0].picture.loss == found.pictures[0].picture.loss) is (steps == 3)


def test_an_untrained_model_holds_nothing(world, tmp_path):
    from small_pipeline import write_pipeline

    write_pipeline(tmp_path / "pipeline", seed=3)
    budget = {"steps": 1, "draws": 1}
    run_ = ma.run_search(world / "listed", tmp_path / "pipeline", world / "held-out", tmp_path / "search", **budget)
    assert not run_.retained


def test_a_search_that_overflows_is_not_measured(world, found, tmp_path, monkeypatch):
    """Repeats count once, and it goes on after what has no loss, as often as it is asked."""
    from memaudit.extraction.searching import PictureSearch, Reached

    folder = shutil.copytree(found.folder, tmp_path / "search")
    shutil.copytree(world / "held-out", tmp_path / "held-out")
    shutil.copy(tmp_path / "held-out/0100.png", tmp_path / "held-out/again.png")
    draw(120).save(tmp_path / "held-out/0120.png")
    monkeypatch.setattr(PictureSearch, "__call__", lambda *_: Reached(1.0, float("nan"), None))
    for _ in range(2):
        run_ = ma.run_search(world / "listed", world / "pipeline", tmp_path / "held-out", folder, **SMALL)
        assert (run_.held_out_coverage.measured, run_.held_out_coverage.total, run_.held_out_repeats) == (19, 20, 1)
        assert "19 of 20 held-out pictures can be read and searched" in run_.warnings
    assert run_.pictures == found.pictures


def test_too_few_or_unreadable_pictures_decide_nothing(world, tmp_path, capsys):
    held_out = write_pictures(tmp_path / "held-out", range(100, 103))
    (held_out / "0100.png").write_bytes(b"no picture")
    words = ["extract", str(world / "listed/0000.png"), "--pipeline", str(world / "pipeline")]
    words += ["--held-out", str(held_out), "--out", str(tmp_path / "search"), "--steps", "1", "--draws", "1"]
    assert run([*words, "--json"]) == 3
    told = json.loads(capsys.readouterr().out)
    assert told["held_out_coverage"]["measured"] == 2
    assert len(told["warnings"]) == 2
    assert run(words) == 3
    said = capsys.readouterr().out
    assert "2 of 3 held-out pictures can be read" in said
    assert "give 19 and more" in said


@pytest.mark.parametrize(
    ("name", "data", "words"),
    [
        ("model_index.json", None, "is no pipeline of diffusers"),
        ("model_index.json", b'{"_class_name": "Nothing"}', "cannot be loaded"),
        ("unet/config.json", b"{", "cannot be loaded"),
    ],
)
def test_a_broken_pipeline_is_a_line(world, tmp_path, name, data, words, capsys):
    folder = shutil.copytree(world / "pipeline", tmp_path / "pipeline")
    (folder / name).unlink()
    if data is not None:
        (folder / name).write_bytes(data)
    command = ["extract", str(world / "listed"), "--pipeline", str(folder), "--held-out", str(world / "held-out")]
    assert run([*command, "--out", str(tmp_path / "search")]) == 2
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 1
    assert words in said[0]
    assert not (tmp_path / "search/search.json").exists()


def test_a_held_out_picture_that_is_listed_is_refused(world, tmp_path):
    with pytest.raises(InputError, match="a model that saw the one saw the other"):
        ma.run_search(world / "listed", world / "pipeline", world / "listed", tmp_path / "search", **SMALL)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"steps": 0}, "--steps 0"),
        ({"vectors": 78}, "--vectors 78"),
        ({"draws": 0}, "--draws 0"),
        ({"seed": -1}, "seed is -1"),
    ],
)
def test_an_impossible_budget_is_refused(world, tmp_path, options, words):
    with pytest.raises(UsageError, match=words):
        ma.run_search(world / "listed", world / "pipeline", world / "held-out", tmp_path / "search", **options)


@pytest.mark.parametrize(
    "words",
    [
        ("--pipeline", "here"),
        ("--pipeline", "here", "--held-out", "there", "--prompt-pattern", "{prompt}.png"),
        ("--steps", "3"),
        ("--held-out", "there"),
    ],
)
def test_options_that_do_not_go_together_are_refused(words, tmp_path, capsys):
    assert run(["extract", "pictures", "--out", str(tmp_path / "out"), *words]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_without_diffusers_a_line_says_what_to_install(monkeypatch, tmp_path):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(MissingDependencyError, match="diffusers"):
        ma.run_search("a", "b", "c", tmp_path / "search")
