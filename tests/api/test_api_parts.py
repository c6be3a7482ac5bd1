"""An audit looks at every picture that a file of generations holds, and counts the file as one draw."""

from __future__ import annotations

import io
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pictures import draw, photograph
from PIL import Image

import memaudit as ma


@pytest.fixture
def store(tmp_path: Path) -> Path:
    (tmp_path / "training").mkdir()
    for number in range(6):
        photograph(number, (96, 96)).save(tmp_path / "training" / f"{number}.png")
    ma.embed(tmp_path / "training", out=tmp_path / "store", encoder="thumbnail")
    return tmp_path / "store"


@pytest.fixture
def generations(tmp_path: Path) -> Path:
    (tmp_path / "generations").mkdir()
    for number in range(4):
        draw(100 + number).save(tmp_path / "generations" / f"{number}.png")
    return tmp_path / "generations"


@pytest.mark.parametrize("suffix", ["gif", "webp", "tiff", "png"])
def test_a_training_image_in_a_second_frame_is_found(store: Path, generations: Path, suffix: str) -> None:
    """Its own row, by a name that says where; the film is one draw, and its prompt that of all its frames."""
    first, second, third = draw(200), photograph(2, (96, 96)), draw(201)
    lossless = {"lossless": True} if suffix == "webp" else {}
    more = [picture.resize((96, 72)) for picture in (second, third)]
    first.save(generations / f"film.{suffix}", save_all=True, append_images=more, **lossless)
    (generations.parent / "pairing.csv").write_text(
        "generation,image_id,prompt\n" + "".join(f"{p.name},1.png,p\n" for p in sorted(generations.iterdir()))
    )
    run = ma.run_audit(generations, store, pairing=generations.parent / "pairing.csv")
    assert [finding.query_id for finding in run.findings.rows] == [f"film.{suffix}#frame=1"]
    assert run.findings.rows[0].prompt == "p"
    assert (run.rate.count, run.rate.n) == (1, 5)
    assert (run.results.made, run.results.parts, run.results.unpaired) == (5, 2, 0)
    assert "2 pictures within files (frames, sheets, transparent ones made opaque) were searched too" in run.searched_in
    scores = run.scores.to_arrow().to_pydict()
    assert f"film.{suffix}#frame=2" in scores["query_id"]


@pytest.mark.parametrize("margin", [0, 2])
def test_a_training_image_in_a_row_of_eight_is_found(store: Path, generations: Path, margin: int) -> None:
    step = 96 + margin
    sheet = Image.new("RGB", (8 * step + margin, 96 + 2 * margin))
    for place in range(8):
        sheet.paste(photograph(3 if place == 5 else 300 + place, (96, 96)), (margin + place * step, margin))
    sheet.save(generations / "sheet.png")
    run = ma.run_audit(generations, store, views="none")
    left = margin + 5 * step
    found = f"sheet.png#cell={left},{margin},{left + 96},{margin + 96}"
    assert [finding.query_id for finding in run.findings.rows] == [found]
    assert (run.rate.count, run.rate.n, run.results.made, run.results.parts) == (1, 5, 13, 8)


def test_a_training_image_in_a_frame_within_a_table_is_found(store: Path, tmp_path: Path) -> None:
    """A cell is a file as any other: every frame of it is looked at, and can be read again where pixels decide."""
    film, still = io.BytesIO(), io.BytesIO()
    draw(200).save(film, "GIF", save_all=True, append_images=[photograph(2, (96, 96)).resize((96, 72)), draw(201)])
    draw(202).save(still, "PNG")
    cells = {"id": ["still", "film"], "image": [still.getvalue(), film.getvalue()]}
    pq.write_table(pa.table(cells), tmp_path / "generations.parquet")
    run = ma.run_audit(tmp_path / "generations.parquet", store, out=tmp_path / "audit")
    assert [finding.query_id for finding in run.findings.rows] == ["film#frame=1"]
    assert (run.rate.count, run.rate.n, run.results.made, run.results.parts) == (1, 2, 2, 2)
    shards = {path: path.stat().st_mtime_ns for path in (tmp_path / "audit").glob("generations*/*.h5")}
    assert ma.run_audit(tmp_path / "generations.parquet", store, out=tmp_path / "audit").results.parts == 2
    assert {path: path.stat().st_mtime_ns for path in shards} == shards
    found = ma.run_lookup(tmp_path / "generations.parquet", store, views="none")
    assert [bool(answer.matches) for answer in found.answers] == [False, False, True, False]


def test_a_training_image_that_transparency_hides_is_found(store: Path, generations: Path) -> None:
    """Colours of a pixel that is clear; the page it lies on is blank, and a blank generation it stays."""
    hidden = photograph(2, (96, 96)).convert("RGBA")
    hidden.putalpha(0)
    hidden.save(generations / "clear.png")
    run = ma.run_audit(generations, store, max_unreadable=0.5)
    assert [finding.query_id for finding in run.findings.rows] == ["clear.png#channel=opaque"]
    assert (run.rate.count, run.rate.n, run.results.made, run.results.blank) == (1, 5, 5, 1)


def test_a_second_run_changes_nothing(store: Path, generations: Path, tmp_path: Path) -> None:
    """Parts are found again, with the same names and the same pixels: nothing is embedded anew."""
    draw(1).save(generations / "film.gif", save_all=True, append_images=[draw(2), draw(3)])
    ma.run_audit(generations, store, out=tmp_path / "audit")
    shards = sorted((tmp_path / "audit").glob("generations*/*.h5"))
    before = [(path.stat().st_mtime_ns, path.read_bytes()) for path in shards]
    again = ma.run_audit(generations, store, out=tmp_path / "audit")
    assert [(path.stat().st_mtime_ns, path.read_bytes()) for path in shards] == before
    assert again.results.parts == 2


def test_black_cells_are_blank_generations(store: Path, generations: Path) -> None:
    """A sheet on which a filter blackened two of six pictures: two generations of which nothing can be said."""
    sheet = Image.new("RGB", (3 * 98 + 2, 2 * 98 + 2), "white")
    for place in range(6):
        picture = photograph(400 + place, (96, 96)) if place < 4 else Image.new("RGB", (96, 96))
        sheet.paste(picture, (2 + place % 3 * 98, 2 + place // 3 * 98))
    sheet.save(generations / "sheet.png")
    run = ma.run_audit(generations, store, views="none")
    assert (run.results.made, run.results.blank, run.results.parts) == (11, 2, 6)
    assert run.headline.startswith("Inconclusive: 2 of 11 generations are blank")


def test_a_store_of_first_frames_hides_the_others_and_the_audit_says_so(
    store: Path, generations: Path, tmp_path: Path
) -> None:
    """What `embed` made of a film is its first frame; who audits that store must not read it as all there is."""
    draw(200).save(generations / "film.gif", save_all=True, append_images=[draw(201)])
    made = ma.embed(generations, out=tmp_path / "g-store", encoder="thumbnail")
    run = ma.run_audit(made, store)
    assert not run.conclusive
    assert "1 files of generations hold further pictures" in run.headline
    assert (run.rate.coverage.measured, run.rate.coverage.total, run.results.hidden) == (5, 6, 1)
    rules = {rule.rule: str(rule.outcome) for rule in ma.run_gate(ma.run_audit(made, store, max_unreadable=1.0)).rules}
    assert rules["min_coverage"] == "inconclusive"
