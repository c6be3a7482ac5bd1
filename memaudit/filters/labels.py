"""What people said of single images: of a class or not, read from tables and merged."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from enum import StrEnum
from pathlib import Path
from types import MappingProxyType

from memaudit.errors import InputError
from memaudit.files import open_regular, reason_of, write_text
from memaudit.images.cells import ID_COLUMNS, Row, columns_called, first_of
from memaudit.images.text_rows import text_rows

LABEL_COLUMNS = ("label", "verdict")


class Answer(StrEnum):
    """Whether an image is of the class. UNSURE trains nothing, and an estimate counts it both ways."""

    YES = "yes"
    NO = "no"
    UNSURE = "unsure"


Labels = Mapping[str, Answer]
"""Answers by image_id."""

_SAID = MappingProxyType(
    {
        **dict.fromkeys(("1", "1.0", "yes", "true"), Answer.YES),
        **dict.fromkeys(("0", "0.0", "no", "false"), Answer.NO),
        **dict.fromkeys(("unsure", "?"), Answer.UNSURE),
    }
)


def read_labels(paths: Sequence[Path]) -> dict[str, Answer]:
    """The answers of all files (CSV, TSV, JSON or JSON lines with image_id and label); a later file counts more.

    Lines without a label say nothing. Raises InputError for a file that cannot be read, a label that is none, and an
    image that one file gives two answers.
    """
    found: dict[str, Answer] = {}
    for path in paths:
        found |= _labels_in(path)
    return found


def answers_of(said: Mapping[str, int | str]) -> dict[str, Answer]:
    """The same of a mapping from image_ids. Raises InputError for a label that is none."""
    return {image_id: _answer(f"labels, {image_id[:80]!r}", str(label)) for image_id, label in said.items()}


def _labels_in(path: Path) -> dict[str, Answer]:
    found: dict[str, Answer] = {}
    try:
        with open_regular(path) as handle:
            for image_id, answer, place in _answers(path, handle):
                if found.setdefault(image_id, answer) is not answer:
                    raise InputError(f"{place}: {image_id[:80]!r} has two labels in one file: keep one")
    except OSError as error:
        raise InputError(f"labels {path} cannot be read: {reason_of(error)}") from None
    return found


def _answers(path: Path, handle: io.BufferedReader) -> Iterator[tuple[str, Answer, str]]:
    for number, row in text_rows("labels", str(path), handle):
        place = f"labels {path}, line {number}"
        for names in (ID_COLUMNS, LABEL_COLUMNS):
            if not columns_called(tuple(row), names):
                raise InputError(f"{place}: there is no column {names[0]!r}, found {', '.join(row)[:200]}")
        answer = _answer_in(place, row)
        if answer is not None:
            yield _id_in(place, row), answer, place


def _id_in(place: str, row: Row) -> str:
    image_id = first_of(row, ID_COLUMNS).text
    if not image_id:
        raise InputError(f"{place}: a label without an image_id")
    return image_id


def _answer_in(place: str, row: Row) -> Answer | None:
    said = first_of(row, LABEL_COLUMNS).text.strip()
    return _answer(place, said) if said else None


def _answer(place: str, said: str) -> Answer:
    if said.lower() not in _SAID:
        raise InputError(f"{place}: label {said[:80]!r} is none: expected 1, 0 or unsure")
    return _SAID[said.lower()]


def write_labels(path: Path, labels: Labels) -> None:
    """A CSV that `read_labels` reads, in the order of the image_ids."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(("image_id", "label"))
    writer.writerows((image_id, str(labels[image_id])) for image_id in sorted(labels))
    write_text(path, text.getvalue())
