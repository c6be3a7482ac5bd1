"""Findings as the page shows them: those of one training image together, and those of one person."""

from __future__ import annotations

from typing import Any

from memaudit.report.cards import card, ordered
from memaudit.report.model import FaceMatch, ImageMatch


def face(query: str, reference: str, similarity: float, **changes: Any) -> FaceMatch:
    fields = {"kind": "face", "paired": False, "near_duplicates": 1, "same_picture": False, **changes}
    return FaceMatch(
        query_id=query, reference_id=reference, reference_face=f"{reference}#face-1", similarity=similarity, **fields
    )


def image(query: str, reference: str, similarity: float) -> ImageMatch:
    return ImageMatch(
        query_id=query, reference_id=reference, similarity=similarity, kind="verbatim", paired=False, near_duplicates=1
    )


def test_findings_of_one_image_stand_together() -> None:
    """Under a line, unless there is but one; that with the most similar finding first."""
    cards = ordered([card(image("a", "x", 0.8)), card(image("b", "y", 0.9)), card(image("c", "x", 0.95))])
    assert [each.query_id for each in cards] == ["c", "a", "b"]
    assert [each.together for each in cards] == ["2 of them repeat the training image x:"] * 2 + [""]


def test_findings_of_one_person_stand_together_whatever_the_picture() -> None:
    """The line names the pictures; a report of before does not know people, and goes by the training face."""
    known = [face("a", "x", 0.8, training_person=1), face("b", "z", 0.9, training_person=2)]
    cards = ordered([card(each) for each in (*known, face("c", "y", 0.95, training_person=1))])
    assert [each.query_id for each in cards] == ["c", "a", "b"]
    assert cards[0].together == "2 of them look like one person of the training set (x#face-1, y#face-1):"
    assert cards[2].together == ""
    many = [card(face("a", f"x{number}", 0.8, training_person=1)) for number in range(5)]
    assert ordered(many)[0].together.endswith("(x0#face-1, x1#face-1, x2#face-1 and 2 more):")
    before = ordered([card(face("a", "x", 0.8)), card(face("c", "y", 0.95))])
    assert [each.together for each in before] == ["", ""]
