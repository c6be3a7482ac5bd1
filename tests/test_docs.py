"""What the documents say is true: their commands run, and every command and option is in them."""

import csv
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import typer
from PIL import Image, ImageDraw

from memaudit.cli.app import app
from memaudit.encoders.weights import find_sscd
from memaudit.gate import DEFAULT_POLICY

ROOT = Path(__file__).parent.parent
README = (ROOT / "README.md").read_text()
GUIDE = (ROOT / "docs" / "guide.md").read_text()
CI = (ROOT / "docs" / "ci" / "README.md").read_text()
PROTOCOLS = (ROOT / "docs" / "protocols.md").read_text()


def commands_of(document: str) -> list[str]:
    """The lines of all ```bash blocks that hold nothing but memaudit commands."""
    blocks = [block.strip().splitlines() for block in re.findall(r"```bash\n(.*?)```", document, re.DOTALL)]
    return [line for block in blocks if all(line.startswith("memaudit ") for line in block) for line in block]


def draw(seed: int) -> Image.Image:
    """A picture of a few coloured discs, unlike that of any other seed."""
    image = Image.new("RGB", (160, 160), f"hsl({seed * 47 % 360}, 40%, 85%)")
    pen = ImageDraw.Draw(image)
    for i in range(4):
        x, y, r = (seed * 71 + i * 53) % 130, (seed * 37 + i * 89) % 130, 15 + (seed * 13 + i * 29) % 40
        pen.ellipse((x, y, x + r, y + r), fill=f"hsl({(seed * 101 + i * 77) % 360}, 80%, 45%)")
    return image


@pytest.fixture
def workplace(tmp_path):
    """What the documents assume: training/, held-out/, generations/, pairing.csv."""
    for folder, seeds in (("training", range(12)), ("held-out", range(100, 106)), ("generations", range(200, 206))):
        (tmp_path / folder).mkdir()
        for seed in seeds:
            draw(seed).save(tmp_path / folder / f"{seed}.png")
    draw(3).save(tmp_path / "generations" / "copied.png")
    with (tmp_path / "pairing.csv").open("w", newline="") as handle:
        rows = [(path.name, "3.png", "discs") for path in sorted((tmp_path / "generations").iterdir())]
        csv.writer(handle).writerows([("generation", "image_id", "prompt"), *rows])
    return tmp_path


@pytest.mark.weights
@pytest.mark.skipif(find_sscd() is None, reason="no sscd weights: memaudit encoders fetch sscd")
@pytest.mark.parametrize("document", [README, GUIDE], ids=["README", "guide"])
def test_commands_run_as_printed(document, workplace):
    """Every memaudit command of the document runs, word for word and in order; the gate finds the planted copy."""
    commands = commands_of(document)
    assert len(commands) >= 5
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    for command in commands:
        done = subprocess.run(command, shell=True, cwd=workplace, env=environment, capture_output=True, text=True)
        expected = 1 if command.startswith("memaudit gate audit") else 0
        if "--init" in command and "exists already" in done.stderr:
            continue  # the guide repeats the README's step
        assert done.returncode == expected, f"{command}\n{done.stdout}{done.stderr}"


@pytest.mark.parametrize("document", [CI], ids=["docs/ci"])
def test_blocks_give_what_is_printed_below_them(document, tmp_path):
    """Every ```bash block runs, in order and in one folder, and what it prints holds the lines of the ```text block."""
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"}
    blocks = re.findall(r"```bash\n(.*?)```(?:\n\n```text\n(.*?)```)?", document, re.DOTALL)
    assert len(blocks) >= 5
    for script, expected in blocks:
        command = ["bash", "-euo", "pipefail", "-c", script]
        done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
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
def test_every_command_and_option_is_documented(name, command):
    """An undocumented command fails, and so does an option that the guide does not name."""
    assert f"memaudit {name}" in GUIDE
    options = {flag for option in command.params for flag in option.opts if flag.startswith("--")} - {"--help"}
    assert {flag for flag in options if f"`{flag}" not in GUIDE and f" {flag}" not in GUIDE} == set()


def test_every_rule_of_the_policy_is_documented():
    """docs/protocols.md says of each rule when it passes, fails, or is inconclusive."""
    rules = set(re.findall(r"^(?:# )?(\w+) =", DEFAULT_POLICY, re.MULTILINE)) - {"confidence"}
    assert {rule for rule in rules if rule not in PROTOCOLS} == set()


def test_links_lead_somewhere():
    """Every relative link of a document leads to a file."""
    for document in [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), ROOT / "indexes" / "README.md"]:
        for target in re.findall(r"\]\(([^)#:]+)\)", document.read_text()):
            assert (document.parent / target).exists(), f"{document.name}: {target}"
