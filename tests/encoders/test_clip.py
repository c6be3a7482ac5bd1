"""open_clip's architectures with weights from a file; the architecture here is tiny and its weights random."""

import hashlib
import json
import os
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from memaudit.encoders import Encoder, fetch_weights, load_encoder
from memaudit.encoders.encoder import REDUCED_JPEG
from memaudit.errors import InputError, MissingDependencyError, UsageError

open_clip = pytest.importorskip("open_clip", reason="needs open_clip: ./scripts/test --all")
torch = pytest.importorskip("torch", reason="needs PyTorch: ./scripts/test --all")
pytestmark = pytest.mark.torch

ARCH = "memaudit-tiny"
CONFIG = {
    "embed_dim": 16,
    "vision_cfg": {
        "image_size": 32,
        "layers": 1,
        "width": 32,
        "head_width": 16,
        "patch_size": 16,
        "patch_dropout": 0.5,  # off in evaluation: shows a model left in training mode
    },
    "text_cfg": {"context_length": 8, "vocab_size": 49_408, "width": 16, "heads": 2, "layers": 1},
}
OPENAI = "mean 0.481455 0.457827 0.408211, std 0.26863 0.261303 0.275777"


@pytest.fixture(scope="module")
def state(tmp_path_factory: pytest.TempPathFactory) -> dict:
    """Register the architecture; give random weights for it."""
    path = tmp_path_factory.mktemp("arch") / f"{ARCH}.json"
    path.write_text(json.dumps(CONFIG))
    open_clip.add_model_config(path)
    torch.manual_seed(0)
    return open_clip.create_model(ARCH).state_dict()


