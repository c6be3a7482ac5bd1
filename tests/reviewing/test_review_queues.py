"""What is looked at: all pairs of a run, once, the most doubtful first; read from where they are when asked for."""

from __future__ import annotations

import csv
import shutil
import tracemalloc
from datetime import date
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from desks import Runs
from msgspec.structs import replace
from pictures import altered, draw, write_pictures
from vectors import vector_store

import memaudit as ma
from memaudit.errors import InconclusiveError, InputError
from memaudit.files import sha256_of
from memaudit.gate import Policy, hold
from memaudit.report.cards import card
from memaudit.report.document import read_report
from memaudit.report.model import DedupResults, ImageMatch, Report
from memaudit.reviewing.book import Book
from memaudit.reviewing.findings import findings_queue
from memaudit.reviewing.groups import groups_queue
from memaudit.reviewing.proposals import proposals_queue
from memaudit.reviewing.queue import Queue, doubt_of, key_of
from memaudit.reviews import Opinion, Review, Standing, Verdict, append_reviews, pair_of, read_reviews
from memaudit.store import Store


def pairs_of(queue: Queue) -> list[object]:
    return [sheet.pair(n) for sheet in map(queue.sheet, range(len(queue))) for n in range(len(sheet.members))]


def require_keys(queue: Queue) -> None:
    """The keys are those of the pairs that the sheets show."""
    expected = [key_of(pair) for pair in pairs_of(queue)]  # type: ignore[arg-type]
    assert queue.keys.tolist() == [int(key) for key in expected]


def test_doubt_grows_towards_the_cut() -> None:
    """Known probabilities by their distance from the cut, others by their similarity's from the threshold."""
    similarity = np.array([0.75, 1.0, 0.76, 0.5, 0.9])
    probability = np.array([np.nan, np.nan, 0.9, 0.51, 0.1])
    doubt = doubt_of(similarity, probability, 0.75, 0.5)
    assert doubt.tolist() == pytest.approx([0.0, 0.5, 0.4, 0.01, 0.4])


def test_findings_stand_by_doubt(runs: Runs) -> None:
    report = read_report(runs.audit / "report.json")
    queue = findings_queue(report, runs.audit)
    assert len(queue) == len(report.matches) == queue.pairs
    require_keys(queue)
    ids = {queue.sheet(at).members[0].picture.image_id for at in range(len(queue))}
    assert ids == {each.query_id for each in report.matches}
    assert all(Path(queue.sheet(at).anchor.uri).is_file() for at in range(len(queue)))
    assert queue.notes == ()


def test_what_else_a_generation_matches_is_shown_once_its_first_pair_is_no_copy(tmp_path: Path) -> None:
    """And clears it at the gate with that pair; the copy of a file is the same pair."""
    training = write_pictures(tmp_path / "training", range(4))
    altered(draw(1)).save(training / "again.png")
    shutil.copy(training / "again.png", training / "same.png")
    generations = write_pictures(tmp_path / "generations", [600])
    draw(1).save(generations / "gen.png", compress_level=9)
    store = ma.embed(training, out=tmp_path / "store", encoder="thumbnail")
    out, path = tmp_path / "audit", tmp_path / "reviews.jsonl"
    ma.run_audit(generations, store, out=out, planted=0)
    (found,) = read_report(out / "report.json").findings
    assert isinstance(found, ImageMatch)
    assert (found.matches, found.reference_id) == (3, "0001.png")
    assert found.further
    assert {each.reference_id for each in found.further} == {"again.png", "same.png"}
    assert "matches 3 training images" in card(found).facts

    def opinion() -> Opinion | None:
        named = [("a", read_report(out / "report.json"))]
        return hold(named, Policy(), reviews=read_reviews([path])).findings[0].review

    assert ma.review_status(out, path).pairs == 1
    listed = pair_of(str(found.query_sha256), str(found.reference_sha256))
    append_reviews(path, [Review(listed, Verdict.ACCEPTED, "A", why="ours", until=date(2999, 1, 1))])
    assert ma.review_status(out, path).pairs == 1  # who accepts it accepts the generation
    append_reviews(path, [Review(listed, Verdict.NO_COPY, "A")])
    opened = opinion()
    assert opened
    assert (opened.standing, opened.further, opened.unnamed) == (Standing.FURTHER, 1, 0)
    queue = findings_queue(read_report(out / "report.json"), out, Book(path).with_verdict(Verdict.NO_COPY))
    require_keys(queue)
    assert (len(queue), queue.sheet(1).title) == (2, "what else gen.png matches")
    assert Path(queue.sheet(1).anchor.uri).name in ("again.png", "same.png")
    again = ma.run_audit(generations, store, out=tmp_path / "again", planted=0, reviews=[path])
    assert ma.review_status(again, tmp_path / "another.jsonl").pairs == 2  # the report has it from that file
    other = queue.sheet(1).pair(0)
    assert other
    append_reviews(path, [Review(other, Verdict.NO_COPY, "A")])
    cleared = opinion()
    assert cleared
    assert cleared.clears


