"""Canaries: the same for the same seed, unlike each other, planted by lot, and found by how often they were planted."""

import json
from collections import Counter
from functools import partial

import numpy as np
import pyarrow.csv as csv
import pytest
from pictures import altered, draw, write_pictures
from PIL import Image

import memaudit as ma
from memaudit.canaries.register import REGISTER, read_register
from memaudit.canaries.returned import tallied
from memaudit.errors import InconclusiveError, InputError, UsageError

COPIES = (1, 4, 16)


@pytest.fixture
def canaries(tmp_path):
    return ma.make_canaries(tmp_path / "canaries", each=3, copies=COPIES, seed=5)


def test_the_same_for_the_same_seed(canaries, tmp_path):
    again = ma.make_canaries(tmp_path / "again", each=3, copies=COPIES, seed=5)
    assert again.digest == canaries.digest
    assert ma.make_canaries(tmp_path / "canaries", each=3, copies=COPIES, seed=5).digest == canaries.digest
    assert ma.make_canaries(tmp_path / "other", each=3, copies=COPIES, seed=6).digest != canaries.digest
    with pytest.raises(UsageError, match="is another register"):
        ma.make_canaries(tmp_path / "canaries", each=3, copies=COPIES, seed=6)


@pytest.mark.parametrize("options", [{"seed": 6}, {"each": 4}, {"copies": (1, 4)}, {"kinds": ("text", "photo")}])
def test_a_register_that_stands_keeps_its_pictures(canaries, tmp_path, options):
    """Other canaries are refused before one of its own is written over: a model may have been trained on them."""
    folder = tmp_path / "canaries"
    before = {path: path.read_bytes() for path in folder.rglob("*.*")}
    with pytest.raises(UsageError, match="is another register"):
        ma.make_canaries(folder, **{"each": 3, "copies": COPIES, **options})
    assert {path: path.read_bytes() for path in folder.rglob("*.*")} == before


@pytest.mark.parametrize("make", [ma.make_canaries, partial(ma.make_canary_keys, "training", side=64)])
def test_canaries_have_a_folder_for_themselves(make, tmp_path, monkeypatch):
    """In that of the training set all of them would be trained on, those that are held back as well."""
    training = write_pictures(tmp_path / "training", range(12))
    before = sorted(training.rglob("*"))
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError, match=r"training holds 0000\.png, which is of no canaries: name a folder for them"):
        make(out="training", each=1, copies=(1,))
    assert sorted(path for path in training.rglob("*") if path.name != ".lock") == before
    made = ma.make_canaries(tmp_path / "alone", each=1, copies=(1,), seed=5)
    (tmp_path / "alone" / "canaries.json").unlink()
    assert ma.make_canaries(tmp_path / "alone", each=1, copies=(1,), seed=5).digest == made.digest


def test_the_manifest_of_a_training_set_is_not_written_over(canaries, tmp_path):
    """The same copies are written again."""
    training = write_pictures(tmp_path / "training", range(3))
    (training / "manifest.csv").write_text("path\n0000.png\n")
    before = {path: path.read_bytes() for path in training.rglob("*.*")}
    with pytest.raises(UsageError, match=r"manifest\.csv is another manifest: plant into a folder of its own"):
        ma.plant_canaries(canaries, training)
    assert {path: path.read_bytes() for path in training.rglob("*.*") if path.name != ".lock"} == before
    written = [ma.plant_canaries(canaries, tmp_path / "planted").read_bytes() for _ in range(2)]
    assert written[0] == written[1]


def test_a_picture_that_was_lost_is_made_again(canaries, tmp_path):
    lost = canaries.register.image(canaries.register.canaries[2])
    data = lost.read_bytes()
    lost.unlink()
    ma.make_canaries(tmp_path / "canaries", each=3, copies=COPIES)
    assert lost.read_bytes() == data


def test_groups_are_as_asked_and_by_lot(canaries):
    every = canaries.register.canaries
    assert Counter(canary.copies for canary in every) == {0: 9, 1: 3, 4: 3, 16: 3}
    assert Counter(canary.kind for canary in every) == {"vector": 6, "photo": 6, "text": 6}
    assert [canary.copies for canary in every] != sorted(canary.copies for canary in every)
    assert len({canary.caption for canary in every}) == len(every)
    assert len({canary.sha256 for canary in every}) == len(every)


def test_none_resembles_another(tmp_path):
    made = ma.make_canaries(tmp_path / "canaries", each=20, copies=(1,))
    images = [Image.open(made.register.image(each)).convert("L").resize((24, 24)) for each in made.register.canaries]
    pixels = np.stack([np.asarray(image, float).ravel() for image in images])
    pixels -= pixels.mean(axis=1, keepdims=True)
    pixels /= np.linalg.norm(pixels, axis=1, keepdims=True)
    alike = pixels @ pixels.T - np.eye(len(pixels))
    assert alike.max() < 0.9


def test_what_goes_into_training(canaries, tmp_path):
    manifest = ma.plant_canaries(canaries, tmp_path / "planted")
    table = csv.read_csv(manifest).to_pylist()
    assert len(table) == 3 * (1 + 4 + 16)
    known = {canary.image_id: canary for canary in canaries.planted}
    for row in table:
        canary = known[row["image_id"].rpartition("-")[0]]
        assert row["caption"] == canary.caption
        assert (manifest.parent / row["path"]).read_bytes() == canaries.register.image(canary).read_bytes()
    assert len(ma.embed(manifest, out=tmp_path / "store", encoder="thumbnail")) == 63


