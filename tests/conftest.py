"""Fixtures for every test: folders of drawn pictures, and stores of them by the thumbnail encoder."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import one_thread  # noqa: F401 - before NumPy
import pytest
from calls import Called, Memaudit
from hypothesis import settings
from pictures import MakeFolder, MakeStore, write_pictures

from memaudit.cli.app import run
from memaudit.embedding.run import EmbedOptions, embed
from memaudit.encoders import load_encoder
from memaudit.files import writing
from memaudit.images.copy_kinds import PLANTED, copies_for
from memaudit.store import Store

# A machine that is busy must not fail a test: what takes how long is for benchmarks
settings.register_profile("no deadline", deadline=None)
settings.load_profile("no deadline")


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip what needs PyTorch where there is none, and say what would run it."""
    if item.get_closest_marker("torch") and find_spec("torch") is None:
        pytest.skip("needs PyTorch: ./scripts/test --all")


@pytest.fixture(scope="session", autouse=True)
def _interruptible() -> None:
    """In the background of a shell Ctrl-C is ignored, and what tests start to interrupt it would ignore it, too."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session", autouse=True)
def _unflushed() -> Iterator[None]:
    """Nothing waits for the disk: a killed process loses no file that it renamed, a machine without power may."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(writing, "_flush", lambda path: None)
        patch.setattr(os, "fsync", lambda handle: None)
        yield


@pytest.fixture(scope="session", autouse=True)
def _few_copies() -> Iterator[None]:
    """An audit in this process that is not told how many copies to plant plants two of each kind, not a hundred in all:
    nine tenths of the time of a small audit go into its copies."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("memaudit.api.auditing.copies_for", lambda generations: 2 * len(PLANTED))
        yield


@pytest.fixture(scope="module")
def as_many_copies(_few_copies: None) -> Iterator[None]:
    """It plants as many as it does for a user. For modules that are about that."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("memaudit.api.auditing.copies_for", copies_for)
        yield


@pytest.fixture
def picture_folder(tmp_path: Path) -> MakeFolder:
    """Make a folder of `count` drawn pictures: picture_folder(12), picture_folder(5, name="gen", first_seed=100)."""

    def make(count: int, name: str = "images", first_seed: int = 0) -> Path:
        return write_pictures(tmp_path / name, range(first_seed, first_seed + count))

    return make


@pytest.fixture
def make_store(tmp_path: Path) -> MakeStore:
    """Embed sources with the thumbnail encoder: make_store(folder), make_store(folder, name="b", shard_rows=4)."""

    def make(*sources: Path, name: str = "store", shard_rows: int = 8) -> Store:
        return embed(sources, tmp_path / name, load_encoder("thumbnail"), EmbedOptions(shard_rows=shard_rows))

    return make


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What runs whole jobs lies beside this file and takes longest: it comes first, so that at the end no worker waits
    for another."""
    items.sort(key=lambda item: item.path.parent != Path(__file__).parent)


@pytest.fixture
def memaudit(capsys: pytest.CaptureFixture[str]) -> Memaudit:
    """memaudit("info", path): call a command in this process."""

    def call(*arguments: str | Path) -> Called:
        capsys.readouterr()
        code = run([str(argument) for argument in arguments])
        return Called(code, *capsys.readouterr())

    return call
