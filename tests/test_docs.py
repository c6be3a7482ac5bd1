"""What the documents say is true: their commands run, and every command and option is in them."""

from __future__ import annotations

import contextlib
import csv
import hashlib
import io
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from itertools import combinations
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
import typer
from PIL import Image, ImageDraw

from memaudit.cli.app import app, run
from memaudit.encoders.weights import find_sscd
from memaudit.gate import DEFAULT_POLICY

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
README = (ROOT / "README.md").read_text()
TUTORIAL = (DOCS / "tutorial.md").read_text()
CI = (DOCS / "ci" / "README.md").read_text()
HOW_TO = {page.stem: page.read_text() for page in sorted((DOCS / "how-to").glob("*.md"))}
RULES = (DOCS / "protocols" / "gate.md").read_text()
DOCUMENTS = [*ROOT.glob("*.md"), *DOCS.rglob("*.md"), ROOT / "indexes" / "README.md", ROOT / "benchmarks" / "README.md"]
NOT_RUN = {
    "extract": ["it needs a pipeline, and minutes for each picture"],
    "dedup": ["thumbnail has no measured floor, so `--match pixels` has nothing to begin at"],
    "encoders": ["fetches weights from a package registry"],
    "review": ["it waits for people until Ctrl-C"],
    "serve": ["it answers until Ctrl-C"],
    "faces": ["needs the weights of SFace and pictures of people", "needs a store of faces"],
    "audit-faces": 2 * ["needs the weights of SFace and pictures of people, strangers among them"],
}
"""Why blocks of the how-to pages are not run here; the page says so above each of them."""


def blocks_of(document: str) -> list[str]:
    """Each ```bash block that is to be run."""
    return re.findall(r"(?<!-->\n)```bash\n(.*?)```", document, re.DOTALL)


def reasons_of(document: str) -> list[str]:
    """Why the other blocks are not run."""
    return re.findall(r"^<!-- not run: (.*) -->\n```bash\n", document, re.MULTILINE)


def is_plain(block: str) -> bool:
    """It holds nothing but memaudit commands."""
    return all(line.startswith("memaudit ") for line in block.strip().splitlines())


def commands_of(document: str) -> list[str]:
    """The lines of all blocks that hold nothing but memaudit commands."""
    return [line for block in blocks_of(document) if is_plain(block) for line in block.strip().splitlines()]


def exit_code_of(command: str) -> int:
    """What the document says behind the command, `# exit code 1`; or 0."""
    return int((re.findall(r"# exit code (\d+)", command) or ["0"])[0])


def draw(seed: int) -> Image.Image:
    """A picture of a few coloured discs, unlike that of any other seed."""
    image = Image.new("RGB", (160, 160), f"hsl({seed * 47 % 360}, 40%, 85%)")
    pen = ImageDraw.Draw(image)
    for i in range(4):
        x, y, r = (seed * 71 + i * 53) % 130, (seed * 37 + i * 89) % 130, 15 + (seed * 13 + i * 29) % 40
        pen.ellipse((x, y, x + r, y + r), fill=f"hsl({(seed * 101 + i * 77) % 360}, 80%, 45%)")
    return image


def write_table(path: Path, header: tuple[str, ...], rows: list[tuple[str, ...]]) -> None:
    with path.open("w", newline="") as handle:
        csv.writer(handle).writerows([header, *rows])


def write_inputs(folder: Path) -> None:
    """What the documents assume: training/ and training.csv, held-out/, generations/, pairing.csv, a picture."""
    for name, seeds in (("training", range(12)), ("held-out", range(100, 106)), ("generations", range(200, 206))):
        (folder / name).mkdir()
        for seed in seeds:
            draw(seed).save(folder / name / f"{seed}.png")
    draw(3).save(folder / "generations" / "copied.png")
    draw(3).save(folder / "picture.png")
    draw(7).resize((80, 80)).save(folder / "training" / "small.png")
    names = sorted(path.name for path in (folder / "generations").iterdir())
    asked = [(name, "3.png", f"discs like {name}") for name in names]
    write_table(folder / "pairing.csv", ("generation", "image_id", "prompt"), asked)
    names = sorted(path.name for path in (folder / "training").iterdir())
    rows = [(f"training/{name}", name, f"discs, number {name}") for name in names]
    write_table(folder / "training.csv", ("path", "image_id", "caption"), rows)


