"""What whoever runs it says of a run: it stands in the report, and at the head of its page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from shlex import join

from memaudit.api.places import AnyStore, folder_of
from memaudit.images.addresses import unsigned
from memaudit.report import model
from memaudit.report.bounds import shortened

_MOST = 2000  # bytes of each


@dataclass(frozen=True)
class About:
    """model, training_set: name and version. who: ran it. command: its words, where there was one.

    >>> ma.About(model="Atelier 2.1", who="A. Auditor").model
    'Atelier 2.1'
    """

    model: str = ""
    training_set: str = ""
    who: str = ""
    command: Sequence[str] = ()


NOBODY_SAYS = About()


def about_run(about: About, training: AnyStore) -> model.About:
    """As the report holds it. A training set that nobody names is called like its folder; of the command's addresses
    user, password and signature are left out."""
    name = about.training_set or Path(folder_of(training)).resolve().name
    command = join(unsigned(word) for word in about.command)
    said = (shortened(each, _MOST) for each in (about.model, name, about.who, command))
    return model.About(**dict(zip(model.About.__struct_fields__, said, strict=True)))
