"""From one file to a verdict: each stage once, whatever stops it in between."""

import json
from pathlib import Path

import pytest
from generator_lines import command

import memaudit as ma
from memaudit.api.release_stages import PAGE, PAIRING, STATE
from memaudit.api.releasing import VERDICT
from memaudit.errors import InconclusiveError, InputError
from memaudit.release.asked import PROMPTS
from memaudit.release.jobs import MANIFEST

BATCH = "--jobs {jobs} --out {out}"
SINGLE = '--prompt "{prompt}" --seed {seed} --out {out}'


def lines_in(path: Path) -> list[dict]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def gallery_in(folder: Path) -> Path:
    (found,) = folder.glob("generations-*")
    return found


def test_from_a_file_to_a_verdict(release):
    path = release(command(BATCH))
    said: list[str] = []
    done = ma.run_release(path, tell=said.append)
    assert str(done.verdict) == "pass", done.gate.headline
    assert [stage.name for stage in done.stages] == [
        "training set",
        "dedup",
        "prompts",
        "generations",
        "held-out images",
        "audit",
        "gate",
    ]
    assert done.audit.results.searched.count == 2
    assert {match.reference_id for match in done.audit.findings} == {"0003", "0009"}
    assert done.audit.results.by_prompt.returned.n == 24
    assert done.audit.results.control is not None
    assert len(said) == 7
    folder = path.parent / "release"
    assert done.page == folder / "release.html"
    assert "small 1.0" in done.page.read_text()
    assert json.loads((folder / VERDICT).read_text())["verdict"] == "pass"
    assert {line["fate"] for line in lines_in(gallery_in(folder) / MANIFEST)} == {"made"}


def test_what_is_there_is_not_made_again(release):
    path = release(command(BATCH))
    first = ma.run_release(path)
    files = {each: each.stat().st_mtime_ns for each in (path.parent / "release").rglob("*.parquet")}
    (first.audit.folder / "report.json").chmod(0o600)  # as that of an audit of faces is
    second = ma.run_release(path)
    assert [each.stat().st_mode & 0o077 for each in (second.page, second.folder / VERDICT)] == [0, 0]
    said = [next(stage.words for stage in run.stages if stage.name == "generations") for run in (first, second)]
    assert "model_digest" not in said[0]
    assert said[1].endswith("; 24 were there: without model_digest nobody knows of which weights")
    assert [stage.name for stage in second.stages if not stage.as_before] == ["training set", "held-out images", "gate"]
    assert second.audit.report.digest == first.audit.report.digest
    assert {each: each.stat().st_mtime_ns for each in files} == files


def test_only_what_hangs_on_a_change_is_made_again(release):
    path = release(command(BATCH))
    ma.run_release(path)
    path.write_text(path.read_text().replace("[audit]\n", "[audit]\nthreshold = 0.97\n"))
    again = {stage.name: stage.as_before for stage in ma.run_release(path).stages}
    assert again["dedup"]
    assert again["generations"]
    assert not again["audit"]
    path.write_text(path.read_text().replace("small 1.0", "small 2.0"))
    again = {stage.name: stage.as_before for stage in ma.run_release(path).stages}
    assert again["prompts"]
    assert not again["generations"]
    assert len(list((path.parent / "release").glob("generations-*"))) == 2


def test_a_damaged_state_costs_time_and_nothing_else(release):
    path = release(command(BATCH))
    first = ma.run_release(path)
    (path.parent / "release" / STATE).write_text("{}")
    second = ma.run_release(path)
    assert second.audit.rate == first.audit.rate
    assert {stage.name: stage.as_before for stage in second.stages}["generations"]


def test_one_image_a_call_is_the_same(release):
    done = ma.run_release(release(command(SINGLE, "workers = 2"), prompts="n = 6\nseeds = 2"))
    assert done.refused == (0, 12)
    assert done.audit.results.by_prompt.returned.n == 6
    assert done.audit.rate.n == 12


def test_seeds_and_weights_of_prompts_reach_the_audit(release):
    path = release(command(BATCH), prompts="n = 12\nseeds = 3")
    ma.run_release(path)
    pairing = lines_in(path.parent / "release" / PAIRING)
    prompts = lines_in(path.parent / "release" / PROMPTS)
    assert len(pairing) == 36
    assert {line["weight"] for line in pairing} == {prompt["weight"] for prompt in prompts} == {2.0}
    seeds = {line["generation"]: line["seed"] for line in pairing}
    assert [seeds[f"000002_{number}"] - prompts[2]["seed"] for number in range(3)] == [0, 1, 2]


def test_a_batch_that_breaks_down_goes_on_where_it_was(release, tmp_path):
    done = ma.run_release(release(command(f"{BATCH} --fail-once {tmp_path}/failed", "batch = 10")))
    assert (tmp_path / "failed").exists()
    assert done.refused == (0, 24)


