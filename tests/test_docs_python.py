"""What the documents say about Python is true: their blocks run, and the reference is that of the code."""

from __future__ import annotations

import contextlib
import io
import re
from pathlib import Path

import pytest
from pictures import altered, draw, write_pictures

import memaudit as ma
from scripts.api_reference import page

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
BLOCK = re.compile(r"```python\n(.*?)```(?:\n\n```text\n(.*?)```)?", re.DOTALL)


@pytest.fixture
def folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The working directory, with what the documents assume: 0009.png is an altered copy of 0003.png, copied.png one
    of 0005.png."""
    training = write_pictures(tmp_path / "training", range(12))
    altered(draw(3)).save(training / "0009.png")
    rows = [f"training/{number:04d}.png,{number:04d}.png,picture {number}" for number in range(12)]
    (tmp_path / "training.csv").write_text("\n".join(["path,image_id,caption", *rows]))
    write_pictures(tmp_path / "held-out", range(100, 106))
    generations = write_pictures(tmp_path / "generations", range(500, 506))
    altered(draw(5)).save(generations / "copied.png")
    names = sorted(path.name for path in generations.iterdir())
    rows = [f"{name},0005.png,prompt of {name}" for name in names]
    (tmp_path / "pairing.csv").write_text("\n".join(["generation,image_id,prompt", *rows]))
    monkeypatch.chdir(tmp_path)


def blocks_of(document: Path) -> list[tuple[str, str]]:
    """Each ```python block, and the ```text block below it."""
    return BLOCK.findall(document.read_text())


def printed_by(blocks: list[str]) -> list[str]:
    """What each block prints, run in one namespace."""
    said, names = [], dict[str, object]()
    for code in blocks:
        with contextlib.redirect_stdout(io.StringIO()) as output:
            exec(code, names)
        said.append(output.getvalue())
    return said


def test_the_page_about_python_runs(folders: None) -> None:
    """Block by block, from images to a verdict; what is shown below a block is what it prints."""
    blocks = blocks_of(DOCS / "how-to" / "python.md")
    assert len(blocks) >= 10
    for (code, shown), printed in zip(blocks, printed_by([code for code, _ in blocks]), strict=True):
        assert not shown or printed == shown, code


def test_the_block_of_the_readme_runs(folders: None) -> None:
    """By the encoder that needs no weights; the rest word for word."""
    ((code, _),) = blocks_of(ROOT / "README.md")
    assert code.startswith("import memaudit as ma\n")
    embeds = 'ma.embed("training/", out="store"'
    assert embeds in code
    (printed,) = printed_by([code.replace(embeds, f'{embeds}, encoder="thumbnail"')])
    assert printed.startswith("fail")


def test_the_reference_is_that_of_the_code() -> None:
    """docs/reference/api.md is written by `python -m scripts.api_reference`."""
    assert (DOCS / "reference" / "api.md").read_text() == page()


def test_every_public_name_is_in_the_reference() -> None:
    headings = set(re.findall(r"^### (\w+)$", (DOCS / "reference" / "api.md").read_text(), re.MULTILINE))
    assert {*ma.__all__} - {"errors"} <= headings


def test_the_modules_on_the_way_are_there() -> None:
    """docs/way.md names what a generation passes by its file: whoever moves one says so there."""
    named = re.findall(r"`([\w/]+\.(?:py|toml))`", (DOCS / "way.md").read_text())
    assert len(named) >= 40
    assert [name for name in named if not any((base / name).is_file() for base in (ROOT, ROOT / "memaudit"))] == []


def test_links_of_the_reference_lead_to_a_heading() -> None:
    """Within the page, and to the fields of a report."""
    text = (DOCS / "reference" / "api.md").read_text()
    fields = (DOCS / "reference" / "report.md").read_text()
    for target, document in ((r"\]\(#(\w+)\)", text), (r"\]\(report\.md#(\w+)\)", fields)):
        headings = {heading.lower() for heading in re.findall(r"^##+ (.+)$", document, re.MULTILINE)}
        assert {*re.findall(target, text)} <= headings
