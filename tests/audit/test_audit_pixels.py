"""Candidates decided on pixels: copies that similarity alone does not tell, with the kind of copy that they are."""

from __future__ import annotations

import io
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from pictures import banner, card
from PIL import Image, ImageOps

from memaudit.audit import control
from memaudit.audit.pairing import Prompted
from memaudit.audit.results import AuditResult
from memaudit.audit.run import AuditOptions, audit
from memaudit.audit.shortfalls import Views, unread
from memaudit.embedding.run import EmbedOptions, embed
from memaudit.embedding.views import ViewStore, embed_views
from memaudit.encoders import load_encoder
from memaudit.errors import MissingDependencyError, UsageError
from memaudit.images.views import tiles, views_of
from memaudit.index import ExactSearch
from memaudit.matching.kinds import Kind
from memaudit.matching.search import Scope, StoredQueries, search
from memaudit.matching.windows import NO_WINDOWS, Windows
from memaudit.report.audit import write_audit
from memaudit.report.document import read_report
from memaudit.report.model import AuditResults
from memaudit.store import Store
from memaudit.types import Coverage, silent

ENCODER = load_encoder("thumbnail")
EMBED = EmbedOptions(shard_rows=64, workers=2)
SIZE = (200, 160)
GENEROUS = AuditOptions(match_from=0.05)
REFERENCES = 12


def textured(seed: int) -> Image.Image:
    """Something like a photograph: coarse and fine structure, so that there are features to find."""
    rng = np.random.default_rng(seed)
    layers = [
        Image.fromarray(rng.integers(0, 256, (rows, rows + 2, 3), dtype=np.uint8)).resize(
            SIZE, Image.Resampling.BICUBIC
        )
        for rows in (4, 12, 40)
    ]
    return Image.blend(Image.blend(layers[0], layers[1], 0.5), layers[2], 0.35)


def jpeg(image: Image.Image, quality: int) -> Image.Image:
    data = io.BytesIO()
    image.save(data, "JPEG", quality=quality)
    return Image.open(data).convert("RGB")


def stored(folder: Path, pictures: dict[str, Image.Image]) -> Store:
    images = folder / "images"
    images.mkdir(parents=True)
    for name, picture in pictures.items():
        picture.save(images / f"{name}.png")
    return embed([images], folder / "store", ENCODER, EMBED)


@pytest.fixture
def references(tmp_path: Path) -> Store:
    return stored(tmp_path / "train", {f"{seed:02d}": textured(seed) for seed in range(REFERENCES)})


def tiles_of(images: Store) -> ViewStore:
    return embed_views(images, images.folder.parent / "tiles", ENCODER, tiles(), EMBED)


def found(result: AuditResult, generations: Store, references: Store) -> dict[str, tuple[str, Kind, str, bool]]:
    """Of each generation with a match: the training image, kind, view, and whether pixels confirm it."""
    queries, targets, matches = generations.all_columns().image_id, references.all_columns().image_id, result.matches
    return {
        queries[q]: (targets[r], kind, view, bool(verified))
        for q, r, kind, view, verified, rank in zip(
            matches.query, matches.reference, matches.kind, matches.view, matches.verified, matches.rank, strict=True
        )
        if rank == 1
    }


ALTERED = {
    "as it is": (lambda image: image, Kind.VERBATIM),
    "jpeg": (lambda image: jpeg(image, 40), Kind.VERBATIM),
    "turned": (lambda image: image.rotate(90, expand=True), Kind.NEAR),
    "crop": (lambda image: image.crop((40, 30, 180, 140)), Kind.PARTIAL),
    "part exchanged": (lambda image: _exchanged(image), Kind.TEMPLATE),
}


def _exchanged(image: Image.Image) -> Image.Image:
    altered = image.copy()
    altered.paste(ImageOps.autocontrast(textured(900).resize((70, 60)).convert("L")).convert("RGB"), (110, 20))
    return altered


