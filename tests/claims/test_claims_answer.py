"""Claims: what is said of each picture, kept of who asked, shown, deleted, and excluded from training."""

from __future__ import annotations

import json
import os
import shutil
from datetime import date
from pathlib import Path

import msgspec
import pyarrow.parquet as pq
import pytest
from claimed import Project

import memaudit as ma
from memaudit.claims.answer import how_of
from memaudit.claims.places import answer_without_places
from memaudit.claims.vault import salted
from memaudit.cli.app import run
from memaudit.errors import EmptyInputError, InconclusiveError, InputError, UsageError
from memaudit.lookup.results import LookupMatch
from memaudit.matching.kinds import Kind
from memaudit.matching.shortfalls import Shortfall
from memaudit.matching.windows import Windows
from memaudit.store import NO_FILE

WHO = "R. Holder"


def answered(project: Project, ledger: Path, name: str = WHO) -> ma.ClaimRun:
    return ma.answer_claim(
        project.claimed, project.store, ledger, claimant=name, dedup=project.dedup, audits=[project.audit]
    )


@pytest.fixture(scope="module")
def ledger(project: Project, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """With one answered claim; nothing changes it."""
    folder = tmp_path_factory.mktemp("ledger")
    answered(project, folder)
    return folder


def test_each_picture_has_its_answer(project: Project, ledger: Path) -> None:
    """The same file with the family that dedup put it into, an altered copy that a model gave back, and what is not
    found apart from what could not be looked at."""
    run = answered(project, ledger)
    assert run.repeated
    by_name = {Path(each.name).name: each for each in run.pictures}
    assert {name: each.outcome for name, each in by_name.items()} == {
        "a.png": "exact",
        "b.png": "altered",
        "c.png": "not found",
        "d.png": "not decided",
        "e.png": "not decided",
    }
    same, copy = by_name["a.png"].found[0], by_name["b.png"].found[0]
    assert (same.image_id, [(each.image_id, each.decision) for each in same.family]) == (
        "0003.png",
        [("0009.png", "drop")],
    )
    assert (same.decision, copy.image_id, copy.family) == ("keep", "0005.png", [])
    (given,) = by_name["b.png"].given_back
    assert (given.model, given.generation, given.image_id) == ("one", "copy.png", "0005.png")
    assert by_name["a.png"].given_back == []
    assert by_name["d.png"].why.startswith("blank")
    assert (run.counts["exact"], run.answer.given_back, run.answer.dropped, run.outcome) == (1, 1, 0, "found")


def test_the_same_file_is_found_whatever_the_search_says(project: Project, tmp_path: Path) -> None:
    """Also of a blank picture, of which there is nothing to compare."""
    training = tmp_path / "training"
    training.mkdir()
    for name in ("d.png", "c.png"):
        (training / name).write_bytes((project.claimed / name).read_bytes())
    store = ma.embed(training, out=tmp_path / "store", encoder="thumbnail")
    run = ma.answer_claim(project.claimed / "d.png", store, tmp_path / "ledger", claimant=WHO, views="none")
    assert [(each.outcome, each.found[0].image_id) for each in run.pictures] == [("exact", "d.png")]


@pytest.mark.parametrize(
    ("kind", "view", "sha256", "how"),
    [
        (Kind.VERBATIM, "whole", "a", "exact"),
        (Kind.VERBATIM, "whole", "b", "altered"),
        (Kind.TEMPLATE, "mirrored", "b", "altered"),
        (Kind.PARTIAL, "whole", "b", "part"),
        (Kind.NEAR, "tile 0.5 1 1", "b", "part"),
        (Kind.NEAR, "turned 90", "b", "altered"),
        (Kind.REDRAWN, "whole", "b", "re-drawn"),
        (Kind.NEAR, "whole", NO_FILE, "altered"),
    ],
)
def test_how_a_training_image_shows_a_picture(kind: str, view: str, sha256: str, how: str) -> None:
    assert (
        how_of(LookupMatch("x", 0.9, view, "", "", sha256, kind=str(kind)), "a" if sha256 != NO_FILE else NO_FILE)
        == how
    )


def test_what_a_training_set_lacks_leaves_not_found_undecided(project: Project, tmp_path: Path) -> None:
    """A picture that is not in what could be read may be in the rest."""
    training = tmp_path / "training"
    training.mkdir()
    (training / "c.png").write_bytes((project.claimed / "c.png").read_bytes())
    (training / "e.png").write_bytes(b"no picture")
    store = ma.embed(training, out=tmp_path / "store", encoder="thumbnail", max_unreadable=1)
    run = ma.answer_claim(project.claimed / "b.png", store, tmp_path / "ledger", claimant=WHO, views="none")
    assert (run.pictures[0].outcome, run.outcome) == ("not decided", "could not decide")
    assert "only 1 of 2 training images" in run.answer.doubts[0]
    assert "What was not searched: only 1 of 2" in run.letter.read_text()
    lenient, again = (
        ma.answer_claim(
            project.claimed / "b.png", store, tmp_path / "ledger", claimant=WHO, views="none", max_unreadable=share
        )
        for share in (1, 0.01)
    )
    assert (lenient.outcome, again.outcome) == ("nothing found", "could not decide"), "under other conditions"
    assert not again.repeated, "what is undecided is searched again"
    assert len({run.number, lenient.number, again.number}) == 3


def test_who_asked_is_told_no_place(project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What to do about tiles that are gone is said to whoever answers."""
    lost = [Shortfall("only 1 of 9 tiles could be embedded", f"delete {tmp_path}/tiles")]
    monkeypatch.setattr(Windows, "lost", lambda self, allowed: lost)
    run = ma.answer_claim(project.claimed / "c.png", project.store, tmp_path / "ledger", claimant=WHO, views="none")
    assert "What was not searched: only 1 of 9 tiles could be embedded." in run.letter.read_text()
    assert str(tmp_path) not in run.letter.read_text()
    assert str(lost[0]) == f"only 1 of 9 tiles could be embedded (delete {tmp_path}/tiles)"


def test_only_salted_digests_are_in_the_ledger(project: Project, ledger: Path) -> None:
    """Names, pictures and the salt lie in the vault, for their owner alone; with the salt digests can be checked."""
    text = (ledger / "ledger.jsonl").read_text()
    kept = json.loads((ledger / "vault" / "000001" / "claim.json").read_text())
    for secret in (WHO, kept["salt"], *(each["sha256"] for each in kept["pictures"] if each["sha256"]), "0003.png"):
        assert secret not in text
    line = json.loads(text.splitlines()[1])
    assert line["asked_digest"] == salted(kept["salt"], kept["pictures"])
    assert line["claimant_digest"] == salted(kept["salt"], [WHO, ""])
    places = [ledger / "vault", *(ledger / "vault").rglob("*")]
    assert {oct(place.stat().st_mode & 0o777) for place in places} == {"0o700", "0o600"}


def test_the_letter_is_one_file_and_says_what_was_found(project: Project, ledger: Path) -> None:
    """Of who asked as he wrote it: nothing of that is markup."""
    text = (ledger / "vault" / "000001" / "letter.html").read_text()
    line = ma.verify_claims(ledger).head
    for words in ("Answer to claim 1", WHO, "the same file", "an altered copy", "given back", line, "data:image/jpeg"):
        assert words in text
    assert "None of the pictures that were found was dropped with all of its near-duplicates." in text
    assert "http://" not in text
    assert "https://" not in text


def test_markup_of_who_asked_is_none_in_the_letter(project: Project, tmp_path: Path) -> None:
    run = ma.answer_claim(
        project.claimed / "c.png", project.store, tmp_path, claimant="<script>alert(1)</script>", views="none"
    )
    assert "<script" not in run.letter.read_text()


def test_shown_deleted_and_verified(project: Project, tmp_path: Path) -> None:
    """Deleted, nothing is left of who asked, and the chain verifies; another one's claim stays."""
    first, second = answered(project, tmp_path), answered(project, tmp_path, "Another")
    assert (first.number, second.number) == (1, 2)
    (shown,) = ma.show_claims(tmp_path, claimant="r. holder")
    assert shown["claim"] == 1
    assert shown["answer"] == msgspec.to_builtins(answer_without_places(first.answer))
    assert len(shown["lines"]) == 2  # type: ignore[arg-type]
    assert ma.delete_claims(tmp_path, [1]) == [1]
    assert ma.delete_claims(tmp_path, [1]) == [1]
    everything = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    assert WHO.encode() not in everything
    found = ma.verify_claims(tmp_path, line=first.line)
    assert (found.faults, found.lines) == ((), 6)
    assert [(each.number, each.state, each.claimant) for each in ma.list_claims(tmp_path)] == [
        (1, "deleted", ""),
        (2, "answered", "Another"),
    ]
    assert answered(project, tmp_path).number == 3
    with pytest.raises(UsageError, match="there is no claim 9"):
        ma.delete_claims(tmp_path, [9])
    with pytest.raises(UsageError, match="one of both"):
        ma.show_claims(tmp_path, [1], claimant="Another")


def test_a_deletion_that_was_killed_is_named_and_taken_up(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the vault and the ledger; what was left of the folder goes with it."""
    answered(project, tmp_path)

    def killed(*arguments: object, **named: object) -> None:
        raise KeyboardInterrupt

    for place in ("memaudit.claims.vault.shutil.rmtree", "memaudit.claims.intake.Deleted"):
        with monkeypatch.context() as patch:
            patch.setattr(place, killed)
            with pytest.raises(KeyboardInterrupt):
                ma.delete_claims(tmp_path, [1])
        assert "is gone, and no line says so" in ma.verify_claims(tmp_path).faults[0]
        with pytest.raises(InputError, match="or delete the claim"):
            ma.list_claims(tmp_path)
    assert ma.delete_claims(tmp_path, [1]) == [1]
    assert ma.verify_claims(tmp_path).faults == ()
    assert list((tmp_path / "vault").iterdir()) == []


def test_what_was_changed_in_the_vault_is_named(project: Project, tmp_path: Path) -> None:
    answered(project, tmp_path)
    place = tmp_path / "vault" / "000001"
    for name, old, new in (
        ("claim.json", WHO, "R. Holdem"),
        ("claim.json", '"due": "2', '"due": "3'),
        ("claim.json", '"received": "2', '"received": "1'),
        ("answer.json", '"altered"', '"exact"'),
    ):
        before = (place / name).read_text()
        (place / name).write_text(before.replace(old, new))
        assert name in ma.verify_claims(tmp_path).faults[0]
        (place / name).write_text(before)
    (place / "claim.json").rename(tmp_path / "aside")
    assert "is gone, and no line says so" in ma.verify_claims(tmp_path).faults[0]


def test_an_answer_that_was_changed_does_not_stand(project: Project, tmp_path: Path) -> None:
    """It was told again, and a letter that was gone was made of it."""
    answered(project, tmp_path)
    place = tmp_path / "vault/000001/answer.json"
    place.write_text(place.read_text().replace('"altered"', '"not found"'))
    (place.parent / "letter.html").unlink()
    with pytest.raises(InputError, match="not what was answered; restore it"):
        answered(project, tmp_path)
    assert not (place.parent / "letter.html").exists()
    place.unlink()
    assert "claim 1: " in ma.verify_claims(tmp_path).faults[0]


@pytest.mark.parametrize("name", ["000007", "000001 (copy)"])
def test_a_copy_of_what_is_kept_is_named(project: Project, tmp_path: Path, name: str) -> None:
    """It holds who asked, and the salt, after the claim was deleted; and no other claim is kept in it."""
    ma.receive_claim(project.claimed, tmp_path, claimant=WHO)
    copy = tmp_path / "vault" / name
    shutil.copytree(tmp_path / "vault/000001", copy)
    assert ma.delete_claims(tmp_path, claimant=WHO) == [1]
    (fault,) = ma.verify_claims(tmp_path).faults
    assert fault.startswith(f"{copy} is of no claim of the ledger")
    assert ma.receive_claim(project.claimed, tmp_path, claimant="Another") == (8 if name == "000007" else 2)


def test_all_that_is_kept_is_shown(project: Project, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The command cut it after 300 characters."""
    answered(project, tmp_path)
    assert run(["claims", "show", "1", "--ledger", str(tmp_path)]) == 0
    assert capsys.readouterr().out == json.dumps(ma.show_claims(tmp_path, [1])[0], ensure_ascii=False, indent=2) + "\n"


def test_a_claim_whose_day_was_changed_is_not_answered(project: Project, tmp_path: Path) -> None:
    """The letter would name it."""
    ma.receive_claim(project.claimed, tmp_path, claimant=WHO, received="2026-01-31", days=28)
    place = tmp_path / "vault/000001/claim.json"
    place.write_text(place.read_text().replace('"due": "2026-02-28"', '"due": "2026-02-08"'))
    with pytest.raises(ma.errors.InputError, match="not what was received; restore it"):
        answered(project, tmp_path)


def test_a_claim_is_received_and_due(project: Project, tmp_path: Path) -> None:
    """Then answered: by the same person on the same pictures it is the same claim. Of another state of the training
    set it is another one."""
    number = ma.receive_claim(project.claimed, tmp_path, claimant=WHO, received="2026-01-31", days=28)
    assert ma.receive_claim(project.claimed, tmp_path, claimant=WHO) == number == 1
    (state,) = ma.list_claims(tmp_path, today="2026-02-28")
    assert (state.state, state.due, state.pictures) == ("open", "2026-02-28", 5)
    assert ma.list_claims(tmp_path, today="2026-03-01")[0].state == "overdue"
    assert answered(project, tmp_path).number == 1
    other = ma.answer_claim(project.claimed, project.store, tmp_path, claimant=WHO, views="none", match="none")
    assert other.number == 2
    assert "Before training" not in other.letter.read_text()


def test_whoever_asks_may_be_called_anything(project: Project, tmp_path: Path) -> None:
    """A name with blanks and line breaks about it is found again, and deleted, by what is seen of it."""
    name = " Eve\n\33[2JBob \n"
    assert ma.receive_claim(project.claimed, tmp_path, claimant=name) == 1
    assert [shown["claim"] for shown in ma.show_claims(tmp_path, claimant=name.strip())] == [1]
    assert "Eve" not in (tmp_path / "ledger.jsonl").read_text()
    assert ma.delete_claims(tmp_path, claimant=name) == [1]
    assert ma.verify_claims(tmp_path).faults == ()


def test_a_clock_that_goes_back_breaks_nothing(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Lines follow one another by their digests, not by their times."""
    ma.receive_claim(project.claimed, tmp_path, claimant=WHO)
    monkeypatch.setattr("memaudit.claims.intake.now", lambda: "2020-01-01T00:00:00+00:00")
    monkeypatch.setattr("memaudit.api.claims.today", lambda: date(2020, 1, 1))
    assert ma.receive_claim(project.claimed, tmp_path, claimant="Another") == 2
    assert ma.delete_claims(tmp_path, [1]) == [1]
    assert ma.verify_claims(tmp_path).faults == ()
    assert [state.number for state in ma.list_claims(tmp_path, today="2020-01-01")] == [2, 1]


def test_what_claims_found_is_excluded(project: Project, tmp_path: Path) -> None:
    """With its near-duplicates; what the list names stays there when the claim is deleted."""
    answered(project, tmp_path / "ledger")
    path = tmp_path / "excluded.txt"
    path.write_text("other.png\n")
    assert ma.exclude_claimed(tmp_path / "ledger", path, hows="exact").images == 3
    made = ma.exclude_claimed(tmp_path / "ledger", path)
    assert (made.images, made.added) == (4, 1)
    ma.delete_claims(tmp_path / "ledger", claimant=WHO)
    assert ma.exclude_claimed(tmp_path / "ledger", path).added == 0
    assert path.read_text().split() == ["0003.png", "0005.png", "0009.png", "other.png"]
    exported = ma.export(project.dedup, tmp_path / "kept", to="manifest", drop=path)
    assert (exported.samples.kept, exported.samples.dropped) == (9, 3)
    ids = pq.read_table(tmp_path / "kept" / "manifest.parquet")["image_id"].to_pylist()
    assert not {"0003.png", "0005.png", "0009.png"} & set(ids)
    with pytest.raises(UsageError, match="--drop"):
        ma.export(project.dedup, tmp_path / "kept", to="manifest")


@pytest.mark.parametrize("name", ["dedup/keep.txt", "training.csv"])
def test_nothing_is_excluded_into_another_list(name: str, project: Project, tmp_path: Path) -> None:
    """What a claim found was added to what a run keeps; and a manifest was sorted, with its head."""
    answered(project, tmp_path / "ledger")
    (tmp_path / "dedup").mkdir()
    for each in ("keep.txt", "report.json"):
        shutil.copy(project.dedup / each, tmp_path / "dedup")
    (tmp_path / "training.csv").write_text("path,image_id\na.png,a\n")
    before = (tmp_path / name).read_bytes()
    with pytest.raises(UsageError, match="is no list of what is excluded: name a new file"):
        ma.exclude_claimed(tmp_path / "ledger", tmp_path / name)
    assert (tmp_path / name).read_bytes() == before


def test_what_is_not_answered_is_not_excluded(project: Project, tmp_path: Path) -> None:
    """And the ledger takes no list's place."""
    ledger = tmp_path / "ledger"
    ma.receive_claim(project.claimed, ledger, claimant=WHO)
    (warning,) = ma.exclude_claimed(ledger, tmp_path / "excluded.txt").warnings
    assert warning.startswith("claim 1 has no answer yet")
    answered(project, ledger)
    assert ma.exclude_claimed(ledger, tmp_path / "excluded.txt").warnings == ()
    with pytest.raises(UsageError, match="is a part of the ledger"):
        ma.exclude_claimed(ledger, ledger / "ledger.jsonl")
    assert ma.verify_claims(ledger).faults == ()


def test_wrong_input_is_refused(project: Project, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="say who asks"):
        answered(project, tmp_path, "  ")
    with pytest.raises(UsageError, match="is no day"):
        ma.receive_claim(project.claimed, tmp_path, claimant=WHO, received="yesterday")
    with pytest.raises(UsageError, match="is to come"):
        ma.receive_claim(project.claimed, tmp_path, claimant=WHO, received="2999-01-01")
    with pytest.raises(UsageError, match="--days 0"):
        ma.receive_claim(project.claimed, tmp_path, claimant=WHO, days=0)
    (tmp_path / "none").mkdir()
    with pytest.raises(EmptyInputError):
        ma.receive_claim(tmp_path / "none", tmp_path / "ledger", claimant=WHO)
    with pytest.raises(InputError, match="holds no ledger"):
        ma.list_claims(tmp_path / "none")
    with pytest.raises(UsageError, match="--how"):
        ma.exclude_claimed(tmp_path / "none", tmp_path / "list", hows="alike")
    with pytest.raises(InputError, match="takes a run of memaudit audit"):
        ma.answer_claim(project.claimed, project.store, tmp_path, claimant=WHO, audits=[project.dedup])
    other = ma.embed(project.claimed / "c.png", out=tmp_path / "other", encoder="thumbnail")
    with pytest.raises(InconclusiveError, match="another store"):
        ma.answer_claim(project.claimed, other, tmp_path, claimant=WHO, audits=[project.audit])
    assert not os.path.exists(tmp_path / "ledger.jsonl")
