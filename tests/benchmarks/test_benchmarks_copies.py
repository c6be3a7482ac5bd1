"""Promises of benchmarks/copies, on a dozen drawn pictures and the thumbnail encoder."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from pictures import draw
from PIL import Image
from written import bytes_of, rows_of

pytest.importorskip("faiss", reason="needs FAISS: ./scripts/test")

from benchmarks import copies
from benchmarks.alterations import SETTINGS, TWO, Boxes
from benchmarks.copies import pairs as pairs_module
from benchmarks.copies import rates
from benchmarks.copies.corpora import digest_of, opened
from benchmarks.copies.found import MEMAUDIT, Box, Found
from benchmarks.copies.made import COPY, TWOS, Made, made_in
from benchmarks.copies.pairs import NOTE, PAIRS, Shared, write_pairs
from benchmarks.copies.rates import figures_of, iou
from benchmarks.copies.reliability import calibration_error
from benchmarks.copies.split import CLEAN, REFERENCE, SOURCE, TEST, TUNE, Line
from benchmarks.measure import BenchmarkError
from benchmarks.runner import main

PHOTOGRAPH = "samples/images/photographs/drawn/{}.png"


@pytest.fixture
def lines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[Line]:
    """A split of drawn pictures: two sources, two more references, four clean images, one of them like a reference."""
    images = tmp_path / "cache/samples/images"
    (images / "photographs/drawn").mkdir(parents=True)
    (images / "twemoji/smileys").mkdir(parents=True)
    for seed in range(7):
        draw(seed, (192, 144)).save(images / f"photographs/drawn/{seed}.png")
    draw(0, (192, 144)).save(images / "photographs/drawn/0.jpg")
    draw(100, (72, 72)).save(images / "twemoji/smileys/grin.png")
    monkeypatch.setenv("MEMAUDIT_CACHE", str(tmp_path / "cache"))
    roles = [
        (PHOTOGRAPH.format(0), SOURCE, "photograph"),
        (PHOTOGRAPH.format(1), SOURCE, "clip-art"),
        (PHOTOGRAPH.format(2), REFERENCE, "photograph"),
        ("drawn/text/001", REFERENCE, "text"),
        (PHOTOGRAPH.format(3), CLEAN, "photograph"),
        (PHOTOGRAPH.format(4), CLEAN, "photograph"),
        ("drawn/text/002", CLEAN, "text"),
        ("drawn/texture/002", CLEAN, "texture"),
    ]
    made = [Line(_digest(name), part, role, kind, name) for part in (TEST, TUNE) for name, role, kind in roles]
    for module in (copies, pairs_module):
        monkeypatch.setattr(module, "read_split", lambda: made)
    monkeypatch.setattr(pairs_module, "ENCODER", "thumbnail")
    monkeypatch.setattr(pairs_module, "SEARCH_FLOORS", {"thumbnail": 0.3})
    monkeypatch.setattr(pairs_module, "PAIR_FLOORS", {"thumbnail": -1.0})
    return [line for line in made if line.part == TEST]


def _digest(name: str) -> str:
    image = opened(name)
    assert image is not None
    return digest_of(image)[:16]


def test_the_whole_benchmark_is_written_with_machine_and_versions(lines: list[Line], tmp_path: Path) -> None:
    """Recall by alteration and kind, false findings, boxes and cost; that of similarity alone is lower."""
    work, out = tmp_path / "work", tmp_path / "results"
    assert main(["copies", "--parts", "test", "--no-peers", "--work", str(work), "--out", str(out)]) == 0
    (table,) = out.glob("copies-*.csv")
    rows = rows_of(table)
    assert all(row["cpu"] and row["cores"] and row["python"] for row in rows)
    of_ours = {row["measure"]: row for row in rows if row["data"] == f"test, {MEMAUDIT}"}
    alone = {row["measure"]: row for row in rows if row["data"] == "test, similarity alone"}
    assert float(alone["recall"]["median"]) < float(of_ours["recall"]["median"]) <= 1
    assert {f"recall, {name}" for name in SETTINGS} <= set(of_ours)
    assert of_ours["recall"]["count"] == str(2 * (len(SETTINGS) + TWOS))
    assert of_ours["false findings"]["count"] == "4"
    assert float(of_ours["IoU with the true boxes"]["median"]) > 0.9
    told = [int(row["count"]) for row in rows if row["data"] == "test" and "is stated" in row["measure"]]
    assert sum(told) == int(of_measure(rows, "expected calibration error")["count"]) > 20
    passed = [float(of_measure(rows, f"{name} that pass the cut")["median"]) for name in ("copies", "no copies")]
    assert passed[0] > passed[1]
    assert {"false findings, text", "false findings, texture"} <= set(of_ours)
    assert float(next(r for r in rows if r["measure"] == "median of a pair, CPU ms")["median"]) > 0


def of_measure(rows: list[dict[str, str]], measure: str) -> dict[str, str]:
    return next(row for row in rows if row["measure"] == measure)


def test_the_calibration_error_is_that_of_tenths() -> None:
    """Two tenths of two pairs each, .15 too high and .45 too low."""
    stated, truth = np.array([0.12, 0.08 + 0.1, 0.55, 0.65 - 0.1]), np.array([0, 0, 1, 1.0])
    assert calibration_error(stated, truth) == pytest.approx((0.15 + 0.45) / 2)
    assert calibration_error(np.array([1.0, 0.9999]), np.ones(2)) == pytest.approx(0.00005)


def test_pairs_have_what_they_are_and_where_they_lie(lines: list[Line], tmp_path: Path) -> None:
    """Each copy beside its own source, found or not; true boxes of what was cut; a note where nobody may tune."""
    path = write_pairs(TUNE, tmp_path / "tune", views=False)
    rows = pq.read_table(path).to_pylist()
    own = [row for row in rows if row["label"] == "copy"]
    assert len(own) == 2 * (len(SETTINGS) + TWOS)
    assert {row["role"] for row in rows} == {COPY, CLEAN, SOURCE, REFERENCE}
    assert all(
        (row["query_box"] is not None) == (row["alteration"][:4] in ("crop", "past"))
        for row in own
        if "+" not in row["alteration"]
    )
    assert all(Path(row[end]).is_file() for row in rows for end in ("query_path", "reference_path"))
    pairs = [(row["query"], row["reference"]) for row in rows]
    assert len(set(pairs)) == len(pairs)
    assert not (tmp_path / "tune" / NOTE).exists()
    assert write_pairs(TEST, tmp_path / "test", views=False).name == PAIRS
    assert (tmp_path / "test" / NOTE).exists()


def test_a_part_is_made_the_same_in_every_run(lines: list[Line], tmp_path: Path) -> None:
    """And no picture that was not split is taken for one that was."""
    one, two = (made_in(tmp_path / name, lines) for name in ("one", "two"))
    assert bytes_of(tmp_path / "one/images") == bytes_of(tmp_path / "two/images")
    assert [m._replace(file=Path()) for m in one] == [m._replace(file=Path()) for m in two]
    assert made_in(tmp_path / "one", []) == one
    assert {m.alteration for m in one if m.role == COPY} <= {*SETTINGS, *TWO}
    with pytest.raises(BenchmarkError, match="another picture"):
        made_in(tmp_path / "three", [lines[0]._replace(sha256="00")])


def test_true_boxes_are_where_the_pixels_are(lines: list[Line], tmp_path: Path) -> None:
    """A crop is the part of its source that its box names; what was pasted lies in the box of the copy."""
    made = {one.image_id: one for one in made_in(tmp_path / "made", lines)}
    source = PHOTOGRAPH.format(0)
    for alteration in ("crop 0.5", "paste 0.4"):
        one = made[f"{source}/{alteration}"]
        assert one.boxes is not None
        copy, whole = (_part(m.file, box) for m, box in ((one, one.boxes.copy), (made[source], one.boxes.source)))
        assert np.corrcoef(copy.ravel(), whole.ravel())[0, 1] > 0.95


def _part(file: Path, box: tuple[float, float, float, float]) -> np.ndarray:
    with Image.open(file) as image:
        size = np.array([*image.size, *image.size])
        part = image.convert("L").resize((32, 32), box=tuple(np.array(box) * size))  # type: ignore[arg-type]
    return np.asarray(part, float)


def of(image_id: str, role: str = COPY, alteration: str = "grey", kind: str = "photograph") -> Made:
    source = image_id.partition("/")[0]
    boxes = Boxes((0, 0, 1, 1), (0, 0, 0.5, 0.5)) if alteration == "crop 0.5" else None
    return Made(image_id, Path(), source, role, alteration if role == COPY else "", kind, boxes)


def test_figures_are_those_of_the_known_truth(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Only the own source counts; what was judged to share a drawing is no false finding; boxes by their IoU."""
    judged = tmp_path / "judged.csv"
    judged.write_text("one,other,verdict\nb,x,shared\nx,c,shared\nx,d,shared\nd,b,none\n")
    monkeypatch.setattr(rates, "Shared", lambda: Shared(judged))
    made = [
        of("a/grey"),
        of("a/crop 0.5", alteration="crop 0.5"),
        of("b/grey", kind="icon"),
        of("c", CLEAN),
        of("d", CLEAN, kind="flag"),
    ]
    box = Box(np.array([0, 0, 1, 1.0]), np.array([0, 0, 0.5, 0.25]))
    found = Found(
        "x",
        {("a/grey", "b"): None, ("a/crop 0.5", "a"): box, ("b/grey", "b"): None, ("c", "b"): None, ("d", "b"): None},
    )
    values = {figure.measure: figure for figure in figures_of(made, found, "x")}
    assert values["recall"].median == 2 / 3
    assert values["recall of photographs and paintings"].median == 0.5
    assert values["recall of drawings"].median == 1
    assert values["recall, grey"].median == 0.5
    assert values["clean images with a match"].median == 1
    assert (values["false findings"].median, values["false findings"].note) == (0.5, "d = b")
    assert values["false findings, flag"].median == 1
    assert values["IoU with the true boxes"].median == 0.5
    (absent,) = figures_of(made, Found("y", {}, "no such tool", could_run=False), "y")
    assert (absent.median, absent.note) == (None, "no such tool")


def test_iou_is_of_areas() -> None:
    assert iou(np.array([0, 0, 1, 1.0]), np.array([0, 0, 1, 1.0])) == 1
    assert iou(np.array([0, 0, 0.5, 1.0]), np.array([0.5, 0, 1, 1.0])) == 0
    assert iou(np.array([0, 0, 1, 1.0]), np.array([0.5, 0, 1.5, 1.0])) == pytest.approx(1 / 3)
