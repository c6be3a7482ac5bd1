"""Bundles of audits, dedups and release runs: the same bytes each time, whole or not there, and signed."""

from __future__ import annotations

import base64
import json
import os
import re
import shutil
import stat
import subprocess
import sys
from pathlib import Path
from zipfile import ZipFile

import pytest
from bundling.evidence import Evidence, entries_of
from calls import Memaudit

import memaudit as ma
from memaudit.api import bundles
from memaudit.bundling import archive
from memaudit.bundling.checking import open_bundle
from memaudit.errors import InconclusiveError, InputError, UsageError
from memaudit.types import KEY_PASSWORD

ROOT = Path(__file__).parents[2]


def test_the_same_runs_give_the_same_bytes(evidence: Evidence, tmp_path: Path) -> None:
    """From another place, by another name, and over an earlier bundle."""
    moved = shutil.copytree(evidence.folder, tmp_path / "moved")
    for out in ("again.zip", "full.zip"):
        runs = [moved / "audit", ma.open_report(moved / "dedup")]
        ma.bundle(runs, moved / out, policy=moved / "policy.toml", sign=moved / "audit.key")
        assert (moved / out).read_bytes() == evidence.full.read_bytes()


def test_what_is_in_it(evidence: Evidence) -> None:
    entries = entries_of(evidence.full)
    assert {"audit/report.json", "audit/report.html", "audit/matches.parquet", "audit/scores.parquet"} <= {*entries}
    assert {"dedup/report.json", "dedup/decisions.parquet", "dedup/drop.txt", "index.html", "policy.toml"} <= {*entries}
    assert not any("crop" in name or ".lock" in name for name in entries)
    facts = json.loads(entries["facts.json"])
    audit = facts["runs"][0]
    assert audit["model"] == {"name": "pear 1.0", "digest": "ab" * 32}
    assert audit["about"]["command"] == "memaudit audit generations-orchard"
    assert audit["inputs"].keys() == {"generations", "references"}
    assert audit["encoder"]["name"] == "thumbnail"
    assert facts["bundled with"].keys() == {"machine", "packages", "python"}
    verdict = json.loads(entries["verdict.json"])
    assert verdict["verdict"] == "fail"
    assert {rule["report"] for rule in verdict["rules"]} == {"audit/report.json", "dedup/report.json", "all reports"}


def test_the_statement_is_that_of_in_toto(evidence: Evidence) -> None:
    """A verdict that is not decided is FAILED: the predicate has no word for it, and WARNED means passed."""
    entries = entries_of(evidence.full)
    envelope = json.loads(entries["attestation.json"])
    statement = json.loads(base64.b64decode(envelope["payload"]))
    assert envelope["payloadType"] == "application/vnd.in-toto+json"
    assert statement["_type"] == "https://in-toto.io/Statement/v1"
    assert statement["predicateType"] == "https://in-toto.io/attestation/test-result/v0.1"
    assert statement["predicate"]["result"] == "FAILED"
    assert "audit/report.json: max_findings" in statement["predicate"]["failedTests"]
    assert statement["predicate"]["warnedTests"] == []
    from memaudit.bundling.signing import RESULTS

    assert [verdict for verdict, result in RESULTS.items() if result == "PASSED"] == ["pass"]


def test_reviews_and_what_else_the_verdict_went_by_are_in_it(evidence: Evidence, tmp_path: Path) -> None:
    audit = ma.open_report(evidence.folder / "audit")
    line = {"verdict": "copy", "who": "Q. Reviewer", "when": "2026-01-01"}
    lines = [{**line, "left_sha256": m.query_sha256, "right_sha256": m.reference_sha256} for m in audit.report.matches]
    reviews = tmp_path / "reviews.jsonl"
    reviews.write_text("".join(json.dumps(each) + "\n" for each in lines))
    made = ma.bundle(
        audit,
        tmp_path / "x.zip",
        policy=evidence.folder / "policy.toml",
        reviews=reviews,
        baseline=evidence.folder / "audit" / "report.json",
    )
    entries = entries_of(made.path)
    assert entries["reviews/1.jsonl"] == reviews.read_bytes()
    assert entries["baseline/report.json"] == (evidence.folder / "audit" / "report.json").read_bytes()
    verdict = json.loads(entries["verdict.json"])
    assert len(verdict["reviewed"]) == len(lines)
    ma.publish_bundle(made.path, tmp_path / "y.zip")
    assert b"Reviewer" not in (tmp_path / "y.zip").read_bytes()
    assert ma.verify(made.path).sound


