"""An audit that looked less than by default never passes the default gate, and its first line says what it left out."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest
from pictures import draw
from PIL import Image

import memaudit as ma

POLICY = "[audit]\ncopy_detection = false\nmax_rate = 0.99\nmax_redrawn_rate = 1\nmin_controls = 0\nplanted = []\n"


def saved(folder: Path, pictures: dict[str, Image.Image]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name, picture in pictures.items():
        picture.save(folder / f"{name}.png")
    return folder


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("training")
    training = saved(folder / "training", {f"{i:02}": draw(i) for i in range(8)})
    ma.embed(training, out=folder / "store", encoder="thumbnail")
    return folder / "store"


@pytest.fixture
def generations(tmp_path: Path) -> Path:
    return saved(tmp_path / "generations", {f"g{i}": draw(100 + i) for i in range(6)})


@pytest.fixture
def policy(tmp_path: Path) -> Path:
    (tmp_path / "memaudit.toml").write_text(POLICY)
    return tmp_path / "memaudit.toml"


def not_passed(run: ma.AuditRun, policy: Path) -> dict[str, str]:
    return {rule.rule: str(rule.outcome) for rule in ma.run_gate(run, policy).rules if str(rule.outcome) != "pass"}


def test_a_default_audit_passes_and_says_nothing_of_its_effort(store: Path, generations: Path, policy: Path) -> None:
    run = ma.run_audit(generations, store)
    assert run.headline.startswith("None of 6 generations")
    assert not_passed(run, policy) == {}
    assert ma.run_gate(run, policy).headline == "pass"
    policy.write_text(policy.read_text().replace("copy_detection = false", ""))
    assert not_passed(run, policy) == {"copy_detection": "inconclusive"}  # thumbnail takes a crop for another picture


def test_whole_images_and_no_pixels_are_inconclusive(store: Path, generations: Path, policy: Path) -> None:
    """The audit did what it was asked for; the gate asks for more."""
    run = ma.run_audit(generations, store, views="none", match="none")
    assert run.conclusive
    assert run.headline.startswith(
        "Weaker than a default audit: whole generations alone were searched, no parts of them; "
        "no candidate was compared on pixels (--match none). None of 6 generations"
    )
    assert not_passed(run, policy) == {"views": "inconclusive", "min_verified_coverage": "inconclusive"}
    assert ma.run_gate(run, policy).headline.startswith("inconclusive: views: 9 of the views of --views tiles")


def test_without_opencv_the_gate_is_inconclusive(
    store: Path, generations: Path, policy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """--match auto goes on without it: nobody who reads the verdict was there."""
    monkeypatch.setitem(sys.modules, "cv2", None)
    run = ma.run_audit(generations, store)
    assert run.headline.startswith("Weaker than a default audit: no candidate was compared on pixels (")
    assert not_passed(run, policy) == {"min_verified_coverage": "inconclusive"}


def test_training_files_that_are_gone_are_inconclusive_whatever_was_allowed(
    generations: Path, policy: Path, tmp_path: Path
) -> None:
    """--max-unreadable 1 lets the audit go on; pixels of nothing were compared, and so no generation was measured."""
    training = saved(tmp_path / "training", {f"{i:02}": draw(i) for i in range(4)})
    ma.embed(training, out=tmp_path / "gone", encoder="thumbnail")
    shutil.rmtree(training)
    run = ma.run_audit(generations, tmp_path / "gone", max_unreadable=1.0, match_from=0.01)
    assert run.headline == "Inconclusive: only 0 of 6 generations could be measured (0.00%)."
    found = not_passed(run, policy)
    assert found["min_coverage"] == found["min_verified_coverage"] == "inconclusive"


def test_pixels_from_high_up_are_inconclusive(store: Path, generations: Path, policy: Path) -> None:
    """thumbnail's own is its threshold, 0.95; from 0.99 on pixels cannot add anything below it."""
    run = ma.run_audit(generations, store, threshold=0.99)
    assert "similarity 0.99 was asked for, not 0.95" in run.headline
    assert not_passed(run, policy) == {"threshold": "inconclusive"}


def test_lost_views_are_inconclusive_whatever_was_allowed(store: Path, policy: Path, tmp_path: Path) -> None:
    """Generations that were embedded before their files went have no views."""
    pictures = saved(tmp_path / "g", {f"g{i}": draw(100 + i) for i in range(4)})
    ma.embed(pictures, out=tmp_path / "g-store", encoder="thumbnail")
    shutil.rmtree(pictures)
    run = ma.run_audit(tmp_path / "g-store", store, max_unreadable=1.0)
    assert "only 0 of 36 views of the generations were measured" in run.headline
    assert not_passed(run, policy)["min_view_coverage"] == "inconclusive"


@pytest.mark.parametrize("allowed", [0.01, 1.0])
def test_blank_generations_come_first(store: Path, generations: Path, policy: Path, allowed: float) -> None:
    """A safety filter blackens three of nine: "None of 6" is not what a reader sees first, and it does not pass."""
    saved(generations, {f"black{i}": Image.new("RGB", (64, 64)) for i in range(3)})
    run = ma.run_audit(generations, store, max_unreadable=allowed)
    first = "Inconclusive: " if allowed < 1 else "Weaker than a default audit: "
    assert run.headline.startswith(f"{first}3 of 9 generations are blank")
    assert run.conclusive == (allowed == 1)
    assert not_passed(run, policy)["max_blank"] == "inconclusive"


@pytest.mark.parametrize("allowed", [0.01, 1.0])
def test_a_pairing_that_was_cut_off_comes_first(
    store: Path, generations: Path, policy: Path, tmp_path: Path, allowed: float
) -> None:
    """One line for six generations: its pairs are all measured, and of five nothing is known."""
    (tmp_path / "pairing.csv").write_text("generation,image_id,prompt\ng0.png,00.png,p\n")
    run = ma.run_audit(generations, store, pairing=tmp_path / "pairing.csv", max_unreadable=allowed)
    assert "5 of 6 generations have no line in the pairing" in run.headline
    assert run.conclusive == (allowed == 1)
    assert not_passed(run, policy)["max_unpaired"] == "inconclusive"