@pytest.fixture(scope="module")
def file(state: dict, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("clip") / "tiny.pt"
    torch.save(state, path)
    return path


@pytest.fixture
def tag(file: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """A pretrained tag in open_clip's own table, whose preprocessing and activation are not the defaults."""
    config = {
        "file": str(file),
        "mean": (0.5, 0.5, 0.5),
        "std": (0.5, 0.5, 0.5),
        "interpolation": "bilinear",
        "resize_mode": "squash",
        "quick_gelu": True,
    }
    monkeypatch.setitem(open_clip.pretrained._PRETRAINED, ARCH, {"tiny_tag": config})
    return "tiny_tag"


def embed(encoder: Encoder, images: list[Image.Image]) -> np.ndarray:
    return encoder.encode(np.stack([encoder.preprocess(image) for image in images]))


def by_open_clip(images: list[Image.Image], pretrained: str, **options: bool) -> np.ndarray:
    model, transform = open_clip.create_model_from_pretrained(ARCH, pretrained, **options)
    with torch.inference_mode():
        rows = model.eval().encode_image(torch.stack([transform(one) for one in images]), normalize=True)
    return rows.numpy()


def load(path: Path, **options: bool) -> Encoder:
    return load_encoder(f"open_clip:{ARCH}/{path}", device="cpu", allow_unverified_weights=True, **options)


def test_rows_equal_open_clips_own(file: Path, pictures: list[Image.Image]) -> None:
    """A local file gives what open_clip's model and transform give, as float32 rows of length 1."""
    rows = embed(load(file), pictures)
    np.testing.assert_allclose(rows, by_open_clip(pictures, str(file)), atol=1e-5)
    assert (rows.shape, rows.dtype) == ((len(pictures), 16), np.float32)
    np.testing.assert_allclose(np.linalg.norm(rows, axis=1), 1, atol=1e-6)


def test_a_row_depends_on_its_own_image(file: Path, pictures: list[Image.Image]) -> None:
    """Alone or in a batch an image gives the same row, up to float rounding."""
    encoder = load(file)
    alone = np.concatenate([embed(encoder, [picture]) for picture in pictures])
    np.testing.assert_allclose(embed(encoder, pictures), alone, atol=1e-6)


def test_safetensors_give_the_same_rows(state: dict, file: Path, tmp_path: Path, pictures: list[Image.Image]) -> None:
    """The same weights in a safetensors file give the same embeddings, under another hash."""
    from safetensors.torch import save_file

    path = tmp_path / "tiny.safetensors"
    save_file({name: tensor.contiguous() for name, tensor in state.items()}, path)
    safe = load(path)
    np.testing.assert_array_equal(embed(safe, pictures), embed(load(file), pictures))
    assert not safe.spec.same_as(load(file).spec)


def test_a_file_is_recorded_by_hash_and_not_by_path(file: Path) -> None:
    """The spec of a local file holds architecture, hash, open_clip's preprocessing, dimension and threshold."""
    spec = load(file).spec
    assert (spec.name, spec.dim, spec.threshold) == (f"open_clip:{ARCH}", 16, 0.94)
    assert spec.weights_sha256 == hashlib.sha256(file.read_bytes()).hexdigest()
    assert spec.preprocessing == f"open_clip 32x32 shortest bicubic, {OPENAI}; {REDUCED_JPEG}"


def test_a_relative_path_is_a_file_too(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`open_clip:ARCH/folder/file` is read from the current folder."""
    monkeypatch.chdir(file.parent.parent)
    name = f"open_clip:{ARCH}/{file.parent.name}/{file.name}"
    spec = load_encoder(name, device="cpu", allow_unverified_weights=True).spec
    assert spec.same_as(load(file).spec)


def test_a_tag_brings_its_own_preprocessing_and_activation(file: Path, tag: str, pictures: list[Image.Image]) -> None:
    """A tag of open_clip's table needs no permission, and is used as it was trained: transform and QuickGELU."""
    encoder = load_encoder(f"open_clip:{ARCH}/{tag}", device="cpu")
    assert encoder.spec.name == f"open_clip:{ARCH}/{tag}"
    assert encoder.spec.weights_sha256 == hashlib.sha256(file.read_bytes()).hexdigest()
    assert (
        encoder.spec.preprocessing
        == "open_clip 32x32 squash bilinear, mean 0.5 0.5 0.5, std 0.5 0.5 0.5; " + REDUCED_JPEG
    )
    rows = embed(encoder, pictures)
    np.testing.assert_allclose(rows, by_open_clip(pictures, tag, force_quick_gelu=True), atol=1e-5)
    assert np.abs(rows - embed(load(file), pictures)).max() > 1e-3
    assert fetch_weights(f"open_clip:{ARCH}/{tag}") == file


def test_a_local_file_needs_permission(file: Path) -> None:
    """A file that is not from open_clip's table is refused by default, with its hash in the message."""
    with pytest.raises(InputError) as caught:
        load_encoder(f"open_clip:{ARCH}/{file}")
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    assert str(caught.value) == (
        f"weights file {file} (sha256 {digest}) is not from open_clip's table: check its origin, then pass "
        "--allow-unverified-weights"
    )


class Bomb:
    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self):
        return os.mkdir, (str(self.marker),)


def test_a_pickle_is_never_executed(state: dict, tmp_path: Path) -> None:
    """Code in a checkpoint does not run, even when unverified weights are allowed; the refusal is one line."""
    path, marker = tmp_path / "bomb.pt", tmp_path / "executed"
    torch.save({"state_dict": Bomb(marker)}, path)
    with pytest.raises(InputError, match=f"^{re.escape(str(path))} does not load as open_clip {ARCH}: [^\n]+$"):
        load(path)
    assert not marker.exists()


def test_weights_of_another_architecture_are_refused(state: dict, tmp_path: Path) -> None:
    """A checkpoint that lacks a tensor is refused: no encoder runs on weights that were not loaded."""
    path = tmp_path / "other.pt"
    torch.save({name: tensor for name, tensor in state.items() if name != "visual.proj"}, path)
    with pytest.raises(InputError, match=f"^{re.escape(str(path))} does not load as open_clip {ARCH}: Error"):
        load(path)


def test_an_unknown_architecture_is_answered_with_the_nearest() -> None:
    """A misspelt architecture gets the names that come closest."""
    with pytest.raises(UsageError, match=r"^open_clip has no architecture 'ViT-B32': the nearest are ViT-B-32,"):
        load_encoder("open_clip:ViT-B32/openai")


def test_what_is_neither_tag_nor_file_is_answered_with_the_tags(state: dict, tag: str) -> None:
    """A tag that does not exist, or a path that leads nowhere, gets the tags that there are."""
    with pytest.raises(UsageError) as caught:
        load_encoder(f"open_clip:{ARCH}/tiny_tga")
    assert str(caught.value) == f"'tiny_tga' is neither a file nor a pretrained tag of {ARCH}; its tags: tiny_tag"


def test_a_failed_download_says_what_to_do(state: dict, monkeypatch: pytest.MonkeyPatch) -> None:
    """When a tag's weights cannot be had, one line passes the reason on and names the way with a local file."""
    config = {"url": "http://127.0.0.1:9/closed.pt"}
    monkeypatch.setitem(open_clip.pretrained._PRETRAINED, ARCH, {"far": config})
    with pytest.raises(MissingDependencyError) as caught:
        load_encoder(f"open_clip:{ARCH}/far")
    message = str(caught.value)
    assert message.startswith(f"the weights of open_clip:{ARCH}/far could not be downloaded (<urlopen error")
    assert message.endswith(f"or use --encoder open_clip:{ARCH}/PATH --allow-unverified-weights")


def test_cuda_without_a_device_is_wrong_usage(file: Path) -> None:
    """Asking for cuda where torch sees none is refused; it never falls back to the CPU in silence."""
    if torch.cuda.is_available():
        pytest.skip("this machine has a CUDA device: ./scripts/test --all on one without")
    with pytest.raises(UsageError, match=r"sees no CUDA device; use --device cpu$"):
        load_encoder(f"open_clip:{ARCH}/{file}", device="cuda", allow_unverified_weights=True)


def test_a_text_lies_in_the_space_of_the_pictures(file: Path, tag: str) -> None:
    """Its embedding is the one that open_clip's own text tower gives, of length 1; by other weights it is refused."""
    from memaudit.encoders.clip import embed_text

    spec = load_encoder(f"open_clip:{ARCH}/{tag}").spec
    found = embed_text(spec, "a clock")
    model = open_clip.create_model_from_pretrained(ARCH, tag, force_quick_gelu=True)[0].eval()
    with torch.inference_mode():
        expected = model.encode_text(open_clip.get_tokenizer(ARCH)(["a clock"]), normalize=True)[0].numpy()
    assert np.allclose(found, expected, atol=1e-5)
    by_file = load(file).spec
    with pytest.raises(UsageError, match="--text-weights"):
        embed_text(by_file, "a clock")
    assert embed_text(by_file, "a clock", str(file)).shape == (16,)
    with pytest.raises(InputError, match="compared by one model"):
        embed_text(replace(by_file, weights_sha256="0" * 64), "a clock", str(file))
    with pytest.raises(UsageError, match="knows no text"):
        embed_text(replace(by_file, name="sscd"), "a clock")