def test_a_release_run_s_own_verdict_counts(evidence: Evidence, tmp_path: Path) -> None:
    """Whatever the gate makes of its reports, the graver of the two is the bundle's."""
    release = tmp_path / "release"
    shutil.copytree(evidence.folder / "audit", release / "audit")
    shutil.copytree(evidence.folder / "dedup", release / "dedup")
    lenient = tmp_path / "lenient.toml"
    lenient.write_text(LENIENT)
    assert str(ma.bundle(release, tmp_path / "x.zip", policy=lenient).verdict) == "pass"
    told = {"verdict": "inconclusive", "reasons": ["the generator refused 40 of 100 images"]}
    (release / "verdict.json").write_text(json.dumps(told))
    assert str(ma.bundle(release, tmp_path / "x.zip", policy=lenient).verdict) == "inconclusive"
    (rule,) = [
        each
        for each in json.loads(entries_of(tmp_path / "x.zip")["verdict.json"])["rules"]
        if each["rule"] == "release"
    ]
    assert rule["sentence"] == "the generator refused 40 of 100 images."
    (release / "verdict.json").write_text('{"verdict": "fine"}')
    with pytest.raises(InputError, match="no verdict of a release run"):
        ma.bundle(release, tmp_path / "y.zip", policy=lenient)


LENIENT = """\
[gate]
same_training_set = false
[audit]
max_findings = 9
max_verbatim = 9
max_template = 9
max_rate = 1
planted = []
min_controls = 0
copy_detection = false
max_threshold = 1
views = "none"
min_verified_coverage = 0
max_match_from = 1
max_redrawn_rate = 1
max_unpaired = 1
[dedup]
copy_detection = false
max_threshold = 1
min_recall = 0
"""


def test_several_sign(evidence: Evidence, tmp_path: Path, memaudit: Memaudit) -> None:
    """Together, or one after another; each is asked for by its key, and the manifest stays."""
    second = ma.make_key(tmp_path / "board.key")
    done = memaudit("bundle", evidence.full, "--sign", second.private, "--out", tmp_path / "both.zip", "--json")
    assert set(done.json["signers"]) == {evidence.key_id, second.key_id}
    keys = ("--key", evidence.key, "--key", second.key_id)
    assert memaudit("verify", tmp_path / "both.zip", *keys).code == 0
    assert memaudit("verify", evidence.full, *keys).code == 3
    for each in (evidence.full, tmp_path / "both.zip"):
        assert entries_of(each)["manifest.json"] == entries_of(evidence.public)["manifest.json"]
    both = tmp_path / "at-once.zip"
    ma.bundle(evidence.folder / "audit", both, sign=[evidence.folder / "audit.key", second.private])
    assert memaudit("verify", both, *keys).code == 0
    ma.publish_bundle(tmp_path / "both.zip", tmp_path / "public.zip")
    assert memaudit("verify", tmp_path / "public.zip", "--against", evidence.full, *keys).code == 0


def test_a_signature_that_comes_later_says_what_it_does_not_change(
    evidence: Evidence, tmp_path: Path, memaudit: Memaudit
) -> None:
    """The salt, by which ids of the public edition are hidden: it is that of a bundle without a key."""
    sign, second = ("--sign", evidence.folder / "audit.key"), ma.make_key(tmp_path / "board.key").private
    done = memaudit("bundle", evidence.unsigned, *sign, "--out", tmp_path / "later.zip")
    assert "made without a key, and its salt stays" in done.out
    again = ma.sign_bundle(tmp_path / "later.zip", tmp_path / "again.zip", second)
    assert len(again.warnings) == 1, "it has a signature by then"
    assert ma.sign_bundle(evidence.full, tmp_path / "x.zip", second).warnings == ()
    assert ma.sign_bundle(evidence.public, tmp_path / "y.zip", second).warnings == ()


def test_an_unsigned_bundle_says_so(evidence: Evidence, memaudit: Memaudit) -> None:
    done = memaudit("verify", evidence.unsigned)
    assert done.code == 0
    assert "not signed" in done.out
    asked = memaudit("verify", evidence.unsigned, "--key", evidence.key)
    assert asked.code == 3
    assert asked.out == f"{evidence.unsigned} is not signed by key {evidence.key_id}\n"
    assert "--key would tell" in memaudit("verify", evidence.full).out
    assert memaudit("verify", evidence.folder / "audit", "--key", evidence.key).code == 2


