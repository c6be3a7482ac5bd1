"""Four sentences that a board reads: in each situation they say what is known, and what is not, in plain words."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
from audited_page import compared_faces, write_audited
from msgspec import UNSET, structs

from memaudit import types
from memaudit.encoders.encoder import spec_of
from memaudit.encoders.specs import families
from memaudit.report.board import Board, board_of
from memaudit.report.document import Bound, inconclusive_report, make_report
from memaudit.report.model import (
    About,
    AllCopies,
    AuditResults,
    ByPrompt,
    Control,
    Coverage,
    FaceAuditResults,
    ImageMatch,
    Rate,
    Seeds,
    WeightedRate,
    coverage_of,
    rate_of,
)
from memaudit.statistics import rate_of as rate
from memaudit.types import Coverage as Measured

NBSP = "\N{NO-BREAK SPACE}"
OTHERS = (
    "It says nothing of other prompts, and copies that were altered much may have been missed; likeness in subject or "
    "style is no copy."
)


def full(count: int, total: int | None = None) -> Measured:
    return Measured(count, total or count)


def control(matched: int = 0, n: int = 500, p: float | None = None, why: str = "") -> Control:
    return Control(matched=rate_of(rate(matched, full(n))), relabelling_p=None, greater_rate_p=p, why_no_p=why)


def detecting(found: types.Rate, **less: float) -> Rate:
    """With the bounds of all copies, which are those of the detected ones unless `less` says others."""
    bounds = {"low": found.low, "high": found.high, "upper": found.upper, **less}
    return structs.replace(rate_of(found), all_copies=AllCopies(kind="cropped", confidence=0.95, **bounds))


def results(found: int = 0, n: int = 400, **changes: Any) -> AuditResults:
    """Of an audit with a control, on pixels, a generation a prompt; that detects all copies."""
    measured = full(n)
    returned = detecting(rate(found, measured))
    fields: dict[str, Any] = {
        "conclusive": True,
        "reasons": [],
        "headline": "headline",
        "references": coverage_of(full(8000)),
        "searched": returned,
        "by_prompt": ByPrompt(returned=returned, seeds=[Seeds(seeds=1, prompts=n)]),
        "paired": None,
        "control": control(p=None if not found else 0.0003),
        "verified": coverage_of(measured),
        "views": ["whole", "tile 1,1"],
        "weaker": [],
    }
    return AuditResults(**{**fields, **changes})


def said(measured: AuditResults | FaceAuditResults, *, matches: int = 0, accepted: int = 0, model: str = "") -> Board:
    findings = [
        ImageMatch(
            query_id=f"g{i}", reference_id=f"t{i}", similarity=0.9, kind="verbatim", paired=False, near_duplicates=1
        )
        for i in range(matches)
    ]
    report = make_report(
        "audit",
        inputs={},
        encoder=spec_of(families()["sscd"]),
        threshold=0.75,
        coverage=full(400),
        results=measured,
        findings=findings,
        bound=Bound({}, {}, About(model=model) if model else None),
    )
    return Board(*(sentence.replace(NBSP, " ") for sentence in board_of(report, accepted)))


def test_found() -> None:
    """The share and its bound with two digits each, and that chance does not explain it."""
    assert said(results(12), matches=12, model="Atelier 2.1") == Board(
        "400 pictures that Atelier 2.1 made from 400 prompts were compared with 8,000 training images, by "
        "embeddings and on pixels.",
        "12 of 400 prompts gave a training image back (3.0 %): with 95 % confidence at most 4.9 % of such prompts do.",
        "Of 500 pictures that the model never saw, none resembles a training image as much (at most 0.60 % "
        "would): chance does not explain what was found (p = 0.0003).",
        OTHERS,
    )


def test_none() -> None:
    """No "clean": the bound, and what chance gives."""
    board = said(results())
    assert board.tested.startswith("400 pictures that the model made from 400 prompts were compared")
    assert board.found == (
        "None of 400 prompts gave a training image back: with 95 % confidence at most 0.75 % of such prompts do."
    )
    assert board.chance == (
        "Of 500 pictures that the model never saw, none resembles a training image as much (at most 0.60 % would)."
    )
    assert board.cannot == OTHERS


def test_too_few() -> None:
    """How few they are, and how many it takes."""
    board = said(results(n=40))
    assert board.found.endswith("with 95 % confidence at most 7.3 % of such prompts do.")
    assert board.cannot == (
        "40 prompts are too few to tell a rate below 7.3 %: it takes 299 prompts without a find to show that at "
        f"most 1 % do. {OTHERS}"
    )


def test_no_control() -> None:
    """Then nobody knows what chance gives, found or not."""
    for found in (0, 5):
        assert said(results(found, control=None)).chance == (
            "Nobody can say what chance gives: no pictures were given that the model never saw."
        )


def test_chance_may_explain_what_was_found() -> None:
    """A large p, and a control that is too small for one."""
    board = said(results(2, control=control(2, 400, 0.69)))
    assert board.chance == (
        "Of 400 pictures that the model never saw, 2 resemble a training image as much (0.50 %): chance may "
        "explain what was found (p = 0.69)."
    )
    few = said(results(2, control=control(0, 60, why="60 usable held-out images, at least 100 are needed")))
    assert few.chance.endswith(
        "; whether chance explains what was found cannot be tested (60 usable held-out images, at least 100 are "
        "needed)."
    )


@pytest.mark.parametrize("weaker", [["no candidate was compared on pixels (--match none)"], UNSET])
def test_weak(weaker: Any) -> None:
    """What was left out stands in the sentences, and a report of an earlier version says what it can."""
    board = said(results(verified=None, weaker=weaker))
    assert board.tested.endswith("8,000 training images, by embeddings alone.")
    assert board.cannot.startswith("The audit was weak (no candidate was compared on pixels")
    assert board.cannot.endswith(f"), so copies may have been missed. {OTHERS}")


def test_inconclusive() -> None:
    """No bound, no share: why there is no result, and what was found all the same."""
    board = said(results(3, conclusive=False, reasons=["a shard was missing"]), matches=3)
    assert board.found == "No result: a shard was missing. 3 pictures repeated a training image all the same."
    report = inconclusive_report("audit", "the index is of another encoder")
    assert board_of(report) == Board(
        "Nothing was measured.",
        "No result: the index is of another encoder.",
        "Nobody can say what chance gives: nothing was compared.",
        "It says neither that something was found nor that nothing was.",
    )


def test_accepted_only() -> None:
    """Every finding was accepted by a person: that is said, and the rate is what it was."""
    board = said(results(2), matches=2, accepted=2)
    assert board.found == (
        "2 of 400 prompts gave a training image back (0.50 %): with 95 % confidence at most 1.6 % of such "
        "prompts do. A person has accepted every one of them, with a reason and until a day."
    )
    assert "accepted" not in said(results(2), matches=2, accepted=1).found


def test_a_rate_that_the_relabelling_test_does_not_confirm() -> None:
    """After a split by families every run stands out by its rate: the board says no more than the table of the control
    does. Where the second test could not have told, and where it agrees, nothing is added."""
    told = structs.replace(control(p=1e-9), relabelling_p=0.74, least_relabelling_p=0.001)
    assert said(results(12, control=told)).chance.endswith(
        ": chance does not explain what was found (p < 0.0001). A second test does not confirm that it is memorising: "
        "by it nobody can tell training images that came back from pictures like these (p = 0.74)."
    )
    for changes in ({"least_relabelling_p": 0.4}, {"relabelling_p": 0.001}, {"greater_rate_p": 0.3}):
        assert "second test" not in said(results(12, control=structs.replace(told, **changes))).chance
    unequal = structs.replace(control(), why_no_rate_p="prompts stand for unequal numbers of captions")
    assert "tested (prompts stand for unequal numbers of captions)." in said(results(2, control=unequal)).chance


def test_prompts_that_stand_for_many_and_prompts_that_stand_for_none() -> None:
    """A weighted rate has its own bound; of the most duplicated images no rate follows; nor is there one by prompt."""
    returned = rate_of(rate(4, full(400)))
    weighted = WeightedRate(value=0.004, low=0.001, high=0.01, upper=0.0091, largest=0.1, confidence=0.95)
    by_prompt = ByPrompt(returned=returned, seeds=[Seeds(seeds=1, prompts=400)], weighted=weighted)
    assert said(results(4, by_prompt=by_prompt)).found == (
        "4 of 400 prompts gave a training image back: of all captions, with 95 % confidence at most 0.91 % do."
    )
    most = ByPrompt(returned=returned, seeds=[Seeds(seeds=1, prompts=400)], strategies=["most-duplicated"])
    assert said(results(4, by_prompt=most)).found.endswith("so no rate of the model follows.")
    assert said(results(1, by_prompt=None)).found == (
        "1 of 400 pictures repeats a training image (0.25 %): with 95 % confidence at most 1.2 % of such "
        "pictures do, if each was made independently of the others."
    )


def of_faces(count: int, p: float | None, **changes: Any) -> FaceAuditResults:
    compared = compared_faces(count, p, **changes)
    matched = compared.matched
    return FaceAuditResults(
        about="faces",
        conclusive=True,
        reasons=[],
        headline="",
        references=Coverage(measured=1, total=1, share=1.0),
        searched=matched,
        paired=None,
        control=None,
        faces=compared,
    )


def test_faces() -> None:
    """In words that need no statistics: people and not faces, whose pictures, how many by chance; a person decides."""
    assert said(of_faces(5, 0.002)) == Board(
        "900 faces of 700 people on 1,200 pictures that the model made were compared with 5,000 faces of the training "
        "set.",
        "5 of 700 people look like somebody in the training set. Of 5 faces that match, 3 are on the same picture as "
        "there, 2 on a new one.",
        "Were all of them strangers, about 0.9 such matches would come up: chance does not explain what was found "
        "(p = 0.002).",
        "It cannot say who somebody is: faces of different people can look alike to a computer, with some groups of "
        "people more often than with others, so a person decides on each match.",
    )
    assert said(of_faces(0, None)).found == (
        "None of 700 people looks like anybody in the training set: with 95 % confidence at most 0.43 % of them do."
    )
    unsure = of_faces(5, 0.3, excluded_control_people=4, expected_with_excluded=4.2)
    assert said(unsure).chance == (
        "Were all of them strangers, about 0.9 to 4.2 such matches would come up: chance may explain what was found "
        "(p = 0.3)."
    )


def test_bounds_count_copies_that_go_undetected() -> None:
    """As headline and gate do; and where nobody knows how many those are, it is said."""
    found = rate(0, full(400))
    returned = detecting(found, upper=0.0089)
    by_prompt = ByPrompt(returned=returned, seeds=[Seeds(seeds=1, prompts=400)])
    assert "at most 0.89" in said(results(searched=returned, by_prompt=by_prompt)).found
    alone = rate_of(found)
    by_prompt = ByPrompt(returned=alone, seeds=[Seeds(seeds=1, prompts=400)])
    board = said(results(searched=alone, by_prompt=by_prompt))
    assert "at most 0.75" in board.found
    assert board.cannot == (
        "How many copies go undetected was not measured: what is said is of those that can be detected. " + OTHERS
    )


def test_faces_of_which_none_was_compared_are_not_said_to_be_unlike_anybody() -> None:
    """None of 0 people looks like anybody, at most 100 % of them do: so it stood there, in a green box."""
    compared = of_faces(0, None, people=0)
    faces = structs.replace(compared.faces, matched=rate_of(rate(0, Measured(0, 0))), scored_faces=0)
    assert said(structs.replace(compared, faces=faces)).found.startswith(
        "No face that could be compared was found on these pictures"
    )


def test_faces_that_match_are_found_whatever_is_known_of_their_pictures() -> None:
    """Where the pictures could not be compared, or the face that was drawn of a person is not the one that matches,
    nobody was said to look like anybody."""
    found = said(of_faces(0, 0.4, faces_matched=3, people_matched=2)).found
    assert found == (
        "0 of 700 people look like somebody in the training set, by one face drawn of each; by all their faces 2 do. "
        "Of 3 faces that match, 0 are on the same picture as there, 0 on a new one, 3 on pictures that could not be "
        "compared."
    )


@pytest.mark.parametrize(
    ("n", "weaker", "planted", "box"),
    [(400, [], True, "good"), (100, [], True, "plain"), (400, [], False, "plain"), (400, ["few tiles"], True, "open")],
)
def test_a_green_box_takes_a_rate_that_is_shown(
    tmp_path: Path, n: int, weaker: list[str], planted: bool, box: str
) -> None:
    """Nothing found by a weak audit, or among three pictures, or nobody knows of how many copies, is no good news; and
    how hard an audit looked is never green, for it is no verdict."""
    returned = detecting(rate(0, full(n))) if planted else rate_of(rate(0, full(n)))
    prompts = ByPrompt(returned=returned, seeds=[Seeds(seeds=1, prompts=n)])
    write_audited(tmp_path, [], n, searched=returned, by_prompt=prompts, weaker=weaker)
    page = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert re.findall('<div class="banner ([a-z]+)">', page) == [box]
    assert re.search(r"^\.mark\{.*background:var\(--blue-bg\)", page, re.MULTILINE)
