"""Bundles of filters, weights, extractions and audits of faces, and what their public editions hide."""

from __future__ import annotations

import json
import os
import re
import shutil
import stat
from pathlib import Path

import numpy as np
import pytest
from bundling.evidence import Evidence, entries_of, leaves, words_in_both
from bundling.test_bundle_making import checked_by_others
from face_stores import face_store, needs_photographs, sample_folder
from vectors import near, random_vectors

import memaudit as ma
from memaudit.bundling.manifest import PUBLIC

PLACES = re.compile(r'"\w*(box|landmark|alignment|crop|corner)\w*":')  # fields that say where on a picture


@pytest.fixture(scope="module")
def runs(evidence: Evidence, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A run of each kind on the six pictures, by the kind."""
    store, root = evidence.folder / "store-orchard", tmp_path_factory.mktemp("kinds")
    made = ma.train_filter(store, {"quince-id": 1, "medlar-id": 0}, out=root / "orchard", sample=0)
    ma.apply_filter(made, store, out=root / "filter", cut=0.5)
    ma.run_reweight(store, evidence.folder / "dedup", out=root / "reweight")
    repeated = root / "generations"
    repeated.mkdir()
    for number in range(3):
        shutil.copy(evidence.folder / "training-orchard" / "borage-picture.png", repeated / f"sorrel_{number}.png")
    ma.run_extract(repeated, prompt_pattern="{prompt}_{seed}.png", clique=2, out=root / "extraction")
    return {kind: root / kind for kind in ("filter", "reweight", "extraction")}


@pytest.mark.parametrize("kind", ["filter", "reweight", "extraction"])
def test_a_run_of_any_kind(kind: str, runs: dict[str, Path], evidence: Evidence, tmp_path: Path) -> None:
    """Signed, read by others, verified, judged; and nothing in its public edition that names or shows."""
    made = ma.bundle(runs[kind], tmp_path / "x.zip", sign=evidence.folder / "audit.key")
    ma.publish_bundle(made.path, tmp_path / "y.zip")
    assert ma.verify(made.path, keys=evidence.key, against=tmp_path / "y.zip").sound
    assert [checked_by_others(each, evidence.key)[0] for each in (made.path, tmp_path / "y.zip")] == [0, 0]
    full, public = entries_of(made.path), entries_of(tmp_path / "y.zip")
    tables = {"filter": "drop.txt", "reweight": "weights.parquet", "extraction": "cliques.parquet"}
    assert {f"{kind}/{name}" for name in ("report.json", "report.html", tables[kind])} <= {*full}
    assert words_in_both(full, public) <= {f"{kind}/report.json"}
    told = json.loads(public[f"{PUBLIC}{kind}.json"])
    report = ma.open_report(runs[kind]).report
    assert (told["kind"], told["coverage"]["measured"]) == (kind, report.coverage.measured)
    assert len(told["findings"]) == len(report.findings)


def test_what_the_gate_has_rules_for_is_judged_by_them(runs: dict[str, Path], tmp_path: Path) -> None:
    lenient = tmp_path / "policy.toml"
    lenient.write_text(
        '[gate]\nrequire = ["reweight"]\n[reweight]\nmin_effective = 0\nmin_restored = 0\nmin_coverage = 0\n'
    )
    made = ma.bundle(runs["reweight"], tmp_path / "x.zip", policy=lenient)
    verdict = json.loads(entries_of(made.path)["verdict.json"])
    expected = ma.run_gate(runs["reweight"], lenient)
    assert (str(made.verdict), len(verdict["rules"])) == (str(expected.verdict), len(expected.rules))
    assert str(ma.run_gate(made.path, lenient).verdict) == str(expected.verdict)


def test_what_the_gate_has_no_rules_for_is_inconclusive(
    runs: dict[str, Path], evidence: Evidence, tmp_path: Path
) -> None:
    """Alone, and beside what fails: a failure is graver."""
    lenient = tmp_path / "policy.toml"
    lenient.write_text("[gate]\nrequire = []\n")
    alone = ma.bundle(runs["extraction"], tmp_path / "x.zip", policy=lenient)
    (rule,) = json.loads(entries_of(alone.path)["verdict.json"])["rules"]
    assert (str(alone.verdict), rule["report"], rule["rule"]) == ("inconclusive", "extraction/report.json", "rules")
    assert "no rules for a run of extraction" in rule["sentence"]
    assert str(ma.run_gate(runs["extraction"], lenient).verdict) == "inconclusive"
    both = ma.bundle([runs["extraction"], evidence.folder / "audit"], tmp_path / "y.zip")
    assert str(both.verdict) == "fail"
    assert ma.verify(both.path).sound


def test_where_a_part_lies_is_not_public(evidence: Evidence, runs: dict[str, Path]) -> None:
    """Nor which part of a picture another shows."""
    assert "query_box" in (evidence.folder / "audit" / "report.json").read_text()
    for name, data in entries_of(evidence.public).items():
        assert not PLACES.search(data.decode(errors="replace")), name
    assert "boxes" in (runs["extraction"] / "report.json").read_text()


def test_the_public_edition_of_an_audit_of_faces(tmp_path: Path, evidence: Evidence) -> None:
    """Of two stores of faces, by a column: no id, no value of the column, nothing of who it is, where and on what."""
    training, generated = random_vectors(1, 300, 128), random_vectors(2, 60, 128)
    generated[:5] = near(3, training[:5], 0.4)
    people = [{"parish": ("hale", "tansy")[i % 2], "who": f"yarrow {i}"} for i in range(60)]
    store = face_store(tmp_path / "quince", training, prefix="medlar")
    queries = face_store(tmp_path / "sorrel", generated, prefix="borage", metadata=people)
    control = face_store(tmp_path / "controls", random_vectors(4, 150, 128), prefix="control")
    ma.run_audit(queries, store, out=tmp_path / "faces", faces=ma.FaceChoices(control=control.folder, by=("parish",)))
    assert "tansy" in (tmp_path / "faces" / "report.json").read_text()
    require_nothing_of_people(tmp_path / "faces", evidence, tmp_path)


@needs_photographs
def test_the_public_edition_of_an_audit_of_photographs_of_people(tmp_path: Path, evidence: Evidence) -> None:
    """With thumbnails, crops, and the part of a picture that another shows."""
    from PIL import Image

    (tmp_path / "training-orchard").mkdir()
    (tmp_path / "made").mkdir()
    lines = ["path,image_id,caption"]
    for name, word in (("obama.jpg", "quince"), ("biden.jpg", "medlar")):
        shutil.copy(sample_folder() / name, tmp_path / "training-orchard" / f"{word}.jpg")
        lines.append(f"training-orchard/{word}.jpg,{word}-id,a caption of {word}")
    (tmp_path / "training.csv").write_text("\n".join(lines))
    image = Image.open(sample_folder() / "obama.jpg").convert("RGB")
    image.crop((image.width // 8, 0, image.width, image.height * 7 // 8)).save(tmp_path / "made" / "tansy.png")
    store = ma.embed(tmp_path / "training.csv", out=tmp_path / "store-orchard", encoder="thumbnail")
    faces = ma.FaceChoices(false_matches=5, save_crops=True)
    done = ma.run_audit(
        tmp_path / "made", store, out=tmp_path / "faces", faces=faces, match_from=0.1, planted=0, views="none"
    )
    assert [each.kind for each in done.report.matches] == ["partial"]
    assert (tmp_path / "faces" / "face-crops").is_dir()
    require_nothing_of_people(tmp_path / "faces", evidence, tmp_path)


def require_nothing_of_people(run: Path, evidence: Evidence, tmp_path: Path) -> None:
    made = ma.bundle(run, tmp_path / "x.zip", sign=evidence.folder / "audit.key")
    ma.publish_bundle(made.path, tmp_path / "y.zip")
    assert stat.S_IMODE(os.stat(made.path).st_mode) == 0o600
    assert ma.verify(tmp_path / "y.zip", against=made.path, keys=evidence.key).sound
    full, public = entries_of(made.path), entries_of(tmp_path / "y.zip")
    assert not [name for name in full if "crop" in name]
    assert words_in_both(full, public) <= {"audit/report.json"}
    shown = b"\n".join(public.values()).decode(errors="replace").lower()
    for word in ("yarrow", "parish", "hale", "obama", "biden"):
        assert word not in shown, word
    assert not PLACES.search(shown)
    told = json.loads(public[f"{PUBLIC}audit.json"])
    assert all(len(leaf) == 32 for leaf in leaves(told["findings"]) if isinstance(leaf, str) and re.search(r"\d", leaf))
    assert np.all([len(finding) > 3 for finding in told["findings"]])
    assert told["results"]["faces"]["matched"]["count"] == ma.open_report(run).report.results.faces.matched.count