def test_a_generator_that_fails_says_so_and_what_it_made_is_kept(release, tmp_path):
    path = release(command(f"{BATCH} --fail-once {tmp_path}/failed", "batch = 10", "tries = 1"))
    with pytest.raises(InputError, match=r"left: .*python.* ended with exit code 7: CUDA out of memory"):
        ma.run_release(path)
    made = lines_in(gallery_in(path.parent / "release") / MANIFEST)
    assert len(made) == 5
    assert ma.run_release(path).refused == (0, 24)
    assert lines_in(gallery_in(path.parent / "release") / MANIFEST)[:5] == made


@pytest.mark.parametrize("arguments", [BATCH, SINGLE])
def test_what_is_no_image_is_no_generation(release, arguments):
    with pytest.raises(InputError, match="what it made is no image"):
        ma.run_release(release(command(f"{arguments} --noise")))


def test_too_much_that_is_refused_is_no_pass(release):
    """Nobody knows what it would have shown: it counts as missing, in the audit and for the gate."""
    path = release(command(f"{BATCH} --refuse copied"))
    done = ma.run_release(path)
    assert done.refused == (2, 24)
    assert (done.audit.coverage.measured, done.audit.coverage.total) == (22, 24)
    assert str(done.verdict) == str(ma.run_gate("release/audit/report.json", "policy.toml").verdict) == "inconclusive"
    assert "refused 2 of 24 images" in done.reasons[0]
    path.write_text(
        path.read_text()
        .replace("n = 24", "n = 24\nmax_refused = 0.1")
        .replace("[audit]", "[audit]\nmax_unreadable = 0.1")
    )
    Path("policy.toml").write_text(Path("policy.toml").read_text().replace("[audit]", "[audit]\nmin_coverage = 0.9"))
    assert str(ma.run_release(path).verdict) == "pass"
    path.write_text(path.read_text().replace("max_refused = 0.1", "max_refused = 0.05"))
    done = ma.run_release(path)
    assert (str(done.gate.verdict), str(done.verdict)) == ("pass", "inconclusive")
    assert f"max_refused: {done.reasons[0]}" in done.page.read_text(), "the page said pass"
    path = release(command(f"{BATCH} --refuse number"))
    with pytest.raises(
        InconclusiveError,
        match=r"made none of 24 images: the command ended well and left no image; .* remove .*generations-",
    ):
        ma.run_release(path)


def test_a_line_that_a_kill_cut_is_made_again(release):
    path = release(command(BATCH))
    ma.run_release(path)
    manifest = gallery_in(path.parent / "release") / MANIFEST
    manifest.write_bytes(manifest.read_bytes()[:-40])
    done = ma.run_release(path)
    assert {stage.name: stage.as_before for stage in done.stages}["generations"] is False
    assert len(lines_in(manifest)) == 24


def test_an_image_that_was_changed_is_noticed(release):
    path = release(command(BATCH))
    ma.run_release(path)
    image = next((gallery_in(path.parent / "release") / "images").iterdir())
    image.write_bytes(b"another")
    with pytest.raises(InputError, match="is gone, or was changed since it was made"):
        ma.run_release(path)


def test_images_that_are_there(release):
    path = release(command(BATCH))
    ma.run_release(path)
    folder = gallery_in(path.parent / "release") / "images"
    pairing = path.parent / "release" / PAIRING
    path = release(f'kind = "folder"\npath = "{folder}"\npairing = "{pairing}"', more='out = "second"')
    done = ma.run_release(path)
    assert done.audit.results.by_prompt.returned.n == 24
    assert [stage.name for stage in done.stages] == ["training set", "dedup", "held-out images", "audit", "gate"]
    assert ma.run_release(path).stages[-2].as_before
    path = release('kind = "folder"\npath = "nowhere"', more='out = "third"')
    with pytest.raises(InputError, match="there is no such folder"):
        ma.run_release(path)


def test_the_plan_says_what_would_be_done(release):
    path = release(command(BATCH))
    plan = dict(ma.plan_release(path))
    assert list(plan) == ["training set", "dedup", "prompts", "generations", "held-out images", "audit", "gate"]
    assert plan["generations"] == "up to 24 by command, 0 are there"
    assert not (path.parent / "release").exists()
    ma.run_release(path)
    assert dict(ma.plan_release(path))["generations"] == "up to 24 by command, 24 are there"
    gallery = gallery_in(path.parent / "release")
    (gallery / "incoming" / "half-done.png").write_bytes(b"of a run that goes on meanwhile")
    with (gallery / MANIFEST).open("a") as manifest:
        manifest.write('{"name": ')
    before = {each: each.stat().st_size for each in gallery.rglob("*")}
    ma.plan_release(path)
    assert {each: each.stat().st_size for each in gallery.rglob("*")} == before, "a plan changes nothing"
    Path("policy.toml").rename("policy.away")
    with pytest.raises(InputError, match="policy"):
        ma.run_release(path)
    assert [each.name for each in gallery.rglob("half-done.png")] == []
    assert not (path.parent / "release" / VERDICT).exists(), "an earlier verdict passed for that of a run that failed"
    assert not (path.parent / "release" / PAGE).exists()
    assert str(ma.bundle("release", "evidence.zip", policy="policy.away").verdict) == "inconclusive"
