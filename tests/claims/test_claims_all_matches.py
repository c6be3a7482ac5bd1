"""A picture that stands in the training set many times: all of it is listed and excluded, or it is said what is not."""

from __future__ import annotations

import io
import json
import shutil
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from calls import Memaudit
from claimed import Project
from msgspec import UNSET, to_builtins
from msgspec.structs import replace
from pictures import altered, draw, write_pictures
from PIL import Image

import memaudit as ma
from memaudit.api.claim_ledger import _claimed
from memaudit.claims.answer import FoundImage, PictureAnswer, answered
from memaudit.claims.families import Families, Member
from memaudit.claims.given_back import GivenBack, cut_in
from memaudit.claims.left_open import open_pictures, still_open
from memaudit.claims.letter import write_letter
from memaudit.claims.places import _sentence, id_without_place
from memaudit.claims.searched import SearchedBy
from memaudit.claims.vault import read_kept
from memaudit.encoders import load_encoder
from memaudit.errors import InputError
from memaudit.images.sources import iter_images
from memaudit.images.view_names import view_names
from memaudit.images.views import views_of
from memaudit.index import ExactSearch
from memaudit.lookup.results import Answer, LookupMatch
from memaudit.lookup.run import LookupOptions, look_up
from memaudit.lookup.same_files import with_same_files
from memaudit.matching.plan import NEAREST_FLOORS
from memaudit.store import Store
from memaudit.types import Status

WHO, COPIES = "R. Holder", 24


