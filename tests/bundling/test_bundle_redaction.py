"""The public edition tells the figures, and nothing by which anybody or anything could be recognised."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from bundling.evidence import Evidence, archive_of, entries_of, with_json, words_in_both
from calls import Memaudit
from PIL import Image

import memaudit as ma
from memaudit.bundling.archive import Content
from memaudit.bundling.contents import files_of_run, runs_in
from memaudit.bundling.manifest import is_seal, manifest_of, written
from memaudit.bundling.redaction import Salted


def test_no_caption_no_id_no_path_no_picture(evidence: Evidence) -> None:
    """Of all texts in all private files none is in the public edition, nor any digest of theirs, nor a byte of a
    picture; and nothing of the words that these runs are made of."""
    public, full = entries_of(evidence.public), entries_of(evidence.full)
    assert words_in_both(full, public, at_least=100) == PUBLIC_WORDS
    shown = b"\n".join([*(name.encode() for name in public), *public.values(), evidence.public.read_bytes()])
    for word in ("caption of", "prompt for", "bodleian", ".jpg", ".png", "store-", "training."):
        assert word.encode() not in shown.lower(), word
    assert [name for name in full if "/thumbnails/" in name]


# Names of rules' reports and figures, which are memaudit's own
PUBLIC_WORDS = {"audit/report.json", "dedup/report.json"}


def test_the_figures_are_those_of_the_report(evidence: Evidence) -> None:
    public = json.loads(entries_of(evidence.public)["public/audit.json"])
    report = ma.open_report(evidence.folder / "audit").report
    assert public["model"], public["model_digest"] == ("pear 1.0", "ab" * 32)
    searched = report.content["results"]["searched"]
    assert public["results"]["searched"] == searched
    assert searched["count"] == 2
    assert [each["kind"] for each in public["findings"]] == [match.kind for match in report.matches]
    assert public["coverage"] == report.content["coverage"]


def test_whoever_has_the_full_edition_can_open_every_id(evidence: Evidence) -> None:
    """And by what others have, an id gives another digest: they cannot try names."""
    salted = Salted(entries_of(evidence.full)["salt"])
    public = json.loads(entries_of(evidence.public)["public/audit.json"])
    matches = ma.open_report(evidence.folder / "audit").report.matches
    ids = [salted(match.reference_id) for match in matches]
    assert [each["reference_id"] for each in public["findings"]] == ids
    assert ids[0] != Salted(entries_of(evidence.unsigned)["salt"])(matches[0].reference_id)
    assert ids[0] not in {Salted(b"")(matches[0].reference_id), Salted(bytes(32))(matches[0].reference_id)}


def test_it_is_verified_against_the_full_one(evidence: Evidence, memaudit: Memaudit) -> None:
    done = memaudit("verify", evidence.public, "--against", evidence.full, "--key", evidence.key)
    assert done.code == 0, done
    assert "a public edition" in done.out
    assert evidence.key_id in done.out
    assert memaudit("verify", evidence.full, "--against", evidence.public).code == 0
    other = memaudit("verify", evidence.public, "--against", evidence.unsigned)
    assert other.code == 3
    assert "different bundles" in other.out
    both = memaudit("verify", evidence.public, "--against", evidence.public)
    assert both.code == 3
    assert "one of the two must be the full one" in both.out


def test_a_public_edition_that_tells_something_else_is_found_out(evidence: Evidence, tmp_path) -> None:
    """Whoever bundles could put another public report in: the full edition gives it away."""
    for name, of, lie in (
        ("public/audit.json", "audit/report.json", lambda report: report["findings"].clear()),
        ("public/verdict.json", "verdict.json", lambda verdict: verdict.update(verdict="pass")),
    ):
        entries = entries_of(evidence.unsigned)
        with_json(name, lie)(entries)
        path = bundled_anew(entries, tmp_path / "lying.zip")
        assert ma.verify(path).faults == (f"{name} does not tell what {of} does",)
        with_json("public/verdict.json", lambda verdict: verdict.update(memaudit="0.0.1"))(entries)
        said = ma.verify(bundled_anew(entries, path))
        assert not said.sound, "whoever bundles says by which version"
        assert "says that memaudit 0.0.1 made it" in said.unchecked[0]
        public = ma.verify(evidence.public, against=path)
        assert not public.sound
    entries = entries_of(evidence.unsigned)
    with_json("public/verdict.json", lambda verdict: verdict.update(memaudit="0.0.1"))(entries)
    assert ma.verify(bundled_anew(entries, path)).sound, "another version that tells the same"


def test_a_verdict_that_its_reports_do_not_give(evidence: Evidence, tmp_path: Path) -> None:
    """Written by hand, in both editions, or told of other limits: it is judged again."""

    def passed(verdict: dict[str, Any]) -> None:
        verdict["verdict"] = "pass"
        verdict["rules"] = [{**rule, "outcome": "pass"} for rule in verdict["rules"]]

    entries, path = entries_of(evidence.unsigned), tmp_path / "lying.zip"
    for name in ("verdict.json", "public/verdict.json"):
        with_json(name, passed)(entries)
    said = ma.verify(bundled_anew(entries, path))
    assert "verdict.json says otherwise of audit/report.json: max_findings than its reports" in said.faults[0]
    with pytest.raises(ma.errors.InconclusiveError, match="says otherwise"):
        ma.publish_bundle(path, tmp_path / "public.zip")
    entries = entries_of(evidence.unsigned)
    with_json("public/policy.json", lambda policy: policy["audit"].update(max_rate=0.0001))(entries)
    (fault,) = ma.verify(bundled_anew(entries, path)).faults
    assert fault.endswith("public/policy.json says otherwise of audit.max_rate than policy.toml")


def test_pages_and_facts_that_its_reports_do_not_give(evidence: Evidence, tmp_path: Path) -> None:
    """Whoever bundles could write others and make the manifest anew: what people read would say something else."""
    whole, path = entries_of(evidence.unsigned), tmp_path / "lying.zip"

    def changed(name: str, old: bytes, new: bytes) -> Path:
        assert old in whole[name]
        return bundled_anew({**whole, name: whole[name].replace(old, new)}, path)

    for name, old, new in (
        ("index.html", b"Verdict: fail", b"Verdict: pass"),
        ("public/index.html", b"Verdict: fail", b"Verdict: pass"),
        ("facts.json", b"pear 1.0", b"pear 2.0"),
    ):
        assert ma.verify(changed(name, old, new)).faults == (f"{path}: {name} does not tell what the bundle does",)
        with pytest.raises(ma.errors.InconclusiveError, match="does not tell"):
            ma.publish_bundle(path, tmp_path / "public.zip")
    (fault,) = ma.verify(changed("audit/report.html", b"training image", b"unheard image")).faults
    assert fault.endswith(
        "audit/report.html was changed after it was written: its digest does not fit its content; run again"
    )
    (fault,) = ma.verify(bundled_anew({**whole, "audit/report.html": whole["dedup/report.html"]}, path)).faults
    assert fault.endswith("audit/report.html is the page of another report: run again")
    with_json("facts.json", lambda facts: facts["bundled with"].update(python="3.99"))(whole)
    assert ma.verify(bundled_anew(whole, path)).sound, "that is told by whoever bundled"


def test_a_page_that_this_version_would_write_otherwise(
    evidence: Evidence, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As an earlier one did: sound, by the digests in it, and a line says that they are all that was held. Of this
    version somebody wrote it."""
    whole, path = entries_of(evidence.unsigned), tmp_path / "earlier.zip"
    assert not [note for note in ma.verify(evidence.unsigned).notes if "report.html" in note]
    body = whole["audit/report.html"].rpartition(b"<!-- sha256")[0].replace(b"training image", b"unheard image")
    page = body + b"<!-- sha256 of all above: %s -->\n" % hashlib.sha256(body).hexdigest().encode()
    bundled_anew({**whole, "audit/report.html": page}, path)
    (fault,) = ma.verify(path).faults
    assert fault.endswith(f"audit/report.html is not the page that memaudit {ma.__version__} writes of its report")
    with pytest.raises(ma.errors.InconclusiveError, match="is not the page that memaudit"):
        ma.publish_bundle(path, tmp_path / "public.zip")
    monkeypatch.setattr("memaudit.bundling.shown.__version__", "9.9")
    said = ma.verify(path)
    assert said.sound
    line = "audit/report.html is not as this memaudit would write it"
    assert [note for note in said.notes if line in note]
    published = ma.publish_bundle(path, tmp_path / "public.zip")
    assert [line in warning for warning in published.warnings] == [True]
    assert published.as_dict()["warnings"] == [*published.warnings]


