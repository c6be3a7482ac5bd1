"""memaudit filter: rounds, a page and a stream of decisions; exit codes say what is known."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest
from calls import Memaudit
from pictures import MakeFolder, MakeStore, draw

from memaudit.report.document import read_report


@pytest.fixture
def store(picture_folder: MakeFolder, make_store: MakeStore) -> Path:
    return make_store(picture_folder(24)).folder


@pytest.fixture
def seeds(tmp_path: Path) -> Path:
    path = tmp_path / "seeds.csv"
    path.write_text("image_id,label\n0001.png,1\n0002.png,1\n0003.png,0\nelsewhere,1\n")
    return path


def test_from_seeds_to_decisions(memaudit: Memaudit, store: Path, seeds: Path, tmp_path: Path) -> None:
    """Everything is labelled in two rounds; then the cut is known, and applied."""
    out = tmp_path / "even"
    first = memaudit("filter", "train", store, "--labels", seeds, "--out", out, "--sample", "30", "--json")
    assert first.code == 3
    assert (first.json["round"], first.json["labels_of_other_images"]) == (1, 1)
    assert first.json["to_label"] == 21
    assert "no random sample of this probe has labels" in first.json["reasons"][0]
    with (out / "next.csv").open(newline="") as file:
        ids = [row["image_id"] for row in csv.DictReader(file)]
    labels = tmp_path / "labels.jsonl"
    labels.write_text("".join(json.dumps({"image_id": each, "label": int(each < "0003")}) + "\n" for each in ids))
    done = memaudit("filter", "train", store, "--labels", labels, "--out", out)
    assert done.code == 0
    assert "The cut finds 100 %" in done.out.replace("\N{NO-BREAK SPACE}", " ")
    applied = memaudit("filter", "apply", out, store, "--out", tmp_path / "applied")
    assert applied.code == 0
    assert read_report(tmp_path / "applied" / "report.json").kind == "filter"
    assert {"0000.png", "0001.png", "0002.png"} <= set((tmp_path / "applied" / "drop.txt").read_text().split())
    page = (tmp_path / "applied" / "report.html").read_text()
    assert "Filter: even" in page
    assert memaudit("verify", tmp_path / "applied" / "report.json").code == 0


def test_what_is_not_known_or_not_meant(memaudit: Memaudit, store: Path, seeds: Path, tmp_path: Path) -> None:
    out = tmp_path / "some"
    assert memaudit("filter", "train", store, "--labels", seeds, "--out", out).code == 3
    memaudit("filter", "apply", out, store, "--out", tmp_path / "a").failed(3, "no cut that was shown")
    memaudit("filter", "apply", out, store, "--out", tmp_path / "b", "--unscored", "maybe").failed(2, "keep or drop")
    memaudit("filter", "apply", out, store, "--out", tmp_path / "b", "--cut", "2").failed(2, "--cut 2 is out of range")
    memaudit("filter", "apply", store, store, "--out", tmp_path / "b").failed(2, "holds no filter")
    memaudit("filter", "train", store, "--out", tmp_path / "none").failed(2, "no label says yes")
    text = ("filter", "train", store, "--out", tmp_path / "none", "--text", "a clock")
    memaudit(*text).failed(2, "needs a store by open_clip")
    memaudit(*text[:-2], "--labels", seeds, "--text-weights", "x").failed(2, "belongs to --text")
    assert not (tmp_path / "none" / "filter.json").exists()


def test_unreadable_images_wait_for_a_word(
    memaudit: Memaudit, seeds: Path, picture_folder: MakeFolder, make_store: MakeStore, tmp_path: Path
) -> None:
    folder = picture_folder(8)
    (folder / "broken.png").write_bytes(b"no picture")
    draw(1).convert("L").point(lambda _: 255).save(folder / "white.png")
    store = make_store(folder).folder
    assert memaudit("filter", "train", store, "--labels", seeds, "--out", tmp_path / "one").code == 3
    apply = ("filter", "apply", tmp_path / "one", store, "--out", tmp_path / "out", "--cut", "0.5")
    waiting = memaudit(*apply)
    assert waiting.code == 3
    assert "2 images could not be scored (1 blank, 1 unreadable): say --unscored keep or drop" in waiting.out
    assert memaudit(*apply, "--unscored", "drop").code == 0
    assert {"broken.png", "white.png"} <= set((tmp_path / "out" / "drop.txt").read_text().split())


def test_the_page_shows_whom_to_label(memaudit: Memaudit, store: Path, seeds: Path, tmp_path: Path) -> None:
    """One file with its pictures; an image that is another by now is named, and not shown."""
    out = tmp_path / "<some>"
    memaudit("filter", "train", store, "--labels", seeds, "--out", out, "--next", "4", "--sample", "6")
    with (out / "next.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    draw(77).save(rows[0]["uri"])
    page = memaudit("filter", "review", out, "--json").json["page"]
    text = Path(page).read_text()
    assert text.count("data:image/jpeg") == len(rows) - 1
    assert "another one than was embedded" in text
    assert "<some>" not in text
    for row in rows:
        assert f"<figcaption>{row['image_id']}" in text
    memaudit("filter", "review", tmp_path).failed(2, "holds no filter")


@pytest.mark.torch
def test_a_prompt_begins_without_labels(
    memaudit: Memaudit, picture_folder: MakeFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By a text alone: nothing is known of what it finds, and whom it asks for is the most similar."""
    import numpy as np

    from memaudit.encoders import clip
    from memaudit.store import Store

    vectors = np.random.default_rng(0).standard_normal((40, 16)).astype(np.float32)
    np.save(tmp_path / "v.npy", vectors)
    (tmp_path / "ids.txt").write_text("".join(f"{number}\n" for number in range(40)))
    given = ("--ids", tmp_path / "ids.txt", "--encoder", "open_clip:tiny/none", "--threshold", "0.9")
    assert memaudit("import", tmp_path / "v.npy", *given, "--out", tmp_path / "store").code == 0
    store = Store.open(tmp_path / "store")
    text = store.embeddings(np.array([7]))[0]
    monkeypatch.setattr(clip, "embed_text", lambda spec, said, tag="": text)
    train = ("filter", "train", tmp_path / "store", "--out", tmp_path / "seven", "--sample", "0", "--next", "4")
    assert memaudit(*train, "--text", "the seventh").code == 3
    with (tmp_path / "seven" / "next.csv").open(newline="") as file:
        scores = {row["image_id"]: float(row["score"]) for row in csv.DictReader(file)}
    assert max(scores, key=scores.__getitem__) == "7"
    (tmp_path / "labels.csv").write_text("image_id,label\n7,1\n1,0\n2,0\n")
    again = memaudit(*train, "--labels", tmp_path / "labels.csv", "--json").json
    assert again["round"] == 2
    assert json.loads((tmp_path / "seven" / "filter.json").read_text())["text"] == "the seventh"
