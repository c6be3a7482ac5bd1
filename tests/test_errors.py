"""What is not installed is one line that says how to install it."""

from importlib import metadata

import pytest

from memaudit.errors import OPTIONAL, MissingDependencyError, explaining_imports, install_line, missing, require


@pytest.mark.parametrize("name", OPTIONAL)
def test_the_line_names_an_extra_and_a_checkout(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who needs what, the command, and what can be done without."""
    monkeypatch.setattr("memaudit.errors._is_installed", lambda distribution: False)
    text = str(missing(name, "this", "wait"))
    package, extra = OPTIONAL[name]
    assert text == f'this needs {package}: pip install ".[{extra}]" in a checkout of memaudit, or wait'


def test_where_the_gpu_builds_are_the_cpu_ones_are_not_advised(monkeypatch: pytest.MonkeyPatch) -> None:
    """They own the same files."""
    monkeypatch.setattr("memaudit.errors._is_installed", lambda distribution: distribution == "faiss-gpu-cuvs")
    assert install_line("cpu").startswith('pip install ".[gpu]"')


def test_an_import_that_fails_within_a_command_is_explained(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of an optional package, by whichever of its modules; any other import error stays what it is."""

    @explaining_imports()
    def load(name: str) -> None:
        raise ModuleNotFoundError(f"No module named {name!r}", name=name)

    with pytest.raises(MissingDependencyError, match=r"this needs SciPy: pip install"):
        load("scipy.sparse")
    with pytest.raises(ModuleNotFoundError, match="elsewhere"):
        load("elsewhere")


def test_what_is_there_is_imported() -> None:
    """And what is not there is refused by name."""
    assert require("scipy", "this").__version__ == metadata.version("scipy")