def test_a_verdict_says_of_which_day_it_is(evidence: Evidence, tmp_path: Path) -> None:
    """On an earlier one a report is dated in the future."""
    policy = tmp_path / "policy.toml"
    policy.write_text("[gate]\nmax_age_days = 3\n")
    made = [ma.bundle(evidence.folder / "audit", tmp_path / f"{n}.zip", policy=policy, judged=DAY) for n in range(2)]
    assert made[0].path.read_bytes() == made[1].path.read_bytes()
    verdict = json.loads(entries_of(made[0].path)["verdict.json"])
    assert verdict["judged"] == DAY
    assert [rule["outcome"] for rule in verdict["rules"] if rule["rule"] == "max_age_days"] == ["inconclusive"]
    assert ma.verify(made[0].path).sound
    with pytest.raises(ma.errors.UsageError, match="is to come"):
        ma.bundle(evidence.folder / "audit", tmp_path / "x.zip", judged="2999-01-01")


DAY = "2020-02-02"


def bundled_anew(entries: dict[str, bytes], path: Path) -> Path:
    """With a manifest of these files."""
    parts = {name: Content(data) for name, data in entries.items() if not is_seal(name)}
    salt = parts.pop("salt").data
    public = {name: part for name, part in parts.items() if name.startswith("public/")}
    manifest = manifest_of({name: part for name, part in parts.items() if name not in public}, public, salt)
    path.write_bytes(archive_of({**entries, "manifest.json": written(manifest)}))
    return path


