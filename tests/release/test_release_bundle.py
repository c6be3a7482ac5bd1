"""[bundle] in release.toml: the check ends in evidence of itself."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable
from pathlib import Path
from zipfile import ZipFile

import pytest
from generator_lines import command

import memaudit as ma
from memaudit.bundling.checking import POLICY, VERDICT
from memaudit.bundling.manifest import MANIFEST
from memaudit.errors import InconclusiveError, InputError, UsageError
from memaudit.release.command import said_of
from memaudit.release.run_file import CommandGenerator
from memaudit.types import KEY_PASSWORD

BATCH = "--jobs {jobs} --out {out}"
BUNDLE = '[bundle]\nfile = "release/evidence.zip"\npublic = "public.zip"\nsign = ["audit.key"]\n'


def with_bundle(path: Path, lines: str = BUNDLE) -> Path:
    path.write_text(path.read_text() + lines)
    return path


def test_a_check_ends_in_a_signed_bundle(release):
    path, key = with_bundle(release(command(BATCH))), ma.make_key("audit.key")
    assert ma.plan_release(path)[-1] == ("bundle", "into release/evidence.zip, signed")
    done = ma.run_release(path)
    assert done.stages[-1].name == "bundle"
    assert done.evidence.signers == (key.key_id,)
    assert str(done.evidence.verdict) == "pass"
    assert done.as_dict()["bundle"]["edition"] == "full"
    assert ma.verify("public.zip", keys=key.public, against="release/evidence.zip").sound
    gate = ma.run_gate("release", "policy.toml", require_signature=True, keys=key.public)
    assert str(gate.verdict) == "pass"
    before = Path("release/evidence.zip").read_bytes()
    ma.run_release(path)
    assert Path("release/evidence.zip").read_bytes() == before


def archive_of(path: Path, names: Iterable[str]) -> bytes:
    with ZipFile(path, "w") as archive:
        for name in names:
            archive.writestr(name, path.name)
    return path.read_bytes()


def test_evidence_of_an_earlier_run_is_set_aside_by_one_that_fails(release):
    """It is not lost, also where the next one fails again; the public edition has a link, which stays one."""
    lines = '[bundle]\nfile = "release/evidence.zip"\npublic = "public.zip"\n'
    path = with_bundle(release('kind = "folder"\npath = "generations"'), lines)
    full, public = Path("release/evidence.zip"), Path("public.zip")
    full.parent.mkdir()
    before = archive_of(full, (MANIFEST, VERDICT, POLICY))
    public.symlink_to("elsewhere.zip")
    archive_of(public, (MANIFEST, VERDICT, POLICY))
    Path("release/evidence.zip.earlier").write_bytes(b"of the run before")
    for _ in range(2):
        with pytest.raises(InputError, match="there is no such folder"):
            ma.run_release(path)
        assert not full.exists()
        assert Path("release/evidence.zip.earlier").read_bytes() == before
        assert public.is_symlink()
        assert not public.exists()
        assert Path("elsewhere.zip.earlier").exists()


def test_what_is_no_bundle_is_not_written_over(release):
    """Which is said before anything is done; the evidence beside it stays where it is."""
    lines = '[bundle]\nfile = "release/evidence.zip"\npublic = "public.zip"\n'
    path = with_bundle(release('kind = "folder"\npath = "generations"'), lines)
    full, public = Path("release/evidence.zip"), Path("public.zip")
    full.parent.mkdir()
    archive_of(full, (MANIFEST, VERDICT, POLICY))
    for there in (archive_of(public, ["pictures/1.png"]), b"PK\3\4", b"notes"):
        public.write_bytes(there)
        with pytest.raises(UsageError, match=r"public\.zip exists already, and is no bundle"):
            ma.run_release(path)
        assert public.read_bytes() == there
    assert full.exists()


def test_a_key_that_is_not_there_is_said_before_anything_is_done(release):
    path = with_bundle(release(command(BATCH)))
    with pytest.raises(InputError, match=r"audit\.key cannot be read"):
        ma.run_release(path)
    assert not Path("release").exists()


def test_a_generator_does_not_get_the_password(release, monkeypatch):
    """A file, which the run file names, or the variable opens the key; asked for before anything is done."""
    Path("words").write_text("of the board")
    ma.make_key("audit.key", password_file="words")
    Path("tells.py").write_text(f"import os, sys\nsys.exit(os.environ.get('{KEY_PASSWORD}', 'is not told'))\n")
    told = CommandGenerator(command=f"{sys.executable} tells.py")
    monkeypatch.setenv(KEY_PASSWORD, "wrong")
    assert said_of(told, {}).endswith(": is not told")
    path = with_bundle(release(command(BATCH)))
    with pytest.raises(InputError, match=f"in {KEY_PASSWORD} does not open it"):
        ma.run_release(path)
    assert not Path("release").exists()
    path.write_text(path.read_text() + 'password_files = ["words"]\n')
    assert ma.run_release(path).evidence.signers


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        ('[bundle]\npublic = "x.zip"\n', "needs file"),
        ('[bundle]\nfile = "x.zip"\ntimestamp = "http://here"\n', "timestamp needs sign"),
        ('[bundle]\nfile = "x.zip"\npictures = "sharp"\n', "bundle"),
        ('[bundle]\nfile = "x.zip"\npassword_files = ["words"]\n', "password_files needs sign"),
        ('[bundle]\nfiles = "x.zip"\n', "did you mean 'file'"),
    ],
)
def test_what_a_bundle_may_not_say(release, lines, words):
    with pytest.raises(UsageError, match=words):
        ma.plan_release(with_bundle(release(command(BATCH)), lines))


def test_refused_images_make_the_bundle_inconclusive(release):
    """The gate passes, the check does not: the bundle says what the check says."""
    path = with_bundle(release(command(BATCH)), '[bundle]\nfile = "evidence.zip"\n')
    ma.run_release(path)
    told = json.loads(Path("release/verdict.json").read_text())
    Path("release/verdict.json").write_text(json.dumps({**told, "verdict": "inconclusive"}))
    assert str(ma.bundle("release", "again.zip", policy="policy.toml").verdict) == "inconclusive"
    Path("release/verdict.json").write_text(json.dumps({**told, "digests": ["sha256:other", *told["digests"]]}))
    with pytest.raises(InconclusiveError, match="is the verdict of other reports than lie there"):
        ma.bundle("release", "again.zip", policy="policy.toml")
