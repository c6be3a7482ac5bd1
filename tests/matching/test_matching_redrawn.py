"""Whether one picture is the other drawn anew: the model's numbers, and pairs of files."""

from __future__ import annotations

import hashlib
from pathlib import Path

import cv2
import numpy as np
import pytest
from pictures import photograph
from PIL import Image

from memaudit.encoders.catalog import load_encoder
from memaudit.encoders.weights import find_sscd
from memaudit.matching import redrawn
from memaudit.matching.compare import Files
from memaudit.matching.layout import SKETCHED
from memaudit.matching.redrawn import Composition, Redrawn, probability, redrawn_model, redrawn_pairs
from memaudit.types import Float32, Float64, silent

needs_sscd = pytest.mark.skipif(find_sscd() is None, reason="no sscd weights: memaudit encoders fetch sscd")


def test_no_signal_speaks_against_it() -> None:
    """More of any signal, a higher sum; more of a sum, a probability that is no lower; a cut that can be reached."""
    model = redrawn_model()
    assert (model.weights >= 0).all()
    assert (model.sketched >= 0).all()
    assert (np.diff(model.curve[0]) > 0).all()
    assert (np.diff(model.curve[1]) >= 0).all()
    assert 0 < model.curve[1][0] < model.cut < model.curve[1][-1] < 1
    assert not model.may_be(np.zeros(len(SKETCHED)))


class Refused:
    """Regions that must not be asked for."""

    scheme = "none"

    def encode(self, picture: np.ndarray, boxes: Float64) -> Float32:
        raise AssertionError("an encoder was asked")


def test_where_sketches_have_little_in_common_no_encoder_is_asked() -> None:
    assert probability(*(Composition(pixels(seed), Refused()) for seed in (1, 2))) == 0.0


@needs_sscd
def test_files_drawn_anew_and_others(tmp_path: Path) -> None:
    """By name: a picture drawn anew, one that training cut, another picture, and files that are gone or changed."""
    own = photograph(1, (320, 240))
    anew = drawn_anew(own)
    cut = drawn_anew(own.crop((40, 0, 280, 240)))
    queries = written(
        tmp_path, {"anew": anew, "cut": cut, "other": photograph(2, (320, 240)), "gone": anew, "new": anew}
    )
    references = written(tmp_path, {"own": own})
    (tmp_path / "gone.png").unlink()
    own.save(tmp_path / "new.png")
    found = asked(queries, references)
    assert found.read.tolist() == [True, True, True, False, False]
    assert np.isnan(found.probability[3:]).all()
    least = redrawn_model().cut
    assert (found.probability[:2] >= least).all(), found
    assert found.probability[2] < least / 2


@needs_sscd
def test_blocks_change_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pictures = {str(seed): photograph(seed, (200, 160)) for seed in range(4)}
    queries = written(tmp_path, {f"anew-{name}": drawn_anew(image) for name, image in pictures.items()})
    references = written(tmp_path, pictures)
    whole = asked(queries, references)
    monkeypatch.setattr(redrawn, "_AT_ONCE", 3)
    again = asked(queries, references)
    assert (whole.probability == again.probability).all()
    assert (np.argmax(whole.probability.reshape(4, 4), axis=1) == np.arange(4)).all()


def asked(queries: Files, references: Files) -> Redrawn:
    """All pairs of the two sides."""
    regions = load_encoder("sscd").regions
    assert regions is not None
    left, right = (each.ravel() for each in np.indices((len(queries.uri), len(references.uri))))
    return redrawn_pairs(queries, references, left, right, regions, silent)


def written(folder: Path, images: dict[str, Image.Image]) -> Files:
    files = [folder / f"{name}.png" for name in images]
    for file, image in zip(files, images.values(), strict=True):
        image.save(file)
    digests = [hashlib.sha256(file.read_bytes()).hexdigest() for file in files]
    return Files(np.array([str(file) for file in files], object), np.array(digests, object))


def pixels(seed: int) -> np.ndarray:
    return np.asarray(photograph(seed, (256, 192)))


def drawn_anew(image: Image.Image) -> Image.Image:
    """Softened, in other colours, and each part moved a little: no pixel is kept."""
    soft = cv2.GaussianBlur(np.asarray(image), (0, 0), 2)
    rows, columns = np.mgrid[: soft.shape[0], : soft.shape[1]].astype(np.float32)
    bent = cv2.remap(soft, columns + 3 * np.sin(rows / 25), rows + 3 * np.cos(columns / 30), cv2.INTER_LINEAR)
    return Image.fromarray(np.clip(bent * [0.85, 0.95, 1.0] + [15, 0, 5], 0, 255).astype(np.uint8))
