"""The manifest of generations: whatever a kill or a mistaken command leaves, no image is audited that it does not tell
of, and nothing is refused for good that nobody refused."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from pictures import write_pictures

from memaudit.errors import InputError
from memaudit.release import pipelines
from memaudit.release.asked import pairing_lines
from memaudit.release.command import NO_IMAGE, generate
from memaudit.release.jobs import MANIFEST, Gallery, Job, jobs_of, write_jobs
from memaudit.release.run_file import CommandGenerator
from memaudit.types import silent

JOBS = [Job(f"{number:06d}_0", "eine Tür", number) for number in range(3)]
LINES_THAT_ARE_NONE = "a\u2028b\u0085c"


def recorded(folder: Path) -> Gallery:
    gallery = Gallery(folder)
    with gallery.recording() as record:
        for job in gallery.left(JOBS):
            record.refused(job, "no")
    return gallery


def test_a_line_that_a_kill_cut_within_a_letter_is_made_again(tmp_path: Path) -> None:
    recorded(tmp_path)
    manifest = tmp_path / MANIFEST
    whole = manifest.read_bytes()
    manifest.write_bytes(whole[: whole.rindex("ü".encode()) + 1])
    assert list(Gallery(tmp_path).outcomes) == [job.name for job in JOBS[:2]]
    assert list(recorded(tmp_path).outcomes) == [job.name for job in JOBS]
    assert manifest.read_bytes() == whole


def test_an_image_of_which_no_line_tells_is_removed(tmp_path: Path) -> None:
    """A kill came before its line was written, and then its prompt may be refused."""
    recorded(tmp_path)
    write_pictures(tmp_path / "images", [0])
    recorded(tmp_path)
    assert not list((tmp_path / "images").iterdir())


@pytest.mark.parametrize("numbers", [range(2), range(0)])
def test_images_without_a_manifest_are_not_removed(tmp_path: Path, numbers: range) -> None:
    """They may be hours of work: a kill leaves one, a lost manifest all. Nor is a folder, whatever its name."""
    folder = tmp_path / "images"
    write_pictures(folder, numbers)
    (folder / "x.png").mkdir(parents=True)
    there = sorted(folder.iterdir())
    with pytest.raises(InputError, match=rf"images holds {len(there)} that .* does not name, as x\.png: put "):
        recorded(tmp_path)
    assert sorted(folder.iterdir()) == there
    (folder / "x.png").rmdir()
    if len(numbers) > 1:
        with pytest.raises(InputError, match=r"holds 2 that .* does not name, as 0000\.png: put "):
            recorded(tmp_path)


def test_names_and_captions_may_hold_what_some_take_for_the_end_of_a_line(tmp_path: Path) -> None:
    told = {"generation": "000000", "prompt": LINES_THAT_ARE_NONE, "seed": 0, "image_id": LINES_THAT_ARE_NONE}
    prompts = tmp_path / "prompts.jsonl"
    prompts.write_text(json.dumps(told, ensure_ascii=False) + "\n", "utf-8")
    assert [job.prompt for job in jobs_of(prompts, 1)] == [LINES_THAT_ARE_NONE]
    gallery = Gallery(tmp_path / "made")
    with gallery.recording() as record:
        record.refused(jobs_of(prompts, 1)[0], "no")
    (line,) = pairing_lines(prompts, gallery)
    assert json.loads(line)["image_id"] == LINES_THAT_ARE_NONE


def test_a_pipeline_takes_such_captions(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_jobs(tmp_path / "jobs.jsonl", [Job("000000_0", LINES_THAT_ARE_NONE, 0)])
    told_of = list[str]()
    monkeypatch.setattr(pipelines, "_loaded", lambda told, device: told_of.append(device))
    monkeypatch.setattr(pipelines, "_draw", lambda pipeline, jobs, told: told_of.extend(job.prompt for job in jobs))
    words = ("--jobs", f"{tmp_path}/jobs.jsonl", "--out", str(tmp_path), "--path", "", "--digest", "")
    assert pipelines.main(words) == 0
    assert told_of == ["cpu", LINES_THAT_ARE_NONE]


@pytest.mark.parametrize("name", ["other.png", "0.JPG"])
def test_images_by_wrong_names_are_a_mistake_and_no_refusal(tmp_path: Path, name: str) -> None:
    """Refusals are recorded for good: when the command is mended, it was not called again."""
    gallery = Gallery(tmp_path / "made")
    called = CommandGenerator(command=f"sh -c 'touch {{out}}/{name}' {{jobs}}")
    with (
        gallery.recording() as record,
        pytest.raises(InputError, match=rf"it left {name} and no 000000_0.png: images are to be called"),
    ):
        generate(called, JOBS, gallery.incoming, record, silent)
    assert not Gallery(tmp_path / "made").outcomes


def test_a_by_product_beside_images_is_no_mistake_of_a_later_batch(tmp_path: Path) -> None:
    """Incoming files are removed when a run begins, not between its batches."""
    write_pictures(tmp_path, [0])
    image = tmp_path / "0000.png"
    script = (
        f"grep -q _0..*seed...2 {{jobs}} || for name in 000000_0 000001_0 grid; do cp {image} {{out}}/$name.png; done"
    )
    gallery = Gallery(tmp_path / "made")
    with gallery.recording() as record:
        generate(CommandGenerator(command=f"sh -c '{script}'", batch=2), JOBS, gallery.incoming, record, silent)
    assert gallery.counts() == {"made": 2, "refused": 1}


def test_what_leaves_no_image_refuses(tmp_path: Path) -> None:
    gallery = Gallery(tmp_path / "made")
    with gallery.recording() as record:
        generate(
            CommandGenerator(command="sh -c 'touch {out}/notes.txt' {jobs}"), JOBS, gallery.incoming, record, silent
        )
    assert {outcome.reason for outcome in gallery.outcomes.values()} == {NO_IMAGE}


def test_a_prompt_that_no_command_can_be_given_stops_in_a_line(tmp_path: Path) -> None:
    gallery = Gallery(tmp_path / "made")
    called = CommandGenerator(command="sh -c true {prompt} {seed} {out}")
    with gallery.recording() as record, pytest.raises(InputError, match="sh cannot be run: embedded null byte"):
        generate(called, [Job("000000_0", "a\0b", 0)], gallery.incoming, record, silent)