def test_a_key_is_for_its_owner_and_never_written_over(tmp_path: Path, memaudit: Memaudit) -> None:
    old = os.umask(0)
    try:
        done = memaudit("bundle", "--new-key", tmp_path / "a.key", "--json").json
    finally:
        os.umask(old)
    assert stat.S_IMODE((tmp_path / "a.key").stat().st_mode) == 0o600
    assert re.fullmatch("[0-9a-f]{64}", done["key_id"])
    before = (tmp_path / "a.key").read_bytes()
    memaudit("bundle", "--new-key", tmp_path / "a.key").failed(2, "exists already")
    (tmp_path / "a.key").unlink()
    memaudit("bundle", "--new-key", tmp_path / "a.key").failed(2, "a.key.pub exists already")
    assert before.startswith(b"-----BEGIN PRIVATE KEY-----")
    memaudit("bundle", tmp_path, "--new-key", tmp_path / "b.key").failed(2, "give it alone")
    memaudit("bundle", "--new-key", tmp_path / "a.key.pub" / "b.key").failed(2, "cannot be written")


def test_keys_of_other_kinds(evidence: Evidence, tmp_path: Path, memaudit: Memaudit) -> None:
    from cryptography.hazmat.primitives import serialization as form
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519

    def pem(key: ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey, how: form.KeySerializationEncryption) -> bytes:
        return key.private_bytes(form.Encoding.PEM, form.PrivateFormat.PKCS8, how)

    curve = ec.generate_private_key(ec.SECP256R1())
    own = curve.public_key().public_bytes(form.Encoding.PEM, form.PublicFormat.SubjectPublicKeyInfo)
    files = {
        "curve": (pem(curve, form.NoEncryption()), "of another kind"),
        "locked curve": (pem(curve, form.BestAvailableEncryption(b"x")), "has a password"),
        "noise": (b"noise", "no private key"),
        "public": (evidence.key.read_bytes(), "no private key"),
    }
    for name, (data, words) in files.items():
        (tmp_path / name).write_bytes(data)
        memaudit("bundle", evidence.unsigned, "--sign", tmp_path / name, "--out", tmp_path / "x.zip").failed(2, words)
    memaudit("bundle", evidence.unsigned, "--sign", tmp_path / "absent", "--out", tmp_path / "x.zip").failed(2, "read")
    (tmp_path / "curve.pub").write_bytes(own)
    memaudit("verify", evidence.full, "--key", tmp_path / "curve.pub").failed(2, "of another kind")
    memaudit("verify", evidence.full, "--key", tmp_path / "noise").failed(2, "no public key")
    memaudit("verify", evidence.full, "--key", evidence.folder / "audit.key").failed(2, "no public key")
    assert not (tmp_path / "x.zip").exists()


