"""The index: as good as exact search, and never of another store than it says."""

from __future__ import annotations

import resource
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from manifests import as_of_0_2, edit_manifest
from pictures import MakeFolder, MakeStore
from PIL import Image

from memaudit.embedding.run import EmbedOptions, embed
from memaudit.encoders import load_encoder
from memaudit.errors import InconclusiveError, InputError, UsageError
from memaudit.index import ExactSearch, Index, build_index, open_searcher, read_recipe, verify_index
from memaudit.index import recipes as module
from memaudit.store import Store
from memaudit.types import Float32

pytest.importorskip("faiss", reason="needs FAISS: ./scripts/test")


@pytest.fixture
def store(picture_folder: MakeFolder, make_store: MakeStore) -> Store:
    """60 pictures; ten stand twice, as other files, and one is blank."""
    folder = picture_folder(60)
    for n in range(10):
        (folder / f"copy-{n}.png").write_bytes((folder / f"{n:04d}.png").read_bytes())
    Image.new("RGB", (9, 9)).save(folder / "0030b.png")
    return make_store(folder, shard_rows=16)


@pytest.fixture
def queries(picture_folder: MakeFolder, make_store: MakeStore) -> Float32:
    """Five pictures of the store and five others."""
    folder = picture_folder(10, name="queries", first_seed=5)
    made = make_store(picture_folder(10, name="others", first_seed=900), folder, name="query-store")
    return made.embeddings(made.comparable_rows())


def test_a_flat_index_is_exact_search(store: Store, queries: Float32, tmp_path: Path) -> None:
    """Rows, similarities (bit by bit) and counts are those of the exhaustive products, copies and ties included."""
    index = build_index(store, tmp_path / "index")
    for k, threshold in [(1, 0.95), (5, 0.95), (5, 0.2), (80, 0.0001)]:
        expected = ExactSearch(store).search(queries, k, threshold)
        got = index.search(queries, k, threshold)
        for name in expected._fields:
            assert (getattr(got, name) == getattr(expected, name)).all(), (name, k, threshold)


def test_an_opened_index_is_the_one_that_was_built(store: Store, queries: Float32, tmp_path: Path) -> None:
    """Saved and opened again it gives the same, and knows its store, its recipe and its recall."""
    built = build_index(store, tmp_path / "index")
    opened = Index.open(tmp_path / "index")
    assert (opened.search(queries, 3, 0.9).rows == built.search(queries, 3, 0.9).rows).all()
    assert opened.manifest == built.manifest
    recall = opened.manifest["index_recall"]
    assert (recall["at_1"], recall["at_10"], recall["rows"], recall["near"]["at_1"]) == (1, 1, 70, 1)
    assert opened.manifest["rows"] == store.comparable == 70
    assert opened.manifest["store_digest"] == opened.store.digest == store.digest
    assert opened.manifest["encoder"] == store.encoder.as_dict()
    assert opened.method == "index:flat"
    assert verify_index(tmp_path / "index") == []


def test_the_searcher_is_what_the_folder_holds(store: Store, tmp_path: Path) -> None:
    """A store is searched exactly, an index through itself."""
    build_index(store, tmp_path / "index")
    assert isinstance(open_searcher(store.folder), ExactSearch)
    assert isinstance(open_searcher(tmp_path / "index"), Index)


def test_both_can_be_moved_together(store: Store, queries: Float32, tmp_path: Path) -> None:
    """The index names its store relatively."""
    (tmp_path / "old").mkdir()
    store.folder.rename(tmp_path / "old" / "store")
    build_index(Store.open(tmp_path / "old" / "store"), tmp_path / "old" / "index")
    (tmp_path / "old").rename(tmp_path / "new")
    assert len(Index.open(tmp_path / "new" / "index").search(queries, 2, 0.9).rows) == 20


def test_a_store_that_changed_is_refused(store: Store, tmp_path: Path) -> None:
    """An index of an earlier state would not find what was added."""
    build_index(store, tmp_path / "index")
    folder = Path(store.manifest.sources[0])
    (folder / "0001.png").unlink()
    embed([folder], store.folder, load_encoder("thumbnail"), EmbedOptions(shard_rows=16), replace_changed=True)
    with pytest.raises(InconclusiveError, match=r"another state of store .*: build it again"):
        Index.open(tmp_path / "index")
    assert len(verify_index(tmp_path / "index")) == 1


