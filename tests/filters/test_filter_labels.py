"""Answers about single images are read from tables of any kind, and merged."""

from __future__ import annotations

from pathlib import Path

import pytest

from memaudit.errors import InputError
from memaudit.filters.labels import Answer, read_labels, write_labels


def test_every_way_to_say_it_is_read(tmp_path: Path) -> None:
    """CSV with other columns, JSON lines; a later file counts more; a line without a label says nothing."""
    (tmp_path / "a.csv").write_text("image_id,label,why\na,1,x\nb,0,x\nc,unsure,x\nd,,x\ne,YES,x\n")
    (tmp_path / "b.jsonl").write_text('{"image_id": "b", "label": 1}\n{"image_id": "f", "verdict": "no"}\n')
    found = read_labels([tmp_path / "a.csv", tmp_path / "b.jsonl"])
    yes, no, unsure = Answer
    assert found == {"a": yes, "b": yes, "c": unsure, "e": yes, "f": no}


def test_what_is_written_is_read(tmp_path: Path) -> None:
    labels = {"a,b": Answer.YES, ' "c"': Answer.NO, "d": Answer.UNSURE}
    write_labels(tmp_path / "labels.csv", labels)
    assert read_labels([tmp_path / "labels.csv"]) == labels


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("image_id,label\na,maybe\n", "label 'maybe' is none: expected 1, 0 or unsure"),
        ("image_id,label\na,1\na,0\n", "line 3: 'a' has two labels in one file"),
        ("name,label\na,1\n", "no column 'image_id'"),
        ("image_id,said\na,1\n", "no column 'label'"),
        ("image_id,label\n,1\n", "a label without an image_id"),
    ],
)
def test_what_cannot_be_meant_is_refused(tmp_path: Path, text: str, words: str) -> None:
    path = tmp_path / "labels.csv"
    path.write_text(text)
    with pytest.raises(InputError) as raised:
        read_labels([path])
    assert words in str(raised.value)


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read"):
        read_labels([tmp_path / "none.csv"])
