"""The faces of an audit: which stores to compare, made where they are not there yet."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from PIL import Image

    from memaudit.encoders.sface import FaceModel
    from memaudit.faces.audit import ImageSimilarity, ImageStores
    from memaudit.index import Searcher
    from memaudit.report.faces import FacePart
    from memaudit.store import Store
    from memaudit.types import EncoderSpec, Progress

Faces = Annotated[bool, typer.Option("--faces", help="Compare the faces, too: does the model give people back?")]
FaceStore = Annotated[
    Path | None,
    typer.Option("--face-store", help="The training set's store of faces, or an index of it; else it is made."),
]
ControlFaces = Annotated[
    str | None,
    typer.Option("--control-faces", help="Pictures, or a store of faces, of people who are not in the training set."),
]
FaceEncoder = Annotated[
    str | None, typer.Option("--face-encoder", help="As memaudit faces --encoder.", show_default="the face store's")
]
FalseMatches = Annotated[
    float, typer.Option("--face-false-matches", help="How many false matches of faces may be expected in all.")
]
Identity = Annotated[str, typer.Option("--identity", help="The metadata column that names the person on a picture.")]
FacesBy = Annotated[
    list[str] | None, typer.Option("--faces-by", metavar="COLUMN", help="Split match rates by this metadata column.")
]
SaveCrops = Annotated[bool, typer.Option("--save-crops", help="Write the matched faces as pictures of their own.")]
BlurFaces = Annotated[bool, typer.Option("--blur-faces", help="Make faces unrecognisable in the report's pictures.")]
_FOLDERS = {"generations": "generation-faces", "gallery": "training-faces", "control": "control-faces"}


def blurring(*, wanted: bool) -> Callable[[Image.Image], Image.Image] | None:
    """What pictures go through before they are shown."""
    if not wanted:
        return None
    from memaudit.faces.blurring import face_blurrer

    return face_blurrer()


def kept_templates(out: Path) -> str:
    """A line that names the stores of faces that an audit left in its --out; empty if there are none."""
    from memaudit.cli.options import is_store

    kept = [str(out / name) for name in _FOLDERS.values() if is_store(out / name)]
    return f"\nBiometric templates of people, to be deleted when done: {', '.join(kept)}" if kept else ""


def own_stores() -> tuple[str, ...]:
    """The stores that an audit keeps in its --out."""
    return ("generations", "control", *_FOLDERS.values())


@dataclass(frozen=True)
class FaceChoices:
    """What the command line says about faces."""

    wanted: bool = False
    store: Path | None = None
    control: str | None = None
    encoder: str | None = None
    false_matches: float = 1.0
    identity: str = ""
    by: tuple[str, ...] = ()
    save_crops: bool = False
    blur: bool = False
    picture_threshold: float | None = None
    device: str = "auto"
    workers: int = 0
    max_unreadable: float = 0.01
    allow_unverified_weights: bool = False

    def require_possible(self) -> None:
        """Raise UsageError for options that contradict each other, before hours of embedding."""
        from memaudit.cli.options import is_store
        from memaudit.errors import UsageError
        from memaudit.store import Store

        if self.save_crops and self.blur:
            raise UsageError("--save-crops writes faces and --blur-faces hides them: choose one")
        if not self.false_matches > 0:
            raise UsageError(f"--face-false-matches {self.false_matches:g} is out of range: expected a number above 0")
        if self.store is not None and is_store(self.store):
            _require_faces(Store.open(self.store))

    def require_wanted(self) -> None:
        """Raise UsageError for options about faces where nobody asked to compare them."""
        from memaudit.errors import UsageError

        given = (self.store, self.control, self.encoder, self.identity, self.by, self.save_crops)
        if not self.wanted and any(given):
            raise UsageError(
                "--face-store, --control-faces, --face-encoder, --identity, --faces-by and --save-crops need --faces, "
                "or --against a store of faces"
            )

    def beside_images(
        self, generations: Store, references: Store, control: Store | None, out: Path, progress: Progress
    ) -> FacePart:
        """Find and compare the faces of an audit of images: of the sources that its stores were made from."""
        from memaudit.faces.audit import ImageStores, by_image_stores, copies_among

        gallery = self._gallery(references, out, progress)
        images = ImageStores(generations, references)
        spec = gallery.store.encoder
        queries = self._faces_of(generations.manifest.sources, out / _FOLDERS["generations"], spec, progress)
        held_out = None
        if self.control is not None:
            held_out = self._store(self.control, out / _FOLDERS["control"], spec, progress)
            images = replace(images, control=_images_at(self.control))
        elif control is not None:
            held_out = self._faces_of(control.manifest.sources, out / _FOLDERS["control"], spec, progress)
            images = replace(images, control=control)
        similarity = by_image_stores(generations, references)
        same = references.encoder.threshold if self.picture_threshold is None else self.picture_threshold
        part = self._compared(queries, gallery, held_out, images, (similarity, same), progress)
        return replace(part, are_copies=copies_among(references, same))

    def alone(
        self, generations: str, gallery: Searcher, control: str | None, out: Path, progress: Progress
    ) -> FacePart:
        """Compare generations (images, or a store of faces) with a store of faces."""
        from memaudit.encoders.thumbnail import SPEC
        from memaudit.faces.audit import ImageStores, by_thumbnails

        spec = gallery.store.encoder
        queries = self._store(generations, out / _FOLDERS["generations"], spec, progress)
        other = self.control or control
        held_out = self._store(other, out / _FOLDERS["control"], spec, progress) if other else None
        images = ImageStores(_images_at(generations), None, _images_at(other))
        return self._compared(queries, gallery, held_out, images, (by_thumbnails, SPEC.threshold), progress)

    def _compared(
        self,
        queries: Store,
        gallery: Searcher,
        control: Store | None,
        images: ImageStores,
        pictures: tuple[ImageSimilarity, float],
        progress: Progress,
    ) -> FacePart:
        from memaudit.faces.audit import FaceOptions, audit_faces
        from memaudit.report.faces import FacePart

        similarity, same = pictures
        options = FaceOptions(self.false_matches, self.by, self.identity, same, self.max_unreadable)
        result = audit_faces(
            queries,
            gallery,
            control=control,
            images=images,
            image_similarity=similarity,
            options=options,
            progress=progress,
        )
        return FacePart(result, queries, gallery.store, self.save_crops)

    def _gallery(self, references: Store, out: Path, progress: Progress) -> Searcher:
        from memaudit.index import ExactSearch, open_searcher

        if self.store is not None:
            gallery = open_searcher(self.store)
            _require_faces(gallery.store)
            return gallery
        return ExactSearch(self._faces_of(references.manifest.sources, out / _FOLDERS["gallery"], None, progress))

    def _store(self, source: str, folder: Path, like: EncoderSpec, progress: Progress) -> Store:
        """The faces of a store of faces as it is, of a store of images by its sources, or of a source."""
        from memaudit.cli.options import is_store
        from memaudit.store import FACES, Store

        if is_store(source):
            store = Store.open(source)
            if store.manifest.kind == FACES:
                return store
            return self._faces_of(store.manifest.sources, folder, like, progress)
        return self._faces_of((source,), folder, like, progress)

    def _faces_of(self, sources: tuple[str, ...], folder: Path, like: EncoderSpec | None, progress: Progress) -> Store:
        from memaudit.errors import InputError
        from memaudit.faces.embed import FaceOptions, embed_faces

        options = FaceOptions(self.workers, replace_changed=True)
        try:
            return embed_faces(sources, folder, self._model(like), options, progress)
        except InputError as error:
            raise InputError(
                f"faces of {', '.join(sources)}: {error} (a store of faces made before is taken as well)"
            ) from None

    def _model(self, like: EncoderSpec | None) -> FaceModel:
        from memaudit.encoders.sface import SPEC, resolve
        from memaudit.errors import InconclusiveError, UsageError

        name = self.encoder or (like.name if like else SPEC.name)
        if self.encoder is None and name != SPEC.name:
            raise UsageError(
                f"the training faces were embedded with an encoder of your own, {name}: name its file and options "
                "again, with --face-encoder face-onnx:PATH?…"
            )
        model = resolve(name, self.device, allow_unverified_weights=self.allow_unverified_weights)
        if like is not None and not model.spec.same_as(like):
            raise InconclusiveError(
                f"the training faces were embedded with {like.identity}, not with {model.spec.identity}: similarities "
                "between the two mean nothing; name the same with --face-encoder"
            )
        return model


def _images_at(source: str | None) -> Store | None:
    """The store of images that a source is, if it is one."""
    from memaudit.cli.options import is_store
    from memaudit.store import IMAGES, Store

    store = Store.open(source) if source is not None and is_store(source) else None
    return store if store is not None and store.manifest.kind == IMAGES else None


def _require_faces(store: Store) -> None:
    from memaudit.errors import UsageError
    from memaudit.store import FACES

    if store.manifest.kind != FACES:
        raise UsageError(
            f"--face-store {store.folder} holds images, not faces: name what memaudit faces made, or leave it out"
        )
