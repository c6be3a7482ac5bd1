"""A picture that stands in the training set many times: all of it is listed and excluded, or it is said what is not."""

from __future__ import annotations

import io
import json
import shutil
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from calls import Memaudit
from claimed import Project
from msgspec import to_builtins
from msgspec.structs import replace
from pictures import draw, write_pictures
from PIL import Image

import memaudit as ma
from memaudit.claims.answer import FoundImage, PictureAnswer, answered
from memaudit.claims.families import Families, Member
from memaudit.claims.given_back import GivenBack, cut_in
from memaudit.claims.left_open import open_pictures, still_open
from memaudit.claims.letter import write_letter
from memaudit.claims.vault import read_kept
from memaudit.lookup.results import Answer, LookupMatch
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
    assert still_open([left], [part]) == [left]
    assert still_open([left], [part, whole]) == []
    assert still_open([left], [replace(whole, store="another")]) == [left]
    assert still_open([left], [replace(whole, pictures=[replace(picture, found=picture.found[5:])])]) == [left]


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
    assert ("Of 2 generations only the closest matches are known." in text) == bool(cut)
    for facts in ({"more": True}, {"why": "files were gone"}, {"outcome": "not decided", "found": []}):
        part = replace(run.answer, pictures=[replace(run.pictures[0], **facts)])
        write_letter(tmp_path / "letter.html", part, read_kept(tmp_path, 1), "line")
        assert "No generation there shows" not in (tmp_path / "letter.html").read_text()


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
