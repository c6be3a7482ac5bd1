"""gate takes bundles; with --require-signature a report counts where who was named signed a bundle that holds it."""

from __future__ import annotations

import shutil
from pathlib import Path

from bundling.evidence import Evidence, archive_of, entries_of
from bundling.test_bundle_making import LENIENT
from calls import Called, Memaudit

import memaudit as ma


def rules(done: Called) -> dict[str, str]:
    return {rule["report"]: rule["outcome"] for rule in done.json["rules"] if rule["rule"] == "signature"}


def test_a_bundle_is_judged_by_whose_policy_it_is(evidence: Evidence, memaudit: Memaudit, tmp_path: Path) -> None:
    """By that of whoever gates, not by the one in it."""
    (tmp_path / "lenient.toml").write_text(LENIENT)
    done = memaudit("gate", evidence.full, "--json")
    assert done.code == 1
    assert done.json["reports"] == [f"{evidence.full}/audit/report.json", f"{evidence.full}/dedup/report.json"]
    signed = ("--require-signature", "--key", evidence.key)
    passed = memaudit("gate", evidence.full, "--policy", tmp_path / "lenient.toml", *signed, "--json")
    assert passed.code == 0, passed.out
    assert set(rules(passed).values()) == {"pass"}


def test_missing_and_wrong_signatures_are_inconclusive(evidence: Evidence, memaudit: Memaudit, tmp_path: Path) -> None:
    lenient, other = tmp_path / "lenient.toml", ma.make_key(tmp_path / "other.key")
    lenient.write_text(LENIENT)
    asked = ("--policy", lenient, "--require-signature", "--json", "--key")
    for given, key in ((evidence.unsigned, evidence.key), (evidence.full, other.public), (evidence.full, other.key_id)):
        done = memaudit("gate", given, *asked, key)
        assert done.code == 3
        assert set(rules(done).values()) == {"inconclusive"}
    both = memaudit("gate", evidence.full, *asked, evidence.key, "--key", other.public)
    assert both.code == 3
    assert "1" in {rule["figure"] for rule in both.json["rules"] if rule["rule"] == "signature"}


def test_a_changed_bundle_is_refused(evidence: Evidence, memaudit: Memaudit, tmp_path: Path) -> None:
    """With or without a signature asked for."""
    entries = entries_of(evidence.full)
    (tmp_path / "x.zip").write_bytes(archive_of({**entries, "policy.toml": b"x"}))
    memaudit("gate", tmp_path / "x.zip").failed(3, "policy.toml is not what the manifest says")
    memaudit("gate", evidence.public).failed(2, "public edition")


def test_a_report_is_vouched_for_by_the_bundle_beside_it(
    evidence: Evidence, memaudit: Memaudit, tmp_path: Path
) -> None:
    """Or by one that is named; a report that was made anew is not, and what lies there besides does not matter."""
    release, signed = tmp_path / "release", ("--require-signature", "--key", evidence.key, "--json")
    for name in ("audit", "dedup"):
        shutil.copytree(evidence.folder / name, release / name)
    assert set(rules(memaudit("gate", release, *signed)).values()) == {"inconclusive"}
    shutil.copy(evidence.full, release / "evidence.zip")
    (release / "notes.zip").write_bytes(b"PK\3\4 none of ours")
    assert set(rules(memaudit("gate", release, *signed)).values()) == {"pass"}
    named = memaudit("gate", release / "audit" / "report.json", evidence.full, *signed)
    assert rules(named) == {
        str(release / "audit" / "report.json"): "pass",
        f"{evidence.full}/dedup/report.json": "pass",
    }
    ma.run_audit(
        evidence.folder / "generations-orchard",
        evidence.folder / "store-orchard",
        out=release / "audit",
        views="none",
        planted=0,
    )
    assert sorted(rules(memaudit("gate", release, *signed)).values()) == ["inconclusive", "pass"]


def test_a_bundle_beside_a_report_within_the_folder_is_found(
    evidence: Evidence, memaudit: Memaudit, tmp_path: Path
) -> None:
    """Each report of a folder is looked for in its own folder, too, and between the two; not above the folder."""
    signed = ("--require-signature", "--key", evidence.key, "--json")
    audits, run = tmp_path / "audits", tmp_path / "audits" / "a" / "run"
    run.mkdir(parents=True)
    shutil.copy(evidence.folder / "audit" / "report.json", run)
    for place, said in ((tmp_path, "inconclusive"), (audits, "pass"), (run.parent, "pass"), (run, "pass")):
        shutil.copy(evidence.full, place / "evidence.zip")
        assert rules(memaudit("gate", audits, *signed)) == {str(run / "report.json"): said}
        (place / "evidence.zip").unlink()


def test_what_does_not_go_together(evidence: Evidence, memaudit: Memaudit, tmp_path: Path) -> None:
    memaudit("gate", evidence.full, "--require-signature").failed(2, "without --key: anybody can sign")
    memaudit("gate", evidence.full, "--key", evidence.key).failed(2, "without --require-signature")
    memaudit("gate", evidence.full, "--page", tmp_path / "x.html").failed(2, "a bundle has its own page")
    memaudit("gate", evidence.full, "--junit", evidence.full).failed(2, "read or written by this very call")
    assert evidence.full.is_file()
