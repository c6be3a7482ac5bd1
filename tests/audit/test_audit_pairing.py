"""The pairing file: read exactly, or refused with its line."""

from pathlib import Path

import numpy as np
import pytest
from vectors import random_vectors, vector_store

from memaudit.audit.pairing import Prompted, paired_rows, read_pairing
from memaudit.errors import InputError


def write(folder: Path, text: str | bytes) -> Path:
    path = folder / "pairing.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


@pytest.mark.parametrize("header", ["generation,image_id", "query_id,reference_id", "generation,training_id"])
def test_columns_by_any_of_their_names(tmp_path: Path, header: str) -> None:
    """Without a prompt column the prompt is empty."""
    assert read_pairing(write(tmp_path, f"{header}\ng1,t1\n")) == {"g1": Prompted("t1", "")}


def test_order_of_columns_quotes_and_byte_order_mark(tmp_path: Path) -> None:
    """As spreadsheets write it: a byte order mark, quoted commas and newlines, columns in any order."""
    text = '\ufeffprompt,image_id,generation,seed\r\n"a clock, at 1\no\'clock",t/1.png,g 1.png,7\r\n'
    assert read_pairing(write(tmp_path, text)) == {"g 1.png": Prompted("t/1.png", "a clock, at 1\no'clock")}


def test_many_generations_may_share_a_training_image(tmp_path: Path) -> None:
    """Several seeds of one prompt are several lines."""
    assert len(read_pairing(write(tmp_path, "generation,image_id\na,t\nb,t\nc,t\n"))) == 3


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "no column 'generation': its header is empty"),
        ("image_id,prompt\nt,p\n", "no column 'generation': its header is image_id, prompt"),
        ("generation,prompt\ng,p\n", "no column 'image_id'"),
        ("generation,image_id\n", "has a header and no line"),
        ("generation,image_id\n\n\n", "has a header and no line"),
        ("generation,image_id\n,t\n", "line 2: the generation or its training image_id is empty"),
        ("generation,image_id\ng,t\nh,\n", "line 3: the generation or its training image_id is empty"),
        ("generation,image_id\ng\n", "line 2: the generation or its training image_id is empty"),
        ("generation,image_id\ng,t\nh,t\ng,u\n", "line 4: generation 'g' occurs twice"),
        ("generation,image_id,prompt\ng,t,a red, round clock\n", "line 2: more fields than columns"),
        ('generation,image_id,prompt\ng,t,"two\nlines"\n,u,p\n', "line 4: the generation"),
        (b"generation,image_id\n\xff\xfe,t\n", "cannot be read"),
        ("generation,image_id\ng," + "x" * 200_000 + "\n", "cannot be read"),
    ],
)
def test_what_cannot_be_a_pairing_is_one_line(tmp_path: Path, text: str | bytes, message: str) -> None:
    """Trap "an empty input scored as perfect": also a file without a line is refused, and not taken for no pairing."""
    with pytest.raises(InputError) as caught:
        read_pairing(write(tmp_path, text))
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_an_absent_file_and_a_folder_are_one_line(tmp_path: Path) -> None:
    """What cannot be opened names the file."""
    for path in (tmp_path / "no.csv", tmp_path):
        with pytest.raises(InputError, match="cannot be read"):
            read_pairing(path)


def test_rows_are_found_by_id_and_not_by_position(tmp_path: Path) -> None:
    """Trap "results by position" (SemDeDup): ids in another order, with unknown and unnamed ones between."""
    training = vector_store(tmp_path / "t", random_vectors(0, 5), ids=list("edcba"), shard_rows=2)
    store = vector_store(tmp_path / "g", random_vectors(1, 4), ids=["g1", "g2", "g3", "g4"])
    pairing = {"g4": Prompted("e", ""), "g1": Prompted("a", ""), "g2": Prompted("zz", ""), "gone": Prompted("b", "")}
    rows = paired_rows(store, training, pairing)
    assert rows.tolist() == [4, -1, -1, 0]
    assert rows.dtype == np.int64