@pytest.mark.parametrize("name", ALTERED)
def test_a_copy_is_found_on_pixels_and_named(tmp_path: Path, references: Store, name: str) -> None:
    alter, kind = ALTERED[name]
    generations = stored(tmp_path / "gen", {"copy": alter(textured(5)), "new": textured(500)})
    result = audit(generations, ExactSearch(references), options=GENEROUS)
    assert {
        query: (reference, kind, verified)
        for query, (reference, kind, _, verified) in found(result, generations, references).items()
    } == {"copy.png": ("05.png", kind, True)}
    assert result.searched.count == 1
    assert result.compared is not None
    assert result.compared.measured == result.compared.total > 0


def test_the_table_says_where_generation_and_training_image_show_the_same(tmp_path: Path, references: Store) -> None:
    """Of a crop, where it was cut; null for a match whose file is gone, so that pixels confirm nothing."""
    box = (40, 30, 180, 140)
    generations = stored(tmp_path / "gen", {"copy": jpeg(textured(4), 90), "crop": textured(5).crop(box)})
    (references.folder.parent / "images" / "04.png").unlink()
    write_audit(audit(generations, ExactSearch(references), options=GENEROUS), generations, references, tmp_path)
    rows = {row["query_id"]: row for row in pq.read_table(tmp_path / "matches.parquet").to_pylist() if row["rank"] == 1}
    gone, crop = rows["copy.png"], rows["crop.png"]
    assert crop["query_box"] == pytest.approx([0, 0, 1, 1], abs=0.03)
    assert crop["reference_box"] == pytest.approx([40 / 200, 30 / 160, 180 / 200, 140 / 160], abs=0.03)
    assert crop["alignment"] == pytest.approx([0.7, 0, 0.2, 0, 0.7, 0.15], abs=0.03)
    assert (gone["verified"], gone["alignment"], gone["query_box"], gone["reference_box"]) == (False, None, None, None)


def test_without_opencv(tmp_path: Path, references: Store, monkeypatch: pytest.MonkeyPatch) -> None:
    """auto goes on by similarity, and the result says why; pixels, or a floor, that were asked for are an error."""
    generations = stored(tmp_path / "gen", {"copy": textured(5)})
    monkeypatch.setitem(sys.modules, "cv2", None)
    result = audit(generations, ExactSearch(references))
    assert (result.searched.count, result.compared) == (1, None)
    assert "pip install" in result.no_pixels
    for options in (AuditOptions(match="pixels"), GENEROUS):
        with pytest.raises(MissingDependencyError):
            audit(generations, ExactSearch(references), options=options)


def test_a_mirror_image_is_found_by_its_view_and_not_without(tmp_path: Path, references: Store) -> None:
    generations = stored(tmp_path / "gen", {"copy": ImageOps.mirror(textured(5))})
    flips = embed_views(generations, tmp_path / "flips", ENCODER, views_of("flips")[1:], EMBED)
    result = audit(generations, ExactSearch(references), views=Views(generations=flips), options=GENEROUS)
    assert found(result, generations, references) == {"copy.png": ("05.png", Kind.NEAR, "mirrored", True)}
    assert not audit(generations, ExactSearch(references), options=GENEROUS).searched.count


def test_without_pixels_a_crop_is_not_told(tmp_path: Path, references: Store) -> None:
    """The control of the tests above: it is the pixels that find it."""
    generations = stored(tmp_path / "gen", {"copy": textured(5).crop((40, 30, 180, 140))})
    result = audit(generations, ExactSearch(references), options=AuditOptions(match="none"))
    assert result.searched.count == 0
    assert (result.compared, result.no_pixels) == (None, "--match none")


