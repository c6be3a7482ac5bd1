"""memaudit prompts and extract, and what audit takes as a pairing: the circle closes on the command line."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from calls import Memaudit
from pictures import altered, draw
from PIL import Image

from memaudit.report.document import read_report

CLOCK = "a <b>clock"


@pytest.fixture
def training(memaudit: Memaudit, tmp_path: Path) -> Path:
    """A store of twelve captioned pictures, one of them there three times."""
    folder = tmp_path / "train"
    folder.mkdir()
    lines = ["path,caption"]
    for seed in range(12):
        draw(seed).save(folder / f"{seed}.png")
        lines.append(f"{seed}.png,picture number {seed}")
    for copy in range(2):
        altered(draw(3)).save(folder / f"copy{copy}.png", compress_level=copy)
        lines.append(f"copy{copy}.png,copy {copy} of three")
    (folder / "manifest.csv").write_text("\n".join(lines))
    store = tmp_path / "store"
    assert memaudit("embed", folder / "manifest.csv", "--encoder", "thumbnail", "--out", store).code == 0
    return store


def generate(prompts: Path, out: Path, name: str = "{generation}.png") -> None:
    """A model that returns the pictures it was asked for by an even number, and new ones else."""
    out.mkdir()
    for number, line in enumerate(map(json.loads, prompts.read_text().splitlines())):
        seed = int(line["image_id"].partition(".")[0]) if line["image_id"][0].isdigit() else 3
        image = altered(draw(seed)) if number % 2 == 0 else draw(900 + number)
        image.save(out / name.format(**line))


@pytest.mark.parametrize("name", ["{generation}.png", "{generation}_{seed}.png"])
def test_from_prompts_to_a_paired_audit(memaudit: Memaudit, training: Path, tmp_path: Path, name: str) -> None:
    """Prompts, generations named after them, audit: all pairs are measured, and the copies are their prompts'."""
    prompts = tmp_path / "prompts.jsonl"
    called = memaudit("prompts", training, "--out", prompts, "--n", "8", "--seed", "3", "--json")
    assert called.json == {
        "out": str(prompts),
        "prompts": 8,
        "captions": 14,
        "captions_estimated": False,
        "images_with_caption": 14,
        "images": 14,
    }
    generate(prompts, tmp_path / "made", name)
    pattern = ["--pairing-pattern", name] if "seed" in name else []
    arguments = ("audit", tmp_path / "made", "--against", training, "--pairing", prompts, *pattern)
    report = memaudit(*arguments, "--out", tmp_path / "out", "--json").json
    assert (report["results"]["paired"]["n"], report["results"]["paired"]["count"]) == (8, 4)
    assert all(finding["prompt"] and finding["seed"] for finding in report["findings"])
    assert report["results"]["why"]["paired"]


def test_prompts_replace_prompts_and_nothing_else(memaudit: Memaudit, training: Path, tmp_path: Path) -> None:
    """A slip of the hand must not cost the manifest."""
    manifest, prompts = tmp_path / "train" / "manifest.csv", tmp_path / "prompts.jsonl"
    before = manifest.read_text()
    memaudit("prompts", training, "--out", manifest).failed(2, "holds no prompts of memaudit: choose another --out")
    assert manifest.read_text() == before
    for count in ("5", "3"):
        assert memaudit("prompts", training, "--out", prompts, "--n", count).code == 0
    assert len(prompts.read_text().splitlines()) == 3


def test_most_duplicated_prompts_need_a_dedup_run(memaudit: Memaudit, training: Path, tmp_path: Path) -> None:
    """The image that stands there three times comes first; without the run it is exit 2."""
    out = tmp_path / "prompts.jsonl"
    wanted = ("prompts", training, "--out", out, "--strategy", "most-duplicated", "--n", "5")
    memaudit(*wanted).failed(2, "needs --dedup")
    assert not out.exists()
    assert memaudit("dedup", training, "--out", tmp_path / "dedup").code == 0
    called = memaudit(*wanted, "--dedup", tmp_path / "dedup")
    assert "1 prompts (5 were asked for)" in called.out
    assert json.loads(out.read_text())["copies"] == 3


def test_a_dedup_run_of_another_store_says_nothing(memaudit: Memaudit, training: Path, tmp_path: Path) -> None:
    """Its image_ids may be called alike; so is a run of an earlier state, and a report that is none of dedup."""
    out = tmp_path / "prompts.jsonl"
    wanted = ("prompts", training, "--out", out, "--strategy", "mixed", "--n", "5", "--dedup", tmp_path / "run")
    memaudit(*wanted).failed(2, "report.json")
    other = tmp_path / "other"
    other.mkdir()
    for name in ("0", "1"):
        draw(70).save(other / f"{name}.png")
    assert memaudit("embed", other, "--encoder", "thumbnail", "--out", tmp_path / "others").code == 0
    assert memaudit("dedup", tmp_path / "others", "--out", tmp_path / "run").code == 0
    memaudit(*wanted).failed(3, "another state of store")
    assert memaudit("extract", other, "--prompt-pattern", "{prompt}.png", "--out", tmp_path / "x").code == 3
    memaudit(*wanted[:-1], tmp_path / "x").failed(2, "of kind extraction")
    assert not out.exists()


