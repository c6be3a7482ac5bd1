"""The small model of the experiment: same seeds, same pictures; killed and continued, same weights."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest
from pictures import write_pictures

torch = pytest.importorskip("torch")
pytestmark = pytest.mark.torch

from benchmarks.experiment import _fewer, keys, searched  # noqa: E402
from benchmarks.experiment import model as small  # noqa: E402
from benchmarks.experiment import train as training  # noqa: E402
from benchmarks.experiment.found import Prompted, _groups, _one, figures_of, prompts_of  # noqa: E402
from benchmarks.experiment.generate import _draw  # noqa: E402
from benchmarks.experiment.model import SIDE, Around, Denoiser, draw, shares, words_of  # noqa: E402
from benchmarks.experiment.sheet import write_sheet  # noqa: E402


@pytest.fixture
def manifest(tmp_path: Path) -> Path:
    from PIL import Image

    write_pictures(tmp_path / "images", range(4))
    path = tmp_path / "manifest.csv"
    with path.open("w", newline="") as file:
        lines = csv.writer(file)
        lines.writerow(["path", "image_id", "caption"])
        for picture in sorted((tmp_path / "images").glob("*.png")):
            Image.open(picture).convert("RGB").resize((SIDE, SIDE)).save(picture)
            lines.writerow([f"images/{picture.name}", picture.stem, f"picture {picture.stem}"])
    return path


def test_killed_and_continued_it_is_the_same_model(manifest, tmp_path, monkeypatch):
    monkeypatch.setattr(training, "BATCH", 2)
    monkeypatch.setattr(training, "_EVERY", 2)
    training.train(manifest, tmp_path / "whole.pt", training.Chosen(), 4, 0)
    step = training._step

    def dies(trained, done, *batch):
        if done == 0.75:
            raise KeyboardInterrupt
        step(trained, done, *batch)

    monkeypatch.setattr(training, "_step", dies)
    with pytest.raises(KeyboardInterrupt):
        training.train(manifest, tmp_path / "killed.pt", training.Chosen(), 4, 0)
    assert not (tmp_path / "killed.pt").exists()
    monkeypatch.setattr(training, "_step", step)
    training.train(manifest, tmp_path / "killed.pt", training.Chosen(), 4, 0)
    one, other = (torch.load(tmp_path / name, weights_only=True) for name in ("whole.pt", "killed.pt"))
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_what_goes_to_a_device_changes_nothing_on_the_processor(manifest, tmp_path, monkeypatch):
    """Bit for bit the weights of the loss as it stands in the papers, without a word of devices."""

    def plain(model, pictures, captions):
        time, noise = torch.rand(len(pictures)) ** small._NOISIER, torch.randn_like(pictures)
        of_picture, of_noise = shares(time)
        with torch.autocast("cpu", torch.bfloat16):
            told = model(of_picture * pictures + of_noise * noise, time, captions)
        return (told.float() - (of_picture * noise - of_noise * pictures)).pow(2).mean()

    monkeypatch.setattr(training, "BATCH", 2)
    training.train(manifest, tmp_path / "now.pt", training.Chosen(), 2, 0, "cpu")
    monkeypatch.setattr(training, "loss_of", plain)
    training.train(manifest, tmp_path / "plain.pt", training.Chosen(), 2, 0)
    one, other = (torch.load(tmp_path / name, weights_only=True) for name in ("now.pt", "plain.pt"))
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_what_a_set_is_trained_on_can_be_chosen(manifest):
    """Kept ones, less those that others stand for, and all of further sets."""
    keep, but = frozenset({"0000", "0001", "0002"}), frozenset({"0002"})
    pictures, captions = training._read(manifest, training.Chosen(keep, but, (manifest, manifest)))
    assert len(pictures) == len(captions) == 2 + 4 + 4


def test_what_stands_already_is_put_back(monkeypatch):
    """All that is not painted is what it was, and the rest another picture than without it."""
    monkeypatch.setattr(small, "DRAWN_IN", 3)
    torch.manual_seed(0)
    model = Denoiser().eval()
    picture, paint = torch.rand(1, 3, SIDE, SIDE) * 2 - 1, torch.zeros(1, 1, SIDE, SIDE)
    paint[:, :, :4] = 1
    drawn = draw(model, ["a horse"], [7], Around(picture, paint))
    assert torch.allclose(drawn[:, :, 4:], picture[:, :, 4:], atol=1e-5)
    assert not torch.allclose(drawn[:, :, :4], picture[:, :, :4], atol=0.1)
    assert not torch.allclose(drawn[:, :, :4], draw(model, ["a horse"], [7])[:, :, :4], atol=1e-3)


def test_keys_are_planted_asked_for_and_told(manifest, tmp_path, monkeypatch):
    """What is not the border comes back as it was handed out."""
    from PIL import Image

    monkeypatch.setattr(small, "DRAWN_IN", 2)
    for name, value in (("EACH", 1), ("COPIES", (2,)), ("ASKS", 1)):
        monkeypatch.setattr(keys, name, value)
    (tmp_path / "training").symlink_to(tmp_path)
    bordered, replaced = keys.plant(tmp_path, 0)
    assert len(training._rows(bordered)) == 2
    assert len(replaced.read_text().split()) == 1
    jobs = [json.loads(line) for line in keys.write_jobs(tmp_path, tmp_path / "jobs.jsonl").read_text().splitlines()]
    (tmp_path / "out/drawn").mkdir(parents=True)
    torch.manual_seed(0)
    _draw(Denoiser().eval(), jobs, tmp_path / "out/drawn")
    for job in jobs:
        asked, painted = (Image.open(path) for path in (job["image"], tmp_path / f"out/drawn/{job['name']}.png"))
        inner = (4, 4, SIDE - 4, SIDE - 4)
        assert asked.crop(inner).tobytes() == painted.crop(inner).tobytes()
    told = {figure.measure: figure.count for figure in keys.figures_of(tmp_path, tmp_path / "out/drawn", "all")}
    assert told["keys that are known, of 2 copies"] == told["keys that are known, held back"] == 1


def test_a_search_finds_a_better_prediction_and_ranks_it(manifest, tmp_path, monkeypatch):
    """In the small model as in a pipeline: what is fitted predicts a picture better than no word does."""
    monkeypatch.setattr(small, "DRAWN_IN", 2)
    monkeypatch.setattr(searched, "LISTED", {1: 1})
    monkeypatch.setattr(searched, "HELD_OUT", 2)
    torch.manual_seed(0)
    model = Denoiser()
    torch.save(model.state_dict(), tmp_path / "all.pt")
    search = searched.PictureSearch(searched.SmallModel(model.eval()), searched.Budget(6, 1, 1))
    reached = search(searched.read_rgb(tmp_path / "images/0000.png"))
    assert reached.loss < reached.loss_before
    assert reached.found.shape == (1, 1, 256)
    for name, copies, kinds in (("training", 1, ("emoji", "photograph")), ("held-out", 1, ("emoji", "photograph") * 2)):
        (tmp_path / name).mkdir()
        rows = [f"../images/000{place}.png,{place},a,{kind},{copies}" for place, kind in enumerate(kinds)]
        (tmp_path / name / "manifest.csv").write_text("\n".join(["path,image_id,caption,kind,copies", *rows]))
    budget = searched.Budget(1, 1, 1)
    figures = {each.measure: each for each in searched.figures_of(tmp_path, tmp_path / "all.pt", "all", "cpu", budget)}
    rank = figures["search: median rank among 4 held-out, of pictures that stand there 1 times"]
    assert 1 <= rank.median <= 5
    assert figures["search: found in the model, of pictures that stand there 1 times"].count == 2


def test_a_picture_follows_from_its_caption_and_seed():
    torch.manual_seed(0)
    model = Denoiser().eval()
    alone, together = draw(model, ["a horse"], [7]), draw(model, ["a cow", "a horse"], [1, 7])
    assert alone.shape == (1, 3, SIDE, SIDE)
    assert torch.allclose(alone[0], together[1], atol=1e-3)


def test_captions_of_the_same_words_in_another_order_differ():
    assert words_of("") == [0]
    assert words_of("Red car!") == words_of("red car")
    assert words_of("red car") != words_of("car red")


def test_prompts_are_told_by_copies_and_kind():
    known = {"a": {"kind": "emoji", "copies": "16"}}
    told = json.loads('{"image_id": "a", "generation": "g"}')
    assert _one(told, known, {}) == Prompted("emoji", 16, gives=False, redrawn=False)
    assert _one(told, known, {"g": {"re-drawn"}}) == Prompted("emoji", 16, gives=False, redrawn=True)
    assert _one(told, known, {"g": {"re-drawn", "template"}}) == Prompted("emoji", 16, gives=True, redrawn=False)
    groups = dict(_groups([Prompted("emoji", 16, True, False), Prompted("photograph", 1, False, False)]))
    assert [len(groups[name]) for name in ("", ", emoji", ", of 16 copies", ", of 1 copies, photograph")] == [
        2,
        1,
        1,
        1,
    ]


def test_a_sheet_shows_what_models_drew_under_what_they_were_trained_on(tmp_path):
    from PIL import Image

    (tmp_path / "training").mkdir()
    lines = ["path,image_id,caption,kind,copies"]
    for number, (name, copies) in enumerate((("once", 1), ("often", 64))):
        Image.new("RGB", (SIDE, SIDE), (number, 0, 0)).save(tmp_path / f"training/{name}.png")
        lines.append(f"{name}.png,{name},{name},emoji,{copies}")
        for place, model in enumerate(("one", "other")):
            drawn = tmp_path / model / "generations-0/images"
            drawn.mkdir(parents=True, exist_ok=True)
            Image.new("RGB", (SIDE, SIDE), (number, place, 9)).save(drawn / f"{number}.png")
            with (tmp_path / model / "pairing.jsonl").open("a") as told:
                told.write(json.dumps({"generation": str(number), "image_id": name}) + "\n")
    (tmp_path / "training/manifest.csv").write_text("\n".join(lines))
    write_sheet(tmp_path, ("one", "other"), tmp_path / "sheet.png")
    sheet = Image.open(tmp_path / "sheet.png")
    middle = SIDE // 2
    assert [sheet.getpixel((middle, middle + SIDE * row)) for row in range(3)] == [(1, 0, 0), (1, 0, 9), (1, 1, 9)]
    assert sheet.getpixel((middle, sheet.height // 2 + middle)) == (0, 0, 0)


def test_generations_are_known_by_their_files(tmp_path):
    """An audit names them by their files, a pairing without the ending."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    (tmp_path / "training").mkdir()
    (tmp_path / "training/manifest.csv").write_text(
        "path,image_id,caption,kind,copies\na.png,a,a,emoji,64\nb.png,b,b,emoji,1\n"
    )
    (tmp_path / "all/audit").mkdir(parents=True)
    told = [{"generation": f"00000{number}_0", "image_id": name} for number, name in enumerate("ab")]
    (tmp_path / "all/pairing.jsonl").write_text("".join(json.dumps(line) + "\n" for line in told))
    found = {"query_id": ["000000_0.png"], "kind": ["template"], "verified": [True]}
    pq.write_table(pa.table(found), tmp_path / "all/audit/matches.parquet")
    (tmp_path / "all/verdict.json").write_text('{"verdict": "fail"}')
    (tmp_path / "all/audit/report.json").write_text('{"results": {"metrics": {"c_t": 6.5, "notes": []}}}')
    figures = {figure.measure: figure.median for figure in figures_of(tmp_path, "all", "all, seed 0")}
    assert figures["prompts that give a training image back, of 64 copies"] == 1
    assert figures["quality: c_t"] == 6.5
    assert prompts_of(tmp_path, "all") == [Prompted("emoji", 64, True, False), Prompted("emoji", 1, False, False)]


def test_with_fewer_steps_each_kept_image_is_seen_as_often(tmp_path):
    """As each of all was: 3 of 6 images are kept, and 2 are added to both."""
    rows = [f"{number}.png,{number}" for number in range(6)]
    (tmp_path / "all.csv").write_text("\n".join(["path,image_id", *rows]) + "\n")
    (tmp_path / "also.csv").write_text("\n".join(["path,image_id", *rows[:2]]) + "\n")
    (tmp_path / "keep.txt").write_text("0\n1\n2\n")
    assert _fewer(800, tmp_path / "all.csv", tmp_path / "keep.txt", [tmp_path / "also.csv"]) == 500
