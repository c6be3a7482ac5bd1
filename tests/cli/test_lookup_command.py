"""memaudit lookup and index on the command line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from calls import Memaudit
from pictures import altered, draw, write_pictures

pytest.importorskip("faiss", reason="needs FAISS: ./scripts/test")


@pytest.fixture
def index(memaudit: Memaudit, tmp_path: Path) -> Path:
    """An index of 20 pictures, one of them there twice, with captions."""
    folder = write_pictures(tmp_path / "training", range(20))
    altered(draw(0)).save(folder / "again.png")
    store = ("embed", folder, "--out", tmp_path / "store", "--encoder", "thumbnail")
    assert memaudit(*store).code == 0
    assert memaudit("index", tmp_path / "store", "--out", tmp_path / "index").code == 0
    return tmp_path / "index"


def test_found_and_not_found(memaudit: Memaudit, index: Path, tmp_path: Path) -> None:
    """Exit 1 and the match, with an evidence file that names image, store and index; exit 0 without."""
    draw(3).transpose(0).save(tmp_path / "copy.png")
    draw(950).save(tmp_path / "new.png")
    called = memaudit("lookup", tmp_path / "copy.png", "--against", index, "--evidence", tmp_path / "e.json", "--json")
    assert called.code == 1
    value = called.json
    assert json.loads((tmp_path / "e.json").read_text()) == value
    (image,) = value["images"]
    assert (image["matches"][0]["image_id"], image["matches"][0]["view"]) == ("0003.png", "mirrored")
    assert len(image["sha256"]) == len(value["index"]["sha256"]) == len(value["store"]["sha256"]) == 64
    assert set(value["seconds"]) == {"opening", "loading the encoder", "looking up"}
    called = memaudit("lookup", tmp_path / "new.png", "--against", index)
    assert called.code == 0
    assert "no match; the nearest is" in called.out
    assert memaudit("lookup", tmp_path / "new.png", "--against", tmp_path / "store").code == 0
    again = memaudit("lookup", tmp_path / "copy.png", "--against", index, "--evidence", tmp_path / "e.json")
    again.failed(2, "exists already: evidence is not written over")


def test_the_output_says_how_a_match_was_told_and_what_was_not_compared(
    memaudit: Memaudit, index: Path, tmp_path: Path
) -> None:
    """Kind, and pixels or embeddings; without pixels one line that says what is then not found."""
    draw(3).save(tmp_path / "copy.png")
    call = ("lookup", tmp_path / "copy.png", "--against", index)
    seen = memaudit(*call)
    assert seen.code == 1
    assert "(whole; verbatim, seen on pixels)" in seen.out
    assert "Without pixels" not in seen.out
    blind = memaudit(*call, "--match", "none")
    assert blind.code == 1
    assert "(whole; near-duplicate, by embeddings)" in blind.out
    assert "Compared on pixels: none (--match none). Without pixels, parts and strong alterations" in blind.out
    memaudit(*call, "--match", "perhaps").failed(2, "--match")
    memaudit(*call, "--match-from", "0").failed(2, "out of range")


def test_what_a_dedup_run_decided(memaudit: Memaudit, index: Path, tmp_path: Path) -> None:
    """A match says whether it was kept or dropped, and for which witness; a run of another state decides nothing."""
    assert memaudit("dedup", tmp_path / "store", "--out", tmp_path / "dedup").code == 0
    draw(0).save(tmp_path / "copy.png")
    call = ("lookup", tmp_path / "copy.png", "--against", index, "--dedup", tmp_path / "dedup")
    called = memaudit(*call, "--json")
    assert called.code == 1
    fates = {match["image_id"]: match["dedup"] for match in called.json["images"][0]["matches"]}
    assert {name: fate["decision"] for name, fate in fates.items()} == {"0000.png": "keep", "again.png": "drop"}
    assert fates["again.png"]["witness_id"] == "0000.png"
    assert fates["again.png"]["witness_similarity"] > 0.95
    assert "[drop: near-duplicate, witness 0000.png]" in memaudit(*call).out
    draw(30).save(tmp_path / "training" / "zz.png")
    memaudit("embed", tmp_path / "training", "--out", tmp_path / "store", "--encoder", "thumbnail")
    memaudit(*call).failed(3, "has grown by 1 images")
    assert memaudit("index", tmp_path / "store", "--out", index, "--update").code == 0
    memaudit(*call).failed(3, "was made of another state of store")


def test_could_not_decide(memaudit: Memaudit, index: Path, tmp_path: Path) -> None:
    """An unreadable picture: exit 3. No picture, or none there: wrong usage."""
    (tmp_path / "broken.png").write_bytes(b"x")
    called = memaudit("lookup", tmp_path / "broken.png", "--against", index)
    assert called.code == 3
    assert "broken.png: unreadable" in called.out
    memaudit("lookup", tmp_path / "none.png", "--against", index).failed(2, "none.png")
    memaudit("lookup", tmp_path / "broken.png", "--against", index, "--views", "some").failed(2, "--views")
    memaudit(
        "lookup", tmp_path / "broken.png", "--against", index, "--encoder", "thumbnail", "--threshold", "2"
    ).failed(2)
    memaudit("lookup", tmp_path / "broken.png", "--against", tmp_path / "training").failed(2, "no embedding store")


def test_index_options_that_contradict(memaudit: Memaudit, index: Path, tmp_path: Path) -> None:
    """--update has a recipe already."""
    memaudit("index", tmp_path / "store", "--out", index, "--update", "--recipe", "ivf").failed(
        2, "leave --recipe away"
    )
    value = memaudit("info", index, "--json").json
    assert value["chosen"].startswith("auto: flat, ")
    assert memaudit("verify", index).code == 0
