"""The look-up: copies are found through views, and what could not be looked at is said."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from passes import PassEncoder
from pictures import MakeFolder, MakeStore, altered, draw, mosaic, photograph, round_detail
from PIL import Image

from memaudit.embedding.run import EmbedOptions, embed
from memaudit.embedding.views import embed_views
from memaudit.encoders import load_encoder
from memaudit.encoders.regions import TrunkRegions
from memaudit.errors import InconclusiveError, MissingDependencyError, UsageError
from memaudit.files import digest_of
from memaudit.images.image_ref import ImageRef
from memaudit.images.sources import iter_images
from memaudit.images.views import details, tiles, views_of
from memaudit.index import ExactSearch, open_searcher
from memaudit.lookup.evidence import FOUND, NOTHING, UNDECIDED, evidence_of
from memaudit.lookup.results import Answer, LookupResult
from memaudit.lookup.run import UNREAD, Lookup, LookupOptions, look_up
from memaudit.matching import decide as deciding
from memaudit.matching import plan as planning
from memaudit.matching.compare import Files
from memaudit.matching.kinds import Kind
from memaudit.matching.plan import REDRAWN_FLOORS
from memaudit.matching.redrawn import Redrawn
from memaudit.store import Store
from memaudit.types import Int64

ENCODER = load_encoder("thumbnail")


@pytest.fixture
def store(picture_folder: MakeFolder, make_store: MakeStore) -> Store:
    """40 pictures, of which the first is there twice."""
    folder = picture_folder(40)
    altered(draw(0)).save(folder / "again.png")
    return make_store(folder)


def asked(store: Store, *paths: Path, views: str = "all", neighbours: int = 10) -> list[Answer]:
    options = LookupOptions(views_of(views), neighbours=neighbours)
    return list(looked_up(store, paths[0].parent, options).answers)


def looked_up(store: Store, folder: Path, options: LookupOptions) -> LookupResult:
    return look_up(iter_images([folder]), ExactSearch(store), load_encoder("thumbnail"), options)


def told(result: LookupResult, allowed: float = 0.01) -> dict[str, Any]:
    """The evidence, as its file holds it."""
    return evidence_of(result, allowed, {}).as_dict()


def saved(folder: Path, name: str, image: Image.Image) -> Path:
    folder.mkdir(exist_ok=True)
    image.save(folder / name)
    return folder / name


@pytest.mark.parametrize(
    ("turn", "view"),
    [
        (None, "whole"),
        (Image.Transpose.FLIP_LEFT_RIGHT, "mirrored"),
        (Image.Transpose.ROTATE_90, "turned 270"),
        (Image.Transpose.ROTATE_180, "turned 180"),
    ],
)
def test_turned_copies_are_found_by_the_view_that_turns_back(
    store: Store, tmp_path: Path, turn: Image.Transpose | None, view: str
) -> None:
    """The match names the view; without views a turned copy is not found."""
    copy = altered(draw(7)) if turn is None else altered(draw(7)).transpose(turn)
    path = saved(tmp_path / "asked", "copy.png", copy)
    (answer,) = asked(store, path)
    assert [(match.image_id, match.view) for match in answer.matches] == [("0007.png", view)]
    assert answer.matches[0].similarity >= 0.95
    assert answer.matches[0].uri.endswith("0007.png")
    (without,) = asked(store, path, views="none")
    assert bool(without.matches) == (turn is None)


def test_views_seen_by_a_pass_find_what_they_find_alone(store: Store, tmp_path: Path) -> None:
    """Views keep their order and their names; pictures that have none, or fewer, do not shift those of the others."""
    for number in (3, 8):
        canvas = draw(500 + number, (192, 144))
        canvas.paste(draw(number), (0, 72))
        saved(tmp_path / "asked", f"pasted-{number}.png", canvas)
    saved(tmp_path / "asked", "blank.png", Image.new("RGB", (60, 60), "white"))
    saved(tmp_path / "asked", "corner.png", Image.new("RGB", (192, 144), "white")).write_bytes(b"no image")
    options, refs = LookupOptions(views_of("all"), threshold=0.9), list(iter_images([tmp_path / "asked"]))
    encoder = PassEncoder()
    passes, alone = (
        look_up(refs, ExactSearch(store), each, options).answers for each in (encoder, load_encoder("thumbnail"))
    )
    assert {windows for _, windows in encoder.regions.seen} == {9}
    for left, right in zip(passes, alone, strict=True):
        assert (left.status, left.error) == (right.status, right.error)
        assert [(m.image_id, m.view) for m in left.matches] == [(m.image_id, m.view) for m in right.matches]
    found = {(match.image_id, match.view) for answer in passes for match in answer.matches}
    assert {("0003.png", "tile 3,1"), ("0008.png", "tile 3,1")} <= found


def test_all_matches_are_those_of_a_search_for_everything(
    picture_folder: MakeFolder, make_store: MakeStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One file that is there thirty times hides no copy, nor do twenty others; of a cut list there are more."""
    folder = picture_folder(12)
    for number in range(30):
        draw(700).save(folder / f"same-{number}.png")
    for number in range(20):
        draw(700).point(lambda value, by=number: min(255, value + by // 2)).save(folder / f"other-{number}.png")
    store = make_store(folder)
    saved(tmp_path / "asked", "a.png", draw(700))
    saved(tmp_path / "asked", "b.png", draw(7))
    whole = LookupOptions(views_of("none"), match="none", neighbours=1000)
    every, one = looked_up(store, tmp_path / "asked", whole).answers
    wanted = replace(whole, neighbours=10, all_matches=True)
    assert looked_up(store, tmp_path / "asked", wanted).answers == (every, one)
    assert (len(every.matches), every.more, len(one.matches)) == (50, False, 1)
    monkeypatch.setattr("memaudit.lookup.run.MOST_LISTED", 15)
    cut, _ = looked_up(store, tmp_path / "asked", wanted).answers
    assert (cut.matches, cut.more) == (every.matches[:15], True)


def test_a_picture_within_a_picture(store: Store, tmp_path: Path) -> None:
    """A copy that fills a quarter of a larger picture is found by its tile."""
    canvas = draw(500, (192, 144))
    canvas.paste(draw(5), (96, 72))
    answer, *_ = asked(store, saved(tmp_path / "asked", "pasted.png", canvas))
    assert [(match.image_id, match.view) for match in answer.matches] == [("0005.png", "tile 3,3")]


@pytest.mark.parametrize("kind", ["gif", "png", "webp", "tiff"])
def test_every_frame_has_an_answer(store: Store, tmp_path: Path, kind: str) -> None:
    """Of the first alone "nothing found" would be said of a file that holds a training image."""
    (tmp_path / "asked").mkdir()
    draw(700).save(tmp_path / "asked" / f"film.{kind}", save_all=True, append_images=[draw(5)])
    first, second = asked(store, tmp_path / "asked" / "film", views="none")
    assert first.matches == ()
    assert [match.image_id for match in second.matches] == ["0005.png"]
    assert second.image.endswith(f"film.{kind}#frame=1")


def test_a_file_is_read_once(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """For the pictures within it, for its views, and for those of its parts: a URL is not asked three times."""
    folder, read = tmp_path / "asked", list[str]()
    copy = saved(folder, "copy.png", draw(7))
    film = folder / "film.gif"
    draw(700).save(film, save_all=True, append_images=[draw(5)])

    def reading(uri: str) -> bytes:
        read.append(uri)
        return Path(uri).read_bytes()

    monkeypatch.setattr("memaudit.embedding.reconcile.read_image", reading)
    assert [len(answer.matches) for answer in asked(store, copy, views="none")] == [1, 0, 1]
    assert read == [str(copy), str(film)]


def test_each_training_image_is_named_once(store: Store, tmp_path: Path) -> None:
    """By its best view, most similar first; further ones than were asked for are announced."""
    path = saved(tmp_path / "asked", "copy.png", draw(0))
    (answer,) = asked(store, path)
    assert [match.image_id for match in answer.matches] == ["0000.png", "again.png"]
    assert answer.matches[0].similarity == 1
    assert not answer.more
    (first,) = asked(store, path, neighbours=1)
    assert [match.image_id for match in first.matches] == ["0000.png"]
    assert first.more


def test_what_cannot_be_looked_at(store: Store, tmp_path: Path) -> None:
    """Unreadable and blank pictures have an answer that says so; the others are decided all the same."""
    folder = tmp_path / "asked"
    saved(folder, "blank.png", Image.new("RGB", (50, 50), "white"))
    (folder / "broken.png").write_bytes(b"no image")
    saved(folder, "new.png", draw(900))
    refs = [*iter_images([folder]), ImageRef("row", "gone.parquet#row=5")]
    answers = look_up(refs, ExactSearch(store), ENCODER, LookupOptions(views_of("all"))).answers
    assert [answer.status for answer in answers] == ["blank", "unreadable", "ok", "unreadable"]
    assert not any(answer.matches for answer in answers)
    assert answers[1].error
    assert answers[2].nearest is not None
    assert answers[2].nearest.similarity < 0.95
    assert answers[3].error.startswith("cannot read file: table gone.parquet cannot be read: No such file")


def test_the_outcome(store: Store, tmp_path: Path) -> None:
    """Found, nothing found, or not decided; a match is one whatever else could not be read."""
    options = LookupOptions(views_of("none"))
    for name, image in (("a", draw(3)), ("b", draw(901))):
        saved(tmp_path / name, "x.png", image)
    (tmp_path / "c").mkdir()
    (tmp_path / "c" / "broken.png").write_bytes(b"no image")
    results = [looked_up(store, tmp_path / name, options) for name in "abc"]
    found, none, broken = (result.answers for result in results)
    for answers, outcome in [(found, FOUND), (none, NOTHING), (none + broken, UNDECIDED), (found + broken, FOUND)]:
        value = told(replace(results[0], answers=answers))
        assert value["outcome"] == outcome
        assert value["sha256"] == digest_of({key: item for key, item in value.items() if key != "sha256"})
        assert value["store"]["sha256"] == store.digest


def test_a_training_set_that_was_not_read_whole(
    picture_folder: MakeFolder, make_store: MakeStore, tmp_path: Path
) -> None:
    """Nothing found among a part of the training set decides nothing, unless that much may be missing."""
    folder = picture_folder(9)
    (folder / "broken.png").write_bytes(b"no image")
    store = make_store(folder)
    saved(tmp_path / "asked", "x.png", draw(901))
    result = looked_up(store, tmp_path / "asked", LookupOptions(views_of("none")))
    value = told(result)
    assert (value["outcome"], len(value["undecided"])) == (UNDECIDED, 1)
    assert told(result, 0.2)["outcome"] == NOTHING


def test_another_encoder_decides_nothing(tmp_path: Path) -> None:
    """Similarities across encoders mean nothing."""
    from vectors import vector_store

    store = vector_store(tmp_path / "store", np.eye(4))
    saved(tmp_path / "asked", "x.png", draw(1))
    with pytest.raises(InconclusiveError, match="was embedded with test weights"):
        asked(store, tmp_path / "asked" / "x.png")
    assert open_searcher(store.folder).method == "exact"


PIXELS = LookupOptions(views_of("none"), match_from=0.05)


@pytest.fixture
def photographs(tmp_path: Path) -> Store:
    """Eight textured pictures with corners, so that there are features to find."""
    folder = tmp_path / "photographs"
    for seed in range(8):
        saved(folder, f"{seed}.png", photograph(seed))
    return embed([folder], tmp_path / "store", load_encoder("thumbnail"), EmbedOptions(workers=1))


def answers_of(store: Store, folder: Path, options: LookupOptions = PIXELS) -> tuple[Answer, ...]:
    return looked_up(store, folder, options).answers


def test_a_copy_below_the_threshold_is_confirmed_on_pixels(photographs: Store, tmp_path: Path) -> None:
    """A crop that similarity alone does not tell is found, with its kind; a new picture and its candidates are not."""
    folder = tmp_path / "asked"
    saved(folder, "crop.png", photograph(3).crop((70, 40, 290, 215)))
    saved(folder, "new.png", photograph(900))
    result = looked_up(photographs, folder, PIXELS)
    crop, new = result.answers
    assert [(match.image_id, match.kind, match.verified) for match in crop.matches] == [("3.png", "partial", True)]
    assert crop.matches[0].similarity < 0.95
    assert new.matches == ()
    assert new.compared == new.candidates > 0
    value = told(result)
    assert value["outcome"] == FOUND
    assert value["pixels"]["status"] == "compared"
    without = LookupOptions(views_of("none"), match="none")
    blind = looked_up(photographs, folder, without)
    assert not any(answer.matches for answer in blind.answers)
    assert told(blind)["pixels"] == {"status": "not compared", "why": ["--match none"]}


def test_details_and_tiles_of_training_images_are_searched_where_the_store_has_them(tmp_path: Path) -> None:
    """A detail that is nothing like the whole is found in its picture, and the evidence says where and what was
    searched; without pixels details are not, for they decide nothing."""
    encoder, sources = load_encoder("thumbnail"), tmp_path / "training"
    for seed in (1, 2):
        saved(sources, f"{seed}.png", mosaic(seed))
    store = embed([sources], tmp_path / "store", encoder, EmbedOptions(workers=1))
    saved(tmp_path / "asked", "detail.png", round_detail(mosaic(1), (433, 300), 78))
    before = looked_up(store, tmp_path / "asked", PIXELS)
    assert before.answers[0].matches == ()
    whole = {"whole": store.digest}
    assert told(before)["reference_views"] == whole
    fine = embed_views(store, store.folder / "details", encoder, details(), EmbedOptions(workers=1))
    result = looked_up(store, tmp_path / "asked", PIXELS)
    (match,) = result.answers[0].matches
    assert (match.image_id, match.kind, match.verified) == ("1.png", "partial", True)
    assert match.view.startswith("reference detail ")
    assert match.reference_box is not None
    left, top, right, bottom = match.reference_box
    assert left < 433 / mosaic(1).width < right
    assert top < 300 / mosaic(1).height < bottom
    value = told(result)
    assert value["reference_views"] == whole | {"details": fine.store.digest}
    json.dumps(value)
    blind = LookupOptions(views_of("none"), match="none")
    unseen = looked_up(store, tmp_path / "asked", blind)
    assert unseen.answers[0].matches == ()
    assert told(unseen)["reference_views"] == whole | {"details": None}


def test_lost_or_unfinished_windows_are_no_clean_bill(photographs: Store, tmp_path: Path) -> None:
    """Windows whose files were gone when they were to be made leave "nothing found" undecided."""
    saved(tmp_path / "asked", "new.png", photograph(900))
    (tmp_path / "photographs").rename(tmp_path / "elsewhere")
    encoder = load_encoder("thumbnail")
    embed_views(photographs, photographs.folder / "tiles", encoder, tiles(), EmbedOptions(workers=1))
    (tmp_path / "elsewhere").rename(tmp_path / "photographs")
    value = told(looked_up(photographs, tmp_path / "asked", PIXELS))
    assert (value["outcome"], len(value["undecided"])) == (UNDECIDED, 1)
    assert "tiles of the training images could be embedded" in value["undecided"][0]
    (photographs.folder / "tiles" / "store.json").unlink()
    with pytest.raises(InconclusiveError, match="is unfinished"):
        answers_of(photographs, tmp_path / "asked")


def test_files_that_are_gone_are_said(photographs: Store, tmp_path: Path) -> None:
    """What is at the threshold is a match by similarity; what lies below it was not looked at, and that is said."""
    saved(tmp_path / "asked", "copy.png", altered(photograph(3)))
    for path in (tmp_path / "photographs").iterdir():
        path.unlink()
    result = looked_up(photographs, tmp_path / "asked", PIXELS)
    (answer,) = result.answers
    found = [(match.image_id, match.kind, match.verified, match.compared) for match in answer.matches]
    assert found == [("3.png", "near-duplicate", False, False)]
    part = told(result)["pixels"]
    assert (part["status"], part["compared"], part["why"]) == (
        "not compared",
        0,
        ["cannot read file: No such file or directory"],
    )


def test_without_opencv_nothing_is_compared_and_it_is_said(
    photographs: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Asked for, it is an error; else the evidence says why not."""
    monkeypatch.setitem(sys.modules, "cv2", None)
    saved(tmp_path / "asked", "crop.png", photograph(3).crop((70, 40, 290, 215)))
    options = LookupOptions(views_of("none"))
    part = told(looked_up(photographs, tmp_path / "asked", options))["pixels"]
    assert part["status"] == "not compared"
    assert "cv2" in part["why"][0] or "OpenCV" in part["why"][0]
    for asked_for in (LookupOptions(views_of("none"), match="pixels"), PIXELS):
        with pytest.raises(MissingDependencyError):
            answers_of(photographs, tmp_path / "asked", asked_for)


@pytest.mark.parametrize("options", [{"match": "perhaps"}, {"match_from": 2.0}, {"match": "none", "match_from": 0.5}])
def test_impossible_choices_of_pixels(photographs: Store, tmp_path: Path, options: dict[str, Any]) -> None:
    """One line, before any work."""
    with pytest.raises(UsageError):
        answers_of(photographs, tmp_path, LookupOptions(views_of("none"), **options))


def test_what_is_drawn_anew_is_said_beside_the_matches(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is found, and no match; of a picture with a match nothing more is asked."""

    def likely(_own: Files, others: Files, left: Int64, right: Int64, *_: object) -> Redrawn:
        anew = np.array([str(uri).endswith("0003.png") for uri in others.uri])
        return Redrawn(np.ones(len(left), bool), np.where(anew[right], 0.9, 0.1).astype(np.float32))

    saved(tmp_path / "asked", "anew.png", Image.blend(draw(3), draw(700), 0.4))
    saved(tmp_path / "asked", "copy.png", draw(5))
    options = LookupOptions(views_of("none"))
    before = looked_up(store, tmp_path / "asked", options)
    assert [bool(answer.matches) for answer in before.answers] == [False, True]
    assert told(before)["redrawn"] == {"floor": None, "why_not": "encoder thumbnail has no measured floor for it"}
    monkeypatch.setitem(REDRAWN_FLOORS, "thumbnail", 0.3)
    monkeypatch.setattr(planning, "load_regions", lambda: TrunkRegions("none", lambda: pytest.fail("was asked")))
    monkeypatch.setattr(deciding, "redrawn_pairs", likely)
    anew, copy = looked_up(store, tmp_path / "asked", options).answers
    assert [(match.image_id, match.kind, match.probability) for match in anew.redrawn] == [
        ("0003.png", "re-drawn", pytest.approx(0.9))
    ]
    assert (anew.matches, copy.redrawn) == ((), ())
    evidence = told(look_up(iter_images([tmp_path / "asked" / "anew.png"]), ExactSearch(store), ENCODER, options))
    assert evidence["outcome"] == FOUND
    assert evidence["redrawn"] == {"floor": 0.3, "why_not": ""}


def test_what_may_be_drawn_anew_and_cannot_be_read_is_no_clean_bill(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Such pairs lie below the similarity from which there are candidates: nothing else says that they were lost. Where
    re-drawn pictures do not count, nothing is."""

    def unread(_own: Files, _others: Files, left: Int64, *_: object) -> Redrawn:
        return Redrawn(np.zeros(len(left), bool), np.full(len(left), np.nan, np.float32))

    monkeypatch.setitem(REDRAWN_FLOORS, "thumbnail", 0.3)
    monkeypatch.setattr(planning, "load_regions", lambda: TrunkRegions("none", lambda: pytest.fail("was asked")))
    monkeypatch.setattr(deciding, "redrawn_pairs", unread)
    saved(tmp_path / "asked", "new.png", Image.blend(draw(3), draw(700), 0.4))
    refs, options = list(iter_images([tmp_path / "asked"])), LookupOptions(views_of("none"))
    (answer,) = (result := look_up(refs, ExactSearch(store), ENCODER, options)).answers
    assert (answer.matches, answer.redrawn) == ((), ())
    assert (answer.candidates - answer.compared, answer.why) == (1, (UNREAD,))
    assert told(result)["outcome"] == UNDECIDED
    (parts,) = Lookup.of(ExactSearch(store), ENCODER, options, (Kind.PARTIAL,)).answers(refs)
    assert (parts.candidates, parts.why) == (0, ())
