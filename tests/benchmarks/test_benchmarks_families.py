"""Promises of benchmarks/families.py, on a dozen drawn pictures and the thumbnail encoder."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from pictures import draw
from PIL import Image
from written import bytes_of, rows_of

from benchmarks import families
from benchmarks.alterations import COPIES
from benchmarks.families import FAMILY_PAIRS, SOURCE, Pairs
from benchmarks.runner import main
from benchmarks.samples import write_candidates


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache with drawn pictures in the place of photographs, and transparent ones in that of emoji."""
    images = tmp_path / "cache/samples/images"
    (images / "photographs/drawn").mkdir(parents=True)
    (images / "twemoji/drawn").mkdir(parents=True)
    for seed in range(7):
        draw(seed, (192, 144)).save(images / f"photographs/drawn/{seed}.jpg", quality=95)
    for seed, name in enumerate(("one_oclock", "two_thirty", "alarm_clock", "sun", "moon")):
        picture = draw(100 + seed // 3, (72, 72))
        picture.putalpha(Image.radial_gradient("L").resize(picture.size).point(lambda level: 255 if level < 150 else 0))
        picture.putpixel((36, 36), (seed, 0, 0, 255))
        picture.save(images / f"twemoji/drawn/{name}.png")
    monkeypatch.setenv("MEMAUDIT_CACHE", str(tmp_path / "cache"))
    return images


def pairs_of(*found: tuple[int, str, int, str]) -> Pairs:
    family, copy, other_family, other_copy = zip(*found, strict=True)
    sides = (np.array(family, np.int64), np.array(other_family, np.int64))
    return Pairs(*sides, np.array(copy, object), np.array(other_copy, object))


@pytest.mark.slow
def test_the_whole_benchmark_is_written_with_machine_and_versions(cache: Path, tmp_path: Path) -> None:
    """Both thresholds have precision and recall with intervals; by both group rules an alarm clock is no clock face."""
    options = ["--encoder", "thumbnail", "--sources", "10", "--thresholds", "0.8", "--apart", "0.97"]
    assert main(["families", *options, "--out", str(tmp_path / "results"), "--work", str(tmp_path / "work")]) == 0
    (table,) = (tmp_path / "results").glob("families-*.csv")
    rows = rows_of(table)
    assert all(row["cpu"] and row["cores"] and row["python"] and row["encoder"] == "thumbnail" for row in rows)
    recall = {row["data"]: row for row in rows if row["measure"] == "recall, all pairs"}
    strict, lax = (float(row["median"]) for row in recall.values())
    assert 0 < strict < lax
    assert all(0 <= float(r["least"]) <= float(r["median"]) <= float(r["most"]) <= 1 for r in recall.values())
    measured = {row["measure"] for row in rows if row["data"] == "copies, threshold 0.8"}
    assert measured >= {"precision", "dedup, CPU s", *(f"recall, source and {copy}" for copy in COPIES)}
    for rule in ("cover", "components"):
        emoji = {row["measure"]: row for row in rows if row["data"] == f"emoji, {rule}"}
        assert emoji["largest group"]["median"] == "3"
        assert emoji["clocks in groups"]["median"] == "2"
        assert emoji["others grouped with clocks"]["note"] == "alarm_clock"
        assert 0.95 < float(emoji["largest group, smallest similarity"]["median"]) <= 1


def test_copies_are_the_same_in_every_run(cache: Path, tmp_path: Path) -> None:
    """Overlays included; and no copy equals its source."""
    wanted = {True: 2, False: 1}
    names = write_candidates([], cache / "twemoji", wanted, tmp_path / "candidates")
    files = families.choose(sorted(names), wanted)
    for out in ("one", "two"):
        families.write_families(files, names, tmp_path / "candidates", cache / "twemoji", tmp_path / out)
    one, two = bytes_of(tmp_path / "one"), bytes_of(tmp_path / "two")
    assert one == two
    assert len(set(one.values())) == 3 * (len(COPIES) + 1)


def test_the_default_is_measured_with_pixels_where_they_are_asked() -> None:
    """Only then is there a decision with them; all others are by similarity alone."""
    with_pixels, plain = families.by_default("sscd")
    assert (with_pixels.options, plain.options) == ([], ["--match", "none"])
    assert (with_pixels.name(0.75), plain.name(0.75)) == ("0.75 (default) and pixels", "0.75 (default)")
    assert families.by_default("thumbnail") == [plain]
    assert families.Decision(0.5, False).options == ["--threshold", "0.5", "--match", "none"]


def test_rates_are_those_of_the_known_truth() -> None:
    """Two families: three pairs found within the first, one of them without the source, and one across."""
    found = families.rates(
        pairs_of((0, SOURCE, 0, "crop"), (0, "flip", 0, SOURCE), (0, "crop", 0, "flip"), (0, "jpeg", 1, "jpeg")), 2
    )
    values = {measure: rate.value for measure, rate in found.items() if rate}
    assert values["precision"] == 3 / 4
    assert values["recall, all pairs"] == 3 / (2 * FAMILY_PAIRS)
    assert values["recall, source and copy"] == 2 / (2 * len(COPIES))
    assert [values[f"recall, source and {copy}"] for copy in COPIES] == [0.5, 0.5, 0, 0, 0]


def test_nothing_found_has_no_precision() -> None:
    """And a recall of 0 with an upper end above it."""
    nobody = Pairs(np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0, object), np.empty(0, object))
    found = families.rates(nobody, 3)
    assert found["precision"] is None
    assert found["recall, all pairs"] is not None
    assert found["recall, all pairs"].value == 0 < found["recall, all pairs"].high


def test_unfit_pictures_are_no_sources(cache: Path, tmp_path: Path) -> None:
    """Too small, no image at all, or a colour-masked copy of another sample."""
    own = tmp_path / "own"
    own.mkdir()
    draw(50, (64, 64)).save(own / "small.png")
    draw(51, (192, 144)).save(own / "7_segmented.jpg")
    draw(52, (192, 144)).save(own / "fit.png")
    (own / "broken.png").write_bytes(b"no image")
    names = write_candidates([own], cache / "twemoji", {True: 1, False: 0}, tmp_path / "candidates")
    assert [name for name in names.values() if name.startswith("own/")] == ["own/fit.png"]


def test_a_folder_that_exists_is_not_worked_in(cache: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Stores of another run would be taken for those of this one: one line and exit code 2."""
    assert main(["families", "--work", str(tmp_path)]) == 2
    assert capsys.readouterr().err.endswith("exists: name a new folder\n")
