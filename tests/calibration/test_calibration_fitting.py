"""From a set of real pictures to a calibration, and what runs make of it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from labelled import BLOCKS, COPY, FLOOR, OTHER, Known, filled_in, read_rows, write_rows

from memaudit.api.calibrated_options import by_calibration
from memaudit.api.calibrating import calibrate, propose_labels
from memaudit.calibration import proposing, sides
from memaudit.calibration.calibration import SCHEMA, read_calibration, toml_of
from memaudit.calibration.proposing import BEFORE, ProposeOptions, propose
from memaudit.calibration.sides import Compared, RowPairs, Sides
from memaudit.cli.app import run as command
from memaudit.dedup.options import DedupOptions
from memaudit.dedup.run import dedup
from memaudit.errors import InconclusiveError, InputError, MissingDependencyError, UsageError
from memaudit.files import sealed, toml_in
from memaudit.index import ExactSearch
from memaudit.matching.compare import Checks
from memaudit.matching.model import copy_model
from memaudit.report.dedup import write_dedup
from memaudit.reviews import read_reviews
from memaudit.types import Progress, silent

PAIRS = 3 * BLOCKS


@pytest.fixture(scope="module")
def calibration(known: Known, proposed: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("made") / "calibration.toml"
    run = calibrate(proposed, known.store, path, precision=0.9)
    assert run.conclusive, run.headline
    return path


def test_a_proposal_holds_each_pair_once_and_says_how_it_was_drawn(known: Known, proposed: Path) -> None:
    rows = read_rows(proposed)
    assert len(rows) == len({frozenset((row["left_sha256"], row["right_sha256"])) for row in rows}) == PAIRS
    assert {row["chance"] for row in rows} == {"1.0"}
    sizes = {row["stratum"]: float(row["stratum_pairs"]) for row in rows}
    assert sum(sizes.values()) == PAIRS
    assert {round(float(row["similarity"]), 2) for row in rows} == {COPY, OTHER}
    assert all(Path(row[name]).is_file() for row in rows for name in ("left_uri", "right_uri"))
    assert all(0 <= float(row["probability"]) <= 1 for row in rows)


def test_labels_show_a_precision(known: Known, calibration: Path, proposed: Path) -> None:
    """Similarity alone tells them apart by construction: the threshold is between the two."""
    made = read_calibration(calibration)
    assert OTHER < made.settled.threshold <= COPY
    assert made.settled.cut is not None
    assert made.settled.match_from == FLOOR
    assert made.settled.own_cut == copy_model().cut
    content = made.content
    assert content["schema"] == SCHEMA
    assert content["found"]["precision_low"] >= 0.9
    assert content["found"]["recall"] == 1.0
    assert (content["counts"]["copies"], content["counts"]["others"]) == (2 * BLOCKS, BLOCKS)
    assert content["counts"]["sampled"] is True
    assert content["stores"] == {"store": known.store.digest}
    assert content["labels"] == list(read_reviews([proposed]).digests)
    assert toml_in(toml_of(content).encode()) == content


def test_the_same_labels_come_to_the_same_file(known: Known, calibration: Path, proposed: Path, tmp_path: Path) -> None:
    """Byte by byte: whoever fits them has the digest that a policy names."""
    calibrate(proposed, known.store, tmp_path / "again.toml", precision=0.9)
    assert (tmp_path / "again.toml").read_bytes() == calibration.read_bytes()


def test_a_run_goes_by_it_and_its_report_names_it(known: Known, calibration: Path, tmp_path: Path) -> None:
    options = by_calibration(DedupOptions(), calibration)
    assert (options.match, options.match_from) == ("pixels", FLOOR)
    result = dedup(known.store, options)
    settled = read_calibration(calibration).settled
    assert result.threshold == settled.threshold
    report = write_dedup(result, known.store, tmp_path / "out")
    assert report.inputs["calibration"] == settled.digest
    said = report.content["results"]["calibration"]
    assert said == {
        "digest": settled.digest,
        "threshold": settled.threshold,
        "cut": settled.cut,
        "own_cut": settled.own_cut,
    }
    assert f"By calibration {settled.digest[:12]}" in (tmp_path / "out" / "report.html").read_text()


@pytest.mark.slow
def test_a_higher_cut_finds_fewer_pairs(known: Known, calibration: Path) -> None:
    """Of pairs below the threshold those that are less probable are none."""
    settled = read_calibration(calibration).settled
    found = []
    for cut in (None, 0.5, 1.0):
        by = settled._replace(threshold=0.75, cut=cut)
        result = dedup(known.store, DedupOptions(threshold=0.75, match_from=FLOOR, calibrated=by))
        assert result.pixels is not None
        assert (result.probability >= np.float32(cut or 0)).all()
        found.append(result.pixels.confirmed)
    assert found[0] >= found[1] > found[2] == 0


def test_what_does_not_fit_is_refused(known: Known, calibration: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    options = by_calibration(DedupOptions(), calibration)
    assert options.calibrated is not None
    other = replace(options.calibrated.encoder, weights_sha256="9" * 64)
    with pytest.raises(InconclusiveError, match="made with encoder test weights 9999"):
        dedup(known.store, replace(options, calibrated=options.calibrated._replace(encoder=other)))
    with pytest.raises(InconclusiveError, match="another model of copies"):
        dedup(known.store, replace(options, calibrated=options.calibrated._replace(model="8" * 64)))
    with pytest.raises(UsageError, match="leave out --threshold"):
        by_calibration(DedupOptions(threshold=0.7), calibration)
    with pytest.raises(UsageError, match="--match none compares none"):
        by_calibration(DedupOptions(match="none"), calibration)
    assert by_calibration(DedupOptions(threshold=0.7), None).threshold == 0.7


def test_whatever_is_changed_in_the_file_is_noticed(calibration: Path, tmp_path: Path) -> None:
    text = calibration.read_text()
    path = tmp_path / "changed.toml"
    for old, new in (("threshold = 0.", "threshold = 0.0"), ("own_cut", "cut2"), ("precision = ", "precision = 1")):
        assert old in text
        path.write_text(text.replace(old, new, 1))
        with pytest.raises(InconclusiveError, match="changed after it was written"):
            read_calibration(path)
    for old, new, words in ((SCHEMA, "memaudit.calibration/9", "this version reads"), ("[encoder]", "[", "TOML")):
        path.write_text(text.replace(old, new, 1))
        with pytest.raises(InputError, match=words):
            read_calibration(path)


@pytest.mark.parametrize("changed", [{"threshold": 1.5}, {"cut": -0.1}, {"model": "short"}, {"encoder": {}}])
def test_a_forged_file_is_no_calibration(calibration: Path, tmp_path: Path, changed: dict[str, object]) -> None:
    """With a digest that fits, its numbers must still be possible."""
    content = {name: part for name, part in read_calibration(calibration).content.items() if name != "digest"}
    path = tmp_path / "forged.toml"
    path.write_text(toml_of(sealed({**content, **changed})))
    with pytest.raises(InputError, match="no sound calibration"):
        read_calibration(path)


def test_verdicts_in_another_file_come_to_the_same(known: Known, proposed: Path, tmp_path: Path) -> None:
    """The proposal as it was, and reviews that know nothing of strata."""
    rows = read_rows(proposed)
    empty = write_rows(tmp_path / "proposal.csv", [{**row, "verdict": ""} for row in rows])
    reviews = tmp_path / "reviews.jsonl"
    names = ("right_sha256", "left_sha256", "verdict", "who")
    reviews.write_text("".join(json.dumps({name: row[name] for name in names}) + "\n" for row in rows))
    one = calibrate(proposed, known.store, precision=0.9)
    two = calibrate([empty, reviews], known.store, precision=0.9)
    assert one.fitted.point == two.fitted.point
    assert two.fitted.used.sampled


def test_too_few_labels_write_nothing(known: Known, proposed: Path, tmp_path: Path) -> None:
    run = calibrate(proposed, known.store, tmp_path / "no.toml", precision=0.99)
    assert not run.conclusive
    assert not (tmp_path / "no.toml").exists()
    assert "are to be labelled" in run.headline
    assert run.settled is None


def test_every_pair_that_is_left_out_is_counted(known: Known, proposed: Path, tmp_path: Path) -> None:
    """Unknown files, pairs outside the proposal, doubtful ones; the latter count against."""
    rows = read_rows(proposed)
    copies = [n for n, row in enumerate(rows) if row["verdict"] == "copy"]
    rows[copies[0]]["verdict"] = "unsure"
    bare = {**dict.fromkeys(rows[0], ""), "verdict": "copy"}
    rows.append({**rows[copies[1]], "verdict": "not a copy", "who": "B"})
    rows.append({**bare, "left_sha256": "1" * 64, "right_sha256": "2" * 64})
    digests = sorted(known.family)
    apart = next(d for d in digests if known.family[d] not in {known.family[digests[0]], known.family[digests[0]] ^ 1})
    rows.append({**bare, "left_sha256": digests[0], "right_sha256": apart})
    run = calibrate(write_rows(tmp_path / "labels.csv", rows), known.store, precision=0.9)
    used, counts = run.fitted.used, run.fitted.merged.counts
    assert (used.unknown, used.outside, used.used) == (1, 1, PAIRS)
    assert (counts.unsure, counts.disagreeing, counts.copies) == (1, 1, 2 * BLOCKS - 2 + 2)
    top = [point for point in run.fitted.similarity if point.at > OTHER + 0.05][-1]
    assert top.precision.value == pytest.approx(1 - 2 / (2 * BLOCKS))


def test_a_stratum_that_nobody_labelled_is_not_passed_over(known: Known, proposed: Path, tmp_path: Path) -> None:
    rows = read_rows(proposed)
    lost = rows[0]["stratum"]
    kept = [{**row, "verdict": "" if row["stratum"] == lost else row["verdict"]} for row in rows]
    run = calibrate(write_rows(tmp_path / "labels.csv", kept), known.store, precision=0.5)
    assert not run.conclusive
    assert "none is labelled" in run.headline
    assert lost in run.headline


def test_labels_without_a_proposal_speak_of_themselves(known: Known, proposed: Path, tmp_path: Path) -> None:
    names = ("left_sha256", "right_sha256", "verdict", "who")
    rows = [{name: row[name] for name in names} for row in read_rows(proposed)]
    run = calibrate(write_rows(tmp_path / "labels.csv", rows), known.store, precision=0.9)
    assert not run.fitted.used.sampled
    assert "which are no sample of the set" in run.headline
    assert run.settled is not None
    assert run.settled.match_from is None


def test_labels_of_another_store_are_refused(known: Known, proposed: Path, tmp_path: Path) -> None:
    rows = [{**row, "frame": f"{'0' * 16}@0.5"} for row in read_rows(proposed)]
    with pytest.raises(InputError, match="proposed from other stores"):
        calibrate(write_rows(tmp_path / "labels.csv", rows), known.store, precision=0.9)


def test_what_was_labelled_before_stays_as_a_stratum_of_its_own(known: Known, proposed: Path, tmp_path: Path) -> None:
    earlier = read_rows(proposed)[:25]
    first = write_rows(tmp_path / "first.csv", [*earlier, {**earlier[0], "who": "B", "why": 'a, "b"'}])
    made = propose_labels(known.store, tmp_path / "more.csv", labels=first, match_from=FLOOR, count=24)
    rows = read_rows(tmp_path / "more.csv")
    assert (made.before, made.pairs, len(rows)) == (25, 49, 50)
    earlier = [row for row in rows if row["stratum"] == BEFORE]
    assert {float(row["stratum_pairs"]) for row in earlier} == {25.0}
    assert {row["verdict"] for row in earlier} <= {"copy", "not a copy"}
    assert [row["why"] for row in earlier if row["who"] == "B"] == ['a, "b"']
    assert {row["when"] for row in earlier} == {"2027-01-31T00:00:00+00:00"}
    sizes = {row["stratum"]: float(row["stratum_pairs"]) for row in rows}
    assert sum(sizes.values()) == PAIRS
    filled_in(tmp_path / "more.csv", known.verdict)
    assert calibrate(tmp_path / "more.csv", known.store, precision=0.5).fitted.used.used == 49


def test_generations_against_a_training_set(known: Known, tmp_path: Path) -> None:
    """Both stores; pairs across them only, in whichever order a file names them."""
    path = tmp_path / "labels.jsonl"
    made = propose_labels(known.store, path, against=known.store, match_from=FLOOR, count=1000)
    assert made.pairs == 2 * PAIRS or made.pairs == PAIRS
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    said = [
        {
            "left_sha256": row["right_sha256"],
            "right_sha256": row["left_sha256"],
            "verdict": known.verdict(row["left_sha256"], row["right_sha256"]),
        }
        for row in rows
    ]
    run = calibrate([path, write_rows(tmp_path / "said.csv", said)], known.store, against=known.store, precision=0.9)
    assert run.fitted.used.unknown == 0
    assert run.settled is not None


def with_probabilities(both: Sides, pairs: RowPairs, progress: Progress) -> Compared:
    """What pixels might say, without looking: a number for each pair."""
    rng = np.random.default_rng(0)
    of = rng.random((len(both.queries), len(both.queries)))
    similarity = np.full(len(pairs.query), 0.6, np.float32)
    return Compared(similarity, of[pairs.query, pairs.reference].astype(np.float32), ())


@pytest.mark.slow
def test_weights_of_a_proposal_estimate_the_whole_set(known: Known, monkeypatch: pytest.MonkeyPatch) -> None:
    """Horvitz-Thompson: over many proposals the weighted number of pairs, and of copies among them, is the true one on
    average; whether all pairs are compared on pixels, or some of each band."""
    monkeypatch.setattr(Sides, "compare", with_probabilities)
    both, searcher = Sides(known.store), ExactSearch(known.store)
    family = np.array([known.family[str(digest)] for digest in known.store.all_columns().sha256])
    for pool in (4000, 30):
        monkeypatch.setattr(proposing, "POOL", pool)
        copies = []
        for seed in range(150):
            made = propose(both, searcher, ProposeOptions(24, FLOOR, seed), None, silent).pairs
            assert len(made.drawn) == 24
            sizes = {each.stratum: each.pairs for each in made.drawn}
            assert sum(sizes.values()) == pytest.approx(PAIRS, abs=0.01)
            counts = {name: sum(each.stratum == name for each in made.drawn) for name in sizes}
            weight = np.array([each.pairs / counts[each.stratum] for each in made.drawn])
            np.testing.assert_allclose(weight, 1 / made.chance, rtol=1e-3)
            copies.append(weight[family[made.rows.query] == family[made.rows.reference]].sum())
        spread = np.std(copies) / np.sqrt(len(copies))
        assert abs(np.mean(copies) - 2 * BLOCKS) < 4 * spread + 1e-9


def test_those_nearest_to_the_cut_are_all_taken(known: Known, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Sides, "compare", with_probabilities)
    made = propose(Sides(known.store), ExactSearch(known.store), ProposeOptions(24, FLOOR)).pairs
    near = ["nearest to the cut" in each.stratum for each in made.drawn]
    assert sum(near) == 12
    assert (made.chance[near] == 1).all()
    doubt = np.abs(
        np.log(made.probability / (1 - made.probability)) - np.log(copy_model().cut / (1 - copy_model().cut))
    )
    assert doubt[near].max() < doubt[~np.array(near)].min()


def absent(*_: object) -> Checks:
    raise MissingDependencyError("pixels need OpenCV")


def test_a_recall_without_pixels_that_takes_all_pairs_goes_down_to_where_they_were_sought(
    known: Known, proposed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Through the command: a calibration, and no threshold of 0."""
    monkeypatch.setattr(sides, "check_pairs", absent)
    labels, out = tmp_path / "labels.csv", tmp_path / "calibration.toml"
    labels.write_bytes(proposed.read_bytes())
    filled_in(labels, lambda *_: "copy")
    code = command(
        ["calibrate", "fit", str(labels), "--store", str(known.store.folder), "--recall", "0.8", "--out", str(out)]
    )
    assert code == 0, capsys.readouterr().err
    assert f"From a similarity of {FLOOR:g}: " in capsys.readouterr().out
    assert read_calibration(out).settled.threshold == FLOOR


def test_without_pixels_the_similarity_is_calibrated(
    known: Known, proposed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sides, "check_pairs", absent)
    run = calibrate(proposed, known.store, precision=0.9)
    assert run.fitted.used.without_pixels == PAIRS
    assert run.fitted.why == ("pixels need OpenCV",)
    assert run.fitted.probability == ()
    assert run.settled is not None
    assert run.settled.cut is None
    assert OTHER < run.settled.threshold <= COPY
