"""The table of encoders: what is in it, what loading it costs, and that those who need it read it."""

import re
import subprocess
import sys
from dataclasses import FrozenInstanceError
from pathlib import Path

import pytest

from memaudit.encoders import sface, sscd, thumbnail
from memaudit.encoders.catalog import is_known
from memaudit.encoders.encoder import REDUCED_JPEG, spec_of
from memaudit.encoders.reference import page
from memaudit.encoders.specs import families, family_of
from memaudit.matching.plan import NEAREST_FLOORS, PAIR_FLOORS, SEARCH_FLOORS

ROOT = Path(__file__).parents[2]


def test_the_table_loads_nothing_heavy() -> None:
    """Neither numpy nor what runs an encoder: the gate reads it at each start."""
    heavy = {"numpy", "PIL", "torch", "onnxruntime", "open_clip", "cv2"}
    code = (
        f"import sys; from memaudit.encoders.specs import families as f; f(); print(sorted({heavy} & set(sys.modules)))"
    )
    outcome = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert outcome.stdout.strip() == "[]"


def test_identities_are_those_of_the_embeddings_there_are() -> None:
    """Stores of earlier versions stay comparable: no letter of an identity changes."""
    assert sscd.SPEC.identity == (
        "sscd weights 86386042eb85 [RGB 288x288 Pillow bilinear, uint8; large JPEGs decoded at a reduced scale, 5/4 of "
        "the size or more] 512-d"
    )
    assert thumbnail.SPEC.identity == (
        "thumbnail weights none [RGB 12x12 Pillow bilinear, minus each channel's mean; large JPEGs decoded at a "
        "reduced scale, 5/4 of the size or more] 432-d"
    )
    assert sface.SPEC.identity == (
        "sface weights fb143eea0783 [YuNet 49f000ec501f at 1024 and 320 px, in tiles above 1536, turned where none "
        "is sure, score 0.6 or more, 20 px or more; aligned by five landmarks to 112x112, RGB 0 to 255] 128-d"
    )


@pytest.mark.parametrize("name", families())
def test_the_words_of_an_encoder_say_its_numbers(name: str) -> None:
    """Side and least size stand in the preprocessing, the detector's sha256 in the detection; images of large JPEGs."""
    family = families()[name]
    if family.side:
        assert f" {family.side}x{family.side}" in family.preprocessing
    if family.embeds == "images" and family.dim:
        assert family.preprocessing.endswith(REDUCED_JPEG)
    if family.embeds == "faces":
        assert f"YuNet {families()['sface'].weights.files['detector'].sha256[:12]} " in family.detection
        assert f" {family.least_pixels} px or more" in family.detection
    assert 0 < family.threshold <= 1
    assert family.threshold_source
    floors = [family.nearest_floor, family.search_floor, family.pair_floor, family.threshold]
    floors = [floor for floor in floors if floor is not None]
    assert floors == sorted(floors)
    for file in family.weights.files.values():
        assert re.fullmatch("[0-9a-f]{64}", file.sha256) or not is_pinned(name)


def is_pinned(name: str) -> bool:
    return bool(families()[name].weights.requirement)


def test_a_family_is_found_by_the_name_of_its_encoder() -> None:
    """The part before the colon; what was imported under another name is nobody's."""
    assert family_of("open_clip:ViT-B-32/laion2b") is families()["open_clip"]
    assert family_of("sscd") is families()["sscd"]
    assert family_of("mine") is None
    assert all(is_known(name) for name in ("sscd", "thumbnail", "open_clip:ViT-B-32/openai"))
    assert not any(is_known(name) for name in ("sface", "face-onnx:PATH", "mine"))


def test_the_table_cannot_be_changed_and_one_of_many_has_no_identity() -> None:
    """A family is frozen; open_clip has an identity for each architecture and weights."""
    with pytest.raises(FrozenInstanceError):
        families()["sscd"].threshold = 0.5  # type: ignore[misc]
    with pytest.raises(ValueError, match="more than one encoder open_clip"):
        spec_of(families()["open_clip"])


def test_the_floors_of_pixels_are_the_tables() -> None:
    """Matching has no table of its own."""
    assert (PAIR_FLOORS, SEARCH_FLOORS, NEAREST_FLOORS) == ({"sscd": 0.45}, {"sscd": 0.3}, {"sscd": 0.15})


def test_the_page_of_the_docs_is_the_tables() -> None:
    """python -m memaudit.encoders.reference > docs/reference/encoders.md"""
    assert (ROOT / "docs" / "reference" / "encoders.md").read_text(encoding="utf-8") == page()
