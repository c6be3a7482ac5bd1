"""Whoever is forgotten is seen no more in what runs left."""

from __future__ import annotations

import hashlib
import json
import stat
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from face_stores import face_store
from manifests import edit_manifest
from vectors import random_vectors

import memaudit as ma
from memaudit.errors import InconclusiveError
from memaudit.faces.names import tombstone
from memaudit.faces.uses import note_use, uses_of
from memaudit.report import forgotten
from memaudit.report.forgotten import remove_forgotten
from memaudit.report.naming import naming_tables
from memaudit.report.page import has_digest
from memaudit.report.run_folder import previous_runs, start_run


def finding(query: str, reference: str, face: int) -> dict[str, str]:
    return {
        "query_id": query,
        "query_face": f"{query}#face-1",
        "reference_id": reference,
        "reference_face": f"{reference}#face-{face}",
        "query_crop": f"face-crops/{query}.jpg",
        "reference_crop": f"face-crops/{reference}-{face}.jpg",
        "reference_picture": f"thumbnails/{reference}.jpg",
        "query_picture": "../precious.jpg",
    }


def reported(out: Path) -> None:
    """A run that shows two faces of `group` and one of `other`."""
    start_run(out, "audit")
    findings = [finding("a", "group", 1), finding("b", "group", 2), finding("c", "other", 1)]
    for each in findings:
        for key in ("query_crop", "reference_crop", "reference_picture"):
            (out / each[key]).parent.mkdir(exist_ok=True, parents=True)
            (out / each[key]).write_bytes(b"")
    (out / "report.json").write_text(
        json.dumps({"results": {"groups": [{"members": findings[2:]}]}, "findings": findings})
    )


def pictures(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.glob("*/*.jpg")}


OTHER = {"face-crops/c.jpg", "face-crops/other-1.jpg", "thumbnails/other.jpg"}


@pytest.mark.parametrize(
    ("who", "left"),
    [
        ("group", OTHER),
        ("group#face-2", OTHER | {"face-crops/a.jpg", "face-crops/group-1.jpg"}),
        ("nobody", None),
    ],
)
def test_pictures_of_the_forgotten_go_from_all_runs(tmp_path: Path, who: str, left: set[str] | None) -> None:
    """Those put aside as well; what was matched with them goes with them. No file but pictures of ours is deleted."""
    (tmp_path / "precious.jpg").write_bytes(b"mine")
    out = tmp_path / "out"
    for _ in range(2):
        reported(out)
    folders = [out, *previous_runs(out)]
    before = pictures(out)
    traces = remove_forgotten(out, [tombstone(who)])
    for folder in folders:
        assert pictures(folder) == (before if left is None else left)
    assert len(traces.pictures) == (0 if left is None else 2 * len(before - left))
    assert list(traces.naming) == ([] if left is None else folders)
    assert (tmp_path / "precious.jpg").exists()


@pytest.mark.parametrize(
    ("part", "gone"),
    [
        (finding("a", "group", 1), {"thumbnails/group.jpg"}),
        ({"query_id": "a", "query_picture": "thumbnails/a.jpg", "reference_id": "group"}, {"thumbnails/a.jpg"}),
        ({"image_id": "group#face-1", "picture": "thumbnails/group.jpg"}, {"thumbnails/group.jpg"}),
        ({"image_id": "group", "similarity": 0.9}, None),
    ],
    ids=["another face", "an image", "a face of a dedup run", "no picture"],
)
def test_whole_pictures_go_where_another_on_them_is_told_of(
    tmp_path: Path, part: dict[str, str], gone: set[str] | None
) -> None:
    """The person is on them, too; the crops of others stay."""
    reported(tmp_path)
    (tmp_path / "thumbnails" / "a.jpg").write_bytes(b"")
    (tmp_path / "signed.pdf").write_bytes(b"%PDF")
    (tmp_path / "report.json").write_text(json.dumps({"findings": [part]}))
    before = pictures(tmp_path)
    traces = remove_forgotten(tmp_path, [tombstone("group#face-237")])
    assert before - pictures(tmp_path) == (gone or set())
    assert traces.naming == ((tmp_path, tmp_path / "signed.pdf") if gone else ())