def write_more_inputs(folder: Path) -> None:
    """What single pages assume besides: ready embeddings, another set, generations in folders by their prompts, what
    was drawn for the prompts of canaries, a catalogue with labelled pairs."""
    write_catalogue(folder)
    vectors = np.random.default_rng(0).normal(size=(20, 16)).astype(np.float32)
    np.save(folder / "vectors.npy", vectors)
    (folder / "ids.txt").write_text("".join(f"image-{number}\n" for number in range(20)))
    (folder / "clip-retrieval-folder" / "img_emb").mkdir(parents=True)
    np.save(folder / "clip-retrieval-folder" / "img_emb" / "img_emb_0.npy", vectors)
    (folder / "clip-retrieval-folder" / "metadata").mkdir()
    paths = pa.table({"image_path": [f"{number}.png" for number in range(20)]})
    pq.write_table(paths, folder / "clip-retrieval-folder" / "metadata" / "metadata_0.parquet")
    (folder / "claimed").mkdir()
    draw(3).save(folder / "claimed" / "mine.png")
    (folder / "drawn").mkdir()
    for number in range(8):
        draw(60 + number).save(folder / "drawn" / f"{number:06d}.png")
    (folder / "training-2026-12").mkdir()
    draw(50).save(folder / "training-2026-12" / "50.png")
    for prompt in ("a clock", "a flag"):
        (folder / "by-prompt" / prompt).mkdir(parents=True)
        for seed in range(10):
            draw(seed if prompt == "a clock" else 4).save(folder / "by-prompt" / prompt / f"{seed}.png")


