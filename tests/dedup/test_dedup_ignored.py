"""Pairs that a person has ruled out: they never come back as a pair, in a group or in a decision."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from vectors import families, random_vectors, vector_store

from memaudit.dedup.ignored import read_ruled_out
from memaudit.dedup.options import DedupOptions
from memaudit.dedup.results import Decision, DedupResult, Reason
from memaudit.dedup.run import dedup
from memaudit.errors import InputError
from memaudit.files import sha256_of
from memaudit.store import Store
from memaudit.types import Status


def written(folder: Path, *pairs: tuple[str, str], header: str = "left_id,right_id") -> Path:
    path = folder / "ignored.csv"
    path.write_text("\n".join([header, *(",".join(pair) for pair in pairs)]) + "\n", encoding="utf-8")
    return path


def run(store: Store, path: Path, **options: object) -> DedupResult:
    return dedup(store, DedupOptions(**options), ruled_out=read_ruled_out(path))  # type: ignore[arg-type]


def require_apart(result: DedupResult, pairs: list[tuple[str, str]]) -> None:
    """No pair, no group, no witness joins two that were ruled out; every witness is kept and near."""
    d = result.decisions
    row = {image_id: i for i, image_id in enumerate(d.image_id)}
    found = {frozenset(pair) for pair in zip(result.pairs.left.tolist(), result.pairs.right.tolist(), strict=True)}
    for left, right in pairs:
        a, b = row[left], row[right]
        assert frozenset((a, b)) not in found
        assert d.group[a] != d.group[b]
        assert d.witness[a] != b
        assert d.witness[b] != a
    dropped = np.flatnonzero(d.decision == Decision.DROP)
    assert (d.decision[d.witness[dropped]] == Decision.KEEP).all()
    assert (d.chain[dropped] >= np.float32(result.threshold)).all()


@pytest.mark.parametrize("groups", ["cover", "components"])
@pytest.mark.parametrize("turned", [False, True])
def test_a_ruled_out_pair_stays_in_both_halves(tmp_path: Path, groups: str, turned: bool) -> None:
    """Two near-duplicates of each other alone are both kept, whichever is named first, and the report counts them."""
    store = vector_store(tmp_path / "s", families(0, [2, 2], noise=0.2))
    names = ("image-00001", "image-00000") if turned else ("image-00000", "image-00001")
    path = written(tmp_path, names, names[::-1], ("image-00000", "image-00002"))
    result = run(store, path, groups=groups)
    assert result.decisions.decision.tolist() == ["keep", "keep", "keep", "drop"]
    assert result.decisions.reason.tolist()[:2] == [Reason.UNIQUE] * 2
    assert result.ignored is not None
    assert (result.ignored.pairs, result.ignored.found, result.ignored.digest) == (2, 1, sha256_of(path))
    require_apart(result, [names])


@pytest.mark.parametrize("groups", ["cover", "components"])
@pytest.mark.parametrize("status", [Status.OK, Status.BLANK])
def test_exact_duplicates_may_be_ruled_out(tmp_path: Path, groups: str, status: Status) -> None:
    """Whoever wants the same file twice gets it: of three copies the third goes, with a kept witness."""
    store = vector_store(
        tmp_path / "s",
        np.concatenate([np.repeat(random_vectors(0, 1), 3, axis=0), random_vectors(1, 1)]),
        files=["x", "x", "x", "y"],
        statuses=[status] * 3 + [Status.OK],
    )
    result = run(store, written(tmp_path, ("image-00000", "image-00002")), groups=groups)
    assert result.decisions.decision.tolist() == ["keep", "drop", "keep", "keep"]
    assert result.decisions.reason[1] == Reason.COPY
    require_apart(result, [("image-00000", "image-00002")])


def test_a_ruling_holds_for_the_exact_duplicates_of_its_images(tmp_path: Path) -> None:
    """B's copy is B: it is not paired with A either. B and its copy are still one."""
    v = families(0, [2], noise=0.2)
    store = vector_store(tmp_path / "s", v[[0, 1, 1]], sizes=[(9, 9), (1, 1), (5, 5)])
    result = run(store, written(tmp_path, ("image-00000", "image-00001")))
    assert result.decisions.decision.tolist() == ["keep", "drop", "keep"]
    assert result.decisions.witness.tolist() == [0, 2, 2]


def test_two_that_differ_do_not_both_go_for_a_third(tmp_path: Path) -> None:
    """A and B were called different; C resembles both. One of the two joins C, the other stays by itself."""
    store = vector_store(tmp_path / "s", families(0, [3], noise=0.2), sizes=[(1, 1), (2, 2), (9, 9)])
    result = run(store, written(tmp_path, ("image-00000", "image-00001")))
    assert result.decisions.decision.tolist() == ["keep", "drop", "keep"]
    assert result.decisions.reason[0] == Reason.ALONE
    require_apart(result, [("image-00000", "image-00001")])


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data(), groups=st.sampled_from(["cover", "components"]))
def test_any_pairs_of_any_store_stay_apart(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject, groups: str
) -> None:
    """Families with copies inside; whatever is ruled out stays apart and every witness holds."""
    folder = tmp_path_factory.mktemp("any")
    base = families(data.draw(st.integers(0, 5)), [4, 3, 1], noise=0.35)
    vectors = base[data.draw(st.lists(st.integers(0, 7), min_size=2, max_size=12))]
    ids = [f"image-{i:05d}" for i in range(len(vectors))]
    possible = [(a, b) for a in ids for b in ids if a != b]
    pairs = data.draw(st.lists(st.sampled_from(possible), min_size=1, max_size=8))
    result = run(vector_store(folder / "s", vectors), written(folder, *pairs), groups=groups)
    require_apart(result, pairs)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "no column 'left_id'"),
        ("left_id\na\n", "no column 'right_id'"),
        ("a,b\nimage-00000,image-00001\n", "no column 'left_id'"),
        ("left_id,right_id\n", "a header and no line"),
        ("left_id, left_id,right_id\na,b,c\n", "has the column 'left_id' 2 times"),
        ("left_id,right_id\nimage-00000\n", "line 2: left_id or right_id is empty"),
        ("left_id,right_id\nimage-00000,\n", "line 2: left_id or right_id is empty"),
        ("left_id,right_id\nimage-00000,image-00000\n", "line 2: 'image-00000' is paired with itself"),
        ("left_id,right_id\nimage-00000,image-00001,x\n", "line 2: more fields than columns"),
        ('left_id,right_id\n"image-00000,image-00001\n', "cannot be read"),
        (
            "left_id,right_id\nimage-00000,image-00001\nimage-00000,nobody\n",
            "line 3: the store has no image_id 'nobody'",
        ),
        ("left_id,right_id\n\xff\n".encode("latin-1"), "are no CSV in UTF-8"),
        (None, "cannot be read"),
    ],
)
def test_a_bad_file_is_one_line(tmp_path: Path, text: str | bytes | None, words: str) -> None:
    """Each says the file, the line and what is wrong."""
    store, path = vector_store(tmp_path / "s", random_vectors(0, 3)), tmp_path / "i.csv"
    if text is not None:
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(InputError, match="ignored pairs") as caught:
        run(store, path)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_further_columns_and_a_byte_order_mark_are_no_matter(tmp_path: Path) -> None:
    """A file that came out of a spreadsheet, with who said so."""
    path = tmp_path / "i.csv"
    path.write_text('\ufeffwho,right_id,left_id\nme,"b, c",a\nyou,a,"b, c"\n', encoding="utf-8")
    assert read_ruled_out(path).pairs == (("a", "b, c"),)