def test_a_key_with_a_password(
    evidence: Evidence, tmp_path: Path, memaudit: Memaudit, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a file, of the variable, of one among several; never on the command line, and never shown."""
    words, wrong, key = tmp_path / "words", tmp_path / "wrong", tmp_path / "board.key"
    words.write_bytes("pässword of the board \n".encode())
    wrong.write_text("another")
    made = memaudit("bundle", "--new-key", key, "--password-file", words, "--json").json
    assert key.read_bytes().startswith(b"-----BEGIN ENCRYPTED PRIVATE KEY-----")
    sign, out = ("bundle", evidence.unsigned, "--sign", key, "--out"), tmp_path / "x.zip"
    done = memaudit(*sign, out, "--password-file", wrong, "--password-file", words, "--json")
    assert done.json["signers"] == [made["key_id"]]
    first = out.read_bytes()
    memaudit(*sign, tmp_path / "y.zip").failed(2, f"put it into a file for --password-file, or into {KEY_PASSWORD}")
    memaudit(*sign, tmp_path / "y.zip", "--password-file", wrong).failed(2, f"what is in {wrong} does not open it")
    monkeypatch.setenv(KEY_PASSWORD, "another")
    refusal = memaudit(*sign, tmp_path / "y.zip")
    refusal.failed(2, f"what is in {KEY_PASSWORD} does not open it")
    assert "another" not in refusal.err
    monkeypatch.setenv(KEY_PASSWORD, "pässword of the board ")
    both = ("--sign", evidence.folder / "audit.key", "--json")
    assert len(memaudit(*sign, tmp_path / "both.zip", *both).json["signers"]) == 2
    ma.sign_bundle(evidence.unsigned, out, key)
    assert out.read_bytes() == first
    assert memaudit("verify", out, "--key", f"{key}.pub").code == 0
    assert make_key_in_environment(tmp_path / "env.key").startswith(b"-----BEGIN ENCRYPTED")


def make_key_in_environment(path: Path) -> bytes:
    return ma.make_key(path).private.read_bytes()


@pytest.mark.parametrize(
    ("data", "words"), [(b"", "is empty"), (b"\r\n", "is empty"), (b"x" * 1024, "is longer"), (None, "cannot be read")]
)
def test_a_password_that_is_none(
    data: bytes | None, words: str, evidence: Evidence, tmp_path: Path, memaudit: Memaudit
) -> None:
    path = tmp_path / "words"
    if data is not None:
        path.write_bytes(data)
    given = ("--sign", evidence.folder / "audit.key", "--password-file", path)
    memaudit("bundle", evidence.unsigned, *given, "--out", tmp_path / "x.zip").failed(2, words)
    memaudit("bundle", "--new-key", tmp_path / "k", "--password-file", path).failed(2, words)
    assert not (tmp_path / "k").exists()


def test_a_password_for_nothing(evidence: Evidence, tmp_path: Path, memaudit: Memaudit) -> None:
    out = ("--out", tmp_path / "x.zip", "--password-file", evidence.key)
    memaudit("bundle", evidence.folder / "audit", *out).failed(2, "--password-file without --sign")
    memaudit("bundle", evidence.full, "--public", *out).failed(2, "--password-file without --sign")
    memaudit("bundle", "--new-key", tmp_path / "k", *out[2:], *out[2:]).failed(2, "has one password")


def test_a_bundle_of_people_is_for_its_owner(evidence: Evidence, tmp_path: Path) -> None:
    """As the run is; what everybody may see is not."""
    run = shutil.copytree(evidence.folder / "audit", tmp_path / "audit")
    os.chmod(run / "report.json", 0o600)
    (run / "face-crops").mkdir()
    ma.bundle(run, tmp_path / "x.zip")
    assert stat.S_IMODE((tmp_path / "x.zip").stat().st_mode) == 0o600
    ma.sign_bundle(tmp_path / "x.zip", tmp_path / "s.zip", evidence.folder / "audit.key")
    assert stat.S_IMODE((tmp_path / "s.zip").stat().st_mode) == 0o600
    ma.publish_bundle(tmp_path / "x.zip", tmp_path / "y.zip")
    assert stat.S_IMODE((tmp_path / "y.zip").stat().st_mode) & 0o044


def test_what_is_no_sound_run(evidence: Evidence, tmp_path: Path, memaudit: Memaudit) -> None:
    out = tmp_path / "x.zip"
    memaudit("bundle", tmp_path / "absent", "--out", out).failed(2, "no folder of a run")
    (tmp_path / "empty").mkdir()
    memaudit("bundle", tmp_path / "empty", "--out", out).failed(2, "no report.json")
    run = shutil.copytree(evidence.folder / "audit", tmp_path / "audit")
    (run / "matches.parquet").write_bytes(b"x")
    memaudit("bundle", run, "--out", out).failed(3, "matches.parquet was changed")
    (run / "report.json").unlink()
    memaudit("bundle", tmp_path, "--out", out).failed(3, "wrote no report")
    memaudit("bundle", "--out", out).failed(2, "needs the folders")
    memaudit("bundle", run).failed(2, "needs the folders")
    assert not out.exists()


def test_nothing_else_is_written_over(evidence: Evidence, tmp_path: Path, memaudit: Memaudit) -> None:
    note = tmp_path / "note.txt"
    note.write_text("mine")
    audit = evidence.folder / "audit"
    memaudit("bundle", audit, "--out", note).failed(2, "is no bundle")
    with ZipFile(tmp_path / "others.zip", "w") as others:
        others.writestr("a.txt", "mine too")
    memaudit("bundle", audit, "--out", tmp_path / "others.zip").failed(2, "is no bundle")
    memaudit("bundle", audit, "--out", tmp_path).failed(2, "is a folder")
    os.mkfifo(tmp_path / "pipe", 0o644)
    for elsewhere in (tmp_path / "pipe", Path("/dev/null")):  # a bundle is read again, and may be its owner's alone
        before = elsewhere.stat().st_mode
        memaudit("bundle", audit, "--out", elsewhere).failed(2, "is no bundle")
        assert elsewhere.stat().st_mode == before
    memaudit("bundle", evidence.full, "--public", "--out", evidence.full).failed(2, "read by this very call")
    memaudit("bundle", evidence.full, "--out", tmp_path / "x.zip").failed(2, "takes --public, or --sign")
    memaudit("bundle", evidence.full, "--public", "--no-tables", "--out", tmp_path / "x.zip").failed(2, "stays")
    assert note.read_text() == "mine"
    assert ZipFile(tmp_path / "others.zip").namelist() == ["a.txt"]


def test_tables_may_stay_where_they_are(evidence: Evidence, tmp_path: Path) -> None:
    ma.bundle(evidence.folder / "audit", tmp_path / "x.zip", tables=False)
    assert not any(name.endswith(".parquet") for name in entries_of(tmp_path / "x.zip"))
    assert ma.verify(tmp_path / "x.zip").sound


def test_more_than_an_archive_holds(evidence: Evidence, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(archive, "MOST_ENTRIES", 3)
    with pytest.raises(InputError, match="at most 3"):
        ma.bundle(evidence.folder / "audit", tmp_path / "x.zip")
    with pytest.raises(InconclusiveError, match="more files than"):
        ma.verify(evidence.full)
    assert list(tmp_path.iterdir()) == []


def test_without_the_extra(
    evidence: Evidence, memaudit: Memaudit, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Everything but the signature is checked, and the line that installs it is said, whatever was imported before."""
    for name in [name for name in sys.modules if name.partition(".")[0] == "cryptography"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "cryptography", None)
    done = memaudit("verify", evidence.full)
    assert done.code == 3
    assert 'pip install ".[sign]"' in done.out
    assert ma.verify(evidence.full).unchecked
    assert memaudit("verify", evidence.unsigned).code == 0
    audit = evidence.folder / "audit"
    memaudit("bundle", audit, "--sign", evidence.folder / "audit.key", "--out", tmp_path / "x.zip").failed(2, "[sign]")
    memaudit("bundle", "--new-key", tmp_path / "k").failed(2, "[sign]")


def foreign_verifier() -> str:
    page = (ROOT / "docs" / "how-to" / "bundle.md").read_text()
    (script,) = [block for block in re.findall(r"```python\n(.*?)```", page, re.DOTALL) if "zipfile" in block]
    return script


def checked_by_others(path: Path, key: Path) -> tuple[int, str]:
    """What a Python says that has no memaudit in it."""
    command = [sys.executable, "-I", "-c", foreign_verifier(), path, key]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.returncode, done.stdout + done.stderr


def test_the_foreign_verifier_of_the_docs(evidence: Evidence, tmp_path: Path) -> None:
    """Some forty lines without memaudit, word for word: they take both editions and refuse others."""
    script = foreign_verifier()
    assert len([line for line in script.splitlines() if line.strip()]) <= 45
    assert "memaudit" not in "".join(re.findall(r"^(?:import|from) .*$", script, re.MULTILINE))
    for path in (evidence.full, evidence.public):
        code, said = checked_by_others(path, evidence.key)
        assert (code, "FAILED" in said) == (0, True), said
    data = evidence.full.read_bytes()
    (tmp_path / "changed.zip").write_bytes(data.replace(b"max_findings", b"max_finding5"))
    for path in (evidence.unsigned, tmp_path / "changed.zip"):
        assert checked_by_others(path, evidence.key)[0] == 1


@pytest.mark.parametrize("most", [40_000, 100], ids=["some files further on", "everything"])
def test_what_needs_wider_fields_is_written_as_zip64(
    most: int, evidence: Evidence, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As if four bytes held no more than this: others read it as well, and every byte of it counts."""
    expected = entries_of(evidence.full)
    monkeypatch.setattr(archive, "WIDE", most)
    runs = [evidence.folder / "audit", evidence.folder / "dedup"]
    made = ma.bundle(
        runs, tmp_path / "wide.zip", policy=evidence.folder / "policy.toml", sign=evidence.folder / "audit.key"
    )
    assert ma.verify(made.path, keys=[evidence.key]).sound
    assert entries_of(made.path) == expected
    data = made.path.read_bytes()
    assert b"PK\6\6" in data
    code, said = checked_by_others(made.path, evidence.key)
    assert (code, "whole, full edition" in said) == (0, True), said
    first = data.index(b"\1\0\x10\0")  # wide sizes of a file
    for place in {first + 2, first + 5, first + 14, data.rindex(b"PK\1\2") + 45, *range(len(data) - 98, len(data))}:
        (tmp_path / "changed.zip").write_bytes(data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :])
        with pytest.raises(InconclusiveError, match="was changed after it was written"):
            open_bundle(tmp_path / "changed.zip")
    monkeypatch.undo()
    with pytest.raises(InconclusiveError):  # wider than its sizes need
        open_bundle(made.path)


def test_a_bundle_in_a_notebook(evidence: Evidence, tmp_path: Path) -> None:
    made = ma.bundle(evidence.folder / "audit", tmp_path / "x.zip")
    assert repr(made).startswith("<Bundle: fail, ")
    assert "not signed" in made._repr_html_()
    assert ma.describe(tmp_path / "x.zip").values["edition"] == "full"
    with pytest.raises(UsageError, match="no run given"):
        bundles.bundle([], tmp_path / "y.zip")
