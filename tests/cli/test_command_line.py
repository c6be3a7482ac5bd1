"""What every command promises: where its output goes, and its exit codes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from calls import Memaudit, program
from pictures import MakeFolder, MakeStore

from memaudit import __version__
from memaudit.cli import app as module
from memaudit.cli import main
from memaudit.cli.console import harmless, table
from memaudit.errors import InconclusiveError, MemauditError

COMMANDS = [
    *(["embed"], ["index"], ["dedup"], ["audit"], ["gate"], ["compare"], ["info"], ["verify"], ["doctor"]),
    *(["encoders", "list"], ["encoders", "fetch"], ["plan", "sample"]),
]
HEAVY = (
    *("torch", "torchvision", "cv2", "faiss", "open_clip", "onnxruntime"),
    *("h5py", "scipy", "pyarrow", "PIL", "jinja2"),
)
HOSTILE = "\x1b]0;owned\x07\x9b31m\u202e\n.png"


def test_help_loads_nothing_heavy() -> None:
    """`memaudit --help`, and each command's, answers before any of the large libraries is loaded."""
    code = (
        "import sys; from memaudit.cli.app import run\n"
        f"codes = [run([*command, '--help']) for command in [[], *{COMMANDS!r}]]\n"
        f"print(codes, [name for name in {HEAVY!r} if name in sys.modules], file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr == f"{[0] * (len(COMMANDS) + 1)} []\n"
    assert "Traceback" not in done.stdout


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_every_command_has_the_common_options(memaudit: Memaudit, command: list[str]) -> None:
    """--json, --quiet and --verbose are known everywhere, and --help tells what the command is for."""
    called = memaudit(*command, "--help")
    assert called.code == 0
    assert all(option in called.out for option in ("--json", "--quiet", "--verbose"))


def test_without_a_command_there_is_help(memaudit: Memaudit) -> None:
    """`memaudit` alone is a question."""
    called = memaudit()
    assert called.code == 0
    assert "Commands:" in called.out


def test_version(memaudit: Memaudit) -> None:
    """`memaudit --version` prints the package's version, and that is all."""
    called = memaudit("--version")
    assert (called.code, called.out, called.err) == (0, f"memaudit {__version__}\n", "")


@pytest.mark.parametrize(
    "arguments",
    [
        *(
            ["nosuch"],
            ["--nosuch"],
            ["encoders"],
            ["encoders", "nosuch"],
            ["embed"],
            ["embed", "x"],
            ["info"],
            ["gate"],
        ),
        *(["audit", "x", "--out", "y"], ["info", "x", "--nosuch"], ["embed", "x", "--out", "y", "--workers", "many"]),
        *(["embed", "x", "--out", "y", "--batch-size", "0"], ["embed", "x", "--out", "y", "--shard-rows", "-1"]),
        *(["embed", "x", "--out", "y", "--max-unreadable", v] for v in ("nan", "-0.1", "1.1", "inf")),
        *(["audit", "x", "--against", "s", "--out", "y", "--neighbours", "0"], ["dedup", "x", "--out", "y", "--seed"]),
    ],
    ids=" ".join,
)
def test_wrong_usage_is_one_line_and_exit_2(
    memaudit: Memaudit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str]
) -> None:
    """No traceback, nothing on stdout; with --json the same as one object."""
    monkeypatch.chdir(tmp_path)
    called = memaudit(*arguments)
    called.failed(2)
    assert called.out == ""
    called = memaudit(*arguments, "--json")
    called.failed(2)
    assert called.json["exit_code"] == 2
    assert called.json["error"]["message"] in called.err.removeprefix("memaudit: ")
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize(
    "arguments",
    [
        *(["info"], ["verify"], ["gate"], ["index", "--out", "o"], ["dedup", "--out", "o"]),
        *(["embed", "--out", "o", "--encoder", "thumbnail"], ["audit", "--against", "absent", "--out", "o"]),
    ],
    ids=lambda arguments: arguments[0],
)
def test_absent_input_is_one_line_and_exit_2(
    memaudit: Memaudit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str]
) -> None:
    """The line names what is absent."""
    monkeypatch.chdir(tmp_path)
    memaudit(*arguments, "absent").failed(2, "absent")
    called = memaudit(*arguments, "absent", "--json")
    called.failed(2, "absent")
    assert called.json["error"]["kind"] == "InputError"


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (InconclusiveError("half"), 3),
        (PermissionError(13, "Permission denied", "/x"), 2),
        (OSError("no words"), 2),
        (ValueError("boom"), 3),
        (MemoryError(), 3),
        (RuntimeError("std::bad_alloc"), 3),
        (KeyboardInterrupt(), 130),
    ],
)
def test_whatever_happens_has_an_exit_code(
    memaudit: Memaudit, monkeypatch: pytest.MonkeyPatch, error: BaseException, code: int
) -> None:
    """Errors of any kind end in one line and one code; never 0, which would pass, nor 1, which would be a finding."""

    def fail(*_: Any) -> None:
        raise error

    monkeypatch.setattr("memaudit.api.inspecting.describe", fail)
    memaudit("info", "x").failed(code)
    called = memaudit("info", "x", "--json")
    called.failed(code)
    assert called.json["exit_code"] == code


