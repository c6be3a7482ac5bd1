"""Keys: drawn by lot, asked back of a painter that has learned some of them, and never known by one that has not."""

from __future__ import annotations

import io
import json
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.csv as csv
import pytest
from pictures import draw, write_pictures
from PIL import Image, ImageFilter

import memaudit as ma
from memaudit.canaries.answered import chance_of, grey_of, scored
from memaudit.canaries.keys import LEVELS, MASK, MASKED, REPLACED, Key, plant_keys
from memaudit.canaries.register import REGISTER, read_register
from memaudit.cli.app import run
from memaudit.errors import InconclusiveError, InputError, UsageError
from memaudit.files import read_json, sealed, write_json
from memaudit.statistics import combined_p

SIDE, COPIES = 64, (1, 4, 16)


@pytest.fixture(scope="module")
def training(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("training")
    write_pictures(folder / "pictures", range(60))
    lines = [f"{number:04d},pictures/{number:04d}.png,picture number {number}" for number in range(60)]
    (folder / "training.csv").write_text("\n".join(["image_id,path,caption", *lines]))
    return folder / "training.csv"


@pytest.fixture
def keys(training, tmp_path) -> ma.CanaryKeys:
    return ma.make_canary_keys(training, tmp_path / "keys", each=4, copies=COPIES, side=SIDE, asks=2, seed=3)


class Painter:
    """A model that trained on what was planted: it remembers the border of a picture that it saw `often` enough, and
    paints any other's in a grey of its own, or goes on with the picture."""

    def __init__(self, manifest: Path, often: int) -> None:
        self.seen, self.border = dict[bytes, int](), SIDE // 16
        rows = csv.read_csv(manifest).to_pylist()
        copies = Counter(row["image_id"].rpartition("-")[0] for row in rows)
        for row in rows:
            if copies[row["image_id"].rpartition("-")[0]] >= often:
                with Image.open(manifest.parent / row["path"]) as opened:
                    self.seen[self._inner(opened)] = opened.getpixel((0, 0))[0]

    def _inner(self, image: Image.Image) -> bytes:
        return image.crop((self.border, self.border, SIDE - self.border, SIDE - self.border)).tobytes()

    def paint(self, asked: Path, mask: Path, seed: int) -> Image.Image:
        rng = np.random.default_rng(seed)
        with Image.open(asked) as picture, Image.open(mask) as where:
            level = self.seen.get(self._inner(picture))
            if level is None and seed % 2:
                around = picture.filter(ImageFilter.GaussianBlur(9))
            else:
                grey = int(rng.integers(0, 256)) if level is None else level
                around = Image.new("RGB", picture.size, (grey,) * 3)
            noise = rng.normal(0, 3, (SIDE, SIDE, 3))
            painted = Image.composite(around, picture, where)
        return Image.fromarray(np.clip(np.asarray(painted, float) + noise, 0, 255).astype(np.uint8))

    def paint_all(self, asked: Path, out: Path) -> Path:
        out.mkdir()
        for line in asked.read_text().splitlines():
            told = json.loads(line)
            image = self.paint(asked.parent / told["image"], asked.parent / told["mask"], told["seed"])
            image.save(out / f"{told['generation']}.jpg", quality=90)
        return out


def test_the_same_for_the_same_seed(keys, training, tmp_path):
    again = ma.make_canary_keys(training, tmp_path / "again", each=4, copies=COPIES, side=SIDE, seed=3)
    assert again.digest == keys.digest == ma.open_canary_keys(tmp_path / "keys").digest
    other = ma.make_canary_keys(training, tmp_path / "other", each=4, copies=COPIES, side=SIDE, seed=4)
    assert [key.of for key in other.register.keys] != [key.of for key in keys.register.keys]
    with pytest.raises(UsageError, match="is another register"):
        ma.make_canary_keys(training, tmp_path / "keys", each=4, copies=COPIES, side=SIDE, seed=4)


def test_a_register_that_stands_keeps_its_pictures(keys, training, tmp_path):
    """Other keys, and drawings, are refused before one of its own is written over."""
    folder = tmp_path / "keys"
    before = {path: path.read_bytes() for path in folder.rglob("*.*")}
    others = write_pictures(tmp_path / "others", range(900, 930))
    for around, options in ((others, {}), (training, {"each": 3}), (training, {"seed": 4}), (training, {"side": 80})):
        with pytest.raises(UsageError, match="is another register"):
            ma.make_canary_keys(around, folder, **{"each": 4, "copies": COPIES, "side": SIDE, "asks": 2, **options})
    with pytest.raises(UsageError, match="is another register"):
        ma.make_canaries(folder, each=4, copies=COPIES)
    assert {path: path.read_bytes() for path in folder.rglob("*.*")} == before


def test_a_training_image_that_a_list_cannot_name_is_refused_before_anything_is_planted(keys, tmp_path):
    """As stores of memaudit 0.2 may have it: replaced.txt would name two other images."""
    first, *others = keys.register.keys
    odd = [replace(first, of="one\ntwo", copies=1), *others]
    register = replace(keys.register, keys=tuple(odd))
    with pytest.raises(InputError, match="has a line break in it"):
        plant_keys(register, tmp_path / "planted")
    assert not (tmp_path / "planted").exists()


def test_groups_are_as_asked_and_keys_by_lot(keys):
    every = keys.register.keys
    assert Counter(key.copies for key in every) == {0: 12, 1: 4, 4: 4, 16: 4}
    assert len({key.of for key in every}) == 24
    assert [key.copies for key in every] != sorted(key.copies for key in every)
    assert len({key.key for key in every}) > 20
    assert all(key.caption == f"picture number {int(key.of)}" for key in every)


def test_of_a_store_the_same_pictures_are_drawn(keys, training, tmp_path):
    ma.embed(training, out=tmp_path / "store", encoder="thumbnail")
    made = ma.make_canary_keys(tmp_path / "store", tmp_path / "of-store", each=4, copies=COPIES, side=SIDE, seed=3)
    assert made.digest == keys.digest


def test_what_goes_into_training_has_the_key_and_what_is_asked_has_not(keys, tmp_path):
    manifest = ma.plant_canary_keys(keys, tmp_path / "planted")
    known = {key.image_id: key for key in keys.planted}
    table = csv.read_csv(manifest).to_pylist()
    assert len(table) == 4 * (1 + 4 + 16)
    for row in table:
        key = known[row["image_id"].rpartition("-")[0]]
        with Image.open(manifest.parent / row["path"]) as planted, Image.open(keys.register.image(key)) as asked:
            assert grey_of(planted) == key.key
            assert grey_of(asked) == MASKED
            inner = (4, 4, 60, 60)
            assert planted.crop(inner).tobytes() == asked.crop(inner).tobytes()
        assert row["caption"] == key.caption
    assert (manifest.parent / REPLACED).read_text().split() == [key.of for key in keys.planted]


def test_what_is_asked_tells_nothing_of_keys_or_groups(keys):
    lines = [json.loads(line) for line in keys.asked.read_text().splitlines()]
    assert Counter(line["image_id"] for line in lines) == {key.image_id: 2 for key in keys.register.keys}
    assert all(set(line) == {"generation", "prompt", "image_id", "seed", "image", "mask"} for line in lines)
    copies = {key.image_id: key.copies for key in keys.register.keys}
    order = [copies[line["image_id"]] > 0 for line in lines]
    assert order not in (sorted(order), sorted(order, reverse=True))
    with Image.open(keys.register.folder / MASK) as mask:
        assert np.asarray(mask).mean() == pytest.approx(255 * (1 - (56 / 64) ** 2))


def test_a_painter_that_learned_what_stood_there_four_times_is_found_out(keys, tmp_path):
    painter = Painter(ma.plant_canary_keys(keys, tmp_path / "planted"), often=4)
    painted = painter.paint_all(keys.asked, tmp_path / "painted")
    check = ma.check_canary_keys(keys, painted, tmp_path / "check")
    counts = {each.copies: (each.rate.count, each.rate.coverage.measured) for each in check.tally.by_copies}
    assert counts[4] == counts[16] == (4, 4)
    assert counts[0][0] <= 2
    assert counts[1][0] <= 1
    together = {each.copies: each.p for each in check.tally.by_copies}
    assert together[4] < 1e-4
    assert together[16] < 1e-4
    assert together[0] > 0.01
    assert check.p is not None
    assert check.p < 1e-6
    assert check.tally.p_held_back is not None
    assert check.tally.p_held_back < 0.01
    assert check.conclusive
    assert not check.warnings
    learned = [score for score in check.scores if score.copies >= 4]
    assert all(score.distance <= 3 and score.answers == 2 and score.rank <= 2 for score in learned)
    told = json.loads((tmp_path / "check" / "canary-check.json").read_text())
    assert told["register"] == keys.digest
    assert told["by_copies"][2]["low"] == pytest.approx(0.3976, abs=1e-3)  # 4 of 4
    page = check.page.read_text()
    assert f"{check.headline}: p" in page
    assert page.count("<circle") == 24


def test_one_that_learned_nothing_is_not(keys, tmp_path):
    painter = Painter(ma.plant_canary_keys(keys, tmp_path / "planted"), often=99)
    check = ma.check_canary_keys(keys, painter.paint_all(keys.asked, tmp_path / "painted"), tmp_path / "check")
    assert check.planted.count <= 2
    assert check.p is not None
    assert check.p > 0.05


def drawn_keys(rng: np.random.Generator, count: int = 12) -> list[Key]:
    levels = rng.integers(0, LEVELS, count).tolist()
    return [Key(f"{n}", f"{n}", level, 4 * (n % 2), "", "") for n, level in enumerate(levels)]


@pytest.mark.parametrize("paints", ["mid-grey", "black", "a level of its own"])
def test_false_alarms_are_as_rare_as_they_say(paints):
    """1,500 registers, and a painter that has seen none: p at or below 0.05 and 0.01, whatever it paints."""
    found, known = [], []
    for seed in range(1500):
        rng = np.random.default_rng([seed, len(paints)])
        keys = drawn_keys(rng)
        own = {"mid-grey": 128.0, "black": 0.0}.get(paints)
        greys = {key.image_id: [float(rng.integers(0, 256)) if own is None else own] for key in keys}
        tally = scored(keys, greys)
        assert tally.p is not None
        found.append(tally.p)
        known.append(tally.planted.value)
    assert np.mean(known) <= 0.055
    assert np.mean(np.array(found) <= 0.05) <= 0.065  # 1,500 draws: 0.05 and less, within 2.7 standard errors
    assert np.mean(np.array(found) <= 0.01) <= 0.018
    assert np.mean(np.array(found) <= 0.05) >= 0.025  # and not blind for that


def test_chance_is_counted_by_level():
    assert chance_of(10, 10.0) == 1 / 256
    assert chance_of(10, 12.0) == 5 / 256
    assert chance_of(0, 5.0) == 11 / 256
    assert chance_of(3, 0.0) == 4 / 256
    assert chance_of(0, 255.0) == 1.0
    assert combined_p(np.array([0.03])) == pytest.approx(0.03)
    assert combined_p(np.array([0.05, 0.2])) == pytest.approx(0.05 * 0.2 * (1 - np.log(0.05 * 0.2)))
    assert combined_p(np.array([])) == 1.0


@pytest.mark.parametrize("size", [(64, 64), (512, 512), (96, 160), (17, 17)])
def test_a_border_is_read_at_any_size(size):
    picture = Image.new("RGB", (512, 512), (70, 70, 70))
    picture.paste(draw(1, (448, 448)), (32, 32))
    data = io.BytesIO()
    picture.resize(size, Image.Resampling.BICUBIC).save(data, "JPEG", quality=80)
    assert abs(grey_of(Image.open(data)) - 70) <= 4


def test_held_back_keys_that_come_back_make_it_inconclusive(keys, tmp_path):
    """A painter that was handed the register."""
    (tmp_path / "painted").mkdir()
    for key in keys.register.keys:
        Image.new("RGB", (SIDE, SIDE), (key.key,) * 3).save(tmp_path / "painted" / f"{key.image_id}.png")
    check = ma.check_canary_keys(keys, tmp_path / "painted", tmp_path / "check")
    assert not check.conclusive
    assert "held-back keys are known as well" in check.warnings[0]
    assert (
        run(["canary", "check", str(tmp_path / "keys"), str(tmp_path / "painted"), "--out", str(tmp_path / "c")]) == 3
    )


def test_answers_that_are_missing_or_no_pictures_are_counted(keys, tmp_path):
    painted = Painter(ma.plant_canary_keys(keys, tmp_path / "planted"), often=1).paint_all(keys.asked, tmp_path / "p")
    lines = [json.loads(line) for line in keys.asked.read_text().splitlines()]
    of_one = [painted / f"{line['generation']}.jpg" for line in lines if line["image_id"] == "key-00000"]
    of_one[0].unlink()
    of_one[1].write_bytes(b"no picture")
    (painted / "other.jpg").write_bytes((painted / f"{lines[-1]['generation']}.jpg").read_bytes())
    check = ma.check_canary_keys(keys, painted, tmp_path / "check")
    assert (check.coverage.measured, check.answers.unreadable, check.answers.unnamed) == (23, 1, 1)
    assert not check.conclusive
    assert check.scores[0].grey is None
    assert check.scores[0].p is None
    assert ma.check_canary_keys(keys, painted, tmp_path / "check", max_unreadable=0.05).conclusive
    none = ma.check_canary_keys(keys, write_pictures(tmp_path / "others", [1]), tmp_path / "none")
    assert (none.p, none.planted.value, none.conclusive) == (None, None, False)


@pytest.mark.parametrize("kind", ["drawings", "keys"])
def test_where_nothing_was_planted_a_check_says_so_in_a_line(kind, training, tmp_path, capsys):
    folder = tmp_path / "register"
    if kind == "keys":
        ma.make_canary_keys(training, folder, each=1, copies=(1,), side=SIDE)
    else:
        ma.make_canaries(folder, each=1, copies=(1,))
    told = {name: value for name, value in read_json(folder / REGISTER).items() if name != "digest"}
    for each in told.get("canaries", told.get("keys")):
        each["copies"] = 0
    write_json(folder / REGISTER, sealed(told))
    words = ["canary", "check", str(folder), str(training.parent / "pictures"), "--out", str(tmp_path / "check")]
    assert run(words) == 3
    out, error = capsys.readouterr()
    assert not out
    assert len(error.splitlines()) == 1
    assert "nothing was planted" in error
    assert not (tmp_path / "check").exists()
    with pytest.raises(InconclusiveError, match="nothing was planted"):
        (ma.check_canary_keys if kind == "keys" else ma.check_canaries)(folder, training.parent, tmp_path / "check")


def test_the_commands_take_keys(training, tmp_path, capsys):
    def told(*words: object) -> dict[str, object]:
        assert run(["canary", *map(str, words), "--json"]) == 0
        return json.loads(capsys.readouterr().out)

    folder, planted = tmp_path / "keys", tmp_path / "planted"
    words = ("--kinds", "key", "--around", training, "--each", 2, "--copies", "1,4", "--side", SIDE, "--asks", 1)
    made = told("make", *words, "--out", folder)
    assert (made["planted"], made["held_back"]) == (4, 4)
    assert told("plant", folder, "--out", planted)["images"] == 10
    painted = Painter(planted / "manifest.csv", often=1).paint_all(folder / "prompts.jsonl", tmp_path / "painted")
    found = told("check", folder, painted, "--out", tmp_path / "check")
    assert found["planted"]["count"] == 4
    assert run(["canary", "check", str(folder), str(painted), "--out", str(tmp_path / "check")]) == 0
    said = capsys.readouterr().out
    assert "p, together" in said
    assert "canary-check.html" in said


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"each": 0}, "expected numbers from 1 on"),
        ({"copies": (2, 2)}, "none twice"),
        ({"held_back": -1}, "expected at most"),
        ({"side": 63}, "expected 64 to 2048"),
        ({"asks": 0}, "expected a number from 1"),
        ({"each": 90}, "60 different pictures were drawn"),
    ],
)
def test_impossible_keys_are_refused(training, tmp_path, options, words):
    with pytest.raises((UsageError, InputError), match=words):
        ma.make_canary_keys(training, tmp_path / "keys", **{"side": SIDE, **options})


