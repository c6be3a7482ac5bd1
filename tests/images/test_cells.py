"""What a cell of a table says, and which columns say what."""

from __future__ import annotations

import datetime
import hashlib
import json
import math

import pytest

from memaudit.images.cells import (
    CAPTION_COLUMNS,
    PATH_COLUMNS,
    Cell,
    as_metadata,
    columns_called,
    first_of,
    storable_uri,
    text_of,
)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("a cat", "a cat"),
        (0, "0"),
        (7.5, "7.5"),
        (None, ""),
        (math.nan, ""),
        (b"0.png", "0.png"),
        (b"\xff.png", "\udcff.png"),
        (["a cat", "a pet"], "a cat"),
        ([None, math.nan, "", "a pet"], "a pet"),
        ([], ""),
        ({"en": "a cat"}, ""),
    ],
)
def test_a_value_as_text(value: object, text: str) -> None:
    """A list of captions is not the prompt "['a cat', 'a pet']", and NaN is not the prompt "nan"."""
    assert text_of(value) == text


@pytest.mark.parametrize("name", ["URL", "Image_Path", "file_name", "FILE"])
def test_columns_go_by_their_names_in_any_case(name: str) -> None:
    """LAION writes URL and TEXT, Hugging Face's image folders file_name."""
    assert first_of({name: "a.png", "TEXT": "a cat"}, PATH_COLUMNS) == Cell(name, "a.png")
    assert first_of({name: "a.png", "TEXT": "a cat"}, CAPTION_COLUMNS) == Cell("TEXT", "a cat")


def test_the_very_name_comes_before_another_case() -> None:
    """Of `Caption` and `caption` the latter is the caption, whatever their order; the other one is metadata."""
    row = {"Caption": "long", "caption": "short", "path": "a.png"}
    assert first_of(row, CAPTION_COLUMNS).text == "short"
    assert columns_called(("Caption", "x"), ("caption",)) == ("Caption",)
    assert json.loads(as_metadata(row, {"caption", "path"})) == {"Caption": "long"}


def test_what_is_not_used_is_kept() -> None:
    """Also a second path, id or caption; of bytes that are no text a digest, so that an image is not in there whole."""
    content = bytes(range(256))
    row = {"path": "a.png", "url": "https://x/a", "key": 7, "text": "", "score": math.nan, "none": None}
    row |= {"phash": b"\xff\x00", "mask": {"bytes": content, "path": "m.png"}, "when": datetime.date(2026, 1, 2)}
    assert json.loads(as_metadata(row, {"path"})) == {
        "url": "https://x/a",
        "key": 7,
        "score": None,
        "phash": "ff00",
        "mask": {"bytes": f"256 bytes, sha256 {hashlib.sha256(content).hexdigest()}", "path": "m.png"},
        "when": "2026-01-02",
    }


def test_a_uri_keeps_the_bytes_of_an_odd_name_and_no_half_of_a_pair() -> None:
    """Half of a surrogate pair stands for no byte."""
    assert storable_uri("/a/\udcff.png") == "/a/\udcff.png"
    assert storable_uri("/a\0b") == "/a\\0b"
    assert storable_uri("/a/\ud800.png") == "/a/\\ud800.png"
