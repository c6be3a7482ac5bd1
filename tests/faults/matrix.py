"""Faults x commands: what is wrong with an input, and every place where a command takes one.

A line of `COMMANDS` is a command as it is called; what stands in braces is an input of a small project, and its kind
decides which faults it can have. Every combination is a cell; run as a program it writes docs/reference/faults.md.
"""

from __future__ import annotations

import os
import random
import re
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

from pictures import draw

# Where each input of the project lies, and what it is
INPUTS = {
    "training": ("training", "images"),
    "generations": ("generations", "images"),
    "held-out": ("held-out", "images"),
    "seeds": ("seeds", "images"),
    "painted": ("painted", "images"),
    "picture": ("training/0003.png", "picture"),
    "pipeline": ("pipeline", "pipeline"),
    "manifest": ("manifest.csv", "text"),
    "table": ("table.parquet", "binary"),
    "archive": ("pictures.tar", "binary"),
    "pairing": ("pairing.csv", "text"),
    "ignore": ("ignore.csv", "text"),
    "policy": ("policy.toml", "text"),
    "accepted": ("accepted.toml", "text"),
    "ledger": ("ledger.jsonl", "ledger"),
    "ids": ("ids.txt", "text"),
    "keep": ("dedup/keep.txt", "text"),
    "labels": ("labels.csv", "text"),
    "kept": ("kept.txt", "text"),
    "reviews": ("reviews.jsonl", "text"),
    "filter": ("one", "filter"),
    "filter-labels": ("filter-labels.csv", "text"),
    "run-file": ("release.toml", "text"),
    "canaries": ("canaries", "register"),
    "keys": ("keys", "register"),
    "decisions": ("reviews.jsonl", "book"),
    "proposal": ("proposal.csv", "text"),
    "embeddings": ("embeddings.npy", "binary"),
    "store": ("store", "store"),
    "other-store": ("other-store", "store"),
    "labelled-store": ("labelled-store", "store"),
    "held-store": ("held-store", "store"),
    "index": ("index", "index"),
    "dedup": ("dedup", "run"),
    "audit": ("audit", "audit"),
    "claims": ("claims", "claims"),
    "excluded": ("excluded.txt", "text"),
    "export": ("export", "export"),
    "weights": ("weights", "weighing"),
    "report": ("audit/report.json", "report"),
    "baseline": ("baseline/report.json", "report"),
    "bundle": ("evidence.zip", "bundle"),
    "public-edition": ("public.zip", "bundle"),
    "private-key": ("audit.key", "text"),
    "password": ("password.txt", "text"),
    "public-key": ("audit.key.pub", "text"),
    "dedup-report": ("dedup/report.json", "report"),
    "weights-report": ("weights/report.json", "report"),
}
COMMANDS = (
    "embed {training} --out {out} --encoder thumbnail",
    "embed {manifest} --out {out} --encoder thumbnail",
    "embed {table} --out {out} --encoder thumbnail",
    "embed {archive} --out {out} --encoder thumbnail",
    "import {embeddings} --ids {ids} --encoder ours --threshold 0.9 --out {out}",
    "index {store} --out {out} --recipe flat",
    "merge {store} {other-store} --out {out}",
    "dedup {store} --out {out} --ignore {ignore} --reviews {reviews}",
    "dedup {other-store} --out {out} --against {store}",
    "dedup {other-store} {store} --out {out} --executor local:1",
    "audit {generations} --against {store} --pairing {pairing} --control {held-out} --planted 2 --out {out}",
    "audit {generations} --against {index} --reviews {reviews} --planted 0 --out {out}",
    "extract {seeds} --prompt-pattern {{prompt}}-{{seed}}.png --out {out}",
    "extract {picture} --pipeline {pipeline} --held-out {held-out} --steps 1 --draws 1 --out {out}",
    "export {dedup} --to webdataset --shard-samples 4 --out {out}",
    "export {store} --keep {keep} --drop {excluded} --to folder --out {out}",
    "export {store} --to manifest --embeddings --out {out}",
    "export {store} --respect-opt-outs --to manifest --out {out}",
    "export {store} --keep {kept} --weights {weights} --to parquet --out {out}",
    "reweight {store} --kept {kept} --dedup {dedup} --out {out}",
    "card {report} {dedup} {store} --to model-index --out {out}/card.md",
    "card {export} {dedup} --to croissant --out {out}/croissant.json",
    "prompts {store} --out {out}/prompts.csv --n 3 --dedup {dedup}",
    "prompts {store} --out {out}/prompts.csv --n 4 --held-out {held-store}",
    "prompts {store} --out {out}/prompts.csv --n 3 --weights {weights}",
    "audit {generations} --against {store} --dedup {dedup} --control {held-out} --planted 0 --out {out}",
    "lookup {picture} --against {store} --dedup {dedup} --evidence {out}/evidence.json",
    "lookup {picture} --against {index}",
    "serve {store} --dry-run",
    "serve {index} --dry-run",
    "claims receive {picture} --ledger {out} --claimant A",
    "claims answer {picture} --against {store} --ledger {out} --claimant A --dedup {dedup} --audit {audit}",
    "claims list --ledger {claims}",
    "claims show 1 --ledger {claims}",
    "claims verify --ledger {claims}",
    "claims exclude --ledger {claims} --out {out}/excluded.txt",
    "gate {report} --policy {policy} --baseline {baseline} --accepted {accepted}",
    "gate {dedup-report} --policy {policy}",
    "gate {weights-report} --policy {policy}",
    "gate {report} --policy {policy} --ledger {ledger}",
    "gate {report} --policy {policy} --ledger {out}/ledger.jsonl",
    "gate {report} --reviews {reviews}",
    "reviews merge {reviews} --out {out}/merged.jsonl",
    "reviews sample {report} --out {out}/sample.jsonl",
    "reviews convert {accepted} --report {report} --out {out}/reviews.jsonl",
    "reviews convert {ignore} --store {store} --who A --out {out}/reviews.jsonl",
    "init {out} --training {training} --generations {generations} --yes",
    "canary make --out {out} --each 1 --copies 1,2 --seed 1",
    "canary plant {canaries} --out {out}",
    "canary check {canaries} {generations} --out {out} --encoder thumbnail",
    "canary make --kinds key --around {training} --out {out} --each 1 --copies 1,2 --side 64 --seed 1",
    "canary plant {keys} --out {out}",
    "canary check {keys} {painted} --out {out}",
    "run {run-file} --out {out}",
    "run {run-file} --dry-run",
    "review {report} --out {decisions} --status",
    "review {dedup} --out {decisions} --status",
    "review {proposal} --out {decisions} --status",
    "compare {report} {baseline}",
    "history {report} {baseline} --out {out}/history.html",
    "info {store}",
    "info {index}",
    "info {report}",
    "verify {store}",
    "verify {index}",
    "verify {export}",
    "verify {report}",
    "verify {dedup-report}",
    "bundle {dedup} --policy {policy} --sign {private-key} --password-file {password} --out {out}/evidence.zip",
    "bundle {bundle} --public --out {out}/public.zip",
    "verify {public-edition} --key {public-key} --against {bundle}",
    "gate {bundle} --require-signature --key {public-key}",
    "info {bundle}",
    "verify {filter}",
    "faces {training} --out {out}",
    "filter train {store} --labels {filter-labels} --out {out}/one --sample 4",
    "filter review {filter} --out {out}/label.html",
    "filter apply {filter} {store} --out {out} --cut 0.5",
    "calibrate propose {store} --match-from 0.2 --count 24 --out {out}/labels.csv",
    "calibrate fit {labels} --store {labelled-store} --precision 0.5 --out {out}/calibration.toml",
)
Fault = Callable[[Path], None]