def write_catalogue(folder: Path) -> None:
    """Forty pictures and a smaller copy of each; reviews.jsonl: what a person says of any two of them."""
    shows = dict[str, int]()
    (folder / "catalogue").mkdir()
    for seed in range(40):
        for name, image in ((f"{seed}.png", draw(seed)), (f"{seed}-small.png", draw(seed).resize((120, 120)))):
            image.save(folder / "catalogue" / name)
            shows[hashlib.sha256((folder / "catalogue" / name).read_bytes()).hexdigest()] = seed
    said = (
        (one, other, "copy" if shows[one] == shows[other] else "not a copy") for one, other in combinations(shows, 2)
    )
    rows = [
        dict(zip(("left_sha256", "right_sha256", "verdict"), each, strict=True)) | {"who": "A. N."} for each in said
    ]
    (folder / "reviews.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))


STEPS = """
memaudit embed training.csv --out store
memaudit embed held-out/ --out test-store
memaudit dedup store --out dedup
memaudit index store --out index
memaudit audit generations/ --against store --pairing pairing.csv --control held-out/ --out audit
memaudit audit generations/ --against index --out audit-by-index
"""
"""What a how-to page may take for done, besides what stands on the page itself."""


@pytest.fixture(scope="module")
def finished_steps(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which STEPS are done."""
    folder = tmp_path_factory.mktemp("steps")
    write_inputs(folder)
    write_more_inputs(folder)
    with contextlib.chdir(folder), contextlib.redirect_stdout(io.StringIO()):
        for command in STEPS.strip().splitlines():
            assert run_here(command) == 0, command
    return folder


def run_here(command: str) -> int:
    """Run a line of a document in this process, by the encoder that needs no weights; return the exit code."""
    arguments = shlex.split(command, comments=True)[1:]
    by_thumbnail = ["--encoder", "thumbnail"] if arguments[0] == "embed" else []
    return run([*arguments, *by_thumbnail])


@pytest.mark.parametrize("page", HOW_TO)
def test_how_to_pages_run(page: str, finished_steps: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every block of a page runs in order, and ends with the exit code that stands behind the command, else with 0."""
    folder = tmp_path / "workplace"
    shutil.copytree(finished_steps, folder)
    monkeypatch.chdir(folder)
    for block in blocks_of(HOW_TO[page]):
        if is_plain(block):
            for command in block.strip().splitlines():
                assert run_here(command) == exit_code_of(command), command
        else:
            assert run_in_shell(block, folder).returncode == 0, block


def test_every_block_runs_or_says_why_not() -> None:
    """Blocks that are not run are those of NOT_RUN, and the page says why."""
    assert {page: reasons for page, text in HOW_TO.items() if (reasons := reasons_of(text))} == NOT_RUN
    assert reasons_of(TUTORIAL) == []


def test_the_tutorial_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Step by step, from folders of images to a verdict and an answer."""
    write_inputs(tmp_path)
    monkeypatch.chdir(tmp_path)
    commands = commands_of(TUTORIAL)
    assert len(commands) == 9
    for command in commands:
        assert run_here(command) == exit_code_of(command), command


@pytest.mark.slow
@pytest.mark.weights
@pytest.mark.skipif(find_sscd() is None, reason="no sscd weights: memaudit encoders fetch sscd")
@pytest.mark.parametrize(
    "document", [pytest.param(README, id="README"), pytest.param(TUTORIAL, id="tutorial", marks=pytest.mark.slow)]
)
def test_commands_run_as_printed(document: str, tmp_path: Path) -> None:
    """Every memaudit command of the document runs, word for word and in order; the gate finds the planted copy."""
    write_inputs(tmp_path)
    commands = commands_of(document)
    assert len(commands) >= 5
    for command in commands:
        done = run_in_shell(command, tmp_path)
        expected = 1 if command.startswith("memaudit gate audit") else exit_code_of(command)
        assert done.returncode == expected, f"{command}\n{done.stdout}{done.stderr}"


def run_in_shell(script: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run a block by bash, with this interpreter's memaudit and the encoder that the block names."""
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    command = ["bash", "-euo", "pipefail", "-c", script]
    return subprocess.run(command, cwd=folder, env=environment, capture_output=True, text=True, check=False)


@pytest.mark.slow
def test_blocks_give_what_is_printed_below_them(tmp_path: Path) -> None:
    """Every ```bash block of docs/ci runs, in order and in one folder, and what it prints holds the ```text block."""
    blocks = re.findall(r"```bash\n(.*?)```(?:\n\n```text\n(.*?)```)?", CI, re.DOTALL)
    assert len(blocks) >= 5
    for script, expected in blocks:
        done = run_in_shell(script, tmp_path)
        printed = done.stdout + done.stderr
        assert done.returncode == 0, f"{script}\n{printed}"
        words = " ".join(printed.split())  # columns are as wide as what stands in them
        absent = [line for line in expected.splitlines() if " ".join(line.split()) not in words]
        assert absent == [], f"{script}\n{printed}"


def leaf_commands(group: typer.core.TyperGroup, prefix: str = "") -> dict[str, typer.core.TyperCommand]:
    found = {}
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            found |= leaf_commands(command, f"{prefix}{name} ")
        else:
            found[prefix + name] = command
    return found


@pytest.mark.parametrize(("name", "command"), leaf_commands(typer.main.get_command(app)).items())
def test_every_command_and_option_is_documented(name: str, command: typer.core.TyperCommand) -> None:
    """An undocumented command fails, and so does an option that is on none of the pages which run the command."""
    pages = [text for text in HOW_TO.values() if f"memaudit {name}" in text]
    assert pages
    text = "".join([*pages, HOW_TO["embed"], HOW_TO["every-command"]])
    options = {flag for option in command.params for flag in option.opts if flag.startswith("--")} - {"--help"}
    assert {flag for flag in options if f"`{flag}" not in text and f" {flag}" not in text} == set()


def test_every_rule_of_the_policy_is_documented() -> None:
    """docs/protocols/gate.md says of each rule when it passes, fails, or is inconclusive."""
    rules = set(re.findall(r"^(?:# )?(\w+) =", DEFAULT_POLICY, re.MULTILINE)) - {"confidence"}
    assert {rule for rule in rules if rule not in RULES} == set()


def without_code(document: str) -> str:
    return re.sub(r"```.*?```|`[^`\n]*`", "", document, flags=re.DOTALL)


def anchors_of(document: str) -> set[str]:
    """How GitHub names the headings of a document."""
    headings = re.findall(r"^#+ (.*)$", re.sub(r"```.*?```", "", document, flags=re.DOTALL), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_somewhere(document: Path) -> None:
    """Every relative link of a document leads to a file, and its anchor to a heading there."""
    for target in re.findall(r"\]\(([^):]+)\)", without_code(document.read_text())):
        name, _, anchor = target.partition("#")
        linked = document.parent / name if name else document
        assert linked.exists(), target
        assert not anchor or anchor in anchors_of(linked.read_text()), target


def test_every_page_is_reached() -> None:
    """From docs/index.md, link by link, to every page below docs/."""
    reached, waiting = set(), [DOCS / "index.md"]
    while waiting:
        page = waiting.pop().resolve()
        if page not in reached and page.suffix == ".md":
            reached.add(page)
            links = re.findall(r"\]\(([^):#]+)", without_code(page.read_text()))
            waiting += [page.parent / link for link in links]
    assert {page for page in DOCS.rglob("*.md") if page.resolve() not in reached} == set()


def test_named_pages_are_there() -> None:
    """A docs/….md that a docstring, a test or a script names exists."""
    sources = [path for name in ("memaudit", "benchmarks", "scripts", "tests") for path in (ROOT / name).rglob("*.py")]
    named = {name for path in sources for name in re.findall(r"docs/[\w/.-]+\.md", path.read_text())}
    assert {name for name in named if not (ROOT / name).exists()} == set()


def test_the_architecture_names_every_module() -> None:
    """All that the package consists of, and of its middle, `matching`, each module, and none that is not there."""
    text = (DOCS / "architecture.md").read_text()
    packages = {path.stem for path in (ROOT / "memaudit").iterdir() if not path.name.startswith((".", "__"))} - {"py"}
    assert {name for name in packages if f"`{name}`" not in text} == set()
    paragraph = text.partition("**Matching**")[2].partition("\n\n")[0]
    modules = {path.stem for path in (ROOT / "memaudit" / "matching").glob("[a-z]*.py")}
    assert set(re.findall(r"`(\w+)`", paragraph)) == modules
    table = text.partition("| package |")[2].partition("\n\n")[0]
    named = {name for row in table.splitlines()[2:] for name in re.findall(r"`(\w+)`", row.split("|")[1])}
    assert named <= packages
