"""Whether one picture is the other drawn anew: the model's numbers, and pairs of files."""

from __future__ import annotations

import hashlib
from pathlib import Path

import cv2
import numpy as np
import pytest
from pictures import photograph
from PIL import Image

from memaudit.embedding.run import embed
from memaudit.encoders.catalog import load_encoder
from memaudit.encoders.weights import find_sscd
from memaudit.matching import redrawn
from memaudit.matching.compare import Files, files_of
from memaudit.matching.kept import keep_features
from memaudit.matching.layout import SKETCHED
from memaudit.matching.redrawn import Composition, Redrawn, frames_of, probability, redrawn_model, redrawn_pairs
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


def test_signals_are_the_same_by_what_is_kept_and_by_the_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of JPEGs that are decoded at a smaller size: at the same one, whoever asks."""
    rng, images = np.random.default_rng(0), tmp_path / "images"
    images.mkdir()
    for name, size in (("a", (3000, 2250)), ("b", (1700, 1700))):
        noise = Image.fromarray(rng.integers(0, 256, (150, 200, 3)).astype(np.uint8))
        noise.resize(size, Image.Resampling.BICUBIC).save(images / f"{name}.jpg", quality=85)
    store = embed([images], tmp_path / "store", load_encoder("thumbnail"))
    keep_features(store)
    kept = files_of(store, np.arange(2))
    assert kept.kept is not None
    seen = list[list[float]]()

    def looked_at(*pair: Composition) -> float:
        seen.append(np.concatenate([signals for _, signals in frames_of(*pair)]).tolist())
        return 0.5

    monkeypatch.setattr(redrawn, "probability", looked_at)
    for files in (kept, kept._replace(kept=None)):
        assert redrawn_pairs(files, files, np.array([0]), np.array([1]), Refused(), silent).read.all()
    assert seen[0] == seen[1]


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