def copy_of(image: Image.Image, number: int) -> Image.Image:
    """Brighter and coarser with each number."""
    data = io.BytesIO()
    image.point(lambda value: min(255, value + number // 2)).save(data, "JPEG", quality=95 - number)
    return Image.open(data).convert("RGB")


@pytest.fixture(scope="module")
def copied(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store of twelve pictures and of so many altered copies of one that is claimed; beside it `claimed`."""
    root = tmp_path_factory.mktemp("copied")
    training = write_pictures(root / "training", range(12))
    for number in range(COPIES):
        copy_of(draw(700), number).save(training / f"copy-{number:02d}.png")
    write_pictures(root / "claimed", [700])
    ma.embed(training, out=root / "store", encoder="thumbnail")
    return root


def answer(copied: Path, ledger: Path) -> ma.ClaimRun:
    """By similarity alone: pixels are compared in the other claims."""
    return ma.answer_claim(copied / "claimed", copied / "store", ledger, claimant=WHO, views="none", match="none")


def test_all_matches_are_listed_and_excluded(copied: Path, tmp_path: Path) -> None:
    """However many there are: a copy that is not excluded is trained on."""
    run = answer(copied, tmp_path)
    (picture,) = run.pictures
    names = {f"copy-{number:02d}.png" for number in range(COPIES)}
    assert {each.image_id for each in picture.found} == names
    assert (picture.more, run.is_cut, run.warnings) == (False, False, ())
    made = ma.exclude_claimed(tmp_path, tmp_path / "excluded.txt")
    assert (made.images, made.warnings) == (COPIES, ())
    assert set((tmp_path / "excluded.txt").read_text().split()) == names


def test_a_list_that_is_cut_is_said_until_all_are_listed(
    copied: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, memaudit: Memaudit
) -> None:
    """By the answer, the letter and the list of what is excluded, with exit code 3."""
    with monkeypatch.context() as patch:
        patch.setattr("memaudit.lookup.run.MOST_LISTED", 5)
        alone = ("--views", "none", "--match", "none")
        words = ("--against", copied / "store", "--ledger", tmp_path, "--claimant", WHO, *alone)
        said = memaudit("claims", "answer", copied / "claimed", *words)
        assert (said.code, "of 1 picture more training images match than are listed" in said.out) == (3, True)
        assert "more training images match than are listed" in (tmp_path / "vault/000001/letter.html").read_text()
    said = memaudit("claims", "exclude", "--ledger", tmp_path, "--out", tmp_path / "excluded.txt")
    assert (said.code, "claim 1: of 1 picture the training set may hold more" in said.out) == (3, True)
    assert answer(copied, tmp_path).number == 2
    made = ma.exclude_claimed(tmp_path, tmp_path / "excluded.txt")
    assert (made.images, made.warnings) == (COPIES, ())


def test_what_could_not_be_compared_is_left_open_until_another_answer_has_it(copied: Path, tmp_path: Path) -> None:
    whole = answer(copied, tmp_path).answer
    assert list(open_pictures(whole)) == []
    (picture,) = whole.pictures
    in_part = replace(picture, found=picture.found[:3], why="files were gone")
    part = replace(whole, claim=7, basis=f"{whole.basis} unsettled", pictures=[in_part])
    (left,) = open_pictures(part)
    assert (left.claim, len(left.listed)) == (7, 3)
    later = replace(whole, claim=8)
    assert still_open([left], [part]) == [left]
    assert still_open([left], [part, later]) == []
    assert still_open([left], [whole, part]) == [], "one state of the set, whichever was answered first"
    assert still_open([left], [replace(later, encoder="another")]) == [left]
    changed = replace(later, store="another")
    assert still_open([left], [changed]) == [left]
    of_set = replace(part, training_set="photos")
    gone = replace(changed, training_set="photos", pictures=[replace(picture, found=[])])
    assert still_open(list(open_pictures(of_set)), [gone]) == [], "the same set, without what was excluded"
    assert still_open(list(open_pictures(of_set)), [changed]), "another set"
    assert still_open([left], [replace(later, pictures=[replace(picture, found=picture.found[5:])])]) == [left]
    assert still_open([left], [replace(later, threshold=later.threshold + 0.01)]) == [left]
    families = [replace(picture.found[0], family=[Member(each.image_id, "drop") for each in picture.found[1:]])]
    assert still_open([left], [replace(later, pictures=[replace(picture, found=families)])]) == []
    with_dedup = replace(part, dedup="digest")
    assert still_open(list(open_pictures(with_dedup)), [later]), "the near-duplicates of what it lists besides"
    assert not still_open(list(open_pictures(with_dedup)), [replace(later, dedup="another")])


def test_of_two_states_of_a_set_the_one_that_was_answered_later_counts(copied: Path, tmp_path: Path) -> None:
    """A claim that came in first may be answered last: an answer of an older state says nothing of it."""
    whole = answer(copied, tmp_path).answer
    cut = replace(whole, training_set="photos", pictures=[replace(whole.pictures[0], more=True)])
    older = replace(whole, training_set="photos", store="another", claim=2, created="2026-01-20T08:00:00+00:00")
    for created, is_left in (("2026-03-01T08:00:00+00:00", True), ("2026-01-10T08:00:00+00:00", False)):
        left = list(open_pictures(replace(cut, created=created)))
        assert bool(still_open(left, [older])) == is_left


CLOSELY = SearchedBy(
    floor=0.6,
    own=0.6,
    nearest_from=0.3,
    pixels=True,
    views=view_names("all"),
    windows=("tiles",),
    redrawn=True,
    index="",
    calibration="",
    unmeasured=0,
)
LESS = [
    {"floor": 0.7},
    {"nearest_from": 0.4},
    {"nearest_from": None},
    {"pixels": False},
    {"views": view_names("flips")},
    {"windows": ()},
    {"redrawn": False},
    {"index": "another"},
    {"calibration": "another"},
    {"unmeasured": 0.1},
]


@pytest.mark.parametrize("less", LESS, ids=lambda less: next(iter(less)))
def test_a_search_that_looked_less_closely_is_none_as_close(less: dict[str, object]) -> None:
    other = replace(CLOSELY, **less)
    assert CLOSELY.is_as_close_as(CLOSELY)
    assert not other.is_as_close_as(CLOSELY)
    assert CLOSELY.is_as_close_as(other) == ("calibration" not in less)


def test_where_a_floor_is_named_the_nearest_below_it_are_not_compared(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Unless that floor is as low."""
    monkeypatch.setitem(NEAREST_FLOORS, "thumbnail", 0.3)
    found = []
    for floor in (None, 0.74, 0.3):
        options = {"claimant": WHO, "views": "none", "match_from": floor}
        found.append(ma.answer_claim(project.claimed / "c.png", project.store, tmp_path, **options).answer.searched)
    assert [by.nearest_from for by in found] == [0.3, None, None]
    assert [by.is_as_close_as(found[0]) for by in found] == [True, False, True]


def test_a_weaker_search_settles_nothing(tmp_path: Path) -> None:
    """It lists the same image, and says nothing of the crop that could not be compared."""
    picture = draw(700).resize((256, 256))
    training = write_pictures(tmp_path / "training", range(3))
    copy_of(picture, 8).save(training / "copy.png")
    picture.crop((0, 0, 170, 170)).save(training / "crop.png")
    (tmp_path / "claimed").mkdir()
    picture.save(tmp_path / "claimed" / "picture.png")
    store, ledger = ma.embed(training, out=tmp_path / "store", encoder="thumbnail"), tmp_path / "ledger"

    def asked(**options: object) -> ma.ClaimRun:
        return ma.answer_claim(tmp_path / "claimed", store, ledger, claimant=WHO, **options)

    def left() -> int:
        return len(ma.exclude_claimed(ledger, tmp_path / "excluded.txt").warnings)

    training.rename(tmp_path / "away")
    in_part = asked(match_from=0.3)
    assert (left(), bool(in_part.pictures[0].why)) == (1, True)
    weaker = asked(views="none", match="none")
    assert {each.image_id for each in in_part.pictures[0].found} == {"copy.png"}
    assert {each.image_id for each in weaker.pictures[0].found} == {"copy.png"}
    assert (left(), weaker.warnings) == (1, ())
    (tmp_path / "away").rename(training)
    assert (asked(match_from=0.3).number, left()) == (3, 0)
    assert "crop.png" in (tmp_path / "excluded.txt").read_text()


def test_of_an_earlier_version_what_could_not_be_compared_is_open(copied: Path, tmp_path: Path) -> None:
    """0.3.0 took it for settled, and does not say how closely it searched: one that looks as closely as may be does."""
    whole = answer(copied, tmp_path).answer
    earlier = replace(whole, searched=UNSET)
    assert "searched" not in to_builtins(earlier), "what was answered before keeps its digest"
    assert list(open_pictures(earlier)) == []
    (left,) = open_pictures(replace(earlier, pictures=[replace(whole.pictures[0], why="files were gone")]))
    later = replace(whole, claim=2)
    assert still_open([left], [later, replace(earlier, claim=2)]) == [left]
    assert still_open([left], [replace(later, searched=CLOSELY)]) == []
    for less in ({"floor": 0.74}, {"index": "IVF"}, {"calibration": "another"}, {"views": view_names("flips")}):
        assert still_open([left], [replace(later, searched=replace(CLOSELY, **less))]) == [left]


def test_a_blank_picture_that_is_there_byte_for_byte_is_decided(project: Project, tmp_path: Path) -> None:
    """Nothing could be compared with it, and nothing had to be: of what became of it nothing is unknown."""
    training = tmp_path / "training"
    training.mkdir()
    shutil.copy(project.claimed / "d.png", training / "blank.png")
    shutil.copy(project.claimed / "a.png", training)
    store = ma.embed(training, out=tmp_path / "store", encoder="thumbnail")
    run = ma.answer_claim(project.claimed / "d.png", store, tmp_path / "ledger", claimant=WHO, views="none")
    (picture,) = run.pictures
    assert (picture.outcome, picture.why, picture.is_whole, run.warnings) == ("exact", "", True, ())
    dropped = replace(picture, found=[replace(picture.found[0], decision="drop")])
    assert dropped.fate == "dropped"
    assert ma.exclude_claimed(tmp_path / "ledger", tmp_path / "excluded.txt").warnings == ()


def test_of_a_picture_that_cannot_be_read_other_copies_may_be_there(tmp_path: Path) -> None:
    """Though it is there byte for byte: nothing was searched with it."""
    training = write_pictures(tmp_path / "training", range(2))
    (training / "broken.png").write_bytes(b"\x89PNG no picture")
    store = ma.embed(training, out=tmp_path / "store", encoder="thumbnail", max_unreadable=1)
    options = {"claimant": WHO, "views": "none", "max_unreadable": 1}
    run = ma.answer_claim(training / "broken.png", store, tmp_path / "ledger", **options)
    (picture,) = run.pictures
    assert (picture.outcome, bool(picture.why), picture.is_whole, len(run.warnings)) == ("exact", True, False, 1)
    assert "Of 1 that was found, further images could not be compared." in run.letter.read_text()
    assert replace(picture, found=[replace(picture.found[0], decision="drop")]).fate == "not known"


def test_what_is_a_match_by_its_similarity_leaves_nothing_open() -> None:
    """Though its file is gone; what is none by that may be one."""
    match = LookupMatch("x", 0.99, "whole", "", "", "a", kind="near")
    for candidates, why in ((1, ""), (2, "gone")):
        told = Answer("p", "b", Status.OK, "", (match,), candidates=candidates, compared=0, why=("gone",))
        (picture,) = answered([told], False, Families({}, {}), {})
        assert (picture.outcome, picture.why, picture.is_whole) == ("altered", why, not why)


def test_a_family_is_named_once() -> None:
    """A thousand copies of one family would else name it a thousand times."""
    group = [Member(name, "drop") for name in "abc"]
    matches = tuple(LookupMatch(name, 0.99, "whole", "", "", name, kind="near", compared=True) for name in "xabc")
    told = Answer("p", "p", Status.OK, "", matches, candidates=4, compared=4)
    (picture,) = answered([told], False, Families(dict.fromkeys("abc", 0), {0: group}), {})
    assert [[each.image_id for each in image.family] for image in picture.found] == [[], ["b", "c"], [], []]


@pytest.mark.parametrize(("how", "named"), [("altered", "abc"), ("exact", "abc"), ("part", "x"), ("re-drawn", "")])
def test_a_family_is_claimed_by_any_of_it(copied: Path, tmp_path: Path, how: str, named: str) -> None:
    """It is named with the first that is listed, which is the same file; another one of it is altered."""
    whole = answer(copied, tmp_path).answer
    first = replace(found("a", "drop", how="exact"), family=[Member(name, "drop") for name in "bc"])
    picture = shown(first, found("b", "drop"), found("x", "keep", how="part"))
    assert set(_claimed(replace(whole, pictures=[picture]), [how])) == set(named)


def found(image_id: str, decision: str, *family: str, how: str = "altered") -> FoundImage:
    members = [Member(f"{image_id}{number}", each) for number, each in enumerate(family)]
    facts = {"kind": "near", "similarity": 0.9, "view": "whole", "verified": True, "probability": None}
    return FoundImage(image_id=image_id, how=how, sha256="", uri="", decision=decision, family=members, **facts)


def shown(*images: FoundImage, **facts: object) -> PictureAnswer:
    return PictureAnswer(name="p.png", sha256="p", outcome=images[0].how, found=list(images), **facts)


FATES = [
    (shown(found("a", "drop"), found("b", "keep")), "kept"),
    (shown(found("a", "drop"), found("b", "drop", "keep")), "dropped, and a near-duplicate of it kept"),
    (shown(found("a", "drop", "drop"), found("b", "drop")), "dropped"),
    (shown(found("a", "drop"), found("b", "keep", how="re-drawn")), "dropped"),
    (shown(found("a", "keep", how="re-drawn")), "kept"),
    (shown(found("a", "drop"), more=True), "not known"),
    (shown(found("a", "drop"), why="files were gone"), "not known"),
    (shown(found("a", "drop"), found("b", "keep"), more=True), "kept"),
    (shown(found("a", "unreadable")), "not known"),
]


@pytest.mark.parametrize(("picture", "fate"), FATES)
def test_what_became_of_a_picture_is_of_all_that_shows_it(picture: PictureAnswer, fate: str) -> None:
    """Not of the first alone; and where not all are listed, nothing is said to be gone."""
    assert picture.fate == fate


def test_the_letter_says_dropped_of_what_is_gone_alone(project: Project, tmp_path: Path) -> None:
    run = ma.answer_claim(project.claimed, project.store, tmp_path, claimant=WHO, dedup=project.dedup, views="none")
    kept = read_kept(tmp_path, 1)

    def told(*pictures: PictureAnswer) -> str:
        write_letter(tmp_path / "letter.html", replace(run.answer, pictures=list(pictures)), kept, "line")
        return (tmp_path / "letter.html").read_text()

    by_fate = {fate: picture for picture, fate in FATES if picture.outcome != "re-drawn"}
    assert "Of 1 of the pictures that were found nothing was kept" in told(by_fate["dropped"])
    text = told(by_fate["kept"])
    assert "None of the pictures that were found was dropped with all of its near-duplicates." in text
    assert '<span class="tag keep">kept</span>' in text
    text = told(by_fate["not known"])
    assert "Of 1 it is not known: no image that is listed was kept, and there may be others." in text
    assert "nothing was kept" not in text
    assert "None of the pictures" not in text


def given(generation: str, image_id: str, kind: str = "near-verbatim") -> GivenBack:
    facts = {"audit": "a", "model": "m", "similarity": 0.9, "verified": True}
    return GivenBack(generation=generation, image_id=image_id, kind=kind, **facts)


def test_what_is_drawn_anew_did_not_come_back(project: Project, tmp_path: Path) -> None:
    """Neither a generation that is a training image drawn anew, nor one that shows what is the picture drawn anew."""
    copy = shown(found("a", "keep"), given_back=[given("1", "a"), given("2", "a", "re-drawn")])
    anew = shown(found("a", "keep"), given_back=[given("2", "a", "re-drawn")])
    other = shown(found("b", "keep", how="re-drawn"), given_back=[given("3", "b")])
    assert [[each.generation for each in one.came_back] for one in (copy, anew, other)] == [["1"], [], []]
    run = ma.answer_claim(project.claimed, project.store, tmp_path, claimant=WHO, audits=[project.audit], views="none")
    told = replace(run.answer, pictures=[anew, other])
    assert (told.given_back, told.given_back_anew) == (0, 2)
    write_letter(tmp_path / "letter.html", told, read_kept(tmp_path, 1), "line")
    text = (tmp_path / "letter.html").read_text()
    assert "No generation there shows one of the pictures." in text
    assert "2 more came back drawn anew, which is no copy." in text


def tables(folder: Path, ranks: list[int], matches: list[int], prompts: tuple[int, ...] = ()) -> tuple[Path, Path]:
    own = [place in prompts for place in range(len(ranks))]
    pq.write_table(pa.table({"rank": ranks, "is_prompts_image": own}), folder / "matches.parquet")
    pq.write_table(pa.table({"matches": matches}), folder / "scores.parquet")
    return folder / "matches.parquet", folder / "scores.parquet"


def test_generations_of_which_an_audit_lists_some_matches_are_known(tmp_path: Path) -> None:
    """Ten of each by default; the image of the prompt is listed wherever it stands."""
    ten = list(range(1, 11))
    assert cut_in(*tables(tmp_path, [*ten, *ten, 1, 2], [30, 12, 2])) == 2
    assert cut_in(*tables(tmp_path, [*ten[:9], 14], [14], prompts=(9,))) == 1
    assert cut_in(*tables(tmp_path, [1, 2, 3, 1, 2, 3, 1], [8, 3, 1])) == 1
    assert cut_in(*tables(tmp_path, [1, 2, 1], [2, 1])) == 0
    assert cut_in(*tables(tmp_path, [1], [1])) == 0


def test_where_some_kinds_count_alone_any_generation_may_show_more(project: Project, tmp_path: Path) -> None:
    """Such an audit lists the first match of another kind, of a generation without one that counts."""
    table = {"rank": [1, 2, 1, 1], "kind": ["verbatim", "verbatim", "near-duplicate", "re-drawn"]}
    pq.write_table(pa.table(table), tmp_path / "matches.parquet")
    assert cut_in(tmp_path / "matches.parquet", tmp_path / "none", ["verbatim"]) == 2
    generations = project.store.parent / "generations"
    few = ma.run_audit(generations, project.store, out=tmp_path / "audit", planted=0, kinds="verbatim")
    options = {"claimant": WHO, "views": "none", "match": "none"}
    run = ma.answer_claim(project.claimed / "a.png", project.store, tmp_path / "ledger", audits=[few], **options)
    assert (run.answer.given_back, run.answer.audits[0].cut) == (0, 1)
    text = run.letter.read_text()
    assert "No generation there shows" not in text
    assert "Of 1 generation not all matches are known." in text


@pytest.mark.parametrize("cut", [0, 2])
def test_no_generation_shows_it_is_said_where_all_matches_are_known(project: Project, tmp_path: Path, cut: int) -> None:
    run = ma.answer_claim(
        project.claimed / "a.png", project.store, tmp_path, claimant=WHO, audits=[project.audit], views="none"
    )
    (seen,) = run.answer.audits
    assert "cut" not in to_builtins(seen), "what was answered before keeps its digest"
    told = replace(run.answer, audits=[replace(seen, cut=cut)])
    write_letter(tmp_path / "letter.html", told, read_kept(tmp_path, 1), "line")
    text = (tmp_path / "letter.html").read_text()
    assert ("No generation there shows one of the pictures." in text) == (not cut)
    assert ("Of 2 generations not all matches are known." in text) == bool(cut)
    for facts in ({"more": True}, {"why": "files were gone"}, {"outcome": "not decided", "found": []}):
        part = replace(run.answer, pictures=[replace(run.pictures[0], **facts)])
        write_letter(tmp_path / "letter.html", part, read_kept(tmp_path, 1), "line")
        assert "No generation there shows" not in (tmp_path / "letter.html").read_text()


def test_pictures_of_the_set_in_another_form_are_told_by_their_number(project: Project, tmp_path: Path) -> None:
    """They were not searched. What their files are called is nobody's business."""
    training, options = write_pictures(tmp_path / "training", range(2)), {"claimant": WHO, "views": "none"}
    store = ma.embed(training, out=tmp_path / "store", encoder="thumbnail")
    run = ma.answer_claim(project.claimed / "a.png", store, tmp_path / "ledger", **options)
    assert (run.answer.unsearched, run.answer.not_read) == (0, [])
    np.save(training / "held-by-us.npy", np.zeros((30, 8, 8, 3), np.uint8))
    store = ma.embed(training, out=tmp_path / "store", encoder="thumbnail")
    run = ma.answer_claim(project.claimed / "a.png", store, tmp_path / "ledger", **options)
    line = "training images: 30 pictures of the set's sources, in another form, are not in its store"
    assert (run.number, run.answer.unsearched, run.answer.not_read) == (2, 30, [line])
    text = run.letter.read_text()
    told = "30 pictures or more that belong to the training set, in a form that cannot be read here, were not searched."
    assert told in text
    assert "held-by-us" not in text + json.dumps(ma.show_claims(tmp_path / "ledger", [2]))
    earlier = replace(run.answer, unsearched=UNSET)
    assert "unsearched" not in to_builtins(earlier), "what was answered before keeps its digest"
    write_letter(tmp_path / "letter.html", earlier, read_kept(tmp_path / "ledger", 2), "line")
    assert "in a form that" not in (tmp_path / "letter.html").read_text()


def test_what_is_shown_of_a_claim_names_no_place(project: Project, tmp_path: Path) -> None:
    """Who asks what is kept of him is told names of files, and not where they lie here."""
    shutil.copytree(project.claimed, tmp_path / "in")
    (tmp_path / "in" / "notes.txt").write_text("no picture")
    run = ma.answer_claim(tmp_path / "in", project.store, tmp_path / "ledger", claimant=WHO, views="none")
    (told,) = ma.show_claims(tmp_path / "ledger", [1])
    text = json.dumps(told)
    for place in (tmp_path, project.store.parent):
        assert str(place) not in text
    assert [each["name"] for each in told["kept"]["pictures"]] == [f"{name}.png" for name in "abcde"]  # type: ignore[index]
    assert [each["name"] for each in told["answer"]["pictures"]] == [f"{name}.png" for name in "abcde"]  # type: ignore[index]
    assert told["answer"]["pictures"][0]["found"][0]["uri"] == "0003.png"  # type: ignore[index]
    assert told["letter"] == "vault/000001/letter.html"
    assert (tmp_path / "ledger" / str(told["letter"])) == run.letter


def test_a_source_with_a_colon_is_named_without_its_folders() -> None:
    rest = "not read, and they may hold what is looked for: 1 pictures in arrays in 1 file (a.npy)"
    assert _sentence(f"/home/secret: mine/b/in: {rest}") == f"in: {rest}"
    assert (
        _sentence("2 files hold no image and were not read: 2 .txt")
        == "2 files hold no image and were not read: 2 .txt"
    )


def test_an_answer_that_could_not_be_read_again_is_not_written(
    copied: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All other claims are still excluded."""
    answer(copied, tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr("memaudit.claims.vault.MOST_JSON", 1 << 10)
        with pytest.raises(InputError, match=r"the answer to claim 2 .* with fewer each, and delete this one"):
            ma.answer_claim(copied / "claimed", copied / "store", tmp_path, claimant="S. Holder", match="none")
    assert not (tmp_path / "vault/000002/answer.json").exists()
    assert [(each.number, each.state) for each in ma.list_claims(tmp_path)] == [(2, "open"), (1, "answered")]
    assert ma.exclude_claimed(tmp_path, tmp_path / "excluded.txt").images == COPIES


def test_captions_are_not_held_for_all_matches(copied: Path) -> None:
    """Of a thousand of each picture: no answer tells them."""
    store = Store.open(copied / "store")
    options = LookupOptions(views_of("none"), match="none", all_matches=True)
    assert "caption" in LookupOptions(views_of("none")).told
    found = look_up(iter_images([copied / "claimed"]), ExactSearch(store), load_encoder("thumbnail"), options)
    (told,) = with_same_files(found).answers
    assert len(told.matches) == COPIES
    assert {match.caption for match in (*told.matches, told.nearest)} == {""}


IDS = [
    ("/home/secret/x.png", "x.png"),
    ("s3://secret/x.png", "x.png"),
    ("list.csv//home/secret/x.png", "x.png"),
    ("https://example.org/a/x.png", "https://example.org/a/x.png"),
    ("cats/x.png", "cats/x.png"),
    ("part.tar/x.png", "part.tar/x.png"),
]


@pytest.mark.parametrize(("image_id", "shown"), IDS)
def test_an_image_id_that_is_a_place_is_named_by_its_last_part(image_id: str, shown: str) -> None:
    assert id_without_place(image_id) == shown


def test_a_training_set_that_is_listed_by_whole_paths_is_not_told_of(project: Project, tmp_path: Path) -> None:
    """A manifest without ids calls an image by its path: neither what is shown nor the letter has it, the list of what
    is excluded does."""
    private = tmp_path / "held-by-us"
    training = write_pictures(private / "training", range(3, 6))
    altered(draw(3)).save(training / "other.png")
    listed = tmp_path / "list.csv"
    listed.write_text("\n".join(["path", *map(str, sorted(training.iterdir()))]))
    store, ledger = ma.embed(listed, out=tmp_path / "store", encoder="thumbnail"), tmp_path / "ledger"
    dedup = ma.run_dedup(store, out=tmp_path / "dedup")
    audit = ma.run_audit(listed, store, out=tmp_path / "audit", planted=0)
    options = {"claimant": WHO, "dedup": dedup, "audits": [audit], "views": "none"}
    run = ma.answer_claim(project.claimed / "a.png", store, ledger, **options)
    (picture,) = run.pictures
    assert (bool(picture.found[0].family), bool(picture.given_back)) == (True, True)
    text = run.letter.read_text()
    assert "held-by-us" not in text + json.dumps(ma.show_claims(ledger, [1]))
    assert "shows 0003.png" in text
    ma.exclude_claimed(ledger, tmp_path / "excluded.txt")
    assert str(training / "0003.png") in (tmp_path / "excluded.txt").read_text().split()
