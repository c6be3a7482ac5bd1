"""A small project with one of each input, as `matrix.INPUTS` names them, and what two runs on it have in common."""

from __future__ import annotations

import hashlib
import json
import shutil
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from matrix import arguments_of
from pictures import altered, draw, write_pictures

from memaudit.cli.app import run
from memaudit.gate import DEFAULT_POLICY

GENERATOR = Path(__file__).parents[1] / "release/small_generator.py"

# What is another in every run, or follows from where the project lies
_OWN = {"created", "seconds", "digest", "digests", "inputs", "sha256", "path", "out", "report", "store", "folder"}
_OWN |= {"as_before", "judged", "previous", "stores", "evidence", "index", "build_seconds"}
_OWN |= {"at", "began", "salt", "line", "head", "basis", "claimant_digest", "asked_digest", "answer_digest"}


def write_project(root: Path) -> Path:
    """Pictures, lists and tables; stores, an index, a dedup and two audits of them."""
    write_pictures(root / "training", range(12))
    altered(draw(3)).save(root / "training" / "0009.png")
    write_pictures(root / "generations", range(500, 504))
    altered(draw(5)).save(root / "generations" / "copy.png")
    write_pictures(root / "held-out", range(100, 103))
    (root / "seeds").mkdir()
    for prompt in ("a cat", "a dog"):
        for seed in range(4):
            draw(900 if prompt == "a cat" else 910 + seed).save(root / "seeds" / f"{prompt}-{seed}.png")
    lines = [f"training/{number:04}.png,picture {number}" for number in range(12)]
    held_out = [f"held-out/{number:04}.png,held-out {number}" for number in range(100, 103)]
    (root / "held-out.csv").write_text("\n".join(["path,caption", *held_out]))
    (root / "manifest.csv").write_text("\n".join(["path,caption", *lines]))
    (root / "pairing.csv").write_text(
        "generation,image_id,prompt\ncopy.png,training/0005.png,five\n0500.png,training/0001.png,one\n"
    )
    (root / "ignore.csv").write_text("left_id,right_id\ntraining/0003.png,training/0009.png\n")
    (root / "policy.toml").write_text(DEFAULT_POLICY)
    (root / "accepted.toml").write_text(
        '[[accepted]]\nquery_id = "copy.png"\nreference_id = "training/0005.png"\nwho = "A"\n'
        'why = "b"\nuntil = 2999-01-01\nkind = "verbatim"\n'
    )
    (root / "password.txt").write_text("of the board\n")
    write_reviews(root)
    vectors = np.random.default_rng(0).normal(size=(12, 16)).astype(np.float32)
    np.save(root / "embeddings.npy", vectors)
    (root / "ids.txt").write_text("".join(f"id-{number}\n" for number in range(12)))
    pictures = [{"bytes": path.read_bytes(), "path": path.name} for path in sorted((root / "training").iterdir())]
    pq.write_table(pa.table({"image": pictures}), root / "table.parquet")
    shutil.make_archive(str(root / "pictures"), "tar", root / "training")
    write_labels(root)
    (root / "filter-labels.csv").write_text("image_id,label\ntraining/0003.png,1\ntraining/0004.png,0\n")
    (root / "release.toml").write_text(
        'training = {store = "store", dedup = false}\nprompts = {n = 4}\n'
        'audit = {views = "none", match = "none", planted = 0}\n[generator]\nkind = "command"\n'
        f"command = '{sys.executable} {GENERATOR} --jobs {{jobs}} --out {{out}}'\n"
    )
    steps = (
        "embed {manifest} --out {store} --encoder thumbnail --quiet",
        "embed {out}/labelled --out {labelled-store} --encoder thumbnail --quiet",
        "embed {generations} --out {other-store} --encoder thumbnail --quiet",
        "embed {held-out}.csv --out {held-store} --encoder thumbnail --quiet",
        "index {store} --out {index} --recipe flat --quiet",
        "calibrate propose {store} --match-from 0.2 --count 24 --out {proposal} --quiet",
        "dedup {store} --out {dedup} --quiet",
        "filter train {store} --labels {filter-labels} --out {filter} --sample 4 --quiet",
        "export {dedup} --to webdataset --out {export} --quiet",
        "audit {generations} --against {store} --control {held-out} --out {out}/audit --quiet",
        "audit {generations} --against {store} --control {held-out} --out {out}/baseline --quiet",
        "gate {report} --policy {policy} --ledger {ledger} --quiet",
        "bundle --new-key {private-key} --password-file {password} --quiet",
        "bundle {dedup} --sign {private-key} --password-file {password} --out {bundle} --quiet",
        "bundle {bundle} --public --out {public-edition} --quiet",
    )
    for step in steps:
        assert run(arguments_of(step, root, root)) in ((3,) if step.startswith("filter") else (0, 1)), step
    assert run(["canary", "make", "--out", str(root / "canaries"), "--each", "1", "--copies", "1,2", "--quiet"]) == 0
    around = ["--kinds", "key", "--around", str(root / "training"), "--side", "64"]
    made = ["canary", "make", *around, "--out", str(root / "keys"), "--each", "1", "--copies", "1,2", "--quiet"]
    assert run(made) == 0
    shutil.copytree(root / "keys" / "images", root / "painted")
    claim = "claims answer {picture} --against {store} --ledger {claims} --claimant A --quiet"
    assert run(arguments_of(claim, root, root)) == 1
    (root / "excluded.txt").write_text("training/0003.png\ntraining/0004.png\n")
    shutil.copy(root / "dedup" / "keep.txt", root / "kept.txt")
    assert run(arguments_of("reweight {store} --kept {kept} --out {weights} --quiet", root, root)) == 3  # few images
    return root


def write_searched(root: Path) -> Path:
    """What a search in a model takes: a picture, held-out ones, and a pipeline, of random weights."""
    from small_pipeline import write_pipeline

    write_pictures(root / "training", [3])
    write_pictures(root / "held-out", range(100, 103))
    write_pipeline(root / "pipeline")
    return root


def write_reviews(root: Path) -> None:
    """What two people say of the copy among the generations."""
    digests = [
        hashlib.sha256((root / place).read_bytes()).hexdigest()
        for place in ("generations/copy.png", "training/0005.png")
    ]
    line = dict(zip(("left_sha256", "right_sha256"), digests, strict=True))
    words = [{**line, "verdict": "not a copy", "who": who, "when": "2026-01-01"} for who in ("A", "B")]
    (root / "reviews.jsonl").write_text("".join(json.dumps(each) + "\n" for each in words))


def write_labels(root: Path, copies: int = 12) -> None:
    """Pictures with a copy each, and a person's verdict on every two: enough to show a precision of one half."""
    lines = ["left_sha256,right_sha256,verdict,who,when"]
    (root / "labelled").mkdir()
    for number in range(copies):
        original, copy = (root / "labelled" / f"{number:04}{which}.png" for which in ("", "-copy"))
        draw(700 + number).save(original)
        altered(draw(700 + number)).save(copy)
        digests = (hashlib.sha256(path.read_bytes()).hexdigest() for path in (original, copy))
        lines.append(",".join([*digests, "copy", "A", "2026-01-01"]))
    (root / "labels.csv").write_text("\n".join(lines))


def without_own(value: Any) -> Any:
    """What does not depend on time and place."""
    if isinstance(value, dict):
        return {key: without_own(part) for key, part in value.items() if key not in _OWN}
    if isinstance(value, list):
        return [without_own(part) for part in value]
    return "a path" if isinstance(value, str) and "/" in value else value
