"""Promises of benchmarks/audit, on a handful of drawn pictures."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from pictures import draw
from PIL import Image
from written import bytes_of, rows_of

pytest.importorskip("faiss", reason="needs FAISS: ./scripts/test")

from benchmarks import audit
from benchmarks.alterations import SETTINGS, Beside, write_copies
from benchmarks.audit.findings import Finding, write_sheet
from benchmarks.audit.natural import natural_copies, others_than
from benchmarks.copies.split import FIT, REFERENCE, SOURCE, TEST, Line
from benchmarks.runner import main


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache with drawn pictures in the place of photographs, one with a colour mask; two clocks and a sticker."""
    images = tmp_path / "cache/samples/images"
    for folder in ("photographs/drawn", "twemoji/travel", "twemoji/smileys"):
        (images / folder).mkdir(parents=True)
    for seed in range(6):
        draw(seed, (192, 144)).save(images / f"photographs/drawn/{seed}.jpg", quality=95)
    Image.blend(draw(0, (192, 144)), Image.new("RGB", (192, 144), "red"), 0.1).save(
        images / "photographs/drawn/0_segmented.jpg"
    )
    for seed, name in enumerate(("travel/one_oclock", "travel/two_thirty", "smileys/grin")):
        picture = draw(100 + seed // 2, (72, 72))
        picture.putalpha(Image.radial_gradient("L").resize(picture.size).point(lambda level: 255 if level < 150 else 0))
        picture.paste((0, 0, 0, 255), (20, 30, 36 + 8 * seed, 36))
        picture.save(images / f"twemoji/{name}.png")
    monkeypatch.setenv("MEMAUDIT_CACHE", str(tmp_path / "cache"))
    return images


def beside_of(folder: Path) -> Beside:
    return Beside(sorted((folder / "twemoji").rglob("*.png")), sorted((folder / "photographs").rglob("*.jpg")))


def test_copies_are_the_same_in_every_run_and_none_is_its_source(cache: Path, tmp_path: Path) -> None:
    """All 21, each another picture than the source and than the others; another source gives others."""
    source = cache / "photographs/drawn/1.jpg"
    for out in ("one", "two"):
        assert list(write_copies(source, "a", beside_of(cache), tmp_path / out)) == list(SETTINGS)
    write_copies(source, "b", beside_of(cache), tmp_path / "other")
    one, two, other = (bytes_of(tmp_path / name) for name in ("one", "two", "other"))
    assert one == two
    assert len(set(one.values())) == len(SETTINGS) == 21
    assert one != other


def test_copies_are_as_strong_as_their_settings_say(cache: Path, tmp_path: Path) -> None:
    """Sizes after a crop, a turn, a stretch and a frame; a mirrored picture mirrors back; the pasted one is small."""
    source = draw(3, (200, 160))
    source.save(tmp_path / "source.png")
    written = write_copies(tmp_path / "source.png", "a", beside_of(cache), tmp_path / "copies")
    sizes = {setting: Image.open(path).size for setting, path in written.items()}
    assert sizes["resize 0.5"] == sizes["crop 0.5"] == (100, 80)
    assert sizes["rotate 90"] == (160, 200)
    assert sizes["square"] == (160, 160)
    assert sizes["stretch 1.5"] == (300, 160)
    assert sizes["paste 0.4"] == (256, 192)
    assert min(sizes["border 0.1"]) >= 200
    back = np.asarray(Image.open(written["mirror"]).transpose(Image.Transpose.FLIP_LEFT_RIGHT), float)
    assert np.abs(back - np.asarray(source, float)).mean() < 6
    grey = np.asarray(Image.open(written["grey"]), float)
    assert np.ptp(grey, axis=2).mean() < 1


def test_natural_copies_are_found_by_their_names(cache: Path, tmp_path: Path) -> None:
    """A mask needs its photograph and a detail its background; numbers elsewhere mean nothing."""
    details, other = tmp_path / "game/details/image", tmp_path / "game/other"
    for folder in (details, other):
        folder.mkdir(parents=True)
        for name in ("fort_1", "fort_12", "fort_background", "lost_1", "fort_plan"):
            (folder / f"{name}.webp").touch()
    found = natural_copies(tmp_path / "game")
    assert [(c.name, o.name) for c, o in found["colour masks"].items()] == [("0_segmented.jpg", "0.jpg")]
    background = details / "fort_background.webp"
    assert found["round details"] == {details / "fort_1.webp": background, details / "fort_12.webp": background}


def test_originals_lie_among_others_of_the_split(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """References of the part that is fitted on, as many as are asked for; none that is an original."""
    lines = [Line("", FIT, role, "", f"a/{number}.png") for number, role in enumerate((SOURCE, REFERENCE, REFERENCE))]
    lines += [Line("", FIT, SOURCE, "", "drawn/text/001"), Line("", TEST, SOURCE, "", "a/9.png")]
    monkeypatch.setattr("benchmarks.audit.natural.read_split", lambda: lines)
    root = cache.parents[1]
    assert others_than({root / "a/1.png"}, 5) == {"a/0.png": root / "a/0.png", "a/2.png": root / "a/2.png"}
    assert list(others_than(set(), 1)) == ["a/0.png"]


def test_clocks_and_search_are_written_with_machine_and_versions(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the command itself, with the encoder that needs no weights."""
    pytest.importorskip("faiss", reason="needs FAISS: ./scripts/test")
    monkeypatch.setattr(audit, "ENCODER", "thumbnail")
    options = ["--parts", "clocks", "search", "--rows", "3000", "--queries", "50", "--rounds", "1"]
    assert main(["audit", *options, "--out", str(tmp_path / "results"), "--work", str(tmp_path / "work")]) == 0
    (table,) = (tmp_path / "results").glob("audit-*.csv")
    rows = {row["measure"]: row for row in rows_of(table)}
    assert all(row["cpu"] and row["python"] for row in rows.values())
    assert rows["named first as itself"]["median"] == "2"
    assert rows["matches with other clocks"]["median"] == "2"
    assert rows["same nearest row k=10"]["median"] == "1"
    seconds, rate = (float(rows[f"exact search k=10{end}"]["median"]) for end in (" s", ", pairs/s"))
    assert rate == pytest.approx(50 * 3000 / seconds, rel=0.01)


def test_findings_are_drawn_for_whoever_judges_them(tmp_path: Path) -> None:
    """Five findings: two rows of four; none: no file."""
    picture = tmp_path / "a.png"
    draw(1, (300, 100)).save(picture)
    findings = [Finding("a", "a", 0.8, 1, "whole", "partial")] * 5
    write_sheet(findings, {"a": picture}, tmp_path / "sheet.png")
    write_sheet([], {}, tmp_path / "none.png")
    assert Image.open(tmp_path / "sheet.png").size == (4 * 420, 2 * 230)
    assert not (tmp_path / "none.png").exists()


def test_a_folder_that_exists_is_not_worked_in(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Stores of another run would be taken for those of this one: one line and exit code 2."""
    assert main(["audit", "--work", str(tmp_path)]) == 2
    assert capsys.readouterr().err.endswith("exists: name a new folder\n")