def test_a_store_without_captions_is_exit_2(memaudit: Memaudit, tmp_path: Path) -> None:
    """One line, no file."""
    (tmp_path / "images").mkdir()
    draw(1).save(tmp_path / "images" / "1.png")
    memaudit("embed", tmp_path / "images", "--encoder", "thumbnail", "--out", tmp_path / "store")
    memaudit("prompts", tmp_path / "store", "--out", tmp_path / "p.jsonl").failed(2, "no image with a caption")
    assert not (tmp_path / "p.jsonl").exists()


def test_names_and_metadata_pair_as_a_file_does(memaudit: Memaudit, training: Path, tmp_path: Path) -> None:
    """A template of names, or the columns of the generations' own manifest."""
    made = tmp_path / "made"
    made.mkdir()
    lines = ["path,training_id,prompt,seed"]
    for seed in range(6):
        altered(draw(seed)).save(made / f"{seed}_7.png")
        lines.append(f"{seed}_7.png,{seed}.png,number {seed},7")
    by_name = ("--pairing-pattern", "{image_id}_{seed}.png")
    named = memaudit("audit", made, "--against", training, *by_name, "--out", tmp_path / "a", "--json").json
    (made / "manifest.csv").write_text("\n".join(lines))
    manifest = ("audit", made / "manifest.csv", "--against", training, "--pairing-metadata")
    told = memaudit(*manifest, "--out", tmp_path / "b", "--json").json
    assert named["results"]["paired"]["count"] == told["results"]["paired"]["count"] == 6
    assert {f["prompt"] for f in told["findings"]} == {f"number {seed}" for seed in range(6)}
    assert {f["seed"] for f in told["findings"]} == {f["seed"] for f in named["findings"]} == {"7"}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--pairing-pattern", "plain.png"], "names nothing"),
        (["--pairing-pattern", "{generation}.png"], "--pairing-pattern"),
        (["--pairing-pattern", "{image_id}-{seed}.jpg"], "do not fit"),
        (["--pairing-metadata"], "no generation of"),
        (["--metrics"], "give them with --control"),
    ],
)
def test_a_pairing_that_cannot_be_meant_is_exit_2(
    memaudit: Memaudit, training: Path, tmp_path: Path, arguments: list[str], words: str
) -> None:
    """One line, and no report."""
    (tmp_path / "made").mkdir()
    draw(1).save(tmp_path / "made" / "1_1.png")
    memaudit("audit", tmp_path / "made", "--against", training, "--out", tmp_path / "o", *arguments).failed(2, words)
    assert not (tmp_path / "o" / "report.json").exists()


# --- extract -------------------------------------------------------------------------------------------------------


@pytest.fixture
def generations(tmp_path: Path) -> Path:
    """Twelve generations of each of two prompts: one gives one picture, the other twelve."""
    folder = tmp_path / "generations"
    for prompt in (CLOCK, "a moon"):
        (folder / prompt).mkdir(parents=True)
    for seed in range(12):
        values = np.asarray(draw(1), dtype=np.float64) + np.random.default_rng(seed).normal(0, 6, (72, 96, 1))
        clock = Image.fromarray(values.clip(0, 255).astype(np.uint8))
        clock.save(folder / CLOCK / f"{seed}.png")
        draw(100 + seed).save(folder / "a moon" / f"{seed}.png")
    return folder


def test_extract_finds_the_prompt(memaudit: Memaudit, generations: Path, tmp_path: Path) -> None:
    """Measuring is exit 0, whatever was found; the report is sound, the table and the pictures are there."""
    out = tmp_path / "out"
    called = memaudit("extract", generations, "--prompt-pattern", "{prompt}/{seed}.png", "--out", out)
    assert called.code == 0
    assert "1 of 2 prompts gives one picture again and again" in called.out
    report = read_report(out / "report.json").content
    assert report["kind"] == "extraction"
    assert [(f["prompt"], f["members"], f["files"]) for f in report["findings"]] == [(CLOCK, 12, 12)]
    assert len(report["findings"][0]["pictures"]) == 6
    assert (out / "cliques.parquet").exists()
    assert "<b>clock" not in (out / "report.html").read_text()
    assert memaudit("info", out / "report.json").code == 0
    judged = memaudit("gate", out / "report.json")
    assert (judged.code, "extraction" in judged.out) == (3, True)


def test_extract_without_enough_generations_is_inconclusive(
    memaudit: Memaudit, generations: Path, tmp_path: Path
) -> None:
    """Cliques of 20 among 12: exit 3, and a report that says so."""
    called = memaudit(
        "extract", generations, "--prompt-pattern", "{prompt}/{seed}.png", "--clique", "20", "--out", tmp_path / "o"
    )
    assert called.code == 3
    assert read_report(tmp_path / "o" / "report.json").content["results"]["conclusive"] is False


