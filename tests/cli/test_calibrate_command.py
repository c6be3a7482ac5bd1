"""memaudit calibrate, as a person types it: what it writes, says and refuses."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from calls import Memaudit
from pictures import MakeFolder, MakeStore
from vectors import random_vectors, vector_store

HEADER = "left_sha256,right_sha256,verdict,who\n"
A, B = "a" * 64, "b" * 64


@pytest.fixture
def store(picture_folder: MakeFolder, make_store: MakeStore) -> Path:
    """Eight pictures that somewhat resemble each other."""
    return make_store(picture_folder(8)).folder


@pytest.fixture
def labels(tmp_path: Path) -> Callable[[str], Path]:
    def write(text: str) -> Path:
        path = tmp_path / "labels.csv"
        path.write_text(text)
        return path

    return write


def test_propose_then_fit(memaudit: Memaudit, store: Path, tmp_path: Path) -> None:
    """Few labels: exit code 3, nothing is written, and it is said how many more it takes."""
    made = memaudit("calibrate", "propose", store, "--match-from", "0.2", "--count", "24", "--out", tmp_path / "l.csv")
    assert made.code == 0, made.err
    assert "nearest to the cut" in made.out
    text = (tmp_path / "l.csv").read_text()
    header = "left_sha256,right_sha256,verdict,who,when,why,left_uri,right_uri,similarity,probability,frame,stratum,"
    assert text.startswith(header)
    (tmp_path / "l.csv").write_text(text.replace(",,,,,", ",copy,A. Person,2027-01-31,,", 99))
    out = tmp_path / "calibration.toml"
    fitted = memaudit(
        "calibrate", "fit", tmp_path / "l.csv", "--store", store, "--precision", "0.99", "--out", out, "--json"
    )
    assert fitted.code == 3
    assert not out.exists()
    assert fitted.json["conclusive"] is False
    assert fitted.json["counts"]["copies"] == text.count("\n") - 1
    told = memaudit("calibrate", "fit", tmp_path / "l.csv", "--store", store, "--precision", "0.99", "--out", out)
    assert "more pairs found there are to be labelled" in told.out
    assert "Nothing was written." in told.out


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ([], ["either --precision", "or --recall"]),
        (["--precision", "0.9", "--recall", "0.9"], ["either --precision"]),
        (["--precision", "1"], ["--precision 1 is out of range"]),
        (["--recall", "0.2"], ["--recall 0.2 is out of range"]),
        (["--precision", "0.9", "--out", "calibration.json"], ["ends in .toml"]),
        (["--precision", "0.9"], ["labels.csv cannot be read: No such file"]),
    ],
)
def test_goals_that_cannot_be(
    memaudit: Memaudit, store: Path, tmp_path: Path, options: list[str], words: list[str]
) -> None:
    rest = [] if "--out" in options else ["--out", tmp_path / "c.toml"]
    memaudit("calibrate", "fit", tmp_path / "labels.csv", "--store", store, *options, *rest).failed(2, *words)


@pytest.mark.parametrize(
    ("text", "code", "words"),
    [
        ("", 2, ["no line names a pair"]),
        (HEADER, 2, ["no line names a pair"]),
        ("left;right;verdict\n", 2, ["no line names a pair"]),
        (f"left;right;verdict\n{A};{B};copy\n", 2, ["no column 'left_sha256'"]),
        (f"{HEADER}{A},{A},not a copy,P\n", 2, ["line 2", "paired with itself"]),
        (f"{HEADER}{A[:40]},{B},copy,P\n", 2, ["is no sha256"]),
        (f"{HEADER}{A},{B},yes,P\n", 2, ["verdict 'yes' is none of"]),
        (f"{HEADER}{A},{B},,\n", 3, ["nobody has labelled a pair yet"]),
        (f"{HEADER}{A},{B},copy,P\n", 3, ["none of the 1 labelled pairs has both of its files in"]),
        (f'{HEADER}"{A},{B},copy,P\n', 2, ["not valid CSV"]),
    ],
)
def test_labels_that_are_of_no_use(
    memaudit: Memaudit,
    store: Path,
    labels: Callable[[str], Path],
    tmp_path: Path,
    text: str,
    code: int,
    words: list[str],
) -> None:
    arguments = ("--store", store, "--recall", "0.9", "--out", tmp_path / "c.toml")
    memaudit("calibrate", "fit", labels(text), *arguments).failed(code, *words)
    assert not (tmp_path / "c.toml").exists()


def test_nothing_is_written_over(
    memaudit: Memaudit, store: Path, labels: Callable[[str], Path], tmp_path: Path
) -> None:
    """Neither labels by a proposal, nor another file by a calibration."""
    path = labels(HEADER)
    memaudit("calibrate", "propose", store, "--match-from", "0.2", "--out", path).failed(2, "may hold labels")
    assert path.read_text() == HEADER
    policy = tmp_path / "policy.toml"
    policy.write_text("[gate]\n")
    arguments = ("--store", store, "--precision", "0.9", "--out", policy)
    memaudit("calibrate", "fit", path, *arguments).failed(2, "is no calibration")
    assert policy.read_text() == "[gate]\n"


@pytest.mark.parametrize(
    ("options", "code", "words"),
    [
        (["--out", "l.txt"], 2, ["ends in .csv, .jsonl"]),
        (["--out", "l.csv"], 2, ["thumbnail has no measured floor", "--match-from"]),
        (["--out", "l.csv", "--match-from", "0.95"], 2, ["below the encoder's threshold"]),
        (["--out", "l.csv", "--match-from", "-1"], 2, ["--match-from -1 is out of range"]),
        (["--out", "l.csv", "--match-from", "0.2", "--count", "1"], 2, ["--count 1 is out of range"]),
        (["--out", "l.csv", "--match-from", "0.9499"], 3, ["no two images reach a similarity of 0.9499"]),
        (["--out", "l.csv", "--match-from", "0.2", "--labels", "absent.csv"], 2, ["absent.csv cannot be read"]),
        (["--out", "l.csv", "--match-from", "0.2", "--against", "absent"], 2, ["absent"]),
    ],
)
def test_proposals_that_cannot_be(
    memaudit: Memaudit,
    store: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    options: list[str],
    code: int,
    words: list[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    memaudit("calibrate", "propose", store, *options).failed(code, *words)
    assert not (tmp_path / "l.csv").exists()


def test_embeddings_without_files_cannot_be_labelled(memaudit: Memaudit, tmp_path: Path) -> None:
    store = vector_store(tmp_path / "vectors", random_vectors(0, 6), hashes=["0" * 64] * 6)
    arguments = ("--match-from", "0.1", "--out", tmp_path / "l.csv")
    memaudit("calibrate", "propose", store.folder, *arguments).failed(2, "was imported without files")


def test_runs_refuse_what_is_no_calibration(memaudit: Memaudit, store: Path, tmp_path: Path) -> None:
    path = tmp_path / "c.toml"
    path.write_text("threshold = 0.9\n")
    for command in (("dedup", store), ("audit", store, "--against", store)):
        ran = memaudit(*command, "--out", tmp_path / "out", "--calibration", path)
        ran.failed(2, "c.toml has schema 'None', this version reads 'memaudit.calibration/1'")
    memaudit("lookup", store, "--against", store, "--calibration", tmp_path / "absent.toml").failed(2, "cannot be read")
    both = ("--calibration", path, "--threshold", "0.9")
    memaudit("dedup", store, "--out", tmp_path / "out", *both).failed(2, "leave out --threshold")
