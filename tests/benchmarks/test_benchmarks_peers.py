"""Promises of benchmarks/peers.py, with tools that are a few lines of Python and need no network."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from pictures import draw

pytest.importorskip("faiss", reason="needs FAISS: ./scripts/test")

from benchmarks import venvs
from benchmarks.measure import BenchmarkError
from benchmarks.peers import TOOLS, Pair, Tool, linked, peers, read_pairs
from benchmarks.venvs import installed

SOURCES, CLEAN = ("a/one.jpg", "b/one.jpg"), ("c/three.png",)
# Each generation with the reference of its number, the other way round, and two generations with each other.
PAIRS = """
import os, sys
references, generations, out, *setting = sys.argv[1:]
names = [[os.path.join(folder, name) for name in sorted(os.listdir(folder))] for folder in (references, generations)]
with open(os.path.join(out, "similarity.csv"), "w") as handle:
    handle.write("from,to,distance\\n")
    for reference, generation in zip(*names):
        handle.write(f"{generation},{reference},{setting[0]}\\n{reference},{generation},0.5\\n")
    handle.write(f"{names[1][0]},{names[1][1]},0.99\\n")
"""


def _here(venv: Path) -> Path:
    return Path(sys.executable)


def _nowhere(venv: Path) -> Path:
    raise BenchmarkError("it needs another machine")


def drawn_in(folder: Path, names: tuple[str, ...]) -> dict[str, Path]:
    folder.mkdir()
    files = {name: folder / f"{number}{Path(name).suffix}" for number, name in enumerate(names)}
    for seed, file in enumerate(files.values()):
        draw(seed, (96, 64)).save(file)
    return files


def tool(script: str = PAIRS, package: str = "pillow", *settings: str) -> Tool:
    return Tool(package, _here, script, {f"{package} {setting}": (setting,) for setting in settings or ("0.9",)})


def test_files_of_one_name_are_given_apart_and_mapped_back(tmp_path: Path) -> None:
    """The same bytes under numbers, with their suffix; no symbolic links."""
    names = linked(drawn_in(tmp_path / "files", (*SOURCES, *CLEAN)), tmp_path / "work/references")
    given = sorted((tmp_path / "work/references").iterdir())
    assert [path.name for path in given] == ["000000.jpg", "000001.jpg", "000002.png"]
    assert [names[f"references/{path.name}"] for path in given] == [*SOURCES, *CLEAN]
    assert not any(path.is_symlink() for path in given)
    assert given[1].read_bytes() == (tmp_path / "files/1.jpg").read_bytes()


def test_only_pairs_of_a_generation_and_a_reference_are_read(tmp_path: Path) -> None:
    """In either order, each once with the higher similarity; wherever the tool says that the files are."""
    names = {"references/0.png": "r0", "references/1.png": "r1", "generations/0.png": "g0", "generations/1.png": "g1"}
    rows = (
        "/x/generations/0.png,/x/references/1.png,0.8",
        "references/1.png,generations/0.png,0.9",
        "/x/generations/0.png,/x/generations/1.png,1",
        "/x/references/0.png,/x/references/1.png,1",
        "/x/references/0.png,/x/generations/1.png,0.7",
    )
    (tmp_path / "similarity.csv").write_text("\n".join(["from,to,distance", *rows, ""]))
    assert read_pairs(tmp_path / "similarity.csv", names) == [Pair("g0", "r1", 0.9), Pair("g1", "r0", 0.7)]


@pytest.mark.parametrize("text", ["from,to,distance\n/x/generations/9.png,references/0.png,1\n", "a,b\n1,2\n"])
def test_what_cannot_be_read_is_no_result(text: str, tmp_path: Path) -> None:
    """A file that nobody gave, or other columns: one line, and not a table without findings."""
    (tmp_path / "similarity.csv").write_text(text)
    with pytest.raises(BenchmarkError, match=r"its similarity\.csv cannot be read"):
        read_pairs(tmp_path / "similarity.csv", {"references/0.png": "r0"})


def test_each_setting_runs_once_and_keeps_its_pairs_apart(tmp_path: Path) -> None:
    """With what it cost and the version of the tool."""
    references, generations = (
        drawn_in(tmp_path / "r", SOURCES),
        drawn_in(tmp_path / "g", ("one.png", "two.png", "three.png")),
    )
    first, second = peers(references, generations, tmp_path / "work", [tool(PAIRS, "pillow", "0.9", "0.7")])
    assert (first.name, second.name) == ("pillow 0.9", "pillow 0.7")
    assert first.pairs == [Pair("one.png", SOURCES[0], 0.9), Pair("two.png", SOURCES[1], 0.9)]
    assert [pair.similarity for pair in second.pairs] == [0.7, 0.7]
    assert first.cost is not None
    assert first.cost.cpu_seconds > 0
    assert first.note.startswith("pillow 1")


def test_tools_that_cannot_be_had_or_run_say_why(tmp_path: Path) -> None:
    """Each setting has its line, and the tools after them run."""
    tools = [
        Tool("absent", _nowhere, PAIRS, {"absent 1": (), "absent 2": ()}),
        tool("import sys; sys.exit('no licence')", "broken"),
        tool("", "silent"),
        tool(),
    ]
    files = drawn_in(tmp_path / "r", SOURCES)
    *without, last = peers(files, files, tmp_path / "work", tools)
    assert [peer.cost for peer in without] == [None] * 4
    assert [peer.note for peer in without[:2]] == ["it needs another machine"] * 2
    assert without[2].note.endswith("exit code 1: no licence")
    assert without[3].note == "it has left no similarity.csv"
    assert len(last.pairs) == 2


def test_a_package_that_cannot_be_installed_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No such interpreter, or none that is new enough."""
    with pytest.raises(BenchmarkError, match=r"fastdup could not be installed \(FileNotFoundError\)"):
        installed(["fastdup[all]", "numpy"], tmp_path / "venv", tmp_path / "python")
    monkeypatch.setattr(venvs, "python_for_immaculate", lambda: None)
    with pytest.raises(BenchmarkError, match=r"immaculate needs Python >= 3\.12, none found"):
        TOOLS[-1].install(tmp_path / "venv")
