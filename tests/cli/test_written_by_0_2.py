"""What 0.2.0 wrote, file by file as it did: a store, an unfinished one, an index, runs, evidence and a policy."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from calls import Memaudit

from memaudit.store import Store

DIGEST = "7019d290393d09044362170f51f96353dfa9f91bf1d9df424adbf2f136872853"  # of the store, as 0.2.0 printed it
EMBED = ("embed", "captions.csv", "--encoder", "thumbnail", "--shard-rows", "2", "--out")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    copy = shutil.copytree(Path(__file__).parent / "written_by_0_2", tmp_path / "written")
    monkeypatch.chdir(copy)
    return copy


def test_a_store_and_an_index_are_what_they_were(folder: Path, memaudit: Memaudit) -> None:
    """With the digest that reports of 0.2.0 name; what nothing vouches for is said, and no fault."""
    pytest.importorskip("faiss")
    store = Store.open(folder / "store")
    assert (store.digest, len(store), store.all_columns().caption[2]) == (DIGEST, 6, "a grey sea")
    for name in ("store", "index"):
        checked = memaudit("verify", name)
        assert (checked.code, "not checked whole" in checked.out, "is not bound" in checked.out) == (3, True, True)
    found = memaudit("lookup", "generation.jpg", "--against", "index", "--dedup", "dedup", "--match", "none", "--json")
    assert (found.code, found.json["images"][0]["matches"][0]["image_id"]) == (1, "training/1.jpg")
    assert memaudit("verify", "evidence.json").code == 0


def test_runs_are_read(folder: Path, memaudit: Memaudit) -> None:
    """By the gate with the policy of then, by compare, history, export and prompts; what they do not state is
    inconclusive."""
    gate = memaudit("gate", "audit/report.json", "dedup/report.json", "--policy", "policy.toml", "--json")
    outcomes = {(rule["rule"], rule["outcome"]) for rule in gate.json["rules"]}
    assert gate.code == 1
    assert {("max_findings", "fail"), ("max_rate", "inconclusive"), ("min_view_coverage", "inconclusive")} <= outcomes
    assert memaudit("compare", "audit/report.json", "audit/report.json").code == 0
    assert memaudit("history", "audit/report.json").code == 0
    kept = memaudit("export", "dedup", "--store", "store", "--to", "manifest", "--out", "kept")
    assert (kept.code, "5 kept, 1 dropped" in kept.out) == (0, True)
    prompts = ("prompts", "store", "--out", "prompts.jsonl", "--strategy", "most-duplicated", "--dedup", "dedup")
    assert memaudit(*prompts).code == 0
    memaudit("review", "dedup", "--status").failed(3, "an earlier version wrote the report", "run it again")


def test_an_unfinished_store_says_what_to_do(folder: Path, memaudit: Memaudit) -> None:
    """Its images were elsewhere, which a line says; then it is made whole, and has a manifest of this version."""
    memaudit("dedup", "unfinished", "--out", "new").failed(3, "run the same memaudit embed command again")
    memaudit(*EMBED, "unfinished").failed(2, "4 images moved", "--replace-changed")
    assert memaudit(*EMBED, "unfinished", "--replace-changed").code == 0
    assert list(Store.open(folder / "unfinished").all_columns().image_id) == [f"training/{i}.jpg" for i in range(6)]
    assert memaudit("verify", "unfinished").code == 0