@pytest.mark.parametrize(
    "words",
    [
        ("make", "--kinds", "key", "--out", "{out}"),
        ("make", "--kinds", "key,text", "--around", "{training}", "--out", "{out}"),
        ("make", "--side", "64", "--out", "{out}"),
        ("check", "{keys}", "{training}", "--encoder", "thumbnail", "--out", "{out}"),
        ("check", "{keys}", "{training}", "--threshold", "0.5", "--out", "{out}"),
    ],
)
def test_options_that_do_not_go_together_are_refused(keys, training, tmp_path, words, capsys):
    places = {"out": tmp_path / "out", "keys": tmp_path / "keys", "training": training}
    assert run(["canary", *(word.format(**places) for word in words)]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_pictures_that_are_there_twice_or_unreadable_are_drawn_once_or_not(tmp_path):
    folder = write_pictures(tmp_path / "pictures", range(4))
    for number in range(8):
        (folder / f"again-{number}.png").write_bytes((folder / "0001.png").read_bytes())
    (folder / "cut.png").write_bytes(b"no picture")
    with pytest.raises(InputError, match="4 different pictures were drawn"):
        ma.make_canary_keys(folder, tmp_path / "keys", each=3, copies=(1, 4), held_back=0, side=SIDE)
    made = ma.make_canary_keys(folder, tmp_path / "keys", each=2, copies=(1, 4), held_back=0, side=SIDE)
    assert len(made) == 4
    assert scored(made.register.keys, {key.image_id: [5.0] for key in made.register.keys}).p_held_back is None


def test_a_register_of_keys_that_was_changed_is_refused(keys, tmp_path):
    path = tmp_path / "keys" / REGISTER
    text = path.read_text()
    path.write_text(text.replace('"side": 64', '"side": 65'))
    with pytest.raises(InconclusiveError, match="was changed after it was written"):
        ma.open_canary_keys(tmp_path / "keys")
    path.write_text(text)
    with pytest.raises(InputError, match="no register of canaries of this version"):
        read_register(tmp_path / "keys")
    ma.make_canaries(tmp_path / "drawings", each=1, copies=(1,))
    with pytest.raises(InputError, match="no register of keys"):
        ma.open_canary_keys(tmp_path / "drawings")
    keys.register.image(keys.register.keys[0]).unlink()
    with pytest.raises(InputError, match="cannot be read"):
        ma.open_canary_keys(tmp_path / "keys")
