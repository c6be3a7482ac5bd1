"""What whoever runs it chooses for the page of a run, and says of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from shlex import join

from memaudit.api.pictures import blurring
from memaudit.api.places import AnyStore, IsMadeOfSeveral, folder_of
from memaudit.errors import UsageError
from memaudit.files import real
from memaudit.images.addresses import unsigned_word
from memaudit.report.bounds import shortened
from memaudit.report.model import About
from memaudit.report.pages import How

_MOST = 2000  # bytes of each word


@dataclass(frozen=True)
class PageChoices:
    """pictures: embedded in the page, or beside it. training_set: name and version; who: runs it; command: its words,
    where there is one. These stand at the head of the page, and in report.json. blur_faces: make faces in all pictures
    unrecognisable.

    >>> ma.PageChoices(training_set="Stamps, July 2026", who="A. Auditor").pictures
    'embedded'
    """

    pictures: str = "embedded"
    training_set: str = ""
    who: str = ""
    command: Sequence[str] = ()
    blur_faces: bool = False


AS_IT_IS = PageChoices()


def how_to_show(page: PageChoices, training: AnyStore, model: str | None = None) -> How:
    """A training set that nobody names is called like its folder, or the folders of its parts; addresses lose user,
    password and signature. Raises UsageError for pictures that are neither embedded nor beside."""
    if page.pictures not in ("embedded", "beside"):
        raise UsageError(f"--pictures {page.pictures!r} is neither embedded (in the page) nor beside (it)")
    parts = training.made_of if isinstance(training, IsMadeOfSeveral) else ()
    named = page.training_set or ", ".join(real(folder_of(each)).name for each in parts or (training,))
    command = join(unsigned_word(word) for word in page.command)
    said = (shortened(each, _MOST) for each in (" ".join((model or "").split()), named, page.who, command))
    about = About(**dict(zip(About.__struct_fields__, said, strict=True)))
    return How(blurring(wanted=page.blur_faces), page.pictures == "beside", about)
