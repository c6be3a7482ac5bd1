"""The runtime of the default encoder leaves nothing behind and calls nobody."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from pictures import write_pictures

import memaudit
from memaudit.encoders import weights

CODE = "import sys; from memaudit.cli.app import run; sys.exit(run(sys.argv[1:]))"


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A user's home without a file in it, and pictures beside it."""
    if weights.find_sscd() is None:
        pytest.skip("the sscd weights are absent: memaudit encoders fetch sscd")
    write_pictures(tmp_path / "images", range(3))
    (tmp_path / "home").mkdir()
    return tmp_path / "home"


def called(home: Path, *arguments: object, through: tuple[str, ...] = ()) -> None:
    """`memaudit` as a program that has this home, and weights where they are."""
    dropped = ("XDG_CACHE_HOME", "ORT_DISABLE_TELEMETRY")
    kept = {name: value for name, value in os.environ.items() if name not in dropped}
    cache = os.environ.get("MEMAUDIT_CACHE", str(Path("~/.cache/memaudit").expanduser()))
    environment = {**kept, "HOME": str(home), "MEMAUDIT_CACHE": cache}
    command = [*through, sys.executable, "-c", CODE, *map(str, arguments)]
    done = subprocess.run(command, cwd=home.parent, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode in (0, 1, 3), done.stderr


@pytest.mark.weights
def test_the_default_encoder_leaves_nothing_in_the_home(home: Path) -> None:
    """As it comes, onnxruntime writes a device id and a queue of events there."""
    called(home, "embed", "images", "--out", "store")
    assert [path for path in home.rglob("*") if path.is_file()] == []


@pytest.mark.slow
@pytest.mark.weights
@pytest.mark.skipif(shutil.which("strace") is None, reason="no strace: apt-get install strace")
def test_nothing_calls_out(home: Path) -> None:
    """The main job makes no socket of a network, by the system calls of all its threads and children."""
    trace = home.parent / "trace"
    through = ("strace", "-f", "--seccomp-bpf", "-qq", "-e", "trace=socket,connect", "-o", str(trace))
    for arguments in (
        ("embed", "images", "--out", "store"),
        ("dedup", "store", "--out", "dedup"),
        ("audit", "images", "--against", "store", "--planted", "10", "--out", "audit"),
        ("lookup", "images/0000.png", "--against", "store"),
        ("gate", "audit/report.json"),
    ):
        called(home, *arguments, through=through)
        calls = trace.read_text()
        assert not re.findall(r"AF_INET|AF_NETLINK", calls), (arguments, calls[:500])


def test_there_is_one_door() -> None:
    """No other module loads the runtime."""
    package = Path(memaudit.__file__).parent
    loads = re.compile(r"import onnxruntime|require\(.onnxruntime|import_module\(.onnxruntime")
    found = [path.name for path in package.rglob("*.py") if loads.search(path.read_text())]
    assert found == ["onnx_runtime.py"]