def test_memory_that_was_refused_is_named(memaudit: Memaudit, monkeypatch: pytest.MonkeyPatch) -> None:
    """How much was asked for, and what the process had: who reads it knows by how much to ask for less."""

    def fail(*_: Any) -> None:
        np.empty((2**20, 2**30), np.float32)

    monkeypatch.setattr("memaudit.api.inspecting.describe", fail)
    called = memaudit("info", "x", "--json")
    called.failed(3, "memory ran out: Unable to allocate 4.00 PiB", "this process had taken", "--batch-size")
    assert called.json["error"]["kind"] == "OutOfMemory"


def test_an_internal_error_shows_where_when_asked(memaudit: Memaudit, monkeypatch: pytest.MonkeyPatch) -> None:
    """--verbose brings the traceback, without the control characters in it; without it there is a hint."""

    def fail(*_: Any) -> None:
        raise ValueError(f"about {HOSTILE}")

    monkeypatch.setattr("memaudit.api.inspecting.describe", fail)
    memaudit("info", "x").failed(3, "--verbose shows where")
    called = memaudit("info", "x", "--verbose")
    assert "Traceback" in called.err
    assert not {"\x1b", "\x07", "\x9b", "\u202e"} & set(called.err)


def test_error_classes_and_codes() -> None:
    """Every error of ours exits with 2 or 3."""

    def kinds(kind: type[MemauditError]) -> list[type[MemauditError]]:
        return [kind, *(k for child in kind.__subclasses__() for k in kinds(child))]

    assert {kind.exit_code for kind in kinds(MemauditError)} == {2, 3}


def test_control_characters_do_not_reach_the_terminal() -> None:
    """Escape sequences, C1 codes and marks that turn the text are replaced; tabs and newlines stay."""
    assert harmless("a\tb\nü") == "a\tb\nü"
    dirty = "".join(map(chr, [*range(9), *range(11, 32), *range(127, 160), 0x202E, 0x2066, 0x200F, 0x2028]))
    assert set(harmless(dirty)) == {"\ufffd"}


def test_a_table_keeps_its_rows() -> None:
    """A newline in a cell does not make a row."""
    assert table([("a", "b\nc"), ("ddd", "e")]) == "a    b c\nddd  e"
    assert table([]) == ""


def test_hostile_names_are_harmless_in_every_command(
    picture_folder: MakeFolder, make_store: MakeStore, memaudit: Memaudit, tmp_path: Path
) -> None:
    """Ids, paths and causes with escape sequences: stdout, stderr and JSON hold none."""
    folder = picture_folder(3, name="train" + HOSTILE)
    (folder / ("copy" + HOSTILE)).write_bytes((folder / "0001.png").read_bytes())
    (folder / ("broken" + HOSTILE)).write_bytes(b"P6\n\x1b[31m\n")
    store = make_store(folder, name="store" + HOSTILE).folder
    out = tmp_path / ("out" + HOSTILE)
    calls = [
        *(["info", store], ["verify", store], ["dedup", store, "--out", out / "d"], ["info", store / "absent"]),
        *(["embed", folder, "--out", store, "--encoder", "thumbnail"], ["gate", out / "a" / "report.json"]),
        ["audit", folder, "--against", store, "--out", out / "a", "--max-unreadable", "1"],
        *(["index", store, "--out", out / "i"], ["info", out / "i"], ["info", out / "a" / "report.json"]),
    ]
    for call in calls:
        for extra in ([], ["--json"], ["--verbose"]):
            called = memaudit(*call, *extra)
            assert not {"\x1b", "\x07", "\x9b", "\u202e"} & set(called.out + called.err), (call[0], extra)
            assert "internal error" not in called.err
            if extra == ["--json"]:
                assert called.json


