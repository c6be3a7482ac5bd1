"""People are taken out of a store, wholly, and do not come back."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from face_stores import face_store, needs_photographs
from vectors import near, random_vectors, vector_store

from memaudit.encoders.sface import FaceModel
from memaudit.errors import InputError
from memaudit.faces.embed import FaceOptions, count_forgotten, embed_faces
from memaudit.faces.forget import forget
from memaudit.faces.rows import details_of, face_rows
from memaudit.store import Store, StoreWriter, verify_store

PARENTS = ("a", "a", "b", "c", "c", "c", "d")


def make(tmp_path: Path, shard_rows: int = 2) -> Path:
    face_store(tmp_path / "s", random_vectors(1, 7, 16), parents=PARENTS, without_face=["e"], shard_rows=shard_rows)
    return tmp_path / "s"


def ids(folder: Path) -> list[str]:
    return Store.open(folder).all_columns().image_id.tolist()


def test_an_images_faces_go_and_nothing_else_changes(tmp_path: Path) -> None:
    """All rows of the image are gone from every file, the others keep their embeddings, the store is sound."""
    folder = make(tmp_path)
    before, old = Store.open(folder).all_columns(), {path.name for path in folder.glob("shard-*")}
    vectors = Store.open(folder).embeddings(np.arange(7))
    kept = [i for i, parent in enumerate([*PARENTS, "e"]) if parent != "c"]
    done = forget(folder, ["c"])
    assert done.removed == ("c#face-1", "c#face-2", "c#face-3")
    assert ids(folder) == before.image_id[kept].tolist()
    assert verify_store(folder) == []
    assert b"c#face" not in b"".join(path.read_bytes() for path in folder.glob("shard-*"))
    assert {path.name for path in folder.glob("shard-*")} - old  # rewritten under names of their own
    assert np.array_equal(Store.open(folder).embeddings(np.arange(4)), vectors[kept[:4]])


def test_a_single_face_of_a_group_can_go(tmp_path: Path) -> None:
    """The others of the picture stay, under their names; a shard that is left empty disappears."""
    folder = make(tmp_path)
    assert forget(folder, ["a#face-1", "d"]).removed == ("a#face-1", "d#face-1")
    assert ids(folder) == ["a#face-2", "b#face-1", "c#face-1", "c#face-2", "c#face-3", "e"]
    assert forget(folder, ["c", "a", "b", "e"]).removed
    assert ids(folder) == []
    assert verify_store(folder) == []


def test_an_unknown_id_removes_nothing(tmp_path: Path) -> None:
    """One wrong name among right ones is an error before anything is touched."""
    folder = make(tmp_path)
    digest = Store.open(folder).digest
    with pytest.raises(InputError, match=r"no image or face 'zzz' \(1 of 2 ids"):
        forget(folder, ["a", "zzz"])
    assert Store.open(folder).digest == digest
    vector_store(tmp_path / "images", random_vectors(1, 3))
    with pytest.raises(InputError, match="holds images, not faces"):
        forget(tmp_path / "images", ["image-00000"])


@pytest.mark.parametrize("moment", ["_written_shard", "_save", "remove_strays"])
def test_killed_at_any_moment_it_can_be_run_again(moment: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Either nothing has changed, or all has; the same call again leaves a sound store without a trace."""
    folder = make(tmp_path, shard_rows=4)
    original, calls = getattr(StoreWriter, moment), [0]

    def killed(*arguments: object) -> object:
        calls[0] += 1
        if calls[0] == 2:  # remove_strays: the second time is after the manifest
            raise KeyboardInterrupt
        return original(*arguments)

    monkeypatch.setattr(StoreWriter, moment, killed)
    if moment == "_save":
        calls[0] = 1  # there is only one
    with pytest.raises(KeyboardInterrupt):
        forget(folder, ["a", "c"])
    monkeypatch.undo()
    assert len(ids(folder)) in (8, 3)
    forget(folder, ["a", "c"])
    assert ids(folder) == ["b#face-1", "d#face-1", "e"]
    assert verify_store(folder) == []
    assert b"a#face" not in b"".join(path.read_bytes() for path in folder.iterdir() if path.is_file())


