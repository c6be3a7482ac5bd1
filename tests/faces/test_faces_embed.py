"""The store of faces: a row for each face, a trace of every image, the same store after a kill."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from face_stores import needs_photographs, sample_folder
from PIL import Image, ImageFilter

from memaudit.dedup.options import DedupOptions
from memaudit.dedup.run import dedup
from memaudit.embedding.run import embed
from memaudit.encoders import load_encoder
from memaudit.encoders.sface import FaceModel
from memaudit.errors import EmptyInputError, InputError, UsageError
from memaudit.faces.embed import FaceOptions, count_faces, embed_faces
from memaudit.faces.reading import FaceReader
from memaudit.faces.rows import details_of, face_rows
from memaudit.store import Store, verify_store
from memaudit.types import Status

pytestmark = needs_photographs
Copy = Callable[..., Path]
ALL = ("biden.jpg", "mask_black.jpg", "obama.jpg", "obama2.jpg", "t1.jpg")


def ids(store: Store) -> list[str]:
    return store.all_columns().image_id.tolist()


def test_faces_that_are_no_humans_are_counted_and_not_compared(
    photographs: Copy, model: FaceModel, tmp_path: Path
) -> None:
    """They have a row with their place; nothing is embedded, and the store is whole."""
    folder = photographs("obama.jpg")
    smooth = Image.open(sample_folder() / "obama.jpg").convert("RGB").filter(ImageFilter.GaussianBlur(8))
    smooth.quantize(6, dither=Image.Dither.NONE).convert("RGB").save(folder / "poster.png")
    store = embed_faces([folder], tmp_path / "faces", model)
    columns = store.all_columns()
    assert columns.image_id.tolist()[:2] == ["obama.jpg#face-1", "poster.png#face-1"]
    assert [str(status) for status in columns.status[:2]] == ["ok", "blank"]
    assert columns.error[1] == "no human face: drawn, or too unclear to tell"
    assert details_of(columns.metadata[1]) is not None
    counts = count_faces(store)
    assert (counts.comparable, counts.no_human, counts.with_face, counts.small) == (1, counts.faces - 1, 2, 0)
    assert store.coverage.measured == store.coverage.total == 1
    assert verify_store(store.folder) == []


def test_every_image_leaves_a_trace(photographs: Copy, model: FaceModel, tmp_path: Path) -> None:
    """Faces with parent, box, landmarks, score and quality; images without a face and unreadable ones counted."""
    folder = photographs("t1.jpg", "obama.jpg", "mask_black.jpg")
    (folder / "broken.jpg").write_bytes(b"\xff\xd8\xff broken")
    Image.new("RGB", (80, 80), "white").save(folder / "white.png")
    store = embed_faces([folder], tmp_path / "faces", model)
    columns = store.all_columns()
    assert columns.image_id.tolist() == [
        "broken.jpg",
        "mask_black.jpg",
        "obama.jpg#face-1",
        *(f"t1.jpg#face-{n}" for n in range(1, 7)),
        "white.png",
    ]
    assert [str(s) for s in columns.status[:3]] == ["unreadable", "blank", "ok"]
    assert columns.error[1] == columns.error[-1] == "no face found"
    details = details_of(columns.metadata[2])
    assert details is not None
    assert 0.6 <= details.score <= 1
    assert 0 < details.quality <= 1
    left, top, width, height = details.box
    assert all(left <= x <= left + width and top <= y <= top + height for x, y in details.landmarks)
    assert (columns.width[2], columns.height[2]) == (round(width), round(height))
    counts = count_faces(store)
    assert (counts.images, counts.with_face, counts.without_face, counts.unreadable) == (5, 2, 2, 1)
    assert (counts.faces, counts.comparable, counts.most) == (7, 7, 6)
    assert store.coverage.as_dict() == {"measured": 7, "total": 8, "share": 7 / 8}
    assert verify_store(tmp_path / "faces") == []


def test_a_film_counts_once_whatever_faces_its_first_frame_shows(
    photographs: Copy, model: FaceModel, tmp_path: Path
) -> None:
    """Further frames are not looked at, and the counts say of how many files."""
    folder = photographs("t1.jpg", "obama.jpg")
    for name in ("t1", "obama"):
        first = Image.open(folder / f"{name}.jpg").convert("RGB")
        first.save(folder / f"{name}.tiff", save_all=True, append_images=[Image.new("RGB", first.size, "white")])
    counts = count_faces(embed_faces([folder], tmp_path / "faces", model))
    assert (counts.images, counts.films, counts.with_face) == (4, 2, 4)


def test_the_manifest_says_that_it_holds_biometric_templates(
    photographs: Copy, model: FaceModel, tmp_path: Path
) -> None:
    """And the store is not continued as one of images, nor the other way round."""
    folder = photographs("obama.jpg")
    embed_faces([folder], tmp_path / "faces", model)
    manifest = json.loads((tmp_path / "faces/store.json").read_text())
    assert manifest["kind"] == "faces"
    assert manifest["biometric_templates"] is True
    with pytest.raises(InputError, match="holds faces, not images"):
        embed([folder], tmp_path / "faces", load_encoder("thumbnail"))
    embed([folder], tmp_path / "images", load_encoder("thumbnail"))
    with pytest.raises(InputError, match="holds images, not faces"):
        embed_faces([folder], tmp_path / "images", model)


def test_killed_and_continued_it_makes_the_same_store(
    photographs: Copy, model: FaceModel, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Interrupted at an image of the third shard: the first two stay, and the digest is that of an unbroken run."""
    folder, options = photographs(*ALL), FaceOptions(workers=1, shard_rows=2)
    whole = embed_faces([folder], tmp_path / "whole", model, options)
    rows_of = FaceReader.rows_of

    def killed(self: FaceReader, ref: object, *rest: object) -> object:
        if "t1" in str(ref):
            raise KeyboardInterrupt
        return rows_of(self, ref, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(FaceReader, "rows_of", killed)
    with pytest.raises(KeyboardInterrupt):
        embed_faces([folder], tmp_path / "faces", model, options)
    monkeypatch.undo()
    assert embed_faces([folder], tmp_path / "faces", model, options).digest == whole.digest


def test_new_images_become_new_shards(photographs: Copy, model: FaceModel, tmp_path: Path) -> None:
    """What is there stays as it is; a second run without news changes nothing."""
    folder = photographs("obama.jpg", "t1.jpg")
    first = embed_faces([folder], tmp_path / "faces", model)
    photographs("biden.jpg", "mask_black.jpg")
    second = embed_faces([folder], tmp_path / "faces", model)
    assert second.manifest.shards[0] == first.manifest.shards[0]
    assert set(ids(second)) - set(ids(first)) == {"biden.jpg#face-1", "mask_black.jpg"}
    assert embed_faces([folder], tmp_path / "faces", model).digest == second.digest
    other = photographs("obama2.jpg", folder="other")
    appended = embed_faces([other], tmp_path / "faces", model, FaceOptions(append=True))
    assert "obama2.jpg#face-1" in ids(appended)
    with pytest.raises(UsageError, match="choose one"):
        embed_faces([other], tmp_path / "faces", model, FaceOptions(append=True, replace_changed=True))


def test_changed_and_lost_images_are_refused_or_replaced(photographs: Copy, model: FaceModel, tmp_path: Path) -> None:
    """Another file under a familiar name, or one that is gone: refused; --replace-changed writes anew."""
    folder, options = photographs(*ALL), FaceOptions(shard_rows=2)
    embed_faces([folder], tmp_path / "faces", model, options)
    shutil.copy(sample_folder() / "obama3.jpg", folder / "obama2.jpg")
    with pytest.raises(InputError, match=r"'obama2.jpg' is not the image .* --replace-changed"):
        embed_faces([folder], tmp_path / "faces", model, options)
    changed = FaceOptions(shard_rows=2, replace_changed=True)
    replaced = embed_faces([folder], tmp_path / "faces", model, changed)
    assert replaced.digest == embed_faces([folder], tmp_path / "fresh", model, options).digest
    (folder / "t1.jpg").unlink()
    with pytest.raises(InputError, match="1 images that are not in the sources"):
        embed_faces([folder], tmp_path / "faces", model, options)
    left = embed_faces([folder], tmp_path / "faces", model, changed)
    assert not any("t1" in image_id for image_id in ids(left))


def test_sources_without_an_image_or_with_a_confusing_name(photographs: Copy, model: FaceModel, tmp_path: Path) -> None:
    """Nothing to look at is an error, and so is an image_id that reads like a face's."""
    (tmp_path / "empty").mkdir()
    with pytest.raises(EmptyInputError, match="no faces to find"):
        embed_faces([tmp_path / "empty"], tmp_path / "faces", model)
    folder = photographs("obama.jpg")
    (folder / "obama.jpg").rename(folder / "x#face-1")
    with pytest.raises(InputError, match="ends like that of a face"):
        embed_faces([folder], tmp_path / "faces", model)


def test_dedup_takes_faces_of_one_picture_for_different_people(
    photographs: Copy, model: FaceModel, tmp_path: Path
) -> None:
    """The faces of a photograph share its file and are no exact duplicates; those of a copied file are."""
    folder = photographs("t1.jpg")
    shutil.copy(folder / "t1.jpg", folder / "t2.jpg")
    store = embed_faces([folder], tmp_path / "faces", model)
    result = dedup(store, DedupOptions())
    assert len(set(result.decisions.group.tolist())) == 6
    assert result.pairs.exact.sum() == 6


def test_a_manifests_columns_stay_with_the_faces(photographs: Copy, model: FaceModel, tmp_path: Path) -> None:
    """Metadata and caption of the parent are those of its faces."""
    folder = photographs("obama.jpg")
    (tmp_path / "m.csv").write_text(f"path,caption,person\n{folder / 'obama.jpg'},a man,barack\n")
    columns = embed_faces([tmp_path / "m.csv"], tmp_path / "faces", model).all_columns()
    assert face_rows(columns)[0].own == {"person": "barack"}
    assert columns.caption[0] == "a man"
    assert columns.status[0] == Status.OK
