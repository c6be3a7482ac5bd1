"""What pictures go through before a report shows them, and where they are."""

from __future__ import annotations

from memaudit.errors import UsageError
from memaudit.report.pictures import Alter


def blurring(*, wanted: bool) -> Alter | None:
    """Makes faces unrecognisable; None where nobody asked for it. Raises MissingDependencyError without OpenCV."""
    if not wanted:
        return None
    from memaudit.faces.blurring import face_blurrer

    return face_blurrer()


def are_beside(pictures: str) -> bool:
    """Raises UsageError for what is neither embedded nor beside."""
    if pictures not in ("embedded", "beside"):
        raise UsageError(f"--pictures {pictures!r} is neither embedded (in the page) nor beside (it)")
    return pictures == "beside"