def test_to_forget_twice_is_no_error(tmp_path: Path) -> None:
    """What is gone already is said so."""
    folder = make(tmp_path)
    forget(folder, ["b"])
    again = forget(folder, ["b", "d"])
    assert again.already == ("b",)
    assert again.removed == ("d#face-1",)


def test_faces_alike_that_are_still_there_are_named(tmp_path: Path) -> None:
    """Who forgets one picture of a person is told of the others."""
    vectors = random_vectors(1, 6, 64)
    vectors[4] = near(2, vectors[1:2], 0.3)[0]
    face_store(tmp_path / "s", vectors)
    done = forget(tmp_path / "s", ["image-00001"])
    assert done.alike == ("image-00004#face-1",)
    assert done.with_alike == 1
    assert forget(tmp_path / "s", ["image-00002"]).alike == ()


@needs_photographs
def test_the_forgotten_do_not_come_back(photographs: Callable[..., Path], model: FaceModel, tmp_path: Path) -> None:
    """Embedding the same sources again passes over forgotten images and faces, and changes nothing."""
    folder, out = photographs("obama.jpg", "t1.jpg", "mask_blue.jpg"), tmp_path / "faces"
    embed_faces([folder], out, model)
    forget(out, ["obama.jpg", "t1.jpg#face-2"])
    digest = Store.open(out).digest
    assert embed_faces([folder], out, model).digest == digest
    photographs("biden.jpg")
    grown = embed_faces([folder], out, model)
    assert grown.all_columns().image_id.tolist() == [
        "mask_blue.jpg",
        *(f"t1.jpg#face-{n}" for n in (1, 3, 4, 5, 6)),
        "biden.jpg#face-1",
    ]
    assert verify_store(out) == []
    (folder / "biden.jpg").rename(folder / "renamed.jpg")
    forget(out, ["biden.jpg"])
    embed_faces([folder], out, model, FaceOptions(append=True))
    assert count_forgotten(Store.open(out), [str(folder)]) == 2, "one by its name, one by its file"


def test_the_other_faces_of_an_image_no_longer_name_the_forgotten(tmp_path: Path) -> None:
    """Caption and metadata of the image go; what is known of the other faces, and other images' metadata, stay."""
    own = [{"person": "Ada"}] * 2 + [{"person": "Bob"}]
    folder = tmp_path / "s"
    face_store(folder, random_vectors(1, 3, 16), parents=["a", "a", "b"], metadata=own)
    before = Store.open(folder).embeddings(np.arange(3))
    forget(folder, ["a#face-2"])
    columns = Store.open(folder).all_columns()
    assert columns.image_id.tolist() == ["a#face-1", "b#face-1"]
    assert [face.own for face in face_rows(columns)] == [{}, {"person": "Bob"}]
    assert details_of(columns.metadata[0]) is not None
    assert b"Ada" not in b"".join(path.read_bytes() for path in folder.iterdir() if path.is_file())
    assert np.array_equal(Store.open(folder).embeddings(np.arange(2)), before[[0, 2]])
    assert verify_store(folder) == []


@needs_photographs
def test_the_forgotten_do_not_come_back_under_another_name(
    photographs: Callable[..., Path], model: FaceModel, tmp_path: Path
) -> None:
    """Neither an image nor a single face; and the image's words do not come back with its other faces."""
    folder, out = photographs("obama.jpg", "t1.jpg"), tmp_path / "faces"
    (tmp_path / "m.csv").write_text(f"path,caption\n{folder / 'obama.jpg'},Barack\n{folder / 't1.jpg'},Ross\n")
    first = embed_faces([tmp_path / "m.csv"], out, model).all_columns()
    assert set(first.caption) == {"Barack", "Ross"}
    group = first.image_id[-1].rpartition("#")[0]
    forget(out, [first.image_id[0].rpartition("#")[0], f"{group}#face-2"])
    (folder / "obama.jpg").rename(folder / "x.jpg")
    (folder / "t1.jpg").rename(folder / "y.jpg")
    (tmp_path / "m.csv").write_text(f"path,caption\n{folder / 'x.jpg'},Barack\n{folder / 'y.jpg'},Ross\n")
    again = embed_faces([tmp_path / "m.csv"], out, model, FaceOptions(replace_changed=True)).all_columns()
    assert [face.number for face in face_rows(again)] == [1, 3, 4, 5, 6]
    assert set(again.caption) == {""}