def test_prompts_do_not_tell_who_was_planted(canaries):
    lines = [json.loads(line) for line in canaries.prompts.read_text().splitlines()]
    assert {line["image_id"] for line in lines} == {canary.image_id for canary in canaries.register.canaries}
    copies = {canary.image_id: canary.copies for canary in canaries.register.canaries}
    order = [copies[line["image_id"]] > 0 for line in lines]
    assert order not in (sorted(order), sorted(order, reverse=True))
    assert all(set(line) == {"generation", "prompt", "image_id", "seed"} for line in lines)


def give_back(canaries, folder, wanted):
    """Generations of every prompt: those of `wanted` are the canary, through a JPEG, the others something else."""
    folder.mkdir()
    for number, line in enumerate(canaries.prompts.read_text().splitlines()):
        told = json.loads(line)
        canary = next(each for each in canaries.register.canaries if each.image_id == told["image_id"])
        image = Image.open(canaries.register.image(canary)) if canary.image_id in wanted else draw(9000 + number)
        altered(image).save(folder / f"{told['generation']}.png")
    return folder


def test_what_comes_back_is_told_by_copies(canaries, tmp_path):
    often = {canary.image_id for canary in canaries.planted if canary.copies == 16}
    some = {next(canary.image_id for canary in canaries.planted if canary.copies == 4)}
    generations = give_back(canaries, tmp_path / "generations", often | some)
    check = ma.check_canaries(
        tmp_path / "canaries", generations, tmp_path / "check", pairing=canaries.prompts, encoder="thumbnail"
    )
    counts = {each.copies: (each.rate.count, each.rate.coverage.measured) for each in check.tally.by_copies}
    assert counts == {0: (0, 9), 1: (0, 3), 4: (1, 3), 16: (3, 3)}
    assert set(check.tally.names) == often | some
    assert check.p == pytest.approx(0.0412, abs=1e-3)  # 4 of 9 against 0 of 9
    assert check.audit.paired.count == 4
    told = json.loads((tmp_path / "check" / "canary-check.json").read_text())
    assert told["register"] == canaries.digest
    assert told["by_copies"][3]["copies"] == 16
    assert told["by_copies"][3]["low"] == pytest.approx(0.2924, abs=1e-3)


def test_what_nobody_was_asked_for_is_not_clean(tmp_path):
    """Neither pictures that answer no prompt of the register nor a generator that refuses most of them say that
    nothing came back."""
    made = ma.make_canaries(tmp_path / "canaries", each=1, copies=(1, 4))
    generations = give_back(made, tmp_path / "generations", set())
    for path in sorted(generations.iterdir())[1:]:
        path.unlink()
    check = ma.check_canaries(made, generations, tmp_path / "check", encoder="thumbnail")
    assert (check.coverage.measured, check.coverage.total, check.conclusive) == (1, 4, False)
    assert sum(each.rate.coverage.measured for each in check.tally.by_copies) == 1
    assert "1 of 4 canaries have a generation that can be read" in check.warnings
    assert json.loads((tmp_path / "check" / "canary-check.json").read_text())["conclusive"] is False


def test_a_seed_that_nobody_knows_unless_it_is_given(tmp_path):
    one, other = (ma.make_canaries(tmp_path / name, each=1, copies=(1,)) for name in ("one", "other"))
    assert one.digest != other.digest
    assert ma.make_canaries(tmp_path / "one", each=1, copies=(1,)).digest == one.digest


def test_none_held_back_no_p(tmp_path):
    made = ma.make_canaries(tmp_path / "canaries", each=2, copies=(1,), held_back=0)
    assert tallied(made.register.canaries, [], [each.image_id for each in made.planted]).p is None


def test_a_register_that_was_changed_is_refused(canaries, tmp_path):
    path = tmp_path / "canaries" / REGISTER
    text = path.read_text()
    path.write_text(text.replace('"copies": 16', '"copies": 0', 1).replace('"copies":16', '"copies":0', 1))
    with pytest.raises(InconclusiveError, match="was changed after it was written"):
        read_register(tmp_path / "canaries")
    path.write_text(text)
    image = canaries.register.image(canaries.register.canaries[0])
    data = image.read_bytes()
    image.write_bytes(data[:-20])
    with pytest.raises(InputError, match="is not the picture that the register names"):
        read_register(tmp_path / "canaries")
    image.unlink()
    with pytest.raises(InputError, match="cannot be read"):
        read_register(tmp_path / "canaries")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"each": 0}, "expected numbers from 1 on"),
        ({"copies": ()}, "expected numbers from 1 on"),
        ({"copies": (0,)}, "expected numbers from 1 on"),
        ({"copies": (2, 2)}, "none twice"),
        ({"held_back": -1}, "expected at most"),
        ({"each": 50_000}, "expected at most 100,000"),
        ({"kinds": ("face",)}, "unknown kind of canary 'face'"),
        ({"kinds": ()}, "no kind of canary"),
    ],
)
def test_impossible_numbers_are_refused(tmp_path, options, words):
    with pytest.raises(UsageError, match=words):
        ma.make_canaries(tmp_path / "canaries", **options)
    assert not (tmp_path / "canaries" / REGISTER).exists()
