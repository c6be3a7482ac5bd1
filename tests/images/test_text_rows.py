"""CSV, TSV, JSON and JSON lines: what came in is a row, or the file is refused by name."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from memaudit.embedding.run import embed
from memaudit.encoders import load_encoder
from memaudit.errors import InputError
from memaudit.images import text_rows
from memaudit.images.sources import iter_images


def rows(name: str, text: str) -> list[dict[str, object]]:
    return [dict(row) for _, row in text_rows.text_rows("manifest", name, io.BytesIO(text.encode()))]


def test_quotes_in_a_tsv_swallow_no_rows() -> None:
    """Captions that begin or end with a quote: every line is a row, and the quote is a character."""
    found = rows("m.tsv", 'path\tcaption\n0.png\t"the start\n1.png\tmiddle\n2.png\tan end"\n3.png\t"Hello" he said\n')
    assert [row["caption"] for row in found] == ['"the start', "middle", 'an end"', '"Hello" he said']


def test_a_tsv_that_is_quoted_all_the_same() -> None:
    """R and pandas quote: a field in quotes from end to end loses them; Windows line ends and blank lines are none."""
    found = rows("m.TSV", '"path"\t"caption"\r\n"0.png"\t"say ""hi"""\r\n\r\n1.png\t"\r\n')
    assert found == [{"path": "0.png", "caption": 'say "hi"'}, {"path": "1.png", "caption": '"'}]


@pytest.mark.parametrize("line", ["0.png", "0.png\ta\tb"])
def test_a_line_of_a_tsv_that_does_not_fit_its_header(line: str) -> None:
    """A field with a tab or a line break would move the others: the line is named."""
    with pytest.raises(InputError, match=r"manifest m\.tsv, line 2: . field\(s\), but the header has 2 names"):
        rows("m.tsv", f"path\tcaption\n{line}\n")


def test_blanks_after_the_commas() -> None:
    """As people type it: names and values lose the blank, and quotes after it are quotes."""
    assert rows("m.csv", 'path, caption , id\n0.png, "a cat, red", 7\n') == [
        {"path": "0.png", "caption": "a cat, red", "id": "7"}
    ]
    assert rows("m.csv", "path,caption\n0.png, a cat\n") == [{"path": "0.png", "caption": " a cat"}]


def test_columns_without_a_name() -> None:
    """The index that pandas writes, and the commas that spreadsheets leave behind, are no columns twice."""
    assert rows("m.csv", ",path,,\n0,a.png,,\n") == [{"column 1": "0", "path": "a.png", "column 3": "", "column 4": ""}]


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("m.csv", "path,caption,caption\n0.png,a,b\n", "has the column 'caption' 2 times"),
        ("m.csv", "path,caption, caption\n0.png,a,b\n", "has the column 'caption' 2 times"),
        ("m.tsv", "path\tpath\n0.png\t1.png\n", "has the column 'path' 2 times"),
        (
            "m.jsonl",
            '{"path": "0.png", "path": "1.png"}\n',
            "line 1: not valid JSON: the key 'path' stands there twice",
        ),
        ("m.json", '[{"path": "0.png", "path": "1.png"}]', "not valid JSON: the key 'path' stands there twice"),
        ("m.json", '{"path": "0.png"}', "holds a JSON object: expected an array of objects"),
        ("m.json", '[{"path": "0.png"}, "1.png"]', "entry 2: expected an object, found str"),
        (
            "m.jsonl",
            '[{"path": "0.png"}]',
            "line 1: expected an object, found list; a JSON array goes into a .json file",
        ),
    ],
)
def test_what_would_lose_something_is_refused(name: str, text: str, message: str) -> None:
    """In one line, that calls the file and the place by name."""
    with pytest.raises(InputError) as caught:
        rows(name, text)
    assert message in str(caught.value)
    assert name in str(caught.value)


def test_a_json_array_is_a_manifest(tmp_path: Path) -> None:
    """Its objects are rows; one that is too large to be read at once is refused by name."""
    (tmp_path / "m.json").write_text('[{"file_name": "a.png", "captions": ["a", "b"]}, {"file_name": "b.png"}]')
    assert [ref.image_id for ref in iter_images([tmp_path / "m.json"])] == ["a.png", "b.png"]


def test_a_json_array_has_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is read at once."""
    monkeypatch.setattr(text_rows, "MOST_JSON", 10)
    with pytest.raises(InputError, match=r"manifest m\.json is larger than .*write JSON lines"):
        rows("m.json", '[{"path": "0.png"}]')


def test_captions_of_a_manifest(tmp_path: Path) -> None:
    """Of a list the first is the caption, and all are metadata; NaN is none."""
    lines = ['{"path": "0.png", "caption": ["a cat", "a pet"]}', '{"path": "1.png", "caption": NaN}']
    (tmp_path / "m.jsonl").write_text("\n".join(lines))
    first, second = iter_images([tmp_path / "m.jsonl"])
    assert (first.caption, first.metadata) == ("a cat", '{"caption": ["a cat", "a pet"]}')
    assert (second.caption, second.metadata) == ("", "")


def test_a_folder_of_kohyas(tmp_path: Path) -> None:
    """A .caption file is no image but the caption of the image beside it."""
    (tmp_path / "f").mkdir()
    (tmp_path / "f" / "a.png").write_bytes(b"x")
    (tmp_path / "f" / "a.caption").write_text("a cat,\nsitting\n")
    (tmp_path / "f" / "b.png").write_bytes(b"y")
    refs = list(iter_images([tmp_path / "f"]))
    assert [(ref.image_id, ref.caption) for ref in refs] == [("a.png", "a cat,\nsitting"), ("b.png", "")]
    columns = embed([tmp_path / "f"], tmp_path / "store", load_encoder("thumbnail")).all_columns()
    assert list(columns.caption) == ["a cat,\nsitting", ""]