def test_without_the_store_thumbnails_are_shown(runs: Runs, tmp_path: Path) -> None:
    shutil.copytree(runs.audit, tmp_path / "audit")
    queue = findings_queue(read_report(tmp_path / "audit" / "report.json"), tmp_path / "audit")
    assert len(queue.notes) == 1
    assert queue.notes[0].startswith("Of the references only thumbnails are shown")
    assert queue.sheet(0).anchor.uri == ""
    assert queue.sheet(0).anchor.thumbnail


def test_groups_have_the_kept_image_and_each_removed_one(runs: Runs) -> None:
    report = read_report(runs.dedup / "report.json")
    queue = groups_queue(report, runs.dedup)
    require_keys(queue)
    decisions = pq.read_table(runs.dedup / "decisions.parquet").to_pylist()
    removed = {row["image_id"]: row["witness_id"] for row in decisions if row["decision"] == "drop"}
    removed = {one: other for one, other in removed.items() if not {one, other} & {"same.png"}}
    shown = [sheet for sheet in map(queue.sheet, range(len(queue))) if sheet.title.startswith("group")]
    found = {each.picture.image_id: sheet.anchor.image_id for sheet in shown for each in sheet.members}
    assert {one: other for one, other in found.items() if one in removed} == removed
    by_group = [[member.similarity for member in sheet.members] for sheet in shown]
    assert all(each == sorted(each) for each in by_group)


def test_exact_duplicates_are_nothing_to_decide(runs: Runs) -> None:
    queue = groups_queue(read_report(runs.dedup / "report.json"), runs.dedup)
    assert all(pair is not None and not pair.of_one_file for pair in pairs_of(queue))  # type: ignore[attr-defined]


def test_tables_that_were_changed_are_refused(runs: Runs, tmp_path: Path) -> None:
    shutil.copytree(runs.dedup.parent, tmp_path / "all")
    path = tmp_path / "all" / "dedup" / "decisions.parquet"
    pq.write_table(pq.read_table(path).slice(1), path)
    with pytest.raises(InconclusiveError, match="was changed after its report was written"):
        groups_queue(read_report(path.with_name("report.json")), path.parent)


def test_proposed_pairs_stand_by_doubt(runs: Runs) -> None:
    queue, said = proposals_queue(runs.pairs)
    require_keys(queue)
    rows = list(csv.DictReader(runs.pairs.open()))
    assert queue.pairs == len(rows) == len(said)
    assert all(each.drawn and each.verdict is None for each in said)


def test_what_is_labelled_first_is_a_random_part_of_its_stratum(tmp_path: Path) -> None:
    """Two of every stratum, then whole strata, the most doubtful first: within one as the file has them."""
    header = "left_sha256,right_sha256,verdict,who,left_uri,right_uri,probability,frame,stratum,stratum_pairs"
    likely = {"near": (0.45, 0.5, 0.55, 0.4), "far": (0.9, 0.1, 0.99, 0.05)}
    rows = [
        f"{number:064x},{'f' * 64},,,a{number},b,{p},frame,{stratum},9"
        for number, (stratum, p) in enumerate(((each, p) for each in ("far", "near") for p in likely[each]), 1)
    ]
    (tmp_path / "p.csv").write_text("\n".join([header, *rows]))
    queue, _ = proposals_queue(tmp_path / "p.csv")
    found = [queue.sheet(at).members[0].picture.image_id for at in range(len(queue))]
    assert found == ["a5", "a6", "a1", "a2", "a7", "a8", "a3", "a4"]


def test_a_sample_says_where_to_go(tmp_path: Path) -> None:
    path = tmp_path / "sample.jsonl"
    append_reviews(path, [Review(pair_of("a" * 64, "b" * 64), None, "")])
    with pytest.raises(InputError, match="for a sample of findings give the report, and the sample as --out"):
        proposals_queue(path)


