"""memaudit faces, and memaudit audit --faces."""

from __future__ import annotations

import json
import shutil
import stat
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from calls import Memaudit
from face_stores import BARACK, face_store, needs_photographs, sample_folder
from PIL import Image
from vectors import near, random_vectors

import memaudit as ma
from memaudit.encoders.sface import SFACE_FILE, find
from memaudit.report.document import read_report

THUMBNAIL = ("--encoder", "thumbnail")


def copy(folder: Path, *names: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        shutil.copy(sample_folder() / name, folder / name)
    return folder


@needs_photographs
def test_faces_are_embedded_summed_up_and_forgotten(memaudit: Memaudit, tmp_path: Path) -> None:
    """One object of JSON each; the man on six pictures is the most repeated identity; forgotten, he is gone."""
    folder, out = copy(tmp_path / "p", *BARACK, "t1.jpg", "mask_blue.jpg"), tmp_path / "faces"
    made = memaudit("faces", folder, "--out", out, "--summary", "--json").json
    assert made["biometric_templates"] is True
    assert (made["faces"]["faces"], made["faces"]["without_face"]) == (12, 1)
    largest = made["summary"]["repeated"][0]
    assert (largest["faces"], largest["images"]) == (6, 6)
    assert made["summary"]["repeated_persons"] == 1
    shown = memaudit("faces", "--out", out, "--summary")
    assert "1 of 7 identities are there more than once" in shown.out
    arguments = [part for name in BARACK for part in ("--forget", name)]
    done = memaudit("faces", "--out", out, *arguments, "--json").json
    assert len(done["removed"]) == 6
    assert "No identity repeats among 6 faces" in memaudit("faces", "--out", out, "--summary").out
    assert "biometric templates" in memaudit("info", out).out
    assert memaudit("verify", out).code == 0


@needs_photographs
def test_a_dedup_report_can_hide_faces(memaudit: Memaudit, tmp_path: Path) -> None:
    """Of a picture in a group, the face is a few squares."""
    folder = copy(tmp_path / "p", "obama.jpg")
    Image.open(folder / "obama.jpg").convert("RGB").save(folder / "copy.png")
    assert memaudit("embed", folder, "--out", tmp_path / "s", *THUMBNAIL).code == 0
    contrast = []
    for options in ((), ("--blur-faces",)):
        assert memaudit("dedup", tmp_path / "s", "--out", tmp_path / "d", *options).code == 0
        picture = Image.open(next((tmp_path / "d/thumbnails").iterdir())).convert("L")
        contrast.append(np.abs(np.diff(np.asarray(picture, dtype=float), axis=0)).mean())
    assert contrast[1] < 0.9 * contrast[0]


@needs_photographs
def test_no_face_anywhere_is_exit_0_and_said(memaudit: Memaudit, tmp_path: Path) -> None:
    """Clip-art has no faces: that is a result."""
    folder = copy(tmp_path / "p", "mask_blue.jpg", "mask_black.jpg")
    done = memaudit("faces", folder, "--out", tmp_path / "f", "--summary")
    assert done.code == 0
    assert "No face was found on 2 images" in done.out
    assert "No identity repeats among 0 faces" in done.out


@needs_photographs
def test_unreadable_images_are_exit_3(memaudit: Memaudit, tmp_path: Path) -> None:
    """Above --max-unreadable, the store being complete."""
    folder = copy(tmp_path / "p", "obama.jpg")
    (folder / "broken.jpg").write_bytes(b"nothing")
    memaudit("faces", folder, "--out", tmp_path / "f").failed(3, "1 of 2 images could not be read")
    assert memaudit("faces", folder, "--out", tmp_path / "f", "--max-unreadable", "0.5").code == 0


def test_wrong_usage_is_one_line(memaudit: Memaudit, tmp_path: Path) -> None:
    """What is missing, contradicts, or is no store of faces."""
    memaudit("faces", "--out", tmp_path / "f").failed(2, "no source given")
    memaudit("faces", "x", "--out", tmp_path / "f", "--forget", "y").failed(2, "--forget only removes")
    memaudit("faces", "--out", tmp_path / "f", "--forget", "y").failed(2, "is no embedding store")
    face_store(tmp_path / "s", random_vectors(1, 3, 16))
    memaudit("faces", "--out", tmp_path / "s", "--forget", "y").failed(2, "no image or face 'y'")
    audit = ("audit", "x", "--against", tmp_path / "s", "--out", tmp_path / "o")
    memaudit(*audit, "--save-crops", "--blur-faces").failed(2, "choose one")
    memaudit(*audit, "--face-false-matches", "0").failed(2, "--face-false-matches 0 is out of range")
    memaudit(*audit, "--threshold", "0.4").failed(
        2, "--threshold is for an audit of images", "calibrates its threshold"
    )


def test_options_of_images_are_refused_against_faces(tmp_path: Path) -> None:
    """Each by its name: they would do nothing. What asks for less is granted."""
    store = face_store(tmp_path / "s", random_vectors(1, 12, 16))
    made = face_store(tmp_path / "g", random_vectors(2, 3, 16), prefix="gen")
    given: dict[str, dict[str, Any]] = {
        "--pairing": {"pairing_metadata": True},
        "--match": {"match": "pixels"},
        "--match-from": {"match_from": 0.4},
        "--neighbours": {"neighbours": 3},
        "--kinds": {"kinds": "verbatim"},
        "--metrics": {"metrics": True, "control": made},
        "--views": {"views": "tiles"},
        "--planted": {"planted": 100},
        "--model": {"model": "m", "model_digest": "0" * 64},
        "--dedup": {"dedup": tmp_path, "control": made},
        "--encoder": {"encoding": ma.Encoding("thumbnail")},
        "--face-store": {"faces": ma.FaceChoices(store.folder)},
    }
    for option, options in given.items():
        with pytest.raises(ma.errors.UsageError, match=rf"^{option} is for an audit of images"):
            ma.run_audit(made, store, tmp_path / "out", **options)
    with pytest.raises(ma.errors.UsageError, match=r"^--neighbours, --metrics are for an audit of images"):
        ma.run_audit(made, store, tmp_path / "out", neighbours=3, metrics=True, control=made)
    people = ma.FaceChoices(false_matches=99)
    assert ma.run_audit(made, store, tmp_path / "out", planted=0, views="none", match="none", faces=people).page


def test_without_opencv_one_line_names_the_command(
    memaudit: Memaudit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """pip install with the extra."""
    Image.new("RGB", (9, 9)).save(tmp_path / "x.png")
    monkeypatch.setitem(sys.modules, "cv2", None)
    monkeypatch.setattr("memaudit.encoders.sface.face_weights", lambda file: tmp_path / "x.png")
    done = memaudit("faces", tmp_path / "x.png", "--out", tmp_path / "f")
    done.failed(2, "finding faces needs OpenCV", 'pip install ".[cpu]"')


@pytest.mark.slow
@needs_photographs
def test_an_audit_finds_people_beside_images(memaudit: Memaudit, tmp_path: Path) -> None:
    """A copy is one finding of both kinds; the same man on a new picture is a face; strangers are none."""
    training = copy(tmp_path / "training", "obama.jpg", "biden.jpg", "t1.jpg", "mask_blue.jpg")
    made = copy(tmp_path / "made", "obama2.jpg", "Tom_Hanks_54745.png", "mask_black.jpg")
    Image.open(training / "biden.jpg").convert("RGB").save(made / "copy.jpg", quality=50)
    assert memaudit("embed", training, "--out", tmp_path / "store", *THUMBNAIL).code == 0
    audit = ("audit", made, "--against", tmp_path / "store", "--out", tmp_path / "out", "--faces")
    inconclusive = memaudit(*audit)
    assert inconclusive.code == 3
    assert "--face-false-matches" in inconclusive.out
    done = memaudit(*audit, "--face-false-matches", "2", "--blur-faces")
    assert done.code == 0, done.err
    assert "2 of 3 generated people match" in done.out
    assert "In all 2 faces of 2 people match 2 training people, 1 on the same picture, 1 on a new one" in done.out
    assert f"to be deleted when done: {tmp_path / 'out/generation-faces'}" in done.out
    report = read_report(tmp_path / "out/report.json").content
    faces = report["results"]["faces"]
    assert (faces["same_picture"], faces["new_picture"], faces["images_without_face"]) == (1, 1, 1)
    image, face = report["findings"]
    assert (image["kind"], image["query_id"], image["reference_id"]) == ("verbatim", "copy.jpg", "biden.jpg")
    assert image["face_similarity"] > 0.9
    assert (face["kind"], face["query_id"], face["reference_id"]) == ("face", "obama2.jpg", "obama.jpg")
    assert face["same_picture"] is False
    page = (tmp_path / "out/report.html").read_text()
    assert "same person, new picture" in page
    assert memaudit("verify", tmp_path / "out/report.json").code == 0
    shown = np.asarray(Image.open(tmp_path / "out" / face["reference_picture"]).convert("L"), dtype=float)
    assert not (tmp_path / "out/face-crops").exists()
    assert memaudit(*audit, "--face-false-matches", "2", "--save-crops").code == 0
    crops = tmp_path / "out/face-crops"
    modes = {path: stat.S_IMODE(path.stat().st_mode) for path in [tmp_path / "out", *(tmp_path / "out").rglob("*")]}
    assert {path for path, mode in modes.items() if mode != (0o700 if path.is_dir() else 0o600)} == set()
    sharp = np.asarray(Image.open(tmp_path / "out" / face["reference_picture"]).convert("L"), dtype=float)
    assert np.abs(np.diff(shown, axis=0)).mean() < np.abs(np.diff(sharp, axis=0)).mean()
    assert len(list(crops.iterdir())) == 4  # of every matched face, on both sides
    assert memaudit(*audit, "--face-false-matches", "2", "--blur-faces").code == 0
    assert not crops.exists()
    previous = list((tmp_path / "out/previous-runs").iterdir())
    assert previous
    for run in previous:
        assert {path.name for path in run.iterdir()}.isdisjoint({"face-crops", "thumbnails"})
        assert (run / "report.json").is_file()


def test_two_stores_of_faces_are_audited_alone(memaudit: Memaudit, tmp_path: Path) -> None:
    """No images needed; controls as a store; rates by a column."""
    training, generated = random_vectors(1, 300, 128), random_vectors(2, 60, 128)
    generated[:5] = near(3, training[:5], 0.4)
    face_store(tmp_path / "t", training)
    face_store(tmp_path / "g", generated, prefix="gen", metadata=[{"sex": "fm"[i % 2]} for i in range(60)])
    face_store(tmp_path / "c", random_vectors(4, 150, 128), prefix="control")
    audit = ("audit", tmp_path / "g", "--against", tmp_path / "t", "--out", tmp_path / "out")
    done = memaudit(*audit, "--control-faces", tmp_path / "c", "--faces-by", "sex", "--json")
    assert done.code == 0, done.err
    report = done.json
    assert report["results"]["searched"]["count"] == 5
    assert report["results"]["faces"]["excess_p"] < 0.01
    assert {row["group"] for row in report["results"]["faces"]["by"]} == {"f", "m", ""}
    assert json.loads((tmp_path / "out/report.json").read_text())["digest"] == report["digest"]
    assert memaudit("gate", tmp_path / "out/report.json").code in (1, 3)
    memaudit(*audit, "--faces-by", "sexx").failed(2, "--faces-by sexx: no face has metadata of that name")
    memaudit(*audit, "--identity", "who").failed(2, "--identity who: no face has metadata of that name")


@needs_photographs
def test_a_copy_that_pixels_confirm_is_the_same_picture(memaudit: Memaudit, tmp_path: Path) -> None:
    """Although the whole images are not alike: a part of a training picture is no new picture of the man on it."""
    training = copy(tmp_path / "training", "obama.jpg", "biden.jpg", "t1.jpg")
    (tmp_path / "made").mkdir()
    image = Image.open(training / "obama.jpg").convert("RGB")
    width, height = image.size
    image.crop((width // 8, 0, width, height * 7 // 8)).save(tmp_path / "made/part.png")
    memaudit("embed", training, "--out", tmp_path / "store", *THUMBNAIL)
    audit = ("audit", tmp_path / "made", "--against", tmp_path / "store", "--out", tmp_path / "out", "--faces")
    done = memaudit(*audit, "--face-false-matches", "5", "--match-from", "0.1", "--json")
    assert done.code == 0, done.err
    (finding,) = done.json["findings"]
    faces = done.json["results"]["faces"]
    assert (finding["kind"], finding["reference_id"]) == ("partial", "obama.jpg")
    assert finding["similarity"] < done.json["threshold"]
    assert (faces["same_picture"], faces["new_picture"]) == (1, 0)
    assert finding["face_similarity"] > 0.8


@pytest.mark.slow
@needs_photographs
def test_faces_of_other_images_than_the_audits_are_inconclusive(memaudit: Memaudit, tmp_path: Path) -> None:
    """A gallery of one person; a training image lost since it was embedded; a generation lost before its face is."""
    training = copy(tmp_path / "training", "obama.jpg", "biden.jpg", "t1.jpg")
    made = copy(tmp_path / "made", "Tom_Hanks_54745.png", "mask_black.jpg")
    memaudit("embed", training, "--out", tmp_path / "store", *THUMBNAIL)
    memaudit("embed", made, "--out", tmp_path / "gens", *THUMBNAIL)
    memaudit("faces", training / "t1.jpg", "--out", tmp_path / "one")
    audit = ("audit", tmp_path / "gens", "--against", tmp_path / "store", "--out", tmp_path / "out", "--faces")
    few = ("--face-false-matches", "5")
    done = memaudit(*audit, *few, "--face-store", tmp_path / "one", "--json")
    assert done.code == 3
    assert done.json["results"]["faces"]["gallery_coverage"]["measured"] == 1
    assert "only 1 of 3 images of the training set" in done.json["results"]["headline"]
    memaudit(*audit, "--face-store", tmp_path / "store").failed(2, "holds images, not faces: name what memaudit faces")
    assert memaudit(*audit, *few).code == 0
    (training / "biden.jpg").unlink()
    done = memaudit(*audit, *few, "--json")
    assert (done.code, done.json["results"]["faces"]["standing"]["training set"]["missing"]) == (3, 1)
    copy(training, "biden.jpg")
    (made / "mask_black.jpg").unlink()
    done = memaudit(*audit, *few, "--json")
    assert (done.code, done.json["results"]["faces"]["coverage"]["total"]) == (3, 2)


@needs_photographs
def test_an_encoder_of_ones_own_is_named_again(memaudit: Memaudit, tmp_path: Path) -> None:
    """A store made with face-onnx is compared with faces of the same file and options only."""
    training, made = copy(tmp_path / "t", "obama.jpg", "biden.jpg"), copy(tmp_path / "g", "obama2.jpg")
    name = f"face-onnx:{find(SFACE_FILE)}?scale=0..255"
    own = ("--allow-unverified-weights", "--max-unreadable", "1")
    memaudit("faces", training, "--out", tmp_path / "f", "--encoder", name).failed(2, "--allow-unverified-weights")
    assert memaudit("faces", training, "--out", tmp_path / "f", "--encoder", name, *own).code == 0
    audit = ("audit", made, "--against", tmp_path / "f", "--out", tmp_path / "out", "--face-false-matches", "9")
    memaudit(*audit).failed(2, "--face-encoder face-onnx:PATH")
    memaudit(*audit, "--face-encoder", "sface").failed(3, "similarities between the two mean nothing")
    done = memaudit(*audit, "--face-encoder", name, "--allow-unverified-weights")
    assert done.code == 0, done.err
    assert "1 of 1 generated person matches" in done.out


def test_options_of_faces_need_faces(memaudit: Memaudit, tmp_path: Path) -> None:
    """What would be passed over in silence is refused."""
    from vectors import vector_store

    vector_store(tmp_path / "s", random_vectors(1, 3))
    audit = ("audit", tmp_path / "s", "--against", tmp_path / "s", "--out", tmp_path / "o")
    memaudit(*audit, "--save-crops").failed(2, "need --faces")
