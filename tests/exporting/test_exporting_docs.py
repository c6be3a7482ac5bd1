"""The Python on the pages about exports runs as it stands, and prints what is shown, where its libraries are."""

from __future__ import annotations

import contextlib
import io
import re
import warnings
from importlib.util import find_spec
from pathlib import Path

import pytest
from test_docs import HOW_TO, run_here, write_inputs
from test_docs_python import BLOCK

COMMANDS = {
    "export": ("memaudit export dedup --to webdataset --out kept",),
    "interop": ("memaudit export store --to manifest --embeddings --out embedded",),
}


@pytest.fixture(params=COMMANDS)
def page(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A page, in a folder with what it assumes."""
    name = str(request.param)
    monkeypatch.chdir(tmp_path)
    write_inputs(tmp_path)
    for command in ("memaudit embed training.csv --out store", "memaudit dedup store --out dedup", *COMMANDS[name]):
        assert run_here(command) == 0
    return name


@pytest.mark.filterwarnings("ignore")
def test_blocks_print_what_is_shown(page: str) -> None:
    blocks, names, missing = BLOCK.findall(HOW_TO[page]), dict[str, object](), set[str]()
    assert len(blocks) >= 3
    for code, shown in blocks:
        absent = {name for name in re.findall(r"^(?:import|from) (\w+)", code, re.MULTILINE) if find_spec(name) is None}
        missing |= absent
        if absent:
            continue
        with contextlib.redirect_stdout(io.StringIO()) as output, warnings.catch_warnings():
            exec(code, names)
        assert not shown or output.getvalue() == shown, code
    if missing:
        pytest.skip(f"the rest runs; not here: {', '.join(sorted(missing))} (.[interop], .[torch])")
