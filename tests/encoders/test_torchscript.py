"""SSCD from Meta's TorchScript file; here a tiny module in its place."""

import hashlib
import os
import pickle
import re
import warnings
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from memaudit.encoders import load_encoder
from memaudit.encoders.encoder import REDUCED_JPEG
from memaudit.errors import InputError, UsageError

torch = pytest.importorskip("torch", reason="needs PyTorch: ./scripts/test --all")
pytestmark = pytest.mark.torch

MEAN, STD = np.array([0.485, 0.456, 0.406]), np.array([0.229, 0.224, 0.225])


class Pooled(torch.nn.Module):  # type: ignore[misc]
    """(n, 3, H, W) to (n, 12): the mean colour of each quarter."""

    def forward(self, x):
        return torch.nn.functional.adaptive_avg_pool2d(x, 2).flatten(1)


class Whole(torch.nn.Module):  # type: ignore[misc]
    """(n, 3, H, W) to (n, 3, 1, 1): no embedding."""

    def forward(self, x):
        return torch.nn.functional.adaptive_avg_pool2d(x, 1)


def save(module, path: Path) -> Path:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch deprecates what writes these files
        torch.jit.trace(module, torch.zeros(1, 3, 8, 8)).save(str(path))
    return path


@pytest.fixture(scope="module")
def scripted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save(Pooled(), tmp_path_factory.mktemp("torchscript") / "tiny.pt")


def test_rows_equal_the_module_applied_by_hand(scripted: Path, pictures: list[Image.Image]) -> None:
    """288x288 bilinear, /255, ImageNet mean and std, the module, length 1: computed here with numpy alone."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        encoder = load_encoder(f"sscd-torchscript:{scripted}", device="cpu", allow_unverified_weights=True)
        rows = encoder.encode(np.stack([encoder.preprocess(picture) for picture in pictures]))
    pixels = np.stack([np.asarray(one.resize((288, 288), Image.Resampling.BILINEAR)) for one in pictures])
    quarters = ((pixels / 255 - MEAN) / STD).reshape(-1, 2, 144, 2, 144, 3).mean(axis=(2, 4))
    expected = quarters.transpose(0, 3, 1, 2).reshape(len(pictures), 12)
    np.testing.assert_allclose(rows, expected / np.linalg.norm(expected, axis=1, keepdims=True), atol=1e-3)
    assert rows.dtype == np.float32


def test_a_row_depends_on_its_own_image(scripted: Path, pictures: list[Image.Image]) -> None:
    """Alone or in a batch an image gives the same row, up to float rounding."""
    encoder = load_encoder(f"sscd-torchscript:{scripted}", device="cpu", allow_unverified_weights=True)
    items = np.stack([encoder.preprocess(picture) for picture in pictures])
    alone = np.concatenate([encoder.encode(items[i : i + 1]) for i in range(len(items))])
    np.testing.assert_allclose(encoder.encode(items), alone, atol=1e-6)


def test_the_identity_is_the_hash_and_not_the_path(scripted: Path) -> None:
    """The recorded name is `sscd-torchscript` wherever the file lies; the dimension is what the module gives."""
    spec = load_encoder(f"sscd-torchscript:{scripted}", allow_unverified_weights=True).spec
    assert (spec.name, spec.dim, spec.threshold) == ("sscd-torchscript", 12, 0.75)
    assert spec.weights_sha256 == hashlib.sha256(scripted.read_bytes()).hexdigest()
    assert spec.preprocessing == "RGB 288x288 Pillow bilinear, /255, ImageNet mean and std; " + REDUCED_JPEG


def test_an_unknown_file_loads_only_when_the_user_says_so(scripted: Path) -> None:
    """A hash that is in no table is refused by default, with the hash and the option in the message."""
    digest = hashlib.sha256(scripted.read_bytes()).hexdigest()
    with pytest.raises(InputError) as caught:
        load_encoder(f"sscd-torchscript:{scripted}")
    assert str(caught.value) == (
        f"weights file {scripted} has sha256 {digest}, which memaudit does not know: check its origin, then pass "
        "--allow-unverified-weights"
    )


def test_an_absent_file_is_named(tmp_path: Path) -> None:
    """A path that leads nowhere is reported before torch is asked."""
    with pytest.raises(InputError) as caught:
        load_encoder(f"sscd-torchscript:{tmp_path / 'none.pt'}", allow_unverified_weights=True)
    assert str(caught.value) == f"weights file {tmp_path / 'none.pt'} cannot be read: No such file or directory"


class Bomb:
    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self):
        return os.mkdir, (str(self.marker),)


@pytest.mark.parametrize("write", [torch.save, lambda bomb, path: path.write_bytes(pickle.dumps(bomb))])
def test_a_pickle_is_never_executed(write, tmp_path: Path) -> None:
    """A file with code in a pickle is refused in one line and the code does not run, even when allowed."""
    path, marker = tmp_path / "bomb.pt", tmp_path / "executed"
    write(Bomb(marker), path)
    with pytest.raises(InputError, match=f"^{re.escape(str(path))} is no TorchScript image encoder: [^\n]+$"):
        load_encoder(f"sscd-torchscript:{path}", device="cpu", allow_unverified_weights=True)
    assert not marker.exists()


def test_a_module_that_makes_no_embeddings_is_refused(tmp_path: Path) -> None:
    """The output for one image must be one row; a feature map is refused at load."""
    path = save(Whole(), tmp_path / "whole.pt")
    with pytest.raises(InputError, match="is no TorchScript image encoder: too many values to unpack"):
        load_encoder(f"sscd-torchscript:{path}", allow_unverified_weights=True)


def test_cuda_without_a_device_is_wrong_usage(scripted: Path) -> None:
    """Asking for cuda where torch sees none is refused; it never falls back to the CPU in silence."""
    if torch.cuda.is_available():
        pytest.skip("this machine has a CUDA device: ./scripts/test --all on one without")
    with pytest.raises(UsageError) as caught:
        load_encoder(f"sscd-torchscript:{scripted}", device="cuda", allow_unverified_weights=True)
    assert str(caught.value) == f"--device cuda: torch {torch.__version__} sees no CUDA device; use --device cpu"


@pytest.mark.gpu
def test_the_gpu_gives_the_rows_of_the_cpu(scripted: Path, pictures: list[Image.Image]) -> None:
    """On cuda the rows are those of the CPU, within 1e-3."""
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device: ./scripts/test --all on a machine with one")
    name = f"sscd-torchscript:{scripted}"
    on_gpu = load_encoder(name, device="cuda", allow_unverified_weights=True)
    on_cpu = load_encoder(name, device="cpu", allow_unverified_weights=True)
    items = np.stack([on_cpu.preprocess(picture) for picture in pictures])
    np.testing.assert_allclose(on_gpu.encode(items), on_cpu.encode(items), atol=1e-3)
