"""Whatever reads a store whose shards are not its own ends with exit code 3 and one line, not with "nothing found"."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from calls import Memaudit
from pictures import write_pictures

import memaudit as ma


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with tiles, an index of it, generations of which one is a copy, and a dedup run."""
    folder = tmp_path_factory.mktemp("sound")
    write_pictures(folder / "training", range(12))
    write_pictures(folder / "generations", [500, 501])
    shutil.copy(folder / "training" / "0001.png", folder / "generations" / "copy.png")
    rows = [f"training/{number:04d}.png,picture {number}" for number in range(12)]
    (folder / "training.csv").write_text("\n".join(["path,caption", *rows]))
    store = ma.embed(folder / "training.csv", folder / "store", encoder="thumbnail", shard_rows=6, tiles=True)
    ma.embed(folder / "generations", folder / "generated", encoder="thumbnail")
    ma.build_index(store, folder / "index", recipe="flat")
    ma.run_dedup(store, folder / "dedup", match="none")
    return folder


@pytest.fixture
def project(sound: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    shutil.copytree(sound, tmp_path / "project")
    monkeypatch.chdir(tmp_path / "project")
    return tmp_path / "project"


def overwritten(store: Path) -> None:
    first, second = sorted(store.glob("shard-*.h5"))[:2]
    second.write_bytes(first.read_bytes())


def swapped(store: Path) -> None:
    first, second = sorted(store.glob("shard-*.h5"))[:2]
    first.rename(store / "aside")
    second.rename(first)
    (store / "aside").rename(second)


def of_another_store(store: Path) -> None:
    """Sound, of the right names and of other images."""
    write_pictures(Path("others"), range(700, 712))
    other = ma.embed("others", "other", encoder="thumbnail", shard_rows=6)
    for path in other.folder.glob("shard-*.h5"):
        shutil.copy(path, store / path.name)


DAMAGE: dict[str, Callable[[Path], None]] = {
    "overwritten": overwritten,
    "swapped": swapped,
    "of another store": of_another_store,
}
PLAIN = ("--views", "none", "--match", "none")
READERS = {
    "lookup": ("lookup", "generations/0500.png", "--against", "store", *PLAIN),
    "lookup in an index": ("lookup", "generations/0500.png", "--against", "index", *PLAIN),
    "audit": ("audit", "generations", "--against", "store", "--out", "out", *PLAIN),
    "audit of an index": ("audit", "generations", "--against", "index", "--out", "out", *PLAIN),
    "audit of itself": ("audit", "store", "--against", "store", "--out", "out", *PLAIN),
    "dedup": ("dedup", "store", "--out", "out", "--match", "none"),
    "dedup against": ("dedup", "generated", "--against", "store", "--out", "out", "--match", "none"),
    "index": ("index", "store", "--out", "out"),
    "prompts": ("prompts", "store", "--out", "prompts.jsonl"),
    "info": ("info", "store"),
    "embed": ("embed", "training.csv", "--out", "store", "--encoder", "thumbnail", "--shard-rows", "6"),
}


@pytest.mark.parametrize("damage", DAMAGE)
@pytest.mark.parametrize("reader", READERS)
def test_shards_that_are_not_the_stores(memaudit: Memaudit, project: Path, reader: str, damage: str) -> None:
    DAMAGE[damage](project / "store")
    called = memaudit(*READERS[reader])
    assert called.code == 3, called
    assert "shard store/shard-0000" in called.err.replace(f"{project}/", "")
    assert called.err.strip().count("\n") == 0
    assert memaudit("verify", "store").code == 3


@pytest.mark.parametrize("damage", ["overwritten", "swapped"])
@pytest.mark.parametrize("reader", ["lookup", "audit"])
def test_tiles_that_are_not_the_stores(memaudit: Memaudit, project: Path, reader: str, damage: str) -> None:
    DAMAGE[damage](project / "store" / "tiles")
    called = memaudit(*(word for word in READERS[reader] if word not in PLAIN))
    assert called.code == 3, called
    assert "tiles/shard-0000" in called.err
    assert memaudit("verify", "store").code == 3


@pytest.mark.parametrize(
    "reader", ["lookup", "audit", "dedup", "index", "prompts", "info", "embed", "lookup in an index"]
)
def test_a_threshold_with_a_flipped_bit(memaudit: Memaudit, project: Path, reader: str) -> None:
    path = project / "store" / "store.json"
    path.write_text(path.read_text().replace('"threshold": 0.95', '"threshold": 9.95'))
    called = memaudit(*READERS[reader])
    assert called.code == 3, called
    assert "store.json was changed after it was written" in called.err
    assert memaudit("verify", "store").code == 3


def test_a_decision_with_a_flipped_bit(memaudit: Memaudit, project: Path) -> None:
    path = project / "dedup" / "decisions.parquet"
    data = bytearray(path.read_bytes())
    data[len(data) // 3] ^= 1
    path.write_bytes(data)
    called = memaudit("lookup", "generations/copy.png", "--against", "store", "--dedup", "dedup", *PLAIN)
    called.failed(3, "decisions.parquet was changed after its report was written")
    assert memaudit("verify", "dedup").code == 3
