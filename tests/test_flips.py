"""A flipped bit, anywhere in what memaudit wrote, is refused or says nothing: never another answer in silence."""

from __future__ import annotations

import random
from contextlib import suppress
from pathlib import Path

import pytest
from flips import Flipper, artefacts, tally, write_project
from manifests import as_of_0_2
from pictures import write_pictures

import memaudit as ma
from memaudit.errors import MemauditError
from memaudit.index import Index
from memaudit.store import Store


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_project(tmp_path_factory.mktemp("flips"))


def test_every_kind_of_artefact_is_there(project: Path) -> None:
    """Otherwise the others prove little."""
    kinds = {path.name if path.suffix == ".json" else path.suffix for path in artefacts(project)}
    assert kinds >= {"store.json", "index.json", "report.json", "evidence.json"}
    assert kinds >= {".h5", ".faiss", ".parquet", ".txt", ".html", ".jpg"}


@pytest.mark.parametrize("seed", range(4))
def test_flips_are_refused_or_harmless(project: Path, seed: int) -> None:
    _, wrong = tally(Flipper(project).flips(100, seed))
    assert wrong == [], "\n".join(map(str, wrong))


def test_flips_in_manifests_without_a_digest_are_no_internal_errors(tmp_path: Path) -> None:
    """What an earlier version wrote may say something else; it is read, or refused in one line."""
    store = ma.embed(write_pictures(tmp_path / "images", range(6)), tmp_path / "store", encoder="thumbnail")
    ma.build_index(store, tmp_path / "index", recipe="flat")
    as_of_0_2(tmp_path / "store")
    as_of_0_2(tmp_path / "index", name="index.json", schema="memaudit-index/2")
    draw = random.Random(0)
    for path, read in ((tmp_path / "store/store.json", Store.open), (tmp_path / "index/index.json", Index.open)):
        good = path.read_bytes()
        read(path.parent)
        for _ in range(300):
            place, bit = draw.randrange(len(good)), 1 << draw.randrange(8)
            path.write_bytes(good[:place] + bytes([good[place] ^ bit]) + good[place + 1 :])
            with suppress(MemauditError):
                read(path.parent)
        path.write_bytes(good)


@pytest.mark.slow
def test_many_flips_are_refused_or_harmless(project: Path) -> None:
    """Each file 14 times: of flips that pass in silence it holds those that are more than 0.3 % of all."""
    counts, wrong = tally(Flipper(project, verified=4).flips(1000, 10))
    assert wrong == [], "\n".join(map(str, wrong))
    assert counts["refused"] > 875
