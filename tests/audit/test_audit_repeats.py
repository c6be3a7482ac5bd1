"""n counts draws: a picture saved again is none, and a training image that comes back again is one each time."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from pictures import draw
from PIL.PngImagePlugin import PngInfo
from vectors import near, random_vectors, vector_store

from memaudit.audit.pairing import Prompted
from memaudit.audit.repeats import (
    draw_of_rows,
    draws_of,
    first_of_picture,
    one_of_each_file,
    picture_digests,
    undecided_draws,
)
from memaudit.audit.run import audit
from memaudit.embedding.run import EmbedOptions, embed
from memaudit.encoders import load_encoder
from memaudit.index import ExactSearch
from memaudit.store import NO_FILE, Store
from memaudit.types import Status


@pytest.fixture(scope="module")
def references(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return vector_store(tmp_path_factory.mktemp("t") / "t", random_vectors(0, 50), prefix="train")


def digests(store: Store) -> list[str]:
    return picture_digests(store, store.all_columns()).tolist()


def embedded(folder: Path) -> Store:
    return embed([folder], folder.parent / f"{folder.name}-store", load_encoder("thumbnail"), EmbedOptions())


def test_a_card_saved_300_times_with_other_metadata_is_one_draw(tmp_path: Path) -> None:
    """Front ends write prompt and seed into the file: other bytes, the same picture."""
    (tmp_path / "card").mkdir()
    for number in range(30):
        info = PngInfo()
        info.add_text("parameters", f"prompt {number}")
        draw(5).save(tmp_path / "card" / f"{number}.png", pnginfo=info)
    training = embedded_training(tmp_path)
    result = audit(embedded(tmp_path / "card"), ExactSearch(training))
    assert (result.searched.count, result.searched.coverage.measured, result.duplicates) == (0, 1, 29)


def embedded_training(folder: Path) -> Store:
    (folder / "training").mkdir()
    for number in range(4):
        draw(100 + number).save(folder / "training" / f"{number}.png")
    return embedded(folder / "training")


def test_a_picture_as_png_and_lossless_webp_is_one_draw_and_as_jpeg_another(tmp_path: Path) -> None:
    """What is equal in every pixel is equal bit by bit; what JPEG changed is told apart, as any other picture is."""
    (tmp_path / "g").mkdir()
    for number in range(5):
        draw(number).save(tmp_path / "g" / f"{number}.png")
        draw(number).save(tmp_path / "g" / f"{number}.webp", lossless=True)
        draw(number).save(tmp_path / "g" / f"{number}.bmp")
        draw(number).save(tmp_path / "g" / f"{number}.jpg", quality=60)
    store = embedded(tmp_path / "g")
    found = digests(store)
    assert len(set(found)) == 10
    for number in range(5):
        kinds = {store.all_columns().image_id[i]: digest for i, digest in enumerate(found)}
        png, webp, bmp, jpg = (kinds[f"{number}.{suffix}"] for suffix in ("png", "webp", "bmp", "jpg"))
        assert png == webp == bmp != jpg


def test_a_training_image_that_comes_back_a_hundred_times_is_a_hundred_returns(
    tmp_path: Path, references: Store
) -> None:
    """For a hundred prompts, as one file or as a hundred: each is a return, of one distinct picture."""
    vectors = np.concatenate([np.repeat(references.embeddings(np.array([7])), 100, axis=0), random_vectors(1, 20)])
    for files in ([f"{i}" for i in range(120)], ["one"] * 100 + [f"{i}" for i in range(20)]):
        store = vector_store(tmp_path / files[1], vectors, files=files, prefix="gen")
        pairing = {f"gen-{i:05d}": Prompted(f"train-{i % 50:05d}", f"prompt {i}") for i in range(120)}
        result = audit(store, ExactSearch(references), pairing=pairing)
        assert (result.searched.count, result.searched.coverage.measured) == (100, 120)
        assert result.duplicates == 0
        assert len(set(result.pictures[:100].tolist())) == 1


def test_a_repeat_beside_a_finding_of_the_same_picture_is_no_clean_draw(tmp_path: Path) -> None:
    """It is a finding only beside its own prompt's image: without a line in the pairing it must not dilute the rate."""
    pictures = np.array(["a", "a", "b", "b", "", "c"])
    counted = draws_of(pictures, np.array([True, False, False, False, False, True]))
    assert counted.tolist() == [True, False, True, False, False, True]


def test_first_of_picture() -> None:
    assert first_of_picture(np.array(["b", "a", "", "b", "a"])).tolist() == [0, 1, -1, 0, 1]


def test_draws_of_rows() -> None:
    """A film begins with the picture that another file is: one draw. Its later frames do not join what they show."""
    pictures = np.array(["", "a", "b", "b", "c", "a", ""])
    files = np.array([0, 0, 0, 3, 4, 5, 6])
    assert draw_of_rows(pictures, files).tolist() == [-1, 1, 1, 3, 4, 1, -1]


def test_equal_files_and_equal_embeddings_are_one_picture_and_what_was_not_compared_is_none(tmp_path: Path) -> None:
    """Embeddings that were imported, of no file, are told apart bit by bit as well."""
    one, two = random_vectors(3, 2)
    vectors = np.stack([one, near(4, one[None])[0], one, two, two, one])
    statuses = [Status.OK] * 5 + [Status.BLANK]
    store = vector_store(tmp_path / "s", vectors, files=["x", "x", "y", "z", "w", "v"], statuses=statuses)
    a, b, c, d, e, f = digests(store)
    assert a == b == c != d == e
    assert f == ""
    imported = vector_store(tmp_path / "i", vectors[:5], hashes=[NO_FILE] * 5)
    a, b, c, d, e = digests(imported)
    assert a == c != b
    assert d == e
    assert len(a) == 32


def test_the_same_whatever_the_shards(tmp_path: Path) -> None:
    """A block at a time: which one a row lies in does not matter."""
    vectors = np.repeat(random_vectors(3, 20), 5, axis=0)
    large, small = (vector_store(tmp_path / f"{rows}", vectors, shard_rows=rows) for rows in (100, 7))
    assert digests(large) == digests(small)
    assert len(set(digests(large))) == 20


def test_one_held_out_picture_a_hundred_times_is_one_control(tmp_path: Path, references: Store) -> None:
    """A hundred files of one embedding are one observation of chance."""
    control = vector_store(tmp_path / "c", np.repeat(random_vectors(9, 1), 100, axis=0), prefix="held")
    result = audit(vector_store(tmp_path / "g", random_vectors(8, 30)), ExactSearch(references), control=control)
    assert result.control is not None
    assert (result.control.matched.coverage.measured, result.control.duplicates) == (1, 99)
    assert result.control.why_no_p.startswith("1 usable held-out images")


def test_a_draw_is_undecided_by_any_of_its_pictures_and_by_the_same_picture_elsewhere() -> None:
    """A film by its second frame, unless a third is a finding; a picture that is saved again by either of the two."""
    pictures = np.array([*"abcdefgghi"])
    files = np.array([0, 0, 2, 2, 2, 5, 6, 7, 8, 9])
    found, undecided = (np.isin(np.arange(10), rows) for rows in ([4], [1, 3, 7, 9]))
    draws = one_of_each_file(pictures, found, files)
    assert np.flatnonzero(undecided_draws(draws, undecided, found, files)).tolist() == [0, 6, 7, 9]
    pictures[9] = "e"  # of which there is a finding
    draws = one_of_each_file(pictures, found, files)
    drawn = draws_of(draws, found) & ~undecided_draws(draws, undecided, found, files)
    assert np.flatnonzero(drawn).tolist() == [4, 5, 8]