def test_a_report_that_cannot_be_read_is_told_of(tmp_path: Path) -> None:
    """It may name them."""
    reported(tmp_path)
    (tmp_path / "report.json").write_text("{")
    assert remove_forgotten(tmp_path, ["x"]).naming == (tmp_path,)


def test_forgetting_reaches_what_was_made_of_the_store(tmp_path: Path) -> None:
    """Audits that compared it, wherever they are, and indexes; the audit that it lies in; nothing that is gone."""
    out = tmp_path / "out"
    reported(tmp_path / "audit")
    reported(out)
    store = face_store(out / "training-faces", random_vectors(1, 3, 16), parents=("group", "group", "other"))
    for place in ("audit", "gone", "audit"):
        note_use(store, tmp_path / place)
    ma.build_index(store, tmp_path / "index", recipe="flat")
    assert uses_of(store.folder) == [out, tmp_path / "audit", tmp_path / "index"]
    done = ma.forget_faces(store, "group")
    assert len(done.pictures) == 2 * 5
    assert done.elsewhere == (str(out), str(tmp_path / "audit"), str(tmp_path / "index"))
    assert pictures(out) == pictures(tmp_path / "audit") == OTHER
    assert str(tmp_path / "index") in ma.forget_faces(store.folder, "group").elsewhere, "as after a kill"
    ma.build_index(store.folder, tmp_path / "index", recipe="flat")
    assert str(tmp_path / "index") not in ma.forget_faces(store.folder, "group").elsewhere


def test_whoever_is_in_an_unfinished_store_is_forgotten_too(tmp_path: Path) -> None:
    """And what is said of it names the command that finishes it."""
    store = face_store(tmp_path / "faces", random_vectors(1, 3, 16), parents=("a", "a", "b"))
    edit_manifest(store.folder, lambda manifest: manifest.update(complete=False))
    assert ma.forget_faces(store.folder, "a").removed == ("a#face-1", "a#face-2")
    with pytest.raises(InconclusiveError, match="run the same memaudit faces command again"):
        ma.summarise_faces(store.folder)


def test_stores_and_indexes_of_faces_are_their_owners_alone(tmp_path: Path) -> None:
    """Whatever the mask."""
    store = face_store(tmp_path / "faces", random_vectors(1, 3, 16))
    ma.build_index(store, tmp_path / "index", recipe="flat")
    for folder in (tmp_path / "faces", tmp_path / "index"):
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()}
        assert set(modes.values()) == {0o600}, modes


def test_the_page_shows_the_forgotten_no_more(tmp_path: Path) -> None:
    """Its pictures are in it: it is made anew without them. One whose report is not sound goes."""
    store = face_store(tmp_path / "faces", random_vectors(1, 4, 16), parents=("group", "group", "other", "other"))
    report = ma.run_dedup(store, tmp_path / "out", threshold=0.01, match="none").report
    reported(tmp_path / "old")
    for out in (tmp_path / "out", tmp_path / "old"):
        (out / "report.html").write_text('<img src="data:image/jpeg;base64,AAAA">')
    assert report.findings
    for out in (tmp_path / "out", tmp_path / "old"):
        remove_forgotten(out, [tombstone("group")])
    assert "base64,AAAA" not in (tmp_path / "out" / "report.html").read_text()
    assert report.digest in (tmp_path / "out" / "report.html").read_text()
    assert not (tmp_path / "old" / "report.html").exists()


OWN = 'data-name="thumbnails/a.jpg">'


@pytest.mark.parametrize(
    ("pictures", "beside"),
    [
        (f'<img src="data:image/jpeg;base64,AAAA" {OWN}', False),
        (f'<img src="thumbnails/a.jpg" {OWN}<img src="data:image/png;base64,AAAA" alt="drawn">', True),
    ],
)
def test_pictures_that_lay_beside_the_page_stay_there(tmp_path: Path, pictures: str, beside: bool) -> None:
    """Examples that a program drew are in every page."""
    store = face_store(tmp_path / "faces", random_vectors(1, 4, 16), parents=("group", "group", "other", "other"))
    ma.run_dedup(store, tmp_path / "out", threshold=0.01, match="none")
    page = tmp_path / "out" / "report.html"
    page.write_text(pictures)
    remove_forgotten(tmp_path / "out", [tombstone("group")])
    assert ('id="beside"' in page.read_text()) == beside