def test_a_picture_pasted_into_another_is_found_by_a_tile(tmp_path: Path, references: Store) -> None:
    scene = textured(700).resize((400, 320))
    scene.paste(textured(3), (195, 150))
    generations = stored(tmp_path / "gen", {"scene": scene})
    result = audit(
        generations, ExactSearch(references), views=Views(generations=tiles_of(generations)), options=GENEROUS
    )
    reference, kind, view, verified = found(result, generations, references)["scene.png"]
    assert (reference, kind, verified) == ("03.png", Kind.PARTIAL, True)
    assert view.startswith("tile ")
    assert result.views == ("whole", *(tile.name for tile in tiles()))


def test_a_detail_of_a_training_image_is_found_by_its_tiles(tmp_path: Path, references: Store) -> None:
    detail = textured(7).crop((0, 0, 100, 80)).resize(SIZE, Image.Resampling.BICUBIC)
    generations = stored(tmp_path / "gen", {"detail": detail})
    options = AuditOptions(match_from=0.8)  # the whole picture is not as similar as that
    assert not audit(generations, ExactSearch(references), options=options).searched.count
    result = audit(
        generations, ExactSearch(references), views=Views(windows=Windows(tiles=tiles_of(references))), options=options
    )
    assert found(result, generations, references)["detail.png"][:3] == ("07.png", Kind.PARTIAL, "reference tile 1,1")


def test_the_prompts_own_image_is_looked_at_however_many_are_more_similar(tmp_path: Path) -> None:
    """It is the last of more candidates than are looked at."""
    generation = textured(1).crop((40, 30, 180, 140))
    crowd = {f"crowd {i:02d}": Image.blend(generation.resize(SIZE), textured(50 + i), 0.4) for i in range(11)}
    references = stored(tmp_path / "train", {"own": textured(1), **crowd})
    generations = stored(tmp_path / "gen", {"copy": generation})
    options = AuditOptions(match_from=0.01, threshold=0.999)
    without = audit(generations, ExactSearch(references), options=options)
    assert "own.png" not in references.all_columns().image_id[without.matches.reference]
    pairing = {"copy.png": Prompted("own.png", "a prompt")}
    result = audit(generations, ExactSearch(references), pairing=pairing, options=options)
    assert result.paired is not None
    assert result.paired.count == 1


def test_a_picture_that_stands_there_many_times_crowds_no_other_out(tmp_path: Path) -> None:
    """More often than there are candidates; with tiles of the training images, and without."""
    generation = textured(1).crop((40, 30, 180, 140))
    alike = Image.blend(generation.resize(SIZE), textured(50), 0.4)
    references = stored(tmp_path / "train", {"own": textured(1), **{f"alike {i:02d}": alike for i in range(45)}})
    generations = stored(tmp_path / "gen", {"copy": generation})
    for windows in (NO_WINDOWS, Windows(tiles=tiles_of(references))):
        scope = Scope(ExactSearch(references), 0.999, 0.01, 10, windows)
        candidates = search(StoredQueries(generations), scope, None, silent).candidates
        of_alike, own = candidates.reference[:-1], candidates.reference[-1]
        assert (references.all_columns().image_id[own], len(of_alike)) == ("own.png", 10)


def test_files_that_are_gone_leave_matches_unverified_and_are_counted(tmp_path: Path, references: Store) -> None:
    generations = stored(
        tmp_path / "gen", {"copy": jpeg(textured(5), 90), "crop": textured(6).crop((40, 30, 180, 140))}
    )
    (references.folder.parent / "images" / "05.png").unlink()
    (references.folder.parent / "images" / "06.png").write_bytes(b"another file")
    result = audit(generations, ExactSearch(references), options=GENEROUS)
    assert found(result, generations, references) == {"copy.png": ("05.png", Kind.NEAR, "whole", False)}
    assert not result.matches.compared.any()
    assert result.compared is not None
    assert 0 < result.compared.measured < result.compared.total


def test_the_closest_that_are_no_matches_are_kept_for_the_eye(tmp_path: Path, references: Store) -> None:
    generations = stored(tmp_path / "gen", {"copy": textured(5), "new": textured(500), "newer": textured(600)})
    result = audit(generations, ExactSearch(references), options=GENEROUS)
    assert result.misses is not None
    assert set(generations.all_columns().image_id[result.misses.query]) == {"new.png", "newer.png"}
    assert (np.diff(result.misses.similarity) <= 0).all()