@pytest.mark.parametrize("encoding", ["utf-8", "ascii"])
def test_odd_bytes_in_paths_are_printed(
    picture_folder: MakeFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, encoding: str
) -> None:
    """A path that is no UTF-8 works as source and as --out, in text and in JSON, on an ASCII terminal as well."""
    monkeypatch.setenv("PYTHONIOENCODING", encoding)
    folder, out = picture_folder(2), os.fsdecode(os.fsencode(tmp_path) + b"/st\xffre")
    os.rename(folder, os.fsdecode(os.fsencode(tmp_path) + b"/\xe9mages"))
    source = os.fsdecode(os.fsencode(tmp_path) + b"/\xe9mages")
    called = program("embed", source, "--out", out, "--encoder", "thumbnail", "--json")
    assert (called.code, called.err) == (0, "")
    assert called.json["store"] == out
    shown = program("info", out)
    assert (shown.code, shown.err) == (0, "")
    assert r"\udce9mages" in shown.out


def test_quiet_is_quiet(picture_folder: MakeFolder, memaudit: Memaudit, tmp_path: Path) -> None:
    """--quiet prints nothing when all is well, and still says what is wrong."""
    out = tmp_path / "store"
    assert memaudit("embed", picture_folder(3), "--out", out, "--encoder", "thumbnail", "--quiet") == (0, "", "")
    assert memaudit("info", out, "-q") == (0, "", "")
    memaudit("info", tmp_path / "absent", "--quiet").failed(2, "absent")


@pytest.mark.parametrize("flag", [[], ["--json"]])
def test_a_reader_that_leaves_does_not_change_the_exit_code(
    picture_folder: MakeFolder, make_store: MakeStore, tmp_path: Path, flag: list[str]
) -> None:
    """`memaudit gate ... | head -0` in a script with pipefail still tells the verdict; no traceback, not exit 1."""
    store = make_store(picture_folder(3)).folder
    command = [sys.executable, "-m", "memaudit", "info", str(store), *flag]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait() == 0


def test_output_that_cannot_be_written_is_not_success(picture_folder: MakeFolder, make_store: MakeStore) -> None:
    """A full disk behind stdout is exit 2 in one line, for results and for errors."""
    store = make_store(picture_folder(3)).folder
    with open("/dev/full", "w") as full:
        for arguments in (["info", str(store)], ["info", str(store), "--json"], ["info", "absent", "--json"]):
            command = [sys.executable, "-m", "memaudit", *arguments]
            done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True, check=False)
            assert done.returncode == 2
            assert done.stderr.count("\n") == 1
            assert done.stderr.startswith("memaudit: ")


def test_json_is_one_object_from_every_command(
    picture_folder: MakeFolder, memaudit: Memaudit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """From the images to the verdict, each step prints one JSON object on stdout and nothing on stderr."""
    monkeypatch.chdir(tmp_path)
    train, generations = picture_folder(12, name="train"), picture_folder(4, name="gen", first_seed=500)
    calls: list[tuple[list[Any], str]] = [
        (["embed", train, "--out", "store", "--encoder", "thumbnail"], "images"),
        (["index", "store", "--out", "index"], "index_recall"),
        (["dedup", "store", "--out", "dedup"], "results"),
        (["audit", generations, "--against", "index", "--out", "audit"], "results"),
        (["gate", "audit/report.json", "dedup/report.json"], "verdict"),
        (["gate", "--init", "policy.toml"], "policy"),
        *((["info", path], "kind") for path in ("store", "index", "audit/report.json")),
        *((["verify", path], "sound") for path in ("store", "index", "audit/report.json")),
        (["encoders", "list"], "encoders"),
        (["doctor"], "memaudit"),
    ]
    for call, key in calls:
        called = memaudit(*call, "--json")
        assert called.err == "", call
        assert key in called.json, call
        assert called.code in ((0, 3) if call[0] == "gate" else (0,)), (call, called)
        json.dumps(called.json, allow_nan=False)


def test_the_program_is_the_function(monkeypatch: pytest.MonkeyPatch) -> None:
    """`memaudit` and `python -m memaudit` return what run returns."""
    assert program("nosuch").code == 2
    assert program("--help").code == 0
    monkeypatch.setattr(module, "run", lambda arguments: 42)
    monkeypatch.setattr("memaudit.interrupts.watch", lambda: None)
    with pytest.raises(SystemExit) as caught:
        main()
    assert caught.value.code == 42
