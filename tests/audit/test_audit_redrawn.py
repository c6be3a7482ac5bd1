"""Training images drawn anew: a kind of their own, beside the copies and in none of their figures."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from numpy.typing import NDArray
from pictures import card, photograph
from PIL import Image

from memaudit.audit.pairing import Prompted
from memaudit.audit.results import AuditResult, Redrawn
from memaudit.audit.run import AuditOptions, audit
from memaudit.embedding.run import EmbedOptions, embed
from memaudit.encoders import load_encoder
from memaudit.encoders.regions import Trunk, TrunkRegions
from memaudit.index import ExactSearch
from memaudit.matching import decide as deciding
from memaudit.matching import plan as planning
from memaudit.matching.compare import Files
from memaudit.matching.kinds import COPIES, Kind
from memaudit.matching.plan import REDRAWN_FLOORS
from memaudit.matching.redrawn import Redrawn as Looked
from memaudit.report.audit import write_audit
from memaudit.report.document import read_report
from memaudit.report.model import AuditResults, ImageMatch
from memaudit.store import Store
from memaudit.types import Float32, Int64

ENCODER = load_encoder("thumbnail")
TRAINING = 8
ALIKE = 0.75  # of a scene drawn anew, by this encoder


@pytest.fixture(autouse=True)
def floor(monkeypatch: pytest.MonkeyPatch) -> None:
    """This encoder has no floor of its own; what is likely enough is told by the similarity alone."""
    monkeypatch.setitem(REDRAWN_FLOORS, "thumbnail", 0.5)
    monkeypatch.setattr(planning, "load_regions", lambda: TrunkRegions("none", _no_trunk))
    monkeypatch.setattr(deciding, "redrawn_pairs", by_similarity)


def _no_trunk() -> Trunk:
    raise AssertionError("an encoder was asked")


def by_similarity(queries: Files, references: Files, left: Int64, right: Int64, *_: object) -> Looked:
    """Re-drawn is what is similar enough. What is not there could not be read."""
    there = there_of(queries)[left] & there_of(references)[right]
    own, other = embedded(queries), embedded(references)
    similarity = (own[left] * other[right]).sum(axis=1)
    probability = np.where(similarity >= ALIKE, 0.9, 0.1)
    return Looked(there, np.where(there, probability, np.nan).astype(np.float32))


def embedded(files: Files) -> Float32:
    """Of the whole pictures; of what is not there, nothing."""
    rows = np.zeros((len(files.uri), ENCODER.spec.dim), np.float32)
    for row, uri in enumerate(files.uri):
        if (path := Path(uri.removeprefix("file://"))).exists():
            with Image.open(path) as image:
                rows[row] = ENCODER.encode(ENCODER.preprocess(image.convert("RGB"))[None])[0]
    return rows


def there_of(files: Files) -> NDArray[np.bool_]:
    return np.array([Path(uri.removeprefix("file://")).exists() for uri in files.uri], bool)


def scene(seed: int) -> Image.Image:
    return photograph(seed, (160, 120))


def drawn_anew(seed: int) -> Image.Image:
    """The same places and colours, roughly, in wide strokes: coarse cells, of which no corner of the first is left."""
    small = Image.blend(scene(seed), scene(seed + 900), 0.3).resize((10, 8), Image.Resampling.BOX)
    return small.resize((160, 120), Image.Resampling.NEAREST)


def stored(folder: Path, pictures: dict[str, Image.Image]) -> Store:
    images = folder / "images"
    images.mkdir(parents=True)
    for name, picture in pictures.items():
        picture.save(images / f"{name}.png")
    return embed([images], folder / "store", ENCODER, EmbedOptions(workers=2))


@pytest.fixture
def training(tmp_path: Path) -> Store:
    return stored(tmp_path / "training", {f"{seed:02d}": scene(seed) for seed in range(TRAINING)})


@pytest.fixture
def generations(tmp_path: Path) -> Store:
    """A copy, two drawn anew, and two new ones."""
    made = {
        "copy": scene(0),
        "anew-1": drawn_anew(1),
        "anew-2": drawn_anew(2),
        "new-1": scene(101),
        "new-2": scene(102),
    }
    return stored(tmp_path / "generations", made)


def measured(result: AuditResult) -> Redrawn:
    assert result.redrawn is not None
    return result.redrawn


def test_it_is_found_beside_the_copies_and_changes_none_of_their_figures(
    generations: Store, training: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    result = audit(generations, ExactSearch(training))
    redrawn = measured(result)
    names = generations.all_columns().image_id
    assert sorted(names[redrawn.findings.query]) == ["anew-1.png", "anew-2.png"]
    assert [*redrawn.findings.kind] == [Kind.REDRAWN] * 2
    assert (redrawn.searched.count, redrawn.searched.coverage.measured) == (2, 5)
    monkeypatch.delitem(REDRAWN_FLOORS, "thumbnail")
    without = audit(generations, ExactSearch(training))
    assert without.redrawn is None
    assert without.no_redrawn == "encoder thumbnail has no measured floor for it"
    assert (result.searched, result.compared, result.by_prompt) == (
        without.searched,
        without.compared,
        without.by_prompt,
    )
    assert result.searched.count == 1
    assert set(result.matches.kind) <= set(COPIES)
    assert [*result.scores.regurgitated] == [*without.scores.regurgitated]


def test_a_copy_is_never_redrawn_and_a_redrawn_one_no_miss(generations: Store, training: Store) -> None:
    result = audit(generations, ExactSearch(training))
    copies = set(np.flatnonzero(result.scores.regurgitated).tolist())
    assert not copies & set(measured(result).pairs.query.tolist())
    assert result.misses is not None
    assert not set(result.misses.query.tolist()) & set(measured(result).findings.query.tolist())


def test_prompts_are_what_is_drawn(generations: Store, training: Store) -> None:
    """Two seeds of one prompt are one prompt that gave an image drawn anew."""
    prompts = {"copy": "a", "anew-1": "b", "anew-2": "b", "new-1": "c", "new-2": "d"}
    pairing = {f"{name}.png": Prompted("", prompt) for name, prompt in prompts.items()}
    result = audit(generations, ExactSearch(training), pairing=pairing)
    redrawn = measured(result)
    assert redrawn.by_prompt is not None
    returned = redrawn.by_prompt.returned
    assert (returned.count, returned.coverage.measured) == (1, 4)
    assert redrawn.searched.effective is not None
    assert redrawn.searched.effective < 5


def test_the_prompts_own_image_is_looked_at_however_many_are_closer(tmp_path: Path) -> None:
    """Four training images come before that of the prompt: three of them are looked at, and it."""
    training = stored(tmp_path / "training", {f"{i}": Image.blend(scene(1), scene(50), 0.1 * i) for i in range(6)})
    generations = stored(tmp_path / "generations", {"anew": drawn_anew(1)})
    result = audit(generations, ExactSearch(training), pairing={"anew.png": Prompted("5.png", "prompt")})
    names = training.all_columns().image_id
    looked = [str(names[row]) for row in measured(result).pairs.reference]
    assert len(looked) == 4
    assert looked[-1] == "5.png"


def test_held_out_images_go_the_same_way(tmp_path: Path, generations: Store, training: Store) -> None:
    """Two held-out images look like training images drawn anew; one that is a training image is no control."""
    pictures = {f"apart-{seed}": scene(seed) for seed in range(200, 206)}
    control = stored(
        tmp_path / "control", {**pictures, "like-1": drawn_anew(3), "like-2": drawn_anew(4), "trained-on": scene(5)}
    )
    redrawn = measured(audit(generations, ExactSearch(training), control=control))
    assert redrawn.control is not None
    matched = redrawn.control.matched
    assert (matched.count, matched.coverage.measured) == (2, 8)
    assert redrawn.control.greater_rate_p is None
    assert "at least 100 are needed" in redrawn.control.why_no_p


def test_what_pixels_tell_apart_is_asked_on_both_sides(tmp_path: Path) -> None:
    """It is no copy, so it may be re-drawn: of generations as of held-out images."""
    training = stored(tmp_path / "training", {"6": card(6), "other": scene(1)})
    generations = stored(tmp_path / "generations", {"3": card(3), "new": scene(300)})
    control = stored(tmp_path / "control", {"2": card(2), "new": scene(301), "trained-on": scene(1)})
    options = AuditOptions(threshold=0.5)
    redrawn = measured(audit(generations, ExactSearch(training), control=control, options=options))
    assert redrawn.control is not None
    assert redrawn.searched.coverage.measured == redrawn.control.matched.coverage.measured == 2


def test_against_enough_held_out_images_there_is_a_p(tmp_path: Path, generations: Store, training: Store) -> None:
    control = stored(tmp_path / "control", {f"{seed}": scene(seed) for seed in range(300, 420)})
    redrawn = measured(audit(generations, ExactSearch(training), control=control))
    assert redrawn.control is not None
    assert redrawn.control.matched.count == 0
    assert redrawn.control.greater_rate_p is not None
    assert redrawn.control.greater_rate_p < 0.01


def test_what_is_gone_is_not_measured_and_not_none(generations: Store, training: Store) -> None:
    (generations.folder.parent / "images" / "anew-1.png").unlink()
    redrawn = measured(audit(generations, ExactSearch(training)))
    assert redrawn.searched.count == 1
    assert redrawn.searched.coverage.measured < redrawn.searched.coverage.total
    assert redrawn.compared.measured < redrawn.compared.total


def test_without_pixels_it_is_not_measured(tmp_path: Path, generations: Store, training: Store) -> None:
    result = audit(generations, ExactSearch(training), options=AuditOptions(match="none"))
    assert result.redrawn is None
    write_audit(result, generations, training, tmp_path / "out")
    results = read_report(tmp_path / "out" / "report.json").results
    assert isinstance(results, AuditResults)
    assert results.redrawn
    assert not results.redrawn.measured
    assert results.redrawn.headline == "Re-drawn: not measured (no pixels were compared: --match none)."
    assert "Not measured: no pixels were compared" in (tmp_path / "out" / "report.html").read_text(encoding="utf-8")


def test_tables_report_and_page(tmp_path: Path, generations: Store, training: Store) -> None:
    control = stored(tmp_path / "control", {f"{seed}": scene(seed) for seed in range(300, 306)})
    result = audit(generations, ExactSearch(training), control=control)
    report = write_audit(result, generations, training, tmp_path / "out")
    rows = pq.read_table(tmp_path / "out" / "matches.parquet").to_pylist()
    told = {row["query_id"]: row for row in rows if row["kind"] == Kind.REDRAWN}
    assert {name: (row["reference_id"], row["rank"]) for name, row in told.items()} == {
        "anew-1.png": ("01.png", 1),
        "anew-2.png": ("02.png", 1),
    }
    assert all(row["probability"] == pytest.approx(0.9) for row in told.values())
    scores = {row["query_id"]: row for row in pq.read_table(tmp_path / "out" / "scores.parquet").to_pylist()}
    assert [name for name, row in scores.items() if row["redrawn"]] == ["anew-1.png", "anew-2.png"]
    assert scores["copy.png"]["redrawn_probability"] is None or np.isnan(scores["copy.png"]["redrawn_probability"])
    findings = [each for each in report.findings if isinstance(each, ImageMatch) and each.kind == Kind.REDRAWN]
    assert [each.query_id for each in report.matches] == ["copy.png", *(each.query_id for each in findings)]
    assert all(each.nearest_held_out and each.nearest_held_out.picture for each in findings)
    results = report.results
    assert isinstance(results, AuditResults)
    assert results.redrawn
    assert "2 of 5 generations are training images drawn anew" in results.redrawn.headline
    assert results.kinds == {"verbatim": 1}
    page = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert "Re-drawn: 2, worst first" in page
    assert "Likeness of subject, style or brand alone stays out" in page
    assert "nearest held-out image" in page


def test_without_a_control_the_page_says_that_chance_is_unknown(
    tmp_path: Path, generations: Store, training: Store
) -> None:
    write_audit(audit(generations, ExactSearch(training)), generations, training, tmp_path / "out")
    page = (tmp_path / "out" / "report.html").read_text(encoding="utf-8")
    assert "how many are so by chance is unknown: no held-out images were given" in page
    assert "Re-drawn: 2, worst first" in page


def test_a_film_with_a_copy_is_one_of_copies() -> None:
    """Files count once, and a copy outweighs what else is in them."""
    from memaudit.audit.by_prompt import asked
    from memaudit.audit.redrawn import Drawn, measure_redrawn
    from memaudit.matching.results import RedrawnPairs
    from memaudit.store import Columns

    names = np.array(["film.gif", "film.gif#1", "other.png"], object)
    none = np.full(3, "", object)
    zero = np.zeros(3, np.int64)
    columns = Columns(
        names, none, none, none, zero, zero, np.full(3, "ok", object), none, none, zero.astype(np.float32), zero > 0
    )
    pairs = RedrawnPairs(
        np.array([1, 2]),
        np.array([7, 8]),
        np.array([0.6, 0.6], np.float32),
        np.ones(2, bool),
        np.array([0.9, 0.9], np.float32),
        np.ones(2, bool),
    )
    files = np.array([0, 0, 2])
    made = Drawn(columns, files, np.array(["a", "b", "c"]), np.array([True, False, False]), 0)
    found = measure_redrawn(pairs, 0.3, made, asked(names, files, {}, ()))
    assert [*found.found] == [False, False, True]
    assert (found.searched.count, found.searched.coverage.measured) == (1, 2)
    assert replace(found, nearest=None).by_prompt is None