def test_a_store_that_is_gone_is_refused(store: Store, tmp_path: Path) -> None:
    """Similarities come from the store: without it an index answers nothing."""
    build_index(store, tmp_path / "index")
    (store.folder / "shard-00001.h5").unlink()
    with pytest.raises(InconclusiveError, match=r"shard-00001\.h5 is missing"):
        Index.open(tmp_path / "index")
    store.folder.rename(tmp_path / "elsewhere")
    with pytest.raises(InputError, match="no embedding store"):
        Index.open(tmp_path / "index")


@pytest.mark.parametrize("damage", ["cut", "flipped", "missing", "garbage"])
def test_a_damaged_index_file_is_refused(store: Store, tmp_path: Path, damage: str) -> None:
    """Candidates lost to damage would be matches lost in silence."""
    build_index(store, tmp_path / "index")
    path = tmp_path / "index" / "vectors-00000.faiss"
    data = bytearray(path.read_bytes())
    if damage == "missing":
        path.unlink()
    elif damage == "cut":
        path.write_bytes(data[:-1])
    elif damage == "garbage":
        path.write_bytes(bytes(len(data)))
    else:
        data[len(data) // 2] ^= 1
        path.write_bytes(data)
    with pytest.raises(
        InconclusiveError,
        match=r"vectors-00000\.faiss (is missing|was changed, or is another one).*: build it again",
    ):
        Index.open(tmp_path / "index")
    assert len(verify_index(tmp_path / "index")) == 1


@pytest.mark.parametrize(
    "change",
    [
        {"schema": "memaudit-index/1"},
        {"store": None},
        {"files": []},
        {"files": [{"name": "../../secret", "bytes": 1, "sha256": "", "sampled_sha256": ""}]},
        {"files": [{"name": "vectors-00000.faiss", "bytes": "many", "sha256": "", "sampled_sha256": ""}]},
        {"rows": None},
        {"recipe": []},
        {"search": {"parameter": "nprobe"}},
        {"search": {"parameter": "efSearch", "value": 1 << 50}},
        {"search": {"parameter": "efSearch", "value": 0}},
        {"candidates": -1},
        {"rows": True},
        {"floor": 9.9},
        {"store_digest": "x"},
        {"shards": [7]},
        {"encoder": {}},
    ],
)
def test_a_damaged_manifest_is_refused(store: Store, tmp_path: Path, change: dict[str, Any]) -> None:
    """One line that names the file."""
    build_index(store, tmp_path / "index")
    edit_manifest(tmp_path / "index", lambda manifest: manifest.update(change), "index.json")
    with pytest.raises(InputError, match=r"index\.json (has schema|is damaged)"):
        Index.open(tmp_path / "index")


def test_a_manifest_that_was_changed_is_refused(store: Store, tmp_path: Path) -> None:
    """One bit of efSearch, say: what is read would be sound, and the answers others."""
    build_index(store, tmp_path / "index")
    path = tmp_path / "index" / "index.json"
    path.write_text(path.read_text().replace('"candidates": 0', '"candidates": 1'))
    for check in (Index.open, verify_index):
        with pytest.raises(InconclusiveError, match=r"index\.json was changed after it was written"):
            check(tmp_path / "index")


def test_an_index_of_an_earlier_version_opens(store: Store, tmp_path: Path) -> None:
    """It had no digest of its own."""
    build_index(store, tmp_path / "index")
    as_of_0_2(tmp_path / "index", name="index.json", schema="memaudit-index/2")
    assert verify_index(tmp_path / "index") == []
    assert len(Index.open(tmp_path / "index").store) == len(store)


def test_no_index(tmp_path: Path) -> None:
    """A folder without one says what makes one."""
    with pytest.raises(InputError, match=r"is no index: .*memaudit index"):
        Index.open(tmp_path)


def test_an_unknown_recipe(store: Store, tmp_path: Path) -> None:
    """The message lists those there are; nothing is written."""
    with pytest.raises(UsageError, match=r"unknown recipe 'flatt': expected one of .*flat"):
        build_index(store, tmp_path / "index", "flatt")
    assert not (tmp_path / "index").exists()


@pytest.mark.parametrize("name", ["flat", "ivf", "ivfpq", "hnsw", "cagra"])
def test_the_shipped_recipes_can_be_read(name: str) -> None:
    """Each has a factory string, a sentence and a floor for its recall."""
    recipe = read_recipe(name)
    assert recipe.factory
    assert recipe.about
    assert 0.5 < recipe.floor <= 1


def test_a_store_without_images_is_not_indexed(tmp_path: Path, make_store: MakeStore) -> None:
    """An empty index would answer "clean" to everything."""
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / "broken.png").write_bytes(b"x")
    with pytest.raises(InputError, match="no readable image: nothing to index"):
        build_index(make_store(tmp_path / "images"), tmp_path / "index")


