"""memaudit dedup, index, info, verify, doctor and encoders, as they are called."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from calls import Memaudit, program
from manifests import edit_manifest
from pictures import MakeFolder, MakeStore

from memaudit.store import Store


@pytest.fixture
def store(picture_folder: MakeFolder, make_store: MakeStore) -> Store:
    """Twelve pictures, one of them twice, and a broken one."""
    folder = picture_folder(12)
    (folder / "copy.png").write_bytes((folder / "0004.png").read_bytes())
    (folder / "broken.png").write_bytes(b"x")
    return make_store(folder)


def test_dedup_finds_the_copy(memaudit: Memaudit, store: Store, tmp_path: Path) -> None:
    """The copy can go; its original stays."""
    assert memaudit("dedup", store.folder, "--out", tmp_path / "out", "--max-unreadable", "0.1").code == 0
    assert (tmp_path / "out" / "drop.txt").read_text() == "copy.png\n"
    assert "0004.png" in (tmp_path / "out" / "keep.txt").read_text().split()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--clusters", "0"], "'0' is neither auto nor a whole number above 0"),
        (["--clusters", "abc"], "'abc' is neither auto"),
        (["--clusters", "-3"], "-3"),
        (["--clusters", "1.5"], "'1.5' is neither auto"),
        (["--clusters", "²"], "'²' is neither auto"),
        (["--clusters", "13"], "--clusters 13 is out of range: there are 12 distinct images"),
        (["--threshold", "nan"], "threshold nan is out of range"),
        (["--threshold", "0"], "threshold 0 is out of range"),
        (["--keep", "best"], "unknown keep rule 'best'"),
        (["--probes", "0"], "--probes 0 is out of range"),
        (["--clusterings", "0"], "--clusterings 0 is out of range"),
        (["--recall-sample", "0"], "--recall-sample"),
    ],
)
def test_dedup_with_wrong_options(
    memaudit: Memaudit, store: Store, tmp_path: Path, arguments: list[str], words: str
) -> None:
    """One line and exit 2."""
    memaudit("dedup", store.folder, "--out", tmp_path / "out", *arguments).failed(2, words)


@pytest.mark.parametrize("damage", ["missing", "unfinished", "none"])
def test_dedup_of_what_is_no_whole_store_leaves_no_earlier_report(
    memaudit: Memaudit, store: Store, tmp_path: Path, damage: str
) -> None:
    """Whatever was wrong, the report of an earlier run does not stand for this one."""
    out = tmp_path / "out"
    assert memaudit("dedup", store.folder, "--out", out, "--max-unreadable", "0.1").code == 0
    if damage == "missing":
        (store.folder / "shard-00000.h5").unlink()
    elif damage == "unfinished":
        edit_manifest(store.folder, lambda manifest: manifest.update(complete=False))
    else:
        store.folder.rename(tmp_path / "elsewhere")
    called = memaudit("dedup", store.folder, "--out", out, "--max-unreadable", "0.1")
    called.failed(2 if damage == "none" else 3, str(store.folder))
    if damage == "none":
        assert not (out / "report.json").exists()
    else:
        assert json.loads((out / "report.json").read_text())["results"]["conclusive"] is False
    assert not (out / "drop.txt").exists()


def test_index_of_an_unknown_recipe(memaudit: Memaudit, store: Store, tmp_path: Path) -> None:
    """The recipes there are are listed."""
    called = memaudit("index", store.folder, "--out", tmp_path / "index", "--recipe", "ivf9")
    called.failed(2, "unknown recipe 'ivf9'", "flat")


def test_info_lists_the_causes(memaudit: Memaudit, store: Store) -> None:
    """Rows by status, and why the unreadable ones are."""
    value = memaudit("info", store.folder, "--json").json
    assert (value["rows"], value["comparable"], value["status"]) == (14, 13, {"ok": 13, "unreadable": 1})
    assert value["unreadable"] == {"not a known image format": 1}
    assert value["digest"] == store.digest


def test_info_of_an_unfinished_store(memaudit: Memaudit, store: Store) -> None:
    """What a killed run left can be looked at."""
    edit_manifest(store.folder, lambda manifest: manifest.update(complete=False))
    assert memaudit("info", store.folder, "--json").json["complete"] is False
    assert memaudit("verify", store.folder).code == 3


def test_verify_finds_damage(memaudit: Memaudit, store: Store, tmp_path: Path) -> None:
    """Exit 3 and one line for each fault; the index of a damaged store is damaged too."""
    memaudit("index", store.folder, "--out", tmp_path / "index")
    assert memaudit("verify", store.folder) == (0, f"{store.folder} is sound\n", "")
    (store.folder / "shard-00001.h5").unlink()
    called = memaudit("verify", store.folder)
    assert (called.code, called.out.count("\n")) == (3, 1)
    assert "shard-00001.h5 is missing" in called.out
    called = memaudit("verify", tmp_path / "index", "--json")
    assert (called.code, called.json["sound"], len(called.json["faults"])) == (3, False, 1)


@pytest.mark.parametrize("content", ["", "{}", "[]", '{"schema": "urn:memaudit:report:1"}', "\ufeff", "x" * 10_000])
def test_what_is_no_report(memaudit: Memaudit, tmp_path: Path, content: str) -> None:
    """info, verify and gate say in one line that this is no report."""
    (tmp_path / "report.json").write_text(content)
    for command in ("info", "verify", "gate"):
        memaudit(command, tmp_path / "report.json").failed(2, "report.json")


def test_doctor_without_a_cache_folder(tmp_path: Path) -> None:
    """A relative cache folder that does not exist yet is no endless loop."""
    called = program("doctor", "--json", cwd=tmp_path, timeout=60, env={**os.environ, "MEMAUDIT_CACHE": "not/there"})
    assert called.code == 0
    assert called.json["cache"] == "not/there/weights"


def test_doctor_says_which_extras_are_there(memaudit: Memaudit, monkeypatch: pytest.MonkeyPatch) -> None:
    """The line that installs what is absent, builds that overwrite each other, and the other tool of this name."""
    assert memaudit("doctor", "--json").json["extras"]["cpu"] == "installed"
    versions = {"memaudit": "2.0", "faiss-cpu": "1", "faiss-gpu-cuvs": "1"}
    monkeypatch.setattr("memaudit.api.diagnosis._version", lambda name: versions.get(name, "not installed"))
    monkeypatch.setattr("memaudit.api.diagnosis.find_spec", lambda name: None if name in ("cv2", "scipy") else name)
    found = memaudit("doctor", "--json").json
    assert found["extras"]["cpu"].startswith('without SciPy, OpenCV: pip install ".[')
    assert found["extras"]["torch"] == "installed"
    faiss, other = found["conflicts"]
    assert "faiss-cpu and faiss-gpu-cuvs" in faiss
    assert "memaudit 2.0 is another tool" in other


def test_encoders(memaudit: Memaudit) -> None:
    """The list names the encoder without weights; nothing can be fetched for it or for an unknown one."""
    rows = memaudit("encoders", "list", "--json").json["encoders"]
    assert {row["name"]: row["weights"] for row in rows}["thumbnail"] == "none needed"
    memaudit("encoders", "fetch", "thumbnail").failed(2, "no weights to fetch")
    memaudit("encoders", "fetch", "nosuch").failed(2, "unknown encoder 'nosuch'")


def test_gate_writes_its_policy_once(memaudit: Memaudit, tmp_path: Path) -> None:
    """--init does not overwrite a policy that somebody edited."""
    assert memaudit("gate", "--init", tmp_path / "policy.toml").code == 0
    memaudit("gate", "--init", tmp_path / "policy.toml").failed(2, "exists already")