def test_a_match_below_the_threshold_is_counted_where_it_is_told(tmp_path: Path, references: Store) -> None:
    """A crop that pixels confirm: as whole images nothing reaches the threshold, and still it has a match."""
    generations = stored(tmp_path / "gen", {"crop": textured(6).crop((40, 30, 180, 140)), "new": textured(500)})
    result = audit(generations, ExactSearch(references), options=GENEROUS)
    assert result.scores.above.tolist() == [0, 0]
    report = write_audit(result, generations, references, tmp_path).content
    assert [(finding["query_id"], finding["matches"]) for finding in report["findings"]] == [("crop.png", 1)]
    table = pq.read_table(tmp_path / "scores.parquet").to_pydict()
    assert (table["matches"], table["regurgitated"]) == ([1, 0], [True, False])


def test_a_pair_that_was_not_compared_is_not_called_different(tmp_path: Path, references: Store) -> None:
    """Its files are gone: nobody has seen that it is no copy, and the page does not say so."""
    generations = stored(tmp_path / "gen", {"new": textured(500), "newer": textured(600)})
    result = audit(generations, ExactSearch(references), options=GENEROUS)
    assert result.misses is not None
    for compared in ([True, True], [False, True], [False, False]):
        told = result.misses._replace(compared=np.array(compared))
        report = write_audit(replace(result, misses=told), generations, references, tmp_path).content
        kinds = [miss["kind"] for miss in report["results"]["misses"]]
        assert kinds == ["similar, not a copy" if seen else "not compared" for seen in compared]
        page = (tmp_path / "report.html").read_text()
        assert ("one for each generation: their pixels do not show a copy" in page) == all(compared)
        assert ("Those of the others do not show a copy" in page) == (compared == [False, True])


