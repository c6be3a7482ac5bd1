"""Command and API write the same files, byte by byte."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from datetime import datetime, tzinfo
from pathlib import Path

import pytest
from user_folders import has_face_weights, write_folders

import memaudit as ma
from memaudit.cli.app import run

STORE = ["embed", "training.csv", "--out", "store", "--encoder", "thumbnail"]
AUDIT = ["audit", "generations", "--against", "store", "--out", "audit", "--control", "training", "--metrics"]
DEDUP = ["dedup", "store", "--out", "dedup"]


class Noon(datetime):
    """The time stands still."""

    @classmethod
    def now(cls, tz: tzinfo | None = None) -> Noon:
        return cls(2026, 1, 1, 12, tzinfo=tz)


@pytest.fixture(autouse=True)
def _time_stands_still(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in ("report.document", "lookup.evidence", "gate.judging", "index.build"):
        monkeypatch.setattr(f"memaudit.{module}.datetime", Noon)
    monkeypatch.setattr("memaudit.index.build.time.perf_counter", lambda: 0.0)
    monkeypatch.setattr("memaudit.lookup.evidence.Stopwatch.lap", lambda watch, name: watch.seconds.update({name: 0.0}))


def embed() -> object:
    return ma.embed("training.csv", "store", encoder="thumbnail")


def audit() -> object:
    page = ma.PageChoices(command=["memaudit", *AUDIT])  # a report tells by which words it was made
    return ma.run_audit("generations", embed(), "audit", control="training", metrics=True, page=page)


def dedup() -> object:
    return ma.run_dedup(embed(), "dedup", page=ma.PageChoices(command=["memaudit", *DEDUP]))


def gate() -> object:
    audit(), dedup()
    files = {"junit": "gate.xml", "sarif": "gate.sarif", "markdown": "gate.md"}
    return ma.run_gate(["audit/report.json", "dedup/report.json"], **files)


def prompts() -> object:
    dedup()
    return ma.make_prompts("store", "prompts.jsonl", n=5, strategy="mixed", dedup="dedup")


GATE = ["gate", "audit/report.json", "dedup/report.json", "--junit", "gate.xml", "--sarif", "gate.sarif"]
PROMPTS = ["prompts", "store", "--out", "prompts.jsonl", "--n", "5", "--strategy", "mixed", "--dedup", "dedup"]
EXTRACT = ["extract", "generations", "--out", "extract", "--prompt-pattern", "{prompt}.png"]
LOOKUP = ["lookup", "generations/copy.png", "--against", "store", "--evidence", "evidence.json"]
CASES: dict[str, tuple[list[list[str]], Callable[[], object]]] = {
    "embed": ([[*STORE, "--tiles"]], lambda: ma.embed("training.csv", "store", encoder="thumbnail", tiles=True)),
    "audit": ([STORE, AUDIT], audit),
    "dedup": ([STORE, DEDUP], dedup),
    "gate": ([STORE, AUDIT, DEDUP, [*GATE, "--markdown", "gate.md"]], gate),
    "policy": ([["gate", "--init", "memaudit.toml"]], lambda: ma.write_policy("memaudit.toml")),
    "prompts": ([STORE, DEDUP, PROMPTS], prompts),
    "extract": ([EXTRACT], lambda: ma.run_extract("generations", "extract", prompt_pattern="{prompt}.png")),
    "lookup": (
        [STORE, LOOKUP],
        lambda: (embed(), ma.run_lookup("generations/copy.png", "store", evidence="evidence.json")),
    ),
    "index": ([STORE, ["index", "store", "--out", "index"]], lambda: (embed(), ma.build_index("store", "index"))),
    "faces": ([["faces", "training", "--out", "faces"]], lambda: ma.find_faces("training", "faces")),
}


def given_in(place: Path) -> Path:
    """A store knows its sources by the times of their folders and lists: these are the same whenever they are made."""
    write_folders(place)
    for path in place.rglob("*"):
        os.utime(path, (0, 0))
    return place


def files_of(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize("name", CASES)
def test_a_command_and_its_function_write_the_same(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    if name == "faces" and not has_face_weights():
        pytest.skip("needs the face weights: memaudit encoders fetch sface")
    commands, function = CASES[name]
    place = tmp_path / "place"  # the same for both: stores name their files by whole paths
    monkeypatch.chdir(given_in(place))
    given = files_of(place).keys()
    assert all(run(command) in (0, 1, 3) for command in commands), capsys.readouterr().err
    by_command = files_of(place)
    monkeypatch.chdir(tmp_path)
    shutil.rmtree(place)
    monkeypatch.chdir(given_in(place))
    function()
    by_function = files_of(place)
    assert by_command.keys() - given
    assert by_command.keys() == by_function.keys()
    assert [path for path, data in by_command.items() if data != by_function[path]] == []
