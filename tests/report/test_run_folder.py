"""What earlier runs reported in a folder is put aside: whole, by date, and not without end."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from memaudit.report import run_folder
from memaudit.report.run_folder import KEPT, keep_for_owner, previous_runs, remove_earlier_pictures, running, start_run


def reported(out: Path, number: int, *, finished: bool = True) -> None:
    """What a run leaves, written `number` seconds after 2026-01-01 00:00 UTC."""
    with running(out, "audit"):
        (out / "thumbnails").mkdir()
        (out / "thumbnails" / "a.jpg").write_text(str(number))
        for name in ("matches.parquet", *(["report.json"] if finished else [])):
            (out / name).write_text(str(number))
            os.utime(out / name, (1767225600 + number, 1767225600 + number))


def kept(out: Path) -> list[str]:
    return [path.name for path in previous_runs(out)]


def test_each_run_is_put_aside_with_its_date(tmp_path: Path) -> None:
    """With all that its page shows; of two in the same second both are there."""
    for number in (5, 5, 61):
        reported(tmp_path, number)
    start_run(tmp_path, "audit")
    assert kept(tmp_path) == ["2026-01-01T00-00-05Z", "2026-01-01T00-00-05Z-2", "2026-01-01T00-01-01Z"]
    last = previous_runs(tmp_path)[-1]
    assert [(last / name).read_text() for name in ("report.json", "matches.parquet", "thumbnails/a.jpg")] == ["61"] * 3
    assert sorted(path.name for path in tmp_path.iterdir()) == [".lock", ".memaudit-run", "previous-runs"]


def test_a_finished_report_outlives_any_number_of_killed_runs(tmp_path: Path) -> None:
    """Of the runs that are kept those go first that never finished, then the oldest."""
    reported(tmp_path, 1)
    for number in range(2, 2 * KEPT):
        reported(tmp_path, number, finished=False)
    start_run(tmp_path, "audit")
    assert len(kept(tmp_path)) == KEPT
    assert kept(tmp_path)[0] == "2026-01-01T00-00-01Z"
    assert kept(tmp_path)[-1] == f"2026-01-01T00-00-0{2 * KEPT - 1}Z-unfinished"
    for number in range(20, 22 + KEPT):
        reported(tmp_path, number)
    assert kept(tmp_path) == [f"2026-01-01T00-00-{number}Z" for number in range(21, 21 + KEPT)]


def test_killed_while_it_puts_aside_a_run_stays_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was moved and what was not come together when the next run starts."""
    reported(tmp_path, 7)

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    rename = Path.rename
    for step in range(3):
        calls = iter([rename] * step)
        monkeypatch.setattr(Path, "rename", lambda path, target, calls=calls: next(calls, killed)(path, target))
        with pytest.raises(KeyboardInterrupt):
            start_run(tmp_path, "audit")
    monkeypatch.undo()
    start_run(tmp_path, "audit")
    (run,) = previous_runs(tmp_path)
    assert run.name == "2026-01-01T00-00-07Z"
    assert sorted(path.name for path in run.iterdir()) == ["matches.parquet", "report.json", "thumbnails"]


def test_the_run_that_0_2_kept_is_one_of_them(tmp_path: Path) -> None:
    """It kept the last run alone, as previous-run/."""
    reported(tmp_path, 3)
    start_run(tmp_path, "audit")
    previous_runs(tmp_path)[0].rename(tmp_path / "previous-run")
    reported(tmp_path, 4)
    start_run(tmp_path, "audit")
    assert kept(tmp_path) == ["2026-01-01T00-00-03Z", "2026-01-01T00-00-04Z"]
    assert not (tmp_path / "previous-run").exists()


def test_earlier_pictures_go_from_all_of_them(tmp_path: Path) -> None:
    """Faces that are no longer to be shown."""
    for number in range(3):
        reported(tmp_path, number)
    remove_earlier_pictures(tmp_path)
    assert [sorted(path.name for path in run.iterdir()) for run in previous_runs(tmp_path)] == [
        ["matches.parquet", "report.json"]
    ] * 2


@pytest.mark.parametrize(("stranger", "mode"), [("", 0o700), ("thesis.doc", 0o755)])
def test_the_folder_of_faces_is_the_owners_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stranger: str, mode: int
) -> None:
    """But not one that somebody keeps other files in: there all that is written is."""
    monkeypatch.setattr("memaudit.files.writing._private", set())
    out = tmp_path / "out"
    (out / "generations").mkdir(parents=True)
    (out / "generations" / "store.json").write_text("{}")
    out.chmod(0o755)
    if stranger:
        (out / stranger).write_text("")
    reported(out, 1)
    keep_for_owner(out)
    run_folder.write_text(out / "thumbnails" / "b.jpg", "")
    start_run(out, "audit")
    modes = [stat.S_IMODE(path.stat().st_mode) for path in (out, out / "previous-runs", previous_runs(out)[0])]
    assert modes == [mode, 0o700, 0o700]
    assert stat.S_IMODE((previous_runs(out)[0] / "thumbnails" / "b.jpg").stat().st_mode) == 0o600