def test_held_out_images_are_judged_like_generations(tmp_path: Path, references: Store) -> None:
    """One that is a crop of a training image is no control, although its similarity is low."""
    control = stored(tmp_path / "control", {"crop": textured(6).crop((40, 30, 180, 140)), "new": textured(600)})
    generations = stored(tmp_path / "gen", {"new": textured(500)})
    result = audit(generations, ExactSearch(references), control=control, options=GENEROUS)
    assert result.control is not None
    assert (result.control.matched.count, result.control.excluded_controls) == (1, 1)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (AuditOptions(match="perhaps"), "expected one of auto"),
        (AuditOptions(match_from=2.0), "out of range"),
        (AuditOptions(match="none", match_from=0.5), "leave out --match-from"),
    ],
)
def test_impossible_choices_are_one_line(tmp_path: Path, references: Store, options: AuditOptions, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        audit(stored(tmp_path / "gen", {"new": textured(500)}), ExactSearch(references), options=options)


def test_views_that_could_not_be_made_are_no_clean_bill(tmp_path: Path, references: Store) -> None:
    """The embeddings of the generations are there, their files are not: their tiles were not searched."""
    generations = stored(tmp_path / "gen", {"new": textured(500)})
    (tmp_path / "gen" / "images" / "new.png").unlink()
    result = audit(generations, ExactSearch(references), views=Views(generations=tiles_of(generations)))
    assert result.inconclusive == (
        "only 0 of 9 views of the generations could be embedded: their files are gone or changed "
        "(--views none goes by whole images alone)",
    )


def test_a_verbatim_copy_does_not_stand_behind_a_detail(tmp_path: Path) -> None:
    """Training holds a picture and a crop of it: a generation of the whole is verbatim, whatever its tiles resemble."""
    whole = textured(5)
    crop = whole.crop((0, 0, 100, 80))
    references = stored(tmp_path / "train", {"crop": crop, "whole": whole})
    brighter = whole.copy()
    brighter.paste(whole.crop((150, 110, 200, 160)).point(lambda value: min(255, value + 10)), (150, 110))
    generations = stored(tmp_path / "gen", {"copy": brighter})
    views = Views(generations=tiles_of(generations))
    result = audit(generations, ExactSearch(references), views=views, options=GENEROUS)
    assert found(result, generations, references)["copy.png"][:2] == ("whole.png", Kind.VERBATIM)
    assert max(result.matches.similarity) > result.matches.similarity[result.matches.rank == 1][0]


def test_equal_files_count_as_regurgitated_if_one_of_them_is(tmp_path: Path, references: Store) -> None:
    """The prompt's image is a candidate of the one that is paired only."""
    crop = textured(6).crop((40, 30, 180, 140))
    generations = stored(tmp_path / "gen", {"a": crop, "b": crop})
    pairing = {"b.png": Prompted("06.png", "a prompt")}
    result = audit(generations, ExactSearch(references), pairing=pairing, options=AuditOptions())
    assert result.searched.count == result.searched.coverage.measured == 1
    assert generations.all_columns().image_id[result.counted].tolist() == ["b.png"]


def test_the_prompts_own_image_is_looked_at_however_low_its_similarity(tmp_path: Path, references: Store) -> None:
    generations = stored(tmp_path / "gen", {"copy": ImageOps.mirror(textured(5))})
    pairing = {"copy.png": Prompted("05.png", "a prompt")}
    result = audit(generations, ExactSearch(references), pairing=pairing, options=AuditOptions())
    assert result.scores.paired_similarity[0] < 0.1
    assert result.paired is not None
    assert result.paired.count == 1


def test_tiles_do_not_crowd_out_what_the_whole_image_resembles(tmp_path: Path) -> None:
    """Ten training images resemble one tile more than the source resembles the whole."""
    source = textured(1)
    generation = source.crop((20, 16, 190, 150))
    tile = generation.crop((0, 0, 85, 67)).resize(SIZE)
    crowd = {f"crowd {i:02d}": Image.blend(tile, textured(50 + i), 0.45) for i in range(12)}
    references = stored(tmp_path / "train", {"source": source, **crowd})
    generations = stored(tmp_path / "gen", {"copy": generation})
    result = audit(
        generations, ExactSearch(references), views=Views(generations=tiles_of(generations)), options=GENEROUS
    )
    assert "source.png" in references.all_columns().image_id[result.matches.reference]


def test_training_files_that_are_gone_are_no_clean_bill(tmp_path: Path, references: Store) -> None:
    generations = stored(tmp_path / "gen", {"copy": textured(6).crop((40, 30, 180, 140))})
    (references.folder.parent / "images").rename(tmp_path / "gone")
    result = audit(generations, ExactSearch(references), options=GENEROUS)
    assert (result.searched.count, result.searched.coverage.measured) == (0, 0)
    measured, could, where = result.inconclusive
    assert measured == "only 0 of 1 generations could be measured (0.00%)"
    assert "candidates below the threshold could be compared on pixels" in could
    assert "put them there, move the store together with them, or embed them anew" in where
    assert result.misses is not None
    assert not result.misses.compared.any()


def test_pixels_tell_drawings_of_one_series_apart(tmp_path: Path) -> None:
    """By the thumbnail two cards of a deck are near-duplicates; the same card is still a match, and so is any by
    similarity alone, or where a calibration named the threshold."""
    references = stored(tmp_path / "train", {"6": card(6)})
    generations = stored(tmp_path / "gen", {"3": card(3), "6": card(6)})
    by_similarity = AuditOptions(threshold=0.5, match="none")
    assert audit(generations, ExactSearch(references), options=by_similarity).searched.count == 2
    result = audit(generations, ExactSearch(references), options=AuditOptions(threshold=0.5))
    assert found(result, generations, references) == {"6.png": ("6.png", Kind.VERBATIM, "whole", True)}
    assert result.scores.above.tolist() == [1, 1]
    assert result.matched is not None
    assert result.matched.images.tolist() == [0, 1]


def test_the_prompts_own_image_is_told_apart_as_any_other_is(tmp_path: Path) -> None:
    """The rates of one audit go by one rule: what pixels tell apart repeats no prompt's image either."""
    references = stored(tmp_path / "train", {"6": card(6)})
    generations = stored(tmp_path / "gen", {"3": card(3), "6": card(6)})
    pairing = {name: Prompted("6.png", name) for name in ("3.png", "6.png")}
    result = audit(generations, ExactSearch(references), pairing=pairing, options=AuditOptions(threshold=0.5))
    assert (result.scores.paired_similarity >= 0.5).all()
    assert result.paired is not None
    assert result.by_prompt is not None
    rates = (result.searched, result.by_prompt.returned, result.paired)
    assert [(rate.count, rate.coverage.measured) for rate in rates] == [(1, 2)] * 3
    assert result.scores.paired_match.tolist() == result.scores.regurgitated.tolist() == [False, True]


def test_a_file_of_the_training_set_is_found_however_narrow(tmp_path: Path) -> None:
    """Pixels cannot be compared, and do not speak against it; another encoding of it is found by similarity."""
    references = stored(tmp_path / "train", {"banner": banner(1), "other": textured(2)})
    generations = stored(tmp_path / "gen", {"recoded": jpeg(banner(1), 90), "same": banner(1), "new": textured(500)})
    result = audit(generations, ExactSearch(references), options=AuditOptions())
    assert found(result, generations, references) == {
        "recoded.png": ("banner.png", Kind.NEAR, "whole", False),
        "same.png": ("banner.png", Kind.VERBATIM, "whole", True),
    }


def test_held_out_images_match_by_the_rule_of_generations(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What pixels tell apart is regurgitated on neither side, or chance would look greater than it is; as a control it
    is too near to the training set all the same."""
    tested = []
    monkeypatch.setattr(control, "MIN_CONTROLS", 1)
    monkeypatch.setattr(control, "greater_rate_p", lambda *counts: tested.append(counts) or 1.0)
    references = stored(tmp_path / "train", {"6": card(6), "other": textured(1)})
    generations = stored(tmp_path / "gen", {"3": card(3), "new": textured(500)})
    held_out = stored(tmp_path / "control", {"2": card(2), "new": textured(600), "copy": textured(1)})
    options = AuditOptions(threshold=0.5)
    result = audit(generations, ExactSearch(references), control=held_out, options=options)
    assert result.control is not None
    assert (result.searched.count, result.control.matched.count, result.control.excluded_controls) == (0, 1, 2)
    assert tested == [(0, 2, 1, 3)]
    by_similarity = audit(
        generations, ExactSearch(references), control=held_out, options=replace(options, match="none")
    )
    assert by_similarity.control is not None
    assert (by_similarity.searched.count, by_similarity.control.matched.count) == (1, 2)
    assert tested[1:] == [(1, 2, 2, 3)]


def test_what_a_candidate_that_is_gone_may_have_told_was_not_measured(tmp_path: Path, references: Store) -> None:
    """One of six generations lost the image of its prompt, another one has a second match and counts; and so they do by
    prompts. That other one's own image was not compared either."""
    images = references.folder.parent / "images"
    seeds = range(6)
    made = {f"{seed}": textured(seed).crop((40, 30, 180, 140)) for seed in seeds}
    generations = stored(tmp_path / "gen", {**made, "1": jpeg(textured(7), 90)})
    pairing = {f"{seed}.png": Prompted(f"{seed:02d}.png", f"prompt {seed}") for seed in seeds}
    for seed in (0, 1):
        (images / f"{seed:02d}.png").unlink()
    result = audit(generations, ExactSearch(references), pairing=pairing, options=AuditOptions())
    assert np.flatnonzero(result.undecided).tolist() == [0]
    assert result.by_prompt is not None
    assert result.paired is not None
    rates = (result.searched, result.by_prompt.returned, result.paired)
    assert [(rate.count, rate.coverage) for rate in rates] == [
        (5, Coverage(5, 6)),
        (5, Coverage(5, 6)),
        (4, Coverage(4, 6)),
    ]
    write_audit(result, generations, references, tmp_path / "out")
    results = read_report(tmp_path / "out" / "report.json").results
    assert isinstance(results, AuditResults)
    assert (results.undecided, results.outcomes and results.outcomes.left_out) == (1, ["0.png"])
    rows = pq.read_table(tmp_path / "out" / "scores.parquet").to_pydict()
    assert (rows["counted"], rows["undecided"]) == ([False] + 5 * [True], [True] + 5 * [False])
    assert "1 have no match, and candidates whose pixels" in (tmp_path / "out" / "report.html").read_text()


def test_few_candidates_may_be_many_generations(tmp_path: Path, references: Store) -> None:
    """One of 120 candidates is none of a hundred; and one of 12 generations, or of 12 images of prompts, is eight."""
    generations = stored(tmp_path / "gen", {"new": textured(500)})
    result = audit(generations, ExactSearch(references), options=AuditOptions())
    few = Coverage(119, 120)
    assert unread(result, few, 0.01) == []
    (line,) = unread(replace(result, undecided=np.ones(1, bool)), few, 0.01)
    assert line.startswith(
        "1 of 1 generations have no match, and candidates that could not be compared: files are gone"
    )
    paired = replace(result, paired=result.searched, pairs_unread=1)
    (line,) = unread(paired, few, 0.01)
    assert line.startswith("of 1 of 1 prompt pairs the pixels could not be compared: files are gone")


def test_held_out_images_that_could_not_be_decided_are_no_controls(tmp_path: Path) -> None:
    """Nor do they stand in the rate of chance, nor a generation in the rate that it is held against."""
    references = stored(tmp_path / "train", {"gone": textured(1), "there": textured(2)})
    pictures = {"crop": textured(1).crop((40, 30, 180, 140)), "other": textured(2).crop((40, 30, 180, 140))}
    held_out = stored(tmp_path / "control", {**pictures, "new": textured(600)})
    generations = stored(tmp_path / "gen", {**pictures, "new": textured(500)})
    (references.folder.parent / "images" / "gone.png").unlink()
    result = audit(generations, ExactSearch(references), control=held_out, options=AuditOptions(match_from=0.3))
    assert result.control is not None
    for rate in (result.searched, result.control.matched):
        assert (rate.count, rate.coverage) == (1, Coverage(2, 3))
    assert result.control.excluded_controls == 1


def test_own_images_that_could_not_be_compared_were_not_measured_on_either_side(tmp_path: Path) -> None:
    pictures = {f"{seed}": textured(seed) for seed in range(4)}
    references = stored(tmp_path / "train", {f"t{name}": picture for name, picture in pictures.items()})
    held_out = stored(tmp_path / "control", {f"h{seed}": textured(50 + seed) for seed in range(4)})
    crops = {f"t{seed}": textured(seed).crop((40, 30, 180, 140)) for seed in range(4)}
    generations = stored(tmp_path / "gen", {**crops, **{f"h{seed}": textured(90 + seed) for seed in range(4)}})
    pairing = {
        f"{side}{seed}.png": Prompted(f"{side}{seed}.png", f"{side} {seed}", held_out=side == "h")
        for seed in range(4)
        for side in "th"
    }
    for store in (references, held_out):
        next(iter(sorted((store.folder.parent / "images").iterdir()))).unlink()
    result = audit(generations, ExactSearch(references), pairing=pairing, control=held_out, options=AuditOptions())
    assert result.control is not None
    own = result.control.own_images
    assert own is not None
    assert (own.training.count, own.training.coverage) == (3, Coverage(3, 4))
    assert (own.held_out.count, own.held_out.coverage) == (0, Coverage(3, 4))
