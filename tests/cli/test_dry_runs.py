"""`--dry-run` of long commands: what `plan` says of these inputs, and nothing is written."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from pictures import MakeFolder, MakeStore

import memaudit as ma
from memaudit.cli.app import run


@pytest.fixture
def inputs(picture_folder: MakeFolder, make_store: MakeStore) -> dict[str, Path]:
    pictures = picture_folder(6)
    return {"pictures": pictures, "generations": picture_folder(3, "made", 50), "store": make_store(pictures).folder}


@pytest.mark.parametrize(
    ("command", "plan", "rows"),
    [
        ("embed {pictures} --encoder sscd", "embed", 6),
        ("embed {pictures} --encoder sscd --part 2/4", "embed", 2),
        ("index {store}", "index", 6),
        ("dedup {store} --exhaustive", "dedup", 6),
        ("audit {generations} --against {store}", "audit", 6),
    ],
)
def test_it_says_what_plan_says(
    inputs: dict[str, Path],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    command: str,
    plan: str,
    rows: int,
) -> None:
    before = sorted(tmp_path.rglob("*"))
    given = [word.format(**inputs) for word in command.split()]
    assert run([*given, "--out", str(tmp_path / "out"), "--dry-run", "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert (said["command"], said["rows"], said["basis"]) == (plan, rows, "computed, not run")
    assert sorted(tmp_path.rglob("*")) == before


def test_it_is_the_plan_of_that_store(inputs: dict[str, Path], capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["dedup", str(inputs["store"]), "--out", "out", "--dry-run", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["commands"] == list(ma.plan_dedup(store=inputs["store"]).commands)


def test_images_that_are_read_again_are_those_of_these_options(
    inputs: dict[str, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    """By default the cleanest images are looked for; whoever keeps the largest reads none."""
    for options, count in ((), 1), (("--keep", "largest"), 0), (("--match", "none"), 0):
        assert run(["dedup", str(inputs["store"]), "--out", "out", "--dry-run", "--json", *options]) == 0
        stages = [stage["name"] for stage in json.loads(capsys.readouterr().out)["stages"]]
        assert stages.count("looking for the cleanest") == count


def test_generations_in_a_store_are_counted(inputs: dict[str, Path], capsys: pytest.CaptureFixture[str]) -> None:
    store = str(inputs["store"])
    assert run(["audit", store, "--against", store, "--out", "out", "--dry-run", "--json"]) == 0
    assert any(note.startswith("6 generations") for note in json.loads(capsys.readouterr().out)["notes"])


def test_what_the_options_add_is_counted(inputs: dict[str, Path], capsys: pytest.CaptureFixture[str]) -> None:
    """Tiles of `embed`; of an audit the held-out images, the copies that it plants, and the tiles of its store."""

    def said(command: str) -> dict[str, Any]:
        given = [word.format(**inputs) for word in command.split()]
        assert run([*given, "--out", "out", "--dry-run", "--json"]) == 0
        return dict(json.loads(capsys.readouterr().out))

    embed = "embed {pictures} --encoder sscd"
    assert said(f"{embed} --tiles")["seconds"] == pytest.approx(5 * said(embed)["seconds"])
    audit = "audit {generations} --against {store}"
    assert said(audit)["notes"][0].startswith("3 generations, 0 held-out images and 100 planted copies")
    more = said(f"{audit} --control {{pictures}} --planted 8 --faces")
    assert more["notes"][0].startswith("3 generations, 6 held-out images and 8 planted copies")
    assert any(note.startswith("faces are not counted") for note in more["notes"])
    ma.embed(inputs["pictures"], out=inputs["store"], encoder="thumbnail", shard_rows=8, tiles=True)
    assert any("54 tiles and details" in note for note in said(audit)["notes"])


def test_an_index_is_planned_by_its_store(
    inputs: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    ma.build_index(inputs["store"], tmp_path / "index")
    assert (
        run(["audit", str(inputs["generations"]), "--against", str(tmp_path / "index"), "--out", "o", "--dry-run"]) == 0
    )
    told = capsys.readouterr().out
    assert "the index is not counted" in told
    assert f"--against {tmp_path / 'index'}" in told


@pytest.mark.parametrize("command", ["dedup {pictures}", "audit {empty} --against {store}", "embed {empty} --part x"])
def test_what_is_no_input_is_one_line(
    inputs: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str], command: str
) -> None:
    (tmp_path / "empty").mkdir()
    given = [word.format(**inputs, empty=tmp_path / "empty") for word in command.split()]
    assert run([*given, "--out", str(tmp_path / "out"), "--dry-run"]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1