def test_a_recipe_of_ones_own_is_given_by_its_path(store: Store, tmp_path: Path) -> None:
    """Its name is that of the file; a path that leads nowhere lists the recipes."""
    (tmp_path / "mine.toml").write_text('factory = "SQfp16"\nabout = "for the test"\n')
    assert build_index(store, tmp_path / "index", str(tmp_path / "mine.toml")).manifest["recipe"] == "mine"
    with pytest.raises(UsageError, match=r"unknown recipe .*no\.toml'"):
        build_index(store, tmp_path / "other", str(tmp_path / "no.toml"))


def test_an_index_below_its_floor_is_not_saved(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A recipe asks for a recall (here one that none can reach); the error tells it, and nothing is saved."""
    recipes = tmp_path / "recipes"
    recipes.mkdir()
    (recipes / "poor.toml").write_text('factory = "SQfp16"\nabout = "for the test"\nfloor = 1.01\n')
    monkeypatch.setattr(module, "_FOLDER", recipes)
    with pytest.raises(
        InconclusiveError,
        match=r"index recall@1 is \d\.\d{4} at near-duplicate scale .*, below the floor 1.01 of recipe poor",
    ):
        build_index(store, tmp_path / "index", "poor")
    assert not list((tmp_path / "index").glob("[!.]*"))


def test_without_faiss_the_error_brings_the_line_that_installs_it(store: Store, tmp_path: Path) -> None:
    """The extra is named; the exact search of a store works all the same."""
    code = (
        "import sys; sys.modules['faiss'] = None\n"
        "from memaudit.cli.app import run\n"
        "codes = [run(['index', sys.argv[1], '--out', sys.argv[2]]), run(['doctor', '--quiet'])]\n"
        "from memaudit.index import open_searcher\n"
        "print(codes, open_searcher(sys.argv[1]).method)"
    )
    command = [sys.executable, "-c", code, str(store.folder), str(tmp_path / "index")]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout == "[2, 0] exact\n"
    assert done.stderr.startswith('memaudit: an index or a clustering needs FAISS: pip install ".[cpu]"')
    assert done.stderr.count("\n") == 1


def test_verify_without_faiss_is_inconclusive(store: Store, tmp_path: Path) -> None:
    """Digests are checked all the same, and are the only fault where they are wrong; the rows are not: exit code 3."""
    build_index(store, tmp_path / "index", "flat")
    code = "import sys; sys.modules['faiss'] = None\nfrom memaudit.cli.app import run\nsys.exit(run(sys.argv[1:]))"
    command = [sys.executable, "-c", code, "verify", str(tmp_path / "index")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 3
    assert "the rows were not held against the store: an index or a clustering needs FAISS" in done.stdout
    assert done.stdout.count("\n") == 1
    file = next((tmp_path / "index").glob("*.faiss"))
    file.write_bytes(file.read_bytes()[:-1] + b"?")
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout.count("\n")) == (3, 1)
    assert "rows were not" not in done.stdout


def test_a_full_disk_leaves_no_index(store: Store, tmp_path: Path) -> None:
    """One line, and nothing that could be opened."""
    code = (
        "import resource, sys; from memaudit.index import build_index; from memaudit.store import Store\n"
        "from memaudit.errors import InputError\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (9000, 9000))\n"
        "try: build_index(Store.open(sys.argv[1]), sys.argv[2])\n"
        "except InputError as error: print(error)"
    )
    command = [sys.executable, "-c", code, str(store.folder), str(tmp_path / "index")]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.startswith(f"{tmp_path / 'index' / 'vectors-00000.faiss'} cannot be written")
    assert done.stdout.count("\n") == 1
    assert not list((tmp_path / "index").glob("*.*[!k]"))
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[0] != 9000