# --- large ---------------------------------------------------------------------------------------------------------

GROUPS, ALIKE = 20_000, 3


@pytest.mark.slow
def test_many_groups_take_numbers_and_a_block(runs: Runs, tmp_path: Path) -> None:
    """Columns of numbers are held, and a block of the rest; a sheet is read when it is asked for."""
    report = large_dedup(runs, tmp_path)
    tracemalloc.start()
    queue = groups_queue(report, tmp_path / "dedup")
    held, peak = (size / 1e6 for size in tracemalloc.get_traced_memory())
    sheet = queue.sheet(len(queue) - 1)
    tracemalloc.stop()
    print(f"{len(queue):,} sheets, {len(queue.keys):,} pairs: {held:.0f} MB held, {peak:.0f} MB at most")
    assert len(queue) == GROUPS
    assert len(sheet.members) == ALIKE - 1
    assert held < 15  # 100,000 groups: 40 MB, and 64 MB at most
    assert peak < 45


def large_dedup(runs: Runs, folder: Path) -> Report:
    """Groups of three, as a dedup would leave them."""
    rows = GROUPS * ALIKE
    vectors = np.zeros((rows, 2), np.float32)
    vectors[:, 0] = 1
    uris = [f"/none/{row}.png" for row in range(rows)]
    store = vector_store(folder / "store", vectors, uris=uris, shard_rows=8192)
    ids = [str(image_id) for block in store.iter_columns() for image_id in block.image_id]
    kept = np.arange(rows) % ALIKE == 0
    out = folder / "dedup"
    out.mkdir()
    columns = {
        "image_id": ids,
        "decision": np.where(kept, "keep", "drop"),
        "group": np.arange(rows) // ALIKE,
        "witness_id": [None if each else ids[row - row % ALIKE] for row, each in enumerate(kept)],
        "witness_similarity": np.where(kept, np.nan, np.linspace(0.91, 0.99, rows)),
        "reason": np.where(kept, "kept for its group", "near-duplicate"),
    }
    pq.write_table(pa.table(columns), out / "decisions.parquet")
    return of(read_report(runs.dedup / "report.json"), store, out)


def of(report: Report, store: Store, out: Path) -> Report:
    """The report, as if it were about this store and the table in `out`."""
    files = {"decisions.parquet": sha256_of(out / "decisions.parquet")}
    head = replace(report.head, inputs={"store": store.digest}, stores={"../store": store.digest}, files=files)
    assert isinstance(report.results, DedupResults)
    return replace(report, head=head, results=replace(report.results, refused_shown=[]))


# --- the book ------------------------------------------------------------------------------------------------------


def test_the_book_follows_the_file(tmp_path: Path) -> None:
    """What others add is read on; a file that was put in its place is read anew."""
    path, one, two = tmp_path / "r.jsonl", pair_of("a" * 64, "b" * 64), pair_of("a" * 64, "c" * 64)
    book = Book(path)
    append_reviews(path, [Review(one, Verdict.COPY, "Ann")])
    book.refresh()
    assert [each.who for each in book.said(key_of(one))] == ["Ann"]
    with path.open("ab") as file:
        file.write(b'{"left_sha256": "')  # somebody is about to write
    book.refresh()
    assert book.lines == 1
    path.unlink()
    append_reviews(path, [Review(two, Verdict.UNSURE, "Bob")])
    book.refresh()
    assert (book.said(key_of(one)), [each.who for each in book.said(key_of(two))]) == ([], ["Bob"])
    assert Book(path).people == ["Bob"]


def test_drawn_pairs_stay_so(tmp_path: Path, runs: Runs) -> None:
    """Decisions on a proposal carry how the pair was drawn, so that rates follow from the file alone."""
    queue, said = proposals_queue(runs.pairs)
    book = Book(tmp_path / "r.jsonl", said)
    pair = queue.sheet(0).pair(0)
    assert pair
    book.add([Review(pair, Verdict.COPY, "Ann")])
    assert '"stratum"' in (tmp_path / "r.jsonl").read_text()


@pytest.mark.parametrize("text", ["no json\n", '{"a": 1}\n', "[1]\n", "left,right\n"])
def test_another_file_is_refused_and_stays(tmp_path: Path, text: str) -> None:
    path = tmp_path / "r.jsonl"
    path.write_text(text + text[:3])
    with pytest.raises(InputError):
        Book(path)
    assert path.read_text() == text + text[:3]
