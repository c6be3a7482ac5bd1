"""Lists of images: each is found, and nothing that is not there is passed over."""

import numpy as np
import pytest
from vectors import random_vectors, vector_store

from memaudit.errors import EmptyInputError, InputError
from memaudit.filters.selection import Names, read_names, select
from memaudit.types import Status


@pytest.fixture
def store(tmp_path):
    statuses = [Status.OK] * 40
    statuses[3], statuses[7] = Status.BLANK, Status.UNREADABLE
    return vector_store(tmp_path / "store", random_vectors(0, 40), statuses=statuses, shard_rows=16)


def names(*numbers: int) -> list[str]:
    return [f"image-{number:05d}" for number in numbers]


def test_what_is_kept_is_found_in_its_place(store):
    found = select(store, Names(names(*range(0, 40, 2), 3, 7), "keep.txt"))
    assert found.rows.tolist() == [row for row in range(40) if row not in (3, 7)]
    assert found.rows[found.kept].tolist() == list(range(0, 40, 2))
    assert found.others.tolist() == [3, 7]
    assert (found.coverage.measured, found.coverage.total) == (39, 40)


def test_what_the_filter_had_before_it_can_be_less_than_all(store):
    found = select(store, Names(names(4, 8), "keep.txt"), Names(names(*range(10)), "before.txt"))
    assert found.rows.tolist() == [0, 1, 2, 4, 5, 6, 8, 9]
    assert found.rows[found.kept].tolist() == [4, 8]
    with pytest.raises(InputError, match=r"keep\.txt keeps 'image-00020', which before\.txt does not have"):
        select(store, Names(names(4, 20), "keep.txt"), Names(names(*range(10)), "before.txt"))


def test_names_that_the_store_does_not_have_are_refused(store):
    with pytest.raises(InputError, match=r"keep\.txt names 2 image_ids that store .* does not have, of 3"):
        select(store, Names(names(4, 400, 500), "keep.txt"))


def test_nothing_left_is_said(store):
    with pytest.raises(EmptyInputError, match="none has an embedding"):
        select(store, Names(names(3), "keep.txt"))
    with pytest.raises(EmptyInputError, match="none has an embedding"):
        select(store, Names([], "keep.txt"))


def test_groups_are_families(store, tmp_path):
    import pyarrow as pa
    import pyarrow.parquet as pq

    groups = tmp_path / "groups.parquet"
    pq.write_table(pa.table({"image_id": names(1, 5, 2, 9), "group": [0, 0, 4, 4]}), groups)
    found = select(store, Names(names(*range(20)), "keep.txt"), groups=groups)
    label = dict(zip(found.rows.tolist(), found.family.tolist(), strict=True))
    assert label[1] == label[5] != label[2] == label[9]
    assert len(np.unique(found.family)) == len(found.rows) - 2


def test_a_list_is_read_line_by_line(tmp_path):
    path = tmp_path / "keep.txt"
    path.write_text("a\nb c \r\n\nä\na\n")
    assert len(read_names(path)) == 3
    assert read_names(path).has(["a", "b c ", "ä", "", "z"]).tolist() == [True, True, True, False, False]
    path.write_bytes(b"\xff\xfe\x00a")
    with pytest.raises(InputError, match="no text in UTF-8"):
        read_names(path)
    with pytest.raises(InputError, match="cannot be read"):
        read_names(tmp_path / "absent.txt")
