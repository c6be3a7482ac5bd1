"""What a dedup run decided about the matches of a look-up."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pictures import MakeFolder, MakeStore

from memaudit.dedup.run import dedup
from memaudit.encoders import load_encoder
from memaudit.errors import InconclusiveError, InputError
from memaudit.images.sources import iter_images
from memaudit.images.views import views_of
from memaudit.index import open_searcher
from memaudit.lookup.fates import with_fates
from memaudit.lookup.results import DedupFate, LookupResult
from memaudit.lookup.run import LookupOptions, look_up
from memaudit.report.dedup import write_dedup
from memaudit.store import Store


@pytest.fixture
def store(picture_folder: MakeFolder, make_store: MakeStore) -> Store:
    return make_store(picture_folder(3))


@pytest.fixture
def result(store: Store, tmp_path: Path) -> LookupResult:
    refs = list(iter_images([tmp_path / "images" / "0001.png"]))
    return look_up(refs, open_searcher(store.folder), load_encoder("thumbnail"), LookupOptions(views_of("none")))


def written(folder: Path, **changes: Any) -> Path:
    """A table of decisions of one row."""
    row = {"image_id": "0001.png", "decision": "drop", "reason": "near-duplicate", "witness_id": "0002.png"}
    row = {**row, "witness_similarity": 0.9, **changes}
    table = pa.table({name: [value] for name, value in row.items() if value is not ...})
    pq.write_table(table, folder / "decisions.parquet")
    return folder / "decisions.parquet"


def test_each_match_has_its_fate(store: Store, result: LookupResult, tmp_path: Path) -> None:
    """Of a run, and of a table; an image without a witness has none."""
    write_dedup(dedup(store), store, tmp_path / "dedup")
    (match,) = with_fates(result, tmp_path / "dedup" / "decisions.parquet").answers[0].matches
    assert match.dedup is not None
    assert (match.dedup.decision, match.dedup.reason) == ("keep", "no near-duplicate")
    (match,) = with_fates(result, written(tmp_path)).answers[0].matches
    assert match.dedup == DedupFate("drop", "near-duplicate", "0002.png", 0.9)
    (match,) = with_fates(result, written(tmp_path, witness_similarity=float("nan"))).answers[0].matches
    assert match.dedup is not None
    assert match.dedup.witness_similarity is None


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"reason": ...}, "has not the columns of a dedup run"),
        ({"decision": "perhaps"}, "a decision 'perhaps' on '0001.png'"),
        ({"reason": 3}, "a decision 'drop'"),
        ({"witness_id": 7}, "a decision 'drop'"),
        ({"witness_similarity": 1.2}, "a similarity of 1.2"),
        ({"witness_similarity": "near"}, "cannot be read"),
    ],
)
def test_a_table_of_another_kind_is_refused(
    result: LookupResult, tmp_path: Path, changes: dict[str, Any], why: str
) -> None:
    with pytest.raises(InputError, match=why):
        with_fates(result, written(tmp_path, **changes))


def test_a_damaged_table_and_one_of_another_set(result: LookupResult, tmp_path: Path) -> None:
    with pytest.raises(InconclusiveError, match=r"says nothing about '0001.png': it was made of another set"):
        with_fates(result, written(tmp_path, image_id="0009.png"))
    (tmp_path / "decisions.parquet").write_bytes(b"PAR1 and no more")
    with pytest.raises(InputError, match="cannot be read"):
        with_fates(result, tmp_path / "decisions.parquet")