def test_only_a_full_edition_is_made_public(evidence: Evidence, memaudit: Memaudit, tmp_path) -> None:
    memaudit("bundle", evidence.public, "--public", "--out", tmp_path / "x.zip").failed(2, "public edition already")
    memaudit("bundle", evidence.folder / "audit", "--public", "--out", tmp_path / "x.zip").failed(2, "takes one bundle")
    assert not (tmp_path / "x.zip").exists()


def test_pictures_are_blurred_as_they_are_or_none(evidence: Evidence, tmp_path) -> None:
    """Blurred: a few squares, whether in the folder or in the page."""
    run = evidence.folder / "audit"
    made = {each: tmp_path / f"{each}.zip" for each in ("blurred", "as-they-are", "none")}
    found = {}
    for pictures, path in made.items():
        ma.bundle(run, path, pictures=pictures)
        entries = entries_of(path)
        found[pictures] = {name: data for name, data in entries.items() if "/thumbnails/" in name}
        page = entries["audit/report.html"]
        original = next((run / "thumbnails").iterdir()).read_bytes()
        assert (base64.b64encode(original) in page) == (pictures == "as-they-are")
    assert not found["none"]
    assert found["as-they-are"].keys() == found["blurred"].keys() != set()
    for name, data in found["as-they-are"].items():
        assert data == (run / name.removeprefix("audit/")).read_bytes()
        small, plain = (Image.open(io.BytesIO(each)) for each in (found["blurred"][name], data))
        assert small.size == plain.size
        squares = small.convert("RGB").resize((8, 8), Image.Resampling.BOX)
        assert len(squares.getcolors(64) or []) <= 64
    own = tmp_path / "run"
    shutil.copytree(run, own)
    (own / "report.html").write_text("with a crop of a face")  # as --save-crops has in it
    page = files_of_run(runs_in([run])[0]._replace(folder=own), pictures="as-they-are", tables=False)[
        "audit/report.html"
    ]
    assert b"with a crop of a face" not in page.data
    with pytest.raises(ma.errors.UsageError, match="sharp"):
        ma.bundle(run, tmp_path / "x.zip", pictures="sharp")