class Cell(NamedTuple):
    command: str
    place: str
    fault: str

    @property
    def name(self) -> str:
        """As a test is called: the command, what is wrong, and where."""
        return f"{self.command.replace('{', '').replace('}', '')[:60]}: {self.place} {self.fault}"


def absent(path: Path) -> None:
    _remove(path)


def emptied(path: Path) -> None:
    if path.is_dir():
        _remove(path)
        path.mkdir()
    else:
        path.write_bytes(b"")


def of_other_type(path: Path) -> None:
    """A folder where a file should be, a file where a folder should be."""
    was_folder = path.is_dir()
    _remove(path)
    if was_folder:
        path.write_text("no folder\n")
    else:
        path.mkdir()


def pipe(path: Path) -> None:
    _remove(path)
    os.mkfifo(path)


def endless(path: Path) -> None:
    _remove(path)
    path.symlink_to("/dev/zero")


def link_to_itself(path: Path) -> None:
    _remove(path)
    path.symlink_to(path.name)


def noise(path: Path) -> None:
    path.write_bytes(random.Random(0).randbytes(5000))


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def nul(path: Path) -> None:
    data = path.read_bytes()
    path.write_bytes(data[: len(data) // 2] + b"\0\0\0\0" + data[len(data) // 2 :])


def half_surrogate(path: Path) -> None:
    path.write_bytes(path.read_bytes() + b'\n"\xed\xa0\x80",\xff\n')


def one_long_line(path: Path) -> None:
    path.write_bytes(b"a" * 3_000_000)


def nested(path: Path) -> None:
    path.write_text("x" + ".a" * 50_000 + " = 1\n" if path.suffix == ".toml" else "[" * 100_000)


def other_kind(path: Path) -> None:
    """A picture under this name."""
    shutil.copy(
        path.parents[len(path.parts) - 1 - path.parts.index("project")] / "project" / "held-out" / "0100.png", path
    )


def flipped(path: Path) -> None:
    """One bit in the middle."""
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def newer(path: Path) -> None:
    """As a later version would write it, for all that this one knows."""
    path.write_text(re.sub(r'("schema"\s*:\s*"[^"]*?)(\d+)"', r'\g<1>99"', path.read_text(), count=1))


def with_broken_pictures(path: Path) -> None:
    for name, data in (("cut.png", None), ("text.jpg", b"no picture"), ("empty.png", b"")):
        (path / name).write_bytes(next(path.glob("*.png")).read_bytes()[:200] if data is None else data)


def with_odd_names(path: Path) -> None:
    for seed, name in enumerate(("a\nb.png", "\x1b[31m.png", "-rf.png", "ü.png", os.fsdecode(b"\xff.png"))):
        draw(700 + seed).save(path / name)


def with_a_pipe(path: Path) -> None:
    os.mkfifo(path / "zz.png")


def with_a_loop(path: Path) -> None:
    (path / "again").symlink_to(path)


def with_a_bomb(path: Path) -> None:
    """A PNG whose header says 100,000 x 100,000 pixels."""
    header = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + (100_000).to_bytes(4) * 2 + b"\x08\x02\0\0\0"
    (path / "bomb.png").write_bytes(header + b"\0" * 100)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink()


def _of(name: str, fault: Fault) -> Fault:
    """The fault in a file of a folder, which may be named by a pattern."""

    def strike(folder: Path) -> None:
        fault(min(folder.rglob(name)))

    return strike


# What a folder of each kind holds
_FILES = {
    "store": ("store.json", "*.h5"),
    "index": ("index.json", "*.faiss"),
    "run": ("report.json", "decisions.parquet"),
    "audit": ("report.json", "matches.parquet"),
    "claims": ("ledger.jsonl", "head.json", "claim.json", "answer.json"),
    "filter": ("filter.json",),
    "export": ("export.json", "plan.json", "*.tar", "shard*.parquet"),
    "register": ("canaries.json", "*.png"),
    "weighing": ("report.json", "weights.parquet"),
    "pipeline": ("model_index.json", "*.safetensors"),
}
_ANY = {"is absent": absent, "is empty": emptied, "is of another type": of_other_type}
_NO_FILE = {"is a pipe": pipe, "is endless": endless, "is a link to itself": link_to_itself}
_DAMAGED = {"is noise": noise, "is cut in half": cut, "has NUL in it": nul, "is a picture": other_kind}
_TEXT = {"has half a surrogate": half_surrogate, "is one line of 3 MB": one_long_line, "is nested 50,000 deep": nested}
_INSIDE = {
    "is absent": absent,
    "is empty": emptied,
    "is noise": noise,
    "is cut in half": cut,
    "has a bit flipped": flipped,
}
_PICTURES = {
    "has broken pictures": with_broken_pictures,
    "has odd names": with_odd_names,
    "has a pipe in it": with_a_pipe,
    "has a loop of links": with_a_loop,
    "has a bomb in it": with_a_bomb,
}
# One that is absent is begun, and what a killed gate left of a line goes: tests/gate/test_ledger.py has both
_LEDGER = {**_ANY, **_NO_FILE, **_DAMAGED, **_TEXT, "has a bit flipped": flipped, "is of a newer schema": newer}
# One that is absent or empty is begun, and what somebody did not finish of a line is left to him
_BOOK = {**_ANY, **_NO_FILE, **_DAMAGED, **_TEXT}
_BEGUN = ("is absent", "is empty", "is cut in half")
FAULTS: dict[str, dict[str, Fault]] = {
    "images": {**_ANY, "is a link to itself": link_to_itself, **_PICTURES},
    "picture": {**_ANY, **_NO_FILE, "is noise": noise, "is cut in half": cut},
    "text": {**_ANY, **_NO_FILE, **_DAMAGED, **_TEXT},
    "binary": {**_ANY, **_NO_FILE, "is noise": noise, "is cut in half": cut, "is a picture": other_kind},
    "ledger": {name: fault for name, fault in _LEDGER.items() if name not in ("is absent", "is cut in half")},
    "book": {name: fault for name, fault in _BOOK.items() if name not in _BEGUN},
    "bundle": {**_ANY, **_NO_FILE, **_DAMAGED, "has a bit flipped": flipped},
    "report": {**_ANY, **_NO_FILE, **_DAMAGED, **_TEXT, "has a bit flipped": flipped, "is of a newer schema": newer},
    **{
        kind: {
            **_ANY,
            **_NO_FILE,
            **{f"{file} {words}": _of(file, fault) for file in files for words, fault in _INSIDE.items()},
        }
        for kind, files in _FILES.items()
    },
}


def cells() -> Iterator[Cell]:
    for command in COMMANDS:
        for place in places_of(command):
            for fault in FAULTS[INPUTS[place][1]]:
                yield Cell(command, place, fault)


def places_of(command: str) -> list[str]:
    """The inputs of a command."""
    return [name for name in re.findall(r"(?<!\{)\{([a-z-]+)\}(?!\})", command) if name != "out"]


def arguments_of(command: str, project: Path, out: Path) -> list[str]:
    """The command line in this project."""
    paths = {name: str(project / place) for name, (place, _) in INPUTS.items()}
    return [part.format(**paths, out=out) for part in command.split()]


def linked(sound: Path, project: Path) -> None:
    """A project of links: of what nothing may write to."""
    shutil.copytree(sound, project, symlinks=True, copy_function=os.link)


def strike(cell: Cell, sound: Path, project: Path) -> None:
    """Give a project of links the fault: the input that it strikes is a copy, which takes a fifth of the time of a copy
    of all."""
    whole, place = sound / INPUTS[cell.place][0], project / INPUTS[cell.place][0]
    _remove(place)
    (shutil.copytree if whole.is_dir() else shutil.copy2)(whole, place)
    FAULTS[INPUTS[cell.place][1]][cell.fault](place)


def heal(cell: Cell, sound: Path, project: Path) -> None:
    """Put links in the place of what was struck."""
    whole, place = sound / INPUTS[cell.place][0], project / INPUTS[cell.place][0]
    if os.path.lexists(place):
        _remove(place)
    if whole.is_dir():
        linked(whole, place)
    else:
        os.link(whole, place)


def table() -> str:
    """Inputs by command, and which faults each kind of input is given."""
    lines = ["| command | inputs, each with every fault of its kind | cells |", "|---|---|---|"]
    for command in COMMANDS:
        places = places_of(command)
        shown = ", ".join(f"{place} ({INPUTS[place][1]})" for place in places)
        words = re.sub(r" --out \{out\}\S*| --encoder thumbnail|[{}]", "", command)
        lines.append(f"| `{words}` | {shown} | {sum(len(FAULTS[INPUTS[place][1]]) for place in places)} |")
    lines += ["", "| kind of input | faults |", "|---|---|"]
    lines += [
        f"| {kind} | {', '.join(words.replace('*', '') for words in faults)} |" for kind, faults in FAULTS.items()
    ]
    return "\n".join(lines)


HEAD = """# Faults and commands

Written by `PYTHONPATH=tests python tests/faults/matrix.py` from the matrix that the tests run: every fault of every
input of every command, {count} cells. Each ends in one line and exit code 2 or 3, or has the result of a sound input,
or has a row for what came besides and all that was found. Nothing is half written, no input is changed, and no fault
is an internal error.
"""


if __name__ == "__main__":
    print(HEAD.format(count=len(list(cells()))) + "\n" + table())
