"""docs/inputs.md is true: each kind of input in its tables is made, embedded, and has the outcome printed there."""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

import pytest
from broken_inputs import KINDS

from memaudit.embedding.run import embed
from memaudit.encoders import load_encoder
from memaudit.errors import InputError

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning", "ignore::PIL.Image.DecompressionBombWarning")
DOCUMENT = (Path(__file__).parents[2] / "docs" / "inputs.md").read_text(encoding="utf-8")


class Line(NamedTuple):
    """A line of a table. `message` may hold …, which stands for anything."""

    kind: str
    outcome: str
    message: str


def lines() -> list[Line]:
    found = [
        Line(*(cell.strip() for cell in line.split("|")[1:-1])) for line in re.findall(r"^\|.*\|$", DOCUMENT, re.M)
    ]
    return [line for line in found if line.kind != "input" and not line.kind.startswith("---")]


def outcome_of(source: Path, folder: Path) -> tuple[str, str]:
    """The statuses of the rows and the last one's error, or the message that refuses the source."""
    try:
        store = embed([source], folder / "store", load_encoder("thumbnail"))
    except InputError as error:
        return "refused", str(error)
    columns = store.all_columns()
    return ", ".join(columns.status) + (", cut" if store.cut else ""), str(columns.error[-1])


def test_every_kind_is_documented_and_every_line_is_tested() -> None:
    """Builders and lines are the same, each once."""
    kinds = [line.kind for line in lines()]
    assert sorted(kinds) == sorted(KINDS)
    assert len(kinds) >= 25


@pytest.mark.parametrize("line", lines(), ids=lambda line: line.kind)
def test_what_the_document_says_happens(line: Line, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Status of each row, or refusal; and the message, one printable line."""
    folder = tmp_path / "input"
    folder.mkdir()
    outcome, message = outcome_of(KINDS[line.kind](folder, monkeypatch), tmp_path)
    assert outcome == line.outcome.partition(":")[0]
    assert re.fullmatch(re.escape(line.message.strip("`")).replace("…", ".*"), message), message
    assert message.isprintable()