def test_extract_of_nothing_is_inconclusive(memaudit: Memaudit, tmp_path: Path) -> None:
    """Trap "an empty input scored as perfect"."""
    (tmp_path / "empty").mkdir()
    memaudit("extract", tmp_path / "empty", "--out", tmp_path / "o").failed(3, "inconclusive")
    assert read_report(tmp_path / "o" / "report.json").content["results"]["conclusive"] is False


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ([], "does not say which prompt"),
        (["--prompt-pattern", "{seed}.png"], "--prompt-pattern {seed}.png names seed"),
        (["--prompt-pattern", "{prompt}-{seed}.png"], "does not fit --prompt-pattern"),
        (["--threshold", "0"], "--threshold 0 is out of range"),
        (["--clique", "1"], "--clique 1 is out of range"),
        (["--pairing", "absent.csv"], "absent.csv"),
    ],
)
def test_extract_with_wrong_options_is_exit_2(
    memaudit: Memaudit, generations: Path, tmp_path: Path, arguments: list[str], words: str
) -> None:
    """One line, and no report."""
    memaudit("extract", generations, "--out", tmp_path / "o", *arguments).failed(2, words)
    assert not (tmp_path / "o" / "report.json").exists()


@pytest.fixture
def held_out(memaudit: Memaudit, tmp_path: Path) -> Path:
    """A store of ten captioned pictures that no model has seen, one under a caption of the training set."""
    folder = tmp_path / "held-out"
    folder.mkdir()
    lines = ["path,caption"]
    for seed in range(10):
        draw(100 + seed).save(folder / f"held-{seed}.png")
        lines.append(f"held-{seed}.png,picture number {seed if seed == 9 else 100 + seed}")
    (folder / "manifest.csv").write_text("\n".join(lines))
    store = tmp_path / "held-store"
    assert memaudit("embed", folder / "manifest.csv", "--encoder", "thumbnail", "--out", store).code == 0
    return store


def test_a_matched_design_from_prompts_to_the_page(
    memaudit: Memaudit, training: Path, held_out: Path, tmp_path: Path
) -> None:
    """Nine captions of each side; the model returns the pictures of four training captions, and of no other."""
    prompts, made = tmp_path / "prompts.jsonl", tmp_path / "made"
    called = memaudit("prompts", training, "--out", prompts, "--held-out", held_out, "--json")
    assert (called.json["prompts"], called.json["held_out"]) == (18, 9)
    made.mkdir()
    for number, line in enumerate(map(json.loads, prompts.read_text().splitlines())):
        stem = line["image_id"].removesuffix(".png")
        image = altered(draw(int(stem))) if stem in ("0", "1", "4", "5") else draw(900 + number)
        image.save(made / f"{line['generation']}.png")
    run = ["audit", made, "--against", training, "--out", tmp_path / "audit", "--views", "none"]
    assert memaudit(*run, "--pairing", prompts).code == 2
    asked = {json.loads(line)["image_id"] for line in prompts.read_text().splitlines()}
    audited = memaudit(*run, "--pairing", prompts, "--control", held_out, "--json")
    own = audited.json["results"]["control"]["own_images"]
    assert own["training"]["count"] == len(asked & {"0.png", "1.png", "4.png", "5.png"})
    assert (own["held_out"]["count"], own["held_out"]["n"]) == (0, 9)
    assert "own image returned to captions of the training set" in (tmp_path / "audit" / "report.html").read_text()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--by", "word"], "unknown --by"),
        (["--held-out", "{store}", "--by", "image"], "leave --strategy, --dedup, --by and --weights out"),
        (["--held-out", "{store}", "--strategy", "mixed"], "leave --strategy, --dedup, --by and --weights out"),
        (["--held-out", "{store}", "--n", "1"], "at least 2"),
        (["--held-out", "{store}"], "is one of the other set as well"),
    ],
)
def test_prompts_that_cannot_be_drawn(
    options: list[str], said: str, memaudit: Memaudit, training: Path, tmp_path: Path
) -> None:
    given = [option.format(store=training) for option in options]
    called = memaudit("prompts", training, "--out", tmp_path / "prompts.jsonl", *given)
    assert called.code == 2
    assert said in called.err
    assert not (tmp_path / "prompts.jsonl").exists()


def test_prompts_by_image(memaudit: Memaudit, training: Path, tmp_path: Path) -> None:
    called = memaudit("prompts", training, "--out", tmp_path / "prompts.jsonl", "--by", "image", "--n", "5")
    assert called.code == 0
    lines = [json.loads(line) for line in (tmp_path / "prompts.jsonl").read_text().splitlines()]
    assert {line["strategy"] for line in lines} == {"random by image"}
    assert sum(line["weight"] for line in lines) == pytest.approx(14)
