"""What pictures go through before a report shows them."""

from __future__ import annotations

from memaudit.report.pictures import Alter


def blurring(*, wanted: bool) -> Alter | None:
    """Makes faces unrecognisable; None where nobody asked for it. Raises MissingDependencyError without OpenCV."""
    if not wanted:
        return None
    from memaudit.faces.blurring import face_blurrer

    return face_blurrer()