def test_further_pages_of_a_run_are_named(tmp_path: Path) -> None:
    """`gate --page` and `--pdf` wrote them, the person's pictures in them: no other program's page, and not where
    nobody is shown who was forgotten."""
    for _ in range(2):
        reported(tmp_path)
    digest = hashlib.sha256(b"<p>signed\n").hexdigest()
    (tmp_path / "signed.html").write_text(f"<p>signed\n<!-- sha256 of all above: {digest} -->\n")
    (tmp_path / "signed.PDF").write_bytes(b"%PDF")
    (tmp_path / "notes.html").write_text("<p>mine")
    (tmp_path / "report.json").unlink()  # of the run that is put aside
    (put_aside,) = previous_runs(tmp_path)
    naming = remove_forgotten(tmp_path, [tombstone("group")]).naming
    assert naming == (put_aside, tmp_path / "signed.PDF", tmp_path / "signed.html")
    assert remove_forgotten(tmp_path, [tombstone("nobody")]).naming == ()


def test_what_may_not_be_read_or_deleted_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody else's files stop nothing: all else is cleaned, and they are told of."""
    reported(tmp_path)
    (tmp_path / "locked.html").write_text("<p>whose?")
    (tmp_path / "report.html").write_text("<p>old")
    deleting = Path.unlink

    def refused(*_: object) -> bool:
        raise PermissionError

    def kept(path: Path, missing_ok: bool = False) -> None:
        if path.name in ("a.jpg", "report.html"):
            refused()
        deleting(path, missing_ok)

    monkeypatch.setattr(forgotten, "has_digest", refused)
    monkeypatch.setattr(Path, "unlink", kept)
    traces = remove_forgotten(tmp_path, [tombstone("group")])
    assert traces.naming == (
        tmp_path,
        tmp_path / "face-crops" / "a.jpg",
        tmp_path / "locked.html",
        tmp_path / "report.html",
    )
    assert pictures(tmp_path) == OTHER | {"face-crops/a.jpg"}
    assert len(traces.pictures) == 4


def test_runs_whose_tables_name_the_forgotten_are_told_of(tmp_path: Path) -> None:
    """Each face of a store is in the tables of its dedup run, whether the report shows it or not, and of a run that was
    killed before it had a report."""
    store = face_store(tmp_path / "faces", random_vectors(1, 3, 16), parents=("a", "a", "b"))
    for _ in range(3):
        ma.run_dedup(store, tmp_path / "out", threshold=0.99, match="none")
    finished, killed = previous_runs(tmp_path / "out")
    (killed / "report.json").unlink()
    (finished / "decisions.parquet").unlink()
    named = (tmp_path / "out", finished, killed)  # of `finished` keep.txt names it
    assert tuple(naming_tables(tmp_path / "out", [tombstone("b")])) == named
    assert tuple(naming_tables(tmp_path / "out", [tombstone("b#face-2")])) == ()
    assert ma.forget_faces(store, "a#face-2").elsewhere == tuple(map(str, named))


@pytest.mark.parametrize(
    ("name", "column"),
    [
        ("face_matches.parquet", "reference_face"),
        ("matches.parquet", "query_id"),
        ("scores.parquet", "best_id"),
        ("pairs.parquet", "right_id"),
    ],
)
def test_every_column_of_ids_is_looked_through(tmp_path: Path, name: str, column: str) -> None:
    """A face is named with its image; captions and prompts are no ids. What cannot be read may name anybody."""
    pq.write_table(pa.table({column: [None, "a", "group#face-1"], "caption": ["x", "", ""]}), tmp_path / name)
    for who, found in (("group", True), ("group#face-1", True), ("x", False), ("grou", False)):
        assert list(naming_tables(tmp_path, [tombstone(who)])) == [tmp_path] * found
    (tmp_path / name).write_bytes(b"PAR1")
    assert list(naming_tables(tmp_path, [tombstone("nobody")])) == [tmp_path]


@pytest.mark.parametrize("before", [0, 1000])
def test_a_page_is_known_by_its_last_line(tmp_path: Path, before: int) -> None:
    line = f"<!-- sha256 of all above: {'0' * 64} -->\n"
    for text, expected in ((line, True), (line + "x", False), ("", False)):
        (tmp_path / "page.html").write_text("x" * before + text)
        assert has_digest(tmp_path / "page.html") == expected
