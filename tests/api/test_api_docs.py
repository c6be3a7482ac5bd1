"""Every public name says what it is, with an example that runs."""

from __future__ import annotations

import doctest
import inspect
from pathlib import Path

import pytest
from user_folders import has_face_weights

import memaudit as ma

WEIGHTS = doctest.register_optionflag("WEIGHTS")

NAMES = [name for name in ma.__all__ if name != "errors"]


def examples_of(name: str) -> doctest.DocTest:
    text = inspect.getdoc(getattr(ma, name)) or ""
    return doctest.DocTestParser().get_doctest(text, {"ma": ma}, name, None, None)


@pytest.mark.parametrize("name", NAMES)
def test_the_example_of_a_public_name(name: str, folders: Path) -> None:
    """An example is what a user copies: it runs as it stands, in a folder with training/ and generations/."""
    test = examples_of(name)
    assert test.examples, f"{name} has no example"
    if any(WEIGHTS in example.options for example in test.examples) and not has_face_weights():
        pytest.skip("needs the face weights: memaudit encoders fetch sface")
    said: list[str] = []
    failed = doctest.DocTestRunner(optionflags=doctest.NORMALIZE_WHITESPACE).run(test, out=said.append).failed
    assert not failed, "".join(said)


def test_public_names_are_those_that_are_listed() -> None:
    """dir(ma) is the table of contents of the API: nothing of the machinery is in it."""
    assert dir(ma) == sorted([*ma.__all__, "__version__"])
    assert all(callable(getattr(ma, name)) for name in NAMES)
    with pytest.raises(AttributeError, match="nothing_of_the_kind"):
        ma.nothing_of_the_kind  # type: ignore[attr-defined]  # noqa: B018
